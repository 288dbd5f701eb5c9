/*
 * Repositories. Deleting one takes its tags, manifests and links; the blobs become candidates of
 * garbage collection. Its caller counts the project's usage again.
 */
#include "meta/repository.h"

#include "meta/artifact.h"
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

STATEMENT lock = SQL("SELECT id FROM repository WHERE id = $1" LOCK_DELETE);
STATEMENT lock_blobs = SQL("SELECT b.id FROM blob b WHERE b.id IN (SELECT blob_id FROM repo_blob "
                           "WHERE repository_id = $1) ORDER BY b.id" LOCK_UPDATE);
STATEMENT candidates = SQL(
    "INSERT INTO gc_candidate(blob_id, review_after, creation_time) SELECT blob_id, $2, $2 FROM "
    "repo_blob WHERE repository_id = $1 ORDER BY blob_id ON CONFLICT(blob_id) DO UPDATE SET "
    "review_after = excluded.review_after, creation_time = excluded.creation_time");
STATEMENT drop_tags = SQL("DELETE FROM tag WHERE repository_id = $1");
STATEMENT drop_edges = SQL("DELETE FROM artifact_child WHERE parent_id IN (SELECT id FROM artifact "
                           "WHERE repository_id = $1)");
STATEMENT drop_artifacts = SQL("DELETE FROM artifact WHERE repository_id = $1");
STATEMENT drop_links = SQL("DELETE FROM repo_blob WHERE repository_id = $1");
STATEMENT drop_uploads = SQL("DELETE FROM upload WHERE repository_id = $1");
STATEMENT drop = SQL("DELETE FROM repository WHERE id = $1");

/* Artifacts that no index contains; what an index contains is one of them when the index is gone.
 */
#define SOME                                                                                       \
    "(SELECT a.id FROM artifact a WHERE a.repository_id = $1 AND NOT EXISTS (SELECT 1 FROM "       \
    "artifact_child y WHERE y.child_id = a.id) ORDER BY a.id LIMIT $2)"
STATEMENT artifacts_of =
    SQL("SELECT count(*) FROM (SELECT 1 FROM artifact WHERE repository_id = $1 LIMIT $2) s");
STATEMENT some_candidates = SQL(
    "INSERT INTO gc_candidate(blob_id, review_after, creation_time) SELECT DISTINCT blob_id, "
    "CAST($3 AS BIGINT), CAST($3 AS BIGINT) FROM artifact_blob WHERE artifact_id IN " SOME
    " ORDER BY blob_id ON CONFLICT(blob_id) DO UPDATE SET review_after = excluded.review_after, "
    "creation_time = excluded.creation_time");
STATEMENT some_manifests =
    SQL("SELECT digest AS digest, length(payload) AS size FROM artifact WHERE "
        "payload IS NOT NULL AND id IN " SOME);
STATEMENT some_tags = SQL("DELETE FROM tag WHERE artifact_id IN " SOME);
STATEMENT some_artifacts = SQL("DELETE FROM artifact WHERE id IN " SOME);

enum err repository_shrink(struct ctx *c, int64_t id, int64_t n, struct list *gone, bool *more_out)
{
    static const struct field fields[] = {
        FIELD(struct manifest_gone, digest, 0, 0),
        FIELD(struct manifest_gone, size, 0, 0),
        FIELDS_END,
    };
    int64_t found, count;
    *more_out = false;
    *gone = (struct list){0};
    TRY(sql_i64(c, &artifacts_of, ARGS(A_I(id), A_I(n + 1)), &count));
    if (count <= n)
        return E_OK;
    TRY(sql_run(c, &lock_blobs, ARGS(A_I(id)), NULL));
    TRY(sql_i64(c, &lock, ARGS(A_I(id)), &found));
    TRY(sql_run(c, &some_candidates, ARGS(A_I(id), A_I(n), A_T(c->tx->now)), NULL));
    TRY(sql_rows(c, &some_manifests, ARGS(A_I(id), A_I(n)), fields, sizeof(struct manifest_gone),
                 gone));
    TRY(sql_run(c, &some_tags, ARGS(A_I(id), A_I(n)), NULL));
    TRY(sql_run(c, &some_artifacts, ARGS(A_I(id), A_I(n)), NULL));
    *more_out = true;
    return E_OK;
}

enum err repository_delete(struct ctx *c, int64_t id)
{
    int64_t found;
    static const struct sql *const steps[] = {&drop_tags,  &drop_edges,   &drop_artifacts,
                                              &drop_links, &drop_uploads, &drop};
    TRY(sql_run(c, &lock_blobs, ARGS(A_I(id)), NULL)); /* blobs before anything else */
    TRY(sql_i64(c, &lock, ARGS(A_I(id)), &found));
    if (!found)
        return E_NOT_FOUND;
    TRY(sql_run(c, &candidates, ARGS(A_I(id), A_T(c->tx->now)), NULL));
    for (size_t i = 0; i < COUNT(steps); i++)
        TRY(sql_run(c, steps[i], ARGS(A_I(id)), NULL));
    return E_OK;
}
