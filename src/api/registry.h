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

#endif
