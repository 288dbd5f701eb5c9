/*
 * Everything here reads. Sets of rows go in as one argument (meta/idset.h), so that a page of a
 * hundred artifacts costs the same few statements as a page of one. Graphs are walked by the
 * database: a stranger decides how deep they are, and UNION ends what would go in a circle.
 *
 * Who shares a layer is counted among what the principal sees: a number is a name, too, to who
 * knows what to look for.
 */
#include "meta/kin.h"

#include "meta/blob.h"
#include "meta/idset.h"
#include "meta/visible.h"

#include <string.h>

static const struct field node_fields[] = {
    FIELD(struct kin_node, id, 0, 0),
    FIELD(struct kin_node, repository_id, 0, 0),
    FIELD(struct kin_node, digest, 0, 0),
    FIELD(struct kin_node, media_type, 0, 0),
    FIELD(struct kin_node, artifact_type, 0, 0),
    FIELD(struct kin_node, type, 0, 0),
    FIELD(struct kin_node, subject_digest, 0, 0),
    FIELD(struct kin_node, state, 0, 0),
    FIELD(struct kin_node, size, 0, 0),
    FIELD(struct kin_node, layers, 0, 0),
    FIELD(struct kin_node, pulls, 0, 0),
    FIELD(struct kin_node, tags, 0, 0),
    FIELD(struct kin_node, push_time, 0, 0),
    FIELD(struct kin_node, pull_time, 0, 0),
    FIELDS_END,
};

#define NODE                                                                                       \
    "SELECT a.id AS id, a.repository_id AS repository_id, a.digest AS digest, a.media_type AS "    \
    "media_type, a.artifact_type AS artifact_type, a.type AS type, a.subject_digest AS "           \
    "subject_digest, a.state AS state, a.size AS size, (SELECT count(*) FROM artifact_blob x "     \
    "WHERE x.artifact_id = a.id) - (CASE WHEN a.config_media_type <> '' THEN 1 ELSE 0 END) AS "    \
    "layers, a.pull_count AS pulls, a.push_time AS push_time, a.pull_time AS pull_time"
#define NAMES                                                                                      \
    " FROM (SELECT t.name AS n FROM tag t WHERE t.artifact_id = a.id ORDER BY t.id DESC LIMIT "    \
    "100) u)"
#define TAGS_LITE ", (SELECT json_group_array(n)" NAMES " AS tags "
#define TAGS_PG ", (SELECT CAST(COALESCE(json_agg(n), '[]') AS TEXT)" NAMES " AS tags "
#define BELOW                                                                                      \
    "below(id) AS (SELECT CAST($1 AS BIGINT) UNION SELECT k.child_id FROM below JOIN "             \
    "artifact_child k ON k.parent_id = below.id)"
#define HANGING                                                                                    \
    "hanging(id, repository_id, digest) AS (SELECT a.id, a.repository_id, a.digest FROM below "    \
    "JOIN artifact a ON a.id = below.id UNION SELECT a.id, a.repository_id, a.digest FROM "        \
    "hanging h JOIN artifact a ON a.repository_id = h.repository_id AND a.subject_digest = "       \
    "h.digest AND a.subject_digest <> '' AND a.state = 2)"
#define GRAPH(tags)                                                                                \
    "WITH RECURSIVE " BELOW ", " HANGING " " NODE tags                                             \
    "FROM hanging h JOIN artifact a ON a.id = h.id ORDER BY a.id LIMIT $2"
#define ABOVE(tags)                                                                                \
    NODE tags "FROM artifact a WHERE a.id IN (SELECT k.parent_id FROM artifact_child k WHERE "     \
              "k.child_id = $1) ORDER BY a.id LIMIT $2"
#define BY_DIGEST(tags) NODE tags "FROM artifact a WHERE a.repository_id = $1 AND a.digest = $2"

