/*
 * The role matrix against Harbor's, written a second time in another form: for each role and
 * resource the actions as letters, so that a slip in one table shows against the other.
 */
#include "rule/rbac.h"

#include "check.h"
#include "rule/origin.h"

static const char letters[ACT_COUNT] = {
    [ACT_CREATE] = 'C', [ACT_READ] = 'R',         [ACT_UPDATE] = 'U', [ACT_DELETE] = 'D',
    [ACT_LIST] = 'L',   [ACT_PULL] = 'p',         [ACT_PUSH] = 'P',   [ACT_OPERATE] = 'o',
    [ACT_STOP] = 's',   [ACT_SCANNER_PULL] = 'S',
};

/* clang-format off */
static const struct {
    const char *resource, *admin, *maintainer, *developer, *guest, *limited, *in_public;
    const char *robot_system, *robot_project;
} rows[] = {
    /* roles 1, 4, 2, 3, 5; anyone in public; robots of the system, of a project */
    {"project",             "RUD", "R", "R", "R", "R", "R", "LC", "RDU"},
    {"member",              "CRUDL", "RL", "RL", "RL", "", "", "", "CRULD"},
    {"metadata",            "CRUD", "R", "", "", "", "", "", "RCDLU"},
    {"log",                 "L", "", "", "", "", "", "", "L"},
    {"label",               "CRUDL", "CRUDL", "RL", "RL", "", "RL", "RCDU", "RCDLU"},
    {"quota",               "R", "R", "R", "R", "R", "", "RLU", "R"},
    {"repository",          "CRUDLpP", "CRUDLPp", "CRULPp", "RLp", "LRp", "Lp", "", "RUDLpP"},
    {"tag-retention",       "CRUDLo", "CRUDLo", "CRUDLo", "", "", "", "", "RCDLU"},
    {"immutable-tag",       "CUDL", "CUDL", "", "", "", "", "", "CDLU"},
    {"configuration",       "RU", "R", "R", "R", "R", "", "", ""},
    {"robot",               "CRUDL", "RL", "RL", "RL", "", "", "CRLD", "CRLD"},
    {"notification-policy", "CUDLR", "RL", "", "", "", "", "", "RCDLU"},
    {"scan",                "CRs", "CRs", "R", "R", "R", "R", "", "CRs"},
    {"sbom",                "CsR", "CsR", "R", "R", "R", "", "", "CsR"},
    {"scanner",             "RC", "R", "R", "R", "R", "R", "RCDLU", "CR"},
    {"artifact",            "CRDL", "CRDL", "CRL", "RL", "RL", "RL", "", "RCLD"},
    {"artifact-addition",   "R", "R", "R", "R", "R", "R", "", "R"},
    {"tag",                 "LCD", "LCD", "LC", "L", "L", "L", "", "CLD"},
    {"accessory",           "L", "L", "L", "L", "L", "L", "", "L"},
    {"artifact-label",      "CD", "CD", "CD", "", "", "", "", "CD"},
    {"preheat-policy",      "CRUDL", "", "", "", "", "", "", "RCDLU"},
    {"export-cve",          "CRL", "CRL", "CRL", "", "", "", "", "CR"},
    {"audit-log",           "", "", "", "", "", "", "L", ""},
    {"preheat-instance",    "", "", "", "", "", "", "RCDLU", ""},
    {"replication-policy",  "", "", "", "", "", "", "RCDLU", ""},
    {"replication",         "", "", "", "", "", "", "RCL", ""},
    {"replication-adapter", "", "", "", "", "", "", "L", ""},
    {"registry",            "", "", "", "", "", "", "RCDLU", ""},
    {"scan-all",            "", "", "", "", "", "", "RUsC", ""},
    {"system-volumes",      "", "", "", "", "", "", "R", ""},
    {"garbage-collection",  "", "", "", "", "", "", "CRLUs", ""},
    {"purge-audit",         "", "", "", "", "", "", "CRLUs", ""},
    {"jobservice-monitor",  "", "", "", "", "", "", "Ls", ""},
    {"security-hub",        "", "", "", "", "", "", "RL", ""},
    {"catalog",             "", "", "", "", "", "", "R", ""},
    {"user",                "", "", "", "", "", "", "CRULD", ""},
    {"ldap-user",           "", "", "", "", "", "", "CL", ""},
    {"user-group",          "", "", "", "", "", "", "CRULD", ""},
};
/* clang-format on */

static void matrix(void **state)
{
    (void)state;
    assert_int_equal(COUNT(rows), RES_COUNT - 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum resource res = rbac_resource(str_of(rows[i].resource));
        check(res != RES_NONE, "%s", rows[i].resource);
        for (int a = ACT_NONE + 1; a < ACT_COUNT; a++) {
            enum action act = (enum action)a;
            char ch = letters[a];
#define SAME(may, text)                                                                            \
    check((may) == (strchr(text, ch) != NULL), "%s %s: %s", rows[i].resource,                      \
          rbac_action_name(act), #text)
            SAME(rbac_role_may(ROLE_PROJECT_ADMIN, res, act), rows[i].admin);
            SAME(rbac_role_may(ROLE_MAINTAINER, res, act), rows[i].maintainer);
            SAME(rbac_role_may(ROLE_DEVELOPER, res, act), rows[i].developer);
            SAME(rbac_role_may(ROLE_GUEST, res, act), rows[i].guest);
            SAME(rbac_role_may(ROLE_LIMITED_GUEST, res, act), rows[i].limited);
            SAME(rbac_public_may(res, act), rows[i].in_public);
            SAME(rbac_robot_pair(true, res, act), rows[i].robot_system);
            SAME(rbac_robot_pair(false, res, act), rows[i].robot_project);
#undef SAME
            assert_false(rbac_role_may(ROLE_NONE, res, act));
            assert_false(rbac_role_may(ROLE_COUNT, res, act));
        }
        assert_false(rbac_role_may(ROLE_PROJECT_ADMIN, res, ACT_NONE));
        assert_false(rbac_robot_pair(true, res, ACT_COUNT));
    }
}

static void texts(void **state)
{
    (void)state;
    for (int i = RES_NONE + 1; i < RES_COUNT; i++)
        assert_int_equal(rbac_resource(str_of(rbac_resource_name((enum resource)i))), i);
    for (int i = ACT_NONE + 1; i < ACT_COUNT; i++)
        assert_int_equal(rbac_action(str_of(rbac_action_name((enum action)i))), i);
    assert_int_equal(rbac_resource(S("")), RES_NONE);
    assert_int_equal(rbac_resource(S("Project")), RES_NONE);
    assert_int_equal(rbac_action(S("*")), ACT_NONE);
    assert_string_equal(rbac_role_name(ROLE_MAINTAINER), "maintainer");
    assert_int_equal(ROLE_LIMITED_GUEST, 5);
}

static void origins(void **state)
{
    (void)state;
    for (int i = ORIGIN_USER; i <= ORIGIN_IMPORT; i++) {
        const struct origin_rule *r = origin_rule((enum origin)i);
        assert_int_equal(r->missing_blobs, i == ORIGIN_PROXY);
        assert_int_equal(r->leases, i != ORIGIN_PROXY);
        assert_int_equal(r->upstream_move, i == ORIGIN_PROXY);
        assert_int_equal(r->into_proxy_project, i == ORIGIN_PROXY || i == ORIGIN_IMPORT);
        assert_int_equal(r->skips_quota, i == ORIGIN_PROXY || i == ORIGIN_IMPORT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix),
        cmocka_unit_test(texts),
        cmocka_unit_test(origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
