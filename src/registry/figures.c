/*
 * Two small tables under one mutex.
 *
 * Counters are kept by (upstream, project); beyond SLOTS pairs the rest of an upstream is counted
 * under project 0, so that sums stay right. The flush adds what peer/asked.h has of the upstreams,
 * takes everything out, writes it in one transaction and puts back what could not be written.
 *
 * A pull of the same by the same is noted once between two flushes, with its last time. A crawler
 * moves at most RING of them through between two flushes, the rest is not shown.
 */
#include "registry/figures.h"

#include "base/metric.h"
#include "meta/principal.h"
#include "peer/asked.h"

#include <pthread.h>
#include <string.h>

#define SLOTS ((size_t)256)
#define ROWS (SLOTS + ASKED_MAX) /* the last ones for project 0 */
#define RING ((size_t)64)

static struct {
    pthread_mutex_t lock;
    struct figure_row rows[ROWS];
    size_t count;
    struct recent {
        uint64_t hash; /* of all but the time, the outcome and the reference */
        int64_t project_id;
        struct timestamp at;
        enum outcome outcome;
        char repository[256], reference[256], digest[140], principal[128], client[64];
    } ring[RING];
    size_t waiting;
} figures = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- counters ----------------------------------------------------------------------------- */

/* Under the lock. NULL: no room even for the upstream's rest. */
static struct figure_row *row_of(int64_t endpoint_id, int64_t project_id)
{
    for (size_t i = 0; i < figures.count; i++)
        if (figures.rows[i].endpoint_id == endpoint_id && figures.rows[i].project_id == project_id)
            return &figures.rows[i];
    if (figures.count >= (project_id ? SLOTS : ROWS))
        return project_id ? row_of(endpoint_id, 0) : NULL;
    struct figure_row *row = &figures.rows[figures.count++];
    *row = (struct figure_row){
        .endpoint_id = endpoint_id, .project_id = project_id, .at = clock_now()};
    return row;
}

static void add(const struct place *at, enum figure figure, int64_t n)
{
    pthread_mutex_lock(&figures.lock);
    struct figure_row *row = row_of(at->access->endpoint.id, at->access->project.project_id);
    if (row)
        row->n[figure] += n;
    pthread_mutex_unlock(&figures.lock);
}

static bool from_cache(enum outcome o)
{
    return o == OUTCOME_HIT || o == OUTCOME_REVALIDATED || o == OUTCOME_STALE ||
           o == OUTCOME_COALESCED;
}

void figures_pull(const struct place *at, enum outcome outcome, bool manifest, int64_t us)
{
    static const struct {
        enum metric metric;
        enum figure figure;
    } as[OUTCOME_COUNT] = {
        [OUTCOME_HIT] = {M_proxy_hits, FIGURE_hits},
        [OUTCOME_REVALIDATED] = {M_proxy_revalidated, FIGURE_revalidated},
        [OUTCOME_MISS] = {M_proxy_misses, FIGURE_misses},
        [OUTCOME_STALE] = {M_proxy_stale, FIGURE_stale},
        [OUTCOME_COALESCED] = {M_proxy_coalesced, FIGURE_coalesced},
        [OUTCOME_REFUSED] = {M_proxy_refused, FIGURE_refused},
    };
    if (outcome == OUTCOME_LOCAL)
        return;
    bool saved = manifest && from_cache(outcome);
    metric_add(M_proxy_requests, 1);
    metric_add(as[outcome].metric, 1);
    metric_add(M_proxy_pulls_saved, saved);
    pthread_mutex_lock(&figures.lock);
    struct figure_row *row = row_of(at->access->endpoint.id, at->access->project.project_id);
    if (row) {
        row->n[as[outcome].figure]++;
        row->n[FIGURE_pulls_saved] += saved;
        if (outcome != OUTCOME_REFUSED)
            row->n[(size_t)FIGURE_answer_0 + latency_bucket(us)]++;
    }
    pthread_mutex_unlock(&figures.lock);
}

void figures_sent(const struct place *at, enum outcome outcome, int64_t bytes)
{
    if (!from_cache(outcome) || bytes <= 0)
        return;
    metric_add(M_proxy_bytes_saved, bytes);
    add(at, FIGURE_bytes_saved, bytes);
}

void figures_counted(const struct place *at)
{
    add(at, FIGURE_pulls_counted, 1);
}

/* What upstreams were asked since the last time. Under the lock. */
static void gather_asked(void)
{
    struct asked asked[ASKED_MAX];
    size_t n = asked_take(asked, COUNT(asked));
    for (size_t i = 0; i < n; i++) {
        const struct asked *a = &asked[i];
        struct figure_row *row = row_of(a->endpoint_id, 0);
        if (!row)
            continue;
        row->n[FIGURE_upstream_requests] += a->requests;
        row->n[FIGURE_upstream_bytes] += a->bytes;
        row->n[FIGURE_unreachable] += a->unreachable;
        row->n[FIGURE_timeouts] += a->timeouts;
        row->n[FIGURE_broken] += a->broken;
        row->n[FIGURE_limited] += a->limited;
        for (size_t k = 0; k < LATENCY_BUCKETS; k++)
            row->n[(size_t)FIGURE_upstream_0 + k] += a->took[k];
    }
}

