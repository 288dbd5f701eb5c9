/* Held-back tags: the decision, and the words of its settings. */
#include "rule/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR INT64_C(3600000000)

static const struct row {
    const char *why;
    struct hold_question q;
    enum hold_verdict want;
} rows[] = {
    {"no rule", {.known = true}, HOLD_NONE},
    {"just seen", {.hold_us = HOUR, .known = true, .seen_us = 5, .now_us = 5}, HOLD_WAIT},
    {"a moment too young", {.hold_us = HOUR, .known = true, .now_us = HOUR - 1}, HOLD_WAIT},
    {"exactly old enough", {.hold_us = HOUR, .known = true, .now_us = HOUR}, HOLD_RELEASED},
    {"our clock went back", {.hold_us = HOUR, .known = true, .seen_us = 9, .now_us = 1}, HOLD_WAIT},
    {"an exception", {.hold_us = HOUR, .known = true, .excepted = true}, HOLD_EXCEPTED},
    {"a new tag passes", {.hold_us = HOUR}, HOLD_NEW},
    {"a new tag waits", {.hold_us = HOUR, .new_waits = true}, HOLD_WAIT},
    {"and is released", {.hold_us = HOUR, .new_waits = true, .now_us = HOUR}, HOLD_RELEASED},
    {"a new exception", {.hold_us = HOUR, .new_waits = true, .excepted = true}, HOLD_EXCEPTED},
};

static void the_table_holds(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (hold_decide(&rows[i].q) != rows[i].want)
            fail_msg("%s: %s", rows[i].why, hold_text(hold_decide(&rows[i].q)));
    assert_false(hold_passes(HOLD_WAIT));
    assert_true(hold_passes(HOLD_NONE) && hold_passes(HOLD_RELEASED) && hold_passes(HOLD_NEW));
}

static void hours_are_read(void **unused)
{
    static const struct {
        const char *text;
        int64_t us; /* -1 = refused */
    } cases[] = {
        {"0", 0},
        {"24", 24 * HOUR},
        {"0.5", HOUR / 2},
        {"1.25", HOUR + HOUR / 4},
        {"0.000001", 3600},
        {"2160", 2160 * HOUR},
        {"2160.0", 2160 * HOUR},
        {"2160.1", -1},
        {"", -1},
        {".5", -1},
        {"-1", -1},
        {"1e3", -1},
        {"1.", HOUR},
        {"0.0000001", -1},
        {"1,5", -1},
        {"99999999999999999999", -1},
    };
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us = -1;
        bool good = hold_hours(str_of(cases[i].text), &us);
        if (good != (cases[i].us >= 0) || (good && us != cases[i].us))
            fail_msg("%s: %lld", cases[i].text, (long long)us);
    }
}

static void exceptions_are_patterns(void **unused)
{
    static const struct {
        const char *patterns, *repository, *tag;
        bool want;
    } cases[] = {
        {"", "a", "1", false},
        {"library/*", "library/nginx", "1", true},
        {"library/*", "library/a/b", "1", false},
        {"library/**", "library/a/b", "1", true},
        {"x  library/nginx:1.* ", "library/nginx", "1.27", true},
        {"library/nginx:1.*", "library/nginx", "2", false},
        {"library/nginx:{1,2}.*", "library/nginx", "2.0", true},
        {"a:[", "a", "1", false},
    };
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (hold_excepted(str_of(cases[i].patterns), str_of(cases[i].repository),
                          str_of(cases[i].tag)) != cases[i].want)
            fail_msg("%s on %s:%s", cases[i].patterns, cases[i].repository, cases[i].tag);
    assert_true(hold_patterns_good(S("a/** b:1.*")));
    assert_false(hold_patterns_good(S("a b:[")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_holds),
        cmocka_unit_test(hours_are_read),
        cmocka_unit_test(exceptions_are_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
