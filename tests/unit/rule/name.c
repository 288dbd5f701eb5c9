/* Names: what the matchers take and what they leave. */
#include "rule/name.h"

#include "check.h"

static const struct {
    bool (*is)(struct str);
    const char *text;
    bool want;
} rows[] = {
    {name_is_project, "library", true},
    {name_is_project, "a", true},
    {name_is_project, "0", true},
    {name_is_project, "my-project.v2_x", true},
    {name_is_project, "", false},
    {name_is_project, "Library", false},
    {name_is_project, "-a", false},
    {name_is_project, "a-", false},
    {name_is_project, "a..b", false},
    {name_is_project, "a__b", false},
    {name_is_project, "a--b", false},
    {name_is_project, "a/b", false},
    {name_is_project, "a b", false},
    {name_is_project, "\xC3\xA4", false},
    {name_is_robot, "ci", true},
    {name_is_robot, "ci-1.x", true},
    {name_is_robot, "a+b", false},
    {name_is_robot, "CI", false},
    {name_is_repository, "a", true},
    {name_is_repository, "a/b/c", true},
    {name_is_repository, "a__b", true},
    {name_is_repository, "a---b", true},
    {name_is_repository, "a.b-c_d", true},
    {name_is_repository, "a___b", false},
    {name_is_repository, "a..b", false},
    {name_is_repository, "a._b", false},
    {name_is_repository, "a-_b", false},
    {name_is_repository, "/a", false},
    {name_is_repository, "a/", false},
    {name_is_repository, "a//b", false},
    {name_is_repository, "a/../b", false},
    {name_is_repository, "a/B", false},
    {name_is_repository, "a/-b", false},
    {name_is_repository, "a/b_", false},
    {name_is_repository, "", false},
    {name_is_repository, "/", false},
    {name_is_repository, "a\n", false},
    {name_is_tag, "latest", true},
    {name_is_tag, "_x", true},
    {name_is_tag, "V1.0-rc.1_2", true},
    {name_is_tag, "", false},
    {name_is_tag, ".x", false},
    {name_is_tag, "-x", false},
    {name_is_tag, "a:b", false},
    {name_is_tag, "a/b", false},
    {name_is_tag, "a+b", false},
    {name_is_user, "alice", true},
    {name_is_user, "Alice B. O'Neil", true},
    {name_is_user, "a@b.example", true},
    {name_is_user, "", false},
    {name_is_user, " a", false},
    {name_is_user, "a ", false},
    {name_is_user, "a,b", false},
    {name_is_user, "a\"b", false},
    {name_is_user, "~a", false},
    {name_is_user, "a#1", false},
    {name_is_user, "50%", false},
    {name_is_user, "robot$ci", false},
    {name_is_user, "a:b", false},
    {name_is_user, "a\tb", false},
    {name_is_user, "\xC3\xA4", false},
    {name_is_email, "a@b.example", true},
    {name_is_email, "a.b+c@sub.d-e.example", true},
    {name_is_email, "a", false},
    {name_is_email, "@b.example", false},
    {name_is_email, "a@", false},
    {name_is_email, "a@b", false},
    {name_is_email, "a@b..c", false},
    {name_is_email, "a@.b", false},
    {name_is_email, "a@b.", false},
    {name_is_email, "a@-b.c", false},
    {name_is_email, "a b@c.d", false},
    {name_is_email, ".a@c.d", false},
    {name_is_email, "a..b@c.d", false},
    {name_is_email, "a@b@c.d", false},
    {name_is_email, "a@c.d\r\nx", false},
};

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check(rows[i].is(str_of(rows[i].text)) == rows[i].want, "row %zu: '%s'", i, rows[i].text);
}

static void lengths(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    assert_true(name_is_project(repeated(&c.mem, "a", 255)));
    assert_false(name_is_project(repeated(&c.mem, "a", 256)));
    assert_true(name_is_repository(repeated(&c.mem, "a", 255)));
    assert_false(name_is_repository(repeated(&c.mem, "a", 256)));
    assert_false(name_is_repository(repeated(&c.mem, "a/", 1 << 20)));
    assert_true(name_is_tag(repeated(&c.mem, "a", 128)));
    assert_false(name_is_tag(repeated(&c.mem, "a", 129)));
    assert_false(name_is_user(repeated(&c.mem, "a", 256)));
    assert_false(name_is_tag((struct str){"a\0b", 3}));
    assert_false(name_is_repository((struct str){"a\0b", 3}));
}

static void splitting(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str project, path;
    assert_int_equal(name_split(&c, S("a/b/c"), &project, &path), E_OK);
    check_str(project, "a");
    check_str(path, "b/c");
    static const char *const bad[] = {"", "a", "a/", "/b", "A/b", "a/B", "a//b", "a__b/c", "a/b/"};
    for (size_t i = 0; i < COUNT(bad); i++)
        check(name_split(&c, str_of(bad[i]), &project, &path) == E_NAME_INVALID, "'%s'", bad[i]);
    struct str longest = str_fmt(&c.mem, "a/%.*s", STR(repeated(&c.mem, "b", 253)));
    assert_int_equal(name_split(&c, longest, &project, &path), E_OK);
    struct str longer = str_fmt(&c.mem, "a/%.*s", STR(repeated(&c.mem, "b", 254)));
    assert_int_equal(name_split(&c, longer, &project, &path), E_NAME_INVALID);
}

static void passwords(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    static const struct {
        const char *text;
        enum err want;
    } tried[] = {
        {"Passw0rd", E_OK},          {"Passw0r", E_BAD_REQUEST}, /* 7 characters */
        {"passw0rd", E_BAD_REQUEST}, {"PASSW0RD", E_BAD_REQUEST},  {"Password", E_BAD_REQUEST},
        {"", E_BAD_REQUEST},         {"Pass w0rd \xC3\xA4", E_OK},
    };
    for (size_t i = 0; i < COUNT(tried); i++)
        check(password_acceptable(&c, str_of(tried[i].text)) == tried[i].want, "'%s'",
              tried[i].text);
    assert_int_equal(password_acceptable(&c, repeated(&c.mem, "Aa1a", 64)), E_OK);
    assert_int_equal(password_acceptable(&c, repeated(&c.mem, "Aa1a", 65)), E_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(lengths),
        cmocka_unit_test(splitting),
        cmocka_unit_test(passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