/* ---- recent pulls ------------------------------------------------------------------------- */

/* Eight bytes at a time: by single bytes this was a hundredth of a manifest GET. */
static uint64_t mix(uint64_t h, struct str s)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= s.n; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 32;
    }
    for (; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    return (h ^ 0xff) * UINT64_C(1099511628211);
}

/* Its place in the ring: one that is there, or a free one; NULL: full. Under the lock. */
static struct recent *place_of(uint64_t hash)
{
    for (size_t i = 0; i < figures.waiting; i++)
        if (figures.ring[i].hash == hash)
            return &figures.ring[i];
    return figures.waiting < RING ? &figures.ring[figures.waiting++] : NULL;
}

void figures_recent(const struct place *at, struct str reference, struct str digest,
                    struct str client, enum outcome outcome)
{
    struct str who = at->principal->name.n ? at->principal->name : S("anonymous");
    struct timestamp now = clock_now();
    now.us -= now.us % 1000; /* what the API says, so that `since` can be said back */
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uint64_t)at->access->project.project_id;
    hash = mix(mix(mix(mix(hash, at->repository), digest), who), client);
    pthread_mutex_lock(&figures.lock);
    struct recent *r = place_of(hash);
    if (r) {
        r->at = now;
        r->outcome = outcome;
        str_put(r->reference, sizeof r->reference, reference);
    }
    if (r && r->hash != hash) { /* not there yet */
        r->hash = hash;
        r->project_id = at->access->project.project_id;
        str_put(r->repository, sizeof r->repository, at->repository);
        str_put(r->digest, sizeof r->digest, digest);
        str_put(r->principal, sizeof r->principal, who);
        str_put(r->client, sizeof r->client, client);
    }
    pthread_mutex_unlock(&figures.lock);
}

/* ---- the flush ---------------------------------------------------------------------------- */

struct taken {
    struct figure_row *rows;
    struct recent *pulls;
    size_t count, pull_count;
};

static enum err take(struct ctx *c, struct taken *out)
{
    *out = (struct taken){0};
    pthread_mutex_lock(&figures.lock);
    gather_asked();
    if (figures.count)
        out->rows = arena_array(&c->mem, figures.count, sizeof *out->rows);
    if (figures.waiting)
        out->pulls = arena_array(&c->mem, figures.waiting, sizeof *out->pulls);
    bool enough = (out->rows || !figures.count) && (out->pulls || !figures.waiting);
    if (enough) {
        out->count = figures.count;
        out->pull_count = figures.waiting;
        if (out->count)
            memcpy(out->rows, figures.rows, out->count * sizeof *out->rows);
        if (out->pull_count)
            memcpy(out->pulls, figures.ring, out->pull_count * sizeof *out->pulls);
        figures.count = figures.waiting = 0;
    }
    pthread_mutex_unlock(&figures.lock);
    return enough ? E_OK : fail(c, E_UNAVAILABLE, "out of memory");
}

static void put_back(const struct taken *t)
{
    pthread_mutex_lock(&figures.lock);
    for (size_t i = 0; i < t->count; i++) {
        struct figure_row *row = row_of(t->rows[i].endpoint_id, t->rows[i].project_id);
        for (size_t k = 0; row && k < FIGURES; k++)
            row->n[k] += t->rows[i].n[k];
    }
    for (size_t i = 0; i < t->pull_count && figures.waiting < RING; i++)
        figures.ring[figures.waiting++] = t->pulls[i];
    pthread_mutex_unlock(&figures.lock);
}

static enum err write_all(struct ctx *c, const struct taken *t)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    for (size_t i = 0; i < t->count; i++)
        TRY(figure_add(c, &t->rows[i]));
    for (size_t i = 0; i < t->pull_count; i++) {
        const struct recent *r = &t->pulls[i];
        TRY(recent_pull_add(c, &(struct recent_pull){
                                   .project_id = r->project_id,
                                   .repository = str_of(r->repository),
                                   .reference = str_of(r->reference),
                                   .digest = str_of(r->digest),
                                   .principal = str_of(r->principal),
                                   .client = str_of(r->client),
                                   .outcome = str_of(outcome_text(r->outcome)),
                                   .at = r->at,
                               }));
    }
    if (t->pull_count)
        TRY(recent_pull_trim(c));
    return tx_commit(&tx);
}

static enum err flush(struct ctx *c)
{
    struct taken t;
    TRY(take(c, &t));
    if (!t.count && !t.pull_count)
        return E_OK;
    enum err e = write_all(c, &t);
    if (e != E_OK)
        put_back(&t);
    return e;
}

/* One at a time, so that after it everything that was counted before it can be read. */
enum err figures_flush(struct ctx *c)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    enum err e = flush(c);
    pthread_mutex_unlock(&one);
    return e;
}
