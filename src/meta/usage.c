/*
 * The arithmetic of quotas and the end of links. A blob counts once in a project however many of
 * its repositories hold it, so every charge and refund asks first whether another link is there;
 * the project's row lock, taken by project_charge, makes two that ask at once agree: the sum that
 * usage_recount makes is the truth, and fsck compares.
 */
#include "meta/usage.h"

#include "meta/project.h"

STATEMENT has_blob =
    SQL("SELECT count(*) FROM repo_blob l JOIN repository r ON r.id = l.repository_id "
        "WHERE l.blob_id = $2 AND r.project_id = $1");
STATEMENT has_manifest =
    SQL("SELECT count(*) FROM repository r JOIN artifact a ON a.repository_id = r.id "
        "WHERE r.project_id = $1 AND a.digest = $2 AND a.payload IS NOT NULL");
STATEMENT lease_of =
    SQL("SELECT l.repository_id, l.lease_until FROM repository r JOIN repo_blob l "
        "ON l.repository_id = r.id WHERE r.project_id = $1 AND r.name = $2 AND l.blob_id = $3");
STATEMENT in_manifest =
    SQL("SELECT count(*) FROM artifact_blob x JOIN artifact a ON a.id = x.artifact_id "
        "WHERE x.blob_id = $2 AND a.repository_id = $1");
STATEMENT artifact_blobs =
    SQL("SELECT blob_id FROM artifact_blob WHERE artifact_id = $1 ORDER BY blob_id");

STATEMENT lock_blob = SQL("SELECT size FROM blob WHERE id = $1" LOCK_UPDATE);
STATEMENT size_of = SQL("SELECT size FROM blob WHERE id = $1 AND state <> 1");
STATEMENT holders_of =
    SQL("SELECT DISTINCT r.project_id FROM repo_blob l JOIN repository r ON r.id = "
        "l.repository_id WHERE l.blob_id = $1 ORDER BY r.project_id");
STATEMENT over_links =
    SQL("SELECT l.repository_id, r.project_id FROM repo_blob l JOIN repository r "
        "ON r.id = l.repository_id WHERE l.blob_id = $1 AND l.lease_until <= $2 AND NOT EXISTS("
        "SELECT 1 FROM artifact_blob x JOIN artifact a ON a.id = x.artifact_id "
        "WHERE x.blob_id = $1 AND a.repository_id = l.repository_id) LIMIT 500");
STATEMENT end_link = SQL("DELETE FROM repo_blob WHERE repository_id = $1 AND blob_id = $2");

STATEMENT sum_blobs = SQL("SELECT CAST(coalesce(sum(b.size), 0) AS BIGINT) FROM blob b WHERE "
                          "b.state <> 1 AND b.id IN (SELECT "
                          "l.blob_id FROM repo_blob l JOIN repository r ON r.id = l.repository_id "
                          "WHERE r.project_id = $1)");
STATEMENT sum_manifests =
    SQL("SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM (SELECT max(length(a.payload)) AS n "
        "FROM artifact a JOIN repository r ON r.id = a.repository_id WHERE r.project_id = $1 "
        "AND a.payload IS NOT NULL GROUP BY a.digest) AS each");
STATEMENT lock_project = SQL("SELECT storage_used FROM project WHERE id = $1" LOCK_UPDATE);
STATEMENT set_used = SQL("UPDATE project SET storage_used = $2 WHERE id = $1");

static enum err exists(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                       bool *out)
{
    int64_t count;
    TRY(sql_i64(c, s, args, n, &count));
    *out = count > 0;
    return E_OK;
}

enum err usage_has_blob(struct ctx *c, int64_t project_id, int64_t blob_id, bool *out)
{
    return exists(c, &has_blob, ARGS(A_I(project_id), A_I(blob_id)), out);
}

enum err usage_has_manifest(struct ctx *c, int64_t project_id, struct str digest, bool *out)
{
    return exists(c, &has_manifest, ARGS(A_I(project_id), A_S(digest)), out);
}

enum err usage_in_manifest(struct ctx *c, int64_t repository_id, int64_t blob_id, bool *out)
{
    return exists(c, &in_manifest, ARGS(A_I(repository_id), A_I(blob_id)), out);
}

enum err usage_lease(struct ctx *c, int64_t project_id, struct str repository, int64_t blob_id,
                     struct blob_lease *out)
{
    static const struct field fields[] = {
        FIELD(struct blob_lease, repository_id, 0, 0),
        FIELD(struct blob_lease, lease_until, 0, 0),
        FIELDS_END,
    };
    return sql_row(c, &lease_of, ARGS(A_I(project_id), A_S(repository), A_I(blob_id)), fields, out);
}

struct id_row {
    int64_t blob_id;
};

