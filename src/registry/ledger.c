/*
 * The quota ledger.
 *
 * One line per (endpoint, credential), the last word of the upstream. It is one per process, like
 * the metrics, because every answer of every upstream passes here; the database keeps the lines
 * over a restart. A line is written at most every five seconds, never in the request of a client.
 */
#include "registry/ledger.h"

#include "base/log.h"
#include "base/metric.h"
#include "meta/store.h"
#include "meta/upstream_use.h"
#include "rule/floor.h"
#include "rule/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 256
#define FLUSH_MS 5000

struct line {
    int64_t endpoint_id;
    char endpoint[128], credential[256], source[128];
    int64_t limit, remaining, window_s;
    int64_t floor; /* as reckoned last; -1 = not yet */
    struct timestamp seen_at;
    int64_t written_ms;
    bool dirty;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[LINES_MAX];
static size_t line_count;

static struct str credential_of(const struct endpoint *e)
{
    return e->access_key.n ? e->access_key : S("anonymous");
}

/* The line of the pair, made when `make` is set. NULL: none, or the table is full. Under lock. */
static struct line *find(int64_t endpoint_id, struct str credential, bool make)
{
    for (size_t i = 0; i < line_count; i++)
        if (lines[i].endpoint_id == endpoint_id && str_eq(str_of(lines[i].credential), credential))
            return &lines[i];
    if (!make || line_count == LINES_MAX)
        return NULL;
    struct line *l = &lines[line_count++];
    *l = (struct line){
        .endpoint_id = endpoint_id, .limit = -1, .remaining = -1, .window_s = -1, .floor = -1};
    str_put(l->credential, sizeof l->credential, credential);
    return l;
}

static struct upstream_quota row_of(struct ctx *c, const struct line *l)
{
    return (struct upstream_quota){
        .endpoint_id = l->endpoint_id,
        .credential = str_dup(&c->mem, str_of(l->credential)),
        .limit_pulls = l->limit,
        .remaining = l->remaining,
        .window_s = l->window_s,
        .source = str_dup(&c->mem, str_of(l->source)),
        .seen_at = l->seen_at,
    };
}

/* Takes the lines that are due; they count as written from now on. */
static size_t take_due(struct ctx *c, bool all, struct upstream_quota *out)
{
    int64_t now = clock_mono_ms();
    size_t n = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < line_count; i++) {
        struct line *l = &lines[i];
        if (!l->dirty || (!all && l->written_ms && now - l->written_ms < FLUSH_MS))
            continue;
        l->dirty = false;
        l->written_ms = now;
        out[n++] = row_of(c, l);
    }
    pthread_mutex_unlock(&lock);
    return n;
}

static enum err flush(struct ctx *c, bool all)
{
    struct upstream_quota *due = arena_array(&c->mem, LINES_MAX, sizeof *due);
    if (!due)
        return fail(c, E_UNAVAILABLE, "out of memory");
    size_t n = take_due(c, all, due);
    if (!n)
        return E_OK;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    for (size_t i = 0; i < n; i++) {
        TRY(upstream_quota_put(c, &due[i]));
        if (due[i].remaining >= 0)
            TRY(upstream_use_add(c, &(struct upstream_use){
                                        .endpoint_id = due[i].endpoint_id,
                                        .at = due[i].seen_at,
                                        .principal = due[i].credential,
                                        .remaining = due[i].remaining,
                                        .limit_pulls = due[i].limit_pulls,
                                    }));
    }
    return tx_commit(&tx);
}

enum err ledger_flush(struct ctx *c)
{
    return flush(c, true);
}

void ledger_note(struct ctx *c, const struct endpoint *e, const struct oci_status *st)
{
    if (!st->http || (st->limit < 0 && st->remaining < 0))
        return;
    pthread_mutex_lock(&lock);
    struct line *l = find(e->id, credential_of(e), true);
    bool due = false;
    if (l) {
        str_put(l->endpoint, sizeof l->endpoint, e->name);
        str_put(l->source, sizeof l->source, st->source);
        l->limit = st->limit >= 0 ? st->limit : l->limit;
        l->remaining = st->remaining;
        l->window_s = st->window_s > 0 ? st->window_s : l->window_s;
        if (l->limit > 0)
            l->floor = floor_of(c->sv->settings->proxy_quota_floor, e->name, l->limit);
        l->seen_at = clock_now();
        l->dirty = true;
        due = !l->written_ms || clock_mono_ms() - l->written_ms >= FLUSH_MS;
    }
    pthread_mutex_unlock(&lock);
    if (due && flush(c, false) != E_OK) /* tried again with the next answer */
        log_warn("ledger", "cannot write the quota ledger: %s", c->msg);
}

