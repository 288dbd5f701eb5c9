/*
 * The cache in figures, over a stretch of time and the one before it.
 *
 * Short ranges are added up from minutes, long ones from hours, which begin at a whole hour; so
 * does the stretch before a day, because minutes are kept for a day only. What this process has not
 * written yet is written first, so the figures are those of /metrics when one process has served
 * all the time. Everybody sees the sums; upstreams are named to those who may list them.
 */
#include "api/cove.h"

#include "api/harbor.h"
#include "base/log.h"
#include "base/metric.h"
#include "registry/figures.h"

#define HOUR_S INT64_C(3600)
#define DAY_S (24 * HOUR_S)
#define HEALTH_SLOT_S 1800
#define HEALTH_SLOTS (DAY_S / HEALTH_SLOT_S)

const struct field range_query_fields[] = {
    FIELD(struct range_query, range, 0, 8),
    FIELDS_END,
};

static const struct range {
    const char *name;
    int64_t length_s, step_s;
    bool hours, hours_before;
} ranges[] = {
    {"6h", 6 * HOUR_S, 300, false, false},
    {"24h", DAY_S, 1200, false, true},
    {"7d", 7 * DAY_S, 2 * HOUR_S, true, true},
    {"30d", 30 * DAY_S, 6 * HOUR_S, true, true},
};

/* ---- sums --------------------------------------------------------------------------------- */

struct period {
    struct timestamp from, to;
    int64_t n[FIGURES];
    int64_t requests, served, upstream_errors;
    int64_t answer_median_us, answer_p95_us, upstream_median_us, upstream_p95_us;
};

#define FIGURE(T, name) FIELD_AS(T, n[FIGURE_##name], #name, 0, 0)

static const struct field period_fields[] = {
    FIELD(struct period, from, F_NULL, 0),
    FIELD(struct period, to, F_NULL, 0),
    FIELD(struct period, requests, 0, 0),
    FIELD(struct period, served, 0, 0),
    FIGURE(struct period, hits),
    FIGURE(struct period, revalidated),
    FIGURE(struct period, misses),
    FIGURE(struct period, stale),
    FIGURE(struct period, coalesced),
    FIGURE(struct period, refused),
    FIGURE(struct period, bytes_saved),
    FIGURE(struct period, pulls_saved),
    FIGURE(struct period, pulls_counted),
    FIGURE(struct period, upstream_requests),
    FIGURE(struct period, upstream_bytes),
    FIELD(struct period, upstream_errors, 0, 0),
    FIGURE(struct period, unreachable),
    FIGURE(struct period, timeouts),
    FIGURE(struct period, broken),
    FIGURE(struct period, limited),
    FIELD(struct period, answer_median_us, 0, 0),
    FIELD(struct period, answer_p95_us, 0, 0),
    FIELD(struct period, upstream_median_us, 0, 0),
    FIELD(struct period, upstream_p95_us, 0, 0),
    FIELDS_END,
};

static void add_up(struct period *p, const struct figure_row *row)
{
    for (size_t i = 0; i < FIGURES; i++)
        p->n[i] += row->n[i];
}

/* What follows from the sums. */
static void conclude(struct period *p)
{
    const int64_t *n = p->n;
    p->served = n[FIGURE_hits] + n[FIGURE_revalidated] + n[FIGURE_stale] + n[FIGURE_coalesced];
    p->requests = p->served + n[FIGURE_misses] + n[FIGURE_refused];
    p->upstream_errors = n[FIGURE_unreachable] + n[FIGURE_timeouts] + n[FIGURE_broken];
    p->answer_median_us = latency_quantile(n + FIGURE_answer_0, 0.5);
    p->answer_p95_us = latency_quantile(n + FIGURE_answer_0, 0.95);
    p->upstream_median_us = latency_quantile(n + FIGURE_upstream_0, 0.5);
    p->upstream_p95_us = latency_quantile(n + FIGURE_upstream_0, 0.95);
}

/* ---- the reply ---------------------------------------------------------------------------- */

struct point_view {
    struct timestamp at;
    int64_t requests, served, bytes_saved, upstream_errors;
};

