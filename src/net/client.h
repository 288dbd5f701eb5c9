/*
 * The one way out: HTTP requests to strangers under one policy (which addresses, which redirects,
 * which credentials go where, how many bytes, how long). libcurl easy handles, pooled per
 * (endpoint, credential epoch), never shared across them.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "net/http.h"

struct client;

struct client_options {
    struct strs allow; /* CIDRs that API-made targets may have beside public ones */
    struct str proxy;  /* outbound.proxy */
    struct strs no_proxy;
    struct str ca_file;
};

enum err client_new(struct ctx *c, const struct client_options *o, struct client **out);
/* Every call that is under way or comes later fails with E_UNAVAILABLE, within a quarter of a
   second: the process ends. */
void client_stop(struct client *cl);
void client_free(struct client *cl);

/* Whom we talk to, for the pool, TLS and the address policy. */
struct client_target {
    int64_t endpoint_id; /* key of the pool, with epoch */
    int64_t epoch;       /* bumped when the credential changes */
    struct str base_url; /* scheme://host[:port][/prefix] */
    bool insecure;       /* skip TLS verification */
    struct str ca_pem;   /* extra CA, PEM text; may be empty */
    bool declared;       /* from cove.yml or env: its own host and port are always allowed */
};

struct client_sink { /* where a streamed body goes; called on the calling thread */
    /* After the final head of a 2xx answer (others are collected). Only E_OK goes on. */
    enum err (*head)(void *arg, int status, const struct header *headers, size_t count);
    enum err (*data)(void *arg, const void *p, size_t n);
    void *arg;
};

struct client_call {
    const struct client_target *target;
    enum http_method method;
    struct str url;               /* absolute */
    const struct header *headers; /* Authorization among them is dropped on other hosts */
    size_t header_count;
    struct str body;                   /* request body, for POST and PUT */
    size_t max_body;                   /* cap of a collected answer; 0 = 1 MiB */
    const struct client_sink *sink;    /* set: stream 2xx bodies there, uncapped */
    int64_t connect_ms, first_byte_ms; /* 0 = 3,000 and 15,000 */
    int64_t stall_s;                   /* give up below 1 KiB/s for so long; 0 = 30 */
    int64_t total_ms;                  /* 0 = none (streams), 30,000 otherwise */
};

struct client_answer {
    int status;
    const struct header *headers; /* <= 100, <= 64 KiB in all; in c->mem */
    size_t header_count;
    struct str body;      /* collected; empty when streamed */
    struct str final_url; /* after redirects */
};

/*
 * One request with at most 5 redirects. E_OK whatever the HTTP status. Errors: E_DENIED (the
 * policy refuses the address or the redirect; the reason names the key outbound.allow),
 * E_TOO_MANY (64 streams or 32 short calls of this endpoint are under way; c->retry_after),
 * E_UPSTREAM_TIMEOUT, E_UPSTREAM (connection, TLS, protocol, caps), E_UNAVAILABLE (stopped), or
 * what the sink returned.
 */
enum err client_do(struct ctx *c, struct client *cl, const struct client_call *call,
                   struct client_answer *out);

/* Is this URL's host allowed for that target (names are vetted when connecting)? For form checks
   at creation: E_BAD_REQUEST for schemes other than http and https, userinfo, fragments. */
enum err client_check_url(struct ctx *c, struct client *cl, const struct client_target *target,
                          struct str url);

struct str answer_header(const struct client_answer *a, const char *name);

#endif
