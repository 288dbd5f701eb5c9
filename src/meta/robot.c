/* Robots. A change of what one may do, or of its secret, makes its tokens void (epoch). */
#include "meta/robot.h"

const struct field robot_fields[] = {
    FIELD(struct robot, id, F_RO | F_SORT, 0),
    FIELD(struct robot, name, F_SORT, 255),
    FIELD(struct robot, description, F_SORT, 1024),
    FIELD(struct robot, secret_hash, F_ROW, 0),
    FIELD(struct robot, project_id, F_ROW | F_SORT, 0),
    FIELD(struct robot, level, F_SORT, 16),
    FIELD(struct robot, duration, F_SORT, 0),
    FIELD(struct robot, expires_at, F_RO | F_SORT, 0),
    FIELD(struct robot, disable, F_SORT, 0),
    FIELD(struct robot, editable, F_RO | F_SORT, 0),
    FIELD(struct robot, permissions, 0, 65536),
    FIELD(struct robot, creator_type, F_RO | F_SORT, 0),
    FIELD(struct robot, creator_ref, F_RO | F_SORT, 0),
    FIELD(struct robot, epoch, F_ROW, 0),
    FIELD(struct robot, creation_time, F_RO | F_SORT, 0),
    FIELD(struct robot, update_time, F_RO | F_SORT, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "id AS id, name AS name, description AS description, secret_hash AS secret_hash, "             \
    "COALESCE(project_id, 0) AS project_id, level AS level, duration AS duration, expires_at AS "  \
    "expires_at, disable AS disable, editable AS editable, permissions AS permissions, "           \
    "creator_type AS creator_type, creator_ref AS creator_ref, epoch AS epoch, creation_time AS "  \
    "creation_time, update_time AS update_time"

STATEMENT add = SQL(
    "INSERT INTO robot(name, description, secret_hash, project_id, level, duration, expires_at, "
    "disable, editable, permissions, creator_type, creator_ref, creation_time, update_time) "
    "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) RETURNING id");
STATEMENT by_id = SQL("SELECT " COLUMNS " FROM robot WHERE id = $1");
STATEMENT change = SQL(
    "UPDATE robot SET description = $2, duration = $3, expires_at = $4, disable = $5, permissions "
    "= $6, epoch = epoch + 1, update_time = $7 WHERE id = $1");
STATEMENT set_secret =
    SQL("UPDATE robot SET secret_hash = $2, epoch = epoch + 1, update_time = $3 WHERE id = $1");
STATEMENT drop = SQL("DELETE FROM robot WHERE id = $1");

static struct str or_else(struct str s, struct str otherwise)
{
    return s.p ? s : otherwise;
}

enum err robot_insert(struct ctx *c, struct robot *r)
{
    int64_t id;
    enum err e =
        sql_i64(c, &add,
                ARGS(A_S(r->name), A_S(or_else(r->description, S(""))), A_S(r->secret_hash),
                     A_ID(r->project_id), A_S(r->level), A_I(r->duration), A_I(r->expires_at),
                     A_B(r->disable), A_B(r->editable), A_S(or_else(r->permissions.text, S("[]"))),
                     A_S(or_else(r->creator_type, S(""))), A_I(r->creator_ref), A_T(c->tx->now)),
                &id);
    if (e == E_CONFLICT)
        return fail(c, e, "robot %.*s already exists", STR(r->name));
    TRY(e);
    r->id = id;
    r->epoch = 1;
    r->creation_time = r->update_time = c->tx->now;
    return E_OK;
}

enum err robot_by_id(struct ctx *c, int64_t id, struct robot *out)
{
    struct robot r = {0};
    TRY(sql_row(c, &by_id, ARGS(A_I(id)), robot_fields, &r));
    *out = r;
    return E_OK;
}

enum err robot_list(struct ctx *c, int64_t project_id, const struct list_query *q, struct list *out,
                    int64_t *total)
{
    const struct list_spec spec = {
        .columns = COLUMNS,
        .from = "robot",
        .where = "($1 = -1 OR COALESCE(project_id, 0) = $1)",
        .default_sort = "q.id",
        .args = (const struct arg[]){A_I(project_id)},
        .arg_count = 1,
    };
    return list_rows(c, &spec, q, robot_fields, sizeof(struct robot), out, total);
}

enum err robot_update(struct ctx *c, const struct robot *r)
{
    int64_t changed;
    TRY(sql_run(c, &change,
                ARGS(A_I(r->id), A_S(or_else(r->description, S(""))), A_I(r->duration),
                     A_I(r->expires_at), A_B(r->disable),
                     A_S(or_else(r->permissions.text, S("[]"))), A_T(c->tx->now)),
                &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err robot_set_secret(struct ctx *c, int64_t id, struct str secret_hash)
{
    int64_t changed;
    TRY(sql_run(c, &set_secret, ARGS(A_I(id), A_S(secret_hash), A_T(c->tx->now)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err robot_delete(struct ctx *c, int64_t id)
{
    int64_t changed;
    TRY(sql_run(c, &drop, ARGS(A_I(id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}
