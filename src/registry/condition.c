/*
 * The state of upstreams, as their own answers tell it.
 *
 * Three things are kept apart per (endpoint, credential epoch). The breaker: five failures within
 * ten seconds open it, then one request at a time tries again after 1 to 60 s with full jitter. The
 * back-off of a 429 that is not the pull limit: nothing is asked before Retry-After. The pull
 * limit: no GETs until the window moves, and one HEAD a minute asks whether it has.
 *
 * Everything is monotonic time under one mutex; nothing here waits and nothing is stored.
 */
#include "registry/condition.h"

#include "base/crypt.h"
#include "base/map.h"
#include "base/metric.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES 5
#define FAILURES_MS 10000
#define BACKOFF_MS 1000
#define BACKOFF_MAX_MS 60000
#define TRY_MS 30000 /* how long a half-open try may take before the next one */
#define PROBE_MS 60000
#define LIMIT_MS (6 * 3600 * INT64_C(1000)) /* of a pull limit that names no window */

#define ABSENT_SLOTS 512
#define ABSENT_COUNT 3
#define ABSENT_SPAN_MS 10000
#define ABSENT_MS 5000
#define DENIED_MS 30000

struct state {
    char name[64]; /* for metrics */
    int64_t id, epoch;
    int64_t failed_at[FAILURES]; /* the last ones, oldest first */
    bool open;                   /* breaker */
    bool busy;                   /* 429, abuse limit */
    bool limited;                /* pull limit */
    int64_t until;               /* of open or busy: when the next try may go out */
    int64_t trying;              /* a half-open try is under way until then; 0 = none */
    int64_t backoff_ms;
    int64_t limit_until, probe_at;
    struct timestamp since; /* the first failure of those that lead here; 0 = all is well */
    int status, answered;
    char reason[160];
};

struct absent {
    char *key; /* owned */
    size_t key_n;
    int64_t first, until;
    int count;
    enum err err;
};

struct halted {
    int64_t id;
    char name[64], mode[16];
};

struct conditions {
    pthread_mutex_t lock;
    struct halted *halted; /* owned */
    size_t halted_count;
    atomic_int cuts;   /* of halted: those whose transfers end */
    struct map states; /* "id" -> struct state, of the newest epoch */
    struct absent absent[ABSENT_SLOTS];
};

struct conditions *conditions_new(void)
{
    struct conditions *cs = calloc(1, sizeof *cs);
    if (cs)
        pthread_mutex_init(&cs->lock, NULL);
    return cs;
}

void conditions_free(struct conditions *cs)
{
    if (!cs)
        return;
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(&cs->states, &at));)
        free(e->value);
    map_release(&cs->states);
    for (size_t i = 0; i < ABSENT_SLOTS; i++)
        free(cs->absent[i].key);
    free(cs->halted);
    pthread_mutex_destroy(&cs->lock);
    free(cs);
}

/* The endpoint's state; a new credential or URL (a later epoch) begins afresh. NULL = no memory. */
static struct state *state_of(struct conditions *cs, const struct endpoint *e)
{
    char key[24];
    int n = snprintf(key, sizeof key, "%lld", (long long)e->id);
    struct str k = {key, (size_t)n};
    struct state *s = map_get(&cs->states, k);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || !map_set(&cs->states, k, s)) {
            free(s);
            return NULL;
        }
        s->epoch = e->epoch;
    }
    if (s->epoch < e->epoch)
        *s = (struct state){.epoch = e->epoch};
    s->id = e->id;
    str_put(s->name, sizeof s->name, e->name);
    return s;
}

/* Full jitter: anything from a tenth of the span up to all of it. */
static int64_t jitter(int64_t span_ms)
{
    uint32_t r;
    random_fill(&r, sizeof r);
    int64_t least = span_ms / 10;
    return least + (int64_t)(r % (uint64_t)(span_ms - least + 1));
}

static int64_t seconds_up(int64_t ms)
{
    return ms <= 0 ? 0 : (ms + 999) / 1000;
}

