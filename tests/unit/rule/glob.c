/* Globs: doublestar's own cases, ours, and patterns that make backtracking matchers explode. */
#include "rule/glob.h"

#include "base/clock.h"
#include "check.h"

static const struct {
    const char *pattern, *text;
    bool want;
} rows[] = {
    {"", "anything/at all", true},
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"*", "abc", true},
    {"*", "", true},
    {"*", "a/b", false},
    {"*c", "abc", true},
    {"a*", "a", true},
    {"a*", "ab/c", false},
    {"a*/b", "abc/b", true},
    {"a*/b", "a/c/b", false},
    {"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
    {"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false},
    {"a*b?c*x", "abxbbxdbxebxczzx", true},
    {"a*b?c*x", "abxbbxdbxebxczzy", false},
    {"ab[c]", "abc", true},
    {"ab[b-d]", "abc", true},
    {"ab[e-g]", "abc", false},
    {"ab[^c]", "abc", false},
    {"ab[!c]", "abc", false},
    {"ab[^e-g]", "abc", true},
    {"a[^x]b", "a/b", false},
    {"a\\*b", "ab", false},
    {"a\\*b", "a*b", true},
    {"a?b",
     "a\xE2\x98\xBA"
     "b",
     true},
    {"a???b",
     "a\xE2\x98\xBA"
     "b",
     false},
    {"[a-\xCE\xB6]*", "\xCE\xB1", true},
    {"a?b", "a/b", false},
    {"[\\]a]", "]", true},
    {"[x\\-]", "-", true},
    {"[\\-x]", "a", false},
    {"*x", "xxx", true},
    {"a/**", "a", false},
    {"a/**", "a/b", true},
    {"a/**", "a/b/c", true},
    {"**/c", "c", true},
    {"**/c", "a/b/c", true},
    {"**/c", "a/b", false},
    {"**/c", "abcd", false},
    {"**/c", "a/abc", false},
    {"a/**/b", "a/b", true},
    {"a/**/d", "a/b/c/d", true},
    {"a/\\**", "a/b/c", false},
    {"a/\\**", "a/*c", true},
    {"ab{c,d}", "abc", true},
    {"ab{c,d}", "abe", false},
    {"ab{c,d,*}", "abcde", true},
    {"abc**", "abc", true},
    {"abc**", "abc/d", false},
    {"**abc", "abc", true},
    {"**", "library/nginx", true},
    {"**", "", true},
    {"library/**", "library/a/b", true},
    {"library/*", "library/a/b", false},
    {"{library,team-*}/**", "team-x/a", true},
    {"{library,team-*}/**", "other/a", false},
    {"{a,b{c,d{e,f}}}x", "bdfx", true},
    {"{a,b{c,d{e,f}}}x", "bdx", false},
    {"{,a}b", "b", true},
    {"{,a}b", "ab", true},
    {"{**,x}/y", "a/b/y", true},
    {"{a}", "a", true},
    {"{}", "", true},
    {"{a,b}{c,d}", "bd", true},
    {"v[0-9]*.[0-9]*", "v10.22", true},
    {"a,b", "a,b", true},
    {"a}", "a}", true},
    {"\\{a,b\\}", "{a,b}", true},
    {"release-*", "release-1.0", true},
    {"{release-*,main}", "main", true},
};

static void matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *why = glob_check(str_of(rows[i].pattern));
        check(!why, "'%s': %s", rows[i].pattern, why);
        check(glob_match(str_of(rows[i].pattern), str_of(rows[i].text)) == rows[i].want,
              "'%s' on '%s'", rows[i].pattern, rows[i].text);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]a]", "[-]", "[x-]", "[-x]", "\\",  "[a-b-c]", "[",    "[^",       "[^bc",
        "a[",   "{",   "{a",   "{a,",  "a{b", "[b-a]",   "{a,[", "ab{c,d}[", "{{{{{{{{{a}}}}}}}}}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        check(glob_check(str_of(bad[i])), "'%s' passed", bad[i]);
        check(!glob_match(str_of(bad[i]), S("a")), "'%s' matched", bad[i]);
    }
    struct arena mem = {0};
    assert_null(glob_check(repeated(&mem, "a", GLOB_PATTERN_MAX)));
    assert_non_null(glob_check(repeated(&mem, "a", GLOB_PATTERN_MAX + 1)));
    arena_release(&mem);
}

/* Each pattern against a long text that it nearly matches. */
static void hostile(void **state)
{
    (void)state;
    struct arena mem = {0};
    const struct str patterns[] = {
        repeated(&mem, "**/", 341),
        repeated(&mem, "*a", 512),
        repeated(&mem, "{a,", 341),
        repeated(&mem, "{a,aa}", 170),
        repeated(&mem, "{*,a}", 204),
        repeated(&mem, "[a-z]", 204),
        repeated(&mem, "{,,,,,,}", 128),
        repeated(&mem, "{**/,*}", 146),
        str_fmt(&mem, "[%.*s]", STR(repeated(&mem, "a-z", 340))),
        str_fmt(&mem, "%.*sb", STR(repeated(&mem, "a*", 500))),
    };
    struct str text = repeated(&mem, "aaaaaaa/", 32);
    for (size_t i = 0; i < COUNT(patterns); i++) {
        int64_t start = clock_mono_ms();
        for (int k = 0; k < 4; k++)
            glob_match(patterns[i], text);
        int64_t took = clock_mono_ms() - start;
        check(took < 400, "pattern %zu took %lld ms", i, (long long)took / 4);
    }
    arena_release(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(refused),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
