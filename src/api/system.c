/*
 * The installation: ping, health, systeminfo, volumes, quotas (Harbor's tags ping, health,
 * systeminfo, quota). A project has exactly one quota, its storage limit, so the quota's id is the
 * project's.
 */
#include "api/harbor.h"

#include "blob/store.h"
#include "registry/access.h"
#include "registry/readonly.h"
#include "rule/quota.h"
#include "rule/settings.h"

#include <inttypes.h>

#define HARBOR_VERSION "v2.16.0-cove-" COVE_VERSION /* the contract that is served, and by whom */

struct component {
    struct str name, status, error;
};

const struct field component_fields[] = {
    FIELD(struct component, name, 0, 0),
    FIELD(struct component, status, 0, 0),
    FIELD(struct component, error, F_OMIT, 0),
    FIELDS_END,
};

struct health {
    struct str status;
    struct list components;
};

const struct field health_fields[] = {
    FIELD(struct health, status, 0, 0),
    FIELD_LIST(struct health, components, 0, struct component, component_fields),
    FIELDS_END,
};

struct general_info {
    struct timestamp current_time;
    struct str registry_url, external_url, auth_mode, project_creation_restriction, harbor_version,
        registry_storage_provider_name;
    bool primary_auth_mode, self_registration, has_ca_root, read_only, notification_enable;
};

/* Everybody learns how to log in; the rest is for those who did. */
#define INFO_FOR_ALL                                                                               \
    FIELD(struct general_info, current_time, 0, 0), FIELD(struct general_info, auth_mode, 0, 0),   \
        FIELD(struct general_info, primary_auth_mode, 0, 0),                                       \
        FIELD(struct general_info, self_registration, 0, 0)

static const struct field public_info_fields[] = {INFO_FOR_ALL, FIELDS_END};

const struct field general_info_fields[] = {
    INFO_FOR_ALL,
    FIELD(struct general_info, registry_url, 0, 0),
    FIELD(struct general_info, external_url, 0, 0),
    FIELD(struct general_info, project_creation_restriction, 0, 0),
    FIELD(struct general_info, has_ca_root, 0, 0),
    FIELD(struct general_info, harbor_version, 0, 0),
    FIELD(struct general_info, registry_storage_provider_name, 0, 0),
    FIELD(struct general_info, read_only, 0, 0),
    FIELD(struct general_info, notification_enable, 0, 0),
    FIELDS_END,
};

struct storage {
    int64_t total, free;
};

const struct field storage_fields[] = {
    FIELD(struct storage, total, 0, 0),
    FIELD(struct storage, free, 0, 0),
    FIELDS_END,
};

struct system_info {
    struct list storage;
};

const struct field system_info_fields[] = {
    FIELD_LIST(struct system_info, storage, 0, struct storage, storage_fields),
    FIELDS_END,
};

struct quota_ref {
    int64_t id;
    struct str name, owner_name;
};

static const struct field quota_ref_fields[] = {
    FIELD(struct quota_ref, id, 0, 0),
    FIELD(struct quota_ref, name, 0, 0),
    FIELD(struct quota_ref, owner_name, 0, 0),
    FIELDS_END,
};

struct quota {
    int64_t id;
    struct quota_ref ref;
    struct resource_list hard, used;
    struct timestamp creation_time, update_time;
};

const struct field quota_fields[] = {
    FIELD(struct quota, id, 0, 0),
    FIELD_OBJECT(struct quota, ref, 0, quota_ref_fields),
    FIELD_OBJECT(struct quota, hard, 0, resource_list_fields),
    FIELD_OBJECT(struct quota, used, 0, resource_list_fields),
    FIELD(struct quota, creation_time, 0, 0),
    FIELD(struct quota, update_time, 0, 0),
    FIELDS_END,
};

const struct field quota_req_fields[] = {
    FIELD_REF(struct quota_req, hard, 0, resource_list_fields),
    FIELDS_END,
};

const struct field quota_query_fields[] = {
    FIELD(struct quota_query, reference, 0, 32),
    FIELD(struct quota_query, reference_id, 0, 20),
    FIELD(struct quota_query, sort, 0, 64),
    FIELDS_END,
};

/* ---- the installation ---- */

enum err get_ping(struct call *r)
{
    return reply_text(r, 200, S("text/plain; charset=utf-8"), S("Pong"));
}

static struct component component(struct call *r, const char *name, enum err e)
{
    struct component c = {.name = str_of(name), .status = S("healthy")};
    if (e != E_OK) {
        c.status = S("unhealthy");
        c.error = str_dup(&r->c->mem, str_of(r->c->msg));
    }
    return c;
}

static enum err space(struct call *r, struct storage *out)
{
    return store_space(r->c, &out->free, &out->total);
}

enum err get_health(struct call *r)
{
    struct storage room;
    struct component parts[] = {
        component(r, "core", E_OK),
        component(r, "database", db_ping(r->c)),
        component(r, "registry", space(r, &room)),
    };
    struct health h = {.status = S("healthy"), .components = {parts, COUNT(parts)}};
    for (size_t i = 0; i < COUNT(parts); i++)
        if (parts[i].error.p)
            h.status = S("unhealthy");
    return reply_json(r, 200, health_fields, &h);
}

