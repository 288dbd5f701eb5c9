/*
 * Projects: Harbor's project operations. A project with registry_id is a proxy cache of that
 * endpoint; only system admins create one, it stays one, and it gets a retention policy at birth.
 *
 * Not stored in this release: CVE allowlists. A request that carries entries is refused (501)
 * rather than half obeyed.
 */
#include "api/harbor.h"

#include "meta/member.h"
#include "meta/repository.h"
#include "meta/store.h"
#include "peer/vendor.h"
#include "registry/access.h"
#include "registry/declared.h"
#include "registry/projects.h"
#include "rule/name.h"
#include "rule/quota.h"
#include "rule/settings.h"

#include <inttypes.h>

const struct field cve_item_fields[] = {
    FIELD(struct cve_item, cve_id, 0, 64),
    FIELDS_END,
};

const struct field cve_allowlist_fields[] = {
    FIELD(struct cve_allowlist, id, 0, 0),
    FIELD(struct cve_allowlist, project_id, 0, 0),
    FIELD(struct cve_allowlist, expires_at, F_OMIT, 0),
    FIELD_LIST(struct cve_allowlist, items, 0, struct cve_item, cve_item_fields),
    FIELD(struct cve_allowlist, creation_time, F_RO, 0),
    FIELD(struct cve_allowlist, update_time, F_RO, 0),
    FIELDS_END,
};

const struct field project_req_fields[] = {
    FIELD(struct project_req, project_name, 0, 255),
    FIELD(struct project_req, public, 0, 0),
    FIELD_OBJECT(struct project_req, metadata, 0, metadata_fields),
    FIELD_REF(struct project_req, cve_allowlist, 0, cve_allowlist_fields),
    FIELD(struct project_req, storage_limit, 0, 0),
    FIELD(struct project_req, registry_id, 0, 0),
    FIELDS_END,
};

const struct field project_query_fields[] = {
    FIELD(struct project_query, name, 0, 255),
    FIELD(struct project_query, public, 0, 0),
    FIELD(struct project_query, owner, 0, 255),
    FIELD(struct project_query, with_detail, 0, 0),
    FIELDS_END,
};

const struct field project_head_fields[] = {
    FIELD(struct project_query, project_name, F_REQ, 255),
    FIELDS_END,
};

const struct field project_view_fields[] = {
    FIELD(struct project_view, project_id, 0, 0),
    FIELD(struct project_view, owner_id, 0, 0),
    FIELD(struct project_view, name, 0, 0),
    FIELD(struct project_view, registry_id, F_OMIT, 0),
    FIELD(struct project_view, creation_time, 0, 0),
    FIELD(struct project_view, update_time, 0, 0),
    FIELD(struct project_view, deleted, F_OMIT, 0),
    FIELD(struct project_view, owner_name, 0, 0),
    FIELD(struct project_view, togglable, F_OMIT, 0),
    FIELD(struct project_view, current_user_role_id, F_OMIT, 0),
    FIELD(struct project_view, current_user_role_ids, 0, 0),
    FIELD(struct project_view, repo_count, 0, 0),
    FIELD_OBJECT(struct project_view, metadata, 0, metadata_fields),
    FIELD_OBJECT(struct project_view, cve_allowlist, 0, cve_allowlist_fields),
    FIELDS_END,
};

struct project_deletable {
    bool deletable;
    struct str message;
};

const struct field project_deletable_fields[] = {
    FIELD(struct project_deletable, deletable, 0, 0),
    FIELD(struct project_deletable, message, F_OMIT, 0),
    FIELDS_END,
};

const struct field resource_list_fields[] = {
    FIELD(struct resource_list, storage, 0, 0),
    FIELDS_END,
};

struct summary_quota {
    struct resource_list hard, used;
};

const struct field summary_quota_fields[] = {
    FIELD_OBJECT(struct summary_quota, hard, 0, resource_list_fields),
    FIELD_OBJECT(struct summary_quota, used, 0, resource_list_fields),
    FIELDS_END,
};

struct project_summary {
    int64_t repo_count, project_admin_count, maintainer_count, developer_count, guest_count,
        limited_guest_count;
    struct summary_quota *quota;
    struct registry_view *registry;
};

const struct field project_summary_fields[] = {
    FIELD(struct project_summary, repo_count, 0, 0),
    FIELD(struct project_summary, project_admin_count, 0, 0),
    FIELD(struct project_summary, maintainer_count, 0, 0),
    FIELD(struct project_summary, developer_count, 0, 0),
    FIELD(struct project_summary, guest_count, 0, 0),
    FIELD(struct project_summary, limited_guest_count, 0, 0),
    FIELD_REF(struct project_summary, quota, 0, summary_quota_fields),
    FIELD_REF(struct project_summary, registry, 0, registry_view_fields),
    FIELDS_END,
};

/* ---- reading ---- */

