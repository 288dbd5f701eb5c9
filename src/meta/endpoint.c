/* Upstream registries. The secret is sealed on its way into the row and opened on its way out. */
#include "meta/endpoint.h"

#include "meta/store.h"

const struct field endpoint_fields[] = {
    FIELD(struct endpoint, id, F_RO | F_SORT, 0),
    FIELD(struct endpoint, name, F_SORT, 255),
    FIELD(struct endpoint, description, F_SORT, 1024),
    FIELD(struct endpoint, type, F_SORT, 64),
    FIELD(struct endpoint, url, F_SORT, 1024),
    FIELD(struct endpoint, insecure, F_SORT, 0),
    FIELD(struct endpoint, ca_certificate, F_OMIT, 65536),
    FIELD(struct endpoint, credential_type, F_ROW, 64),
    FIELD(struct endpoint, access_key, F_ROW, 1024),
    FIELD(struct endpoint, access_secret, F_ROW, 0),
    FIELD(struct endpoint, status, F_RO | F_SORT, 0),
    FIELD(struct endpoint, epoch, F_ROW, 0),
    FIELD(struct endpoint, declared, F_ROW, 0),
    FIELD(struct endpoint, halt, F_ROW, 0),
    FIELD(struct endpoint, halted_by, F_ROW, 0),
    FIELD(struct endpoint, halt_reason, F_ROW, 0),
    FIELD(struct endpoint, halted_at, F_ROW, 0),
    FIELD(struct endpoint, creation_time, F_RO | F_SORT, 0),
    FIELD(struct endpoint, update_time, F_RO | F_SORT, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "id AS id, name AS name, description AS description, type AS type, url AS url, insecure AS "   \
    "insecure, ca_certificate AS ca_certificate, credential_type AS credential_type, access_key "  \
    "AS access_key, access_secret AS access_secret, status AS status, epoch AS epoch, declared "   \
    "AS declared, halt AS halt, halted_by AS halted_by, halt_reason AS halt_reason, halted_at AS " \
    "halted_at, creation_time AS creation_time, update_time AS update_time"

STATEMENT add = SQL(
    "INSERT INTO endpoint(name, description, type, url, insecure, ca_certificate, credential_type, "
    "access_key, access_secret, status, declared, creation_time, update_time) VALUES($1, $2, $3, "
    "$4, $5, $6, $7, $8, $9, $10, $11, $12, $12) RETURNING id");
STATEMENT by_id = SQL("SELECT " COLUMNS " FROM endpoint WHERE id = $1");
STATEMENT by_name = SQL("SELECT " COLUMNS " FROM endpoint WHERE name = $1");
STATEMENT change = SQL(
    "UPDATE endpoint SET name = $2, description = $3, type = $4, url = $5, insecure = $6, "
    "ca_certificate = $7, credential_type = $8, access_key = $9, access_secret = $10, declared = "
    "$11, epoch = epoch + $12, update_time = $13 WHERE id = $1");
STATEMENT set_halt = SQL("UPDATE endpoint SET halt = $2, halted_by = $3, halt_reason = $4, "
                         "halted_at = $5 WHERE id = $1");
STATEMENT halted = SQL("SELECT " COLUMNS " FROM endpoint WHERE halt <> '' ORDER BY id");
STATEMENT users = SQL("SELECT count(*) FROM project WHERE registry_id = $1");
STATEMENT drop = SQL("DELETE FROM endpoint WHERE id = $1");

static struct str or_empty(struct str s)
{
    return s.p ? s : S("");
}

static struct arg sealed(struct ctx *c, struct str secret)
{
    return secret.n ? A_BYTES(seal(&c->mem, meta_seal_key(), S("endpoint"), secret)) : A_NULL;
}

static enum err unseal(struct ctx *c, struct endpoint *e)
{
    return e->access_secret.n
               ? seal_open(c, meta_seal_key(), S("endpoint"), e->access_secret, &e->access_secret)
               : E_OK;
}

enum err endpoint_insert(struct ctx *c, struct endpoint *e)
{
    int64_t id;
    struct str status = e->status.n ? e->status : S("healthy");
    enum err err =
        sql_i64(c, &add,
                ARGS(A_S(e->name), A_S(or_empty(e->description)), A_S(or_empty(e->type)),
                     A_S(or_empty(e->url)), A_B(e->insecure), A_S(or_empty(e->ca_certificate)),
                     A_S(or_empty(e->credential_type)), A_S(or_empty(e->access_key)),
                     sealed(c, e->access_secret), A_S(status), A_B(e->declared), A_T(c->tx->now)),
                &id);
    if (err == E_CONFLICT)
        return fail(c, err, "registry %.*s already exists", STR(e->name));
    TRY(err);
    e->id = id;
    e->epoch = 1;
    e->status = status;
    e->creation_time = e->update_time = c->tx->now;
    return E_OK;
}

static enum err read_one(struct ctx *c, const struct sql *s, struct arg key, struct endpoint *out)
{
    struct endpoint e = {0};
    TRY(sql_row(c, s, &key, 1, endpoint_fields, &e));
    TRY(unseal(c, &e));
    *out = e;
    return E_OK;
}

enum err endpoint_by_id(struct ctx *c, int64_t id, struct endpoint *out)
{
    return read_one(c, &by_id, A_I(id), out);
}

enum err endpoint_by_name(struct ctx *c, struct str name, struct endpoint *out)
{
    return read_one(c, &by_name, A_S(name), out);
}

enum err endpoint_list(struct ctx *c, const struct list_query *q, struct list *out, int64_t *total)
{
    static const struct list_spec spec = {
        .columns = COLUMNS,
        .from = "endpoint",
        .default_sort = "q.id",
    };
    struct list rows;
    TRY(list_rows(c, &spec, q, endpoint_fields, sizeof(struct endpoint), &rows, total));
    struct endpoint *e = rows.items;
    for (size_t i = 0; i < rows.count; i++)
        TRY(unseal(c, &e[i]));
    *out = rows;
    return E_OK;
}

static bool connects_otherwise(const struct endpoint *a, const struct endpoint *b)
{
    return !str_eq(a->url, b->url) || a->insecure != b->insecure ||
           !str_eq(a->ca_certificate, b->ca_certificate) ||
           !str_eq(a->credential_type, b->credential_type) ||
           !str_eq(a->access_key, b->access_key) || !str_eq(a->access_secret, b->access_secret) ||
           !str_eq(a->type, b->type);
}

enum err endpoint_update(struct ctx *c, const struct endpoint *e)
{
    struct endpoint before;
    TRY(endpoint_by_id(c, e->id, &before));
    enum err err =
        sql_run(c, &change,
                ARGS(A_I(e->id), A_S(e->name), A_S(or_empty(e->description)),
                     A_S(or_empty(e->type)), A_S(or_empty(e->url)), A_B(e->insecure),
                     A_S(or_empty(e->ca_certificate)), A_S(or_empty(e->credential_type)),
                     A_S(or_empty(e->access_key)), sealed(c, e->access_secret), A_B(e->declared),
                     A_B(connects_otherwise(&before, e)), A_T(c->tx->now)),
                NULL);
    return err == E_CONFLICT ? fail(c, err, "registry %.*s already exists", STR(e->name)) : err;
}

static enum err tell_halt(struct ctx *c, int64_t id, struct str mode, struct str reason)
{
    CLEANUP(buf_release) struct buf text = {.max = 8192};
    struct json_out j = {.out = &text};
    put_open(&j, '{');
    put_key(&j, S("registry_id"));
    put_i64(&j, id);
    put_key(&j, S("reason"));
    put_str(&j, reason);
    put_close(&j, '}');
    const char *kind = !mode.n                       ? "RESUME_UPSTREAM"
                       : str_eq(mode, S("draining")) ? "DRAIN_UPSTREAM"
                                                     : "PAUSE_UPSTREAM";
    return event_emit(c, kind, 0, buf_view(&text));
}

enum err endpoint_halt(struct ctx *c, int64_t id, struct str mode, struct str reason)
{
    bool halts = mode.n > 0;
    int64_t changed;
    TRY(sql_run(c, &set_halt,
                ARGS(A_I(id), A_S(or_empty(mode)), A_S(halts ? or_empty(c->actor) : S("")),
                     A_S(halts ? or_empty(reason) : S("")), A_I(halts ? c->tx->now.us : 0)),
                &changed));
    return changed ? tell_halt(c, id, mode, reason) : E_NOT_FOUND;
}

enum err endpoint_halted(struct ctx *c, struct list *out)
{
    return sql_rows(c, &halted, NO_ARGS, endpoint_fields, sizeof(struct endpoint), out);
}

enum err endpoint_delete(struct ctx *c, int64_t id)
{
    int64_t count, changed;
    TRY(sql_i64(c, &users, ARGS(A_I(id)), &count));
    if (count)
        return fail(c, E_PRECONDITION, "%lld projects use this registry", (long long)count);
    TRY(sql_run(c, &drop, ARGS(A_I(id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}