void conditions_set_halted(struct conditions *cs, const struct list *list)
{
    const struct endpoint *e = list->items;
    struct halted *h = list->count ? calloc(list->count, sizeof *h) : NULL;
    size_t n = list->count;
    int cuts = 0;
    if (n && !h) /* what was known stays; the housekeeper reads them again */
        return;
    for (size_t i = 0; i < n; i++) {
        h[i].id = e[i].id;
        str_put(h[i].name, sizeof h[i].name, e[i].name);
        str_put(h[i].mode, sizeof h[i].mode, e[i].halt);
        cuts += str_eq(e[i].halt, S("paused"));
    }
    pthread_mutex_lock(&cs->lock);
    free(cs->halted);
    cs->halted = h;
    cs->halted_count = n;
    atomic_store(&cs->cuts, cuts);
    pthread_mutex_unlock(&cs->lock);
}

bool condition_cut(struct conditions *cs, int64_t endpoint_id)
{
    bool cut = false;
    if (!atomic_load(&cs->cuts))
        return false;
    pthread_mutex_lock(&cs->lock);
    for (size_t i = 0; i < cs->halted_count; i++)
        cut = cut || (cs->halted[i].id == endpoint_id && strcmp(cs->halted[i].mode, "paused") == 0);
    pthread_mutex_unlock(&cs->lock);
    return cut;
}

/* A pause comes before all that the upstream's own answers tell. */
static bool paused(const struct endpoint *e, struct condition *out)
{
    if (!e->halt.n)
        return false;
    struct arena a = {0};
    out->state = ENDPOINT_PAUSED;
    out->status = 503;
    out->retry_after_s = PAUSED_RETRY_S;
    out->since = e->halted_at;
    (void)snprintf(out->reason, sizeof out->reason, "paused by %.*s since %.*s%s%.*s",
                   STR(e->halted_by), STR(time_text(&a, e->halted_at)),
                   e->halt_reason.n ? ": " : "", STR(e->halt_reason));
    arena_release(&a);
    return true;
}

void condition_look(struct conditions *cs, const struct endpoint *e, enum condition_use use,
                    struct condition *out)
{
    *out = (struct condition){.state = ENDPOINT_OPEN};
    if (paused(e, out))
        return;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    struct state *s = state_of(cs, e);
    if (s && (s->open || s->busy)) {
        int64_t until = i64_max(s->until, s->trying);
        if (now < until) {
            out->state = s->busy ? ENDPOINT_BUSY : ENDPOINT_BROKEN;
            out->retry_after_s = i64_max(1, seconds_up(until - now));
        } else {
            s->trying = now + TRY_MS;
        }
    }
    if (s && s->limited && now >= s->limit_until)
        s->limited = false;
    if (s && out->state == ENDPOINT_OPEN && s->limited && use != USE_CONTENT) {
        out->state = ENDPOINT_PULL_LIMIT;
        out->retry_after_s = seconds_up(s->limit_until - now);
        if (use == USE_HEAD && now >= s->probe_at) {
            s->probe_at = now + PROBE_MS;
            out->state = ENDPOINT_NO_GETS;
        }
    }
    if (s && out->state != ENDPOINT_OPEN) {
        out->status = s->status;
        out->answered = s->answered;
        memcpy(out->reason, s->reason, sizeof out->reason);
    }
    pthread_mutex_unlock(&cs->lock);
}

void condition_peek(struct conditions *cs, const struct endpoint *e, struct condition *out)
{
    *out = (struct condition){.state = ENDPOINT_OPEN};
    if (paused(e, out))
        return;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    const struct state *s = state_of(cs, e);
    int64_t until = s ? i64_max(s->until, s->trying) : 0;
    if (s && (s->open || (s->busy && now < until))) {
        out->state = s->busy ? ENDPOINT_BUSY : ENDPOINT_BROKEN;
        out->retry_after_s = i64_max(1, seconds_up(until - now));
    } else if (s && s->limited && now < s->limit_until) {
        out->state = ENDPOINT_PULL_LIMIT;
        out->retry_after_s = seconds_up(s->limit_until - now);
    }
    if (out->state != ENDPOINT_OPEN) {
        out->status = s->status;
        out->answered = s->answered;
        out->since = s->since;
        memcpy(out->reason, s->reason, sizeof out->reason);
    }
    pthread_mutex_unlock(&cs->lock);
}

