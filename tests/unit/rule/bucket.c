/* The rate of a bucket: what is free, what must be waited for, and numbers that do not fit. */
#include "rule/bucket.h"

#include "check.h"

static void steps(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int64_t rate, now, n, wait;
        bool fresh;
    } rows[] = {
        {"the burst", 1000, 5, 250, 0, true},
        {"then each byte costs", 1000, 5, 100, 100, false},
        {"a second taker waits behind the first", 1000, 5, 100, 200, false},
        {"time pays", 1000, 155, 0, 50, false},
        {"all of it", 1000, 205, 0, 0, false},
        {"a long pause is worth the burst", 1000, 100000, 300, 50, false},
        {"a clock set back pays nothing", 1000, 50000, 0, 50, false},
        {"a slow rate", 1, 1, 1, 0, true},
        {"half a second is not lost", 1, 501, 1, 1000, false},
        {"nor the other half", 1, 1001, 0, 0, false},
        {"a rate of a byte and a large piece", 1, 1, INT64_MAX, 3600000, true},
        {"a rate without end", INT64_MAX, 1, 1 << 20, 0, true},
    };
    struct bucket b = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].fresh)
            b = (struct bucket){0};
        int64_t wait = bucket_take(&b, rows[i].rate, rows[i].now, rows[i].n);
        check(wait == rows[i].wait, "%s: %lld", rows[i].why, (long long)wait);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
