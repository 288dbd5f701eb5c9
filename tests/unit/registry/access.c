/* The access function: who, where, what, may they. */
#include "registry/access.h"

#include "check.h"

static const char own[] = "[{\"kind\":\"project\",\"namespace\":\"p\",\"access\":[{\"resource\":"
                          "\"repository\",\"action\":\"pull\"}]}]";
static const char everywhere[] = "[{\"kind\":\"project\",\"namespace\":\"*\",\"access\":[{"
                                 "\"resource\":\"repository\",\"action\":\"pull\"}]}]";
static const char system_catalog[] = "[{\"kind\":\"system\",\"namespace\":\"/\",\"access\":[{"
                                     "\"resource\":\"catalog\",\"action\":\"read\"}]}]";
static const char all_pairs[] = "[{\"kind\":\"project\",\"namespace\":\"p\",\"access\":[{"
                                "\"resource\":\"*\",\"action\":\"*\"}]}]";

#define ANON                                                                                       \
    {                                                                                              \
        .kind = PRINCIPAL_ANONYMOUS                                                                \
    }
#define USER                                                                                       \
    {                                                                                              \
        .kind = PRINCIPAL_USER, .id = 7                                                            \
    }
#define ADMIN                                                                                      \
    {                                                                                              \
        .kind = PRINCIPAL_USER, .id = 1, .sysadmin = true                                          \
    }
#define GONE                                                                                       \
    {                                                                                              \
        .kind = PRINCIPAL_USER, .id = 1, .sysadmin = true, .disabled = true                        \
    }
#define ROBOT(project, json)                                                                       \
    {                                                                                              \
        .kind = PRINCIPAL_ROBOT, .id = 9, .project_id = (project), .permissions = {                \
            {(json), sizeof(json) - 1}                                                             \
        }                                                                                          \
    }

static const struct {
    const char *why;
    struct principal who;
    bool in_project, is_public;
    int64_t role;
    enum resource res;
    enum action act;
    bool may;
} cases[] = {
    {"nobody, private", ANON, true, false, 0, RES_REPOSITORY, ACT_PULL, false},
    {"nobody, public", ANON, true, true, 0, RES_REPOSITORY, ACT_PULL, true},
    {"nobody pushes nowhere", ANON, true, true, 0, RES_REPOSITORY, ACT_PUSH, false},
    {"a stranger", USER, true, false, 0, RES_REPOSITORY, ACT_PULL, false},
    {"a guest pulls", USER, true, false, ROLE_GUEST, RES_REPOSITORY, ACT_PULL, true},
    {"a guest does not push", USER, true, false, ROLE_GUEST, RES_REPOSITORY, ACT_PUSH, false},
    {"a developer pushes", USER, true, false, ROLE_DEVELOPER, RES_REPOSITORY, ACT_PUSH, true},
    {"a role counts in its project alone", USER, false, false, ROLE_PROJECT_ADMIN, RES_USER,
     ACT_LIST, false},
    {"an admin, anywhere", ADMIN, true, false, 0, RES_REPOSITORY, ACT_DELETE, true},
    {"an admin, the system", ADMIN, false, false, 0, RES_CATALOG, ACT_READ, true},
    {"an admin who is disabled", GONE, true, true, 0, RES_REPOSITORY, ACT_PULL, false},
    {"no resource", ADMIN, true, true, 0, RES_NONE, ACT_PULL, false},
    {"a project's robot at home", ROBOT(5, own), true, false, 0, RES_REPOSITORY, ACT_PULL, true},
    {"a project's robot, more than it has", ROBOT(5, own), true, false, 0, RES_REPOSITORY, ACT_PUSH,
     false},
    {"a project's robot elsewhere, whatever its text says", ROBOT(6, own), true, false, 0,
     RES_REPOSITORY, ACT_PULL, false},
    {"a project's robot with a star is no system robot", ROBOT(6, everywhere), true, false, 0,
     RES_REPOSITORY, ACT_PULL, false},
    {"a system robot by name", ROBOT(0, own), true, false, 0, RES_REPOSITORY, ACT_PULL, true},
    {"a system robot by star", ROBOT(0, everywhere), true, false, 0, RES_REPOSITORY, ACT_PULL,
     true},
    {"a robot in a public project", ROBOT(6, own), true, true, 0, RES_REPOSITORY, ACT_PULL, true},
    {"a system permission", ROBOT(0, system_catalog), false, false, 0, RES_CATALOG, ACT_READ, true},
    {"a system permission in a project", ROBOT(0, system_catalog), true, false, 0, RES_REPOSITORY,
     ACT_PULL, false},
    {"a project permission on the system", ROBOT(0, everywhere), false, false, 0, RES_CATALOG,
     ACT_READ, false},
    {"all pairs, of those that robots may have", ROBOT(5, all_pairs), true, false, 0,
     RES_REPOSITORY, ACT_PUSH, true},
    {"all pairs, and one that robots may not have", ROBOT(5, all_pairs), true, false, 0,
     RES_CONFIGURATION, ACT_UPDATE, false},
    {"broken permissions", ROBOT(5, "[{"), true, false, 0, RES_REPOSITORY, ACT_PULL, false},
    {"no permissions",
     {.kind = PRINCIPAL_ROBOT, .project_id = 5},
     true,
     false,
     0,
     RES_REPOSITORY,
     ACT_PULL,
     false},
};

static void decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t role = cases[i].role;
        struct project_access project = {.roles = {&role, role ? 1 : 0}};
        project.project.project_id = 5;
        project.project.name = S("p");
        project.project.is_public = cases[i].is_public;
        print_message("%s\n", cases[i].why);
        assert_int_equal(access_may(&cases[i].who, cases[i].in_project ? &project : NULL,
                                    cases[i].res, cases[i].act),
                         cases[i].may);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
