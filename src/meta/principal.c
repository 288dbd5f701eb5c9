/* Who acts: one statement for each way to ask, whatever the scheme of authentication. */
#include "meta/principal.h"

static const struct field fields[] = {
    FIELD(struct principal, id, 0, 0),
    FIELD(struct principal, epoch, 0, 0),
    FIELD(struct principal, name, 0, 0),
    FIELD(struct principal, secret_hash, 0, 0),
    FIELD(struct principal, sysadmin, 0, 0),
    FIELD(struct principal, disabled, 0, 0),
    FIELD(struct principal, project_id, 0, 0),
    FIELD(struct principal, permissions, 0, 0),
    FIELDS_END,
};

#define USER_COLUMNS                                                                               \
    "SELECT id AS id, epoch AS epoch, username AS name, password_hash AS secret_hash, CASE WHEN "  \
    "sysadmin_flag + admin_role_in_auth > 0 THEN 1 ELSE 0 END AS sysadmin, deleted AS disabled "   \
    "FROM account "
#define ROBOT_COLUMNS                                                                              \
    "SELECT id AS id, epoch AS epoch, name AS name, secret_hash AS secret_hash, CASE WHEN "        \
    "disable = 1 OR (expires_at >= 0 AND expires_at <= $2) THEN 1 ELSE 0 END AS disabled, "        \
    "COALESCE(project_id, 0) AS project_id, permissions AS permissions FROM robot "

STATEMENT user_named = SQL(USER_COLUMNS "WHERE username = $1");
STATEMENT user_numbered = SQL(USER_COLUMNS "WHERE id = $1");
STATEMENT robot_named = SQL(ROBOT_COLUMNS "WHERE name = $1");
STATEMENT robot_numbered = SQL(ROBOT_COLUMNS "WHERE id = $1");

static enum err read_one(struct ctx *c, const struct sql *s, struct arg key,
                         enum principal_kind kind, struct principal *out)
{
    struct principal p = {.kind = kind};
    struct arg args[] = {key, A_I(c->tx->now.us / SECOND_US)};
    TRY(sql_row(c, s, args, kind == PRINCIPAL_ROBOT ? 2 : 1, fields, &p));
    *out = p;
    return E_OK;
}

enum err principal_user_by_name(struct ctx *c, struct str name, struct principal *out)
{
    return read_one(c, &user_named, A_S(name), PRINCIPAL_USER, out);
}

enum err principal_robot_by_name(struct ctx *c, struct str name, struct principal *out)
{
    return read_one(c, &robot_named, A_S(name), PRINCIPAL_ROBOT, out);
}

enum err principal_by_id(struct ctx *c, enum principal_kind kind, int64_t id, struct principal *out)
{
    return read_one(c, kind == PRINCIPAL_ROBOT ? &robot_numbered : &user_numbered, A_I(id), kind,
                    out);
}
