/*
 * Pulls through proxy projects: the answer of the store is known, the upstream is asked when
 * rule/fresh.h says so. registry/pull.c calls these after its own look, with no transaction open.
 *
 * Refusals carry the upstream's true status: ctx.status and ctx.retry_after are set where the
 * error's own status does not say it. 404 is said only when the upstream said 404 or the project's
 * filter hides the name.
 */
#ifndef REGISTRY_PROXY_H
#define REGISTRY_PROXY_H

#include "meta/artifact.h"
#include "registry/pull.h"

/* local: what the store holds for the reference, verified, or NULL. */
enum err proxy_manifest(struct ctx *c, const struct place *at, struct str reference, bool head,
                        const struct manifest_row *local, struct pulled_manifest *out);

/* A blob that is not ACTIVE and linked in the repository (or whose bytes are missing). */
enum err proxy_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                    int64_t from, struct pulled_blob *out);
/* Blocks until the digest of a blob that is still filling is proven: for proxy.range "wait". */
enum err proxy_blob_settle(struct ctx *c, struct pulled_blob *b);

/* Names after `last`, sorted bytewise, at most n: ours united with all of the upstream's. *more:
   names follow. The upstream's failure leaves ours alone. */
enum err proxy_tags(struct ctx *c, const struct place *at, struct str last, int64_t n,
                    struct strs *out, bool *more);

/* The upstream's referrers index of a digest, as it gives it; *found false: answer from the store
   (the upstream has no referrers API, cannot be asked, or the project says no). */
enum err proxy_referrers(struct ctx *c, const struct place *at, struct str digest,
                         struct str artifact_type, struct str *index_out, bool *found);

#endif
