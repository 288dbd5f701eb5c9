/* Members of projects. The name of the member is looked up where it lives, never stored twice. */
#include "meta/member.h"

#include "rule/rbac.h"

#include <string.h>

const struct field member_fields[] = {
    FIELD(struct member, id, F_RO | F_SORT, 0),
    FIELD(struct member, project_id, F_RO | F_SORT, 0),
    FIELD(struct member, entity_id, F_RO | F_SORT, 0),
    FIELD(struct member, entity_name, F_RO | F_SORT, 0),
    FIELD(struct member, entity_type, F_RO | F_SORT, 0),
    FIELD(struct member, role_id, F_SORT, 0),
    FIELD(struct member, role_name, F_RO, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "m.id AS id, m.project_id AS project_id, m.entity_id AS entity_id, m.entity_type AS "          \
    "entity_type, m.role_id AS role_id, COALESCE(CASE WHEN m.entity_type = 'u' THEN (SELECT "      \
    "username FROM account WHERE id = m.entity_id) ELSE (SELECT group_name FROM usergroup WHERE "  \
    "id = m.entity_id) END, '') AS entity_name"

STATEMENT add = SQL("INSERT INTO member(project_id, entity_type, entity_id, role_id, "
                    "creation_time) VALUES($1, $2, $3, $4, $5) RETURNING id");
STATEMENT by_id = SQL("SELECT " COLUMNS " FROM member m WHERE m.project_id = $1 AND m.id = $2");
STATEMENT set_role = SQL("UPDATE member SET role_id = $3 WHERE project_id = $1 AND id = $2");
STATEMENT drop = SQL("DELETE FROM member WHERE project_id = $1 AND id = $2");
STATEMENT by_role = SQL("SELECT role_id AS role_id, count(*) AS id FROM member WHERE "
                        "project_id = $1 GROUP BY role_id");

static void name_role(struct member *m)
{
    bool known = m->role_id > ROLE_NONE && m->role_id < ROLE_COUNT;
    m->role_name = known ? str_of(rbac_role_name((enum role)m->role_id)) : S("");
}

enum err member_insert(struct ctx *c, struct member *m)
{
    int64_t id;
    enum err e = sql_i64(c, &add,
                         ARGS(A_I(m->project_id), A_S(m->entity_type), A_I(m->entity_id),
                              A_I(m->role_id), A_T(c->tx->now)),
                         &id);
    if (e == E_CONFLICT)
        return fail(c, e, "the user or group is a member of the project already");
    TRY(e);
    m->id = id;
    name_role(m);
    return E_OK;
}

enum err member_by_id(struct ctx *c, int64_t project_id, int64_t id, struct member *out)
{
    struct member m = {0};
    TRY(sql_row(c, &by_id, ARGS(A_I(project_id), A_I(id)), member_fields, &m));
    name_role(&m);
    *out = m;
    return E_OK;
}

enum err member_list(struct ctx *c, int64_t project_id, struct str entity_name,
                     const struct list_query *q, struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = "*",
        .from = "(SELECT " COLUMNS " FROM member m WHERE m.project_id = $1) n",
        .where = "($2 = '' OR replace(n.entity_name, $2, '') <> n.entity_name)",
        .default_sort = "q.entity_name, q.id",
        .args = (const struct arg[]){A_I(project_id), A_S(entity_name.p ? entity_name : S(""))},
        .arg_count = 2,
    };
    struct list rows;
    TRY(list_rows(c, &spec, q, member_fields, sizeof(struct member), &rows, total));
    struct member *m = rows.items;
    for (size_t i = 0; i < rows.count; i++)
        name_role(&m[i]);
    *out = rows;
    return E_OK;
}

enum err member_set_role(struct ctx *c, int64_t project_id, int64_t id, int64_t role_id)
{
    int64_t changed;
    TRY(sql_run(c, &set_role, ARGS(A_I(project_id), A_I(id), A_I(role_id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err member_delete(struct ctx *c, int64_t project_id, int64_t id)
{
    int64_t changed;
    TRY(sql_run(c, &drop, ARGS(A_I(project_id), A_I(id)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err member_counts(struct ctx *c, int64_t project_id, int64_t counts[6])
{
    struct list rows;
    TRY(sql_rows(c, &by_role, ARGS(A_I(project_id)), member_fields, sizeof(struct member), &rows));
    const struct member *m = rows.items;
    memset(counts, 0, 6 * sizeof *counts);
    for (size_t i = 0; i < rows.count; i++)
        if (m[i].role_id > 0 && m[i].role_id < 6)
            counts[m[i].role_id] = m[i].id;
    return E_OK;
}
