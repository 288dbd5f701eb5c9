/* Things there is one of: installation id, key ring, sealing key; and small tables around them. */
#ifndef META_STORE_H
#define META_STORE_H

#include "base/crypt.h"
#include "base/jwt.h"
#include "meta/db.h"

/* The installation's id (UUID), made at first start; iss of tokens, and in DATA/store-id. */
enum err store_id(struct ctx *c, struct str *out);
enum err value_get(struct ctx *c, struct str key, struct str *out); /* E_NOT_FOUND */
enum err value_set(struct ctx *c, struct str key, struct str value);

/* Keys of registry tokens, newest first, at most two; sealed at rest. */
enum err keyring_load(struct ctx *c, struct jwt_key keys[2], size_t *count);
enum err keyring_rotate(struct ctx *c);
/* The key that seals secrets, once for the process, before anything is read. */
void meta_set_seal_key(const struct seal_key *key);
bool meta_can_seal(void); /* has the key been set? */
const struct seal_key *meta_seal_key(void);

/* Browser sessions. The id is stored as its SHA-256. */
struct session {
    struct str id; /* plain, in the cookie */
    int64_t user_id, epoch;
    struct str csrf;
    struct timestamp expires;
};
enum err session_insert(struct ctx *c, const struct session *s, int64_t life_s);
enum err session_by_id(struct ctx *c, struct str id,
                       struct session *out); /* E_NOT_FOUND, expired */
enum err session_touch(struct ctx *c, struct str id, int64_t life_s);
enum err session_delete(struct ctx *c, struct str id);
enum err session_sweep(struct ctx *c);

/* Consequences of a change, written in its transaction, read by jobs. */
enum err event_emit(struct ctx *c, const char *kind, int64_t project_id, struct str payload_json);
enum err event_emit_all(struct ctx *c, const char *kind, int64_t project_id,
                        const struct strs *payloads); /* one for each, in this order */

/* Pulls, flushed once a second by registry/tally.c in one transaction. */
struct pull_count {
    int64_t repository_id, artifact_id, tag_id, count;
    struct timestamp last;
};
enum err pulls_add(struct ctx *c, const struct pull_count *pulls, size_t n);
#define PULL_DAYS 30                 /* so many days (UTC, today among them) are kept apart */
enum err pulls_sweep(struct ctx *c); /* days before them */

/* What upstreams said of their pull limits: the last word per endpoint and credential. */
struct upstream_quota {
    int64_t endpoint_id;
    struct str credential; /* user name or "anonymous" */
    int64_t limit_pulls, remaining, window_s;
    struct str source;
    struct timestamp seen_at;
};
extern const struct field upstream_quota_fields[];
enum err upstream_quota_put(struct ctx *c, const struct upstream_quota *q);
enum err upstream_quota_list(struct ctx *c, struct list *out);

/* Retention policies: stored whole as Harbor's JSON; the rules come with their issue. */
enum err retention_insert(struct ctx *c, int64_t project_id, struct str policy_json, int64_t *id);
enum err retention_by_id(struct ctx *c, int64_t id, struct str *policy_json);

#endif
