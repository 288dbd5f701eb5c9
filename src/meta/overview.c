/*
 * The columns are sub-queries by index, so that a page asks for its own rows alone when the order
 * is an index's (name, time of push). Sorted by something that is reckoned (a count, a size), every
 * row is reckoned: such orders are for lists of thousands.
 */
#include "meta/overview.h"

#include "meta/artifact.h"
#include "meta/store.h"
#include "meta/visible.h"

const struct field project_overview_fields[] = {
    FIELD(struct project_overview, project_id, F_SORT, 0),
    FIELD(struct project_overview, name, F_SORT, 0),
    FIELD(struct project_overview, is_public, F_SORT, 0),
    FIELD(struct project_overview, registry_id, F_OMIT | F_SORT, 0),
    FIELD(struct project_overview, upstream, F_OMIT, 0),
    FIELD(struct project_overview, upstream_type, F_OMIT, 0),
    FIELD(struct project_overview, repo_count, F_SORT, 0),
    FIELD(struct project_overview, pull_count, F_SORT, 0),
    FIELD(struct project_overview, storage_used, F_SORT, 0),
    FIELD(struct project_overview, storage_limit, F_SORT, 0),
    FIELD(struct project_overview, role, F_SORT, 0),
    FIELD(struct project_overview, creation_time, F_SORT, 0),
    FIELD(struct project_overview, push_time, F_NULL | F_SORT, 0),
    FIELD(struct project_overview, pull_time, F_NULL | F_SORT, 0),
    FIELD(struct project_overview, requests_7d, F_SORT, 0),
    FIELD(struct project_overview, served_7d, F_SORT, 0),
    FIELD(struct project_overview, hit_permille, F_SORT, 0),
    FIELDS_END,
};

const struct field repository_overview_fields[] = {
    FIELD(struct repository_overview, id, F_SORT, 0),
    FIELD(struct repository_overview, name, F_SORT, 0),
    FIELD(struct repository_overview, artifact_count, F_SORT, 0),
    FIELD(struct repository_overview, tag_count, F_SORT, 0),
    FIELD(struct repository_overview, pull_count, F_SORT, 0),
    FIELD(struct repository_overview, size, F_SORT, 0),
    FIELD(struct repository_overview, days, F_ROW, 0),
    FIELD(struct repository_overview, pull_days, 0, 0),
    FIELD(struct repository_overview, creation_time, F_SORT, 0),
    FIELD(struct repository_overview, push_time, F_NULL | F_SORT, 0),
    FIELD(struct repository_overview, pull_time, F_NULL | F_SORT, 0),
    FIELDS_END,
};

const struct field tag_overview_fields[] = {
    FIELD(struct tag_overview, id, F_SORT, 0),
    FIELD(struct tag_overview, name, F_SORT, 0),
    FIELD(struct tag_overview, digest, 0, 0),
    FIELD(struct tag_overview, type, F_OMIT, 0),
    FIELD(struct tag_overview, media_type, 0, 0),
    FIELD(struct tag_overview, size, 0, 0),
    FIELD(struct tag_overview, pinned, F_OMIT, 0),
    FIELD(struct tag_overview, push_time, F_SORT, 0),
    FIELD(struct tag_overview, pull_time, F_NULL | F_SORT, 0),
    FIELDS_END,
};

#define DAY_US (86400 * SECOND_US)
#define LAST_PUSH                                                                                  \
    "COALESCE((SELECT max(a.push_time) FROM artifact a WHERE a.repository_id = r.id), 0)"

/* Sums over a project's hours, which an index holds (figure_project). */
#define HOURS(sum)                                                                                 \
    "COALESCE((SELECT CAST(" sum " AS BIGINT) FROM figure f WHERE f.span = 3600 AND "              \
    "f.project_id = p.id AND f.at >= $5), "
#define SERVED "f.hits + f.revalidated + f.stale + f.coalesced"
#define ASKED SERVED " + f.misses + f.refused"

