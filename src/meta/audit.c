/*
 * Questions across all rows, for fsck alone: none of them is on the path of a request, each is
 * paged or capped.
 */
#include "meta/audit.h"

static const struct field artifact_fields[] = {
    FIELD(struct audit_artifact, id, 0, 0),
    FIELD(struct audit_artifact, repository_id, 0, 0),
    FIELD(struct audit_artifact, project_id, 0, 0),
    FIELD(struct audit_artifact, registry_id, 0, 0),
    FIELD(struct audit_artifact, state, 0, 0),
    FIELD(struct audit_artifact, digest, 0, 0),
    FIELD(struct audit_artifact, media_type, 0, 0),
    FIELD(struct audit_artifact, subject_digest, 0, 0),
    FIELD(struct audit_artifact, payload, 0, 0),
    FIELDS_END,
};
struct line_row {
    struct str line;
};
static const struct field line_fields[] = {
    FIELD(struct line_row, line, 0, 0),
    FIELDS_END,
};
struct number_row {
    int64_t id;
};
static const struct field number_fields[] = {
    FIELD(struct number_row, id, 0, 0),
    FIELDS_END,
};

STATEMENT artifacts =
    SQL("SELECT a.id, a.repository_id, r.project_id, coalesce(p.registry_id, 0) AS registry_id, "
        "a.state, a.digest, a.media_type, a.subject_digest, a.payload FROM artifact a "
        "JOIN repository r ON r.id = a.repository_id JOIN project p ON p.id = r.project_id "
        "WHERE a.id > $1 AND a.payload IS NOT NULL ORDER BY a.id LIMIT $2");
STATEMENT blob_refs =
    SQL("SELECT b.digest AS line FROM artifact_blob x JOIN blob b ON b.id = x.blob_id "
        "WHERE x.artifact_id = $1");
STATEMENT child_refs =
    SQL("SELECT a.digest AS line FROM artifact_child x JOIN artifact a ON a.id = x.child_id "
        "WHERE x.parent_id = $1");
STATEMENT add_blob_ref = SQL("INSERT INTO artifact_blob(artifact_id, blob_id) VALUES($1, $2) "
                             "ON CONFLICT DO NOTHING");
STATEMENT set_subject = SQL("UPDATE artifact SET subject_digest = $2 WHERE id = $1");
STATEMENT bad_tags =
    SQL("SELECT p.name || '/' || r.name || ':' || t.name || ' -> ' || a.digest AS line FROM tag t "
        "JOIN artifact a ON a.id = t.artifact_id JOIN repository r ON r.id = t.repository_id "
        "JOIN project p ON p.id = r.project_id WHERE a.repository_id <> t.repository_id "
        "OR a.state <> 2 ORDER BY t.id LIMIT $1");
STATEMENT bad_refs =
    SQL("SELECT p.name || '/' || r.name || '@' || a.digest || ' needs ' || b.digest AS line "
        "FROM blob b JOIN artifact_blob x ON x.blob_id = b.id JOIN artifact a "
        "ON a.id = x.artifact_id JOIN repository r ON r.id = a.repository_id JOIN project p "
        "ON p.id = r.project_id WHERE b.state IN (3, 4) OR (b.state <> 2 AND p.registry_id IS "
        "NULL) ORDER BY b.id LIMIT $1");
STATEMENT users =
    SQL("SELECT p.name || '/' || r.name || coalesce(':' || t.name, '@' || a.digest) AS line "
        "FROM artifact_blob x JOIN artifact a ON a.id = x.artifact_id JOIN repository r "
        "ON r.id = a.repository_id JOIN project p ON p.id = r.project_id LEFT JOIN tag t "
        "ON t.artifact_id = a.id WHERE x.blob_id = $1 ORDER BY line LIMIT $2");
STATEMENT is_original =
    SQL("SELECT count(*) FROM repo_blob l JOIN repository r ON r.id = l.repository_id JOIN "
        "project p ON p.id = r.project_id WHERE l.blob_id = $1 AND p.registry_id IS NULL");
