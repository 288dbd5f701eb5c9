/*
 * Garbage collection while everything runs: candidates are written by whoever takes a reference
 * away, so nothing is ever searched for. Each step takes a few blobs in a transaction of its own,
 * so that it costs a COMMIT for many and nobody waits long for it, and each look follows the locks:
 * condemn, and after a pause look again, then a tombstone that nobody may revive, then the bytes,
 * then the row. Killed at any line it goes on where the rows say.
 *
 * Keys are used once, so a delete that comes late can only hit the dead copy.
 */
#include "registry/gc.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/metric.h"
#include "blob/store.h"
#include "meta/blob.h"
#include "registry/again.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 256   /* rows of a list */
#define AT_ONCE 64 /* blobs in one transaction */
#define ROUNDS_MAX 100000

const struct field gc_params_fields[] = {
    FIELD(struct gc_params, dry_run, 0, 0),
    FIELD(struct gc_params, grace_s, 0, 0),
    FIELDS_END,
};

const struct field gc_result_fields[] = {
    FIELD(struct gc_result, dry_run, 0, 0),
    FIELD(struct gc_result, blobs, 0, 0),
    FIELD(struct gc_result, bytes, 0, 0),
    FIELD(struct gc_result, condemned, 0, 0),
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

static const struct gc_watch nobody;

/* Tells how far it is; whether to go on. */
static bool go_on(struct run *r)
{
    if (!r->stopped && r->watch->step)
        r->stopped = !r->watch->step(r->watch->arg, r->report);
    return !r->stopped;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, as rows are locked. */
static struct i64s ids_of(struct ctx *c, const struct gc_blob *b, size_t n)
{
    struct i64s ids = {arena_alloc(&c->mem, (n + 1) * sizeof *ids.items), n};
    for (size_t i = 0; i < n; i++)
        ids.items[i] = b[i].id;
    qsort(ids.items, n, sizeof *ids.items, by_id);
    return ids;
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
typedef enum err step_fn(struct ctx *c, const struct i64s *ids, struct i64s *out);
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

/* The bytes, durably, then the rows; a failure leaves the tombstones for the next run. */
static enum err bury(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    int64_t before = r->report->bytes;
    for (size_t i = 0; i < n; i++)
        if (b[i].phys_key.n)
            TRY(store_delete(r->c, b[i].phys_key));
    TRY(store_delete_sync(r->c));
    CLEANUP(tx_end) struct tx tx = {0};
    struct i64s ids = ids_of(r->c, b, n);
    TRY(tx_begin(r->c, &tx));
    TRY(gc_forget(r->c, &ids));
    TRY(tx_commit(&tx));
    for (size_t i = 0; i < n; i++)
        r->report->bytes += b[i].size;
    *done = (int64_t)n;
    metric_add(M_gc_blobs, (int64_t)n);
    metric_add(M_gc_bytes, r->report->bytes - before);
    return E_OK;
}

static enum err one_transaction(struct ctx *c, step_fn *step, const struct i64s *ids,
                                struct i64s *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct i64s changed;
    TRY(tx_begin(c, &tx));
    TRY(step(c, ids, &changed));
    TRY(tx_commit(&tx));
    *out = changed;
    return E_OK;
}

static enum err take_step(struct ctx *c, step_fn *step, const struct i64s *ids, struct i64s *out)
{
    int64_t began = clock_mono_ms();
    enum err e = one_transaction(c, step, ids, out);
    for (int tries = 1; again(e, tries, began); tries++)
        e = one_transaction(c, step, ids, out);
    return e;
}

/* A few at once: one COMMIT for them, and nobody waits long for it. */
static enum err each(struct run *r, step_fn *step, const struct gc_blob *b, size_t n, int64_t *done)
{
    size_t failed = 0;
    struct i64s all = ids_of(r->c, b, n);
    for (size_t i = 0; i < n; i += AT_ONCE) {
        struct i64s some = {all.items + i, size_min(n - i, AT_ONCE)}, changed = {0};
        if (gc_stopping())
            return fail(r->c, E_UNAVAILABLE, "stopped: the server ends");
        if (take_step(r->c, step, &some, &changed) != E_OK) {
            failed += some.count;
            log_warn("gc", "%zu blobs wait for the next run: %s", some.count, r->c->msg);
        }
        *done += (int64_t)changed.count;
    }
    r->report->failed += (int64_t)failed;
    return failed == n ? E_UNAVAILABLE : E_OK;
}

static enum err condemn_all(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    return each(r, gc_condemn, b, n, done);
}

static enum err tombstone_all(struct run *r, const struct gc_blob *b, size_t n, int64_t *done)
{
    return each(r, gc_tombstone, b, n, done);
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
                    .watch = watch ? watch : &nobody,
                    .report = &report};
    TRY(work_through(&r, list_candidates, condemn_all, &report.condemned));
    progress_line(r.watch->say, r.watch->arg, "condemned %lld blobs", (long long)report.condemned);
    TRY(work_through(&r, list_condemned, tombstone_all, &tombstones));
    TRY(work_through(&r, list_deleting, bury, &report.deleted));
    progress_line(r.watch->say, r.watch->arg,
                  "deleted %lld blobs, %lld bytes; %lld left for the next run",
                  (long long)report.deleted, (long long)report.bytes, (long long)report.failed);
    if (report.deleted || report.failed)
        log_info("gc", "deleted %lld blobs, %lld bytes; %lld failed", (long long)report.deleted,
                 (long long)report.bytes, (long long)report.failed);
    *out = report;
    return E_OK;
}

/* Condemned and, after a second look, given up: *out are those whose bytes may go. Blobs whose
   bytes were lost go in one step. */
static enum err give_up(struct ctx *c, const struct i64s *ids, struct list *out)
{
    struct i64s condemned, gone;
    TRY(take_step(c, gc_condemn, ids, &condemned));
    struct gc_blob *dead = arena_alloc(&c->mem, (condemned.count + 1) * sizeof *dead);
    *out = (struct list){dead, 0};
    if (!condemned.count)
        return E_OK;
    TRY(take_step(c, gc_tombstone, &condemned, &gone));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    for (size_t i = 0; i < condemned.count; i++) {
        enum err e = gc_dead(c, condemned.items[i], &dead[out->count]);
        if (e != E_OK && e != E_NOT_FOUND)
            return e;
        out->count += e == E_OK;
    }
    return E_OK;
}

enum err gc_free(struct ctx *c, const int64_t *blob_ids, size_t n, int64_t *bytes_out)
{
    struct gc_report report = {0};
    struct run r = {.c = c, .report = &report};
    struct i64s all = {arena_alloc(&c->mem, (n + 1) * sizeof *all.items), n};
    if (n)
        memcpy(all.items, blob_ids, n * sizeof *blob_ids);
    qsort(all.items, n, sizeof *all.items, by_id);
    for (size_t i = 0; i < n; i += AT_ONCE) {
        struct i64s some = {all.items + i, size_min(n - i, AT_ONCE)};
        struct list dead = {0};
        int64_t done = 0;
        if (gc_stopping())
            return fail(c, E_UNAVAILABLE, "stopped: the server ends");
        enum err e = give_up(c, &some, &dead);
        if (e != E_OK) /* they stay candidates, or what condemned ones wait for comes */
            log_warn("gc", "%zu blobs are not freed now: %s", some.count, c->msg);
        else if (dead.count)
            TRY(bury(&r, dead.items, dead.count, &done));
    }
    *bytes_out = report.bytes;
    return E_OK;
}
