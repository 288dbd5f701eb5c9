/*
 * Doing one thing to many. A dry run answers what would happen and what would be refused; without
 * it the same becomes a job. What a query finds is found now and handed to the job by name: nothing
 * that comes later is deleted by surprise.
 *
 * The action is in the path, because the right to do it is in the row. Of projects the row says
 * only who may ask: each project is asked for by itself, and again when its turn comes.
 */
#include "api/cove.h"
#include "api/harbor.h"

#include "meta/job.h"
#include "meta/overview.h"
#include "meta/repository.h"
#include "registry/bulk.h"
#include "rule/quota.h"

#include <inttypes.h>

#define REFUSED_SHOWN 100

static const struct field bulk_filter_fields[] = {
    FIELD(struct bulk_filter, tag, 0, 128),
    FIELD(struct bulk_filter, untagged, 0, 0),
    FIELD(struct bulk_filter, idle_since, 0, 0),
    FIELDS_END,
};

const struct field bulk_delete_fields[] = {
    FIELD(struct bulk_req, digests, 0, BULK_MAX),
    FIELD_REF(struct bulk_req, query, 0, bulk_filter_fields),
    FIELD(struct bulk_req, dry_run, 0, 0),
    FIELDS_END,
};

const struct field bulk_untag_fields[] = {
    FIELD(struct bulk_req, digests, 0, BULK_MAX),
    FIELD(struct bulk_req, tags, 0, BULK_MAX),
    FIELD_REF(struct bulk_req, query, 0, bulk_filter_fields),
    FIELD(struct bulk_req, dry_run, 0, 0),
    FIELDS_END,
};

const struct field bulk_repositories_fields[] = {
    FIELD(struct bulk_req, repositories, 0, BULK_MAX),
    FIELD(struct bulk_req, dry_run, 0, 0),
    FIELDS_END,
};

#define PROJECTS                                                                                   \
    FIELD(struct bulk_projects_req, projects, 0, BULK_MAX),                                        \
        FIELD(struct bulk_projects_req, q, 0, 4096),                                               \
        FIELD(struct bulk_projects_req, dry_run, 0, 0)

const struct field bulk_delete_projects_fields[] = {
    PROJECTS,
    FIELD(struct bulk_projects_req, contents, 0, 0),
    FIELDS_END,
};

const struct field bulk_quota_fields[] = {
    PROJECTS,
    FIELD(struct bulk_projects_req, storage_limit, F_REQ, 0),
    FIELDS_END,
};

const struct field bulk_visibility_fields[] = {
    PROJECTS,
    FIELD(struct bulk_projects_req, public, F_REQ, 0),
    FIELDS_END,
};

static const struct field refusal_fields[] = {
    FIELD(struct bulk_refusal, item, 0, 0),
    FIELD(struct bulk_refusal, reason, 0, 0),
    FIELD(struct bulk_refusal, what, F_OMIT, 0),
    FIELDS_END,
};

struct preview {
    struct str action;
    int64_t asked, going, children, attached, tags, size, freed, refused_count;
    struct list refused;
};

const struct field preview_fields[] = {
    FIELD(struct preview, action, 0, 0),
    FIELD(struct preview, asked, 0, 0),
    FIELD(struct preview, going, 0, 0),
    FIELD(struct preview, children, 0, 0),
    FIELD(struct preview, attached, 0, 0),
    FIELD(struct preview, tags, 0, 0),
    FIELD(struct preview, size, 0, 0),
    FIELD(struct preview, freed, 0, 0),
    FIELD(struct preview, refused_count, 0, 0),
    FIELD_LIST(struct preview, refused, 0, struct bulk_refusal, refusal_fields),
    FIELDS_END,
};

struct projects_preview {
    struct str action;
    int64_t asked, going, repositories, artifacts, tags, size, freed, same, over, refused_count;
    struct list refused;
};

const struct field projects_preview_fields[] = {
    FIELD(struct projects_preview, action, 0, 0),
    FIELD(struct projects_preview, asked, 0, 0),
    FIELD(struct projects_preview, going, 0, 0),
    FIELD(struct projects_preview, repositories, 0, 0),
    FIELD(struct projects_preview, artifacts, 0, 0),
    FIELD(struct projects_preview, tags, 0, 0),
    FIELD(struct projects_preview, size, 0, 0),
    FIELD(struct projects_preview, freed, 0, 0),
    FIELD(struct projects_preview, same, 0, 0),
    FIELD(struct projects_preview, over, 0, 0),
    FIELD(struct projects_preview, refused_count, 0, 0),
    FIELD_LIST(struct projects_preview, refused, 0, struct bulk_refusal, refusal_fields),
    FIELDS_END,
};

