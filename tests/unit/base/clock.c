/* Times as text, both ways. */
#include "base/clock.h"

#include "check.h"

static const struct {
    const char *text;
    bool ok;
    int64_t us;
} rows[] = {
    {"1970-01-01T00:00:00Z", true, 0},
    {"2026-11-24T08:00:00Z", true, INT64_C(1795507200000000)},
    {"2026-11-24T08:00:00", true, INT64_C(1795507200000000)},
    {"2026-11-24 08:00:00", true, INT64_C(1795507200000000)},
    {"2026-11-24T08:00:00.123456789Z", true, INT64_C(1795507200123456)},
    {"2026-11-24T10:00:00+02:00", true, INT64_C(1795507200000000)},
    {"2026-11-24T03:30:00-04:30", true, INT64_C(1795507200000000)},
    {"2024-02-29T00:00:00Z", true, INT64_C(1709164800000000)},
    {"2000-02-29T00:00:00Z", true, INT64_C(951782400000000)},
    {"2023-02-29T00:00:00Z", false, 0},
    {"1900-02-29T00:00:00Z", false, 0},
    {"2026-04-31T00:00:00Z", false, 0},
    {"2026-13-01T00:00:00Z", false, 0},
    {"2026-00-01T00:00:00Z", false, 0},
    {"2026-01-01T24:00:00Z", false, 0},
    {"2026-01-01T00:60:00Z", false, 0},
    {"2026-01-01T00:00:00.Z", false, 0},
    {"2026-01-01T00:00:00+25:00", false, 0},
    {"2026-01-01T00:00:00+2:00", false, 0},
    {"2026-01-01T00:00:00z", false, 0},
    {"2026-01-01T00:00Z", false, 0},
    {"2026-01-01", false, 0},
    {"2026-1-1T00:00:00Z", false, 0},
    {"-026-01-01T00:00:00Z", false, 0},
    {"2026-01-01T00:00:00Z ", false, 0},
    {"", false, 0},
};

static void parsing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct timestamp t = {0};
        check(time_parse(str_of(rows[i].text), &t) == rows[i].ok, "'%s'", rows[i].text);
        check(t.us == rows[i].us, "'%s': %lld", rows[i].text, (long long)t.us);
    }
}

static void writing(void **state)
{
    (void)state;
    struct arena a = {0};
    struct timestamp t = {INT64_C(1795507200123456)}, back;
    check_str(time_text(&a, t), "2026-11-24T08:00:00.123Z");
    check_str(time_text(&a, (struct timestamp){0}), "0001-01-01T00:00:00.000Z");
    check_str(time_http(&a, t), "Tue, 24 Nov 2026 08:00:00 GMT");
    assert_true(time_parse_http(time_http(&a, t), &back));
    assert_int_equal(back.us, INT64_C(1795507200000000));
    static const char *const bad[] = {"",
                                      "Tue, 24 Nov 2026 08:00:00 UTC",
                                      "24 Nov 2026 08:00:00",
                                      "Tue, 24 Foo 2026 08:00:00 GMT",
                                      "Tue, 31 Feb 2026 08:00:00 GMT",
                                      "Tuesday, 24-Nov-26 08:00:00 GMT"};
    for (size_t i = 0; i < COUNT(bad); i++)
        check(!time_parse_http(str_of(bad[i]), &back), "'%s'", bad[i]);
    arena_release(&a);
}

static void running(void **state)
{
    (void)state;
    int64_t a = clock_mono_ms(), b = clock_mono_ms();
    assert_true(b >= a);
    assert_true(clock_now().us > INT64_C(1700000000) * SECOND_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing),
        cmocka_unit_test(writing),
        cmocka_unit_test(running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
