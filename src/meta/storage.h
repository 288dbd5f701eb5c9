/* What the store holds, and what of it could go: the figures of the storage page and of GC. */
#ifndef META_STORAGE_H
#define META_STORAGE_H

#include "meta/db.h"

struct storage_totals {
    int64_t blobs, blob_bytes;          /* objects with bytes, each once */
    int64_t manifests, manifest_bytes;  /* in the database, one per repository that has it */
    int64_t shared_blobs, shared_bytes; /* of the blobs: those that several projects hold */
    int64_t saved_bytes;                /* what they would take more if each project had its own */
    int64_t uploads, upload_bytes;      /* that have not ended */
};
/* Reads every blob's row and link once: for a page, not for a probe. */
enum err storage_totals(struct ctx *c, struct storage_totals *out);

struct storage_project {
    int64_t project_id, registry_id, used, limit; /* bytes; limit -1 = none */
    struct str name;
};
extern const struct field storage_project_fields[];
/* The n that use most, of storage_project. */
enum err storage_projects(struct ctx *c, int64_t n, struct list *out);

/*
 * Blobs that garbage collection has on its list, by what it would do with them at this moment:
 *   now        nothing references them: condemned by the next run
 *   young      the same, but younger than the grace; `until` is when the last of them is old enough
 *   leased     a push may still need them; until = the end of the last lease
 *   condemned  waits for the second look; until = when the last of them is due
 *   deleting   given up, its bytes are being deleted
 */
struct storage_reclaim {
    struct str reason;
    int64_t blobs, bytes;
    struct timestamp until; /* 0 = now */
};
extern const struct field storage_reclaim_fields[];
enum err storage_reclaim(struct ctx *c, int64_t grace_s, int64_t pause_s, struct list *out);

/* What a run would find: candidates that are due, condemned ones that are ripe, and tombstones. */
struct storage_pending {
    int64_t due, ripe, dying;
};
enum err storage_pending(struct ctx *c, int64_t grace_s, int64_t pause_s,
                         struct storage_pending *out);

/* Of blobs with bytes: those whose last proof is older. */
enum err storage_unproven(struct ctx *c, struct timestamp before, int64_t *blobs, int64_t *bytes);

#endif
