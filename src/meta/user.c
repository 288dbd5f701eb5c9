/*
 * Local users. A deleted user keeps its row, so that ids in journals stay true; name and e-mail
 * get "#id" behind them and are free again.
 */
#include "meta/user.h"

const struct field user_fields[] = {
    FIELD(struct user, user_id, F_RO | F_SORT, 0),
    FIELD(struct user, username, F_SORT, 255),
    FIELD(struct user, email, F_SORT, 255),
    FIELD(struct user, realname, F_SORT, 255),
    FIELD(struct user, comment, 0, 255),
    FIELD(struct user, password_hash, F_ROW, 0),
    FIELD(struct user, sysadmin_flag, F_RO | F_SORT, 0),
    FIELD(struct user, admin_role_in_auth, F_RO, 0),
    FIELD(struct user, deleted, F_ROW, 0),
    FIELD(struct user, epoch, F_ROW, 0),
    FIELD(struct user, creation_time, F_RO | F_SORT, 0),
    FIELD(struct user, update_time, F_RO | F_SORT, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "id AS user_id, username AS username, email AS email, realname AS realname, comment AS "       \
    "comment, password_hash AS password_hash, sysadmin_flag AS sysadmin_flag, admin_role_in_auth " \
    "AS admin_role_in_auth, deleted AS deleted, epoch AS epoch, creation_time AS creation_time, "  \
    "update_time AS update_time"

STATEMENT add = SQL("INSERT INTO account(username, email, realname, comment, password_hash, "
                    "sysadmin_flag, creation_time, update_time) "
                    "VALUES($1, $2, $3, $4, $5, $6, $7, $7) RETURNING id");
STATEMENT alike = SQL("SELECT COUNT(*) FROM account WHERE lower(username) = lower($1) AND "
                      "deleted = 0");
STATEMENT by_id = SQL("SELECT " COLUMNS " FROM account WHERE id = $1 AND deleted = 0");
STATEMENT by_name = SQL("SELECT " COLUMNS " FROM account WHERE username = $1 AND deleted = 0");
STATEMENT set_profile = SQL("UPDATE account SET email = $2, realname = $3, comment = $4, "
                            "update_time = $5 WHERE id = $1 AND deleted = 0");
STATEMENT set_password = SQL("UPDATE account SET password_hash = $2, epoch = epoch + 1, "
                             "update_time = $3 WHERE id = $1 AND deleted = 0");
STATEMENT set_admin = SQL("UPDATE account SET sysadmin_flag = $2, epoch = epoch + 1, "
                          "update_time = $3 WHERE id = $1 AND deleted = 0");
STATEMENT bury = SQL(
    "UPDATE account SET username = username || '#' || CAST(id AS TEXT), email = CASE WHEN email = "
    "'' THEN '' ELSE email || '#' || CAST(id AS TEXT) END, deleted = 1, sysadmin_flag = 0, "
    "epoch = epoch + 1, update_time = $2 WHERE id = $1 AND deleted = 0");
STATEMENT drop_sessions = SQL("DELETE FROM session WHERE user_id = $1");
STATEMENT drop_memberships = SQL("DELETE FROM member WHERE entity_type = 'u' AND entity_id = $1");

static struct str or_empty(struct str s)
{
    return s.p ? s : S("");
}

enum err user_insert(struct ctx *c, struct user *u)
{
    int64_t id, others;
    TRY(sql_i64(c, &alike, ARGS(A_S(u->username)), &others)); /* Admin is not to look like admin */
    if (others)
        return fail(c, E_CONFLICT, "user %.*s is already in use", STR(u->username));
    enum err e = sql_i64(c, &add,
                         ARGS(A_S(u->username), A_S(or_empty(u->email)), A_S(or_empty(u->realname)),
                              A_S(or_empty(u->comment)), A_S(or_empty(u->password_hash)),
                              A_B(u->sysadmin_flag), A_T(c->tx->now)),
                         &id);
    if (e == E_CONFLICT)
        return fail(c, E_CONFLICT, "user %.*s or email is already in use", STR(u->username));
    TRY(e);
    u->user_id = id;
    u->epoch = 1;
    u->creation_time = u->update_time = c->tx->now;
    return E_OK;
}

static enum err read_one(struct ctx *c, const struct sql *s, struct arg key, struct user *out)
{
    struct user u = {0};
    TRY(sql_row(c, s, &key, 1, user_fields, &u));
    *out = u;
    return E_OK;
}

enum err user_by_id(struct ctx *c, int64_t id, struct user *out)
{
    return read_one(c, &by_id, A_I(id), out);
}

enum err user_by_name(struct ctx *c, struct str name, struct user *out)
{
    return read_one(c, &by_name, A_S(name), out);
}

enum err user_list(struct ctx *c, const struct list_query *q, struct list *out, int64_t *total)
{
    static const struct list_spec spec = {
        .columns = COLUMNS,
        .from = "account",
        .where = "deleted = 0",
        .default_sort = "q.user_id",
    };
    return list_rows(c, &spec, q, user_fields, sizeof(struct user), out, total);
}

/* E_NOT_FOUND when there was nothing to change. */
static enum err change(struct ctx *c, const struct sql *s, const struct arg *args, size_t n)
{
    int64_t changed;
    TRY(sql_run(c, s, args, n, &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err user_update_profile(struct ctx *c, const struct user *u)
{
    enum err e = change(c, &set_profile,
                        ARGS(A_I(u->user_id), A_S(or_empty(u->email)), A_S(or_empty(u->realname)),
                             A_S(or_empty(u->comment)), A_T(c->tx->now)));
    return e == E_CONFLICT ? fail(c, e, "the email is already in use") : e;
}

enum err user_set_password(struct ctx *c, int64_t id, struct str password_hash)
{
    TRY(sql_run(c, &drop_sessions, ARGS(A_I(id)), NULL));
    return change(c, &set_password, ARGS(A_I(id), A_S(password_hash), A_T(c->tx->now)));
}

enum err user_set_sysadmin(struct ctx *c, int64_t id, bool on)
{
    return change(c, &set_admin, ARGS(A_I(id), A_B(on), A_T(c->tx->now)));
}

enum err user_delete(struct ctx *c, int64_t id)
{
    TRY(sql_run(c, &drop_sessions, ARGS(A_I(id)), NULL));
    TRY(sql_run(c, &drop_memberships, ARGS(A_I(id)), NULL));
    return change(c, &bury, ARGS(A_I(id), A_T(c->tx->now)));
}
