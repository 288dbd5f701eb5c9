/*
 * Blobs: a digest maps to a physical key that is used once. States: EXPECTED (known, no bytes),
 * ACTIVE, CONDEMNED (garbage collection's verdict, bytes intact), DELETING (terminal),
 * QUARANTINED (bytes lost or wrong). All but DELETING are the living row of their digest.
 *
 * Whoever makes a reference or a link locks the blob's row first, and only then looks, in a
 * second statement: on PostgreSQL a statement that waited for a lock still sees its old snapshot.
 * A CONDEMNED blob therefore has no links and no references: condemning takes the same lock.
 *
 * Order of locks: blobs by id, then their links and candidates, the project last.
 */
#include "meta/blob.h"

#include "meta/driver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct field blob_fields[] = {
    FIELD(struct blob, id, F_RO, 0),           FIELD(struct blob, digest, F_RO, 0),
    FIELD(struct blob, size, F_RO, 0),         FIELD(struct blob, state, F_RO, 0),
    FIELD(struct blob, phys_key, F_ROW, 0),    FIELD(struct blob, condemned_at, F_ROW, 0),
    FIELD(struct blob, verified_at, F_ROW, 0), FIELDS_END,
};

#define COLUMNS                                                                                    \
    "b.id AS id, b.digest AS digest, b.size AS size, b.state AS state, b.phys_key AS phys_key, "   \
    "b.condemned_at AS condemned_at, b.verified_at AS verified_at"

/* ---- reading ------------------------------------------------------------------------------ */

STATEMENT living = SQL("SELECT " COLUMNS " FROM blob b WHERE b.digest = $1 AND b.state <> 4");
STATEMENT held = SQL(
    "SELECT " COLUMNS " FROM blob b JOIN repository r ON r.project_id = $1 AND r.name = $2 JOIN "
    "repo_blob l ON l.repository_id = r.id AND l.blob_id = b.id WHERE b.digest = $3 AND "
    "b.state <> 4 AND b.state = 2");
STATEMENT known = SQL(
    "SELECT " COLUMNS " FROM blob b JOIN repository r ON r.project_id = $1 AND r.name = $2 JOIN "
    "repo_blob l ON l.repository_id = r.id AND l.blob_id = b.id WHERE b.digest = $3 AND "
    "b.state <> 4");
STATEMENT page_of = SQL("SELECT " COLUMNS " FROM blob b WHERE b.id > $1 ORDER BY b.id LIMIT $2");
STATEMENT unproven_of = SQL("SELECT " COLUMNS " FROM blob b WHERE b.state IN (2, 3) AND "
                            "b.verified_at < $1 ORDER BY b.verified_at, b.id LIMIT $2");
STATEMENT set_verified = SQL("UPDATE blob SET verified_at = $2 WHERE id = $1");

static enum err read_one(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                         struct blob *out)
{
    struct blob b = {0};
    TRY(sql_row(c, s, args, n, blob_fields, &b));
    *out = b;
    return E_OK;
}

enum err blob_by_digest(struct ctx *c, struct str digest, struct blob *out)
{
    return read_one(c, &living, ARGS(A_S(digest)), out);
}

enum err blob_in_repository(struct ctx *c, int64_t project_id, struct str repository,
                            struct str digest, struct blob *out)
{
    return read_one(c, &held, ARGS(A_I(project_id), A_S(repository), A_S(digest)), out);
}

enum err blob_known(struct ctx *c, int64_t project_id, struct str repository, struct str digest,
                    struct blob *out)
{
    return read_one(c, &known, ARGS(A_I(project_id), A_S(repository), A_S(digest)), out);
}

enum err blob_page(struct ctx *c, int64_t after_id, int64_t n, struct list *out)
{
    return sql_rows(c, &page_of, ARGS(A_I(after_id), A_I(n)), blob_fields, sizeof(struct blob),
                    out);
}

enum err blob_unproven(struct ctx *c, struct timestamp before, int64_t n, struct list *out)
{
    return sql_rows(c, &unproven_of, ARGS(A_T(before), A_I(n)), blob_fields, sizeof(struct blob),
                    out);
}

enum err blob_verified(struct ctx *c, const struct i64s *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        TRY(sql_run(c, &set_verified, ARGS(A_I(ids->items[i]), A_T(c->tx->now)), NULL));
    return E_OK;
}

/* ---- intents ------------------------------------------------------------------------------ */

