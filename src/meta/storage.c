/*
 * Sums over all rows of blobs and their links. A project's own use is not summed here: it stands in
 * its row, kept by meta/usage. A candidate that is referenced again is on no list: the next run
 * takes it off, and nothing would be freed.
 */
#include "meta/storage.h"

const struct field storage_project_fields[] = {
    FIELD(struct storage_project, project_id, 0, 0),
    FIELD(struct storage_project, name, 0, 0),
    FIELD(struct storage_project, registry_id, F_OMIT, 0),
    FIELD(struct storage_project, used, 0, 0),
    FIELD(struct storage_project, limit, 0, 0),
    FIELDS_END,
};

const struct field storage_reclaim_fields[] = {
    FIELD(struct storage_reclaim, reason, 0, 0),
    FIELD(struct storage_reclaim, blobs, 0, 0),
    FIELD(struct storage_reclaim, bytes, 0, 0),
    FIELD(struct storage_reclaim, until, F_NULL, 0),
    FIELDS_END,
};

static const struct field totals_fields[] = {
    FIELD(struct storage_totals, blobs, 0, 0),
    FIELD(struct storage_totals, blob_bytes, 0, 0),
    FIELD(struct storage_totals, manifests, 0, 0),
    FIELD(struct storage_totals, manifest_bytes, 0, 0),
    FIELD(struct storage_totals, shared_blobs, 0, 0),
    FIELD(struct storage_totals, shared_bytes, 0, 0),
    FIELD(struct storage_totals, saved_bytes, 0, 0),
    FIELD(struct storage_totals, uploads, 0, 0),
    FIELD(struct storage_totals, upload_bytes, 0, 0),
    FIELDS_END,
};

#define SUM(what) "CAST(COALESCE(sum(" what "), 0) AS BIGINT)"

STATEMENT of_blobs = SQL("SELECT count(*) AS blobs, " SUM("size") " AS blob_bytes FROM blob "
                                                                  "WHERE state <> 1");
STATEMENT of_manifests =
    SQL("SELECT count(*) AS manifests, " SUM("length(payload)") " AS manifest_bytes FROM artifact "
                                                                "WHERE payload IS NOT NULL");
STATEMENT of_shared =
    SQL("SELECT count(*) AS shared_blobs, " SUM("b.size") " AS shared_bytes, " SUM(
        "b.size * (s.n - 1)") " AS saved_bytes FROM (SELECT l.blob_id AS blob_id, "
                              "count(DISTINCT r.project_id) AS n FROM repo_blob l JOIN repository "
                              "r ON r.id = "
                              "l.repository_id GROUP BY l.blob_id HAVING min(r.project_id) <> "
                              "max(r.project_id)) s "
                              "JOIN blob b ON b.id = s.blob_id WHERE b.state <> 1");
STATEMENT of_uploads =
    SQL("SELECT count(*) AS uploads, " SUM("size") " AS upload_bytes FROM upload");

STATEMENT projects =
    SQL("SELECT p.id AS project_id, p.name AS name, COALESCE(p.registry_id, 0) AS registry_id, "
        "p.storage_used AS used, p.storage_limit AS \"limit\" FROM project p "
        "ORDER BY p.storage_used DESC, p.id LIMIT $1");

/* $1 now, $2 grace, $3 pause: microseconds */
STATEMENT reclaim = SQL("SELECT x.reason AS reason, count(*) AS blobs, " SUM(
    "x.size") " AS bytes, "
              "CAST(max(x.until) AS BIGINT) AS until FROM ("
              "SELECT CASE WHEN f.lease > $1 THEN 'leased' WHEN f.made + $2 > $1 THEN 'young' "
              "ELSE 'now' END AS reason, f.size AS size, CASE WHEN f.lease > $1 THEN f.lease "
              "WHEN f.made + $2 > $1 THEN f.made + $2 ELSE 0 END AS until FROM ("
              "SELECT b.size AS size, g.creation_time AS made, COALESCE((SELECT max(l.lease_until) "
              "FROM repo_blob l WHERE l.blob_id = b.id), 0) AS lease FROM gc_candidate g "
              "JOIN blob b ON b.id = g.blob_id WHERE b.state NOT IN (1, 3, 4) AND NOT EXISTS("
              "SELECT 1 FROM artifact_blob a WHERE a.blob_id = b.id)) f "
              "UNION ALL SELECT CASE WHEN b.state = 4 THEN 'deleting' ELSE 'condemned' END, "
              "b.size, "
              "CASE WHEN b.state = 3 THEN b.condemned_at + $3 ELSE 0 END FROM blob b "
              "WHERE b.state IN (3, 4)) x GROUP BY x.reason ORDER BY x.reason");
/* $1 now, $2 candidates made until, $3 condemned until */
STATEMENT pending =
    SQL("SELECT (SELECT count(*) FROM gc_candidate g WHERE g.review_after <= $1 AND "
        "g.creation_time <= $2) AS due, (SELECT count(*) FROM blob b WHERE b.state = 3 AND "
        "b.state IN (3, 4) AND b.condemned_at <= $3) AS ripe, (SELECT count(*) FROM blob b WHERE "
        "b.state = 4 AND b.state IN (3, 4)) AS dying");

STATEMENT unproven = SQL(
    "SELECT count(*) AS blobs, " SUM("b.size") " AS blob_bytes FROM blob b "
                                               "WHERE b.state IN (2, 3) AND b.verified_at < $1");

enum err storage_unproven(struct ctx *c, struct timestamp before, int64_t *blobs, int64_t *bytes)
{
    struct storage_totals t = {0};
    TRY(sql_row(c, &unproven, ARGS(A_T(before)), totals_fields, &t));
    *blobs = t.blobs;
    *bytes = t.blob_bytes;
    return E_OK;
}

enum err storage_totals(struct ctx *c, struct storage_totals *out)
{
    struct storage_totals t = {0};
    TRY(sql_row(c, &of_blobs, NO_ARGS, totals_fields, &t));
    TRY(sql_row(c, &of_manifests, NO_ARGS, totals_fields, &t));
    TRY(sql_row(c, &of_shared, NO_ARGS, totals_fields, &t));
    TRY(sql_row(c, &of_uploads, NO_ARGS, totals_fields, &t));
    *out = t;
    return E_OK;
}

enum err storage_projects(struct ctx *c, int64_t n, struct list *out)
{
    return sql_rows(c, &projects, ARGS(A_I(n)), storage_project_fields,
                    sizeof(struct storage_project), out);
}

enum err storage_reclaim(struct ctx *c, int64_t grace_s, int64_t pause_s, struct list *out)
{
    return sql_rows(c, &reclaim,
                    ARGS(A_T(c->tx->now), A_I(grace_s * SECOND_US), A_I(pause_s * SECOND_US)),
                    storage_reclaim_fields, sizeof(struct storage_reclaim), out);
}

enum err storage_pending(struct ctx *c, int64_t grace_s, int64_t pause_s,
                         struct storage_pending *out)
{
    static const struct field fields[] = {
        FIELD(struct storage_pending, due, 0, 0),
        FIELD(struct storage_pending, ripe, 0, 0),
        FIELD(struct storage_pending, dying, 0, 0),
        FIELDS_END,
    };
    struct storage_pending p = {0};
    int64_t now = c->tx->now.us;
    TRY(sql_row(c, &pending,
                ARGS(A_I(now), A_I(now - grace_s * SECOND_US), A_I(now - pause_s * SECOND_US)),
                fields, &p));
    *out = p;
    return E_OK;
}
