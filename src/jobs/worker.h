/*
 * The worker: claims queued jobs (meta/job.h), runs each on a thread of its own, a few at once,
 * and writes their progress once a second. A kind of job is a row of job_kinds and a file.
 *
 * What api and registry want done is a row that they insert; they never call anything here.
 */
#ifndef JOBS_WORKER_H
#define JOBS_WORKER_H

#include "meta/job.h"

#define JOBS_AT_ONCE 4

struct worker;

/* sv is used until worker_stop says true. It asks every job to stop and waits ten seconds; false:
   one still runs, and the process should end without taking down what it uses. NULL is fine. */
enum err worker_start(struct ctx *c, struct services *sv, struct worker **out);
bool worker_stop(struct worker *w);

/* ---- a kind ---------------------------------------------------------------------------------- */

struct job_run; /* a job under way, as its kind sees it; any thread may call what follows */

/*
 * Runs it to its end, outside any transaction. It may be killed at any line; what it did until then
 * must be good. An error is the job's end as "failed" with c->msg; single things that failed are
 * noted by job_failed and do not end it.
 */
struct job_kind {
    const char *name;
    enum err (*run)(struct ctx *c, struct job_run *r);
};
extern const struct job_kind job_kinds[]; /* kinds.c; ends with a NULL name */

const struct job *job_of(const struct job_run *r);
/* How much there is to do (0 = not known), and how much of it is done. */
void job_total(struct job_run *r, int64_t total);
void job_done(struct job_run *r, int64_t done);
void job_failed(struct job_run *r, struct str item, const char *reason);
/* One line for people: what it does now. */
void job_say(struct job_run *r, const char *fmt, ...) PRINTF(2, 3);
/* What came of it, a JSON object. */
void job_result(struct job_run *r, struct str json);
/* Should it stop? Asked by somebody, or the process ends. Ask between steps, then return E_OK. */
bool job_stopping(struct job_run *r);

#endif
