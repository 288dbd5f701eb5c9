/* The kinds of jobs; rows in kinds.c. */
#ifndef JOBS_KINDS_H
#define JOBS_KINDS_H

#include "jobs/worker.h"

/* gc: {"dry_run": false, "grace_s": the setting}. Counts blobs; result {"blobs", "bytes"}: what it
   freed, or would free. */
enum err gc_job(struct ctx *c, struct job_run *r);

/* bulk: {"action": one of registry/bulk.h, "items"}. Counts steps; result {"freed", "refused"}. */
enum err bulk_job(struct ctx *c, struct job_run *r);

/* scrub: every blob whose last proof is older than scrub.interval_s. Counts bytes. */
enum err scrub_job(struct ctx *c, struct job_run *r);
/* refresh: the cached tags that somebody pulled lately. Counts tags. */
enum err refresh_job(struct ctx *c, struct job_run *r);

#endif