STATEMENT knows_key = SQL("SELECT (SELECT count(*) FROM blob WHERE phys_key = $1) + "
                          "(SELECT count(*) FROM intent WHERE phys_key = $1)");
STATEMENT projects = SQL("SELECT id FROM project ORDER BY id");
STATEMENT late_deleting = SQL("SELECT count(*) FROM blob WHERE state = 4 AND condemned_at < $1");
STATEMENT late_uploads = SQL("SELECT count(*) FROM upload WHERE expires < $1");

static enum err lines(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                      struct strs *out)
{
    struct list rows;
    TRY(sql_rows(c, s, args, n, line_fields, sizeof(struct line_row), &rows));
    const struct line_row *row = rows.items;
    struct strs text = {.count = rows.count};
    text.items = arena_alloc(&c->mem, (rows.count + 1) * sizeof *text.items);
    for (size_t i = 0; i < rows.count; i++)
        text.items[i] = row[i].line;
    *out = text;
    return E_OK;
}

enum err audit_artifacts(struct ctx *c, int64_t after_id, int64_t n, struct list *out)
{
    return sql_rows(c, &artifacts, ARGS(A_I(after_id), A_I(n)), artifact_fields,
                    sizeof(struct audit_artifact), out);
}

enum err audit_blob_refs(struct ctx *c, int64_t artifact_id, struct strs *out)
{
    return lines(c, &blob_refs, ARGS(A_I(artifact_id)), out);
}

enum err audit_child_refs(struct ctx *c, int64_t artifact_id, struct strs *out)
{
    return lines(c, &child_refs, ARGS(A_I(artifact_id)), out);
}

enum err audit_add_blob_ref(struct ctx *c, int64_t artifact_id, int64_t blob_id)
{
    return sql_run(c, &add_blob_ref, ARGS(A_I(artifact_id), A_I(blob_id)), NULL);
}

enum err audit_set_subject(struct ctx *c, int64_t artifact_id, struct str subject_digest)
{
    return sql_run(c, &set_subject, ARGS(A_I(artifact_id), A_S(subject_digest)), NULL);
}

enum err audit_bad_tags(struct ctx *c, int64_t n, struct strs *out)
{
    return lines(c, &bad_tags, ARGS(A_I(n)), out);
}

enum err audit_bad_refs(struct ctx *c, int64_t n, struct strs *out)
{
    return lines(c, &bad_refs, ARGS(A_I(n)), out);
}

enum err audit_users(struct ctx *c, int64_t blob_id, int64_t n, struct strs *out)
{
    return lines(c, &users, ARGS(A_I(blob_id), A_I(n)), out);
}

enum err audit_is_original(struct ctx *c, int64_t blob_id, bool *out)
{
    int64_t n;
    TRY(sql_i64(c, &is_original, ARGS(A_I(blob_id)), &n));
    *out = n > 0;
    return E_OK;
}

enum err audit_knows_key(struct ctx *c, struct str key, bool *out)
{
    int64_t n;
    TRY(sql_i64(c, &knows_key, ARGS(A_S(key)), &n));
    *out = n > 0;
    return E_OK;
}

enum err audit_projects(struct ctx *c, struct i64s *out)
{
    struct list rows;
    TRY(sql_rows(c, &projects, NO_ARGS, number_fields, sizeof(struct number_row), &rows));
    const struct number_row *row = rows.items;
    struct i64s ids = {.count = rows.count};
    ids.items = arena_alloc(&c->mem, (rows.count + 1) * sizeof *ids.items);
    for (size_t i = 0; i < rows.count; i++)
        ids.items[i] = row[i].id;
    *out = ids;
    return E_OK;
}

enum err audit_overdue(struct ctx *c, int64_t *deleting, int64_t *uploads)
{
    struct timestamp hour_ago = {c->tx->now.us - 3600 * SECOND_US};
    TRY(sql_i64(c, &late_deleting, ARGS(A_T(hour_ago)), deleting));
    return sql_i64(c, &late_uploads, ARGS(A_T(hour_ago)), uploads);
}