enum err usage_artifact_blobs(struct ctx *c, int64_t artifact_id, struct i64s *out)
{
    static const struct field fields[] = {
        FIELD(struct id_row, blob_id, 0, 0),
        FIELDS_END,
    };
    struct list rows;
    TRY(sql_rows(c, &artifact_blobs, ARGS(A_I(artifact_id)), fields, sizeof(struct id_row), &rows));
    const struct id_row *row = rows.items;
    struct i64s ids = {.count = rows.count};
    ids.items = arena_alloc(&c->mem, (rows.count + 1) * sizeof *ids.items);
    for (size_t i = 0; i < rows.count; i++)
        ids.items[i] = row[i].blob_id;
    *out = ids;
    return E_OK;
}

struct link_row {
    int64_t repository_id, project_id;
};

enum err usage_lock_blob(struct ctx *c, int64_t blob_id)
{
    int64_t size;
    return sql_i64(c, &lock_blob, ARGS(A_I(blob_id)), &size);
}

enum err usage_charge_manifest(struct ctx *c, int64_t project_id, struct str digest, int64_t size,
                               int sign, bool enforce)
{
    int64_t used, others;
    TRY(sql_i64(c, &lock_project, ARGS(A_I(project_id)), &used));
    TRY(sql_i64(c, &has_manifest, ARGS(A_I(project_id), A_S(digest)), &others));
    if (sign > 0)
        others--;
    return others > 0 ? E_OK : project_charge(c, project_id, sign * size, enforce);
}

static enum err end_links_of(struct ctx *c, int64_t blob_id)
{
    static const struct field fields[] = {
        FIELD(struct link_row, repository_id, 0, 0),
        FIELD(struct link_row, project_id, 0, 0),
        FIELDS_END,
    };
    int64_t size;
    struct list links;
    TRY(sql_i64(c, &size_of, ARGS(A_I(blob_id)), &size));
    TRY(sql_rows(c, &over_links, ARGS(A_I(blob_id), A_T(c->tx->now)), fields,
                 sizeof(struct link_row), &links));
    const struct link_row *l = links.items;
    for (size_t i = 0; i < links.count; i++) {
        bool held;
        TRY(sql_run(c, &end_link, ARGS(A_I(l[i].repository_id), A_I(blob_id)), NULL));
        TRY(usage_has_blob(c, l[i].project_id, blob_id, &held));
        if (!held)
            TRY(project_charge(c, l[i].project_id, -size, false));
    }
    return E_OK;
}

enum err usage_end_links(struct ctx *c, const int64_t *blob_ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        TRY(usage_lock_blob(c, blob_ids[i]));
    for (size_t i = 0; i < n; i++)
        TRY(end_links_of(c, blob_ids[i]));
    return E_OK;
}

enum err usage_linked(struct ctx *c, int64_t project_id, int64_t blob_id)
{
    int64_t used, links, size;
    TRY(sql_i64(c, &lock_project, ARGS(A_I(project_id)), &used));
    TRY(sql_i64(c, &has_blob, ARGS(A_I(project_id), A_I(blob_id)), &links));
    TRY(sql_i64(c, &size_of, ARGS(A_I(blob_id)), &size));
    return links == 1 && size ? project_charge(c, project_id, size, false) : E_OK;
}

enum err usage_arrived(struct ctx *c, int64_t blob_id, int64_t pusher_project, int64_t size,
                       bool enforce)
{
    static const struct field fields[] = {
        FIELD(struct link_row, project_id, 0, 0),
        FIELDS_END,
    };
    struct list holders;
    TRY(sql_rows(c, &holders_of, ARGS(A_I(blob_id)), fields, sizeof(struct link_row), &holders));
    const struct link_row *h = holders.items;
    for (size_t i = 0; i < holders.count; i++)
        TRY(project_charge(c, h[i].project_id, size, enforce && h[i].project_id == pusher_project));
    return E_OK;
}

enum err usage_sum(struct ctx *c, int64_t project_id, int64_t *bytes_out)
{
    int64_t blobs, manifests;
    TRY(sql_i64(c, &sum_blobs, ARGS(A_I(project_id)), &blobs));
    TRY(sql_i64(c, &sum_manifests, ARGS(A_I(project_id)), &manifests));
    *bytes_out = blobs + manifests;
    return E_OK;
}

enum err usage_recount(struct ctx *c, int64_t project_id, int64_t *was_out, int64_t *now_out)
{
    TRY(sql_i64(c, &lock_project, ARGS(A_I(project_id)), was_out));
    TRY(usage_sum(c, project_id, now_out));
    if (*was_out == *now_out)
        return E_OK;
    return sql_run(c, &set_used, ARGS(A_I(project_id), A_I(*now_out)), NULL);
}
