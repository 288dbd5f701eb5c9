/*
 * Garbage collection while everything runs: candidates are written by whoever takes a reference
 * away, so nothing is ever searched for. Each step is a transaction of its own and each look
 * follows the lock: condemn, and after a pause look again, then a tombstone that nobody may
 * revive, then the bytes, then the row. Killed at any line it goes on where the rows say.
 *
 * Keys are used once, so a delete that comes late can only hit the dead copy.
 */
#include "registry/gc.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/metric.h"
#include "blob/store.h"
#include "meta/blob.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define STEP 200
#define ROUNDS_MAX 100000

const struct field gc_params_fields[] = {
    FIELD(struct gc_params, dry_run, 0, 0),
    FIELD(struct gc_params, grace_s, 0, 0),
    FIELDS_END,
};

struct run {
    struct ctx *c;
    int64_t grace_s, pause_s;
    const struct gc_watch *watch;
    struct gc_report *report;
    bool stopped;        /* by the one who watches */
    struct timestamp at; /* when this step began: what comes later is for the next run */
};

static void say(struct run *r, const char *fmt, ...) PRINTF(2, 3);
static void say(struct run *r, const char *fmt, ...)
{
    char line[256];
    if (!r->watch || !r->watch->say)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    r->watch->say(r->watch->arg, str_of(line));
}

/* Tells how far it is; whether to go on. */
static bool go_on(struct run *r)
{
    if (!r->stopped && r->watch && r->watch->step)
        r->stopped = !r->watch->step(r->watch->arg, r->report);
    return !r->stopped;
}

static atomic_bool stopping;

void gc_stop(void)
{
    atomic_store(&stopping, true);
}

bool gc_stopping(void)
{
    return atomic_load(&stopping);
}

/* Rows of one step, read on their own: no lock is held between the list and the step. */
typedef enum err list_fn(struct run *r, struct list *out);
typedef enum err step_fn(struct run *r, const struct gc_blob *b, bool *done);
typedef enum err batch_fn(struct run *r, const struct gc_blob *b, size_t n, int64_t *done);

static enum err list_candidates(struct run *r, struct list *out)
{
    return gc_candidates(r->c, r->at, r->grace_s, STEP, out);
}

static enum err list_condemned(struct run *r, struct list *out)
{
    return gc_condemned(r->c, r->at, r->pause_s, STEP, out);
}

static enum err list_deleting(struct run *r, struct list *out)
{
    return gc_deleting(r->c, STEP, out);
}

static enum err condemn(struct run *r, const struct gc_blob *b, bool *done)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(r->c, &tx));
    TRY(gc_condemn(r->c, b->id, done));
    return tx_commit(&tx);
}

static enum err tombstone(struct run *r, const struct gc_blob *b, bool *done)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(r->c, &tx));
    TRY(gc_tombstone(r->c, b->id, done));
    return tx_commit(&tx);
}

/* The bytes, durably, then the rows; a failure leaves the tombstones for the next run. */
static enum err bury(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    int64_t before = r->report->bytes;
    for (size_t i = 0; i < n; i++)
        if (b[i].phys_key.n)
            TRY(store_delete(r->c, b[i].phys_key));
    TRY(store_delete_sync(r->c));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(r->c, &tx));
    for (size_t i = 0; i < n; i++)
        TRY(gc_forget(r->c, b[i].id));
    TRY(tx_commit(&tx));
    for (size_t i = 0; i < n; i++)
        r->report->bytes += b[i].size;
    *done = (int64_t)n;
    metric_add(M_gc_blobs, (int64_t)n);
    metric_add(M_gc_bytes, r->report->bytes - before);
    return E_OK;
}

/* Blob by blob: each look is a transaction of its own. */
static enum err each(struct run *r, step_fn *step, const struct gc_blob *b, size_t n, int64_t *done)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        bool changed = false;
        if (gc_stopping())
            return fail(r->c, E_UNAVAILABLE, "stopped: the server ends");
        if (step(r, &b[i], &changed) != E_OK) {
            failed++;
            log_warn("gc", "blob %.*s waits for the next run: %s", STR(b[i].digest), r->c->msg);
        }
        *done += changed ? 1 : 0;
    }
    r->report->failed += (int64_t)failed;
    return failed == n ? E_UNAVAILABLE : E_OK;
}

