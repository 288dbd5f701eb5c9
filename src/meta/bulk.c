/*
 * Reading for deletions of many: sets go in and come out whole, whatever their size. What is freed
 * is reckoned as the project's quota is: a blob that another artifact of the project needs is not.
 * What other projects hold does not count, and is not told.
 */
#include "meta/bulk.h"

#include "meta/artifact.h"
#include "meta/idset.h"

static const struct field item_fields[] = {
    FIELD(struct bulk_item, id, 0, 0),
    FIELD(struct bulk_item, name, 0, 0),
    FIELDS_END,
};

static const struct field node_fields[] = {
    FIELD(struct bulk_node, id, 0, 0),     FIELD(struct bulk_node, state, 0, 0),
    FIELD(struct bulk_node, digest, 0, 0), FIELD(struct bulk_node, subject_digest, 0, 0),
    FIELD(struct bulk_node, tags, 0, 0),   FIELDS_END,
};

static const struct field edge_fields[] = {
    FIELD(struct bulk_edge, parent_id, 0, 0),
    FIELD(struct bulk_edge, child_id, 0, 0),
    FIELD(struct bulk_edge, parent_digest, 0, 0),
    FIELDS_END,
};

static const struct field worth_fields[] = {
    FIELD(struct bulk_worth, size, 0, 0),
    FIELD(struct bulk_worth, freed, 0, 0),
    FIELDS_END,
};

static const struct field project_fields[] = {
    FIELD(struct bulk_project, project_id, 0, 0),
    FIELD(struct bulk_project, repositories, 0, 0),
    FIELD(struct bulk_project, artifacts, 0, 0),
    FIELD(struct bulk_project, tags, 0, 0),
    FIELDS_END,
};

/* "+ 0": by digest, of which few repositories have the same, never through all of a repository */
#define BY_DIGEST(texts)                                                                           \
    "SELECT a.id AS id, a.digest AS name FROM artifact a WHERE a.repository_id + 0 = $1 AND "      \
    "a.state <> 1 AND a.digest " texts " ORDER BY a.id"
/* CASE and OR: thousands of names are hashed then, and not joined */
#define REPOSITORIES(texts)                                                                        \
    "SELECT r.id AS id, r.name AS name FROM repository r WHERE r.project_id = $1 AND CASE WHEN "   \
    "r.name IN " texts " THEN 1 ELSE 0 END = 1 ORDER BY r.name"
#define TAGS(ids, texts)                                                                           \
    "SELECT t.id AS id, t.name AS name FROM tag t WHERE t.repository_id = $1 AND (t.artifact_id "  \
    "IN " ids " OR t.name IN " texts ") ORDER BY t.name"
#define FAMILY(ids)                                                                                \
    "WITH RECURSIVE below(id) AS (SELECT a.id FROM artifact a WHERE a.id " ids " UNION SELECT "    \
    "k.child_id FROM below JOIN artifact_child k ON k.parent_id = below.id), hanging(id, "         \
    "repository_id, digest) AS (SELECT a.id, a.repository_id, a.digest FROM below JOIN artifact "  \
    "a ON a.id = below.id UNION SELECT a.id, a.repository_id, a.digest FROM hanging h JOIN "       \
    "artifact a ON a.repository_id = h.repository_id AND a.subject_digest = h.digest AND "         \
    "a.subject_digest <> '' AND a.state = 2) SELECT a.id AS id, a.state AS state, a.digest AS "    \
    "digest, a.subject_digest AS subject_digest, (SELECT count(*) FROM tag t WHERE "               \
    "t.artifact_id = a.id) AS tags FROM hanging h JOIN artifact a ON a.id = h.id ORDER BY a.id "   \
    "LIMIT $2"
#define PARENTS(ids)                                                                               \
    "SELECT DISTINCT k.parent_id AS parent_id, k.child_id AS child_id, p.digest AS parent_digest " \
    "FROM artifact_child k JOIN artifact p ON p.id = k.parent_id WHERE k.child_id " ids            \
    " ORDER BY k.child_id, k.parent_id"
