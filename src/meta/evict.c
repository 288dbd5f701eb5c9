/*
 * Reading for eviction. The images are walked in the order of their last pull, a page at a time;
 * what is costly to know (tags, missing blobs) is looked up for the rows of the page alone.
 *
 * A part that is pulled keeps the whole: an index is as young as the youngest of its children. A
 * pull writes its own row only, so an index whose child was pulled stands too early in the order;
 * whoever evicts meets it there, and puts it where it belongs (evict_settle).
 */
#include "meta/evict.h"

#include "meta/blob.h"

static const struct field row_fields[] = {
    FIELD(struct evict_row, id, 0, 0),     FIELD(struct evict_row, project_id, 0, 0),
    FIELD(struct evict_row, size, 0, 0),   FIELD(struct evict_row, repository, 0, 0),
    FIELD(struct evict_row, digest, 0, 0), FIELD(struct evict_row, tags, 0, 0),
    FIELD(struct evict_row, pins, 0, 0),   FIELD(struct evict_row, incomplete, 0, 0),
    FIELD(struct evict_row, used, 0, 0),   FIELD(struct evict_row, last, 0, 0),
    FIELD(struct evict_row, held, 0, 0),   FIELDS_END,
};

#define PARTS                                                                                      \
    " FROM artifact_child x JOIN artifact k ON k.id = x.child_id WHERE x.parent_id = a.id AND "    \
    "k.state <> 1"
/* CROSS JOIN: SQLite takes the tables in this order, so the index artifact_used gives the rows. */
#define AGED(most)                                                                                 \
    "SELECT a.id AS id, a.size + CAST(COALESCE((SELECT sum(k.size)" PARTS "), 0) AS BIGINT) AS "   \
    "size, a.digest AS digest, r.name AS repository, p.id AS project_id, "                         \
    "COALESCE(p.proxy_pins, '') AS pins, a.used_at AS used, " most                                 \
    "(a.used_at, COALESCE((SELECT max(" most "(k.pull_time, k.push_time))" PARTS "), 0)) AS last " \
    "FROM artifact a CROSS JOIN repository r CROSS JOIN project p WHERE "                          \
    "(a.used_at, a.id) > ($2, $3) AND a.payload IS NOT NULL AND r.id = a.repository_id AND p.id "  \
    "= r.project_id AND p.registry_id IS NOT NULL AND ($1 = 0 OR p.id = $1) AND NOT EXISTS "       \
    "(SELECT 1 FROM artifact_child y WHERE y.child_id = a.id) ORDER BY a.used_at, a.id LIMIT $4"
#define PAGE(most, names)                                                                          \
    "SELECT v.id AS id, v.project_id AS project_id, v.size AS size, v.repository AS repository, "  \
    "v.digest AS digest, v.pins AS pins, v.used AS used, v.last AS last, COALESCE((SELECT " names  \
    " FROM tag t WHERE t.artifact_id = v.id), '') AS tags, (SELECT COALESCE(max(t.pinned), 0) "    \
    "FROM tag t WHERE t.artifact_id = v.id) AS held, CASE WHEN EXISTS (SELECT 1 FROM "             \
    "artifact_blob x JOIN blob b ON b.id = x.blob_id WHERE x.artifact_id = v.id AND b.state = 1) " \
    "OR EXISTS (SELECT 1 FROM artifact_child k JOIN artifact_blob x ON x.artifact_id = "           \
    "k.child_id JOIN blob b ON b.id = x.blob_id WHERE k.parent_id = v.id AND b.state = 1) THEN 1 " \
    "ELSE 0 END AS incomplete FROM (" AGED(most) ") v ORDER BY v.used, v.id"

STATEMENT page =
    SQL2(PAGE("max", "group_concat(t.name, ' ')"), PAGE("greatest", "string_agg(t.name, ' ')"));
STATEMENT settle = SQL("UPDATE artifact SET used_at = $2 WHERE id = $1 AND used_at < $2");
STATEMENT holders =
    SQL("SELECT x.artifact_id AS id FROM blob b JOIN artifact_blob x ON x.blob_id = b.id WHERE "
        "b.digest = $1 AND b.state <> 4 UNION SELECT k.parent_id AS id FROM blob b JOIN "
        "artifact_blob x ON x.blob_id = b.id JOIN artifact_child k ON k.child_id = x.artifact_id "
        "WHERE b.digest = $1 AND b.state <> 4");
STATEMENT still = SQL("SELECT length(payload) AS size FROM artifact WHERE id = $1 AND "
                      "pull_time <= $2 AND payload IS NOT NULL");