static enum err condemn_all(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    return each(r, condemn, b, n, done);
}

static enum err tombstone_all(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    return each(r, tombstone, b, n, done);
}

static enum err read_list(struct run *r, list_fn *list, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    r->at = r->at.us ? r->at : tx.now;
    return list(r, out);
}

/*
 * Works through what a list gives until it gives nothing new. A blob that a step left alone was
 * taken off the list by it (it is in use), or failed and is met again in the next run; so is what
 * comes to the list after the step began, or else a run would not end while others delete.
 */
static enum err work_through(struct run *r, list_fn *list, batch_fn *batch, int64_t *count)
{
    struct ctx *outer = r->c;
    int64_t last_first = -1;
    enum err e = E_OK;
    r->at = (struct timestamp){0};
    for (int round = 0; e == E_OK && !r->stopped && round < ROUNDS_MAX; round++) {
        struct ctx c = {.sv = outer->sv, .actor = outer->actor};
        struct list blobs = {0};
        int64_t done = 0;
        r->c = &c;
        e = read_list(r, list, &blobs);
        const struct gc_blob *b = blobs.items;
        bool end = e != E_OK || !blobs.count || b[0].id == last_first;
        if (!end) {
            last_first = b[0].id;
            e = batch(r, b, blobs.count, &done);
        }
        *count += done;
        if (e != E_OK)
            memcpy(outer->msg, c.msg, sizeof outer->msg);
        r->c = outer;
        ctx_release(&c);
        if (end || !go_on(r))
            break;
    }
    return e;
}

enum err gc_run(struct ctx *c, int64_t grace_s, const struct gc_watch *watch, struct gc_report *out)
{
    struct gc_report report = {0};
    int64_t tombstones = 0;
    struct run r = {.c = c,
                    .grace_s = grace_s,
                    .pause_s = grace_s ? GC_PAUSE_S : 0,
                    .watch = watch,
                    .report = &report};
    TRY(work_through(&r, list_candidates, condemn_all, &report.condemned));
    say(&r, "condemned %lld blobs", (long long)report.condemned);
    TRY(work_through(&r, list_condemned, tombstone_all, &tombstones));
    TRY(work_through(&r, list_deleting, bury, &report.deleted));
    say(&r, "deleted %lld blobs, %lld bytes; %lld left for the next run", (long long)report.deleted,
        (long long)report.bytes, (long long)report.failed);
    if (report.deleted || report.failed)
        log_info("gc", "deleted %lld blobs, %lld bytes; %lld failed", (long long)report.deleted,
                 (long long)report.bytes, (long long)report.failed);
    *out = report;
    return E_OK;
}

/* Condemned and, after a second look, given up. A blob whose bytes were lost goes in one step. */
static enum err free_one(struct run *r, int64_t id, struct gc_blob *out, bool *dead)
{
    struct gc_blob b = {.id = id};
    bool condemned = false, gone = false;
    *dead = false;
    TRY(condemn(r, &b, &condemned));
    if (!condemned)
        return E_OK;
    TRY(tombstone(r, &b, &gone));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    enum err e = gc_dead(r->c, id, out);
    *dead = e == E_OK;
    return e == E_NOT_FOUND ? E_OK : e;
}

enum err gc_free(struct ctx *c, const int64_t *blob_ids, size_t n, int64_t *bytes_out)
{
    struct gc_report report = {0};
    struct run r = {.c = c, .report = &report};
    struct gc_blob *dead = arena_alloc(&c->mem, (n + 1) * sizeof *dead);
    size_t count = 0;
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        bool yes;
        if (gc_stopping())
            return fail(c, E_UNAVAILABLE, "stopped: the server ends");
        enum err e = free_one(&r, blob_ids[i], &dead[count], &yes);
        if (e != E_OK && e != E_NOT_FOUND) { /* it stays a candidate */
            log_warn("gc", "blob %lld is not freed now: %s", (long long)blob_ids[i], c->msg);
            continue;
        }
        count += e == E_OK && yes;
    }
    if (count)
        TRY(bury(&r, dead, count, &done));
    *bytes_out = report.bytes;
    return E_OK;
}
