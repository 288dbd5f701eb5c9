/*
 * Repositories. Deleting one takes its tags, manifests and links; the blobs become candidates of
 * garbage collection and the project gets back what nothing else of it holds. One that is large
 * goes piece by piece, since others write meanwhile: what a transaction does is bounded by what it
 * picked, never by the repository or the project.
 */
#include "meta/repository.h"

#include "meta/artifact.h"
#include "meta/idset.h"
#include "meta/usage.h"
#include "meta/visible.h"

const struct field repository_fields[] = {
    FIELD(struct repository, id, F_RO | F_SORT, 0),
    FIELD(struct repository, project_id, F_RO | F_SORT, 0),
    FIELD(struct repository, project_name, F_ROW, 0),
    FIELD(struct repository, name, F_RO | F_SORT, 255),
    FIELD(struct repository, description, F_OMIT, 4096),
    FIELD(struct repository, pull_count, F_RO | F_SORT, 0),
    FIELD(struct repository, artifact_count, F_RO, 0),
    FIELD(struct repository, creation_time, F_RO | F_SORT, 0),
    FIELD(struct repository, update_time, F_RO | F_SORT, 0),
    FIELDS_END,
};

#define COLUMNS                                                                                    \
    "r.id AS id, r.project_id AS project_id, p.name AS project_name, r.name AS name, "             \
    "r.description AS description, r.pull_count AS pull_count, (SELECT count(*) FROM artifact a "  \
    "WHERE a.repository_id = r.id AND " ARTIFACT_BASE ") AS artifact_count, "                      \
    "r.creation_time AS creation_time, r.update_time AS update_time"
#define FROM "repository r JOIN project p ON p.id = r.project_id"

STATEMENT by_name = SQL("SELECT " COLUMNS " FROM " FROM " WHERE r.project_id = $1 AND r.name = $2");
STATEMENT id_of = SQL("SELECT id FROM repository WHERE project_id = $1 AND name = $2");
STATEMENT add = SQL("INSERT INTO repository(project_id, name, creation_time, update_time) "
                    "VALUES($1, $2, $3, $3) ON CONFLICT DO NOTHING RETURNING id");
STATEMENT describe = SQL("UPDATE repository SET description = $2, update_time = $3 WHERE id = $1");
STATEMENT catalog = SQL(
    "SELECT p.name || '/' || r.name AS name FROM " FROM " WHERE p.name || '/' || r.name > $5 AND "
    "EXISTS (SELECT 1 FROM artifact a WHERE a.repository_id = r.id AND a.state = 2) AND " VISIBLE
    " ORDER BY p.name || '/' || r.name LIMIT $6");

enum err repository_by_name(struct ctx *c, int64_t project_id, struct str name,
                            struct repository *out)
{
    struct repository r = {0};
    TRY(sql_row(c, &by_name, ARGS(A_I(project_id), A_S(name)), repository_fields, &r));
    *out = r;
    return E_OK;
}

enum err repository_id(struct ctx *c, int64_t project_id, struct str name, int64_t *id_out)
{
    int64_t id;
    TRY(sql_i64(c, &id_of, ARGS(A_I(project_id), A_S(name)), &id));
    if (!id)
        return E_NOT_FOUND;
    *id_out = id;
    return E_OK;
}

enum err repository_ensure(struct ctx *c, int64_t project_id, struct str name, int64_t *id_out)
{
    int64_t id;
    TRY(sql_i64(c, &id_of, ARGS(A_I(project_id), A_S(name)), &id));
    if (!id)
        TRY(sql_i64(c, &add, ARGS(A_I(project_id), A_S(name), A_T(c->tx->now)), &id));
    if (!id) /* somebody else made it meanwhile */
        TRY(sql_i64(c, &id_of, ARGS(A_I(project_id), A_S(name)), &id));
    if (!id)
        return fail(c, E_UNAVAILABLE, "repository %.*s is being deleted", STR(name));
    *id_out = id;
    return E_OK;
}

enum err repository_list(struct ctx *c, int64_t project_id, const struct principal *p,
                         const struct list_query *q, struct list *out, int64_t *total)
{
    struct arg args[VISIBLE_ARGS + 1];
    visible_args(p, args);
    args[4] = A_I(project_id);
    const struct list_spec spec = {
        .columns = COLUMNS,
        .from = FROM,
        .where = project_id ? "r.project_id = $1" : VISIBLE,
        .default_sort = project_id ? "q.name" : "q.project_name, q.name",
        .args = project_id ? args + 4 : args,
        .arg_count = project_id ? 1 : VISIBLE_ARGS,
    };
    return list_rows(c, &spec, q, repository_fields, sizeof(struct repository), out, total);
}

