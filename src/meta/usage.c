/*
 * The arithmetic of quotas and the end of links. A blob counts once in a project however many of
 * its repositories hold it, so every charge and refund asks first whether another link is there;
 * the blob's row lock makes two that end links of one blob agree, the project's, taken last, two
 * that ask for one manifest: the sum that usage_recount makes is the truth, and fsck compares.
 *
 * Links end set by set, never one by one, and nothing here looks at more than the set: what a
 * transaction costs is what its caller gives it.
 */
#include "meta/usage.h"

#include "meta/idset.h"
#include "meta/project.h"

#include <stdlib.h>

STATEMENT has_blob =
    SQL("SELECT count(*) FROM repo_blob l JOIN repository r ON r.id = l.repository_id "
        "WHERE l.blob_id = $2 AND r.project_id = $1");
/* from the artifact to its project: few hold a digest, many stand in a project */
#define OF_PROJECT                                                                                 \
    "a.payload IS NOT NULL AND EXISTS(SELECT 1 FROM repository r WHERE r.id = a.repository_id "    \
    "AND r.project_id = $1)"
STATEMENT has_manifest = SQL("SELECT count(*) FROM artifact a WHERE a.digest = $2 AND " OF_PROJECT);
STATEMENT have_manifests =
    SQL2("SELECT DISTINCT a.digest AS digest FROM artifact a WHERE a.digest " IN_TEXTS_LITE(
             "$2") " AND " OF_PROJECT,
         "SELECT DISTINCT a.digest AS digest FROM artifact a WHERE a.digest " IN_TEXTS_PG(
             "$2") " AND " OF_PROJECT);
STATEMENT lease_of =
    SQL("SELECT l.repository_id, l.lease_until FROM repository r JOIN repo_blob l "
        "ON l.repository_id = r.id WHERE r.project_id = $1 AND r.name = $2 AND l.blob_id = $3");
STATEMENT in_manifest =
    SQL("SELECT count(*) FROM (SELECT 1 FROM artifact_blob x JOIN artifact a ON a.id = "
        "x.artifact_id WHERE x.blob_id = $2 AND a.repository_id = $1 LIMIT 1) AS one");
STATEMENT lock_blob = SQL("SELECT size FROM blob WHERE id = $1" LOCK_UPDATE);
STATEMENT size_of = SQL("SELECT size FROM blob WHERE id = $1 AND state <> 1");
STATEMENT holders_of =
    SQL("SELECT DISTINCT r.project_id FROM repo_blob l JOIN repository r ON r.id = "
        "l.repository_id WHERE l.blob_id = $1 ORDER BY r.project_id");
STATEMENT lock_blobs = ON_SET("SELECT b.id FROM blob b WHERE b.id", " ORDER BY b.id" LOCK_UPDATE);
/*
 * Links of a set of blobs that no manifest of their repository needs. EXCEPT: both sides are read
 * once, whatever the statistics are; a base layer has many links and many references, a repository
 * many artifacts, and to ask for each link is to read the one for every one of the other.
 */
#define NOT_NEEDED(ids, links, references)                                                         \
    " AND (repository_id, blob_id) IN (SELECT l.repository_id, l.blob_id FROM repo_blob l WHERE "  \
    "l.blob_id " ids links " EXCEPT SELECT a.repository_id, x.blob_id FROM artifact_blob x CROSS " \
    "JOIN artifact a WHERE x.blob_id " ids " AND a.id = x.artifact_id" references ") "
#define END_OVER(ids)                                                                              \
    "DELETE FROM repo_blob WHERE blob_id " ids                                                     \
    " AND lease_until <= $2" NOT_NEEDED(ids, " AND l.lease_until <= $2", "") GIVEN_BACK
#define END_IN(ids)                                                                                \
    "DELETE FROM repo_blob WHERE repository_id = $2 AND blob_id " ids NOT_NEEDED(                  \
        ids, " AND l.repository_id = $2", " AND a.repository_id = $2") GIVEN_BACK
/* What has no bytes yet weighs nothing. */
#define GIVEN_BACK                                                                                 \
    "RETURNING blob_id AS blob_id, (SELECT r.project_id FROM repository r WHERE r.id = "           \
    "repo_blob.repository_id) AS project_id, (SELECT CASE WHEN b.state = 1 THEN 0 ELSE b.size "    \
    "END FROM blob b WHERE b.id = repo_blob.blob_id) AS size"
STATEMENT end_over = WITH_SET(END_OVER);
STATEMENT end_in = WITH_SET(END_IN);
STATEMENT still_held =
    ON_SET("SELECT DISTINCT l.blob_id AS blob_id, r.project_id AS project_id FROM repo_blob l JOIN "
           "repository r ON r.id = l.repository_id WHERE l.blob_id",
           "");

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

