/*
 * Artifacts, their tags and accessories: Harbor's artifact operations.
 *
 * Most lists are one query. Two are not: of a whole project, and by tags= (which is a property of
 * other rows). They walk repositories page by page up to SCAN_MAX artifacts and cut the page out
 * of what they found; beyond that the caller has to narrow the question.
 */
#include "api/harbor.h"

#include "meta/artifact.h"
#include "meta/repository.h"
#include "registry/config.h"
#include "registry/delete.h"
#include "registry/push.h"
#include "rule/name.h"

#define SCAN_MAX 5000
#define TAGS_MAX 100

struct artifact_view {
    int64_t id, project_id, repository_id, size;
    struct str type, media_type, manifest_media_type, artifact_type, repository_name, digest, icon;
    struct timestamp push_time, pull_time;
    struct raw_json extra_attrs, annotations, addition_links;
    struct list references, tags, accessories;
};

const struct field reference_fields[] = {
    FIELD(struct artifact_ref, parent_id, 0, 0),
    FIELD(struct artifact_ref, child_id, 0, 0),
    FIELD(struct artifact_ref, child_digest, 0, 0),
    FIELD(struct artifact_ref, platform, 0, 0),
    FIELD(struct artifact_ref, annotations, 0, 0),
    FIELD(struct artifact_ref, urls, 0, 0),
    FIELDS_END,
};

const struct field tag_view_fields[] = {
    FIELD(struct tag, id, 0, 0),          FIELD(struct tag, repository_id, 0, 0),
    FIELD(struct tag, artifact_id, 0, 0), FIELD(struct tag, name, 0, 0),
    FIELD(struct tag, push_time, 0, 0),   FIELD(struct tag, pull_time, F_OMIT, 0),
    FIELD(struct tag, immutable, 0, 0),   FIELDS_END,
};

const struct field new_tag_fields[] = {
    FIELD(struct tag, name, F_REQ, 128),
    FIELDS_END,
};

struct accessory {
    int64_t id, artifact_id, subject_artifact_id, size;
    struct str subject_artifact_digest, subject_artifact_repo, digest, type, icon;
    struct timestamp creation_time;
};

const struct field accessory_fields[] = {
    FIELD(struct accessory, id, 0, 0),
    FIELD(struct accessory, artifact_id, 0, 0),
    FIELD(struct accessory, subject_artifact_id, 0, 0),
    FIELD(struct accessory, subject_artifact_digest, 0, 0),
    FIELD(struct accessory, subject_artifact_repo, 0, 0),
    FIELD(struct accessory, size, 0, 0),
    FIELD(struct accessory, digest, 0, 0),
    FIELD(struct accessory, type, 0, 0),
    FIELD(struct accessory, icon, 0, 0),
    FIELD(struct accessory, creation_time, 0, 0),
    FIELDS_END,
};

const struct field artifact_view_fields[] = {
    FIELD(struct artifact_view, id, 0, 0),
    FIELD(struct artifact_view, type, 0, 0),
    FIELD(struct artifact_view, media_type, 0, 0),
    FIELD(struct artifact_view, manifest_media_type, 0, 0),
    FIELD(struct artifact_view, artifact_type, 0, 0),
    FIELD(struct artifact_view, project_id, 0, 0),
    FIELD(struct artifact_view, repository_id, 0, 0),
    FIELD(struct artifact_view, repository_name, 0, 0),
    FIELD(struct artifact_view, digest, 0, 0),
    FIELD(struct artifact_view, size, 0, 0),
    FIELD(struct artifact_view, icon, 0, 0),
    FIELD(struct artifact_view, push_time, 0, 0),
    FIELD(struct artifact_view, pull_time, F_OMIT, 0),
    FIELD(struct artifact_view, extra_attrs, 0, 0),
    FIELD(struct artifact_view, annotations, 0, 0),
    FIELD_LIST(struct artifact_view, references, 0, struct artifact_ref, reference_fields),
    FIELD_LIST(struct artifact_view, tags, 0, struct tag, tag_view_fields),
    FIELD(struct artifact_view, addition_links, 0, 0),
    FIELD_LIST(struct artifact_view, accessories, 0, struct accessory, accessory_fields),
    FIELDS_END,
};

