/* Tags, and the journal of their moves, which outlives tag, artifact and repository. */
#include "meta/tag.h"

#include "meta/artifact.h"

const struct field tag_fields[] = {
    FIELD(struct tag, id, F_RO | F_SORT, 0),
    FIELD(struct tag, repository_id, F_RO | F_SORT, 0),
    FIELD(struct tag, artifact_id, F_RO | F_SORT, 0),
    FIELD(struct tag, name, F_REQ | F_SORT, 128),
    FIELD(struct tag, immutable, F_RO, 0),
    FIELD(struct tag, version, F_ROW, 0),
    FIELD(struct tag, push_time, F_RO | F_SORT, 0),
    FIELD(struct tag, pull_time, F_RO | F_SORT, 0),
    FIELD(struct tag, checked_at, F_ROW, 0),
    FIELDS_END,
};

const struct field tag_move_fields[] = {
    FIELD(struct tag_move, id, F_RO | F_SORT, 0),
    FIELD(struct tag_move, repository_id, F_RO, 0),
    FIELD(struct tag_move, name, F_RO | F_SORT, 0),
    FIELD(struct tag_move, old_digest, F_RO, 0),
    FIELD(struct tag_move, new_digest, F_RO, 0),
    FIELD(struct tag_move, actor, F_RO | F_SORT, 0),
    FIELD(struct tag_move, upstream, F_RO, 0),
    FIELD(struct tag_move, at, F_RO | F_SORT, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "id AS id, repository_id AS repository_id, artifact_id AS artifact_id, name AS name, version " \
    "AS version, push_time AS push_time, pull_time AS pull_time, checked_at AS checked_at"

STATEMENT by_name = SQL("SELECT " COLUMNS " FROM tag WHERE repository_id = $1 AND name = $2");
STATEMENT lock =
    SQL("SELECT " COLUMNS " FROM tag WHERE repository_id = $1 AND name = $2" LOCK_UPDATE);
STATEMENT add = SQL("INSERT INTO tag(repository_id, artifact_id, name, push_time, checked_at) "
                    "VALUES($1, $2, $3, $4, $5) ON CONFLICT(repository_id, name) DO NOTHING");
STATEMENT move = SQL("UPDATE tag SET artifact_id = $2, version = version + 1, push_time = $3, "
                     "checked_at = $4 WHERE id = $1");
STATEMENT again = SQL("UPDATE tag SET push_time = $2, checked_at = $3 WHERE id = $1");
STATEMENT check = SQL("UPDATE tag SET checked_at = $3 WHERE repository_id = $1 AND name = $2");
STATEMENT drop = SQL("DELETE FROM tag WHERE id = $1");
STATEMENT write_journal = SQL(
    "INSERT INTO tag_journal(repository_id, name, old_digest, new_digest, actor, upstream, at) "
    "VALUES($1, $2, COALESCE((SELECT digest FROM artifact WHERE id = $3), ''), COALESCE((SELECT "
    "digest FROM artifact WHERE id = $4), ''), $5, $6, $7)");
STATEMENT tags_of = SQL("SELECT " COLUMNS " FROM tag WHERE artifact_id = $1 ORDER BY id");
STATEMENT names_after = SQL("SELECT name AS name FROM tag WHERE repository_id = $1 AND name > $2 "
                            "ORDER BY name LIMIT $3");

/* 0 = no artifact. */
static enum err journal(struct ctx *c, int64_t repository_id, struct str name, int64_t from,
                        int64_t to, bool upstream)
{
    return sql_run(c, &write_journal,
                   ARGS(A_I(repository_id), A_S(name), A_I(from), A_I(to),
                        A_S(c->actor.p ? c->actor : S("")), A_B(upstream), A_T(c->tx->now)),
                   NULL);
}

enum err tag_put(struct ctx *c, int64_t repository_id, struct str name, int64_t artifact_id,
                 bool upstream)
{
    struct tag t = {0};
    int64_t made;
    struct timestamp checked = {upstream ? c->tx->now.us : 0};
    enum err e = E_NOT_FOUND;
    for (int i = 0; i < 3 && e == E_NOT_FOUND; i++) { /* it may go between the two statements */
        TRY(sql_run(
            c, &add,
            ARGS(A_I(repository_id), A_I(artifact_id), A_S(name), A_T(c->tx->now), A_T(checked)),
            &made));
        if (made)
            return journal(c, repository_id, name, 0, artifact_id, upstream);
        e = sql_row(c, &lock, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t);
    }
    if (e == E_NOT_FOUND)
        return fail(c, E_UNAVAILABLE, "tag %.*s comes and goes", STR(name));
    TRY(e);
    if (t.artifact_id == artifact_id) {
        struct timestamp pushed = upstream ? t.push_time : c->tx->now;
        return sql_run(c, &again, ARGS(A_I(t.id), A_T(pushed), A_T(checked)), NULL);
    }
    TRY(sql_run(c, &move, ARGS(A_I(t.id), A_I(artifact_id), A_T(c->tx->now), A_T(checked)), NULL));
    return journal(c, repository_id, name, t.artifact_id, artifact_id, upstream);
}

enum err tag_checked(struct ctx *c, int64_t repository_id, struct str name)
{
    int64_t changed;
    TRY(sql_run(c, &check, ARGS(A_I(repository_id), A_S(name), A_T(c->tx->now)), &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err tag_by_name(struct ctx *c, int64_t repository_id, struct str name, struct tag *out)
{
    struct tag t = {0};
    TRY(sql_row(c, &by_name, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t));
    *out = t;
    return E_OK;
}

enum err tag_delete(struct ctx *c, int64_t repository_id, struct str name)
{
    struct tag t = {0};
    TRY(sql_row(c, &lock, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t));
    TRY(sql_run(c, &drop, ARGS(A_I(t.id)), NULL));
    return journal(c, repository_id, name, t.artifact_id, 0, false);
}

enum err tag_delete_of(struct ctx *c, int64_t artifact_id)
{
    struct list tags;
    TRY(sql_rows(c, &tags_of, ARGS(A_I(artifact_id)), tag_fields, sizeof(struct tag), &tags));
    struct tag *t = tags.items;
    for (size_t i = 0; i < tags.count; i++) {
        struct tag now = {0};
        enum err e =
            sql_row(c, &lock, ARGS(A_I(t[i].repository_id), A_S(t[i].name)), tag_fields, &now);
        if (e == E_NOT_FOUND || (e == E_OK && now.artifact_id != artifact_id))
            continue; /* moved on while we waited for its lock */
        TRY(e);
        TRY(sql_run(c, &drop, ARGS(A_I(now.id)), NULL));
        TRY(journal(c, now.repository_id, now.name, artifact_id, 0, false));
    }
    return E_OK;
}

enum err tag_list(struct ctx *c, int64_t repository_id, int64_t artifact_id,
                  const struct list_query *q, struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = COLUMNS,
        .from = "tag",
        .where = artifact_id ? "artifact_id = $1" : "repository_id = $1",
        .default_sort = "q.name",
        .args = (const struct arg[]){A_I(artifact_id ? artifact_id : repository_id)},
        .arg_count = 1,
    };
    return list_rows(c, &spec, q, tag_fields, sizeof(struct tag), out, total);
}

enum err tag_names(struct ctx *c, int64_t repository_id, struct str last, int64_t n,
                   struct strs *out)
{
    struct list rows;
    TRY(sql_rows(c, &names_after, ARGS(A_I(repository_id), A_S(last.p ? last : S("")), A_I(n)),
                 tag_fields, sizeof(struct tag), &rows));
    struct tag *t = rows.items;
    struct strs names = {arena_alloc(&c->mem, rows.count * sizeof(struct str)), rows.count};
    for (size_t i = 0; i < rows.count; i++)
        names.items[i] = t[i].name;
    *out = names;
    return E_OK;
}
