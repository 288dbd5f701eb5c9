/*
 * What the store holds and what of it could go, and a run of garbage collection that people ask
 * for. The run is a job of kind gc over the same code as `cove gc` and the run every gc.interval_s;
 * only one is queued or under way, over all nodes.
 */
#include "api/cove.h"

#include "api/dispatch.h"
#include "blob/store.h"
#include "meta/job.h"
#include "meta/storage.h"
#include "registry/gc.h"
#include "rule/settings.h"

#define PROJECTS_MAX 100
#define GRACE_MAX_S (INT64_C(366) * 86400)

struct storage_view {
    int64_t disk_total, disk_free, grace_s, interval_s;
    struct storage_totals t;
    struct list reclaim, projects;
};

#define TOTAL(member) FIELD_AS(struct storage_view, t.member, #member, 0, 0)
const struct field storage_view_fields[] = {
    FIELD(struct storage_view, disk_total, 0, 0),
    FIELD(struct storage_view, disk_free, 0, 0),
    TOTAL(blobs),
    TOTAL(blob_bytes),
    TOTAL(manifests),
    TOTAL(manifest_bytes),
    TOTAL(shared_blobs),
    TOTAL(shared_bytes),
    TOTAL(saved_bytes),
    TOTAL(uploads),
    TOTAL(upload_bytes),
    FIELD(struct storage_view, grace_s, 0, 0),
    FIELD(struct storage_view, interval_s, 0, 0),
    FIELD_LIST(struct storage_view, reclaim, 0, struct storage_reclaim, storage_reclaim_fields),
    FIELD_LIST(struct storage_view, projects, 0, struct storage_project, storage_project_fields),
    FIELDS_END,
};

enum err get_storage(struct call *r)
{
    struct ctx *c = r->c;
    struct storage_view v = {.grace_s = c->sv->settings->gc_grace_s,
                             .interval_s = c->sv->settings->gc_interval_s};
    TRY(store_space(c, &v.disk_free, &v.disk_total));
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(storage_totals(c, &v.t));
        TRY(storage_reclaim(c, v.grace_s, v.grace_s ? GC_PAUSE_S : 0, &v.reclaim));
        TRY(storage_projects(c, PROJECTS_MAX, &v.projects));
    }
    return reply_json(r, 200, storage_view_fields, &v);
}

enum err start_gc(struct call *r)
{
    struct ctx *c = r->c;
    const struct gc_params *req = r->body;
    bool given = field_seen(gc_params_fields, "grace_s", r->seen);
    if (given && (req->grace_s < 0 || req->grace_s > GRACE_MAX_S))
        return fail(c, E_BAD_REQUEST, "grace_s is seconds, 0 to %lld", (long long)GRACE_MAX_S);
    struct gc_params params = {req->dry_run, given ? req->grace_s : c->sv->settings->gc_grace_s};
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode(&j, &c->mem, gc_params_fields, &params);
    struct job job = {
        .kind = S("gc"), .lock_key = S("gc"), .params = {str_dup(&c->mem, buf_view(&b))}};
    TRY(queue_job(r, &job));
    return reply_job(r, &job);
}