#define WITH(what) FIELD(struct artifact_query, what, 0, 0)
#define WITH_COMMON                                                                                \
    WITH(with_tag), WITH(with_label), WITH(with_scan_overview), WITH(with_sbom_overview),          \
        WITH(with_immutable_status), WITH(with_accessory), WITH(with_inherited_accessory)

const struct field artifact_query_fields[] = {WITH_COMMON, FIELDS_END};
const struct field artifact_get_query_fields[] = {WITH_COMMON, WITH(with_signature), FIELDS_END};
const struct field project_artifact_query_fields[] = {WITH_COMMON, WITH(latest_in_repository),
                                                      FIELDS_END};
const struct field tag_query_fields[] = {WITH(with_immutable_status), FIELDS_END};

/* ---- rows to views ---- */

struct str accessory_kind(struct str artifact_type)
{
    if (str_contains(artifact_type, S("sigstore.bundle")) ||
        str_contains(artifact_type, S("cosign")))
        return S("signature.cosign");
    if (str_contains(artifact_type, S("cncf.notary.signature")))
        return S("signature.notation");
    if (str_contains(artifact_type, S("goharbor.harbor.sbom")))
        return S("sbom.harbor");
    return S("subject.accessory");
}

static enum err accessories_of(struct ctx *c, const struct artifact *subject, struct list *out)
{
    struct list rows;
    TRY(artifact_referrers(c, subject->repository_id, subject->digest, NO_STR, &rows));
    struct accessory *items = arena_array(&c->mem, rows.count + 1, sizeof *items);
    for (size_t i = 0; i < rows.count; i++) {
        const struct artifact *a = (const struct artifact *)rows.items + i;
        items[i] = (struct accessory){
            .id = a->id,
            .artifact_id = a->id,
            .subject_artifact_id = subject->id,
            .size = a->size,
            .subject_artifact_digest = subject->digest,
            .subject_artifact_repo = subject->repository_name,
            .digest = a->digest,
            .type = accessory_kind(a->artifact_type),
            .creation_time = a->push_time,
        };
    }
    *out = (struct list){items, rows.count};
    return E_OK;
}

static enum err tags_of(struct ctx *c, const struct artifact *a, struct list *out)
{
    struct list_query q = {.page = 1, .page_size = TAGS_MAX};
    int64_t total;
    return tag_list(c, a->repository_id, a->id, &q, out, &total);
}

static enum err view_of(struct call *r, const struct artifact *a, const struct artifact_query *with,
                        struct artifact_view *out)
{
    struct ctx *c = r->c;
    *out = (struct artifact_view){
        .id = a->id,
        .project_id = r->access.project.project_id,
        .repository_id = a->repository_id,
        .size = a->size,
        .type = a->type,
        .media_type = a->config_media_type,
        .manifest_media_type = a->media_type,
        .artifact_type = a->artifact_type,
        .repository_name = a->repository_name,
        .digest = a->digest,
        .push_time = a->push_time,
        .pull_time = a->pull_time,
        .annotations = a->annotations,
        .addition_links.text = S("{}"),
    };
    struct str path = a->repository_name;
    (void)str_cut(&path, '/');
    TRY(config_attrs_read(c, a->project_id, path, a->digest, &out->extra_attrs));
    TRY(artifact_children(c, a->id, &out->references));
    if (with->with_tag)
        TRY(tags_of(c, a, &out->tags));
    if (with->with_accessory)
        TRY(accessories_of(c, a, &out->accessories));
    return E_OK;
}

enum err repository_here(struct call *r, struct repository *out)
{
    enum err e = repository_by_name(r->c, r->access.project.project_id, r->place.repository, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "repository %.*s/%.*s not found", STR(r->access.project.name),
                    STR(r->place.repository));
    return e;
}

enum err artifact_here(struct call *r, struct str ref, struct repository *repository,
                       struct artifact *out)
{
    TRY(repository_here(r, repository));
    enum err e = artifact_by_reference(r->c, repository->id, ref, out);
    if (e == E_NOT_FOUND || e == E_MANIFEST_UNKNOWN || (e == E_OK && out->state != STATE_ACTIVE))
        return fail(r->c, E_NOT_FOUND, "artifact %.*s/%.*s:%.*s not found",
                    STR(r->access.project.name), STR(r->place.repository), STR(ref));
    return e;
}

static enum err artifact_of(struct call *r, struct repository *repository, struct artifact *out)
{
    return artifact_here(r, call_param(r, "reference"), repository, out);
}

