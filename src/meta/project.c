/*
 * Projects, and the one row that tells a manifest GET all it must know of one: the project, its
 * endpoint and the principal's roles in it.
 *
 * storage_used counts the distinct ACTIVE blobs linked to the project's repositories and its
 * manifests; meta/usage.h keeps it.
 */
#include "meta/project.h"

#include "meta/store.h"
#include "meta/visible.h"
#include "rule/quota.h"

#define PROJECT_ROW(T, at, sort)                                                                   \
    FIELD_AS(T, at project_id, "project_id", F_ROW | (sort), 0),                                   \
        FIELD_AS(T, at name, "name", F_ROW | (sort), 255),                                         \
        FIELD_AS(T, at owner_id, "owner_id", F_ROW | (sort), 0),                                   \
        FIELD_AS(T, at owner_name, "owner_name", F_ROW, 0),                                        \
        FIELD_AS(T, at registry_id, "registry_id", F_ROW | (sort), 0),                             \
        FIELD_AS(T, at is_public, "is_public", F_ROW | (sort), 0),                                 \
        FIELD_AS(T, at declared, "declared", F_ROW, 0),                                            \
        FIELD_AS(T, at storage_limit, "storage_limit", F_ROW | (sort), 0),                         \
        FIELD_AS(T, at storage_used, "storage_used", F_ROW | (sort), 0),                           \
        FIELD_AS(T, at repo_count, "repo_count", F_ROW, 0),                                        \
        FIELD_AS(T, at creation_time, "creation_time", F_ROW | (sort), 0),                         \
        FIELD_AS(T, at update_time, "update_time", F_ROW | (sort), 0)

const struct field project_row_fields[] = {
    PROJECT_ROW(struct project, , F_SORT),
#define X(name) FIELD_AS(struct project, name, #name, F_ROW, 0),
    PROJECT_METADATA(X)
#undef X
        FIELDS_END,
};

#define E_FIELD(m) FIELD_AS(struct project_access, endpoint.m, "e_" #m, F_ROW, 0)

static const struct field access_fields[] = {
    PROJECT_ROW(struct project_access, project., 0),
#define X(name) FIELD_AS(struct project_access, project.name, #name, F_ROW, 0),
    PROJECT_METADATA(X)
#undef X
        E_FIELD(id),
    E_FIELD(name),
    E_FIELD(description),
    E_FIELD(type),
    E_FIELD(url),
    E_FIELD(insecure),
    E_FIELD(ca_certificate),
    E_FIELD(credential_type),
    E_FIELD(access_key),
    E_FIELD(access_secret),
    E_FIELD(status),
    E_FIELD(epoch),
    E_FIELD(declared),
    E_FIELD(halt),
    E_FIELD(halted_by),
    E_FIELD(halt_reason),
    E_FIELD(halted_at),
    E_FIELD(creation_time),
    E_FIELD(update_time),
    FIELD_AS(struct project_access, roles, "roles", F_ROW, 0),
    FIELDS_END,
};

#define X(name) ", p." #name " AS " #name
#define COLUMNS                                                                                    \
    "p.id AS project_id, p.name AS name, p.owner_id AS owner_id, COALESCE(p.registry_id, 0) AS "   \
    "registry_id, "                                                                                \
    "p.is_public AS is_public, p.declared AS declared, p.storage_limit AS storage_limit, "         \
    "p.storage_used AS storage_used, p.creation_time AS creation_time, "                           \
    "p.update_time AS update_time" PROJECT_METADATA(X)
#define COUNTED                                                                                    \
    COLUMNS                                                                                        \
    ", (SELECT username FROM account WHERE id = p.owner_id) AS owner_name, (SELECT count(*) FROM " \
    "repository r WHERE r.project_id = p.id) AS repo_count"
