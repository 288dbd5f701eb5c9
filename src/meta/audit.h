/* What fsck asks of the rows, and the few repairs that it makes in them. */
#ifndef META_AUDIT_H
#define META_AUDIT_H

#include "meta/blob.h"

/* Manifests with their payloads, in id order, after after_id. */
struct audit_artifact {
    int64_t id, repository_id, project_id, registry_id, state;
    struct str digest, media_type, subject_digest, payload;
};
enum err audit_artifacts(struct ctx *c, int64_t after_id, int64_t n, struct list *out);
/* Digests of the blobs, and of the children, that an artifact's rows reference. */
enum err audit_blob_refs(struct ctx *c, int64_t artifact_id, struct strs *out);
enum err audit_child_refs(struct ctx *c, int64_t artifact_id, struct strs *out);
enum err audit_add_blob_ref(struct ctx *c, int64_t artifact_id, int64_t blob_id);
enum err audit_set_subject(struct ctx *c, int64_t artifact_id, struct str subject_digest);

/* "project/repository:tag -> digest" of tags that point outside their repository or at a manifest
   that is not here; "project/repository@digest needs digest" of references to blobs that garbage
   collection was about to delete, and in ordinary projects of blobs that are not here. */
enum err audit_bad_tags(struct ctx *c, int64_t n, struct strs *out);
enum err audit_bad_refs(struct ctx *c, int64_t n, struct strs *out);
/* "project/repository:tag" or "project/repository@digest" of what needs the blob. */
enum err audit_users(struct ctx *c, int64_t blob_id, int64_t n, struct strs *out);
/* Is the blob in an ordinary project (nobody can fetch it again)? */
enum err audit_is_original(struct ctx *c, int64_t blob_id, bool *out);

/* Is the key of a blob, or an intent? */
enum err audit_knows_key(struct ctx *c, struct str key, bool *out);
enum err audit_projects(struct ctx *c, struct i64s *out);
/* Rows that somebody should have dealt with an hour ago. */
enum err audit_overdue(struct ctx *c, int64_t *deleting, int64_t *uploads);

#endif
