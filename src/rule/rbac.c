/*
 * Harbor's role matrix as data: a row per resource, a column per role, a set of actions in each
 * cell. Whoever is not in the table may not. System administrators are not in it either: they may
 * everything, which is decided before the matrix is asked.
 */
#include "rule/rbac.h"

#include <assert.h>

/* Sets of actions. */
enum {
    C = 1 << ACT_CREATE,
    R = 1 << ACT_READ,
    U = 1 << ACT_UPDATE,
    D = 1 << ACT_DELETE,
    L = 1 << ACT_LIST,
    PULL = 1 << ACT_PULL,
    PUSH = 1 << ACT_PUSH,
    OPERATE = 1 << ACT_OPERATE,
    STOP = 1 << ACT_STOP,
    PP = PULL | PUSH,
    CRUDL = C | R | U | D | L,
    CUDL = C | U | D | L,
    CRL = C | R | L,
    RL = R | L,
    CD = C | D,
};

/* clang-format off */
static const unsigned short matrix[RES_COUNT][ROLE_COUNT] = {
#define ROW(res, admin, maintainer, developer, guest, limited)                                     \
    [RES_##res] = {[ROLE_PROJECT_ADMIN] = (admin), [ROLE_MAINTAINER] = (maintainer),               \
                   [ROLE_DEVELOPER] = (developer), [ROLE_GUEST] = (guest),                         \
                   [ROLE_LIMITED_GUEST] = (limited)}
    /* resource, project admin, maintainer, developer, guest, limited guest */
    ROW(PROJECT,             R | U | D,     R,             R,                   R,          R),
    ROW(MEMBER,              CRUDL,         RL,            RL,                  RL,         0),
    ROW(METADATA,            C | R | U | D, R,             0,                   0,          0),
    ROW(LOG,                 L,             0,             0,                   0,          0),
    ROW(LABEL,               CRUDL,         CRUDL,         RL,                  RL,         0),
    ROW(QUOTA,               R,             R,             R,                   R,          R),
    ROW(REPOSITORY,          CRUDL | PP,    CRUDL | PP,    CRL | U | PP,      RL | PULL, RL | PULL),
    ROW(TAG_RETENTION,       CRUDL | OPERATE, CRUDL | OPERATE, CRUDL | OPERATE, 0,         0),
    ROW(IMMUTABLE_TAG,       CUDL,          CUDL,          0,                   0,          0),
    ROW(CONFIGURATION,       R | U,         R,             R,                   R,          R),
    ROW(ROBOT,               CRUDL,         RL,            RL,                  RL,         0),
    ROW(NOTIFICATION_POLICY, CRUDL,         RL,            0,                   0,          0),
    ROW(SCAN,                C | R | STOP,  C | R | STOP,  R,                   R,          R),
    ROW(SBOM,                C | R | STOP,  C | R | STOP,  R,                   R,          R),
    ROW(SCANNER,             C | R,         R,             R,                   R,          R),
    ROW(ARTIFACT,            CRL | D,       CRL | D,       CRL,                 RL,         RL),
    ROW(ARTIFACT_ADDITION,   R,             R,             R,                   R,          R),
    ROW(TAG,                 CD | L,        CD | L,        C | L,               L,          L),
    ROW(ACCESSORY,           L,             L,             L,                   L,          L),
    ROW(ARTIFACT_LABEL,      CD,            CD,            CD,                  0,          0),
    ROW(PREHEAT_POLICY,      CRUDL,         0,             0,                   0,          0),
    ROW(EXPORT_CVE,          CRL,           CRL,           CRL,                 0,          0),
#undef ROW
};

/* Anyone, even anonymous, in a public project. */
static const unsigned short in_public[RES_COUNT] = {
    [RES_PROJECT] = R,           [RES_LABEL] = RL,  [RES_REPOSITORY] = L | PULL,
    [RES_SCAN] = R,              [RES_SCANNER] = R, [RES_TAG] = L,
    [RES_ARTIFACT] = RL,         [RES_ARTIFACT_ADDITION] = R,
    [RES_ACCESSORY] = L,
};

