/* fsck: is what the store promises true? */
#ifndef REGISTRY_FSCK_H
#define REGISTRY_FSCK_H

#include "base/ctx.h"
#include "registry/progress.h"

struct fsck_report {
    int64_t blobs, manifests, findings, repaired, lost;
    int exit_code; /* 0 clean, 1 repaired, 2 needs a human, 3 data lost */
};
/* full: hashes every object and looks for objects without a row; else every hundredth is hashed.
   say may be NULL. E_UNAVAILABLE when gc_stop was called. */
enum err fsck_run(struct ctx *c, bool full, progress_fn *say, void *arg, struct fsck_report *out);

#endif
