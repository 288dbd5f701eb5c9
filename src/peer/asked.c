/*
 * A short table under one mutex, emptied once a second. Endpoints beyond its end are counted under
 * 0, so that the sums stay right.
 */
#include "peer/asked.h"

#include "base/def.h"
#include "base/metric.h"

#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    struct asked rows[ASKED_MAX]; /* [0] is for endpoint 0 */
    size_t count;
} asked = {.lock = PTHREAD_MUTEX_INITIALIZER, .count = 1};

/* Under the lock. */
static struct asked *row_of(int64_t endpoint_id)
{
    for (size_t i = 0; i < asked.count; i++)
        if (asked.rows[i].endpoint_id == endpoint_id)
            return &asked.rows[i];
    if (asked.count == ASKED_MAX)
        return &asked.rows[0];
    asked.rows[asked.count] = (struct asked){.endpoint_id = endpoint_id};
    return &asked.rows[asked.count++];
}

void asked_note(int64_t endpoint_id, enum err e, int status, int64_t us, bool streamed)
{
    bool gone = e == E_UPSTREAM || e == E_DENIED; /* the outbound policy may refuse the address */
    bool broken = e == E_OK && status >= 500, limited = e == E_OK && status == 429;
    metric_add(M_upstream_requests, 1);
    metric_add(M_upstream_errors, gone || e == E_UPSTREAM_TIMEOUT || broken);
    metric_add(M_upstream_limited, limited);
    pthread_mutex_lock(&asked.lock);
    struct asked *row = row_of(endpoint_id);
    row->requests++;
    row->unreachable += gone;
    row->timeouts += e == E_UPSTREAM_TIMEOUT;
    row->broken += broken;
    row->limited += limited;
    if (e == E_OK && !streamed)
        row->took[latency_bucket(us)]++;
    pthread_mutex_unlock(&asked.lock);
}

void asked_bytes(int64_t endpoint_id, int64_t n)
{
    metric_add(M_upstream_bytes, n);
    pthread_mutex_lock(&asked.lock);
    row_of(endpoint_id)->bytes += n;
    pthread_mutex_unlock(&asked.lock);
}

size_t asked_take(struct asked *out, size_t cap)
{
    size_t n = 0;
    pthread_mutex_lock(&asked.lock);
    for (size_t i = 0; i < asked.count && n < cap; i++)
        if (asked.rows[i].requests || asked.rows[i].bytes)
            out[n++] = asked.rows[i];
    memset(asked.rows, 0, sizeof asked.rows);
    asked.count = 1;
    pthread_mutex_unlock(&asked.lock);
    return n;
}
