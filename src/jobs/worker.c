/*
 * One thread looks every second: it reaps jobs that ended, writes the progress of those that run
 * (which renews their lease and tells whether somebody asked them to stop), and claims queued ones
 * while there is room. Between two looks it wakes for what is queued in this process or ends; other
 * nodes' wait for the look. Jobs themselves touch no row of theirs: they note, the look writes. A
 * job's last words that the database does not take are kept and tried again at the next look.
 *
 * Rows of lost jobs are ended after the own leases are renewed: a process that stood still for
 * longer than a lease (a suspended machine, a database that was away) has not lost its jobs.
 */
#include "jobs/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "registry/gc.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 10
#define LOOK_MS 1000
#define SWEEP_LOOKS 60 /* between sweeps of rows */
#define FAILED_BYTES ((size_t)64 << 10)

struct job_run {
    struct worker *w;
    const struct job_kind *kind;
    struct job job;  /* as claimed; its texts live in keep */
    struct ctx keep; /* memory of the claimed row */
    pthread_t thread;
    bool taken;
    atomic_bool ended;
    bool joined;       /* of the look */
    atomic_bool stop;  /* somebody asked */
    atomic_bool heard; /* the job has noticed */
    enum err result;   /* of run, once ended */
    char why[512];
    pthread_mutex_t lock; /* of what follows */
    int64_t done, total, failed_count;
    size_t noted;
    struct buf failed, out;
    char message[256];
};

struct worker {
    struct services *sv;
    pthread_t thread;
    atomic_bool ending;
    struct str node;
    struct ctx keep;
    struct job_run runs[JOBS_AT_ONCE];
};

/* ---- what a job notes ------------------------------------------------------------------------ */

const struct job *job_of(const struct job_run *r)
{
    return &r->job;
}

void job_total(struct job_run *r, int64_t total)
{
    pthread_mutex_lock(&r->lock);
    r->total = total;
    pthread_mutex_unlock(&r->lock);
}

void job_done(struct job_run *r, int64_t done)
{
    pthread_mutex_lock(&r->lock);
    r->done = done;
    pthread_mutex_unlock(&r->lock);
}

void job_failed(struct job_run *r, struct str item, const char *reason)
{
    pthread_mutex_lock(&r->lock);
    r->failed_count++;
    if (r->noted < JOB_FAILED_MAX && r->failed.n < FAILED_BYTES) {
        struct json_out j = {.out = &r->failed, .comma = r->noted > 0};
        put_open(&j, '{');
        put_key(&j, S("item"));
        put_str(&j, str_sub(item, 0, 512));
        put_key(&j, S("reason"));
        put_str(&j, str_sub(str_of(reason), 0, 512));
        put_close(&j, '}');
        r->noted++;
    }
    pthread_mutex_unlock(&r->lock);
}

void job_say(struct job_run *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&r->lock);
    vsnprintf(r->message, sizeof r->message, fmt, ap);
    pthread_mutex_unlock(&r->lock);
    va_end(ap);
}

void job_result(struct job_run *r, struct str json)
{
    pthread_mutex_lock(&r->lock);
    r->out.n = 0;
    buf_str(&r->out, json);
    pthread_mutex_unlock(&r->lock);
}

bool job_stopping(struct job_run *r)
{
    bool stop = atomic_load(&r->stop) || atomic_load(&r->w->ending);
    if (stop)
        atomic_store(&r->heard, true);
    return stop;
}

/* ---- running one ----------------------------------------------------------------------------- */

static void *job_thread(void *arg)
{
    struct job_run *r = arg;
    struct db *db = r->w->sv->db;
    CLEANUP(ctx_release) struct ctx c = {.sv = r->w->sv, .actor = r->job.actor};
    r->result = r->kind ? r->kind->run(&c, r)
                        : fail(&c, E_NOT_IMPLEMENTED, "this Cove has no such kind of job");
    if (r->result != E_OK)
        snprintf(r->why, sizeof r->why, "%s", c.msg[0] ? c.msg : err_name(r->result));
    atomic_store(&r->ended, true);
    job_wake(db);
    return NULL;
}

static const char *end_state(const struct job_run *r)
{
    if (atomic_load(&r->heard) || (r->result != E_OK && atomic_load(&r->stop)))
        return atomic_load(&r->stop) ? "stopped" : "interrupted";
    if (r->result != E_OK)
        return atomic_load(&r->w->ending) ? "interrupted" : "failed";
    return "done";
}

/* The row as it is to be written, in c->mem. */
static struct job snapshot(struct ctx *c, struct job_run *r)
{
    struct job job = r->job;
    pthread_mutex_lock(&r->lock);
    job.done = r->done;
    job.total = r->total;
    job.failed_count = r->failed_count;
    job.failed.text = str_fmt(&c->mem, "[%.*s]", STR(buf_view(&r->failed)));
    job.result.text = str_dup(&c->mem, buf_view(&r->out));
    job.message = str_dup(&c->mem, str_of(r->message));
    pthread_mutex_unlock(&r->lock);
    return job;
}

static enum err write_row(struct ctx *c, struct job_run *r, bool ended)
{
    struct job job = snapshot(c, r);
    bool stop = false;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    if (ended) {
        job.state = str_of(end_state(r));
        if (str_eq(job.state, S("failed")))
            job.message = str_of(r->why);
        TRY(job_end(c, &job, r->w->node));
    } else {
        TRY(job_progress(c, &job, r->w->node, &stop));
    }
    TRY(tx_commit(&tx));
    if (stop)
        atomic_store(&r->stop, true);
    return E_OK;
}

static void run_free(struct job_run *r)
{
    ctx_release(&r->keep);
    buf_release(&r->failed);
    buf_release(&r->out);
    pthread_mutex_destroy(&r->lock);
    r->taken = false;
}