STATEMENT graph = SQL2(GRAPH(TAGS_LITE), GRAPH(TAGS_PG));
STATEMENT edges_below = SQL(
    "WITH RECURSIVE " BELOW " SELECT k.parent_id AS parent_id, k.child_id AS child_id, k.platform "
    "AS platform, k.annotations AS annotations FROM below JOIN artifact_child k ON k.parent_id = "
    "below.id ORDER BY k.parent_id, k.position LIMIT $2");
STATEMENT above = SQL2(ABOVE(TAGS_LITE), ABOVE(TAGS_PG));
STATEMENT by_digest = SQL2(BY_DIGEST(TAGS_LITE), BY_DIGEST(TAGS_PG));

static const struct field edge_fields[] = {
    FIELD(struct kin_edge, parent_id, 0, 0),
    FIELD(struct kin_edge, child_id, 0, 0),
    FIELD(struct kin_edge, platform, 0, 0),
    FIELD(struct kin_edge, annotations, 0, 0),
    FIELDS_END,
};

enum err kin_below(struct ctx *c, int64_t artifact_id, int64_t n, struct list *nodes,
                   struct list *edges)
{
    TRY(sql_rows(c, &graph, ARGS(A_I(artifact_id), A_I(n)), node_fields, sizeof(struct kin_node),
                 nodes));
    return sql_rows(c, &edges_below, ARGS(A_I(artifact_id), A_I(n)), edge_fields,
                    sizeof(struct kin_edge), edges);
}

enum err kin_above(struct ctx *c, int64_t artifact_id, int64_t n, struct list *nodes)
{
    return sql_rows(c, &above, ARGS(A_I(artifact_id), A_I(n)), node_fields, sizeof(struct kin_node),
                    nodes);
}

enum err kin_by_digest(struct ctx *c, int64_t repository_id, struct str digest,
                       struct kin_node *out)
{
    struct kin_node node = {0};
    TRY(sql_row(c, &by_digest, ARGS(A_I(repository_id), A_S(digest)), node_fields, &node));
    *out = node;
    return E_OK;
}

/* ---- who shares ----------------------------------------------------------------------------- */

/*
 * $1 to $4 are of VISIBLE, $5 the artifact. A base layer may be in every image of the house, so no
 * more rows are looked at than KIN_SHARED_MAX for a layer and SCANNED for all of them.
 */
#define SCANNED "20000"
#define BELOW_5                                                                                    \
    "WITH RECURSIVE below(id) AS (SELECT CAST($5 AS BIGINT) UNION SELECT k.child_id FROM below "   \
    "JOIN artifact_child k ON k.parent_id = below.id), mine(blob_id) AS (SELECT DISTINCT "         \
    "x.blob_id FROM artifact_blob x JOIN below ON below.id = x.artifact_id)"
#define OTHERS                                                                                     \
    " FROM artifact_blob x JOIN artifact a ON a.id = x.artifact_id JOIN repository r ON r.id = "   \
    "a.repository_id JOIN project p ON p.id = r.project_id WHERE x.artifact_id NOT IN (SELECT id " \
    "FROM below) AND " VISIBLE
#define SHARING                                                                                    \
    BELOW_5 ", others(blob_id, artifact_id, repository) AS (SELECT x.blob_id, x.artifact_id, "     \
            "p.name || '/' || r.name" OTHERS                                                       \
            " AND x.blob_id IN (SELECT blob_id FROM mine) LIMIT " SCANNED ") "

STATEMENT layers = SQL(
    BELOW_5 " SELECT b.digest AS digest, b.size AS size, b.state AS state, (SELECT count(*) FROM "
            "(SELECT 1 AS one" OTHERS " AND x.blob_id = b.id LIMIT 1000) u) AS artifacts, (SELECT "
            "count(DISTINCT u.repository_id) FROM (SELECT a.repository_id" OTHERS
            " AND x.blob_id = b.id LIMIT 1000) u) AS repositories FROM mine m JOIN blob b ON b.id "
            "= m.blob_id ORDER BY b.id");
