/*
 * The steps of garbage collection: condemn, second look, tombstone, forget, each for a set of
 * blobs. Each is a transaction of its caller, short, and safe to repeat after a crash at any line.
 *
 * The order within a step is what makes it right: the blobs' rows are locked first, by id, and what
 * uses them is looked for in a second statement. On PostgreSQL one statement with NOT EXISTS would
 * look with a snapshot older than the lock it waited for, and condemn a blob that a push has just
 * used.
 */
#include "meta/blob.h"
#include "meta/idset.h"
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
STATEMENT lock = ON_SET("SELECT b.id AS id, b.state AS state FROM blob b WHERE b.id",
                        " ORDER BY b.id" LOCK_UPDATE);
#define KEPT                                                                                       \
    "SELECT b.id AS id, CASE WHEN EXISTS(SELECT 1 FROM artifact_blob x WHERE x.blob_id = b.id) "   \
    "THEN 1 ELSE 0 END AS used, COALESCE((SELECT max(l.lease_until) FROM repo_blob l WHERE "       \
    "l.blob_id = b.id), 0) AS lease FROM blob b WHERE b.id"
STATEMENT kept = ON_SET(KEPT, "");
STATEMENT add_candidates =
    ON_SET("INSERT INTO gc_candidate(blob_id, review_after, creation_time) SELECT b.id, CAST($2 AS "
           "BIGINT), CAST($2 AS BIGINT) FROM blob b WHERE b.id",
           " ORDER BY b.id ON CONFLICT(blob_id) DO UPDATE SET review_after = "
           "excluded.review_after, creation_time = excluded.creation_time");
STATEMENT forget_candidates = ON_SET("DELETE FROM gc_candidate WHERE blob_id", "");
STATEMENT postpone = SQL("UPDATE gc_candidate SET review_after = $2 WHERE blob_id = $1");
STATEMENT condemn = ON_SET("UPDATE blob SET state = $2, condemned_at = $3 WHERE id", "");
STATEMENT revive = ON_SET("UPDATE blob SET state = 2, condemned_at = 0 WHERE id", "");
STATEMENT drop_expected = ON_SET("DELETE FROM blob WHERE state = 1 AND id", "");
STATEMENT tombstone = ON_SET("UPDATE blob SET state = 4 WHERE id", "");
STATEMENT forget = ON_SET("DELETE FROM blob WHERE state = 4 AND id", "");

static enum err list(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                     struct list *out)
{
    return sql_rows(c, s, args, n, gc_fields, sizeof(struct gc_blob), out);
}

