/* What storage_used loses. It never goes below zero: a recount is the truth, this an estimate. */
#include "meta/release.h"

STATEMENT give_back = SQL(
    "UPDATE project SET storage_used = CASE WHEN storage_used > $2 THEN storage_used - $2 ELSE 0 "
    "END WHERE id = (SELECT project_id FROM repository WHERE id = $1)");
STATEMENT last_link = SQL(
    "SELECT b.size FROM blob b JOIN repository r ON r.id = $1 WHERE b.id = $2 AND b.state <> 1 AND "
    "NOT EXISTS (SELECT 1 FROM repo_blob l JOIN repository o ON o.id = l.repository_id WHERE "
    "l.blob_id = $2 AND o.project_id = r.project_id AND o.id <> $1)");
STATEMENT own_blobs = SQL(
    "SELECT CAST(COALESCE(sum(b.size), 0) AS BIGINT) FROM repo_blob x JOIN repository r ON r.id = "
    "x.repository_id JOIN blob b ON b.id = x.blob_id WHERE r.id = $1 AND b.state <> 1 AND NOT "
    "EXISTS (SELECT 1 FROM repo_blob l JOIN repository o ON o.id = l.repository_id WHERE "
    "l.blob_id = x.blob_id AND o.project_id = r.project_id AND o.id <> $1)");
STATEMENT own_manifests = SQL("SELECT CAST(COALESCE(sum(length(payload)), 0) AS BIGINT) FROM "
                              "artifact WHERE repository_id = $1");

enum err release_bytes(struct ctx *c, int64_t repository_id, int64_t bytes)
{
    return bytes > 0 ? sql_run(c, &give_back, ARGS(A_I(repository_id), A_I(bytes)), NULL) : E_OK;
}

enum err release_link(struct ctx *c, int64_t repository_id, int64_t blob_id)
{
    int64_t bytes;
    TRY(sql_i64(c, &last_link, ARGS(A_I(repository_id), A_I(blob_id)), &bytes));
    return release_bytes(c, repository_id, bytes);
}

enum err release_repository(struct ctx *c, int64_t repository_id)
{
    int64_t blobs, manifests;
    TRY(sql_i64(c, &own_blobs, ARGS(A_I(repository_id)), &blobs));
    TRY(sql_i64(c, &own_manifests, ARGS(A_I(repository_id)), &manifests));
    return release_bytes(c, repository_id, blobs + manifests);
}
