/* Upstream registries (Harbor's Registry object). Secrets are sealed with the store's key. */
#ifndef META_ENDPOINT_H
#define META_ENDPOINT_H

#include "meta/list.h"

struct endpoint {
    int64_t id;
    struct str name, description, type, url;
    bool insecure;
    struct str ca_certificate;
    struct str credential_type, access_key;
    struct str access_secret; /* plain here, sealed in the row; never encoded */
    struct str status;        /* "healthy" | "unhealthy" */
    int64_t epoch;            /* bumped when URL, TLS settings or credential change */
    bool declared;            /* from cove.yml: read-only in the API */
    /* An operator asks for rest: "" (none), "paused" or "draining" (what is under way may end). */
    struct str halt, halted_by, halt_reason;
    struct timestamp halted_at;
    struct timestamp creation_time, update_time;
};
extern const struct field endpoint_fields[];

enum err endpoint_insert(struct ctx *c, struct endpoint *e); /* E_CONFLICT: the name is taken */
enum err endpoint_by_id(struct ctx *c, int64_t id, struct endpoint *out);
enum err endpoint_by_name(struct ctx *c, struct str name, struct endpoint *out);
enum err endpoint_list(struct ctx *c, const struct list_query *q, struct list *out, int64_t *total);
enum err endpoint_update(struct ctx *c, const struct endpoint *e);
/* Sets or, with an empty mode, ends the halt; writes the event that tells of it. */
enum err endpoint_halt(struct ctx *c, int64_t id, struct str mode, struct str reason);
/* Those that are halted: items are struct endpoint. */
enum err endpoint_halted(struct ctx *c, struct list *out);
enum err endpoint_delete(struct ctx *c, int64_t id); /* E_PRECONDITION while a project uses it */

#endif