#define ENDPOINT                                                                                   \
    ", e.id AS e_id, e.name AS e_name, e.description AS e_description, e.type AS e_type, "         \
    "e.url AS e_url, e.insecure AS e_insecure, e.ca_certificate AS e_ca_certificate, "             \
    "e.credential_type AS e_credential_type, e.access_key AS e_access_key, "                       \
    "e.access_secret AS e_access_secret, e.status AS e_status, e.epoch AS e_epoch, "               \
    "e.declared AS e_declared, e.halt AS e_halt, e.halted_by AS e_halted_by, e.halt_reason AS "    \
    "e_halt_reason, e.halted_at AS e_halted_at, e.creation_time AS e_creation_time, "              \
    "e.update_time AS e_update_time"
#define ROLES(list)                                                                                \
    ", (SELECT " list " FROM member m WHERE m.project_id = p.id AND m.entity_type = 'u' AND "      \
    "m.entity_id = $2) AS roles FROM project p LEFT JOIN endpoint e ON e.id = p.registry_id "
#define ACCESS(where)                                                                              \
    SQL2("SELECT " COLUMNS ENDPOINT ROLES("group_concat(m.role_id)") where,                        \
         "SELECT " COLUMNS ENDPOINT ROLES("string_agg(CAST(m.role_id AS TEXT), ',')") where)

STATEMENT access_by_name = ACCESS("WHERE p.name = $1");
STATEMENT access_by_id = ACCESS("WHERE p.id = $1");
STATEMENT access_by_ns = ACCESS(
    "WHERE p.proxy_ns IS NOT NULL AND p.registry_id IS NOT NULL AND replace(',' || p.proxy_ns || "
    "',', ',' || $1 || ',', '') <> ',' || p.proxy_ns || ',' ORDER BY p.id LIMIT 1");
STATEMENT by_id = SQL("SELECT " COUNTED " FROM project p WHERE p.id = $1");
STATEMENT by_name = SQL("SELECT " COUNTED " FROM project p WHERE p.name = $1");

static enum err read_access(struct ctx *c, const struct sql *s, struct arg key,
                            const struct principal *p, struct project_access *out)
{
    struct project_access a = {0};
    bool user = p && p->kind == PRINCIPAL_USER;
    TRY(sql_row(c, s, ARGS(key, A_I(user ? p->id : 0)), access_fields, &a));
    if (a.endpoint.access_secret.n)
        TRY(seal_open(c, meta_seal_key(), S("endpoint"), a.endpoint.access_secret,
                      &a.endpoint.access_secret));
    *out = a;
    return E_OK;
}

enum err project_access_for(struct ctx *c, struct str name, int64_t by, const struct principal *p,
                            struct project_access *out)
{
    return by ? read_access(c, &access_by_id, A_I(by), p, out)
              : read_access(c, &access_by_name, A_S(name), p, out);
}

enum err project_access_for_ns(struct ctx *c, struct str host, const struct principal *p,
                               struct project_access *out)
{
    if (!host.n || str_find(host, ',') >= 0)
        return E_NOT_FOUND;
    return read_access(c, &access_by_ns, A_S(host), p, out);
}

static enum err read_one(struct ctx *c, const struct sql *s, struct arg key, struct project *out)
{
    struct project p = {0};
    TRY(sql_row(c, s, &key, 1, project_row_fields, &p));
    *out = p;
    return E_OK;
}

enum err project_by_id(struct ctx *c, int64_t id, struct project *out)
{
    return read_one(c, &by_id, A_I(id), out);
}

enum err project_by_name(struct ctx *c, struct str name, struct project *out)
{
    return read_one(c, &by_name, A_S(name), out);
}

enum err project_list(struct ctx *c, const struct project_filter *f, const struct list_query *q,
                      struct list *out, int64_t *total)
{
    struct arg args[VISIBLE_ARGS + 3];
    visible_args(f->principal, args);
    args[4] = A_S(f->name.p ? f->name : S(""));
    args[5] = A_S(f->owner.p ? f->owner : S(""));
    args[6] = A_I(f->is_public);
    const struct list_spec spec = {
        .columns = COUNTED,
        .from = "project p",
        .where = VISIBLE
        " AND ($5 = '' OR replace(p.name, $5, '') <> p.name) AND ($6 = '' OR p.owner_id = (SELECT "
        "id FROM account WHERE username = $6)) AND ($7 = -1 OR p.is_public = $7)",
        .default_sort = "q.name",
        .args = args,
        .arg_count = COUNT(args),
    };
    return list_rows(c, &spec, q, project_row_fields, sizeof(struct project), out, total);
}

