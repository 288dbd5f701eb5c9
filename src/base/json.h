/*
 * JSON. Reading: one strict scan of a stranger's bytes (depth, number of values, UTF-8, no
 * duplicate keys at one level of the root object), then jansson. Writing: a stream into a buf.
 * Manifests are never re-serialised; their bytes are kept as they came.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/ctx.h"

#include <jansson.h>

#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX 65536

/* E_BAD_REQUEST with the reason: too deep, too many values, not UTF-8, not JSON. No recursion. */
enum err json_scan(struct ctx *c, struct str text);
/* Scans, then parses; duplicate keys are refused. The value is freed with json_decref by the
   caller (CLEANUP(json_done)). */
enum err json_parse(struct ctx *c, struct str text, json_t **out);
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
void put_raw(struct json_out *j, struct str json); /* finished JSON, as it is */

#endif