STATEMENT sharers =
    SQL(SHARING "SELECT o.repository AS repository, count(DISTINCT o.artifact_id) AS artifacts, "
                "count(DISTINCT o.blob_id) AS layers FROM others o GROUP BY o.repository ORDER BY "
                "layers DESC, repository LIMIT $6");
STATEMENT sharers_in_all =
    SQL(SHARING "SELECT count(DISTINCT o.artifact_id) AS artifacts, count(DISTINCT o.repository) "
                "AS layers FROM others o");

static const struct field layer_fields[] = {
    FIELD(struct kin_layer, digest, 0, 0),       FIELD(struct kin_layer, size, 0, 0),
    FIELD(struct kin_layer, state, 0, 0),        FIELD(struct kin_layer, artifacts, 0, 0),
    FIELD(struct kin_layer, repositories, 0, 0), FIELDS_END,
};

static const struct field sharer_fields[] = {
    FIELD(struct kin_sharer, repository, 0, 0),
    FIELD(struct kin_sharer, artifacts, 0, 0),
    FIELD(struct kin_sharer, layers, 0, 0),
    FIELDS_END,
};

enum err kin_layers(struct ctx *c, int64_t artifact_id, const struct principal *p, struct list *out)
{
    struct arg args[VISIBLE_ARGS + 1];
    visible_args(p, args);
    args[VISIBLE_ARGS] = A_I(artifact_id);
    return sql_rows(c, &layers, args, COUNT(args), layer_fields, sizeof(struct kin_layer), out);
}

enum err kin_sharers(struct ctx *c, int64_t artifact_id, const struct principal *p, int64_t n,
                     struct list *out, int64_t *artifacts_out, int64_t *repositories_out)
{
    struct kin_sharer all = {0};
    struct arg args[VISIBLE_ARGS + 2];
    visible_args(p, args);
    args[VISIBLE_ARGS] = A_I(artifact_id);
    args[VISIBLE_ARGS + 1] = A_I(n);
    TRY(sql_row(c, &sharers_in_all, args, COUNT(args) - 1, sharer_fields, &all));
    *artifacts_out = i64_min(all.artifacts, KIN_SHARED_MAX);
    *repositories_out = all.layers;
    return sql_rows(c, &sharers, args, COUNT(args), sharer_fields, sizeof(struct kin_sharer), out);
}

/* ---- pages ---------------------------------------------------------------------------------- */

#define OF_TAGS(ids)                                                                               \
    "SELECT u.artifact_id AS artifact_id, u.name AS name, u.push_time AS push_time, u.pull_time "  \
    "AS pull_time, u.checked_at AS checked_at, u.pinned AS pinned, u.many AS many FROM (SELECT "   \
    "t.*, row_number() OVER "                                                                      \
    "(PARTITION BY t.artifact_id ORDER BY t.id DESC) AS place, count(*) OVER (PARTITION BY "       \
    "t.artifact_id) AS many FROM tag t WHERE t.artifact_id " ids ") u WHERE u.place <= 100 "       \
    "ORDER BY u.artifact_id, u.id DESC"
#define OF_CHILDREN(ids)                                                                           \
    "SELECT k.parent_id AS parent_id, k.platform AS platform FROM artifact_child k WHERE "         \
    "k.parent_id " ids " ORDER BY k.parent_id, k.position LIMIT 10000"
#define OF_ATTACHED(ids)                                                                           \
    NODE                                                                                           \
        ", '[]' AS tags FROM artifact s JOIN artifact a ON a.repository_id = s.repository_id AND " \
        "a.subject_digest = s.digest AND a.subject_digest <> '' AND a.state = 2 WHERE s.id " ids   \
        " ORDER BY a.id LIMIT 10000"
