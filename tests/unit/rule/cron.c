/* Schedules: what is read, what is refused, and when the next moment is. */
#include "rule/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *schedule, *after, *next; /* next NULL = never */
} moments[] = {
    {"0 0 * * * *", "2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"}, /* after, not at */
    {"0 0 * * * *", "2026-11-24T08:59:59.999Z", "2026-11-24T09:00:00Z"},
    {"0 0 3 * * *", "2026-11-24T08:00:00Z", "2026-11-25T03:00:00Z"},
    {"0 0 3 * * ?", "2026-12-31T03:00:00Z", "2027-01-01T03:00:00Z"},
    {"0 */15 * * * *", "2026-11-24T08:14:00Z", "2026-11-24T08:15:00Z"},
    {"0 5/20 * * * *", "2026-11-24T08:45:00Z", "2026-11-24T09:05:00Z"},
    {"0 30 2 29 2 *", "2026-11-24T08:00:00Z", "2028-02-29T02:30:00Z"},
    {"0 0 0 31 * *", "2026-11-24T08:00:00Z", "2026-12-31T00:00:00Z"},
    {"0 0 0 31 4 *", "2026-11-24T08:00:00Z", NULL},
    {"0 0 6 * * MON-FRI", "2026-11-27T06:00:00Z", "2026-11-30T06:00:00Z"}, /* over a weekend */
    {"0 0 6 * * 7", "2026-11-24T08:00:00Z", "2026-11-29T06:00:00Z"},
    {"0 0 6 * * sun", "2026-11-24T08:00:00Z", "2026-11-29T06:00:00Z"},
    {"0 0 0 1 * MON", "2026-11-24T08:00:00Z", "2026-11-30T00:00:00Z"}, /* either of them */
    {"0 0 0 1 jan,JUL *", "2026-11-24T08:00:00Z", "2027-01-01T00:00:00Z"},
    {"0 10-20/5 4,6 * * *", "2026-11-24T04:20:00Z", "2026-11-24T06:10:00Z"},
    {"  0  0  0  *  *  *  ", "2026-02-28T12:00:00Z", "2026-03-01T00:00:00Z"},
};

static void the_next_moment(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(moments); i++) {
        struct cron c;
        struct timestamp after, want = {0};
        const char *wrong = cron_parse(str_of(moments[i].schedule), &c);
        if (wrong)
            fail_msg("%s: %s", moments[i].schedule, wrong);
        assert_true(time_parse(str_of(moments[i].after), &after));
        assert_true(!moments[i].next || time_parse(str_of(moments[i].next), &want));
        struct timestamp got = cron_next(&c, after);
        if (got.us != want.us)
            fail_msg("%s after %s: %lld, not %lld", moments[i].schedule, moments[i].after,
                     (long long)got.us, (long long)want.us);
    }
}

static void what_is_refused(void **unused)
{
    static const char *const bad[] = {
        "",
        "0 0 * * *",
        "0 0 * * * * *",
        "1 0 * * * *",
        "* 0 * * * *",
        "0 60 * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 32 * *",
        "0 0 0 1 13 *",
        "0 0 0 1 0 *",
        "0 0 0 * * 8",
        "0 0 0 * * XYZ",
        "0 5-1 * * * *",
        "0 1- * * * *",
        "0 -1 * * * *",
        "0 */0 * * * *",
        "0 */ * * * *",
        "0 1,,2 * * * *",
        "0 1, * * * *",
        "0 ,1 * * * *",
        "0 001 * * * *",
        "0 1/100 * * * *",
        "@daily",
        "0 0 0 L * *",
        "0\t0 * * * *",
        "0,30 0 * * * *",
    };
    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cron c;
        if (!cron_parse(str_of(bad[i]), &c))
            fail_msg("\"%s\" is taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_moment),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