STATEMENT intent_insert = SQL("INSERT INTO intent(phys_key, creation_time) VALUES($1, $2)");
STATEMENT intent_delete = SQL("DELETE FROM intent WHERE phys_key = $1");
STATEMENT intent_take = SQL("DELETE FROM intent WHERE phys_key = $1 AND creation_time > 0");
STATEMENT intent_count = SQL("SELECT count(*) FROM intent WHERE phys_key = $1");
STATEMENT intent_claim = SQL(
    "UPDATE intent SET creation_time = 0 WHERE phys_key IN (SELECT i.phys_key FROM intent i WHERE "
    "i.creation_time > 0 AND i.creation_time < $1 AND i.phys_key NOT IN (SELECT u.phys_key FROM "
    "upload u) ORDER BY i.creation_time LIMIT $2)");
STATEMENT intent_claimed =
    SQL("SELECT phys_key AS phys_key FROM intent WHERE creation_time = 0 LIMIT $1");

enum err intent_add(struct ctx *c, const struct str *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(sql_run(c, &intent_insert, ARGS(A_S(keys[i]), A_T(c->tx->now)), NULL));
    return E_OK;
}

enum err intent_drop(struct ctx *c, struct str key)
{
    return sql_run(c, &intent_delete, ARGS(A_S(key)), NULL);
}

enum err intent_exists(struct ctx *c, struct str key, bool *out)
{
    int64_t count;
    TRY(sql_i64(c, &intent_count, ARGS(A_S(key)), &count));
    *out = count > 0;
    return E_OK;
}

enum err intent_list(struct ctx *c, struct timestamp before, int64_t n, struct strs *out)
{
    struct list rows;
    assert(c->tx->write);
    TRY(sql_run(c, &intent_claim, ARGS(A_T(before), A_I(n)), NULL));
    TRY(sql_rows(c, &intent_claimed, ARGS(A_I(n)), blob_fields, sizeof(struct blob), &rows));
    struct blob *b = rows.items;
    struct strs keys = {arena_alloc(&c->mem, rows.count * sizeof(struct str)), rows.count};
    for (size_t i = 0; i < rows.count; i++)
        keys.items[i] = b[i].phys_key;
    *out = keys;
    return E_OK;
}

/* ---- links -------------------------------------------------------------------------------- */

STATEMENT lock_digest =
    SQL("SELECT " COLUMNS " FROM blob b WHERE b.digest = $1 AND b.state <> 4" LOCK_UPDATE);
STATEMENT lock_update = SQL("SELECT " COLUMNS " FROM blob b WHERE b.id = $1" LOCK_UPDATE);
STATEMENT lock_share = SQL("SELECT " COLUMNS " FROM blob b WHERE b.id = $1" LOCK_SHARE);
STATEMENT link_put = SQL(
    "INSERT INTO repo_blob(repository_id, blob_id, lease_until) VALUES($1, $2, $3) ON "
    "CONFLICT(repository_id, blob_id) DO UPDATE SET lease_until = CASE WHEN excluded.lease_until > "
    "repo_blob.lease_until THEN excluded.lease_until ELSE repo_blob.lease_until END");
STATEMENT link_new =
    SQL("INSERT INTO repo_blob(repository_id, blob_id, lease_until) VALUES($1, $2, "
        "0) ON CONFLICT DO NOTHING");
STATEMENT link_extend = SQL("UPDATE repo_blob SET lease_until = $3 WHERE repository_id = $1 AND "
                            "blob_id = $2");
STATEMENT link_drop = SQL("DELETE FROM repo_blob WHERE repository_id = $1 AND blob_id = $2");
STATEMENT link_count =
    SQL("SELECT count(*) FROM repo_blob WHERE repository_id = $1 AND blob_id = $2");
STATEMENT candidate_put =
    SQL("INSERT INTO gc_candidate(blob_id, review_after, creation_time) VALUES($1, $2, $3) ON "
        "CONFLICT(blob_id) DO UPDATE SET review_after = excluded.review_after, creation_time = "
        "excluded.creation_time");
STATEMENT activate = SQL("UPDATE blob SET state = 2, condemned_at = 0 WHERE id = $1");
STATEMENT receive = SQL("UPDATE blob SET state = 2, condemned_at = 0, phys_key = $2, size = $3, "
                        "verified_at = $4 WHERE id = $1");
STATEMENT add = SQL("INSERT INTO blob(digest, size, state, phys_key, verified_at, creation_time) "
                    "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id");
STATEMENT quarantine = SQL("UPDATE blob SET state = 5 WHERE id = $1 AND state IN (2, 3)");