/* Roles from the strongest to the weakest; the numbers are Harbor's and say nothing. */
static int64_t strongest(const struct i64s *roles)
{
    static const int64_t order[] = {ROLE_PROJECT_ADMIN, ROLE_MAINTAINER, ROLE_DEVELOPER, ROLE_GUEST,
                                    ROLE_LIMITED_GUEST};
    for (size_t i = 0; i < COUNT(order); i++)
        for (size_t k = 0; k < roles->count; k++)
            if (roles->items[k] == order[i])
                return order[i];
    return ROLE_NONE;
}

void project_view_of(struct call *r, const struct project *p, const struct i64s *roles,
                     struct project_view *out)
{
    (void)r;
    *out = (struct project_view){
        .project_id = p->project_id,
        .owner_id = p->owner_id,
        .registry_id = p->registry_id,
        .repo_count = p->repo_count,
        .name = p->name,
        .owner_name = p->owner_name,
        .creation_time = p->creation_time,
        .update_time = p->update_time,
        .cve_allowlist = {.id = p->project_id,
                          .project_id = p->project_id,
                          .creation_time = p->creation_time,
                          .update_time = p->creation_time},
    };
    metadata_of(p, &out->metadata);
    if (roles) {
        out->current_user_role_ids = *roles;
        out->current_user_role_id = strongest(roles);
    }
}

enum err list_projects(struct call *r)
{
    struct ctx *c = r->c;
    struct project_query q = {.with_detail = true};
    struct list rows;
    int64_t total;
    TRY(query_decode(r, &q));
    struct str is_public;
    bool by_public = http_query(c, r->http, "public", &is_public) == E_OK;
    struct project_filter f = {.principal = &r->principal,
                               .name = q.name,
                               .owner = q.owner,
                               .is_public = by_public ? q.public : -1};
    const struct query_term *term = query_take(&r->query, "public");
    bool wanted;
    if (term && term->op == Q_EQ && str_to_bool(term->values.items[0], &wanted))
        f.is_public = wanted;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(project_list(c, &f, &r->query, &rows, &total));
    struct project_view *views = arena_array(&c->mem, rows.count + 1, sizeof *views);
    for (size_t i = 0; i < rows.count; i++) {
        const struct project *p = (const struct project *)rows.items + i;
        struct project_access in = {0};
        if (q.with_detail && r->principal.kind == PRINCIPAL_USER)
            TRY(project_access_for(c, NO_STR, p->project_id, &r->principal, &in));
        project_view_of(r, p, &in.roles, &views[i]);
    }
    tx_end(&tx);
    struct list out = {views, rows.count};
    return reply_list(r, project_view_fields, &out, sizeof *views, total);
}

enum err head_project(struct call *r)
{
    struct ctx *c = r->c;
    struct project_query q = {0};
    struct project p;
    TRY(query_decode(r, &q));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err e = project_by_name(c, q.project_name, &p);
    if (e == E_NOT_FOUND)
        return fail(c, e, "project %.*s not found", STR(q.project_name));
    TRY(e);
    tx_end(&tx);
    return reply_empty(r, 200);
}

/* The project of the path with its count of repositories. */
static enum err project_of_path(struct call *r, struct project *out)
{
    return project_by_id(r->c, r->access.project.project_id, out);
}

enum err get_project(struct call *r)
{
    struct project p;
    struct project_view view;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(project_of_path(r, &p));
    tx_end(&tx);
    project_view_of(r, &p, &r->access.roles, &view);
    return reply_json(r, 200, project_view_fields, &view);
}

enum err get_project_deletable(struct call *r)
{
    struct project p;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(project_of_path(r, &p));
    tx_end(&tx);
    struct project_deletable answer = {.message = project_why_kept(&p)};
    answer.deletable = answer.message.n == 0;
    return reply_json(r, 200, project_deletable_fields, &answer);
}

enum err get_project_summary(struct call *r)
{
    struct ctx *c = r->c;
    struct project p;
    struct project_summary s = {0};
    int64_t counts[6] = {0};
    struct summary_quota quota;
    struct registry_view registry;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(project_of_path(r, &p));
    s.repo_count = p.repo_count;
    if (access_may(&r->principal, &r->access, RES_QUOTA, ACT_READ)) {
        quota = (struct summary_quota){{p.storage_limit}, {p.storage_used}};
        s.quota = &quota;
    }
    if (access_may(&r->principal, &r->access, RES_MEMBER, ACT_LIST))
        TRY(member_counts(c, p.project_id, counts));
    s.project_admin_count = counts[ROLE_PROJECT_ADMIN];
    s.maintainer_count = counts[ROLE_MAINTAINER];
    s.developer_count = counts[ROLE_DEVELOPER];
    s.guest_count = counts[ROLE_GUEST];
    s.limited_guest_count = counts[ROLE_LIMITED_GUEST];
    if (r->access.endpoint.id) {
        registry_view_of(&c->mem, &r->access.endpoint, &registry);
        registry.credential = NULL; /* whoever may read the project may read this */
        s.registry = &registry;
    }
    tx_end(&tx);
    return reply_json(r, 200, project_summary_fields, &s);
}