/* going: the ids of artifacts that go; $2 the project. Expected blobs have no bytes yet. */
#define WORTH(going)                                                                               \
    "WITH going(id) AS (SELECT a.id FROM artifact a WHERE " going "), held(blob_id) AS (SELECT "   \
    "DISTINCT x.blob_id FROM artifact_blob x JOIN going ON going.id = x.artifact_id), "            \
    "piece(size, "                                                                                 \
    "stays) AS (SELECT b.size, CASE WHEN EXISTS (SELECT 1 FROM artifact_blob y JOIN artifact o "   \
    "ON o.id = y.artifact_id JOIN repository r ON r.id = o.repository_id WHERE y.blob_id = b.id "  \
    "AND r.project_id = $2 AND o.id NOT IN (SELECT id FROM going)) THEN 1 ELSE 0 END FROM held h " \
    "JOIN blob b ON b.id = h.blob_id AND b.state <> 1 UNION ALL SELECT max(length(a.payload)), "   \
    "max(CASE WHEN EXISTS (SELECT 1 FROM artifact o JOIN repository r ON r.id = o.repository_id "  \
    "WHERE r.project_id = $2 AND o.digest = a.digest AND o.payload IS NOT NULL AND o.id NOT IN "   \
    "(SELECT id FROM going)) THEN 1 ELSE 0 END) FROM going JOIN artifact a ON a.id = going.id "    \
    "AND a.payload IS NOT NULL GROUP BY a.digest) SELECT CAST(COALESCE(sum(size), 0) AS BIGINT) "  \
    "AS size, CAST(COALESCE(sum(CASE WHEN stays = 1 THEN 0 ELSE size END), 0) AS BIGINT) AS "      \
    "freed FROM piece"

#define PROJECTS(ids)                                                                              \
    "SELECT p.id AS project_id, (SELECT count(*) FROM repository r WHERE r.project_id = p.id) AS " \
    "repositories, (SELECT count(*) FROM repository r JOIN artifact a ON a.repository_id = r.id "  \
    "AND a.state <> 1 WHERE r.project_id = p.id) AS artifacts, (SELECT count(*) FROM repository "  \
    "r JOIN tag t ON t.repository_id = r.id WHERE r.project_id = p.id) AS tags FROM project p "    \
    "WHERE p.id " ids " ORDER BY p.id"
#define INSIDE(ids)                                                                                \
    "SELECT r.project_id AS id, r.name AS name FROM repository r WHERE r.project_id " ids          \
    " ORDER BY r.project_id, r.name"

STATEMENT by_digest = SQL2(BY_DIGEST(IN_TEXTS_LITE("$2")), BY_DIGEST(IN_TEXTS_PG("$2")));
STATEMENT by_filter =
    SQL("SELECT a.id AS id, a.digest AS name FROM artifact a WHERE a.repository_id = $1 "
        "AND " ARTIFACT_BASE " AND " ARTIFACT_TAGGED(
            "$2") " AND ($3 = 0 OR NOT EXISTS (SELECT 1 FROM tag "
                  "u WHERE u.artifact_id = a.id)) AND (CAST($4 AS BIGINT) = 0 OR (a.pull_time "
                  "< $4 AND a.push_time < $4)) "
                  "ORDER BY a.id LIMIT $5");
STATEMENT repositories = SQL2(REPOSITORIES(TEXTS_LITE("$2")), REPOSITORIES(TEXTS_PG("$2")));
STATEMENT tags_named =
    SQL2(TAGS(ALL_IDS_LITE("$2"), TEXTS_LITE("$3")), TAGS(ALL_IDS_PG("$2"), TEXTS_PG("$3")));
