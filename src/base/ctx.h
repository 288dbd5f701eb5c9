/*
 * What every fallible function above base takes first: the memory of the request or job, the
 * process's long-lived services, the open transaction, and the reason of the last failure.
 */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include "base/err.h"
#include "base/str.h"

/* Named here, defined in their rooms: base knows that they exist and nothing else. */
struct db;
struct tx;
struct store;
struct client;
struct upstreams;
struct flights;
struct settings;

struct services {
    struct db *db;               /* meta/db.h */
    struct store *store;         /* blob/store.h */
    struct client *client;       /* net/client.h: the one way out */
    struct upstreams *upstreams; /* peer/oci.h: tokens, breakers, quota seen, per endpoint */
    struct flights *flights;     /* registry/flight.h */
    /* rule/settings.h; SIGHUP puts another one in its place, the old one is never freed */
    const struct settings *_Atomic settings;
};

struct ctx {
    struct arena mem;
    struct services *sv;
    struct tx *tx;         /* the open transaction, NULL outside */
    struct str request_id; /* empty in jobs and commands */
    struct str actor; /* who, in words, for journals and logs: "admin", "robot$ci", "anonymous" */
    int status;       /* overrides the error's HTTP status when not 0 (an upstream's own) */
    int64_t retry_after; /* seconds; sent with 429 and 503 when not 0 */
    char msg[512];       /* the reason, for the client; never a secret */
};

/* Notes the reason where it is known, once, and returns e. */
enum err fail(struct ctx *c, enum err e, const char *fmt, ...) PRINTF(3, 4);
/* The same with strerror(errno_value) behind the text. */
enum err fail_errno(struct ctx *c, enum err e, int errno_value, const char *fmt, ...) PRINTF(4, 5);
void ctx_release(struct ctx *c);

#endif