enum err overview_projects(struct ctx *c, const struct principal *p, const struct list_query *q,
                           struct list *out, int64_t *total)
{
    struct arg args[VISIBLE_ARGS + 1];
    visible_args(p, args);
    args[VISIBLE_ARGS] = A_I(c->tx->now.us - OVERVIEW_DAYS * DAY_US);
    const struct list_spec spec = {
        .columns =
            "p.id AS project_id, p.name AS name, p.is_public AS is_public, "
            "COALESCE(p.registry_id, 0) AS registry_id, "
            "COALESCE((SELECT e.name FROM endpoint e WHERE e.id = p.registry_id), '') AS upstream, "
            "COALESCE((SELECT e.type FROM endpoint e WHERE e.id = p.registry_id), '') "
            "AS upstream_type, (SELECT count(*) FROM repository r WHERE r.project_id = p.id) "
            "AS repo_count, (SELECT CAST(COALESCE(sum(r.pull_count), 0) AS BIGINT) FROM repository "
            "r WHERE r.project_id = p.id) AS pull_count, p.storage_used AS storage_used, "
            "p.storage_limit AS storage_limit, COALESCE((SELECT m.role_id FROM member m WHERE "
            "m.project_id = p.id AND m.entity_type = 'u' AND m.entity_id = $2), 0) AS role, "
            "p.creation_time AS creation_time, COALESCE((SELECT max(x.t) FROM (SELECT " LAST_PUSH
            " AS t FROM repository r WHERE r.project_id = p.id) x), 0) AS push_time, "
            "COALESCE((SELECT max(r.pull_time) FROM repository r WHERE r.project_id = p.id), 0) "
            "AS pull_time, " HOURS("sum(" ASKED ")") "0) AS requests_7d, " HOURS(
                "sum(" SERVED
                ")") "0) AS served_7d, " HOURS("sum(" SERVED ") * 1000 / NULLIF(sum(" ASKED
                                               "), 0)") "-1) AS hit_permille",
        .from = "project p",
        .where = VISIBLE,
        .default_sort = "q.name",
        .args = args,
        .arg_count = COUNT(args),
    };
    return list_rows(c, &spec, q, project_overview_fields, sizeof(struct project_overview), out,
                     total);
}

/* "20781:4,20783:1" as an array of days, the last is today. */
static void read_days(struct ctx *c, struct repository_overview *r)
{
    int64_t today = c->tx->now.us / DAY_US;
    struct str rest = r->days;
    r->pull_days =
        (struct i64s){arena_alloc(&c->mem, PULL_DAYS * sizeof(int64_t)), (size_t)PULL_DAYS};
    for (size_t i = 0; i < PULL_DAYS; i++)
        r->pull_days.items[i] = 0;
    while (rest.n) {
        struct str pair = str_cut(&rest, ',');
        int64_t day, pulls;
        if (!str_to_i64(str_cut(&pair, ':'), &day) || !str_to_i64(pair, &pulls))
            continue;
        int64_t ago = today - day;
        if (ago >= 0 && ago < PULL_DAYS)
            r->pull_days.items[PULL_DAYS - 1 - ago] = pulls;
    }
}

#define DAYS(list)                                                                                 \
    "COALESCE((SELECT " list " FROM (SELECT d.day AS day, sum(d.pulls) AS pulls FROM artifact a "  \
    "JOIN artifact_pull d ON d.artifact_id = a.id WHERE a.repository_id = r.id GROUP BY d.day) "   \
    "d), '')"
#define REPOSITORY(days)                                                                           \
    "r.id AS id, r.name AS name, (SELECT count(*) FROM artifact a WHERE a.repository_id = r.id "   \
    "AND " ARTIFACT_BASE ") AS artifact_count, (SELECT count(*) FROM tag t WHERE "                 \
    "t.repository_id = r.id) AS tag_count, r.pull_count AS pull_count, (SELECT "                   \
    "CAST(COALESCE(sum(b.size), 0) AS BIGINT) FROM repo_blob l JOIN blob b ON b.id = l.blob_id "   \
    "WHERE l.repository_id = r.id AND b.state <> 1) AS size, " days                                \
    " AS days, r.creation_time AS creation_time, " LAST_PUSH                                       \
    " AS push_time, r.pull_time AS pull_time"

