/*
 * Upstreams by API: in which state they are, what is left of their pull limits and until when, and
 * who uses it up. Series come by minutes when they are of the last day, else by hours.
 */
#include "api/cove.h"

#include "base/log.h"
#include "meta/job.h"
#include "meta/upstream_use.h"
#include "registry/burn.h"
#include "registry/condition.h"
#include "registry/flight.h"
#include "registry/halt.h"
#include "registry/ledger.h"
#include "registry/refresh.h"
#include "rule/floor.h"
#include "rule/forecast.h"
#include "rule/settings.h"

#define DAY_S INT64_C(86400)
#define POINTS_MAX 2200 /* 90 days of hours, a day of minutes */
#define CONSUMERS_MAX 100

const struct field series_query_fields[] = {
    FIELD(struct use_query, from, 0, 0),
    FIELD(struct use_query, to, 0, 0),
    FIELD(struct use_query, credential, 0, 255),
    FIELDS_END,
};
const struct field consumers_query_fields[] = {
    FIELD(struct use_query, window, 0, 0),
    FIELDS_END,
};

/* ---- the list ------------------------------------------------------------------------------- */

const struct field quota_view_fields[] = {
    FIELD(struct quota_view, credential, 0, 0), FIELD(struct quota_view, source, F_OMIT, 0),
    FIELD(struct quota_view, limit, 0, 0),      FIELD(struct quota_view, remaining, 0, 0),
    FIELD(struct quota_view, window_s, 0, 0),   FIELD(struct quota_view, floor, 0, 0),
    FIELD(struct quota_view, seen_at, 0, 0),    FIELDS_END,
};

const struct field upstream_view_fields[] = {
    FIELD(struct upstream_view, id, 0, 0),
    FIELD(struct upstream_view, name, 0, 0),
    FIELD(struct upstream_view, type, 0, 0),
    FIELD(struct upstream_view, url, 0, 0),
    FIELD(struct upstream_view, account, F_OMIT, 0),
    FIELD(struct upstream_view, state, 0, 0),
    FIELD(struct upstream_view, status, F_OMIT, 0),
    FIELD(struct upstream_view, reason, F_OMIT, 0),
    FIELD(struct upstream_view, retry_after_s, F_OMIT, 0),
    FIELD(struct upstream_view, since, F_OMIT, 0),
    FIELD(struct upstream_view, paused_by, F_OMIT, 0),
    FIELD(struct upstream_view, transfers, 0, 0),
    FIELD_LIST(struct upstream_view, quota, 0, struct quota_view, quota_view_fields),
    FIELDS_END,
};

static struct str state_text(enum fresh_endpoint s)
{
    switch (s) {
    case ENDPOINT_OPEN: return S("open");
    case ENDPOINT_OFFLINE: return S("offline");
    case ENDPOINT_BROKEN: return S("broken");
    case ENDPOINT_BUSY: return S("busy");
    case ENDPOINT_PULL_LIMIT:
    case ENDPOINT_NO_GETS: return S("pull limit reached");
    case ENDPOINT_PAUSED: return S("paused");
    }
    return NO_STR;
}

static enum err quota_of(struct ctx *c, const struct endpoint *e, const struct ledger_line *lines,
                         size_t count, struct list *out)
{
    struct quota_view *views = arena_array(&c->mem, count + 1, sizeof *views);
    size_t n = 0;
    if (!views)
        return fail(c, E_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct ledger_line *l = &lines[i];
        if (l->endpoint_id == e->id)
            views[n++] = (struct quota_view){
                .credential = l->credential,
                .source = l->source,
                .limit = l->limit,
                .remaining = l->remaining,
                .window_s = l->window_s,
                .floor = l->limit > 0
                             ? floor_of(c->sv->settings->proxy_quota_floor, e->name, l->limit)
                             : 0,
                .seen_at = l->seen_at,
            };
    }
    *out = (struct list){views, n};
    return E_OK;
}

static enum err view_of(struct ctx *c, const struct endpoint *e, const struct ledger_line *lines,
                        size_t count, struct upstream_view *out)
{
    struct condition now = {.state = ENDPOINT_OFFLINE};
    if (!c->sv->settings->proxy_offline)
        condition_peek(flights_conditions(c->sv->flights), e, &now);
    *out = (struct upstream_view){
        .id = e->id,
        .name = e->name,
        .type = e->type,
        .url = e->url,
        .account = e->access_key,
        .state = state_text(now.state),
        .reason = str_dup(&c->mem, str_of(now.reason)),
        .status = now.answered,
        .retry_after_s = now.retry_after_s,
        .since = now.since,
        .transfers = upstream_transfers(c, e->id),
    };
    if (now.state == ENDPOINT_PAUSED) {
        bool drains = str_eq(e->halt, S("draining")) && out->transfers;
        out->state = drains ? S("draining") : out->state;
        out->reason = e->halt_reason;
        out->paused_by = e->halted_by;
        out->retry_after_s = 0;
    }
    return quota_of(c, e, lines, count, &out->quota);
}

static enum err all_endpoints(struct ctx *c, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t total;
    TRY(tx_read(c, &tx));
    return endpoint_list(c, NULL, out, &total);
}

