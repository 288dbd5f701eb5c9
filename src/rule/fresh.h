/*
 * What a proxy project does with a manifest request: the per-status table of the proxy cache, as a
 * pure function. The caller asks again after each thing it learns of the upstream, so the answers
 * form a short straight line: SERVE, or REVALIDATE and then SERVE, FETCH, STALE or REFUSE.
 */
#ifndef RULE_FRESH_H
#define RULE_FRESH_H

#include "base/err.h"

enum fresh_verdict {
    FRESH_SERVE,      /* the cached copy, without a warning */
    FRESH_REVALIDATE, /* one HEAD by tag first */
    FRESH_FETCH,      /* GET it, by digest when one is known */
    FRESH_STALE,      /* the cached copy, with Warning: 110 */
    FRESH_REFUSE,     /* nothing to serve: fresh_answer.err says with what */
};

/* What the upstream said so far. */
enum fresh_heard {
    HEARD_NOTHING,
    HEARD_SAME,        /* 200, the digest that the tag has here */
    HEARD_HERE,        /* 200, another digest, whose manifest is here */
    HEARD_NEW,         /* 200, a digest that is not here */
    HEARD_HELD,        /* 200, another digest, which is too young for the project (rule/hold.h) */
    HEARD_UNSURE,      /* 200 or 405 without a digest: a GET must tell */
    HEARD_NOT_FOUND,   /* 404 */
    HEARD_PULL_LIMIT,  /* 429 of the pull limit */
    HEARD_BUSY,        /* any other 429 */
    HEARD_DENIED,      /* 401, 403 after the token, and the policy's refusals */
    HEARD_BROKEN,      /* 5xx, no connection, nonsense */
    HEARD_TIMEOUT,     /* no answer in time */
    HEARD_OVER_BUDGET, /* no answer yet, and the project's budget is used up */
};

/* In which state the endpoint is; its owner keeps it (registry/condition.h). */
enum fresh_endpoint {
    ENDPOINT_OPEN,
    ENDPOINT_OFFLINE,    /* proxy.offline: ask nobody */
    ENDPOINT_BROKEN,     /* breaker open */
    ENDPOINT_BUSY,       /* told to back off (429 that is not the pull limit) */
    ENDPOINT_PULL_LIMIT, /* pull limit reached; nothing may be asked until the next probe */
    ENDPOINT_NO_GETS,    /* pull limit reached; this caller carries the probe: HEAD only */
    ENDPOINT_PAUSED,     /* an operator has paused or drains it */
};

/* clang-format off */
#define FRESH_REASON_LIST(X)                                                                       \
    X(DIGEST, "a digest is fresh for ever")                                                        \
    X(WINDOW, "checked within the freshness window")                                               \
    X(PINNED, "the tag was pointed here by hand")                                                  \
    X(HELD, "upstream's digest is new and held back")                                              \
    X(ASK, "upstream must be asked")                                                               \
    X(SAME, "upstream has the same digest")                                                        \
    X(MOVED, "upstream moved the tag")                                                             \
    X(MISSING, "not cached")                                                                       \
    X(GONE, "not found upstream")                                                                  \
    X(OFFLINE, "offline: only the cache is served")                                                \
    X(PAUSED, "paused by an operator")                                                             \
    X(BREAKER, "upstream failed repeatedly and is left alone for a moment")                        \
    X(BUSY, "too many requests to the upstream registry")                                          \
    X(PULL_LIMIT, "the upstream's pull limit is used up")                                          \
    X(DENIED, "the upstream denies access")                                                        \
    X(BROKEN, "the upstream is not reachable or answers with an error")                            \
    X(TIMEOUT, "the upstream did not answer in time")                                              \
    X(BUDGET, "the upstream is slower than the project's budget")
/* clang-format on */

enum fresh_reason {
#define X(name, text) FRESH_##name##_REASON,
    FRESH_REASON_LIST(X)
#undef X
        FRESH_REASON_COUNT
};

struct fresh_question {
    bool by_digest;
    bool cached;         /* the manifest that the reference names is here, with its payload */
    bool pinned;         /* pointed by hand: upstream is not asked */
    int64_t age_s;       /* since upstream confirmed the tag; -1 = never */
    int64_t window_s;    /* how long a confirmed tag is fresh; 0 = not at all */
    int64_t max_stale_s; /* longest age of a stale answer; -1 = no limit */
    bool keep_gone;      /* proxy_cache_local_on_not_found */
    enum fresh_endpoint endpoint;
    enum fresh_heard heard;
};

struct fresh_answer {
    enum fresh_verdict verdict;
    enum fresh_reason reason;
    enum err err; /* of REFUSE: E_MANIFEST_UNKNOWN, E_TOO_MANY, E_UPSTREAM, ...; else E_OK */
};

struct fresh_answer fresh_decide(const struct fresh_question *q);
const char *fresh_reason_text(enum fresh_reason r);

#endif
