/*
 * The steps of garbage collection: condemn, second look, tombstone, forget. Each is a transaction
 * of its caller, short, and safe to repeat after a crash at any line.
 *
 * The order within a step is what makes it right: the blob's row is locked first, and what uses
 * it is looked for in a second statement. On PostgreSQL one statement with NOT EXISTS would look
 * with a snapshot older than the lock it waited for, and condemn a blob that a push has just used.
 */
#include "meta/blob.h"
#include "meta/usage.h"

static const struct field gc_fields[] = {
    FIELD(struct gc_blob, id, 0, 0),
    FIELD(struct gc_blob, size, 0, 0),
    FIELD(struct gc_blob, digest, 0, 0),
    FIELD(struct gc_blob, phys_key, 0, 0),
    FIELDS_END,
};

#define COLUMNS "b.id AS id, b.size AS size, b.digest AS digest, b.phys_key AS phys_key"

STATEMENT due = SQL("SELECT " COLUMNS " FROM gc_candidate g JOIN blob b ON b.id = g.blob_id WHERE "
                    "g.review_after <= $1 AND g.creation_time <= $2 ORDER BY g.review_after "
                    "LIMIT $3");
STATEMENT condemned = SQL("SELECT " COLUMNS " FROM blob b WHERE b.state = 3 AND b.state IN (3, 4) "
                          "AND b.condemned_at <= $1 ORDER BY b.condemned_at LIMIT $2");
STATEMENT deleting = SQL("SELECT " COLUMNS " FROM blob b WHERE b.state = 4 AND b.state IN (3, 4) "
                         "ORDER BY b.condemned_at LIMIT $1");
STATEMENT dead = SQL("SELECT " COLUMNS " FROM blob b WHERE b.id = $1 AND b.state = 4");
STATEMENT lock = SQL("SELECT state FROM blob WHERE id = $1" LOCK_UPDATE);
STATEMENT references = SQL("SELECT count(*) FROM artifact_blob WHERE blob_id = $1");
STATEMENT last_lease =
    SQL("SELECT COALESCE(max(lease_until), 0) FROM repo_blob WHERE blob_id = $1");
STATEMENT forget_candidate = SQL("DELETE FROM gc_candidate WHERE blob_id = $1");
STATEMENT postpone = SQL("UPDATE gc_candidate SET review_after = $2 WHERE blob_id = $1");
STATEMENT condemn = SQL("UPDATE blob SET state = $2, condemned_at = $3 WHERE id = $1");
STATEMENT revive = SQL("UPDATE blob SET state = 2, condemned_at = 0 WHERE id = $1");
STATEMENT drop_expected = SQL("DELETE FROM blob WHERE id = $1 AND state = 1");
STATEMENT tombstone = SQL("UPDATE blob SET state = 4 WHERE id = $1");
STATEMENT forget = SQL("DELETE FROM blob WHERE id = $1 AND state = 4");

static enum err list(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                     struct list *out)
{
    return sql_rows(c, s, args, n, gc_fields, sizeof(struct gc_blob), out);
}

enum err gc_candidates(struct ctx *c, struct timestamp at, int64_t min_age_s, int64_t n,
                       struct list *out)
{
    return list(c, &due, ARGS(A_T(at), A_I(at.us - min_age_s * SECOND_US), A_I(n)), out);
}

enum err gc_condemned(struct ctx *c, struct timestamp at, int64_t min_age_s, int64_t n,
                      struct list *out)
{
    return list(c, &condemned, ARGS(A_I(at.us - min_age_s * SECOND_US), A_I(n)), out);
}

enum err gc_deleting(struct ctx *c, int64_t n, struct list *out)
{
    return list(c, &deleting, ARGS(A_I(n)), out);
}

enum err gc_dead(struct ctx *c, int64_t blob_id, struct gc_blob *out)
{
    struct gc_blob b = {0};
    TRY(sql_row(c, &dead, ARGS(A_I(blob_id)), gc_fields, &b));
    *out = b;
    return E_OK;
}

/* What keeps the blob: a reference, or a lease (its end). The blob's row is locked. */
static enum err look(struct ctx *c, int64_t blob_id, bool *used, int64_t *lease)
{
    int64_t count;
    TRY(sql_i64(c, &references, ARGS(A_I(blob_id)), &count));
    TRY(sql_i64(c, &last_lease, ARGS(A_I(blob_id)), lease));
    *used = count > 0;
    if (*lease <= c->tx->now.us)
        *lease = 0;
    return E_OK;
}

enum err gc_condemn(struct ctx *c, int64_t blob_id, bool *out)
{
    int64_t state, lease;
    bool used;
    *out = false;
    TRY(sql_i64(c, &lock, ARGS(A_I(blob_id)), &state));
    if (state != STATE_EXPECTED && state != STATE_ACTIVE && state != STATE_QUARANTINED)
        return sql_run(c, &forget_candidate, ARGS(A_I(blob_id)), NULL);
    TRY(usage_end_links(c, &blob_id, 1));
    TRY(look(c, blob_id, &used, &lease));
    if (!used && lease)
        return sql_run(c, &postpone, ARGS(A_I(blob_id), A_I(lease)), NULL);
    TRY(sql_run(c, &forget_candidate, ARGS(A_I(blob_id)), NULL));
    if (used)
        return E_OK;
    if (state == STATE_EXPECTED)
        return sql_run(c, &drop_expected, ARGS(A_I(blob_id)), NULL);
    /* bytes that were lost or wrong are never revived */
    int64_t next = state == STATE_ACTIVE ? STATE_CONDEMNED : STATE_DELETING;
    TRY(sql_run(c, &condemn, ARGS(A_I(blob_id), A_I(next), A_T(c->tx->now)), NULL));
    *out = true;
    return E_OK;
}

enum err gc_tombstone(struct ctx *c, int64_t blob_id, bool *out)
{
    int64_t state, lease;
    bool used;
    *out = false;
    TRY(sql_i64(c, &lock, ARGS(A_I(blob_id)), &state));
    if (state != STATE_CONDEMNED)
        return E_OK;
    TRY(look(c, blob_id, &used, &lease));
    if (used || lease)
        return sql_run(c, &revive, ARGS(A_I(blob_id)), NULL);
    TRY(usage_end_links(c, &blob_id, 1));
    TRY(sql_run(c, &tombstone, ARGS(A_I(blob_id)), NULL));
    *out = true;
    return E_OK;
}

enum err gc_forget(struct ctx *c, int64_t blob_id)
{
    return sql_run(c, &forget, ARGS(A_I(blob_id)), NULL);
}