static const unsigned short robot_system[RES_COUNT] = {
    [RES_AUDIT_LOG] = L,               [RES_PREHEAT_INSTANCE] = CRUDL,
    [RES_PROJECT] = L | C,             [RES_REPLICATION_POLICY] = CRUDL,
    [RES_REPLICATION] = CRL,           [RES_REPLICATION_ADAPTER] = L,
    [RES_REGISTRY] = CRUDL,            [RES_SCAN_ALL] = C | R | U | STOP,
    [RES_SYSTEM_VOLUMES] = R,          [RES_GARBAGE_COLLECTION] = CRL | U | STOP,
    [RES_PURGE_AUDIT] = CRL | U | STOP, [RES_JOBSERVICE_MONITOR] = L | STOP,
    [RES_SCANNER] = CRUDL,             [RES_LABEL] = C | R | U | D,
    [RES_SECURITY_HUB] = RL,           [RES_CATALOG] = R,
    [RES_QUOTA] = RL | U,              [RES_ROBOT] = CRL | D,
    [RES_USER] = CRUDL,                [RES_LDAP_USER] = C | L,
    [RES_USER_GROUP] = CRUDL,
};

static const unsigned short robot_project[RES_COUNT] = {
    [RES_LOG] = L,                     [RES_PROJECT] = R | U | D,
    [RES_METADATA] = CRUDL,            [RES_REPOSITORY] = RL | U | D | PULL | PUSH,
    [RES_ARTIFACT] = CRL | D,          [RES_SCAN] = C | R | STOP,
    [RES_SBOM] = C | R | STOP,         [RES_TAG] = CD | L,
    [RES_ACCESSORY] = L,               [RES_ARTIFACT_ADDITION] = R,
    [RES_ARTIFACT_LABEL] = CD,         [RES_SCANNER] = C | R,
    [RES_PREHEAT_POLICY] = CRUDL,      [RES_IMMUTABLE_TAG] = CUDL,
    [RES_NOTIFICATION_POLICY] = CRUDL, [RES_TAG_RETENTION] = CRUDL,
    [RES_LABEL] = CRUDL,               [RES_QUOTA] = R,
    [RES_ROBOT] = CRL | D,             [RES_EXPORT_CVE] = C | R,
    [RES_MEMBER] = CRUDL,
};
/* clang-format on */

static const char *const resource_names[RES_COUNT] = {
#define X(name, text) [RES_##name] = (text),
    RESOURCE_LIST(X)
#undef X
};

static const char *const action_names[ACT_COUNT] = {
#define X(name, text) [ACT_##name] = (text),
    ACTION_LIST(X)
#undef X
};

static const char *const role_names[ROLE_COUNT] = {
#define X(name, id, text) [id] = (text),
    ROLE_LIST(X)
#undef X
};

_Static_assert(ACT_COUNT <= 16, "a set of actions fits its cell");

static bool holds(unsigned short set, enum action act)
{
    return act > ACT_NONE && act < ACT_COUNT && (set >> act & 1);
}

bool rbac_role_may(enum role role, enum resource res, enum action act)
{
    if (role <= ROLE_NONE || role >= ROLE_COUNT || res <= RES_NONE || res >= RES_COUNT)
        return false;
    return holds(matrix[res][role], act);
}

bool rbac_public_may(enum resource res, enum action act)
{
    return res > RES_NONE && res < RES_COUNT && holds(in_public[res], act);
}

bool rbac_robot_pair(bool system, enum resource res, enum action act)
{
    if (res <= RES_NONE || res >= RES_COUNT)
        return false;
    return holds(system ? robot_system[res] : robot_project[res], act);
}

enum resource rbac_resource(struct str name)
{
    for (int i = RES_NONE + 1; i < RES_COUNT; i++)
        if (str_eq(name, str_of(resource_names[i])))
            return (enum resource)i;
    return RES_NONE;
}

enum action rbac_action(struct str name)
{
    for (int i = ACT_NONE + 1; i < ACT_COUNT; i++)
        if (str_eq(name, str_of(action_names[i])))
            return (enum action)i;
    return ACT_NONE;
}

const char *rbac_resource_name(enum resource res)
{
    assert(res > RES_NONE && res < RES_COUNT);
    return resource_names[res];
}

const char *rbac_action_name(enum action act)
{
    assert(act > ACT_NONE && act < ACT_COUNT);
    return action_names[act];
}

const char *rbac_role_name(enum role role)
{
    assert(role > ROLE_NONE && role < ROLE_COUNT);
    return role_names[role];
}
