/*
 * Counters and gauges in one list, written in the Prometheus text format 0.0.4. Values with labels
 * come from collectors that their owners register.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"

#define METRIC_LIST(X)                                                                             \
    X(http_requests, counter, "HTTP requests answered")                                            \
    X(http_in_flight, gauge, "HTTP requests being answered")                                       \
    X(http_connections, gauge, "open client connections")                                          \
    X(http_refused, counter, "requests refused with 503 because of load")                          \
    X(http_bytes_in, counter, "body bytes received")                                               \
    X(http_bytes_out, counter, "body bytes sent")                                                  \
    X(login_failures, counter, "failed logins")                                                    \
    X(proxy_requests, counter, "pulls through proxy projects")                                     \
    X(proxy_hits, counter, "pulls served from the cache without asking upstream")                  \
    X(proxy_revalidated, counter, "pulls served from the cache after a HEAD")                      \
    X(proxy_misses, counter, "pulls fetched from upstream")                                        \
    X(proxy_stale, counter, "pulls served from the cache because upstream could not answer")       \
    X(proxy_coalesced, counter, "pulls that joined a fetch under way")                             \
    X(proxy_refused, counter, "pulls that neither upstream nor cache could serve")                 \
    X(proxy_bytes_saved, counter, "bytes served from the cache instead of upstream")               \
    X(proxy_pulls_saved, counter, "upstream manifest GETs that the cache spared")                  \
    X(upstream_requests, counter, "requests sent to upstreams")                                    \
    X(upstream_bytes, counter, "body bytes received from upstreams")                               \
    X(upstream_errors, counter, "upstream requests that failed or answered 5xx")                   \
    X(upstream_limited, counter, "upstream answers with status 429")                               \
    X(refresh_tags, counter, "cached tags that the scheduled refresh looked at")                   \
    X(refresh_moved, counter, "cached tags that the refresh found moved")                          \
    X(refresh_failed, counter, "cached tags that the refresh could not look at")                   \
    X(refresh_waiting, gauge,                                                                      \
      "tags of the refresh that wait: the rest of the limit is for people")                        \
    X(flights, gauge, "upstream blob fetches under way")                                           \
    X(flight_followers, gauge, "clients that read from a fetch under way")                         \
    X(flight_resumes, counter, "upstream blob fetches resumed by Range")                           \
    X(flight_failures, counter, "upstream blob fetches given up")                                  \
    X(cache_write_errors, counter, "cache writes that failed while the client was served")         \
    X(blobs_stored, counter, "blobs stored")                                                       \
    X(gc_blobs, counter, "blobs deleted by garbage collection")                                    \
    X(gc_bytes, counter, "bytes freed by garbage collection")                                      \
    X(scrub_blobs, counter, "blobs hashed again by scrub")                                         \
    X(scrub_broken, counter, "blobs that scrub found missing or changed, now quarantined")         \
    X(evicted_artifacts, counter, "cached images that made room for others")                       \
    X(evicted_bytes, counter, "bytes freed by eviction")                                           \
    X(db_commits, counter, "durable database commits")                                             \
    X(db_commit_members, counter, "transactions in those commits")                                 \
    X(statements, counter, "SQL statements run")

enum metric {
#define X(name, kind, help) M_##name,
    METRIC_LIST(X)
#undef X
        M_COUNT
};

void metric_add(enum metric m, int64_t n); /* negative for gauges going down */
int64_t metric_get(enum metric m);
void metric_write(struct buf *out);
/* name="text", without what would have to be escaped. */
void metric_label(struct buf *out, const char *name, const char *text);

/* Called by metric_write, in the order of registration; writes finished lines. */
typedef void metric_collector(struct buf *out, void *arg);
void metric_collect(metric_collector *fn, void *arg);

#endif
