/*
 * What a project uses: the sum of the sizes of the distinct blobs and manifests that its
 * repositories hold (Harbor counts so), kept in project.storage_used and changed in the same
 * transaction as the links. Links whose lease is over and that no manifest needs end here.
 */
#ifndef META_USAGE_H
#define META_USAGE_H

#include "meta/blob.h"

/* Does any repository of the project hold the blob / an artifact of this digest? */
enum err usage_has_blob(struct ctx *c, int64_t project_id, int64_t blob_id, bool *out);

/* A blob's link to a repository: E_NOT_FOUND. lease_until 0 = never had one. */
struct blob_lease {
    int64_t repository_id;
    struct timestamp lease_until;
};
enum err usage_lease(struct ctx *c, int64_t project_id, struct str repository, int64_t blob_id,
                     struct blob_lease *out);
/* Does a manifest of the repository reference the blob? */
enum err usage_in_manifest(struct ctx *c, int64_t repository_id, int64_t blob_id, bool *out);

/* Takes the lock of a blob's row before its links are looked at; blobs before projects, always. */
enum err usage_lock_blob(struct ctx *c, int64_t blob_id);
/* Adds to the project's usage only what a manifest of this digest adds: the project is locked, then
   looked at. sign 1 after the artifact was put, -1 after it was deleted. Last in its transaction:
   the project's row is locked after all others, or two transactions wait for each other. */
enum err usage_charge_manifest(struct ctx *c, int64_t project_id, struct str digest, int64_t size,
                               int sign, bool enforce);
/*
 * Ends the links of blobs whose lease is over and that no manifest of their repository needs, and
 * gives the space back to their projects. Takes the blobs' locks first, then looks: a push that is
 * about to reference one holds it, or waits and finds the link gone.
 */
enum err usage_end_links(struct ctx *c, const struct i64s *blobs);
/* The same in its steps, for transactions that do more: the locks; the links, whatever their lease
   in a repository that is going; what they give back (projects' rows are locked last of all). */
enum err usage_lock_blobs(struct ctx *c, const struct i64s *blobs);
enum err usage_unlink(struct ctx *c, const struct i64s *blobs, struct list *refunds);
enum err usage_unlink_in(struct ctx *c, int64_t repository_id, const struct i64s *blobs,
                         struct list *refunds);
enum err usage_refund(struct ctx *c, const struct list *refunds);
/* Manifests that were deleted from a repository of the project, given back unless another of its
   repositories holds the digest. */
struct manifest_gone {
    struct str digest;
    int64_t size;
};
enum err usage_refund_manifests(struct ctx *c, int64_t project_id, const struct list *gone);
/* A link to a blob that was here already was made: it counts when it is the project's first. The
   project's row is locked, last in the transaction. */
enum err usage_linked(struct ctx *c, int64_t project_id, int64_t blob_id);
/* The bytes of an EXPECTED blob have come: every project that holds it pays from now on. */
enum err usage_arrived(struct ctx *c, int64_t blob_id, int64_t pusher_project, int64_t size,
                       bool enforce);
/* The true sum. */
enum err usage_sum(struct ctx *c, int64_t project_id, int64_t *bytes_out);
/* Sets storage_used to the true sum under the project's lock; *was_out is what stood there. */
enum err usage_recount(struct ctx *c, int64_t project_id, int64_t *was_out, int64_t *now_out);

#endif
