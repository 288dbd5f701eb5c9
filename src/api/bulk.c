/*
 * Deleting and untagging many at once. A dry run answers what would go and what would be refused;
 * without it the same becomes a job. What a query finds is found now and handed to the job by
 * name: nothing that comes later is deleted by surprise.
 *
 * The action is in the path, because the right to do it is in the row.
 */
#include "api/cove.h"
#include "api/harbor.h"

#include "meta/job.h"
#include "meta/repository.h"
#include "registry/bulk.h"

#include <string.h>

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

static const struct field preview_fields[] = {
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

static struct raw_json params_of(struct ctx *c, enum bulk_action action, const struct strs *items)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("action"));
    put_str(&j, str_of(bulk_action_name(action)));
    put_key(&j, S("items"));
    put_open(&j, '[');
    for (size_t i = 0; i < items->count; i++)
        put_str(&j, items->items[i]);
    put_close(&j, ']');
    put_close(&j, '}');
    return (struct raw_json){str_dup(&c->mem, buf_view(&b))};
}

/* One at a time in a project: two would only meet each other's work. */
static enum err queue(struct call *r, enum bulk_action action, const struct strs *items)
{
    struct ctx *c = r->c;
    int64_t project = r->access.project.project_id;
    struct job job = {
        .kind = S("bulk"),
        .lock_key = str_fmt(&c->mem, "bulk:%lld", (long long)project),
        .actor = c->actor,
        .project_id = project,
        .repository = r->place.repository,
        .params = params_of(c, action, items),
    };
    TRY(job_queue(c, &job));
    return reply_job(r, job.id);
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
    return req->dry_run ? reply_preview(r, action, &plan) : queue(r, action, &items);
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