static enum err candidate(struct ctx *c, int64_t blob_id, struct timestamp review_after)
{
    return sql_run(c, &candidate_put, ARGS(A_I(blob_id), A_T(review_after), A_T(c->tx->now)), NULL);
}

static struct timestamp after(struct ctx *c, int64_t seconds)
{
    return (struct timestamp){c->tx->now.us + seconds * SECOND_US};
}

/* Links a blob whose row is locked; when its lease is over somebody must look whether a manifest
   came. */
static enum err put_link(struct ctx *c, int64_t repository_id, int64_t blob_id, int64_t lease_s)
{
    struct timestamp until = {lease_s > 0 ? after(c, lease_s).us : 0};
    TRY(sql_run(c, &link_put, ARGS(A_I(repository_id), A_I(blob_id), A_T(until)), NULL));
    return candidate(c, blob_id, lease_s > 0 ? until : c->tx->now);
}

enum err blob_link(struct ctx *c, int64_t repository_id, int64_t blob_id, int64_t lease_s)
{
    struct blob b;
    TRY(read_one(c, &lock_update, ARGS(A_I(blob_id)), &b));
    if (b.state == STATE_DELETING)
        return E_NOT_FOUND;
    if (b.state == STATE_CONDEMNED)
        TRY(sql_run(c, &activate, ARGS(A_I(blob_id)), NULL));
    return put_link(c, repository_id, blob_id, lease_s);
}

enum err blob_unlink(struct ctx *c, int64_t repository_id, int64_t blob_id)
{
    int64_t linked;
    TRY(sql_i64(c, &link_count, ARGS(A_I(repository_id), A_I(blob_id)), &linked));
    if (!linked)
        return E_NOT_FOUND;
    TRY(candidate(c, blob_id, c->tx->now));
    return sql_run(c, &link_drop, ARGS(A_I(repository_id), A_I(blob_id)), NULL);
}

enum err blob_extend_lease(struct ctx *c, int64_t repository_id, int64_t blob_id, int64_t lease_s)
{
    struct blob b;
    int64_t changed;
    TRY(read_one(c, &lock_share, ARGS(A_I(blob_id)), &b));
    if (b.state != STATE_ACTIVE)
        return E_NOT_FOUND;
    TRY(sql_run(c, &link_extend, ARGS(A_I(repository_id), A_I(blob_id), A_T(after(c, lease_s))),
                &changed));
    return changed ? E_OK : E_NOT_FOUND;
}

enum err blob_quarantine(struct ctx *c, int64_t blob_id)
{
    return sql_run(c, &quarantine, ARGS(A_I(blob_id)), NULL);
}

/* ---- arrival ------------------------------------------------------------------------------ */

/* A row that this transaction has made is locked by that. */
enum err blob_expect(struct ctx *c, struct str digest, int64_t size, struct blob *out)
{
    for (int i = 0; i < 3; i++) {
        int64_t id;
        enum err e = read_one(c, &lock_digest, ARGS(A_S(digest)), out);
        if (e != E_NOT_FOUND)
            return e;
        TRY(sql_i64(
            c, &add,
            ARGS(A_S(digest), A_I(size), A_I(STATE_EXPECTED), A_NULL, A_I(0), A_T(c->tx->now)),
            &id));
        if (id) {
            *out = (struct blob){.id = id, .digest = digest, .size = size, .state = STATE_EXPECTED};
            return E_OK;
        }
    }
    return fail(c, E_UNAVAILABLE, "blob %.*s is being made and deleted at once", STR(digest));
}

enum err blob_commit(struct ctx *c, int64_t repository_id, struct str phys_key, int64_t size,
                     int64_t lease_s, struct blob *b, bool *key_used)
{
    int64_t taken;
    bool use = b->state == STATE_EXPECTED || b->state == STATE_QUARANTINED;
    if (use) {
        TRY(sql_run(c, &intent_take, ARGS(A_S(phys_key)), &taken));
        if (!taken)
            return fail(c, E_UNAVAILABLE, "the object of %.*s was swept", STR(b->digest));
        if (b->phys_key.n) /* the lost copy */
            TRY(intent_add(c, &b->phys_key, 1));
        TRY(sql_run(c, &receive, ARGS(A_I(b->id), A_S(phys_key), A_I(size), A_T(c->tx->now)),
                    NULL));
        b->phys_key = str_dup(&c->mem, phys_key);
        b->size = size;
    } else if (b->state == STATE_CONDEMNED) {
        TRY(sql_run(c, &activate, ARGS(A_I(b->id)), NULL));
    }
    b->state = STATE_ACTIVE;
    if (repository_id)
        TRY(put_link(c, repository_id, b->id, lease_s));
    *key_used = use;
    return E_OK;
}