enum err overview_repositories(struct ctx *c, int64_t project_id, const struct list_query *q,
                               struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = db_is_postgres(c->sv->db)
                       ? REPOSITORY(DAYS("string_agg(CAST(d.day AS TEXT) || ':' || d.pulls, ',')"))
                       : REPOSITORY(DAYS("group_concat(d.day || ':' || d.pulls)")),
        .from = "repository r",
        .where = "r.project_id = $1",
        .default_sort = "q.name",
        .args = (const struct arg[]){A_I(project_id)},
        .arg_count = 1,
    };
    struct list rows;
    TRY(list_rows(c, &spec, q, repository_overview_fields, sizeof(struct repository_overview),
                  &rows, total));
    for (size_t i = 0; i < rows.count; i++)
        read_days(c, (struct repository_overview *)rows.items + i);
    *out = rows;
    return E_OK;
}

enum err overview_tags(struct ctx *c, int64_t repository_id, const struct list_query *q,
                       struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = "t.id AS id, t.name AS name, a.digest AS digest, a.type AS type, a.media_type "
                   "AS media_type, a.size AS size, t.pinned AS pinned, t.push_time AS push_time, "
                   "t.pull_time AS pull_time",
        .from = "tag t JOIN artifact a ON a.id = t.artifact_id",
        .where = "t.repository_id = $1",
        .default_sort = "q.name",
        .args = (const struct arg[]){A_I(repository_id)},
        .arg_count = 1,
    };
    return list_rows(c, &spec, q, tag_overview_fields, sizeof(struct tag_overview), out, total);
}

/* ---- by digest ------------------------------------------------------------------------------ */

const struct field found_artifact_fields[] = {
    FIELD(struct found_artifact, project, 0, 0),
    FIELD(struct found_artifact, repository, 0, 0),
    FIELD(struct found_artifact, digest, 0, 0),
    FIELD(struct found_artifact, tag, F_OMIT, 0),
    FIELD(struct found_artifact, size, 0, 0),
    FIELD(struct found_artifact, push_time, 0, 0),
    FIELD(struct found_artifact, pull_time, F_NULL, 0),
    FIELDS_END,
};

/* A range of the index of digests: 'g' follows the last hexadecimal digit. */
STATEMENT by_digest =
    SQL("SELECT p.name AS project, r.name AS repository, a.digest AS digest, "
        "COALESCE((SELECT t.name FROM tag t WHERE t.artifact_id = a.id "
        "ORDER BY t.push_time DESC, t.id DESC LIMIT 1), '') AS tag, a.size AS size, "
        "a.push_time AS push_time, a.pull_time AS pull_time FROM artifact a "
        "JOIN repository r ON r.id = a.repository_id JOIN project p ON p.id = r.project_id "
        "WHERE a.digest >= $5 AND a.digest < $6 AND a.state <> 1 AND " VISIBLE
        " ORDER BY a.push_time DESC, a.id DESC LIMIT $7");

enum err overview_by_digest(struct ctx *c, const struct principal *p, struct str from, int64_t n,
                            struct list *out)
{
    struct arg args[VISIBLE_ARGS + 3];
    visible_args(p, args);
    args[VISIBLE_ARGS] = A_S(from);
    args[VISIBLE_ARGS + 1] = A_S(str_fmt(&c->mem, "%.*sg", STR(from)));
    args[VISIBLE_ARGS + 2] = A_I(n);
    return sql_rows(c, &by_digest, args, COUNT(args), found_artifact_fields,
                    sizeof(struct found_artifact), out);
}