/* ---- what is meant -------------------------------------------------------------------------- */

static enum err too_many(struct ctx *c)
{
    return fail(c, E_UNPROCESSABLE, "more than %d at once: narrow the query", BULK_MAX);
}

/* The artifacts that are named or found, of bulk_item. */
static enum err find_artifacts(struct call *r, int64_t repository_id, struct list *out)
{
    const struct bulk_req *req = r->body;
    if (!req->query)
        return bulk_by_digest(r->c, repository_id, &req->digests, out);
    TRY(bulk_by_filter(r->c, repository_id, req->query, BULK_MAX + 1, out));
    return out->count > BULK_MAX ? too_many(r->c) : E_OK;
}

static enum err tags_of(struct call *r, int64_t repository_id, const struct list *artifacts,
                        struct list *out)
{
    const struct bulk_req *req = r->body;
    const struct bulk_item *item = artifacts->items;
    int64_t *ids = arena_alloc(&r->c->mem, (artifacts->count + 1) * sizeof *ids);
    for (size_t i = 0; i < artifacts->count; i++)
        ids[i] = item[i].id;
    TRY(bulk_tags(r->c, repository_id, ids, artifacts->count, &req->tags, out));
    return out->count > BULK_MAX ? too_many(r->c) : E_OK;
}

static enum err find_items(struct call *r, enum bulk_action action, struct strs *out)
{
    const struct bulk_req *req = r->body;
    struct repository repo;
    struct list found;
    *out = req->repositories;
    if (action == BULK_DELETE_REPOSITORIES)
        return E_OK;
    TRY(repository_here(r, &repo));
    TRY(find_artifacts(r, repo.id, &found));
    if (action == BULK_UNTAG)
        TRY(tags_of(r, repo.id, &found, &found));
    const struct bulk_item *item = found.items;
    out->items = arena_alloc(&r->c->mem, (found.count + 1) * sizeof *out->items);
    out->count = found.count;
    for (size_t i = 0; i < found.count; i++)
        out->items[i] = item[i].name;
    return E_OK;
}

/* ---- saying it, or having it done ------------------------------------------------------------ */

static enum err reply_preview(struct call *r, enum bulk_action action, const struct bulk_plan *plan)
{
    struct preview p = {.action = str_of(bulk_action_name(action)),
                        .asked = plan->asked,
                        .going = plan->going,
                        .children = plan->children,
                        .attached = plan->attached,
                        .tags = plan->tags,
                        .size = plan->worth.size,
                        .freed = plan->worth.freed,
                        .refused_count = (int64_t)plan->refused.count,
                        .refused = plan->refused};
    p.refused.count = size_min(p.refused.count, REFUSED_SHOWN);
    return reply_json(r, 200, preview_fields, &p);
}

/* The job acts as whoever asked, who may lose a right meanwhile. change: NULL of what is inside a
   project. */
static struct raw_json params_of(struct call *r, enum bulk_action action, const struct strs *items,
                                 const struct bulk_change *change)
{
    struct ctx *c = r->c;
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("action"));
    put_str(&j, str_of(bulk_action_name(action)));
    put_key(&j, S("by_robot"));
    put_bool(&j, r->principal.kind == PRINCIPAL_ROBOT);
    put_key(&j, S("by_id"));
    put_i64(&j, r->principal.id);
    if (change) {
        put_key(&j, S("contents"));
        put_bool(&j, change->contents);
        put_key(&j, S("storage_limit"));
        put_i64(&j, change->storage_limit);
        put_key(&j, S("public"));
        put_bool(&j, change->public);
    }
    put_key(&j, S("items"));
    put_open(&j, '[');
    for (size_t i = 0; i < items->count; i++)
        put_str(&j, items->items[i]);
    put_close(&j, ']');
    put_close(&j, '}');
    return (struct raw_json){str_dup(&c->mem, buf_view(&b))};
}

/* One at a time under a lock: two would only meet each other's work. */
static enum err queue(struct call *r, struct str lock_key, struct raw_json params)
{
    struct job job = {
        .kind = S("bulk"),
        .lock_key = lock_key,
        .project_id = r->access.project.project_id, /* 0: of many */
        .repository = r->place.repository,
        .params = params,
    };
    TRY(queue_job(r, &job));
    return reply_job(r, &job);
}

