/* What the OCI client and the token flow share: one endpoint being asked, and reading an answer. */
#ifndef PEER_ASKER_H
#define PEER_ASKER_H

#include "meta/endpoint.h"
#include "net/client.h"
#include "net/url.h"
#include "peer/oci.h"
#include "peer/vendor.h"

struct asker {
    const struct endpoint *endpoint;
    const struct vendor *vendor; /* may be NULL */
    struct client_target target;
    struct url base;  /* where /v2/ is, with its prefix */
    int64_t deadline; /* monotonic ms; 0 = none */
};

/* budget_ms 0 = no deadline beside the client's own. */
enum err asker_init(struct ctx *c, const struct endpoint *e, int64_t budget_ms, struct asker *out);
/* client_do within the deadline, counted in the metrics. */
enum err asker_do(struct ctx *c, const struct asker *a, struct client_call *call,
                  struct client_answer *out);

void oci_status_clear(struct oci_status *st);
/* Status, limits, Retry-After and reason of an answer. */
void oci_status_note(struct ctx *c, const struct client_answer *answer, bool manifest,
                     struct oci_status *st);
/* The error for a status that is not 2xx; not_found is for 404. Sets c->retry_after. */
enum err oci_status_error(struct ctx *c, const struct asker *a, const struct oci_status *st,
                          enum err not_found);
/* Up to 200 printable ASCII characters of a stranger's text, in c->mem. */
struct str printable(struct ctx *c, struct str text);

#endif
