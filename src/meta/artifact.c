/*
 * Manifests and indexes. A reference always points to a row: a child that is not here is an
 * EXPECTED row without payload, filled when its bytes arrive. Nothing that is referenced can be
 * deleted; the database itself refuses.
 *
 * Locks are taken in the order blobs, artifact, children by digest, tag, project, so that two
 * pushes never wait for each other in a circle.
 */
#include "meta/artifact.h"

#include <stdlib.h>

const struct field artifact_row_fields[] = {
    FIELD(struct artifact, id, F_RO | F_SORT, 0),
    FIELD(struct artifact, repository_id, F_RO, 0),
    FIELD(struct artifact, project_id, F_RO, 0),
    FIELD(struct artifact, repository_name, F_RO, 0),
    FIELD(struct artifact, digest, F_RO | F_SORT, 0),
    FIELD(struct artifact, media_type, F_RO | F_SORT, 0),
    FIELD(struct artifact, artifact_type, F_RO | F_SORT, 0),
    FIELD(struct artifact, config_media_type, F_ROW, 0),
    FIELD(struct artifact, subject_digest, F_ROW, 0),
    FIELD(struct artifact, type, F_RO | F_SORT, 0),
    FIELD(struct artifact, state, F_ROW, 0),
    FIELD(struct artifact, size, F_RO | F_SORT, 0),
    FIELD(struct artifact, payload, F_ROW, 0),
    FIELD(struct artifact, annotations, F_RO, 0),
    FIELD(struct artifact, extra_attrs, F_RO, 0),
    FIELD(struct artifact, parents, F_ROW, 0),
    FIELD(struct artifact, push_time, F_RO | F_SORT, 0),
    FIELD(struct artifact, pull_time, F_RO | F_SORT, 0),
    FIELD_AS(struct artifact, pull_count, "pulls", F_RO | F_SORT, 0),
    FIELDS_END,
};

const struct field artifact_ref_fields[] = {
    FIELD(struct artifact_ref, parent_id, F_RO, 0),
    FIELD(struct artifact_ref, child_id, F_RO, 0),
    FIELD(struct artifact_ref, child_digest, F_RO, 0),
    FIELD(struct artifact_ref, platform, F_RO | F_OMIT, 0),
    FIELD(struct artifact_ref, annotations, F_RO | F_OMIT, 0),
    FIELD(struct artifact_ref, urls, F_RO | F_OMIT, 0),
    FIELD(struct artifact_ref, pull_time, F_ROW, 0),
    FIELDS_END,
};

static const struct field manifest_fields[] = {
    FIELD(struct manifest_row, repository_id, 0, 0),
    FIELD(struct manifest_row, artifact_id, 0, 0),
    FIELD(struct manifest_row, tag_id, 0, 0),
    FIELD(struct manifest_row, digest, 0, 0),
    FIELD(struct manifest_row, media_type, 0, 0),
    FIELD(struct manifest_row, payload, 0, 0),
    FIELD(struct manifest_row, subject_digest, 0, 0),
    FIELD(struct manifest_row, artifact_type, 0, 0),
    FIELD(struct manifest_row, state, 0, 0),
    FIELD(struct manifest_row, checked_at, 0, 0),
    FIELD(struct manifest_row, pushed_at, 0, 0),
    FIELD(struct manifest_row, pinned, 0, 0),
    FIELDS_END,
};

/* ---- reading ------------------------------------------------------------------------------ */

#define MANIFEST                                                                                   \
    "r.id AS repository_id, a.id AS artifact_id, a.digest AS digest, a.media_type AS media_type, " \
    "a.subject_digest AS subject_digest, a.artifact_type AS artifact_type, a.state AS state, "     \
    "a.payload AS payload"

STATEMENT by_tag = SQL("SELECT " MANIFEST
                       ", t.id AS tag_id, t.checked_at AS checked_at, t.push_time AS pushed_at, "
                       "t.pinned AS pinned FROM repository r JOIN tag t ON t.repository_id = r.id "
                       "JOIN artifact a ON a.id = "
                       "t.artifact_id WHERE r.project_id = $1 AND r.name = $2 AND t.name = $3");
STATEMENT by_digest = SQL(
    "SELECT " MANIFEST ", 0 AS tag_id, 0 AS checked_at, a.push_time AS pushed_at, 0 AS pinned FROM "
    "repository r JOIN artifact a ON a.repository_id = r.id WHERE r.project_id = $1 AND r.name = "
    "$2 AND "
    "a.digest = $3");

