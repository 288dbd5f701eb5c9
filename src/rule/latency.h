/*
 * Times to an answer as a coarse histogram: bucket i counts what took at most 500 us * 2^i and more
 * than the bucket before it, the last one everything longer. Sums of histograms are histograms, so
 * minutes add up to hours and projects to a whole. And how an upstream fared in a stretch of time.
 * Pure.
 */
#ifndef RULE_LATENCY_H
#define RULE_LATENCY_H

#include "base/str.h"

#define LATENCY_BUCKETS 14 /* up to 0.5 ms, 1 ms, ... 2.048 s, 4.096 s, longer */

size_t latency_bucket(int64_t us);
/* The time that a share q (0 to 1) of all stayed below, in us: read off a straight line within its
   bucket. Of the open last bucket only its beginning is known. -1 when nothing was counted. */
int64_t latency_quantile(const int64_t counts[LATENCY_BUCKETS], double q);

enum health {
    HEALTH_QUIET,   /* nothing was asked of it */
    HEALTH_GOOD,    /* everything was answered */
    HEALTH_TROUBLE, /* some of it failed or was refused with 429 */
    HEALTH_BAD,     /* half of it or more failed */
};
/* stale: pulls that the cache served because the upstream could not answer. */
enum health health_of(int64_t asked, int64_t failed, int64_t limited, int64_t stale);
const char *health_text(enum health h);

#endif