#define OF_DAYS(ids)                                                                               \
    "SELECT d.artifact_id AS artifact_id, d.day AS day, d.pulls AS pulls FROM artifact_pull d "    \
    "WHERE d.day >= $2 AND d.artifact_id " ids " ORDER BY d.artifact_id, d.day"
#define ROW                                                                                        \
    "SELECT a.id AS id, a.repository_id AS repository_id, a.digest AS digest, a.media_type AS "    \
    "media_type, a.artifact_type AS artifact_type, a.subject_digest AS subject_digest, a.type AS " \
    "type, a.state AS state, a.size AS size, a.push_time AS push_time, a.pull_time AS pull_time, " \
    "a.pull_count AS pulls FROM artifact a WHERE a.id"

STATEMENT of_tags = WITH_SET(OF_TAGS);
STATEMENT of_children = WITH_SET(OF_CHILDREN);
STATEMENT of_attached = WITH_SET(OF_ATTACHED);
STATEMENT of_days = WITH_SET(OF_DAYS);
STATEMENT rows_of = ON_SET(ROW, "");
STATEMENT names_of =
    SQL("SELECT a.id AS id, COALESCE(t.name, '') AS name FROM artifact a LEFT JOIN tag t ON "
        "t.artifact_id = a.id WHERE a.repository_id = $1 AND " ARTIFACT_BASE
        " AND ($2 = '' OR replace(t.name, $2, '') <> t.name) ORDER BY a.push_time DESC, a.id DESC "
        "LIMIT $3");

static const struct field tag_fields_here[] = {
    FIELD(struct kin_tag, artifact_id, 0, 0), FIELD(struct kin_tag, name, 0, 0),
    FIELD(struct kin_tag, push_time, 0, 0),   FIELD(struct kin_tag, pull_time, 0, 0),
    FIELD(struct kin_tag, checked_at, 0, 0),  FIELD(struct kin_tag, pinned, 0, 0),
    FIELD(struct kin_tag, many, 0, 0),        FIELDS_END,
};

static const struct field child_fields[] = {
    FIELD(struct kin_child, parent_id, 0, 0),
    FIELD(struct kin_child, platform, 0, 0),
    FIELDS_END,
};

static const struct field day_fields[] = {
    FIELD(struct kin_day, artifact_id, 0, 0),
    FIELD(struct kin_day, day, 0, 0),
    FIELD(struct kin_day, pulls, 0, 0),
    FIELDS_END,
};

static const struct field name_fields[] = {
    FIELD(struct kin_name, id, 0, 0),
    FIELD(struct kin_name, name, 0, 0),
    FIELDS_END,
};

enum err kin_tags(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &of_tags, ARGS(ids_arg(c, ids, n)), tag_fields_here, sizeof(struct kin_tag),
                    out);
}

enum err kin_children(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &of_children, ARGS(ids_arg(c, ids, n)), child_fields,
                    sizeof(struct kin_child), out);
}

enum err kin_attached(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &of_attached, ARGS(ids_arg(c, ids, n)), node_fields, sizeof(struct kin_node),
                    out);
}

enum err kin_days(struct ctx *c, const int64_t *ids, size_t n, int64_t from, struct list *out)
{
    return sql_rows(c, &of_days, ARGS(ids_arg(c, ids, n), A_I(from)), day_fields,
                    sizeof(struct kin_day), out);
}

enum err kin_artifacts(struct ctx *c, const int64_t *ids, size_t n, struct list *out)
{
    return sql_rows(c, &rows_of, ARGS(ids_arg(c, ids, n)), artifact_row_fields,
                    sizeof(struct artifact), out);
}

enum err kin_names(struct ctx *c, int64_t repository_id, struct str part, int64_t n,
                   struct list *out)
{
    return sql_rows(c, &names_of, ARGS(A_I(repository_id), A_S(part.p ? part : S("")), A_I(n)),
                    name_fields, sizeof(struct kin_name), out);
}
