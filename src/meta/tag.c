/* Tags, and the journal of their moves, which outlives tag, artifact and repository. */
#include "meta/tag.h"

#include "meta/artifact.h"
#include "meta/idset.h"
#include "meta/visible.h"

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
    FIELD(struct tag, pinned, F_ROW, 0),
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
    FIELD(struct tag_move, kind, F_RO, 0),
    FIELD(struct tag_move, reason, F_RO, 0),
    FIELD(struct tag_move, project_name, F_ROW, 0),
    FIELD(struct tag_move, repository_name, F_ROW, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "id AS id, repository_id AS repository_id, artifact_id AS artifact_id, name AS name, version " \
    "AS version, push_time AS push_time, pull_time AS pull_time, checked_at AS checked_at, "       \
    "pinned AS pinned"

STATEMENT by_name = SQL("SELECT " COLUMNS " FROM tag WHERE repository_id = $1 AND name = $2");
STATEMENT lock =
    SQL("SELECT " COLUMNS " FROM tag WHERE repository_id = $1 AND name = $2" LOCK_UPDATE);
STATEMENT add = SQL("INSERT INTO tag(repository_id, artifact_id, name, push_time, checked_at) "
                    "VALUES($1, $2, $3, $4, $5) ON CONFLICT(repository_id, name) DO NOTHING");
STATEMENT move = SQL("UPDATE tag SET artifact_id = $2, version = version + 1, push_time = $3, "
                     "checked_at = $4 WHERE id = $1");
STATEMENT again = SQL("UPDATE tag SET push_time = $2, checked_at = $3 WHERE id = $1");
STATEMENT check = SQL("UPDATE tag SET checked_at = $3 WHERE repository_id = $1 AND name = $2");
STATEMENT write_journal = SQL(
    "INSERT INTO tag_journal(repository_id, name, old_digest, new_digest, actor, upstream, at) "
    "VALUES($1, $2, COALESCE((SELECT digest FROM artifact WHERE id = $3), ''), COALESCE((SELECT "
    "digest FROM artifact WHERE id = $4), ''), $5, $6, $7)");
STATEMENT write_note =
    SQL("INSERT INTO tag_journal(repository_id, name, old_digest, new_digest, actor, upstream, at, "
        "kind, reason) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)");
STATEMENT place = SQL("UPDATE tag SET artifact_id = $2, version = version + 1, push_time = $3, "
                      "pinned = $4 WHERE id = $1");
STATEMENT unpin = SQL("UPDATE tag SET pinned = 0, checked_at = 0 WHERE id = $1");
STATEMENT digest_of_artifact = SQL("SELECT digest AS new_digest FROM artifact WHERE id = $1");
STATEMENT lock_of = ON_SET("SELECT " COLUMNS " FROM tag WHERE artifact_id",
                           " ORDER BY repository_id, name" LOCK_UPDATE);
STATEMENT journal_gone =
    ON_SET("INSERT INTO tag_journal(repository_id, name, old_digest, new_digest, actor, upstream, "
           "at) SELECT t.repository_id, t.name, a.digest, '', CAST($2 AS TEXT), 0, CAST($3 AS "
           "BIGINT) FROM tag t JOIN artifact a ON a.id = t.artifact_id WHERE t.id",
           " ORDER BY t.id");
#define NAMED(texts)                                                                               \
    "SELECT " COLUMNS " FROM tag WHERE repository_id = $2 AND name " texts                         \
    " ORDER BY repository_id, name" LOCK_UPDATE
STATEMENT lock_named = SQL2(NAMED(IN_TEXTS_LITE("$1")), NAMED(IN_TEXTS_PG("$1")));
STATEMENT drop = ON_SET("DELETE FROM tag WHERE id", "");
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
    if (upstream && t.pinned)
        return E_OK;
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

/* Tags whose rows are locked. */
static enum err drop_tags(struct ctx *c, const struct list *tags)
{
    const struct tag *t = tags->items;
    if (!tags->count)
        return E_OK;
    int64_t *ids = arena_alloc(&c->mem, tags->count * sizeof *ids);
    for (size_t i = 0; i < tags->count; i++)
        ids[i] = t[i].id;
    struct arg set = ids_arg(c, ids, tags->count);
    TRY(sql_run(c, &journal_gone, ARGS(set, A_S(c->actor.p ? c->actor : S("")), A_T(c->tx->now)),
                NULL));
    return sql_run(c, &drop, ARGS(set), NULL);
}

enum err tag_delete(struct ctx *c, int64_t repository_id, const struct strs *names,
                    struct list *out)
{
    TRY(sql_rows(c, &lock_named, ARGS(texts_arg(c, names->items, names->count), A_I(repository_id)),
                 tag_fields, sizeof(struct tag), out));
    return drop_tags(c, out);
}

/* One that moves on while its lock is waited for is none of them any more. */
enum err tag_delete_of(struct ctx *c, const struct i64s *artifacts)
{
    struct list tags;
    TRY(sql_rows(c, &lock_of, ARGS(ids_arg(c, artifacts->items, artifacts->count)), tag_fields,
                 sizeof(struct tag), &tags));
    return drop_tags(c, &tags);
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

/* ---- by hand ------------------------------------------------------------------------------- */

static struct str text(struct str s)
{
    return s.p ? s : S("");
}

enum err tag_note(struct ctx *c, const struct tag_move *m)
{
    return sql_run(c, &write_note,
                   ARGS(A_I(m->repository_id), A_S(m->name), A_S(text(m->old_digest)),
                        A_S(text(m->new_digest)), A_S(text(m->actor)), A_B(m->upstream),
                        A_T(c->tx->now), A_S(text(m->kind)), A_S(text(m->reason))),
                   NULL);
}

static enum err artifact_digest(struct ctx *c, int64_t id, struct str *out)
{
    struct tag_move m = {0};
    TRY(sql_row(c, &digest_of_artifact, ARGS(A_I(id)), tag_move_fields, &m));
    *out = m.new_digest;
    return E_OK;
}

enum err tag_point(struct ctx *c, int64_t repository_id, struct str name, int64_t artifact_id,
                   struct str expect, bool pin, struct str reason)
{
    struct tag t = {0};
    struct str now = S(""), digest;
    enum err e = sql_row(c, &lock, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    if (e == E_OK)
        TRY(artifact_digest(c, t.artifact_id, &now));
    TRY(artifact_digest(c, artifact_id, &digest));
    if (!str_eq(now, expect))
        return fail(c, E_PRECONDITION, "tag %.*s is at %.*s, not at %.*s", STR(name),
                    STR(now.n ? now : S("nothing")), STR(expect.n ? expect : S("nothing")));
    if (!t.id) {
        int64_t made;
        struct timestamp never = {0};
        TRY(sql_run(
            c, &add,
            ARGS(A_I(repository_id), A_I(artifact_id), A_S(name), A_T(c->tx->now), A_T(never)),
            &made));
        if (!made)
            return fail(c, E_PRECONDITION, "tag %.*s was made meanwhile", STR(name));
        TRY(sql_row(c, &lock, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t));
    }
    TRY(sql_run(c, &place, ARGS(A_I(t.id), A_I(artifact_id), A_T(c->tx->now), A_B(pin)), NULL));
    return tag_note(c, &(struct tag_move){.repository_id = repository_id,
                                          .name = name,
                                          .old_digest = now,
                                          .new_digest = digest,
                                          .actor = c->actor,
                                          .kind = S("point"),
                                          .reason = reason});
}

enum err tag_unpin(struct ctx *c, int64_t repository_id, struct str name, struct str reason)
{
    struct tag t = {0};
    struct str digest;
    TRY(sql_row(c, &lock, ARGS(A_I(repository_id), A_S(name)), tag_fields, &t));
    if (!t.pinned)
        return E_NOT_FOUND;
    TRY(artifact_digest(c, t.artifact_id, &digest));
    TRY(sql_run(c, &unpin, ARGS(A_I(t.id)), NULL));
    return tag_note(c, &(struct tag_move){.repository_id = repository_id,
                                          .name = name,
                                          .old_digest = digest,
                                          .new_digest = digest,
                                          .actor = c->actor,
                                          .kind = S("unpin"),
                                          .reason = reason});
}

/* ---- the journal --------------------------------------------------------------------------- */

#define MOVE                                                                                       \
    "j.id AS id, j.repository_id AS repository_id, j.name AS name, j.old_digest AS old_digest, "   \
    "j.new_digest AS new_digest, j.actor AS actor, j.upstream AS upstream, j.at AS at, j.kind AS " \
    "kind, j.reason AS reason"

STATEMENT moves_all =
    SQL("SELECT " MOVE " FROM tag_journal j WHERE j.repository_id = $1 AND j.id < $2 AND j.at <= "
        "$3 ORDER BY j.id DESC LIMIT $4");
STATEMENT moves_one =
    SQL("SELECT " MOVE " FROM tag_journal j WHERE j.repository_id = $1 AND j.id < $2 AND j.at <= "
        "$3 AND j.name = $5 ORDER BY j.id DESC LIMIT $4");
STATEMENT move_at =
    SQL("SELECT " MOVE " FROM tag_journal j WHERE j.repository_id = $1 AND j.name = $2 AND j.at <= "
        "$3 AND j.kind IN ('move', 'point') ORDER BY j.id DESC LIMIT 1");
STATEMENT moves_of_all =
    SQL("SELECT " MOVE ", p.name AS project_name, r.name AS repository_name FROM tag_journal j "
        "JOIN repository r ON r.id = j.repository_id JOIN project p ON p.id = r.project_id "
        "WHERE " VISIBLE
        " AND j.at >= $5 AND j.id < $6 AND ($7 = 0 OR j.upstream = 1) AND ($8 = 0 OR p.id "
        "= $8) ORDER BY j.id DESC LIMIT $9");

enum err tag_moves(struct ctx *c, int64_t repository_id, struct str name, int64_t before,
                   struct timestamp until, int64_t n, struct list *out)
{
    struct arg args[] = {A_I(repository_id), A_I(before ? before : INT64_MAX),
                         A_I(until.us ? until.us : INT64_MAX), A_I(n), A_S(name)};
    return sql_rows(c, name.n ? &moves_one : &moves_all, args, name.n ? 5 : 4, tag_move_fields,
                    sizeof(struct tag_move), out);
}

enum err tag_move_at(struct ctx *c, int64_t repository_id, struct str name, struct timestamp at,
                     struct tag_move *out)
{
    struct tag_move m = {0};
    TRY(sql_row(c, &move_at, ARGS(A_I(repository_id), A_S(name), A_T(at)), tag_move_fields, &m));
    *out = m;
    return E_OK;
}

enum err tag_moves_of_all(struct ctx *c, const struct tag_moves_filter *f, struct list *out)
{
    struct arg args[VISIBLE_ARGS + 5];
    visible_args(f->principal, args);
    args[4] = A_T(f->since);
    args[5] = A_I(f->before ? f->before : INT64_MAX);
    args[6] = A_B(f->upstream);
    args[7] = A_I(f->project_id);
    args[8] = A_I(f->n);
    return sql_rows(c, &moves_of_all, args, COUNT(args), tag_move_fields, sizeof(struct tag_move),
                    out);
}

/* ---- what upstream named last -------------------------------------------------------------- */

#define SEEN_LIFE_US (180 * 86400 * SECOND_US)

static const struct field seen_fields[] = {
    FIELD(struct tag_seen, repository_id, 0, 0), FIELD(struct tag_seen, name, 0, 0),
    FIELD(struct tag_seen, digest, 0, 0),        FIELD(struct tag_seen, decision, 0, 0),
    FIELD(struct tag_seen, first_seen, 0, 0),    FIELDS_END,
};

static const struct field pulled_fields[] = {
    FIELD(struct tag_pulled, id, 0, 0),           FIELD(struct tag_pulled, project_id, 0, 0),
    FIELD(struct tag_pulled, name, 0, 0),         FIELD(struct tag_pulled, repository_name, 0, 0),
    FIELD(struct tag_pulled, project_name, 0, 0), FIELDS_END,
};

STATEMENT seen_get =
    SQL("SELECT repository_id AS repository_id, name AS name, digest AS digest, first_seen AS "
        "first_seen, decision AS decision FROM tag_seen WHERE repository_id = $1 AND name = $2");
STATEMENT seen_put =
    SQL("INSERT INTO tag_seen(repository_id, name, digest, first_seen, decision) VALUES($1, $2, "
        "$3, $4, $5) ON CONFLICT(repository_id, name) DO UPDATE SET digest = excluded.digest, "
        "first_seen = excluded.first_seen, decision = excluded.decision");
STATEMENT seen_sweep = SQL("DELETE FROM tag_seen WHERE first_seen < $1");
STATEMENT pulled_since =
    SQL("SELECT t.id AS id, t.name AS name, r.name AS repository_name, p.id AS project_id, p.name "
        "AS project_name FROM tag t JOIN artifact a ON a.id = t.artifact_id JOIN repository r ON "
        "r.id = t.repository_id JOIN project p ON p.id = r.project_id WHERE p.registry_id IS NOT "
        "NULL AND (t.pull_time >= $1 OR a.pull_time >= $1) AND t.id > $2 ORDER BY t.id LIMIT $3");

enum err tag_seen_get(struct ctx *c, int64_t repository_id, struct str name, struct tag_seen *out)
{
    struct tag_seen s = {0};
    TRY(sql_row(c, &seen_get, ARGS(A_I(repository_id), A_S(name)), seen_fields, &s));
    *out = s;
    return E_OK;
}

enum err tag_seen_put(struct ctx *c, const struct tag_seen *s)
{
    return sql_run(c, &seen_put,
                   ARGS(A_I(s->repository_id), A_S(s->name), A_S(s->digest), A_T(s->first_seen),
                        A_S(text(s->decision))),
                   NULL);
}

enum err tag_seen_sweep(struct ctx *c)
{
    struct timestamp before = {c->tx->now.us - SEEN_LIFE_US};
    return sql_run(c, &seen_sweep, ARGS(A_T(before)), NULL);
}

enum err tag_pulled_since(struct ctx *c, struct timestamp since, int64_t after_id, int64_t n,
                          struct list *out)
{
    return sql_rows(c, &pulled_since, ARGS(A_T(since), A_I(after_id), A_I(n)), pulled_fields,
                    sizeof(struct tag_pulled), out);
}