static enum err bulk(struct call *r, enum bulk_action action)
{
    struct ctx *c = r->c;
    const struct bulk_req *req = r->body;
    struct strs items;
    struct bulk_plan plan;
    if (!req->query && !req->digests.count && !req->tags.count && !req->repositories.count)
        return fail(c, E_BAD_REQUEST, "nothing is named, and there is no query");
    r->place.access = &r->access;
    r->place.principal = &r->principal;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(find_items(r, action, &items));
        TRY(bulk_look(c, &r->place, action, &items, &plan));
    }
    if (req->dry_run)
        return reply_preview(r, action, &plan);
    struct str lock = str_fmt(&c->mem, "bulk:%lld", (long long)r->access.project.project_id);
    return queue(r, lock, params_of(r, action, &items, NULL));
}

enum err bulk_delete(struct call *r)
{
    return bulk(r, BULK_DELETE);
}

enum err bulk_untag(struct call *r)
{
    return bulk(r, BULK_UNTAG);
}

enum err bulk_delete_repositories(struct call *r)
{
    return bulk(r, BULK_DELETE_REPOSITORIES);
}

/* ---- projects ------------------------------------------------------------------------------- */

/* What the list of projects shows for the same q. */
static enum err find_projects(struct call *r, const struct bulk_projects_req *req, struct strs *out)
{
    struct ctx *c = r->c;
    struct list_query q = {0};
    struct list rows = {0};
    int64_t total = 0;
    TRY(query_parse(c, req->q, &q));
    q.page_size = 100;
    out->items = arena_alloc(&c->mem, (BULK_MAX + 100) * sizeof *out->items);
    out->count = 0;
    for (q.page = 1; q.page == 1 || (q.page - 1) * q.page_size < total; q.page++) {
        TRY(overview_projects(c, &r->principal, &q, &rows, &total));
        if (total > BULK_MAX)
            return too_many(c);
        const struct project_overview *p = rows.items;
        for (size_t i = 0; i < rows.count && out->count < BULK_MAX; i++)
            out->items[out->count++] = p[i].name;
        if (!rows.count)
            break;
    }
    return E_OK;
}

static enum err reply_projects_preview(struct call *r, enum bulk_action action,
                                       const struct bulk_plan *plan)
{
    struct projects_preview p = {.action = str_of(bulk_action_name(action)),
                                 .asked = plan->asked,
                                 .going = plan->going,
                                 .repositories = plan->repositories,
                                 .artifacts = plan->children,
                                 .tags = plan->tags,
                                 .size = plan->worth.size,
                                 .freed = plan->worth.freed,
                                 .same = plan->same,
                                 .over = plan->over,
                                 .refused_count = (int64_t)plan->refused.count,
                                 .refused = plan->refused};
    p.refused.count = size_min(p.refused.count, REFUSED_SHOWN);
    return reply_json(r, 200, projects_preview_fields, &p);
}

static enum err bulk_projects(struct call *r, enum bulk_action action)
{
    struct ctx *c = r->c;
    const struct bulk_projects_req *req = r->body;
    struct strs names = req->projects;
    struct bulk_change change = {req->contents, req->storage_limit, req->public};
    struct bulk_plan plan;
    bool asked = field_seen(r->route->body.fields, "q", r->seen);
    if (!asked && !names.count)
        return fail(c, E_BAD_REQUEST, "nothing is named, and there is no q");
    if (action == BULK_QUOTA)
        TRY(quota_check_limit(c, "storage_limit", change.storage_limit));
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        if (!names.count)
            TRY(find_projects(r, req, &names));
        TRY(bulk_look_at_projects(c, &r->principal, action, &change, &names, &plan));
    }
    if (req->dry_run)
        return reply_projects_preview(r, action, &plan);
    struct str lock =
        str_fmt(&c->mem, "bulk:by:%s:%" PRId64, /* one of each who asks */
                r->principal.kind == PRINCIPAL_ROBOT ? "robot" : "user", r->principal.id);
    return queue(r, lock, params_of(r, action, &names, &change));
}

enum err bulk_delete_projects(struct call *r)
{
    return bulk_projects(r, BULK_DELETE_PROJECTS);
}

enum err bulk_quota(struct call *r)
{
    return bulk_projects(r, BULK_QUOTA);
}

enum err bulk_visibility(struct call *r)
{
    return bulk_projects(r, BULK_VISIBILITY);
}
