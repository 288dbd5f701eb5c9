/* Storing blobs, manifests and tags, for users, the proxy and (later) replication and import. */
#ifndef REGISTRY_PUSH_H
#define REGISTRY_PUSH_H

#include "base/digest.h"
#include "registry/pull.h"
#include "rule/origin.h"

/* Bytes that are durable under key become a blob of the repository. Charges the quota. */
enum err push_blob(struct ctx *c, const struct place *at, enum origin origin, struct str key,
                   const struct digest *d, int64_t size);
/* Mounts from another repository; the caller has checked rights on both sides. E_BLOB_UNKNOWN. */
enum err push_mount(struct ctx *c, const struct place *at, const struct digest *d,
                    int64_t from_project_id, struct str from_repository);

struct pushed_manifest {
    struct str digest, subject_digest;
    int64_t artifact_id;
    bool created;
};
/* reference: tag or digest (which must match); content_type as sent. One transaction: blobs
   required, artifact, references, tag, quota, event. Not inside a transaction, nor the others. */
enum err push_manifest(struct ctx *c, const struct place *at, enum origin origin,
                       struct str reference, struct str content_type, struct str payload,
                       struct pushed_manifest *out);
/* The event of a tag that moved, in the transaction that moves it. */
enum err push_tell(struct ctx *c, const struct place *at, struct str digest, struct str tag);
/* Another tag on an artifact that is here. */
enum err push_tag(struct ctx *c, const struct place *at, struct str digest, struct str tag);

#endif
