/* The forecast: steady use, bursts, pauses, refills, and when it says nothing. */
#include "rule/forecast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 100000
#define WINDOW 21600

/* A sample a minute, the last one now. */
static struct forecast of(const int64_t *remaining, size_t n)
{
    struct quota_sample s[200];
    struct forecast f;
    for (size_t i = 0; i < n; i++)
        s[i] = (struct quota_sample){NOW - (int64_t)(n - 1 - i) * 60, remaining[i]};
    forecast_window(s, n, NOW, WINDOW, &f);
    return f;
}
#define OF(...) of((const int64_t[]){__VA_ARGS__}, COUNT(((const int64_t[]){__VA_ARGS__})))

static void few_observations_say_nothing(void **unused)
{
    (void)unused;
    struct forecast f = OF(100, 99, 98, 97);
    assert_int_equal(f.sure, FORECAST_NOT);
    assert_int_equal(f.observations, 4);
    assert_int_equal(f.empty_mid_s, 0);
    assert_int_equal(f.refill_s, NOW + WINDOW);
    assert_false(f.refill_seen);
    f = of(NULL, 0);
    assert_int_equal(f.sure, FORECAST_NOT);
}

static void steady_use(void **unused)
{
    (void)unused;
    int64_t left[40];
    for (size_t i = 0; i < COUNT(left); i++)
        left[i] = 100 - (int64_t)i;
    struct forecast f = of(left, COUNT(left));
    assert_int_equal(f.sure, FORECAST_HIGH);
    assert_int_equal((int64_t)(f.per_hour + 0.5), 60);
    assert_int_equal(f.empty_low_s, NOW + 61 * 60);
    assert_int_equal(f.empty_mid_s, f.empty_low_s);
    assert_int_equal(f.empty_high_s, f.empty_low_s);
}

static void one_burst_does_not_move_the_median(void **unused)
{
    (void)unused;
    struct forecast f = OF(100, 99, 98, 97, 96, 95, 60, 59, 58, 57, 56, 55);
    assert_int_equal(f.sure, FORECAST_MEDIUM);
    assert_true(f.per_hour < 360);
    assert_true(f.empty_low_s < f.empty_mid_s);
    assert_true(f.empty_mid_s <= f.empty_high_s);
}

static void a_pause_never_empties(void **unused)
{
    (void)unused;
    struct forecast f = OF(50, 50, 50, 50, 50, 50);
    assert_int_equal(f.sure, FORECAST_LOW);
    assert_int_equal(f.empty_low_s, 0);
    assert_int_equal(f.empty_mid_s, 0);
    f = OF(5, 4, 3, 2, 1, 0); /* empty is empty, now */
    assert_int_equal(f.empty_mid_s, NOW);
}

static void a_refill_is_no_negative_use(void **unused)
{
    (void)unused;
    struct forecast f = OF(4, 2, 0, 100, 98, 96, 94);
    assert_int_equal((int64_t)(f.per_hour + 0.5), 120);
    assert_true(f.refill_seen);
    assert_int_equal(f.refill_s, NOW - 3 * 60 + WINDOW);
    assert_int_equal(f.empty_mid_s, NOW + 47 * 60);
}

static void old_samples_do_not_count(void **unused)
{
    (void)unused;
    int64_t left[150];
    for (size_t i = 0; i < COUNT(left); i++)
        left[i] = i < 80 ? 1000 - (int64_t)i * 10 : 200;
    struct forecast f = of(left, COUNT(left));
    assert_int_equal(f.observations, 61);
    assert_int_equal(f.empty_mid_s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_observations_say_nothing),
        cmocka_unit_test(steady_use),
        cmocka_unit_test(one_burst_does_not_move_the_median),
        cmocka_unit_test(a_pause_never_empties),
        cmocka_unit_test(a_refill_is_no_negative_use),
        cmocka_unit_test(old_samples_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