enum err ledger_load(struct ctx *c)
{
    struct list rows;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(upstream_quota_list(c, &rows));
    const struct upstream_quota *q = rows.items;
    for (size_t i = 0; i < rows.count; i++) {
        struct endpoint e = {0};
        bool known = endpoint_by_id(c, q[i].endpoint_id, &e) == E_OK;
        pthread_mutex_lock(&lock);
        struct line *l = known ? find(q[i].endpoint_id, q[i].credential, true) : NULL;
        if (l) {
            str_put(l->endpoint, sizeof l->endpoint, e.name);
            str_put(l->source, sizeof l->source, q[i].source);
            l->limit = q[i].limit_pulls;
            l->remaining = q[i].remaining;
            l->window_s = q[i].window_s;
            l->seen_at = q[i].seen_at;
        }
        pthread_mutex_unlock(&lock);
    }
    return E_OK;
}

static int by_endpoint(const void *a, const void *b)
{
    const struct ledger_line *x = a, *y = b;
    int order = str_cmp(x->endpoint, y->endpoint);
    return order ? order : str_cmp(x->credential, y->credential);
}

enum err ledger_list(struct ctx *c, struct ledger_line **out, size_t *count)
{
    struct ledger_line *list = arena_array(&c->mem, LINES_MAX, sizeof *list);
    if (!list)
        return fail(c, E_UNAVAILABLE, "out of memory");
    pthread_mutex_lock(&lock);
    size_t n = line_count;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct ledger_line){
            .endpoint_id = lines[i].endpoint_id,
            .endpoint = str_dup(&c->mem, str_of(lines[i].endpoint)),
            .credential = str_dup(&c->mem, str_of(lines[i].credential)),
            .source = str_dup(&c->mem, str_of(lines[i].source)),
            .limit = lines[i].limit,
            .remaining = lines[i].remaining,
            .window_s = lines[i].window_s,
            .seen_at = lines[i].seen_at,
        };
    pthread_mutex_unlock(&lock);
    qsort(list, n, sizeof *list, by_endpoint);
    *out = list;
    *count = n;
    return E_OK;
}

bool ledger_spare(struct ctx *c, const struct endpoint *e)
{
    bool spare = true;
    pthread_mutex_lock(&lock);
    const struct line *l = find(e->id, credential_of(e), false);
    if (l && l->limit > 0 && l->remaining >= 0)
        spare = l->remaining > floor_of(c->sv->settings->proxy_quota_floor, e->name, l->limit);
    /* A window that has passed since gives everything back. */
    if (l && !spare && l->window_s > 0)
        spare = clock_now().us - l->seen_at.us > l->window_s * SECOND_US;
    pthread_mutex_unlock(&lock);
    return spare;
}

static void gauge(struct buf *out, const char *name, const char *help, size_t value_at)
{
    buf_fmt(out, "# HELP cove_%s %s\n# TYPE cove_%s gauge\n", name, help, name);
    for (size_t i = 0; i < line_count; i++) {
        int64_t value;
        memcpy(&value, (const char *)&lines[i] + value_at, sizeof value);
        if (value < 0)
            continue;
        buf_fmt(out, "cove_%s{", name);
        metric_label(out, "endpoint", lines[i].endpoint);
        buf_char(out, ',');
        metric_label(out, "credential", lines[i].credential);
        buf_fmt(out, "} %lld\n", (long long)value);
    }
}

void ledger_metric(struct buf *out, void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    if (line_count) {
        gauge(out, "upstream_quota_limit", "pulls that the upstream allows per window",
              offsetof(struct line, limit));
        gauge(out, "upstream_quota_remaining", "pulls left in the window",
              offsetof(struct line, remaining));
        gauge(out, "upstream_quota_floor", "pulls that background work leaves to people",
              offsetof(struct line, floor));
    }
    pthread_mutex_unlock(&lock);
}
