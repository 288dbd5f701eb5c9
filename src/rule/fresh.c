/*
 * The proxy cache's decision table, pure: a question in, a verdict with its reason out.
 *
 * It keeps three rules. A digest that is here is served without asking anybody. Whatever trouble
 * the upstream has, a cached tag is served (stale) and only the lack of a copy makes the trouble
 * the client's. And a refusal carries the upstream's true kind of trouble: 404 is said only when
 * the upstream said 404.
 */
#include "rule/fresh.h"

/* One line per kind of trouble: why, and the error when nothing is cached. */
struct trouble {
    enum fresh_reason reason;
    enum err err;
};

static struct fresh_answer say(enum fresh_verdict verdict, enum fresh_reason reason)
{
    return (struct fresh_answer){.verdict = verdict, .reason = reason, .err = E_OK};
}

static bool too_old(const struct fresh_question *q)
{
    return q->max_stale_s >= 0 && (q->age_s < 0 || q->age_s > q->max_stale_s);
}

/* The upstream cannot be asked or did not answer well: the copy if there is one, else the truth. */
static struct fresh_answer in_trouble(const struct fresh_question *q, struct trouble t)
{
    if (q->cached && (q->by_digest || !too_old(q)))
        return say(FRESH_STALE, t.reason);
    return (struct fresh_answer){.verdict = FRESH_REFUSE, .reason = t.reason, .err = t.err};
}

static const struct trouble pull_limit = {FRESH_PULL_LIMIT_REASON, E_TOO_MANY};

/* Nothing is known of the upstream yet: may it be asked at all? */
static struct fresh_answer before_asking(const struct fresh_question *q)
{
    if (q->cached && q->by_digest)
        return say(FRESH_SERVE, FRESH_DIGEST_REASON);
    if (q->cached && q->pinned)
        return say(FRESH_SERVE, FRESH_PINNED_REASON);
    if (q->cached && q->age_s >= 0 && q->age_s < q->window_s)
        return say(FRESH_SERVE, FRESH_WINDOW_REASON);
    switch (q->endpoint) {
    case ENDPOINT_OFFLINE:
        if (q->cached)
            return say(FRESH_SERVE, FRESH_OFFLINE_REASON);
        return in_trouble(q, (struct trouble){FRESH_OFFLINE_REASON, E_UNAVAILABLE});
    case ENDPOINT_PAUSED:
        return in_trouble(q, (struct trouble){FRESH_PAUSED_REASON, E_UNAVAILABLE});
    case ENDPOINT_BROKEN:
        return in_trouble(q, (struct trouble){FRESH_BREAKER_REASON, E_UNAVAILABLE});
    case ENDPOINT_BUSY: return in_trouble(q, (struct trouble){FRESH_BUSY_REASON, E_TOO_MANY});
    case ENDPOINT_PULL_LIMIT: return in_trouble(q, pull_limit);
    case ENDPOINT_NO_GETS: return say(FRESH_REVALIDATE, FRESH_ASK_REASON);
    case ENDPOINT_OPEN: break;
    }
    if (q->by_digest)
        return say(FRESH_FETCH, FRESH_MISSING_REASON);
    return say(FRESH_REVALIDATE, FRESH_ASK_REASON);
}

/* The upstream has something that is not here: fetching it costs a pull. */
static struct fresh_answer fetch(const struct fresh_question *q)
{
    if (q->endpoint == ENDPOINT_NO_GETS || q->endpoint == ENDPOINT_PULL_LIMIT)
        return in_trouble(q, pull_limit);
    if (q->endpoint != ENDPOINT_OPEN)
        return before_asking(q);
    return say(FRESH_FETCH, q->cached ? FRESH_MOVED_REASON : FRESH_MISSING_REASON);
}

struct fresh_answer fresh_decide(const struct fresh_question *q)
{
    switch (q->heard) {
    case HEARD_NOTHING: return before_asking(q);
    case HEARD_SAME: return say(FRESH_SERVE, FRESH_SAME_REASON);
    case HEARD_HERE: return say(FRESH_SERVE, FRESH_MOVED_REASON);
    case HEARD_HELD:
        if (q->cached)
            return say(FRESH_SERVE, FRESH_HELD_REASON);
        return (struct fresh_answer){FRESH_REFUSE, FRESH_HELD_REASON, E_DENIED};
    case HEARD_NEW:
    case HEARD_UNSURE: return fetch(q);
    case HEARD_NOT_FOUND:
        if (q->keep_gone)
            return in_trouble(q, (struct trouble){FRESH_GONE_REASON, E_MANIFEST_UNKNOWN});
        return (struct fresh_answer){FRESH_REFUSE, FRESH_GONE_REASON, E_MANIFEST_UNKNOWN};
    case HEARD_PULL_LIMIT: return in_trouble(q, pull_limit);
    case HEARD_BUSY: return in_trouble(q, (struct trouble){FRESH_BUSY_REASON, E_TOO_MANY});
    case HEARD_DENIED: return in_trouble(q, (struct trouble){FRESH_DENIED_REASON, E_UPSTREAM});
    case HEARD_BROKEN: return in_trouble(q, (struct trouble){FRESH_BROKEN_REASON, E_UPSTREAM});
    case HEARD_TIMEOUT:
        return in_trouble(q, (struct trouble){FRESH_TIMEOUT_REASON, E_UPSTREAM_TIMEOUT});
    case HEARD_OVER_BUDGET:
        /* A copy that is too old to be served stale is waited for. */
        if (q->cached && !too_old(q))
            return say(FRESH_STALE, FRESH_BUDGET_REASON);
        return say(FRESH_REVALIDATE, FRESH_BUDGET_REASON);
    }
    return (struct fresh_answer){FRESH_REFUSE, FRESH_BROKEN_REASON, E_UPSTREAM};
}

const char *fresh_reason_text(enum fresh_reason r)
{
    static const char *const text[] = {
#define X(name, t) [FRESH_##name##_REASON] = (t),
        FRESH_REASON_LIST(X)
#undef X
    };
    return text[r];
}