STATEMENT family = WITH_SET(FAMILY);
STATEMENT parents_of = WITH_SET(PARENTS);
STATEMENT worth = SQL2(WORTH("a.id " IDS_LITE("$1")), WORTH("a.id " IDS_PG("$1")));
STATEMENT worth_all =
    SQL2(WORTH("a.repository_id " IDS_LITE("$1")), WORTH("a.repository_id " IDS_PG("$1")));
STATEMENT artifacts_in =
    ON_SET("SELECT count(*) FROM artifact a WHERE a.state <> 1 AND a.repository_id", "");
STATEMENT tags_in = ON_SET("SELECT count(*) FROM tag t WHERE t.repository_id", "");

STATEMENT projects_hold = WITH_SET(PROJECTS);
STATEMENT repositories_of = WITH_SET(INSIDE);

enum err bulk_by_digest(struct ctx *c, int64_t repository_id, const struct strs *digests,
                        struct list *out)
{
    return sql_rows(c, &by_digest,
                    ARGS(A_I(repository_id), texts_arg(c, digests->items, digests->count)),
                    item_fields, sizeof(struct bulk_item), out);
}

enum err bulk_by_filter(struct ctx *c, int64_t repository_id, const struct bulk_filter *f,
                        int64_t n, struct list *out)
{
    return sql_rows(c, &by_filter,
                    ARGS(A_I(repository_id), A_S(f->tag.p ? f->tag : S("")), A_B(f->untagged),
                         A_T(f->idle_since), A_I(n)),
                    item_fields, sizeof(struct bulk_item), out);
}

enum err bulk_repositories(struct ctx *c, int64_t project_id, const struct strs *names,
                           struct list *out)
{
    return sql_rows(c, &repositories,
                    ARGS(A_I(project_id), texts_arg(c, names->items, names->count)), item_fields,
                    sizeof(struct bulk_item), out);
}

enum err bulk_tags(struct ctx *c, int64_t repository_id, const int64_t *ids, size_t n,
                   const struct strs *names, struct list *out)
{
    return sql_rows(
        c, &tags_named,
        ARGS(A_I(repository_id), ids_arg(c, ids, n), texts_arg(c, names->items, names->count)),
        item_fields, sizeof(struct bulk_item), out);
}

enum err bulk_family(struct ctx *c, const int64_t *ids, size_t count, int64_t n, struct list *nodes,
                     struct list *edges)
{
    TRY(sql_rows(c, &family, ARGS(ids_arg(c, ids, count), A_I(n)), node_fields,
                 sizeof(struct bulk_node), nodes));
    const struct bulk_node *node = nodes->items;
    int64_t *all = arena_alloc(&c->mem, (nodes->count + 1) * sizeof *all);
    for (size_t i = 0; i < nodes->count; i++)
        all[i] = node[i].id;
    return sql_rows(c, &parents_of, ARGS(ids_arg(c, all, nodes->count)), edge_fields,
                    sizeof(struct bulk_edge), edges);
}

enum err bulk_worth_of(struct ctx *c, int64_t project_id, const int64_t *ids, size_t n,
                       struct bulk_worth *out)
{
    return sql_row(c, &worth, ARGS(ids_arg(c, ids, n), A_I(project_id)), worth_fields, out);
}

enum err bulk_worth_of_repositories(struct ctx *c, int64_t project_id, const int64_t *ids, size_t n,
                                    struct bulk_worth *out, int64_t *artifacts, int64_t *tags)
{
    struct arg set = ids_arg(c, ids, n);
    TRY(sql_row(c, &worth_all, ARGS(set, A_I(project_id)), worth_fields, out));
    TRY(sql_i64(c, &artifacts_in, ARGS(set), artifacts));
    return sql_i64(c, &tags_in, ARGS(set), tags);
}

enum err bulk_projects_hold(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &projects_hold, ARGS(ids_arg(c, ids, n)), project_fields,
                    sizeof(struct bulk_project), out);
}

enum err bulk_repositories_of(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &repositories_of, ARGS(ids_arg(c, ids, n)), item_fields,
                    sizeof(struct bulk_item), out);
}
