/* Time: wall clock as microseconds UTC in its own type, and a monotonic clock for timeouts. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#include <pthread.h>
#include <time.h>

struct timestamp { /* microseconds since 1970, UTC; 0 = never */
    int64_t us;
};

#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)

struct timestamp clock_now(void);
int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
/* A condition whose timed waits go by the monotonic clock, and the moment ms from now for one. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(int64_t ms);
/* "2026-11-24T08:00:00.000Z" (RFC 3339); never gives Harbor's "0001-01-01T00:00:00.000Z". */
struct str time_text(struct arena *a, struct timestamp t);
/* "Tue, 24 Nov 2026 08:00:00 GMT" (RFC 9110, section 5.6.7). */
struct str time_http(struct arena *a, struct timestamp t);
/* RFC 3339, or "2006-01-02T15:04:05", or the same with a blank: UTC. */
bool time_parse(struct str s, struct timestamp *out);
bool time_parse_http(struct str s, struct timestamp *out);

#endif
