/*
 * The OCI client to upstream registries: challenges and tokens, HEAD and GET of manifests, blobs,
 * tags, referrers; the vendor's differences from the table in peer/vendor.h; what each answer said
 * about pull limits. Talks through net/client.h alone. Takes no decisions.
 */
#ifndef PEER_OCI_H
#define PEER_OCI_H

#include "base/digest.h"
#include "meta/endpoint.h"
#include "net/client.h"

struct upstreams; /* tokens per (realm, service, scope, credential), quota seen; per process */
struct upstreams *upstreams_new(void);
void upstreams_free(struct upstreams *u);

/* What an answer said, beside its content. Filled whenever there was an answer at all. */
struct oci_status {
    int http;                           /* 0 = no answer (dial, TLS, timeout) */
    int64_t retry_after_s;              /* 0 = not given */
    bool pull_limit;                    /* 429 that means the pull limit, not the abuse limit */
    int64_t limit, remaining, window_s; /* -1 = not given */
    struct str source;                  /* docker-ratelimit-source */
    struct str reason;                  /* upstream's own words, shortened, printable */
};

struct oci_manifest {
    struct str digest; /* of the header, or computed from the body */
    struct str media_type;
    int64_t size;
    struct str payload; /* empty after HEAD, unless only a GET could tell the digest */
};

/* Manifests. ref is a tag or a digest; repo is the upstream's own name ("library/nginx").
   Errors: E_MANIFEST_UNKNOWN (404), E_TOO_MANY (429), E_DENIED (401, 403 after the token),
   E_UPSTREAM (5xx, broken answer: digest differs, over 4 MiB), E_UPSTREAM_TIMEOUT. */
enum err oci_head_manifest(struct ctx *c, const struct endpoint *e, struct str repo, struct str ref,
                           int64_t budget_ms, struct oci_manifest *out, struct oci_status *st);
enum err oci_get_manifest(struct ctx *c, const struct endpoint *e, struct str repo, struct str ref,
                          struct oci_manifest *out, struct oci_status *st);
/* E_BLOB_UNKNOWN; *size_out -1 when upstream does not say. */
enum err oci_head_blob(struct ctx *c, const struct endpoint *e, struct str repo,
                       const struct digest *d, int64_t *size_out, struct oci_status *st);
/* Streams from offset; the sink sees 200 (offset 0) or a 206 whose start was checked. Always begins
   at the registry, not at an old redirect target. */
enum err oci_get_blob(struct ctx *c, const struct endpoint *e, struct str repo,
                      const struct digest *d, int64_t offset, const struct client_sink *sink,
                      struct oci_status *st);
/* All pages, at most 10,000 names a page cap of 100 pages. */
enum err oci_tags(struct ctx *c, const struct endpoint *e, struct str repo, struct strs *out,
                  struct oci_status *st);
/* The referrers index as upstream gives it, its pages (20 and 4 MiB at most, E_UPSTREAM over it) in
   one; artifact_type may be empty. */
enum err oci_referrers(struct ctx *c, const struct endpoint *e, struct str repo, struct str digest,
                       struct str artifact_type, struct str *index_out, struct oci_status *st);
/* GET /v2/ with credentials. */
enum err oci_ping(struct ctx *c, const struct endpoint *e, struct oci_status *st);

#endif