enum err upstream_views(struct ctx *c, struct list *out)
{
    struct ledger_line *lines = NULL;
    struct list endpoints;
    size_t count = 0;
    TRY(all_endpoints(c, &endpoints));
    TRY(ledger_list(c, &lines, &count));
    const struct endpoint *e = endpoints.items;
    struct upstream_view *views = arena_array(&c->mem, endpoints.count + 1, sizeof *views);
    if (!views)
        return fail(c, E_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < endpoints.count; i++)
        TRY(view_of(c, &e[i], lines, count, &views[i]));
    *out = (struct list){views, endpoints.count};
    return E_OK;
}

enum err list_upstreams(struct call *r)
{
    struct list list;
    TRY(upstream_views(r->c, &list));
    return reply_list(r, upstream_view_fields, &list, sizeof(struct upstream_view),
                      (int64_t)list.count);
}

/* ---- pause and resume ----------------------------------------------------------------------- */

const struct field pause_fields[] = {
    FIELD(struct pause_req, drain, 0, 0),
    FIELD(struct pause_req, reason, 0, 512),
    FIELDS_END,
};

static enum err read_endpoint(struct call *r, struct endpoint *out);

static enum err halt(struct call *r, struct str mode, struct str reason)
{
    struct ctx *c = r->c;
    struct endpoint e;
    struct upstream_view view;
    struct ledger_line *lines = NULL;
    size_t count = 0;
    TRY(read_endpoint(r, &e));
    TRY(upstream_halt(c, e.id, mode, reason));
    TRY(read_endpoint(r, &e));
    TRY(ledger_list(c, &lines, &count));
    TRY(view_of(c, &e, lines, count, &view));
    return reply_json(r, 200, upstream_view_fields, &view);
}

enum err pause_upstream(struct call *r)
{
    const struct pause_req *body = r->body;
    return halt(r, body->drain ? S("draining") : S("paused"), body->reason);
}

enum err resume_upstream(struct call *r)
{
    return halt(r, NO_STR, NO_STR);
}

/* ---- one upstream ---------------------------------------------------------------------------- */

static const struct field series_fields[] = {
    FIELD(struct upstream_use, at, 0, 0),
    FIELD(struct upstream_use, remaining, 0, 0),
    FIELD_AS(struct upstream_use, limit_pulls, "limit", 0, 0),
    FIELDS_END,
};

struct forecast_view {
    struct str sure;
    int64_t observations, pulls_per_hour;
    struct timestamp low, mid, high;
};

static const struct field forecast_fields[] = {
    FIELD(struct forecast_view, sure, 0, 0),
    FIELD(struct forecast_view, observations, 0, 0),
    FIELD(struct forecast_view, pulls_per_hour, 0, 0),
    FIELD_AS(struct forecast_view, low, "empty_low", F_NULL, 0),
    FIELD_AS(struct forecast_view, mid, "empty_mid", F_NULL, 0),
    FIELD_AS(struct forecast_view, high, "empty_high", F_NULL, 0),
    FIELDS_END,
};

struct refill_view {
    struct timestamp at;
    bool observed;
};

static const struct field refill_fields[] = {
    FIELD(struct refill_view, at, F_NULL, 0),
    FIELD(struct refill_view, observed, 0, 0),
    FIELDS_END,
};

struct series_view {
    int64_t id;
    struct quota_view now;
    struct str step;
    struct list series; /* struct upstream_use */
    struct forecast_view forecast;
    struct refill_view refill;
};

const struct field series_view_fields[] = {
    FIELD(struct series_view, id, 0, 0),
    FIELD_OBJECT(struct series_view, now, 0, quota_view_fields),
    FIELD(struct series_view, step, 0, 0),
    FIELD_LIST(struct series_view, series, 0, struct upstream_use, series_fields),
    FIELD_OBJECT(struct series_view, forecast, 0, forecast_fields),
    FIELD_OBJECT(struct series_view, refill, 0, refill_fields),
    FIELDS_END,
};