enum err gc_candidates_add(struct ctx *c, const struct i64s *blobs)
{
    return blobs->count
               ? sql_run(c, &add_candidates,
                         ARGS(ids_arg(c, blobs->items, blobs->count), A_T(c->tx->now)), NULL)
               : E_OK;
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

/* ---- a step: the rows are locked in the order of their ids, then looked at ------------------ */

struct looked {
    int64_t id, state, lease; /* lease: the end of one that runs, or 0 */
    bool used;                /* a manifest references it */
};

static const struct field looked_fields[] = {
    FIELD(struct looked, id, 0, 0),
    FIELD(struct looked, state, 0, 0),
    FIELD(struct looked, lease, 0, 0),
    FIELD(struct looked, used, 0, 0),
    FIELDS_END,
};

static struct i64s set_of(struct ctx *c, size_t max)
{
    return (struct i64s){.items = arena_alloc(&c->mem, (max + 1) * sizeof(int64_t))};
}

static void put(struct i64s *set, int64_t id)
{
    set->items[set->count++] = id;
}

static struct arg arg_of(struct ctx *c, const struct i64s *set)
{
    return ids_arg(c, set->items, set->count);
}

static enum err change(struct ctx *c, const struct sql *s, const struct i64s *set)
{
    return set->count ? sql_run(c, s, ARGS(arg_of(c, set)), NULL) : E_OK;
}

static enum err lock_rows(struct ctx *c, const struct i64s *ids, struct list *out)
{
    *out = (struct list){0};
    return ids->count
               ? sql_rows(c, &lock, ARGS(arg_of(c, ids)), looked_fields, sizeof(struct looked), out)
               : E_OK;
}

/* What keeps blobs that are locked: a reference, or a lease. */
static enum err look(struct ctx *c, const struct i64s *ids, struct list *out)
{
    *out = (struct list){0};
    if (!ids->count)
        return E_OK;
    TRY(sql_rows(c, &kept, ARGS(arg_of(c, ids)), looked_fields, sizeof(struct looked), out));
    struct looked *b = out->items;
    for (size_t i = 0; i < out->count; i++)
        if (b[i].lease <= c->tx->now.us)
            b[i].lease = 0;
    return E_OK;
}

static int64_t state_of(const struct list *rows, int64_t id)
{
    const struct looked *r = rows->items;
    for (size_t i = 0; i < rows->count; i++)
        if (r[i].id == id)
            return r[i].state;
    return STATE_DELETING;
}

static enum err condemn_as(struct ctx *c, const struct i64s *set, enum object_state state)
{
    return set->count
               ? sql_run(c, &condemn, ARGS(arg_of(c, set), A_I(state), A_T(c->tx->now)), NULL)
               : E_OK;
}

enum err gc_condemn(struct ctx *c, const struct i64s *ids, struct i64s *out)
{
    struct list rows, found, refunds;
    struct i64s seen = set_of(c, ids->count), over = set_of(c, ids->count),
                expected = set_of(c, ids->count), unused = set_of(c, ids->count),
                lost = set_of(c, ids->count);
    TRY(lock_rows(c, ids, &rows));
    const struct looked *r = rows.items;
    for (size_t i = 0; i < rows.count; i++)
        put(r[i].state == STATE_CONDEMNED || r[i].state == STATE_DELETING ? &over : &seen, r[i].id);
    TRY(usage_unlink(c, &seen, &refunds));
    TRY(look(c, &seen, &found));
    const struct looked *b = found.items;
    for (size_t i = 0; i < found.count; i++) {
        if (!b[i].used && b[i].lease) {
            TRY(sql_run(c, &postpone, ARGS(A_I(b[i].id), A_I(b[i].lease)), NULL));
            continue;
        }
        put(&over, b[i].id);
        if (b[i].used)
            continue;
        int64_t state = state_of(&rows, b[i].id);
        /* bytes that were lost or wrong are never revived */
        put(state == STATE_EXPECTED ? &expected : state == STATE_ACTIVE ? &unused : &lost, b[i].id);
    }
    TRY(change(c, &forget_candidates, &over));
    TRY(change(c, &drop_expected, &expected));
    TRY(condemn_as(c, &unused, STATE_CONDEMNED));
    TRY(condemn_as(c, &lost, STATE_DELETING));
    TRY(usage_refund(c, &refunds));
    for (size_t i = 0; i < lost.count; i++)
        put(&unused, lost.items[i]);
    *out = unused;
    return E_OK;
}

enum err gc_tombstone(struct ctx *c, const struct i64s *ids, struct i64s *out)
{
    struct list rows, found, refunds;
    struct i64s seen = set_of(c, ids->count), needed = set_of(c, ids->count),
                gone = set_of(c, ids->count);
    TRY(lock_rows(c, ids, &rows));
    const struct looked *r = rows.items;
    for (size_t i = 0; i < rows.count; i++)
        if (r[i].state == STATE_CONDEMNED)
            put(&seen, r[i].id);
    TRY(look(c, &seen, &found));
    const struct looked *b = found.items;
    for (size_t i = 0; i < found.count; i++)
        put(b[i].used || b[i].lease ? &needed : &gone, b[i].id);
    TRY(change(c, &revive, &needed));
    TRY(usage_unlink(c, &gone, &refunds));
    TRY(change(c, &tombstone, &gone));
    TRY(usage_refund(c, &refunds));
    *out = gone;
    return E_OK;
}

enum err gc_forget(struct ctx *c, const struct i64s *ids)
{
    return change(c, &forget, ids);
}
