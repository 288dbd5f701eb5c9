/* Upload sessions as rows. The bytes' key stands as an intent beside, until a blob takes it. */
#include "meta/upload.h"

const struct field upload_fields[] = {
    FIELD(struct upload, id, 0, 0),
    FIELD(struct upload, kind, 0, 0),
    FIELD(struct upload, repository_id, 0, 0),
    FIELD(struct upload, repository_path, 0, 0),
    FIELD(struct upload, actor, 0, 0),
    FIELD(struct upload, phys_key, 0, 0),
    FIELD(struct upload, digest, 0, 0),
    FIELD(struct upload, size, 0, 0),
    FIELD(struct upload, started, 0, 0),
    FIELD(struct upload, expires, 0, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "SELECT id AS id, kind AS kind, repository_id AS repository_id, repository_path AS "           \
    "repository_path, actor AS actor, phys_key AS phys_key, digest AS digest, size AS size, "      \
    "started AS started, expires AS expires FROM upload "

STATEMENT add = SQL("INSERT INTO upload(id, kind, repository_id, repository_path, actor, phys_key, "
                    "digest, size, started, expires) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, "
                    "$10)");
STATEMENT by_id = SQL(COLUMNS "WHERE id = $1 AND expires > $2");
STATEMENT flight = SQL(COLUMNS "WHERE digest = $1 AND digest <> '' AND kind = 2 AND expires > $2 "
                               "ORDER BY started DESC LIMIT 1");
STATEMENT extend = SQL("UPDATE upload SET expires = $2 WHERE id = $1");
STATEMENT drop = SQL("DELETE FROM upload WHERE id = $1");
STATEMENT expired = SQL(COLUMNS "WHERE expires <= $1 ORDER BY expires LIMIT $2");

static struct str or_empty(struct str s)
{
    return s.p ? s : S("");
}

enum err upload_insert(struct ctx *c, struct upload *u, int64_t life_s)
{
    u->started = c->tx->now;
    u->expires = (struct timestamp){c->tx->now.us + life_s * SECOND_US};
    return sql_run(c, &add,
                   ARGS(A_S(u->id), A_I(u->kind), A_I(u->repository_id),
                        A_S(or_empty(u->repository_path)), A_S(or_empty(u->actor)),
                        A_S(u->phys_key), A_S(or_empty(u->digest)), A_I(u->size), A_T(u->started),
                        A_T(u->expires)),
                   NULL);
}

static enum err read_one(struct ctx *c, const struct sql *s, struct str key, struct upload *out)
{
    struct upload u = {0};
    TRY(sql_row(c, s, ARGS(A_S(key), A_T(c->tx->now)), upload_fields, &u));
    *out = u;
    return E_OK;
}

enum err upload_by_id(struct ctx *c, struct str id, struct upload *out)
{
    return read_one(c, &by_id, id, out);
}

enum err upload_flight(struct ctx *c, struct str digest, struct upload *out)
{
    return read_one(c, &flight, digest, out);
}

enum err upload_extend(struct ctx *c, struct str id, int64_t life_s)
{
    int64_t changed;
    struct timestamp until = {c->tx->now.us + life_s * SECOND_US};
    TRY(sql_run(c, &extend, ARGS(A_S(id), A_T(until)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err upload_delete(struct ctx *c, struct str id)
{
    int64_t changed;
    TRY(sql_run(c, &drop, ARGS(A_S(id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err upload_expired(struct ctx *c, int64_t n, struct list *out)
{
    return sql_rows(c, &expired, ARGS(A_T(c->tx->now), A_I(n)), upload_fields,
                    sizeof(struct upload), out);
}