static void look_at(struct job_run *r)
{
    bool ended = atomic_load(&r->ended);
    if (ended && !r->joined) {
        pthread_join(r->thread, NULL);
        r->joined = true;
    }
    CLEANUP(ctx_release) struct ctx c = {.sv = r->w->sv, .actor = S("worker")};
    enum err e = write_row(&c, r, ended);
    if (e != E_OK)
        log_warn("jobs", "job %lld: its row cannot be written now: %s", (long long)r->job.id,
                 c.msg);
    else if (ended) {
        const char *state = end_state(r);
        bool failed = strcmp(state, "failed") == 0;
        log_info("jobs", "job %lld (%.*s): %s%s%s", (long long)r->job.id, STR(r->job.kind), state,
                 failed ? ": " : "", failed ? r->why : "");
        run_free(r);
    }
}

/* ---- claiming -------------------------------------------------------------------------------- */

static const struct job_kind *kind_named(struct str name)
{
    for (const struct job_kind *k = job_kinds; k->name; k++)
        if (str_eq(name, str_of(k->name)))
            return k;
    return NULL;
}

static enum err claim_row(struct ctx *c, struct worker *w, struct job *out)
{
    bool waits;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(job_waits(c, &waits));
    }
    if (!waits)
        return E_NOT_FOUND;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(job_claim(c, w->node, out));
    return tx_commit(&tx);
}

/* False when there is nothing to claim. */
static bool claim_into(struct worker *w, struct job_run *r)
{
    *r = (struct job_run){.w = w,
                          .keep = {.sv = w->sv, .actor = S("worker")},
                          .failed = {.max = FAILED_BYTES * 2},
                          .out = {.max = FAILED_BYTES}};
    enum err e = claim_row(&r->keep, w, &r->job);
    if (e != E_OK) {
        if (e != E_NOT_FOUND)
            log_warn("jobs", "no job can be claimed: %s", r->keep.msg);
        ctx_release(&r->keep);
        return false;
    }
    pthread_mutex_init(&r->lock, NULL);
    r->kind = kind_named(r->job.kind);
    r->taken = true;
    log_info("jobs", "job %lld (%.*s) begins, asked for by %.*s", (long long)r->job.id,
             STR(r->job.kind), STR(r->job.actor));
    if (pthread_create(&r->thread, NULL, job_thread, r) != 0) {
        r->result = E_UNAVAILABLE;
        snprintf(r->why, sizeof r->why, "no thread for the job");
        r->joined = true;
        atomic_store(&r->ended, true);
    }
    return true;
}

static void claim_more(struct worker *w)
{
    for (size_t i = 0; i < JOBS_AT_ONCE; i++)
        if (!w->runs[i].taken && !claim_into(w, &w->runs[i]))
            return;
}

static enum err sweep_rows(struct ctx *c, struct str node)
{
    TRY(job_sweep_earlier(c, node));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(job_sweep_lost(c));
    TRY(job_sweep_old(c));
    return tx_commit(&tx);
}

static bool sweep(struct worker *w)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = w->sv, .actor = S("worker")};
    enum err e = sweep_rows(&c, w->node);
    if (e != E_OK)
        log_warn("jobs", "old jobs: %s", c.msg);
    return e == E_OK;
}

/* All of them, or those that have ended. */
static void look_at_runs(struct worker *w, bool all)
{
    for (size_t i = 0; i < JOBS_AT_ONCE; i++)
        if (w->runs[i].taken && (all || atomic_load(&w->runs[i].ended)))
            look_at(&w->runs[i]);
}

static void *worker_thread(void *arg)
{
    struct worker *w = arg;
    bool swept = false; /* rows of an earlier process are ended before any is claimed */
    int64_t looks = 0, next = clock_mono_ms() + LOOK_MS;
    for (;;) {
        job_rest(w->sv->db, next - clock_mono_ms());
        if (atomic_load(&w->ending))
            return NULL;
        bool look = clock_mono_ms() >= next;
        look_at_runs(w, look);
        if (look) {
            next = clock_mono_ms() + LOOK_MS;
            looks++;
        }
        if (!swept || (look && looks % SWEEP_LOOKS == 0))
            swept = sweep(w) || swept;
        if (swept)
            claim_more(w);
    }
}

enum err worker_start(struct ctx *c, struct services *sv, struct worker **out)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return fail(c, E_UNAVAILABLE, "out of memory");
    w->sv = sv;
    w->keep.sv = sv;
    w->node = job_node(&w->keep);
    int e = pthread_create(&w->thread, NULL, worker_thread, w);
    if (e) {
        ctx_release(&w->keep);
        free(w);
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for jobs");
    }
    *out = w;
    return E_OK;
}

static bool all_ended(struct worker *w)
{
    bool all = true;
    for (size_t i = 0; i < JOBS_AT_ONCE; i++)
        all = all && (!w->runs[i].taken || atomic_load(&w->runs[i].ended));
    return all;
}

bool worker_stop(struct worker *w)
{
    if (!w)
        return true;
    atomic_store(&w->ending, true);
    gc_stop();
    job_wake(w->sv->db);
    pthread_join(w->thread, NULL);
    const struct timespec nap = {.tv_nsec = 10000000};
    for (int i = 0; i < PATIENCE_S * 100 && !all_ended(w); i++)
        nanosleep(&nap, NULL);
    bool ended = all_ended(w);
    look_at_runs(w, false);
    for (size_t i = 0; i < JOBS_AT_ONCE; i++)
        if (w->runs[i].taken && atomic_load(&w->runs[i].ended))
            run_free(&w->runs[i]); /* its row could not be written: the next start ends it */
    if (!ended)
        return false;
    ctx_release(&w->keep);
    free(w);
    return true;
}