int condition_status(enum err err, const struct oci_status *st)
{
    if (st->http == 429)
        return 429;
    if (err == E_TOO_MANY) /* our own bulkhead, the upstream said nothing */
        return 503;
    if (st->http == 503 || st->http == 504)
        return st->http;
    return err == E_UPSTREAM_TIMEOUT ? 504 : 502;
}

static void note_failure(struct state *s, int64_t now)
{
    memmove(s->failed_at, s->failed_at + 1, sizeof s->failed_at - sizeof s->failed_at[0]);
    s->failed_at[FAILURES - 1] = now;
    bool many = s->failed_at[0] && now - s->failed_at[0] <= FAILURES_MS;
    if (!s->open && !many)
        return;
    s->backoff_ms = s->open ? i64_min(s->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MS;
    s->open = true;
    s->until = now + jitter(s->backoff_ms);
}

static void note_429(struct state *s, const struct oci_status *st, int64_t now)
{
    if (st->pull_limit) {
        int64_t span = st->retry_after_s > 0 ? st->retry_after_s * 1000
                       : st->window_s > 0    ? st->window_s * 1000
                                             : LIMIT_MS;
        s->limited = true;
        s->limit_until = now + span;
        s->probe_at = now + PROBE_MS;
        return;
    }
    s->backoff_ms = s->busy ? i64_min(s->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MS;
    s->busy = true;
    s->until = now + (st->retry_after_s > 0 ? st->retry_after_s * 1000 : jitter(s->backoff_ms));
}

/* An answer that shows a working upstream: everything but the pull limit ends. */
static void note_good(struct state *s, const struct oci_status *st, int64_t now)
{
    memset(s->failed_at, 0, sizeof s->failed_at);
    s->open = s->busy = false;
    s->backoff_ms = 0;
    if (!s->limited)
        s->since.us = 0;
    if (st->remaining == 0 && st->limit > 0 && !s->limited) {
        s->limited = true;
        s->limit_until = now + (st->window_s > 0 ? st->window_s * 1000 : LIMIT_MS);
        s->probe_at = now + PROBE_MS;
        s->since = clock_now();
        str_put(s->reason, sizeof s->reason, S("the pull limit is used up"));
        s->status = 429;
    } else if (s->limited && st->remaining != 0 && st->http == 200) {
        s->limited = false;
        s->since.us = 0;
    }
}

void condition_note(struct conditions *cs, const struct endpoint *e, enum err err,
                    const struct oci_status *st)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    struct state *s = state_of(cs, e);
    if (s && s->epoch == e->epoch) { /* what an earlier credential met says nothing of this one */
        bool limited = err == E_TOO_MANY && st->http == 429;
        bool bad = limited || err == E_UPSTREAM || err == E_UPSTREAM_TIMEOUT;
        s->trying = 0;
        if (bad && !s->since.us)
            s->since = clock_now();
        if (bad) {
            s->status = condition_status(err, st);
            s->answered = st->http;
            str_put(s->reason, sizeof s->reason, st->reason);
        }
        if (limited)
            note_429(s, st, now);
        else if (bad)
            note_failure(s, now);
        else if (st->http && err != E_TOO_MANY)
            note_good(s, st, now);
    }
    pthread_mutex_unlock(&cs->lock);
}

/* ---- names that are not there --------------------------------------------------------------- */

/* Key of a name in words; a denied repository has an empty reference. */
static struct str absent_key(const struct endpoint *e, struct str repo, struct str ref, char *p,
                             size_t cap)
{
    int n = snprintf(p, cap, "%lld.%lld %.*s %.*s", (long long)e->id, (long long)e->epoch,
                     STR(repo), STR(ref));
    return (struct str){p, size_min((size_t)n, cap - 1)};
}

static struct absent *slot_of(struct conditions *cs, struct str key)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (unsigned char)key.p[i]) * UINT64_C(1099511628211);
    return &cs->absent[(h ^ h >> 32) % ABSENT_SLOTS];
}

