/*
 * Garbage collection as a job: sweeps old uploads, then runs registry/gc, and counts a step for
 * every blob that it condemns and for every one that it deletes. A dry run only reads.
 */
#include "jobs/kinds.h"

#include "blob/upload.h"
#include "meta/storage.h"
#include "registry/gc.h"
#include "rule/settings.h"

static void tell(struct ctx *c, struct job_run *r, const struct gc_result *result)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode(&j, &c->mem, gc_result_fields, result);
    job_result(r, buf_view(&b));
}

/* What would go if a run began now and took as long as it needs. */
static enum err look(struct ctx *c, struct job_run *r, int64_t grace_s)
{
    struct list rows;
    struct gc_result result = {.dry_run = true};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(storage_reclaim(c, grace_s, grace_s ? GC_PAUSE_S : 0, &rows));
    const struct storage_reclaim *row = rows.items;
    for (size_t i = 0; i < rows.count; i++) {
        if (str_eq(row[i].reason, S("young")) || str_eq(row[i].reason, S("leased")))
            continue;
        result.blobs += row[i].blobs;
        result.bytes += row[i].bytes;
    }
    tell(c, r, &result);
    return E_OK;
}

static bool step(void *arg, const struct gc_report *so_far)
{
    struct job_run *r = arg;
    job_done(r, so_far->condemned + so_far->deleted);
    return !job_stopping(r);
}

static enum err count(struct ctx *c, int64_t grace_s, int64_t *steps)
{
    struct storage_pending p;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(storage_pending(c, grace_s, grace_s ? GC_PAUSE_S : 0, &p));
    *steps = p.due * (grace_s ? 1 : 2) + p.ripe + p.dying; /* without grace no pause: both steps */
    return E_OK;
}

enum err gc_job(struct ctx *c, struct job_run *r)
{
    struct gc_params params = {.grace_s = c->sv->settings->gc_grace_s};
    const struct gc_watch watch = {.step = step, .arg = r};
    struct gc_report report = {0};
    int64_t steps;
    TRY(fields_from_json(c, gc_params_fields, job_of(r)->params.text, &params, NULL));
    if (params.dry_run)
        return look(c, r, params.grace_s);
    TRY(upload_sweep(c));
    TRY(count(c, params.grace_s, &steps));
    job_total(r, steps);
    TRY(gc_run(c, params.grace_s, &watch, &report));
    job_total(r, report.condemned + report.deleted + report.failed);
    job_done(r, report.condemned + report.deleted);
    if (report.failed)
        job_say(r, "%lld blobs wait for the next run", (long long)report.failed);
    tell(c, r,
         &(struct gc_result){
             .blobs = report.deleted, .bytes = report.bytes, .condemned = report.condemned});
    return E_OK;
}
