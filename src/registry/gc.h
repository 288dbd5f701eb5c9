/* Garbage collection, online: condemn, second look, tombstone, delete, forget. */
#ifndef REGISTRY_GC_H
#define REGISTRY_GC_H

#include "base/ctx.h"
#include "base/field.h"
#include "registry/progress.h"

struct gc_report {
    int64_t condemned, deleted, bytes, failed;
};
/* Who follows a run: lines for a terminal; after each batch the figures so far, where false ends
   the run with what it did. Both may be NULL. */
struct gc_watch {
    progress_fn *say;
    bool (*step)(void *arg, const struct gc_report *so_far);
    void *arg;
};
/* What a run as a job is asked for; a dry run only counts. */
struct gc_params {
    bool dry_run;
    int64_t grace_s;
};
extern const struct field gc_params_fields[];

/* What a job's row says in the end. */
struct gc_result {
    int64_t blobs, bytes, condemned;
    bool dry_run;
};
extern const struct field gc_result_fields[];

#define GC_PAUSE_S 600 /* between condemning and deleting; 0 with grace 0 */
/* grace_s: minimum age of candidates. Safe at any grace for referenced blobs and leased pushes.
   watch may be NULL. */
enum err gc_run(struct ctx *c, int64_t grace_s, const struct gc_watch *watch,
                struct gc_report *out);

/* Frees those of the blobs (by id) that have no reference and no lease, at once; readers keep what
   they have open. *bytes_out: what was freed. */
enum err gc_free(struct ctx *c, const int64_t *blob_ids, size_t n, int64_t *bytes_out);

/* The process ends: whatever runs stops at its next step, with E_UNAVAILABLE. */
void gc_stop(void);
bool gc_stopping(void);

#endif