STATEMENT by_blob = SQL(
    "SELECT " MANIFEST ", 0 AS tag_id, 0 AS checked_at, a.push_time AS pushed_at, 0 AS pinned FROM "
    "blob b JOIN artifact_blob x ON x.blob_id = b.id JOIN artifact a ON a.id = x.artifact_id JOIN "
    "repository r ON r.id = a.repository_id WHERE r.project_id = $1 AND r.name = $2 AND "
    "b.digest = $3 AND b.state <> 4 AND a.state = 2 ORDER BY a.id DESC LIMIT 1");

static enum err read_manifest(struct ctx *c, const struct sql *s, int64_t project_id,
                              struct str repository, struct str key, struct manifest_row *out)
{
    struct manifest_row m = {0};
    TRY(sql_row(c, s, ARGS(A_I(project_id), A_S(repository), A_S(key)), manifest_fields, &m));
    *out = m;
    return E_OK;
}

enum err manifest_by_tag(struct ctx *c, int64_t project_id, struct str repository, struct str tag,
                         struct manifest_row *out)
{
    return read_manifest(c, &by_tag, project_id, repository, tag, out);
}

enum err manifest_by_digest(struct ctx *c, int64_t project_id, struct str repository,
                            struct str digest, struct manifest_row *out)
{
    return read_manifest(c, &by_digest, project_id, repository, digest, out);
}

enum err manifest_by_blob(struct ctx *c, int64_t project_id, struct str repository,
                          struct str digest, struct manifest_row *out)
{
    return read_manifest(c, &by_blob, project_id, repository, digest, out);
}

#define COLUMNS                                                                                    \
    "a.id AS id, a.repository_id AS repository_id, r.project_id AS project_id, p.name || '/' || "  \
    "r.name AS repository_name, a.digest AS digest, a.media_type AS media_type, a.artifact_type "  \
    "AS artifact_type, a.config_media_type AS config_media_type, a.subject_digest AS "             \
    "subject_digest, a.type AS type, a.state AS state, a.size AS size, a.annotations AS "          \
    "annotations, a.extra_attrs AS extra_attrs, (SELECT count(DISTINCT k.parent_id) FROM "         \
    "artifact_child k WHERE k.child_id = a.id) AS parents, a.push_time AS push_time, "             \
    "a.pull_time AS pull_time, a.pull_count AS pulls"
#define FROM                                                                                       \
    "artifact a JOIN repository r ON r.id = a.repository_id JOIN project p ON p.id = r.project_id"

STATEMENT one_by_tag = SQL("SELECT " COLUMNS " FROM " FROM
                           " JOIN tag t ON t.artifact_id = a.id WHERE t.repository_id = $1 AND "
                           "t.name = $2");
STATEMENT one_by_digest = SQL("SELECT " COLUMNS " FROM " FROM
                              " WHERE a.repository_id = $1 AND a.digest = $2 AND a.state <> 1");
STATEMENT children_of = SQL(
    "SELECT k.parent_id AS parent_id, k.child_id AS child_id, a.digest AS child_digest, k.platform "
    "AS platform, k.annotations AS annotations, k.urls AS urls, a.pull_time AS pull_time FROM "
    "artifact_child k JOIN artifact a ON a.id = k.child_id WHERE k.parent_id = $1 ORDER BY "
    "k.position");
STATEMENT referrers_of =
    SQL("SELECT " COLUMNS ", a.payload AS payload FROM " FROM " WHERE a.repository_id = $1 AND "
        "a.subject_digest = $2 AND a.subject_digest <> '' AND a.state = 2 AND ($3 = '' OR "
        "a.artifact_type = $3) ORDER BY a.id");

enum err artifact_by_reference(struct ctx *c, int64_t repository_id, struct str tag_or_digest,
                               struct artifact *out)
{
    struct artifact a = {0};
    bool digest = str_find(tag_or_digest, ':') >= 0;
    TRY(sql_row(c, digest ? &one_by_digest : &one_by_tag,
                ARGS(A_I(repository_id), A_S(tag_or_digest)), artifact_row_fields, &a));
    *out = a;
    return E_OK;
}

enum err artifact_list(struct ctx *c, int64_t repository_id, bool base_only,
                       const struct list_query *q, struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = COLUMNS,
        .from = FROM,
        .where = base_only ? "a.repository_id = $1 AND " ARTIFACT_BASE
                           : "a.repository_id = $1 AND a.state = 2",
        .default_sort = "q.push_time DESC, q.id DESC",
        .args = (const struct arg[]){A_I(repository_id)},
        .arg_count = 1,
    };
    return list_rows(c, &spec, q, artifact_row_fields, sizeof(struct artifact), out, total);
}