#undef X

/* ---- changes ------------------------------------------------------------------------------ */

STATEMENT add = SQL("INSERT INTO project(name, owner_id, creation_time, update_time, storage_limit)"
                    " VALUES($1, $2, $3, $3, $4) RETURNING id");
STATEMENT change = SQL(
    "UPDATE project SET registry_id = $2, is_public = $3, declared = $4, storage_limit = $5, "
    "update_time = $6, enable_content_trust = $7, enable_content_trust_cosign = $8, prevent_vul = "
    "$9, severity = $10, auto_scan = $11, auto_sbom_generation = $12, reuse_sys_cve_allowlist = "
    "$13, retention_id = $14, proxy_speed_kb = $15, max_upstream_conn = $16, "
    "proxy_cache_local_on_not_found = $17, proxy_referrer_api = $18, proxy_cache_filter_pattern = "
    "$19, proxy_cache_filter_kind = $20, proxy_window_s = $21, proxy_budget_ms = $22, "
    "proxy_max_stale_s = $23, proxy_ns = $24, public_with_credentials = $25, proxy_hold_hours = "
    "$26, proxy_hold_except = $27, "
    "proxy_hold_new = $28, proxy_pins = $29 WHERE id = $1");
STATEMENT repositories = SQL("SELECT count(*) FROM repository WHERE project_id = $1");
STATEMENT drop = SQL("DELETE FROM project WHERE id = $1");
STATEMENT quota = SQL("SELECT storage_limit AS storage_limit, storage_used AS storage_used "
                      "FROM project WHERE id = $1" LOCK_UPDATE);
STATEMENT set_used = SQL("UPDATE project SET storage_used = $2 WHERE id = $1");

enum err project_update(struct ctx *c, const struct project *p)
{
    int64_t changed;
#define X(name) A_S(p->name),
    const struct arg args[] = {A_I(p->project_id), A_ID(p->registry_id),  A_B(p->is_public),
                               A_B(p->declared),   A_I(p->storage_limit), A_T(c->tx->now),
                               PROJECT_METADATA(X)};
#undef X
    TRY(sql_run(c, &change, args, COUNT(args), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err project_insert(struct ctx *c, struct project *p)
{
    struct project made = *p;
    enum err e = sql_i64(
        c, &add, ARGS(A_S(p->name), A_I(p->owner_id), A_T(c->tx->now), A_I(p->storage_limit)),
        &made.project_id);
    if (e == E_CONFLICT)
        return fail(c, e, "The project named %.*s already exists", STR(p->name));
    TRY(e);
    made.creation_time = made.update_time = c->tx->now;
    TRY(project_update(c, &made));
    *p = made;
    return E_OK;
}

enum err project_delete(struct ctx *c, int64_t id)
{
    int64_t count, changed;
    TRY(sql_i64(c, &repositories, ARGS(A_I(id)), &count));
    if (count)
        return fail(c, E_PRECONDITION,
                    "the project contains %lld repositories and cannot be deleted",
                    (long long)count);
    TRY(sql_run(c, &drop, ARGS(A_I(id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err project_charge(struct ctx *c, int64_t id, int64_t bytes, bool enforce)
{
    struct project p = {0};
    int64_t used;
    TRY(sql_row(c, &quota, ARGS(A_I(id)), project_row_fields, &p));
    if (!add_i64(p.storage_used, bytes, &used))
        return fail(c, E_DENIED, "storage usage would overflow");
    if (enforce)
        TRY(quota_admits(c, p.storage_limit, p.storage_used, bytes));
    return sql_run(c, &set_used, ARGS(A_I(id), A_I(i64_max(used, 0))), NULL);
}