static enum err read_endpoint(struct call *r, struct endpoint *out)
{
    int64_t id;
    TRY(call_param_i64(r, "id", &id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    enum err e = endpoint_by_id(r->c, id, out);
    return e == E_NOT_FOUND ? fail(r->c, e, "registry %lld not found", (long long)id) : e;
}

static enum err read_time(struct call *r, const char *name, struct timestamp otherwise,
                          struct timestamp *out)
{
    struct str text;
    TRY(call_query(r, name, &text));
    *out = otherwise;
    if (text.n && !time_parse(text, out))
        return fail(r->c, E_BAD_REQUEST, "%s must be a time such as 2026-11-24T08:00:00Z", name);
    return E_OK;
}

static struct timestamp seconds(int64_t s)
{
    return (struct timestamp){s * SECOND_US};
}

/* From the minutes of the last window (for a refill) and hour. */
static void foretell(struct ctx *c, const struct list *minutes, const struct quota_view *now,
                     struct series_view *out)
{
    const struct upstream_use *u = minutes->items;
    struct quota_sample *s = arena_array(&c->mem, minutes->count + 1, sizeof *s);
    struct forecast f;
    size_t n = 0;
    for (size_t i = 0; s && i < minutes->count; i++)
        s[n++] = (struct quota_sample){u[i].at.us / SECOND_US, u[i].remaining};
    forecast_window(s, n, clock_now().us / SECOND_US, now->window_s, &f);
    out->forecast = (struct forecast_view){
        .sure = str_of(forecast_sure_text(f.sure)),
        .observations = f.observations,
        .pulls_per_hour = (int64_t)(f.per_hour + 0.5),
        .low = seconds(f.empty_low_s),
        .mid = seconds(f.empty_mid_s),
        .high = seconds(f.empty_high_s),
    };
    out->refill = (struct refill_view){seconds(f.refill_s), f.refill_seen};
}

/* The credential that is asked for, else the one that upstream was asked with last. */
static struct quota_view pick(const struct list *quota, struct str credential)
{
    const struct quota_view *q = quota->items;
    struct quota_view best = {.credential = credential, .limit = -1, .remaining = -1};
    for (size_t i = 0; i < quota->count; i++)
        if (credential.n ? str_eq(q[i].credential, credential) : q[i].seen_at.us > best.seen_at.us)
            best = q[i];
    return best;
}

static enum err read_series(struct ctx *c, const struct endpoint *e, struct str credential,
                            struct timestamp from, struct timestamp to, struct series_view *v,
                            struct list *minutes)
{
    struct timestamp now = clock_now();
    bool hours = from.us < now.us - (DAY_S + 60) * SECOND_US;
    struct timestamp window = {now.us - i64_max(v->now.window_s, 0) * SECOND_US};
    window.us = i64_min(window.us, now.us - FORECAST_SPAN_S * SECOND_US);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(upstream_use_samples(c, e->id, credential, hours, from, to, POINTS_MAX, &v->series));
    v->step = hours ? S("hour") : S("minute");
    return upstream_use_samples(c, e->id, credential, false, window, now, POINTS_MAX, minutes);
}

enum err upstream_quota_series(struct call *r)
{
    struct ctx *c = r->c;
    struct endpoint e;
    struct str credential;
    struct timestamp from, to, now = clock_now();
    struct ledger_line *lines = NULL;
    struct list quota, minutes;
    size_t count = 0;
    TRY(call_query(r, "credential", &credential));
    TRY(read_time(r, "to", now, &to));
    TRY(read_time(r, "from", (struct timestamp){to.us - DAY_S * SECOND_US}, &from));
    TRY(read_endpoint(r, &e));
    if (ledger_flush(c) != E_OK) /* the last sample is missing then, and the housekeeper says so */
        log_debug("upstreams", "the quota ledger is not written: %s", c->msg);
    TRY(ledger_list(c, &lines, &count));
    TRY(quota_of(c, &e, lines, count, &quota));
    struct series_view v = {.id = e.id, .now = pick(&quota, credential)};
    TRY(read_series(c, &e, v.now.credential.p ? v.now.credential : S(""), from, to, &v, &minutes));
    foretell(c, &minutes, &v.now, &v);
    return reply_json(r, 200, series_view_fields, &v);
}

const struct field consumer_fields[] = {
    FIELD_AS(struct upstream_use, project_name, "project", 0, 0),
    FIELD(struct upstream_use, repository, 0, 0),
    FIELD(struct upstream_use, principal, 0, 0),
    FIELD(struct upstream_use, pulls, 0, 0),
    FIELDS_END,
};

enum err list_consumers(struct call *r)
{
    struct ctx *c = r->c;
    struct endpoint e;
    struct list rows;
    int64_t window;
    TRY(call_query_i64(r, "window", 21600, &window));
    if (window < 60 || window > 90 * DAY_S)
        return fail(c, E_BAD_REQUEST, "window is seconds, 60 to %lld", (long long)(90 * DAY_S));
    TRY(read_endpoint(r, &e));
    if (burn_flush(c) != E_OK) /* the last seconds are missing then */
        log_debug("upstreams", "the use of pull limits is not written: %s", c->msg);
    {
        CLEANUP(tx_end) struct tx tx = {0};
        struct timestamp from = {clock_now().us - window * SECOND_US};
        TRY(tx_read(c, &tx));
        TRY(upstream_use_consumers(c, e.id, window > DAY_S, from, CONSUMERS_MAX, &rows));
    }
    return reply_list(r, consumer_fields, &rows, sizeof(struct upstream_use), (int64_t)rows.count);
}

/* One is enough: the one that is under way makes a new list. */
enum err start_refresh(struct call *r)
{
    struct ctx *c = r->c;
    struct job job = {.kind = S("refresh"), .lock_key = S("refresh")};
    enum err e = queue_job(r, &job);
    if (e == E_CONFLICT) {
        CLEANUP(tx_end) struct tx tx = {0};
        refresh_ask();
        TRY(tx_read(c, &tx));
        e = job_by_lock(c, job.lock_key, &job);
        if (e == E_NOT_FOUND) /* it ended meanwhile */
            return reply_empty(r, 202);
    }
    TRY(e);
    return reply_job(r, &job);
}
