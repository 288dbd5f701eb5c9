/*
 * JSON. Reading: one strict scan of a stranger's bytes (depth, number of values, entries of an
 * object or list, UTF-8), then jansson, which refuses duplicate keys. Writing: a stream into a buf.
 * Manifests are never re-serialised; their bytes are kept as they came.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/ctx.h"

#include <jansson.h>

#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX 65536

/* What is asked beside depth and number of values, before a tree is built. */
struct json_limits {
    size_t entries; /* of one object or list */
    /* names of members; *seen: bit i when the root has names[i], or a name with an escape in it */
    const char *const *names;
    size_t name_count;
    unsigned *seen;
};
/* One pass over the bytes. limits may be NULL. E_BAD_REQUEST with the reason: too deep, too many
   values, not UTF-8, not JSON. No recursion. */
enum err json_scan(struct ctx *c, struct str text, const struct json_limits *limits);
/* Scans, then parses; duplicate keys are refused. The value is freed with json_decref by the
   caller (CLEANUP(json_done)), before another thread has any of it. E_UNAVAILABLE: no memory. */
enum err json_parse(struct ctx *c, struct str text, json_t **out);
/* The same of bytes that json_scan has passed. */
enum err json_build(struct ctx *c, struct str text, json_t **out);
void json_done(json_t **value);

/* Members of an object as text or number; false when absent or of another type. Views live as
   long as the value. */
bool json_get_str(const json_t *object, const char *key, struct str *out);
bool json_get_i64(const json_t *object, const char *key, int64_t *out);

/* Writer. Commas are its business. Errors (cap reached) show in out->full. */
struct json_out {
    struct buf *out;
    bool comma;
};

void put_open(struct json_out *j, char bracket);  /* '{' or '[' */
void put_close(struct json_out *j, char bracket); /* '}' or ']' */
void put_key(struct json_out *j, struct str key);
void put_str(struct json_out *j, struct str s); /* invalid UTF-8 becomes U+FFFD */
void put_i64(struct json_out *j, int64_t v);
void put_bool(struct json_out *j, bool v);
void put_null(struct json_out *j);
void put_raw(struct json_out *j, struct str json);  /* finished JSON, as it is */
void put_json(struct json_out *j, const json_t *v); /* what was read; as deep as it is */

/* Compact text of a value, in c->mem. E_TOO_LARGE over BUF_MAX or the budget of c. */
enum err json_text(struct ctx *c, const json_t *v, struct str *out);

#endif