/* ---- lists ---- */

static enum err reply_artifacts(struct call *r, const struct artifact *rows, size_t count,
                                int64_t total, const struct artifact_query *with)
{
    struct ctx *c = r->c;
    struct artifact_view *views = arena_array(&c->mem, count + 1, sizeof *views);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    for (size_t i = 0; i < count; i++)
        TRY(view_of(r, &rows[i], with, &views[i]));
    tx_end(&tx);
    struct list out = {views, count};
    return reply_list(r, artifact_view_fields, &out, sizeof *views, total);
}

/* What tags= asks: "*" any, "nil" none, "~x" one that holds x, else one of that name. */
static enum err tags_match(struct ctx *c, const struct artifact *a, const struct query_term *t,
                           bool *out)
{
    struct list tags;
    TRY(tags_of(c, a, &tags));
    struct str want = t->values.items[0];
    bool part = t->op == Q_FUZZY || str_starts(want, S("~"));
    if (str_starts(want, S("~")))
        want = str_sub(want, 1, want.n);
    *out = false;
    if (str_eq(want, S("nil")) && !part) {
        *out = tags.count == 0;
        return E_OK;
    }
    for (size_t i = 0; i < tags.count && !*out; i++) {
        struct str name = ((const struct tag *)tags.items + i)->name;
        *out = part ? str_contains(name, want) : str_eq(want, S("*")) || str_eq(want, name);
    }
    return E_OK;
}

struct scan {
    struct artifact *items;
    size_t count;
    const struct query_term *tags;
    bool base_only, latest;
};