static const struct field point_view_fields[] = {
    FIELD(struct point_view, at, 0, 0),
    FIELD(struct point_view, requests, 0, 0),
    FIELD(struct point_view, served, 0, 0),
    FIELD(struct point_view, bytes_saved, 0, 0),
    FIELD(struct point_view, upstream_errors, 0, 0),
    FIELDS_END,
};

struct upstream_row {
    struct upstream_view now;
    struct period sums;
    struct strs health; /* HEALTH_SLOTS words, oldest first */
};

static const struct field upstream_row_fields[] = {
    FIELD_AS(struct upstream_row, now.id, "id", 0, 0),
    FIELD_AS(struct upstream_row, now.name, "name", 0, 0),
    FIELD_AS(struct upstream_row, now.type, "type", 0, 0),
    FIELD_AS(struct upstream_row, now.url, "url", 0, 0),
    FIELD_AS(struct upstream_row, now.account, "account", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.state, "state", 0, 0),
    FIELD_AS(struct upstream_row, now.status, "status", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.reason, "reason", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.retry_after_s, "retry_after_s", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.since, "since", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.paused_by, "paused_by", F_OMIT, 0),
    FIELD_AS(struct upstream_row, now.transfers, "transfers", 0, 0),
    {.name = "quota",
     .off = offsetof(struct upstream_row, now.quota),
     .type = F_LIST,
     .sub = quota_view_fields,
     .each = sizeof(struct quota_view)},
    FIELD_OBJECT(struct upstream_row, sums, 0, period_fields),
    FIELD(struct upstream_row, health, 0, 0),
    FIELDS_END,
};

struct summary {
    struct str range;
    struct timestamp since, now, health_from;
    int64_t step_s, health_step_s, fetching, followers;
    struct period current, previous;
    struct list series, upstreams; /* of point_view; of upstream_row */
};

const struct field summary_fields[] = {
    FIELD(struct summary, range, 0, 0),
    FIELD(struct summary, since, F_NULL, 0),
    FIELD(struct summary, now, 0, 0),
    FIELD(struct summary, fetching, 0, 0),
    FIELD(struct summary, followers, 0, 0),
    FIELD_OBJECT(struct summary, current, 0, period_fields),
    FIELD_OBJECT(struct summary, previous, 0, period_fields),
    FIELD(struct summary, step_s, 0, 0),
    FIELD_LIST(struct summary, series, 0, struct point_view, point_view_fields),
    FIELD(struct summary, health_from, F_NULL, 0),
    FIELD(struct summary, health_step_s, 0, 0),
    FIELD_LIST(struct summary, upstreams, 0, struct upstream_row, upstream_row_fields),
    FIELDS_END,
};

static struct timestamp whole(int64_t us, int64_t step_s)
{
    return (struct timestamp){us - us % (step_s * SECOND_US)};
}

static struct upstream_row *row_of(struct list *upstreams, int64_t id)
{
    struct upstream_row *rows = upstreams->items;
    for (size_t i = 0; i < upstreams->count; i++)
        if (rows[i].now.id == id)
            return &rows[i];
    return NULL;
}

/* Slots of the range into the sum, the series and the upstreams' sums. */
static enum err spread(struct ctx *c, const struct list *slots, struct summary *s)
{
    const struct figure_row *f = slots->items;
    struct point_view *points = arena_array(&c->mem, slots->count + 1, sizeof *points);
    size_t n = 0;
    if (!points)
        return fail(c, E_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < slots->count; i++) {
        struct period one = {0};
        struct upstream_row *u = row_of(&s->upstreams, f[i].endpoint_id);
        add_up(&s->current, &f[i]);
        add_up(&one, &f[i]);
        conclude(&one);
        if (u)
            add_up(&u->sums, &f[i]);
        if (!n || points[n - 1].at.us != f[i].at.us)
            points[n++] = (struct point_view){.at = f[i].at};
        points[n - 1].requests += one.requests;
        points[n - 1].served += one.served;
        points[n - 1].bytes_saved += one.n[FIGURE_bytes_saved];
        points[n - 1].upstream_errors += one.upstream_errors;
    }
    s->series = (struct list){points, n};
    conclude(&s->current);
    struct upstream_row *u = s->upstreams.items;
    for (size_t i = 0; i < s->upstreams.count; i++)
        conclude(&u[i].sums);
    return E_OK;
}

