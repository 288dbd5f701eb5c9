/*
 * Questions to upstreams about manifests and blobs, asked once however many requests want the
 * answer at the same moment. The question runs on a thread of its own, so it goes on when the
 * request's budget is over: what it learns is in the store for the next one.
 */
#ifndef REGISTRY_ASK_H
#define REGISTRY_ASK_H

#include "peer/oci.h"
#include "registry/pull.h"
#include "rule/fresh.h"

struct asks;
struct asks *asks_new(struct services *sv); /* NULL when out of memory */
void asks_free(struct asks *as);            /* waits for the questions under way */

enum ask_kind {
    ASK_HEAD,      /* HEAD by tag or digest; moves or confirms the tag here */
    ASK_GET,       /* GET and store; ref is a digest, or a tag when HEAD gave no digest */
    ASK_HEAD_BLOB, /* ref is a blob's digest */
};

struct ask_want {
    enum ask_kind kind;
    const struct place *at;
    struct str ref;
    struct str tag;    /* GET: the tag to move, empty for a pull by digest */
    int64_t budget_ms; /* 0 = as long as it takes */
    bool keep_time;    /* HEAD: note the moment in the tag's row (a window or limit needs it) */
    bool cached;       /* HEAD: there is something to serve meanwhile, so it is tried once only */
};

struct ask_answer {
    enum fresh_heard heard;
    enum err err;                 /* what peer/oci.h said */
    struct oci_manifest manifest; /* HEAD and GET; in c->mem */
    int64_t size;                 /* HEAD_BLOB */
    int status;                   /* for a refusal: 429, 502, 503, 504 */
    int64_t retry_after_s;
    struct str reason;           /* the upstream's words or ours */
    struct timestamp held_until; /* HEARD_HELD: when the digest may be served */
    bool joined;                 /* another request had asked already */
};

/* E_OK with heard set, whatever the upstream said; HEARD_OVER_BUDGET when it said nothing yet.
   E_UNAVAILABLE when no thread is free. No transaction may be open. */
enum err ask(struct ctx *c, const struct ask_want *w, struct ask_answer *out);

#endif