STATEMENT blobs =
    SQL("WITH RECURSIVE below(id) AS (SELECT CAST($1 AS BIGINT) UNION SELECT k.child_id FROM below "
        "JOIN artifact_child k ON k.parent_id = below.id) SELECT DISTINCT x.blob_id AS id FROM "
        "artifact_blob x JOIN below ON below.id = x.artifact_id ORDER BY id");
STATEMENT loose =
    SQL("SELECT DISTINCT g.blob_id AS id FROM gc_candidate g JOIN blob b ON b.id = g.blob_id AND "
        "b.state = 2 JOIN repo_blob l ON l.blob_id = g.blob_id AND l.lease_until <= $2 JOIN "
        "repository r ON r.id = l.repository_id JOIN project p ON p.id = r.project_id AND "
        "p.registry_id IS NOT NULL WHERE ($1 = 0 OR p.id = $1) AND NOT EXISTS (SELECT 1 FROM "
        "artifact_blob x JOIN artifact a ON a.id = x.artifact_id WHERE x.blob_id = g.blob_id AND "
        "a.repository_id = l.repository_id) ORDER BY id LIMIT $3");
STATEMENT over = SQL("SELECT id, name, storage_limit, storage_used FROM project WHERE registry_id "
                     "IS NOT NULL AND storage_limit >= 0 AND storage_used > storage_limit");
STATEMENT use = SQL("SELECT id, name, storage_limit, storage_used FROM project WHERE id = $1");
STATEMENT total = SQL("SELECT CAST(COALESCE(sum(storage_used), 0) AS BIGINT) FROM project WHERE "
                      "registry_id IS NOT NULL");

static const struct field project_fields[] = {
    FIELD(struct evict_project, id, 0, 0),
    FIELD(struct evict_project, name, 0, 0),
    FIELD(struct evict_project, storage_limit, 0, 0),
    FIELD(struct evict_project, storage_used, 0, 0),
    FIELDS_END,
};

struct id_row {
    int64_t id;
};

static enum err read_ids(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                         struct i64s *out)
{
    static const struct field fields[] = {
        FIELD(struct id_row, id, 0, 0),
        FIELDS_END,
    };
    struct list rows;
    TRY(sql_rows(c, s, args, n, fields, sizeof(struct id_row), &rows));
    const struct id_row *row = rows.items;
    struct i64s ids = {.count = rows.count};
    ids.items = arena_alloc(&c->mem, (rows.count + 1) * sizeof *ids.items);
    for (size_t i = 0; i < rows.count; i++)
        ids.items[i] = row[i].id;
    *out = ids;
    return E_OK;
}

enum err evict_page(struct ctx *c, int64_t project_id, struct timestamp used, int64_t id, int64_t n,
                    struct list *out)
{
    return sql_rows(c, &page, ARGS(A_I(project_id), A_T(used), A_I(id), A_I(n)), row_fields,
                    sizeof(struct evict_row), out);
}

enum err evict_settle(struct ctx *c, const struct evict_row *row)
{
    return sql_run(c, &settle, ARGS(A_I(row->id), A_T(row->last)), NULL);
}

enum err evict_holders(struct ctx *c, struct str digest, struct i64s *out)
{
    return read_ids(c, &holders, ARGS(A_S(digest)), out);
}

enum err evict_still(struct ctx *c, const struct evict_row *row)
{
    int64_t payload;
    TRY(sql_i64(c, &still, ARGS(A_I(row->id), A_T(row->last)), &payload));
    return payload ? E_OK : E_NOT_FOUND;
}

enum err evict_blobs(struct ctx *c, int64_t artifact_id, struct i64s *out)
{
    return read_ids(c, &blobs, ARGS(A_I(artifact_id)), out);
}

enum err evict_loose(struct ctx *c, int64_t project_id, int64_t n, struct i64s *out)
{
    return read_ids(c, &loose, ARGS(A_I(project_id), A_T(c->tx->now), A_I(n)), out);
}

enum err evict_over(struct ctx *c, struct list *out)
{
    return sql_rows(c, &over, NO_ARGS, project_fields, sizeof(struct evict_project), out);
}

enum err evict_use(struct ctx *c, int64_t project_id, struct evict_project *out)
{
    struct evict_project p = {0};
    TRY(sql_row(c, &use, ARGS(A_I(project_id)), project_fields, &p));
    *out = p;
    return E_OK;
}

enum err evict_total(struct ctx *c, int64_t *out)
{
    return sql_i64(c, &total, NO_ARGS, out);
}
