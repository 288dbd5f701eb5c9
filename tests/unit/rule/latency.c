/* Histograms of times, and how an upstream fared. */
#include "rule/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_time_has_one_bucket(void **unused)
{
    (void)unused;
    static const struct {
        int64_t us;
        size_t bucket;
        const char *why;
    } cases[] = {
        {0, 0, "nothing at all"},
        {500, 0, "a bound belongs to what lies below it"},
        {501, 1, "and what is over it to the next"},
        {1000, 1, "1 ms"},
        {3100, 3, "2 to 4 ms"},
        {2048000, 12, "the last bound"},
        {2048001, 13, "longer"},
        {INT64_MAX, 13, "for ever"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(latency_bucket(cases[i].us), cases[i].bucket);
}

static void quantiles_are_read_off_a_line(void **unused)
{
    (void)unused;
    int64_t n[LATENCY_BUCKETS] = {0};
    assert_int_equal(latency_quantile(n, 0.5), -1);
    n[3] = 10; /* between 2 and 4 ms */
    assert_int_equal(latency_quantile(n, 0.5), 3000);
    n[3] = 0;
    n[0] = 99;
    n[8] = 1; /* 64 to 128 ms */
    assert_true(latency_quantile(n, 0.5) < 500);
    assert_true(latency_quantile(n, 0.999) > 64000);
    assert_true(latency_quantile(n, 1) <= 128000);
    n[0] = n[8] = 0;
    n[13] = 5; /* of what is longer than all bounds only the beginning is known */
    assert_int_equal(latency_quantile(n, 0.5), 2048000);
}

static void health_in_one_word(void **unused)
{
    (void)unused;
    assert_int_equal(health_of(0, 0, 0, 0), HEALTH_QUIET);
    assert_int_equal(health_of(0, 0, 0, 3), HEALTH_BAD); /* the breaker is open: nothing is asked */
    assert_int_equal(health_of(10, 0, 0, 0), HEALTH_GOOD);
    assert_int_equal(health_of(10, 1, 0, 0), HEALTH_TROUBLE);
    assert_int_equal(health_of(10, 0, 1, 0), HEALTH_TROUBLE);
    assert_int_equal(health_of(10, 5, 0, 0), HEALTH_BAD);
    assert_string_equal(health_text(HEALTH_QUIET), "quiet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_has_one_bucket),
        cmocka_unit_test(quantiles_are_read_off_a_line),
        cmocka_unit_test(health_in_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