static enum err scan_repository(struct call *r, int64_t repository_id, struct scan *s)
{
    struct ctx *c = r->c;
    struct list_query q = r->query;
    int64_t total = 0;
    q.page = 1;
    q.page_size = 100;
    q.by_cursor = false;
    do {
        struct list page;
        TRY(artifact_list(c, repository_id, s->base_only, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++) {
            const struct artifact *a = (const struct artifact *)page.items + i;
            bool fits = true;
            if (s->tags)
                TRY(tags_match(c, a, s->tags, &fits));
            if (!fits)
                continue;
            if (s->count == SCAN_MAX)
                return fail(c, E_UNPROCESSABLE, "more than %d artifacts: narrow q", SCAN_MAX);
            s->items[s->count++] = *a;
            if (s->latest)
                return E_OK;
        }
    } while (q.page++ * 100 < total);
    return E_OK;
}

static enum err scan_project(struct call *r, struct scan *s)
{
    struct ctx *c = r->c;
    struct list_query q = {.page = 1, .page_size = 100};
    int64_t total = 0;
    do {
        struct list page;
        TRY(repository_list(c, r->access.project.project_id, &r->principal, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++)
            TRY(scan_repository(r, ((const struct repository *)page.items + i)->id, s));
    } while (q.page++ * 100 < total);
    return E_OK;
}

/* Where the asked page begins among count items; count when it lies behind them. */
static size_t page_start(const struct list_query *q, size_t count)
{
    int64_t from;
    size_t at;
    if (__builtin_mul_overflow(q->page - 1, q->page_size, &from) || !i64_to_size(from, &at))
        return count;
    return size_min(at, count);
}

static enum err reply_scan(struct call *r, const struct scan *s, const struct artifact_query *with)
{
    size_t from = page_start(&r->query, s->count);
    size_t n = size_min(s->count - from, (size_t)r->query.page_size);
    r->query.by_cursor = false; /* what was found here has pages alone */
    return reply_artifacts(r, s->items + from, n, (int64_t)s->count, with);
}

/* base=* asks for the children of indexes and the accessories as well. */
static bool take_base(struct call *r)
{
    const struct query_term *base = query_take(&r->query, "base");
    return !base || !str_eq(base->values.items[0], S("*"));
}

enum err list_artifacts(struct call *r)
{
    struct ctx *c = r->c;
    struct artifact_query with = {.with_tag = true};
    struct repository repository;
    struct list rows;
    int64_t total;
    TRY(query_decode(r, &with));
    struct scan s = {.base_only = take_base(r), .tags = query_take(&r->query, "tags")};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(repository_here(r, &repository));
    if (!s.tags) {
        TRY(artifact_list(c, repository.id, s.base_only, &r->query, &rows, &total));
        tx_end(&tx);
        return reply_artifacts(r, rows.items, rows.count, total, &with);
    }
    s.items = arena_array(&c->mem, SCAN_MAX, sizeof *s.items);
    TRY(scan_repository(r, repository.id, &s));
    tx_end(&tx);
    return reply_scan(r, &s, &with);
}

enum err list_artifacts_of_project(struct call *r)
{
    struct ctx *c = r->c;
    struct artifact_query with = {.with_tag = true};
    TRY(query_decode(r, &with));
    struct scan s = {.base_only = take_base(r),
                     .tags = query_take(&r->query, "tags"),
                     .latest = with.latest_in_repository,
                     .items = arena_array(&c->mem, SCAN_MAX, sizeof *s.items)};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(scan_project(r, &s));
    tx_end(&tx);
    return reply_scan(r, &s, &with);
}

/* ---- one artifact ---- */

enum err get_artifact(struct call *r)
{
    struct artifact_query with = {.with_tag = true};
    struct repository repository;
    struct artifact a;
    struct artifact_view view;
    TRY(query_decode(r, &with));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(artifact_of(r, &repository, &a));
    TRY(view_of(r, &a, &with, &view));
    tx_end(&tx);
    return reply_json(r, 200, artifact_view_fields, &view);
}

enum err delete_artifact(struct call *r)
{
    struct repository repository;
    struct artifact a;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(artifact_of(r, &repository, &a));
    tx_end(&tx);
    TRY(delete_manifest(r->c, &r->place, a.digest));
    return reply_empty(r, 200);
}

enum err list_accessories(struct call *r)
{
    struct ctx *c = r->c;
    struct repository repository;
    struct artifact a;
    struct list all;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(artifact_of(r, &repository, &a));
    TRY(accessories_of(c, &a, &all));
    tx_end(&tx);
    size_t from = page_start(&r->query, all.count);
    struct list page = {(struct accessory *)all.items + from,
                        size_min(all.count - from, (size_t)r->query.page_size)};
    return reply_list(r, accessory_fields, &page, sizeof(struct accessory), (int64_t)all.count);
}

/* ---- tags ---- */

enum err list_tags(struct call *r)
{
    struct ctx *c = r->c;
    struct artifact_query with = {0};
    struct repository repository;
    struct artifact a;
    struct list rows;
    int64_t total;
    TRY(query_decode(r, &with));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(artifact_of(r, &repository, &a));
    TRY(tag_list(c, repository.id, a.id, &r->query, &rows, &total));
    tx_end(&tx);
    return reply_list(r, tag_view_fields, &rows, sizeof(struct tag), total);
}

enum err create_tag(struct call *r)
{
    struct ctx *c = r->c;
    const struct tag *body = r->body;
    struct repository repository;
    struct artifact a;
    struct tag existing;
    if (r->access.project.registry_id)
        return fail(c, E_METHOD_NOT_ALLOWED,
                    "the tags of a proxy cache project are its upstream's");
    if (!name_is_tag(body->name))
        return fail(c, E_BAD_REQUEST, "invalid tag name");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(artifact_of(r, &repository, &a));
    enum err e = tag_by_name(c, repository.id, body->name, &existing);
    tx_end(&tx);
    if (e == E_OK)
        return fail(c, E_CONFLICT, "tag %.*s already exists", STR(body->name));
    if (e != E_NOT_FOUND)
        return e;
    TRY(push_tag(c, &r->place, a.digest, body->name));
    struct str target = r->http->target; /* as sent: the repository's slashes stay escaped */
    struct str path = str_cut(&target, '?');
    call_header(r, "Location", "%.*s/%.*s", STR(path), STR(body->name));
    return reply_empty(r, 201);
}

enum err delete_tag_by_api(struct call *r)
{
    struct ctx *c = r->c;
    struct str name = call_param(r, "tag_name");
    struct repository repository;
    struct artifact a;
    struct tag tag;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(artifact_of(r, &repository, &a));
    enum err e = tag_by_name(c, repository.id, name, &tag);
    tx_end(&tx);
    if (e == E_NOT_FOUND || (e == E_OK && tag.artifact_id != a.id))
        return fail(c, E_NOT_FOUND, "tag %.*s is not attached to this artifact", STR(name));
    TRY(e);
    TRY(delete_tag(c, &r->place, name));
    return reply_empty(r, 200);
}