/* Plain columns of one table, and an order that an index has: a page of many costs a page. */
#define SLIM                                                                                       \
    "a.id AS id, a.repository_id AS repository_id, a.digest AS digest, a.media_type AS "           \
    "media_type, a.artifact_type AS artifact_type, a.subject_digest AS subject_digest, a.type AS " \
    "type, a.state AS state, a.size AS size, a.push_time AS push_time, a.pull_time AS pull_time, " \
    "a.pull_count AS pulls"

enum err artifact_list_tagged(struct ctx *c, int64_t repository_id, struct str part,
                              const struct list_query *q, struct list *out, int64_t *total)
{
    const struct list_spec spec = {
        .columns = SLIM,
        .from = "artifact a",
        .where = part.n ? "a.repository_id = $1 AND " ARTIFACT_BASE " AND " ARTIFACT_TAGGED("$2")
                        : "a.repository_id = $1 AND " ARTIFACT_BASE,
        .default_sort = "q.push_time DESC, q.id DESC",
        .args = (const struct arg[]){A_I(repository_id), A_S(part)},
        .arg_count = part.n ? 2 : 1,
    };
    return list_rows(c, &spec, q, artifact_row_fields, sizeof(struct artifact), out, total);
}

enum err artifact_children(struct ctx *c, int64_t artifact_id, struct list *out)
{
    return sql_rows(c, &children_of, ARGS(A_I(artifact_id)), artifact_ref_fields,
                    sizeof(struct artifact_ref), out);
}

enum err artifact_referrers(struct ctx *c, int64_t repository_id, struct str subject_digest,
                            struct str artifact_type, struct list *out)
{
    return sql_rows(
        c, &referrers_of,
        ARGS(A_I(repository_id), A_S(subject_digest), A_S(artifact_type.p ? artifact_type : S(""))),
        artifact_row_fields, sizeof(struct artifact), out);
}

/* ---- writing ------------------------------------------------------------------------------ */

STATEMENT find = SQL("SELECT id AS id, state AS state FROM artifact WHERE repository_id = $1 AND "
                     "digest = $2" LOCK_UPDATE);
STATEMENT expect =
    SQL("INSERT INTO artifact(repository_id, digest, state, media_type, size, push_time, used_at) "
        "VALUES($1, $2, 1, $3, $4, $5, $5) ON CONFLICT(repository_id, digest) DO NOTHING");
STATEMENT fill = SQL(
    "UPDATE artifact SET state = 2, media_type = $2, artifact_type = $3, config_media_type = $4, "
    "subject_digest = $5, type = $6, size = $7, payload = $8, annotations = $9, extra_attrs = $10, "
    "push_time = $11, used_at = $11 WHERE id = $1");
STATEMENT use_blob = SQL("INSERT INTO artifact_blob(artifact_id, blob_id) VALUES($1, $2) "
                         "ON CONFLICT DO NOTHING");
STATEMENT use_child =
    SQL("INSERT INTO artifact_child(parent_id, position, child_id, media_type, size, platform, "
        "annotations, urls) VALUES($1, $2, $3, $4, $5, $6, $7, $8)");

static struct arg json_or_null(struct raw_json j)
{
    return j.text.n ? A_S(j.text) : A_NULL;
}

static struct str or_empty(struct str s)
{
    return s.p ? s : S("");
}

static struct arg urls_or_null(struct ctx *c, struct strs urls)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    if (!urls.count)
        return A_NULL;
    put_open(&j, '[');
    for (size_t i = 0; i < urls.count; i++)
        put_str(&j, urls.items[i]);
    put_close(&j, ']');
    return A_S(str_dup(&c->mem, buf_view(&b)));
}

/* The row of a digest, made EXPECTED when there is none, locked. */
static enum err expected_row(struct ctx *c, int64_t repository_id, struct str digest,
                             struct str media_type, int64_t size, struct artifact *out)
{
    enum err e = E_NOT_FOUND;
    for (int i = 0; i < 3 && e == E_NOT_FOUND; i++) { /* it may go between the two statements */
        TRY(sql_run(c, &expect,
                    ARGS(A_I(repository_id), A_S(digest), A_S(or_empty(media_type)), A_I(size),
                         A_T(c->tx->now)),
                    NULL));
        e = sql_row(c, &find, ARGS(A_I(repository_id), A_S(digest)), artifact_row_fields, out);
    }
    return e == E_NOT_FOUND ? fail(c, E_UNAVAILABLE, "manifest %.*s comes and goes", STR(digest))
                            : e;
}

