/*
 * The arithmetic of a rate. Whoever takes, takes all it has and waits afterwards, so many takers
 * of one bucket share the rate in the order in which they come, and none is ever refused.
 */
#include "rule/bucket.h"

#define DEBT_MAX_S 3600 /* a rate of a few bytes must not overflow */

int64_t bucket_take(struct bucket *b, int64_t rate, int64_t now_ms, int64_t n)
{
    int64_t burst = i64_max(1, rate / 4), gained;
    int64_t spent_ms = b->at_ms ? i64_max(0, now_ms - b->at_ms) : INT64_MAX;
    if (__builtin_mul_overflow(rate, spent_ms, &gained))
        gained = INT64_MAX;
    int64_t level;
    if (!add_i64(b->level, gained / 1000, &level))
        level = burst;
    level = i64_min(level, burst);
    /* less than a byte was gained: its time is not lost */
    if (!b->at_ms || gained >= 1000 || level == burst)
        b->at_ms = now_ms;
    if (!add_i64(level, -i64_max(0, n), &level))
        level = INT64_MIN / 2;
    b->level = level;
    if (level >= 0)
        return 0;
    int64_t debt = -level;
    return debt / rate >= DEBT_MAX_S ? DEBT_MAX_S * INT64_C(1000) : debt * 1000 / rate;
}
