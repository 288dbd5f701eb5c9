/*
 * Doubling buckets are coarse but cheap to keep (14 numbers) and never wrong by more than a factor
 * of two; the line within the bucket makes the usual error far smaller.
 */
#include "rule/latency.h"

#define FIRST_US 500

static int64_t bound_of(size_t bucket)
{
    return (int64_t)FIRST_US << bucket;
}

size_t latency_bucket(int64_t us)
{
    size_t i = 0;
    while (i < LATENCY_BUCKETS - 1 && us > bound_of(i))
        i++;
    return i;
}

int64_t latency_quantile(const int64_t counts[LATENCY_BUCKETS], double q)
{
    int64_t total = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        total += counts[i];
    if (total <= 0)
        return -1;
    double below = q * (double)total;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        int64_t from = i ? bound_of(i - 1) : 0;
        double n = (double)counts[i];
        if (n > 0 && below <= n)
            return i == LATENCY_BUCKETS - 1
                       ? from
                       : from + (int64_t)((double)(bound_of(i) - from) * below / n);
        below -= n;
    }
    return bound_of(LATENCY_BUCKETS - 2);
}

enum health health_of(int64_t asked, int64_t failed, int64_t limited, int64_t stale)
{
    if (asked <= 0)
        return stale > 0 ? HEALTH_BAD : HEALTH_QUIET;
    if (failed * 2 >= asked)
        return HEALTH_BAD;
    return failed > 0 || limited > 0 || stale > 0 ? HEALTH_TROUBLE : HEALTH_GOOD;
}

const char *health_text(enum health h)
{
    static const char *const text[] = {"quiet", "good", "trouble", "bad"};
    return text[h];
}
