/*
 * Jobs: what takes longer than a request may. Whoever wants one inserts a row; a worker of some
 * node claims it (jobs/worker.h) and writes its progress there. A running row carries a lease, so
 * that one whose node is gone is told from one that works: it ends as "interrupted", and nothing is
 * run twice behind somebody's back.
 */
#ifndef META_JOB_H
#define META_JOB_H

#include "meta/db.h"

#define JOB_LEASE_S 60
#define JOBS_KEPT 500 /* ended ones, of all kinds together */
#define JOB_FAILED_MAX 100

/* States: queued, running, then one of done, failed, stopped, interrupted. */
struct job {
    int64_t id;
    struct str kind; /* a row of job_kinds (jobs/worker.c): "gc", "scrub", ... */
    struct str state;
    int64_t project_id;    /* 0 = the system's */
    struct str project;    /* its name; out only, empty when it is gone */
    struct str repository; /* empty = none */
    struct str actor;      /* who asked for it */
    int64_t by_id;         /* of that user or robot; 0 = neither, or not known */
    bool by_robot;
    struct raw_json params; /* an object, as the kind reads it; shown as {} when it is long */
    struct str lock_key;    /* not empty: one at a time that is queued or running */
    int64_t done, total;    /* of what the kind counts; total 0 = not known */
    int64_t failed_count;
    struct raw_json failed; /* the first JOB_FAILED_MAX: [{"item": ..., "reason": ...}] */
    struct raw_json result; /* an object, when it has ended */
    struct str message;     /* one line: what it does, or why it ended */
    bool stop;              /* somebody asked it to stop */
    struct timestamp created, started, ended;
};
extern const struct field job_fields[]; /* of rows */

/* Queues one, in a transaction of its own, and wakes this process's worker: kind, project_id,
   repository, actor, by_id, by_robot, params, lock_key are read; then *job is the row as it was
   queued, however soon somebody takes it. E_CONFLICT: another one with this lock_key is queued or
   running (c->msg says which). */
enum err job_queue(struct ctx *c, struct job *job);
/* The same for one that its caller runs itself, from now on: a command's. It writes its progress,
   at least every JOB_LEASE_S, and its end. */
enum err job_begin(struct ctx *c, struct job *job, struct str node);
enum err job_by_id(struct ctx *c, int64_t id, struct job *out); /* E_NOT_FOUND */
/* The one that is queued or running under this key. E_NOT_FOUND. */
enum err job_by_lock(struct ctx *c, struct str lock_key, struct job *out);
struct job_filter {
    int64_t project_id; /* -1 = all */
    struct str kind;    /* empty = all */
    bool live;          /* queued and running ones only */
    int64_t before;     /* an id; 0 = from the newest */
    int64_t n;
};
/* The newest first. There are never many: JOBS_KEPT and those that live. */
enum err job_list(struct ctx *c, const struct job_filter *f, struct list *out);

/* Asks it to stop; one that is queued ends at once. E_NOT_FOUND, E_CONFLICT when it has ended. */
enum err job_ask_stop(struct ctx *c, int64_t id);

/* ---- the worker's side ---------------------------------------------------------------------- */

/* Sleeps ms, or until this process queues one or job_wake is called. */
void job_rest(struct db *db, int64_t ms);
void job_wake(struct db *db);
/* Is anything queued? A cheap look before job_claim. */
enum err job_waits(struct ctx *c, bool *out);
/* Takes the oldest queued one for this node. E_NOT_FOUND. */
enum err job_claim(struct ctx *c, struct str node, struct job *out);
/* Writes done, total, failed_count, failed, message and a new lease; *stop_out: asked to stop, or
   the row is no longer ours. */
enum err job_progress(struct ctx *c, const struct job *job, struct str node, bool *stop_out);
/* The same for the last time, with state and result. */
enum err job_end(struct ctx *c, const struct job *job, struct str node);
/* Ends running jobs whose node is gone as interrupted: their lease is over. */
enum err job_sweep_lost(struct ctx *c);
/* Once for an opened database, in a transaction of its own, before anything is claimed or begun:
   the same for jobs of an earlier process of this node, or, on SQLite, of anybody: nobody else can
   have the store. */
enum err job_sweep_earlier(struct ctx *c, struct str node);
/* This node: one data directory on one host, which one process has at a time. */
struct str job_node(struct ctx *c);
/* Forgets the oldest ended ones beyond JOBS_KEPT. */
enum err job_sweep_old(struct ctx *c);

#endif
