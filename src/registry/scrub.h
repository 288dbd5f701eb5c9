/* Scrub: objects are hashed again before time has let their bytes rot unseen. */
#ifndef REGISTRY_SCRUB_H
#define REGISTRY_SCRUB_H

#include "registry/gc.h"

struct scrub_report {
    int64_t blobs, bytes, broken;
};
/* Who follows a run, as with gc: lines, and the figures so far, where false ends it. */
struct scrub_watch {
    progress_fn *say;
    bool (*step)(void *arg, const struct scrub_report *so_far);
    void *arg;
};
/*
 * Hashes every blob that was last proven older_than_s seconds ago or longer, the oldest proof
 * first, reading rate_mib MiB a second at most (0 = as fast as it goes). What is missing or has
 * other bytes is quarantined: its pulls answer 503, in a proxy project it is fetched again, and a
 * push of the same content heals it. E_UNAVAILABLE when gc_stop was called or
 * the one who watches ended it. watch may be NULL.
 */
enum err scrub_run(struct ctx *c, int64_t older_than_s, int64_t rate_mib,
                   const struct scrub_watch *watch, struct scrub_report *out);

#endif