static enum err read_health(struct ctx *c, struct summary *s)
{
    struct list slots;
    s->health_step_s = HEALTH_SLOT_S;
    s->health_from =
        whole(s->now.us - (HEALTH_SLOTS - 1) * HEALTH_SLOT_S * SECOND_US, HEALTH_SLOT_S);
    struct upstream_row *rows = s->upstreams.items;
    for (size_t i = 0; i < s->upstreams.count; i++) {
        struct str *words = arena_array(&c->mem, HEALTH_SLOTS, sizeof *words);
        if (!words)
            return fail(c, E_UNAVAILABLE, "out of memory");
        for (size_t k = 0; k < HEALTH_SLOTS; k++)
            words[k] = str_of(health_text(HEALTH_QUIET));
        rows[i].health = (struct strs){words, HEALTH_SLOTS};
    }
    TRY(figure_slots(c, false, s->health_from, (struct timestamp){s->now.us + 1}, HEALTH_SLOT_S,
                     &slots));
    const struct figure_row *f = slots.items;
    for (size_t i = 0; i < slots.count; i++) {
        struct upstream_row *u = row_of(&s->upstreams, f[i].endpoint_id);
        const int64_t *n = f[i].n;
        size_t slot = (size_t)((f[i].at.us - s->health_from.us) / (HEALTH_SLOT_S * SECOND_US));
        if (u && slot < HEALTH_SLOTS)
            u->health.items[slot] = str_of(
                health_text(health_of(n[FIGURE_upstream_requests],
                                      n[FIGURE_unreachable] + n[FIGURE_timeouts] + n[FIGURE_broken],
                                      n[FIGURE_limited], n[FIGURE_stale])));
    }
    return E_OK;
}

static enum err read_figures(struct ctx *c, const struct range *range, struct summary *s)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct list slots;
    struct figure_row before;
    struct timestamp from = {s->now.us - range->length_s * SECOND_US};
    struct timestamp start = whole(from.us, range->hours ? HOUR_S : 60);
    struct timestamp end = {s->now.us + 1};
    TRY(tx_read(c, &tx));
    TRY(figure_since(c, &s->since));
    TRY(figure_slots(c, range->hours, start, end, range->step_s, &slots));
    s->current.from = start;
    s->current.to = s->now;
    struct timestamp until = range->hours_before ? whole(from.us, HOUR_S) : start;
    s->previous.to = until;
    s->previous.from = (struct timestamp){until.us - range->length_s * SECOND_US};
    TRY(figure_sum(c, range->hours_before, s->previous.from, until, &before));
    add_up(&s->previous, &before);
    conclude(&s->previous);
    TRY(read_health(c, s));
    return spread(c, &slots, s);
}

static enum err name_upstreams(struct call *r, struct summary *s)
{
    struct ctx *c = r->c;
    struct list views;
    if (!call_may(r, RES_REGISTRY, ACT_LIST))
        return E_OK;
    TRY(upstream_views(c, &views));
    struct upstream_row *rows = arena_array(&c->mem, views.count + 1, sizeof *rows);
    if (!rows)
        return fail(c, E_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < views.count; i++)
        rows[i] = (struct upstream_row){.now = ((const struct upstream_view *)views.items)[i]};
    s->upstreams = (struct list){rows, views.count};
    return E_OK;
}

enum err get_cache_summary(struct call *r)
{
    struct ctx *c = r->c;
    struct range_query query = {.range = S("24h")};
    const struct range *range = NULL;
    TRY(query_decode(r, &query));
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (str_eq(query.range, str_of(ranges[i].name)))
            range = &ranges[i];
    if (!range)
        return fail(c, E_BAD_REQUEST, "range is one of 6h, 24h, 7d, 30d");
    if (figures_flush(c) !=
        E_OK) /* the figures are a little old then, and the housekeeper says so */
        log_debug("cache", "figures are not written: %s", c->msg);
    struct summary s = {
        .range = query.range,
        .now = clock_now(),
        .step_s = range->step_s,
        .fetching = metric_get(M_flights),
        .followers = metric_get(M_flight_followers),
    };
    TRY(name_upstreams(r, &s));
    TRY(read_figures(c, range, &s));
    return reply_json(r, 200, summary_fields, &s);
}