static int by_digest_text(const void *a, const void *b)
{
    return str_cmp((*(const struct artifact_child *const *)a)->digest,
                   (*(const struct artifact_child *const *)b)->digest);
}

/* Children are made and locked in the order of their digests, whatever the order of the index. */
static enum err add_children(struct ctx *c, const struct artifact *a,
                             const struct artifact_child *children, size_t count)
{
    const struct artifact_child **sorted = arena_alloc(&c->mem, (count + 1) * sizeof(void *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &children[i];
    qsort(sorted, count, sizeof(void *), by_digest_text);
    for (size_t i = 0; i < count; i++) {
        const struct artifact_child *k = sorted[i];
        struct artifact child = {0};
        TRY(expected_row(c, a->repository_id, k->digest, k->media_type, k->size, &child));
        TRY(sql_run(c, &use_child,
                    ARGS(A_I(a->id), A_I(k - children), A_I(child.id), A_S(or_empty(k->media_type)),
                         A_I(k->size), json_or_null(k->platform), json_or_null(k->annotations),
                         urls_or_null(c, k->urls)),
                    NULL));
    }
    return E_OK;
}

static enum err add_references(struct ctx *c, const struct artifact *a, const int64_t *blob_ids,
                               size_t blob_count, const struct artifact_child *children,
                               size_t child_count)
{
    for (size_t i = 0; i < blob_count; i++)
        TRY(sql_run(c, &use_blob, ARGS(A_I(a->id), A_I(blob_ids[i])), NULL));
    return add_children(c, a, children, child_count);
}

enum err artifact_put(struct ctx *c, struct artifact *a, const int64_t *blob_ids, size_t blob_count,
                      const struct artifact_child *children, size_t child_count, bool *created)
{
    struct artifact row = {0};
    TRY(expected_row(c, a->repository_id, a->digest, a->media_type, a->size, &row));
    a->id = row.id;
    a->push_time = c->tx->now;
    if (row.state == STATE_ACTIVE) {
        a->state = STATE_ACTIVE;
        *created = false;
        return E_OK;
    }
    TRY(sql_run(c, &fill,
                ARGS(A_I(a->id), A_S(or_empty(a->media_type)), A_S(or_empty(a->artifact_type)),
                     A_S(or_empty(a->config_media_type)), A_S(or_empty(a->subject_digest)),
                     A_S(or_empty(a->type)), A_I(a->size), A_BYTES(a->payload),
                     json_or_null(a->annotations), json_or_null(a->extra_attrs), A_T(c->tx->now)),
                NULL));
    TRY(add_references(c, a, blob_ids, blob_count, children, child_count));
    a->state = STATE_ACTIVE;
    *created = true;
    return E_OK;
}

static const struct field blob_user_fields[] = {
    FIELD(struct blob_user, digest, F_ROW, 0),
    FIELD(struct blob_user, media_type, F_ROW, 0),
    FIELD(struct blob_user, payload, F_ROW, 0),
    FIELD(struct blob_user, tag, F_ROW, 0),
    FIELDS_END,
};

STATEMENT user_of_blob =
    SQL("SELECT a.digest AS digest, a.media_type AS media_type, a.payload AS payload, "
        "COALESCE((SELECT min(t.name) FROM tag t WHERE t.artifact_id = a.id), (SELECT min(t.name) "
        "FROM artifact_child k JOIN tag t ON t.artifact_id = k.parent_id WHERE k.child_id = a.id), "
        "'') AS tag FROM blob b JOIN artifact_blob u ON u.blob_id = b.id JOIN artifact a ON a.id = "
        "u.artifact_id JOIN repository r ON r.id = a.repository_id WHERE b.digest = $1 AND "
        "r.project_id = $2 AND r.name = $3 ORDER BY a.id DESC LIMIT 1");

enum err artifact_user_of_blob(struct ctx *c, int64_t project_id, struct str repository,
                               struct str blob_digest, struct blob_user *out)
{
    return sql_row(c, &user_of_blob, ARGS(A_S(blob_digest), A_I(project_id), A_S(repository)),
                   blob_user_fields, out);
}