enum err repository_update(struct ctx *c, const struct repository *r)
{
    int64_t changed;
    TRY(sql_run(c, &describe,
                ARGS(A_I(r->id), A_S(r->description.p ? r->description : S("")), A_T(c->tx->now)),
                &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err repository_catalog(struct ctx *c, const struct principal *p, struct str last, int64_t n,
                            struct strs *out)
{
    static const struct field name_fields[] = {FIELD(struct repository, name, 0, 0), FIELDS_END};
    struct arg args[VISIBLE_ARGS + 2];
    struct list rows;
    visible_args(p, args);
    args[4] = A_S(last.p ? last : S(""));
    args[5] = A_I(n);
    TRY(sql_rows(c, &catalog, args, COUNT(args), name_fields, sizeof(struct repository), &rows));
    struct repository *r = rows.items;
    struct strs names = {arena_alloc(&c->mem, rows.count * sizeof(struct str)), rows.count};
    for (size_t i = 0; i < rows.count; i++)
        names.items[i] = r[i].name;
    *out = names;
    return E_OK;
}

/* ---- deleting ----------------------------------------------------------------------------- */

STATEMENT lock = SQL("SELECT id FROM repository WHERE id = $1" LOCK_DELETE);
STATEMENT project_of = SQL("SELECT project_id FROM repository WHERE id = $1");
#define PICK                                                                                       \
    "SELECT a.id AS id, a.state AS state, (SELECT count(*) FROM artifact_blob x WHERE "            \
    "x.artifact_id = a.id) AS blobs FROM artifact a WHERE a.repository_id = $1 "
STATEMENT pick_all = SQL(PICK "ORDER BY a.id LIMIT $2");
/* Those that no index contains: what an index contains is one of them when the index is gone. */
STATEMENT pick_tops = SQL(PICK "AND NOT EXISTS(SELECT 1 FROM artifact_child y WHERE y.child_id = "
                               "a.id) ORDER BY a.id LIMIT $2");
STATEMENT blobs_of =
    ON_SET("SELECT DISTINCT x.blob_id AS id FROM artifact_blob x WHERE x.artifact_id", "");
STATEMENT blobs_in =
    SQL("SELECT blob_id AS id FROM repo_blob WHERE repository_id = $1 ORDER BY blob_id LIMIT $2");
#define THESE                                                                                      \
    "SELECT a.id AS id, a.state AS state, a.digest AS digest, COALESCE(length(a.payload), 0) AS "  \
    "size FROM artifact a WHERE a.repository_id = $2 AND a.id"
#define TOPS                                                                                       \
    " AND ($3 = 1 OR NOT EXISTS(SELECT 1 FROM artifact_child y WHERE y.child_id = a.id)) "         \
    "ORDER BY a.id"
STATEMENT these = ON_SET(THESE, TOPS);
STATEMENT drop_tags = ON_SET("DELETE FROM tag WHERE artifact_id", "");
STATEMENT drop_edges = ON_SET("DELETE FROM artifact_child WHERE parent_id", "");
STATEMENT drop_artifacts = ON_SET("DELETE FROM artifact WHERE id", "");
STATEMENT left = SQL("SELECT (SELECT count(*) FROM (SELECT 1 FROM artifact WHERE repository_id = "
                     "$1 LIMIT 1) AS a) + (SELECT count(*) FROM (SELECT 1 FROM repo_blob WHERE "
                     "repository_id = $1 LIMIT 1) AS b)");
STATEMENT drop_uploads = SQL("DELETE FROM upload WHERE repository_id = $1");
STATEMENT drop = SQL("DELETE FROM repository WHERE id = $1");

#define BLOBS_AT_ONCE 1000

struct piece_row {
    int64_t id, state, blobs, size;
    struct str digest;
};
static const struct field piece_fields[] = {
    FIELD(struct piece_row, id, 0, 0),     FIELD(struct piece_row, state, 0, 0),
    FIELD(struct piece_row, blobs, 0, 0),  FIELD(struct piece_row, size, 0, 0),
    FIELD(struct piece_row, digest, 0, 0), FIELDS_END,
};

/* What one transaction takes. */
struct piece {
    int64_t id, project_id;
    struct list picked; /* of piece_row, by id */
    struct i64s artifacts, blobs;
    bool all; /* the rest of the repository */
};

static enum err rows(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                     struct list *out)
{
    return sql_rows(c, s, args, n, piece_fields, sizeof(struct piece_row), out);
}

static struct i64s ids_of(struct ctx *c, const struct list *from)
{
    const struct piece_row *r = from->items;
    struct i64s ids = {arena_alloc(&c->mem, (from->count + 1) * sizeof *ids.items), from->count};
    for (size_t i = 0; i < from->count; i++)
        ids.items[i] = r[i].id;
    return ids;
}

static struct arg arg_of(struct ctx *c, const struct i64s *ids)
{
    return ids_arg(c, ids->items, ids->count);
}

/* Cuts the list where its blobs become too many; the first always stays. */
static bool cut(struct list *picked)
{
    const struct piece_row *r = picked->items;
    int64_t blobs = 0;
    for (size_t i = 0; i < picked->count; i++) {
        blobs += r[i].blobs;
        if (i && blobs > BLOBS_AT_ONCE) {
            picked->count = i;
            return true;
        }
    }
    return false;
}

/* All that there is, or, of more than n artifacts, some that no index contains; without artifacts,
   links that nobody came for. Nothing is locked yet. */
static enum err pick_piece(struct ctx *c, int64_t n, struct piece *p)
{
    struct list blobs;
    TRY(rows(c, &pick_all, ARGS(A_I(p->id), A_I(n + 1)), &p->picked));
    p->all = (int64_t)p->picked.count <= n && !cut(&p->picked);
    TRY(rows(c, &blobs_in, ARGS(A_I(p->id), A_I(BLOBS_AT_ONCE + 1)), &blobs));
    bool many = blobs.count > BLOBS_AT_ONCE;
    p->all = p->all && (!many || !p->picked.count);
    if (!p->all) {
        TRY(rows(c, &pick_tops, ARGS(A_I(p->id), A_I(n)), &p->picked));
        cut(&p->picked);
    }
    p->artifacts = ids_of(c, &p->picked);
    if (!p->all)
        TRY(rows(c, &blobs_of, ARGS(arg_of(c, &p->artifacts)), &blobs));
    blobs.count -= p->all && many;
    p->blobs = ids_of(c, &blobs);
    return E_OK;
}

/* Under the locks: those that are as they were when their blobs were listed. */
static enum err look_again(struct ctx *c, struct piece *p, struct list *gone)
{
    struct list found;
    const struct piece_row *was = p->picked.items;
    size_t n = 0, at = 0, count = 0;
    TRY(rows(c, &these, ARGS(arg_of(c, &p->artifacts), A_I(p->id), A_B(p->all)), &found));
    const struct piece_row *r = found.items;
    struct manifest_gone *m = arena_alloc(&c->mem, (found.count + 1) * sizeof *m);
    for (size_t i = 0; i < found.count; i++) {
        while (was[at].id < r[i].id)
            at++;
        if (was[at].state != r[i].state)
            continue;
        p->artifacts.items[n++] = r[i].id;
        if (r[i].size)
            m[count++] = (struct manifest_gone){r[i].digest, r[i].size};
    }
    p->artifacts.count = n;
    *gone = (struct list){m, count};
    return E_OK;
}

static enum err drop_piece(struct ctx *c, struct piece *p, struct list *refunds)
{
    static const struct sql *const steps[] = {&drop_tags, &drop_edges, &drop_artifacts};
    TRY(gc_candidates_add(c, &p->blobs));
    for (size_t i = 0; p->artifacts.count && i < COUNT(steps); i++)
        TRY(sql_run(c, steps[i], ARGS(arg_of(c, &p->artifacts)), NULL));
    return usage_unlink_in(c, p->id, &p->blobs, refunds);
}

enum err repository_shrink(struct ctx *c, int64_t id, int64_t n, bool *gone_out)
{
    struct piece p = {.id = id};
    struct list manifests, refunds;
    int64_t found, rest;
    TRY(pick_piece(c, n, &p));
    TRY(usage_lock_blobs(c, &p.blobs)); /* blobs before anything else */
    TRY(sql_i64(c, &lock, ARGS(A_I(id)), &found));
    if (!found)
        return E_NOT_FOUND;
    TRY(sql_i64(c, &project_of, ARGS(A_I(id)), &p.project_id));
    TRY(look_again(c, &p, &manifests));
    TRY(drop_piece(c, &p, &refunds));
    TRY(sql_i64(c, &left, ARGS(A_I(id)), &rest));
    if (!rest) {
        TRY(sql_run(c, &drop_uploads, ARGS(A_I(id)), NULL));
        TRY(sql_run(c, &drop, ARGS(A_I(id)), NULL));
    }
    TRY(usage_refund(c, &refunds));
    TRY(usage_refund_manifests(c, p.project_id, &manifests));
    *gone_out = !rest;
    return E_OK;
}
