/* The handlers of /v2 (OCI Distribution Spec 1.1) and what they share. Rows in registry_routes.c.
 */
#ifndef API_REGISTRY_H
#define API_REGISTRY_H

#include "api/call.h"

handler registry_base, catalog_get, manifest_get, manifest_put, manifest_delete, blob_get,
    blob_delete, uploads_post, uploads_patch, uploads_put, uploads_status, uploads_delete, tags_get,
    referrers_get;

/* A path of ours for Location: absolute when external_url is set, else relative, which every
   front proxy leaves right (RFC 9110, section 10.2.2). */
void registry_location(struct call *r, const char *fmt, ...) PRINTF(2, 3);
/* E_DENIED in Harbor's words when the project is a proxy project. */
enum err registry_push_gate(struct call *r);
/* n and last of tags/list and _catalog: n 1..10000, absent = 10000. *none: n=0 was given. */
enum err registry_page(struct call *r, int64_t *n, struct str *last, bool *none);
/* Link to the page after `last`. */
void registry_next(struct call *r, int64_t n, struct str last);
/* Does If-None-Match name the digest as an entity tag, or "*"? */
bool registry_not_modified(struct call *r, struct str digest);
/* Etag and Docker-Content-Digest. */
void registry_digest_headers(struct call *r, struct str digest);

/* One range of a Range header (RFC 9110, section 14.1.2), before the size is known. */
struct byte_range {
    bool given;        /* false: absent, not ours to honour, malformed, or more than one */
    int64_t from, end; /* from -1: the last `end` bytes; end -1: to the last byte; end exclusive */
};
struct byte_range range_parse(struct str header);
/* Fits it into size; false = 416. */
bool range_fit(const struct byte_range *range, int64_t size, int64_t *from, int64_t *end);
/* "5-9" or "bytes 5-9/10" of an upload chunk; false when malformed. end exclusive. */
bool content_range_parse(struct str header, int64_t *from, int64_t *end);

#endif