/* ---- what a manifest needs ---------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    int64_t x = (*(struct blob_need *const *)a)->id, y = (*(struct blob_need *const *)b)->id;
    return (x > y) - (x < y);
}

static int by_digest(const void *a, const void *b)
{
    return str_cmp((*(struct blob_need *const *)a)->digest,
                   (*(struct blob_need *const *)b)->digest);
}

static enum err unknown(struct ctx *c, const struct blob_need *need)
{
    return fail(c, E_MANIFEST_BLOB_UNKNOWN, "blob %.*s is not in this repository",
                STR(need->digest));
}

/* A first look without locks: the ids, and whether a CONDEMNED one is among them. */
static enum err look(struct ctx *c, struct blob_need **sorted, size_t count, bool expect,
                     bool *condemned)
{
    for (size_t i = 0; i < count; i++) {
        struct blob b;
        enum err e = blob_by_digest(c, sorted[i]->digest, &b);
        if (e == E_NOT_FOUND && expect)
            e = blob_expect(c, sorted[i]->digest, sorted[i]->size, &b);
        if (e == E_NOT_FOUND)
            return unknown(c, sorted[i]);
        TRY(e);
        sorted[i]->id = b.id;
        *condemned |= b.state == STATE_CONDEMNED;
    }
    return E_OK;
}

static enum err lock_all(struct ctx *c, struct blob_need **sorted, size_t count, bool for_update,
                         bool expect, bool *condemned)
{
    for (size_t i = 0; i < count; i++) {
        struct blob b;
        enum err e =
            read_one(c, for_update ? &lock_update : &lock_share, ARGS(A_I(sorted[i]->id)), &b);
        if (e == E_NOT_FOUND || (e == E_OK && b.state == STATE_DELETING))
            return expect ? fail(c, E_UNAVAILABLE, "blob %.*s was deleted at the same moment",
                                 STR(sorted[i]->digest))
                          : unknown(c, sorted[i]);
        TRY(e);
        if (b.state == STATE_CONDEMNED && for_update)
            TRY(sql_run(c, &activate, ARGS(A_I(b.id)), NULL));
        *condemned |= b.state == STATE_CONDEMNED;
        if (!expect && b.state != STATE_ACTIVE && b.state != STATE_CONDEMNED)
            return unknown(c, sorted[i]);
        if (!expect && b.size != sorted[i]->size)
            return fail(c, E_MANIFEST_INVALID, "blob %.*s has %lld bytes, its descriptor says %lld",
                        STR(b.digest), (long long)b.size, (long long)sorted[i]->size);
    }
    return E_OK;
}

/* A lock is never made stronger in place: share locks are given back first, by a savepoint. */
static enum err lock_in_order(struct ctx *c, struct blob_need **sorted, size_t count, bool expect,
                              bool condemned)
{
    const struct driver *d = c->sv->db->driver;
    bool found = false;
    if (!d->postgres || condemned)
        return lock_all(c, sorted, count, true, expect, &found);
    TRY(d->script(c, c->tx->conn, "SAVEPOINT needs"));
    TRY(lock_all(c, sorted, count, false, expect, &found));
    if (!found)
        return d->script(c, c->tx->conn, "RELEASE SAVEPOINT needs");
    TRY(d->script(c, c->tx->conn, "ROLLBACK TO SAVEPOINT needs"));
    return lock_all(c, sorted, count, true, expect, &found);
}

enum err blob_require(struct ctx *c, int64_t repository_id, struct blob_need *needs, size_t count,
                      bool expect)
{
    bool condemned = false;
    struct blob_need **sorted = arena_alloc(&c->mem, (count + 1) * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &needs[i];
    qsort(sorted, count, sizeof *sorted, by_digest); /* new rows in one order too */
    TRY(look(c, sorted, count, expect, &condemned));
    qsort(sorted, count, sizeof *sorted, by_id);
    TRY(lock_in_order(c, sorted, count, expect, condemned));
    for (size_t i = 0; i < count; i++) {
        int64_t linked;
        TRY(sql_i64(c, &link_count, ARGS(A_I(repository_id), A_I(sorted[i]->id)), &linked));
        if (linked)
            continue;
        if (!expect)
            return unknown(c, sorted[i]);
        TRY(sql_run(c, &link_new, ARGS(A_I(repository_id), A_I(sorted[i]->id)), &linked));
        sorted[i]->linked = linked > 0; /* else by another manifest that came at the same moment */
    }
    return E_OK;
}