/* ---- writing ---- */

static enum err check_allowlist(struct ctx *c, const struct project_req *body)
{
    if (body->cve_allowlist && body->cve_allowlist->items.count)
        return fail(c, E_NOT_IMPLEMENTED, "CVE allowlists are not in this release");
    return E_OK;
}

/* Who may create which project. */
static enum err check_creator(struct call *r, bool proxy)
{
    struct ctx *c = r->c;
    bool admin = access_may(&r->principal, NULL, RES_PROJECT, ACT_CREATE);
    bool everyone = str_eq(c->sv->settings->project_creation, S("everyone")) &&
                    r->principal.kind == PRINCIPAL_USER;
    if (!admin && !everyone)
        return fail(c, E_FORBIDDEN, "only system admins may create projects");
    if (proxy && !r->principal.sysadmin)
        return fail(c, E_FORBIDDEN, "only system admins may create proxy cache projects");
    return E_OK;
}

static enum err check_endpoint(struct ctx *c, int64_t id, struct endpoint *out)
{
    enum err e = endpoint_by_id(c, id, out);
    if (e == E_NOT_FOUND)
        return fail(c, e, "registry %" PRId64 " not found", id);
    TRY(e);
    const struct vendor *v = vendor_by_type(out->type);
    if (!v || !v->proxy)
        return fail(c, E_BAD_REQUEST, "unsupported registry type %.*s for a proxy cache project",
                    STR(out->type));
    return E_OK;
}

static enum err insert_project(struct call *r, struct project *p)
{
    struct ctx *c = r->c;
    struct endpoint endpoint = {0};
    if (p->registry_id)
        TRY(check_endpoint(c, p->registry_id, &endpoint));
    TRY(project_check_exposure(c, p, &endpoint));
    enum err e = project_insert(c, p);
    if (e == E_CONFLICT)
        return fail(c, e, "the project named %.*s already exists", STR(p->name));
    TRY(e);
    if (r->principal.kind == PRINCIPAL_USER) {
        struct member m = {.project_id = p->project_id,
                           .entity_id = r->principal.id,
                           .entity_name = r->principal.name,
                           .entity_type = S("u"),
                           .role_id = ROLE_PROJECT_ADMIN};
        TRY(member_insert(c, &m));
    }
    return p->registry_id ? declared_retention(c, p) : E_OK;
}

/* public may stand at the top or in the metadata; the top wins. */
static void settle_public(const struct call *r, struct project_req *body)
{
    if (field_seen(project_req_fields, "public", r->seen))
        body->metadata.public = body->public ? S("true") : S("false");
}

enum err create_project(struct call *r)
{
    struct ctx *c = r->c;
    struct project_req *body = r->body;
    bool proxy = field_seen(project_req_fields, "registry_id", r->seen);
    bool limited = field_seen(project_req_fields, "storage_limit", r->seen);
    TRY(check_creator(r, proxy));
    TRY(check_allowlist(c, body));
    if (proxy && body->registry_id <= 0)
        return fail(c, E_BAD_REQUEST, "%" PRId64 " is invalid value of registry_id",
                    body->registry_id);
    if (!name_is_project(body->project_name))
        return fail(c, E_BAD_REQUEST,
                    "project name: expected 1 to 255 lower case letters and digits, with single "
                    ". _ - between them");
    struct project p = {
        .name = body->project_name,
        .owner_id = r->principal.kind == PRINCIPAL_USER ? r->principal.id : 1,
        .registry_id = body->registry_id,
        .storage_limit = c->sv->settings->storage_per_project,
    };
    if (limited && r->principal.sysadmin) {
        TRY(quota_check_limit(c, "storage_limit", body->storage_limit));
        p.storage_limit = body->storage_limit;
    }
    settle_public(r, body);
    TRY(metadata_apply(r, &body->metadata, &p));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(insert_project(r, &p));
    TRY(tx_commit(&tx));
    if (header_true(r, "X-Resource-Name-In-Location"))
        return reply_located(r, "/projects/%.*s", STR(p.name));
    return reply_located(r, "/projects/%" PRId64, p.project_id);
}

/* registry_id and project_name of the body are ignored, as Harbor does. */
enum err update_project(struct call *r)
{
    struct ctx *c = r->c;
    struct project_req *body = r->body;
    struct project p;
    TRY(check_allowlist(c, body));
    settle_public(r, body);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(project_of_path(r, &p));
    TRY(metadata_apply(r, &body->metadata, &p));
    if (field_seen(project_req_fields, "storage_limit", r->seen) && r->principal.sysadmin) {
        TRY(quota_check_limit(c, "storage_limit", body->storage_limit));
        p.storage_limit = body->storage_limit;
    }
    TRY(project_check_exposure(c, &p, &r->access.endpoint));
    TRY(project_update(c, &p));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err delete_project(struct call *r)
{
    struct ctx *c = r->c;
    struct project p;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(project_of_path(r, &p));
    TRY(project_remove(c, &p));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}
