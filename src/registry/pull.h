/*
 * Pulling manifests and blobs, local and through proxy projects: the use case behind GET and HEAD.
 * registry/pull.c answers what the store holds; a proxy project goes on to registry/proxy.c.
 */
#ifndef REGISTRY_PULL_H
#define REGISTRY_PULL_H

#include "base/digest.h"
#include "meta/project.h"
#include "net/http.h"
#include "registry/outcome.h"

/* Where a pull goes: found by the dispatcher, rights checked. */
struct place {
    struct project_access *access; /* project, endpoint, roles */
    struct principal *principal;
    struct str repository; /* path in the project: "library/nginx" */
    bool may_push;         /* HEAD by such a principal extends leases */
    bool background;       /* nobody's own pull: not counted as one */
};

struct pulled_manifest {
    struct str digest, media_type, payload, subject_digest;
    int64_t size;
    enum outcome outcome;
    bool stale; /* served although upstream could not be asked: Warning: 110 */
};

/* E_MANIFEST_UNKNOWN, or what the proxy says. In one read transaction for local content. */
enum err pull_manifest(struct ctx *c, const struct place *at, struct str reference, bool head,
                       struct pulled_manifest *out);

struct pulled_blob {
    struct str digest;
    int64_t size;     /* -1 = not known yet (flight without a length) */
    struct body body; /* from offset 0 to size; the caller narrows it for Range */
    bool filling;     /* still arriving: a 206 from it says Cove-Verified: no */
    enum outcome outcome;
};

/* head: no body is opened. from: the offset that a Range asks for (0 otherwise), so that a far
   range of a blob still filling may get a fetch of its own. E_BLOB_UNKNOWN, or the proxy's. */
enum err pull_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                   int64_t from, struct pulled_blob *out);

#endif
