/* The filter's regular expressions: what they match, what is refused, and that none takes long. */
#include "rule/regex.h"

#include "check.h"

#include <string.h>
#include <time.h>

static const struct {
    const char *pattern, *text;
    bool want;
} match_rows[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "a", true},
    {"a", "ab", false}, /* both ends are anchored */
    {"b", "ab", false},
    {"^a$", "a", true},
    {"library/.*", "library/nginx", true},
    {"library/.*", "team/library/nginx", false},
    {"library/(nginx|redis)", "library/redis", true},
    {"library/(nginx|redis)", "library/redish", false},
    {"library/(?:nginx|redis|a|b)", "library/b", true},
    {"a|b|c", "c", true},
    {"a|b|c", "b", true},
    {"a|b|c", "d", false},
    {"(a|b)*c", "ababc", true},
    {"(a|b)*c", "abac!", false},
    {"(a|)b", "b", true},
    {"(|a)+", "aaa", true},
    {"(a*)*", "aaaa", true},
    {"(a*)+b?", "", true},
    {"a+", "", false},
    {"a+", "aaa", true},
    {"a+?b*?", "aab", true},
    {"a?", "", true},
    {"[a-c]+", "abcabc", true},
    {"[a-c]+", "abcd", false},
    {"[^/]+/[^/]+", "team/app", true},
    {"[^/]+/[^/]+", "a/b/c", false},
    {"[]a]+", "]a", true},
    {"[a-]+", "a-", true},
    {"[\\d.]+", "1.27", true},
    {"[\\]x]", "]", true},
    {"\\w+-\\d\\d", "app_x-42", true},
    {"\\w+-\\d\\d", "app-4", false},
    {"\\D\\W\\S\\s", "a-b ", true},
    {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},
    {"a.b", "axb", true},
    {"(^a|b$)", "b", true},
    {"a^b", "ab", false},
    {"a$b", "ab", false},
    {"team/(a(b(c|d)?)*)+", "team/abcabdab", true},
    {"team/(a(b(c|d)?)*)", "team/abcabdab", false},
    {"x(ab|cd)+y", "xabcdaby", true},
    {"x(ab|cd)+y", "xaby", true},
    {"x(ab|cd)+y", "xacy", false},
    {"([a-z]+/)?[a-z]+", "nginx", true},
    {"([a-z]+/)?[a-z]+", "library/nginx", true},
};

static void matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(match_rows); i++) {
        const char *wrong = regex_check(str_of(match_rows[i].pattern));
        check(!wrong, "%s: %s", match_rows[i].pattern, wrong);
        check(regex_match(str_of(match_rows[i].pattern), str_of(match_rows[i].text)) ==
                  match_rows[i].want,
              "%s on %s", match_rows[i].pattern, match_rows[i].text);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "a{2}", "a{1,1000}", "{",   "(a){9}", "(",     "(a",    "a)",          "*",
        "a|*",  "a**",       "a+*", "[",      "[a",    "[b-a]", "[[:alpha:]]", "\\",
        "\\1",  "(a)\\1",    "\\b", "\\pL",   "(?i)a", "(?=a)", "(?P<n>a)",    "[\\q]",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(regex_check(str_of(rows[i])) != NULL, "%s", rows[i]);
        check(!regex_match(str_of(rows[i]), str_of(rows[i])), "%s", rows[i]);
    }
    char deep[2 * REGEX_NESTING_MAX + 4], longest[REGEX_PATTERN_MAX + 1];
    memset(deep, '(', sizeof deep);
    assert_non_null(regex_check((struct str){deep, sizeof deep}));
    memset(longest, 'a', sizeof longest);
    assert_null(regex_check((struct str){longest, REGEX_PATTERN_MAX}));
    assert_non_null(regex_check((struct str){longest, sizeof longest}));
}

/* Patterns that make backtracking take for ever, at full length. */
static void linear(void **state)
{
    (void)state;
    static const char *const parts[] = {"(a*)*", "(a|a)*", "(a?)", "a?", "(a+)+",
                                        ".*",    "[a-z]*", "|a",   "a|"};
    char pattern[REGEX_PATTERN_MAX], text[255];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '!';
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct str part = str_of(parts[i]);
        size_t n = 0;
        for (; n + part.n <= sizeof pattern; n += part.n)
            memcpy(pattern + n, part.p, part.n);
        clock_t begun = clock();
        struct str p = {pattern, n};
        check(!regex_check(p), "%s: %s", parts[i], regex_check(p));
        (void)regex_match(p, (struct str){text, sizeof text});
        check((double)(clock() - begun) / CLOCKS_PER_SEC < 2, "%s takes long", parts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(refused),
        cmocka_unit_test(linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