struct link_row {
    int64_t blob_id, project_id, size;
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

/* ---- the end of links --------------------------------------------------------------------- */

enum err usage_lock_blobs(struct ctx *c, const struct i64s *blobs)
{
    return blobs->count
               ? sql_run(c, &lock_blobs, ARGS(ids_arg(c, blobs->items, blobs->count)), NULL)
               : E_OK;
}

static const struct field link_fields[] = {
    FIELD(struct link_row, blob_id, 0, 0),
    FIELD(struct link_row, project_id, 0, 0),
    FIELD(struct link_row, size, 0, 0),
    FIELDS_END,
};

static int by_project(const void *a, const void *b)
{
    const struct link_row *x = a, *y = b;
    int order = (x->project_id > y->project_id) - (x->project_id < y->project_id);
    return order ? order : (x->blob_id > y->blob_id) - (x->blob_id < y->blob_id);
}

/* Each blob once for a project that holds it no more. */
static enum err count_refunds(struct ctx *c, struct list *ended, struct list *out)
{
    struct link_row *l = ended->items;
    struct list held;
    size_t n = 0;
    *out = (struct list){0};
    if (!ended->count)
        return E_OK;
    int64_t *ids = arena_alloc(&c->mem, ended->count * sizeof *ids);
    for (size_t i = 0; i < ended->count; i++)
        ids[i] = l[i].blob_id;
    TRY(sql_rows(c, &still_held, ARGS(ids_arg(c, ids, ended->count)), link_fields, sizeof *l,
                 &held));
    qsort(l, ended->count, sizeof *l, by_project);
    if (held.count)
        qsort(held.items, held.count, sizeof *l, by_project);
    for (size_t i = 0; i < ended->count; i++) {
        bool twice = n && by_project(&l[i], &l[n - 1]) == 0;
        if (!twice &&
            !(held.count && bsearch(&l[i], held.items, held.count, sizeof *l, by_project)))
            l[n++] = l[i];
    }
    *out = (struct list){l, n};
    return E_OK;
}

enum err usage_unlink(struct ctx *c, const struct i64s *blobs, struct list *refunds)
{
    struct list ended = {0};
    if (blobs->count)
        TRY(sql_rows(c, &end_over, ARGS(ids_arg(c, blobs->items, blobs->count), A_T(c->tx->now)),
                     link_fields, sizeof(struct link_row), &ended));
    return count_refunds(c, &ended, refunds);
}

enum err usage_unlink_in(struct ctx *c, int64_t repository_id, const struct i64s *blobs,
                         struct list *refunds)
{
    struct list ended = {0};
    if (blobs->count)
        TRY(sql_rows(c, &end_in, ARGS(ids_arg(c, blobs->items, blobs->count), A_I(repository_id)),
                     link_fields, sizeof(struct link_row), &ended));
    return count_refunds(c, &ended, refunds);
}

enum err usage_refund(struct ctx *c, const struct list *refunds)
{
    const struct link_row *l = refunds->items;
    for (size_t i = 0, next; i < refunds->count; i = next) {
        int64_t bytes = 0;
        for (next = i; next < refunds->count && l[next].project_id == l[i].project_id; next++)
            bytes += l[next].size;
        if (bytes)
            TRY(project_charge(c, l[i].project_id, -bytes, false));
    }
    return E_OK;
}

enum err usage_refund_manifests(struct ctx *c, int64_t project_id, const struct list *gone)
{
    static const struct field fields[] = {
        FIELD(struct manifest_gone, digest, 0, 0),
        FIELDS_END,
    };
    const struct manifest_gone *m = gone->items;
    struct list held;
    int64_t used, bytes = 0;
    if (!gone->count)
        return E_OK;
    struct str *digests = arena_alloc(&c->mem, gone->count * sizeof *digests);
    for (size_t i = 0; i < gone->count; i++)
        digests[i] = m[i].digest;
    TRY(sql_i64(c, &lock_project, ARGS(A_I(project_id)), &used)); /* the lock, then the look */
    TRY(sql_rows(c, &have_manifests, ARGS(A_I(project_id), texts_arg(c, digests, gone->count)),
                 fields, sizeof *m, &held));
    const struct manifest_gone *h = held.items;
    for (size_t i = 0; i < gone->count; i++) {
        bool stays = false;
        for (size_t k = 0; k < held.count && !stays; k++)
            stays = str_eq(h[k].digest, m[i].digest);
        bytes += stays ? 0 : m[i].size;
    }
    return bytes ? project_charge(c, project_id, -bytes, false) : E_OK;
}

enum err usage_end_links(struct ctx *c, const struct i64s *blobs)
{
    struct list refunds;
    TRY(usage_lock_blobs(c, blobs));
    TRY(usage_unlink(c, blobs, &refunds));
    return usage_refund(c, &refunds);
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