static struct str host_of(struct str url)
{
    int64_t at = str_find(url, ':');
    struct str rest = at < 0 ? url : str_sub(url, (size_t)at + 3, url.n);
    return str_cut(&rest, '/');
}

enum err get_system_info(struct call *r)
{
    struct ctx *c = r->c;
    const struct settings *s = c->sv->settings;
    struct str url = call_base_url(r);
    struct general_info info = {
        .current_time = clock_now(),
        .registry_url = host_of(url),
        .external_url = url,
        .auth_mode = S("db_auth"),
        .project_creation_restriction = s->project_creation,
        .harbor_version = S(HARBOR_VERSION),
        .registry_storage_provider_name = S("filesystem"),
        .self_registration = s->self_registration,
        .read_only = read_only(),
    };
    bool known = r->principal.kind != PRINCIPAL_ANONYMOUS;
    return reply_json(r, 200, known ? general_info_fields : public_info_fields, &info);
}

enum err get_volumes(struct call *r)
{
    struct storage room;
    TRY(space(r, &room));
    struct system_info info = {.storage = {&room, 1}};
    return reply_json(r, 200, system_info_fields, &info);
}

/* Cove makes no certificate authority of its own, so there is no root to hand out. */
enum err get_cert(struct call *r)
{
    return fail(r->c, E_NOT_FOUND, "no root certificate is offered");
}

/* ---- quotas ---- */

static void quota_of(const struct project *p, struct quota *out)
{
    *out = (struct quota){
        .id = p->project_id,
        .ref = {p->project_id, p->name, p->owner_name},
        .hard = {p->storage_limit},
        .used = {p->storage_used},
        .creation_time = p->creation_time,
        .update_time = p->update_time,
    };
}

/* sort=hard.storage and its like, in the words of the rows. */
static enum err sort_quotas(struct call *r, struct str sort)
{
    static const struct {
        const char *name, *column;
    } words[] = {{"hard.storage", "storage_limit"},
                 {"used.storage", "storage_used"},
                 {"ref.name", "name"},
                 {"id", "project_id"}};
    if (sort.n)
        TRY(query_parse_sort(r->c, sort, &r->query));
    for (size_t i = 0; i < r->query.sort_count; i++) {
        struct str *name = &r->query.sort[i];
        bool down = str_starts(*name, S("-"));
        for (size_t k = 0; k < COUNT(words); k++)
            if (str_eq(down ? str_sub(*name, 1, name->n) : *name, str_of(words[k].name)))
                *name = str_fmt(&r->c->mem, "%s%s", down ? "-" : "", words[k].column);
    }
    return E_OK;
}

enum err list_quotas(struct call *r)
{
    struct ctx *c = r->c;
    struct quota_query q = {0};
    struct list rows = {0};
    int64_t total = 0, id = 0;
    TRY(query_decode(r, &q));
    if (q.reference.n && !str_eq(q.reference, S("project")))
        return fail(c, E_BAD_REQUEST, "reference: expected project");
    if (q.reference_id.n && !str_to_i64(q.reference_id, &id))
        return fail(c, E_BAD_REQUEST, "reference_id: expected a project's id");
    TRY(sort_quotas(r, q.sort));
    struct principal all = {.kind = PRINCIPAL_USER, .sysadmin = true};
    struct project_filter f = {.principal = &all, .is_public = -1};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    if (q.reference_id.n) {
        struct project *one = arena_alloc(&c->mem, sizeof *one);
        enum err e = project_by_id(c, id, one);
        if (e != E_OK && e != E_NOT_FOUND)
            return e;
        rows = (struct list){one, e == E_OK ? 1 : 0};
        total = (int64_t)rows.count;
    } else {
        TRY(project_list(c, &f, &r->query, &rows, &total));
    }
    tx_end(&tx);
    struct quota *quotas = arena_array(&c->mem, rows.count + 1, sizeof *quotas);
    for (size_t i = 0; i < rows.count; i++)
        quota_of((const struct project *)rows.items + i, &quotas[i]);
    struct list out = {quotas, rows.count};
    return reply_list(r, quota_fields, &out, sizeof *quotas, total);
}

static enum err quota_of_path(struct call *r, struct project *out)
{
    int64_t id;
    TRY(call_param_i64(r, "id", &id));
    enum err e = project_by_id(r->c, id, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "quota %" PRId64 " not found", id);
    return e;
}

enum err get_quota(struct call *r)
{
    struct project p;
    struct quota q;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(quota_of_path(r, &p));
    tx_end(&tx);
    quota_of(&p, &q);
    return reply_json(r, 200, quota_fields, &q);
}

enum err update_quota(struct call *r)
{
    struct ctx *c = r->c;
    const struct quota_req *body = r->body;
    struct project p;
    if (!body->hard)
        return fail(c, E_BAD_REQUEST, "hard: required");
    TRY(quota_check_limit(c, "hard.storage", body->hard->storage));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(quota_of_path(r, &p));
    p.storage_limit = body->hard->storage;
    TRY(project_update(c, &p));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}