static bool is_key(const struct absent *a, struct str key)
{
    return a->key && a->key_n == key.n && memcmp(a->key, key.p, key.n) == 0;
}

static enum err known(struct conditions *cs, const struct endpoint *e, struct str repo,
                      struct str ref, int64_t now)
{
    char text[700];
    struct str key = absent_key(e, repo, ref, text, sizeof text);
    const struct absent *a = slot_of(cs, key);
    return is_key(a, key) && now < a->until ? a->err : E_OK;
}

enum err condition_absent(struct conditions *cs, const struct endpoint *e, struct str repo,
                          struct str ref)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    enum err err = known(cs, e, repo, NO_STR, now);
    if (err == E_OK)
        err = known(cs, e, repo, ref, now);
    pthread_mutex_unlock(&cs->lock);
    return err;
}

void condition_absent_note(struct conditions *cs, const struct endpoint *e, struct str repo,
                           struct str ref, enum err err)
{
    bool denied = err == E_DENIED;
    bool gone = err == E_MANIFEST_UNKNOWN || err == E_BLOB_UNKNOWN;
    if ((!denied && !gone) || (denied && !e->access_key.n))
        return;
    char text[700];
    struct str key = absent_key(e, repo, denied ? NO_STR : ref, text, sizeof text);
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    struct absent *a = slot_of(cs, key);
    if (!is_key(a, key) || now - a->first > ABSENT_SPAN_MS) {
        free(a->key);
        *a = (struct absent){.key = malloc(key.n + 1), .key_n = key.n, .first = now};
        if (a->key)
            memcpy(a->key, key.p, key.n);
    }
    a->err = err;
    a->count++;
    if (denied)
        a->until = now + DENIED_MS;
    else if (a->count >= ABSENT_COUNT)
        a->until = now + ABSENT_MS;
    pthread_mutex_unlock(&cs->lock);
}

/* ---- metrics ---- */

/* Under the lock. */
static void metric_halted(struct buf *out, const struct conditions *cs)
{
    if (cs->halted_count)
        buf_str(out,
                S("# HELP cove_upstream_paused 1 while an operator pauses or drains the upstream\n"
                  "# TYPE cove_upstream_paused gauge\n"));
    for (size_t i = 0; i < cs->halted_count; i++) {
        const struct halted *h = &cs->halted[i];
        buf_fmt(out, "cove_upstream_paused{endpoint=\"%lld\",", (long long)h->id);
        metric_label(out, "name", h->name);
        buf_fmt(out, ",mode=\"%s\"} 1\n", h->mode);
    }
}

void conditions_metric(struct buf *out, void *conditions)
{
    struct conditions *cs = conditions;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&cs->lock);
    metric_halted(out, cs);
    if (cs->states.count)
        buf_str(out, S("# HELP cove_upstream_condition 0 open, 2 breaker open, 3 backing off, 4 "
                       "pull limit reached\n# TYPE cove_upstream_condition gauge\n"));
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(&cs->states, &at));) {
        const struct state *s = e->value;
        enum fresh_endpoint state = ENDPOINT_OPEN;
        if ((s->open || s->busy) && now < i64_max(s->until, s->trying))
            state = s->busy ? ENDPOINT_BUSY : ENDPOINT_BROKEN;
        else if (s->limited && now < s->limit_until)
            state = ENDPOINT_PULL_LIMIT;
        buf_fmt(out, "cove_upstream_condition{endpoint=\"%lld\",", (long long)s->id);
        metric_label(out, "name", s->name);
        buf_fmt(out, "} %d\n", (int)state);
    }
    pthread_mutex_unlock(&cs->lock);
}
