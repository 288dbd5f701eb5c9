/*
 * What was asked of each upstream, and how it answered: counted where every request passes, handed
 * out by registry/figures.h. One table per process, like the metrics.
 */
#ifndef PEER_ASKED_H
#define PEER_ASKED_H

#include "base/err.h"
#include "rule/latency.h"

#define ASKED_MAX ((size_t)128)

struct asked {
    int64_t endpoint_id; /* 0 = not stored (yet): a check before it is saved */
    int64_t requests, bytes;
    int64_t unreachable;           /* no connection, no TLS, no whole answer */
    int64_t timeouts;              /* no answer in time */
    int64_t broken;                /* 5xx */
    int64_t limited;               /* 429 */
    int64_t took[LATENCY_BUCKETS]; /* of answers that came; bodies that are streamed left out */
};

/* A request's end; e and status as net/client.h gives them, both also counted in the metrics.
   streamed: its time is that of a body and says nothing of the answer. */
void asked_note(int64_t endpoint_id, enum err e, int status, int64_t us, bool streamed);
void asked_bytes(int64_t endpoint_id, int64_t n); /* body bytes that came */
/* Gives what was counted since the last time and begins again; at most cap, how many. */
size_t asked_take(struct asked *out, size_t cap);

#endif
