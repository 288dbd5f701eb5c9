/*
 * Artifacts go set by set: first those that were asked for, then, level by level, the children that
 * nobody else has. One artifact is a set of one; there is no other way out of a repository but that
 * of the repository itself.
 *
 * Locks are taken in the order of meta/artifact.c. All blobs, also of what may go along, before any
 * other row: who touches a candidate of garbage collection holds the blob. Nothing that was read
 * before the locks is believed after them, and nothing here looks at more than the set and what
 * hangs on it.
 */
#include "meta/removal.h"

#include "meta/artifact.h"
#include "meta/blob.h"
#include "meta/idset.h"
#include "meta/tag.h"
#include "meta/usage.h"

#include <string.h>

#define BLOBS_AT_ONCE 1000

struct row {
    int64_t id, size, tags, blobs;
    struct str digest;
};
static const struct field row_fields[] = {
    FIELD(struct row, id, 0, 0),    FIELD(struct row, size, 0, 0),   FIELD(struct row, tags, 0, 0),
    FIELD(struct row, blobs, 0, 0), FIELD(struct row, digest, 0, 0), FIELDS_END,
};

struct edge {
    int64_t parent_id, child_id;
};
static const struct field edge_fields[] = {
    FIELD(struct edge, parent_id, 0, 0),
    FIELD(struct edge, child_id, 0, 0),
    FIELDS_END,
};

/* How many blobs each has, with those of its children; one that has none is not told. */
#define WEIGHTS(ids)                                                                               \
    "SELECT w.id AS id, count(*) AS blobs FROM (SELECT x.artifact_id AS id FROM artifact_blob x "  \
    "WHERE x.artifact_id " ids " UNION ALL SELECT k.parent_id FROM artifact_child k JOIN "         \
    "artifact_blob x ON x.artifact_id = k.child_id WHERE k.parent_id " ids ") w GROUP BY w.id"
#define BELOW "WITH RECURSIVE below(id) AS (SELECT a.id FROM artifact a WHERE a.id"
#define BLOBS_BELOW                                                                                \
    " UNION SELECT k.child_id FROM below JOIN artifact_child k ON k.parent_id = below.id) SELECT " \
    "b.id AS id FROM blob b WHERE b.id IN (SELECT x.blob_id FROM artifact_blob x JOIN below ON "   \
    "below.id = x.artifact_id) ORDER BY b.id" LOCK_UPDATE
#define LOCKED                                                                                     \
    "SELECT a.id AS id, a.digest AS digest, COALESCE(length(a.payload), 0) AS size FROM artifact " \
    "a WHERE a.id"
#define TAG_COUNTS "SELECT t.artifact_id AS id, count(*) AS tags FROM tag t WHERE t.artifact_id"
#define ORPHANS(ids)                                                                               \
    "SELECT DISTINCT k.child_id AS id FROM artifact_child k WHERE k.parent_id " ids                \
    " AND NOT (k.child_id " ids ") AND NOT EXISTS (SELECT 1 FROM artifact_child o WHERE "          \
    "o.child_id = k.child_id AND NOT (o.parent_id " ids ")) AND NOT EXISTS (SELECT 1 FROM tag t "  \
    "WHERE t.artifact_id = k.child_id) ORDER BY k.child_id"

STATEMENT weights = WITH_SET(WEIGHTS);
STATEMENT lock_blobs = ON_SET(BELOW, BLOBS_BELOW);
STATEMENT lock = ON_SET(LOCKED, " ORDER BY a.digest" LOCK_DELETE);
STATEMENT parents =
    ON_SET("SELECT k.parent_id AS parent_id, k.child_id AS child_id FROM artifact_child k WHERE "
           "k.child_id",
           "");
STATEMENT tag_counts = ON_SET(TAG_COUNTS, " GROUP BY t.artifact_id");
STATEMENT orphans = WITH_SET(ORPHANS);
STATEMENT blobs_of =
    ON_SET("SELECT DISTINCT x.blob_id AS id FROM artifact_blob x WHERE x.artifact_id",
           " ORDER BY x.blob_id");
STATEMENT drop_edges = ON_SET("DELETE FROM artifact_child WHERE parent_id", "");
STATEMENT drop = ON_SET("DELETE FROM artifact WHERE id", "");

/* A level: what was taken to go, which of it still may. */
struct level {
    struct list rows; /* of struct row, locked, by digest */
    struct list edges;
    bool *stays;
    bool children; /* they went along: a tag keeps them */
};

/* What has gone so far. */
struct gone {
    struct i64s blobs;
    struct list manifests; /* of manifest_gone */
};

static struct i64s ids_of(struct ctx *c, const struct list *rows)
{
    const struct row *r = rows->items;
    struct i64s ids = {arena_alloc(&c->mem, (rows->count + 1) * sizeof *ids.items), rows->count};
    for (size_t i = 0; i < rows->count; i++)
        ids.items[i] = r[i].id;
    return ids;
}

static struct arg arg_of(struct ctx *c, const struct i64s *ids)
{
    return ids_arg(c, ids->items, ids->count);
}

static enum err rows_of(struct ctx *c, const struct sql *s, const struct i64s *ids,
                        struct list *out)
{
    return sql_rows(c, s, ARGS(arg_of(c, ids)), row_fields, sizeof(struct row), out);
}

static struct row *row_of(const struct list *rows, int64_t id)
{
    struct row *r = rows->items;
    for (size_t i = 0; i < rows->count; i++)
        if (r[i].id == id)
            return &r[i];
    return NULL;
}

/* ---- which ---------------------------------------------------------------------------------- */

/* How many, from the first on, have not too many blobs together. */
static enum err cut(struct ctx *c, const struct i64s *ids, size_t *count)
{
    struct list found;
    int64_t blobs = 0;
    TRY(rows_of(c, &weights, ids, &found));
    for (size_t i = 0; i < ids->count; i++) {
        const struct row *r = row_of(&found, ids->items[i]);
        blobs += r ? r->blobs : 0;
        if (i && blobs > BLOBS_AT_ONCE) {
            *count = i;
            return E_OK;
        }
    }
    *count = ids->count;
    return E_OK;
}

/* Is it of this level, and does it go? */
static bool goes(const struct level *l, int64_t id)
{
    const struct row *r = row_of(&l->rows, id), *first = l->rows.items;
    return r && !l->stays[r - first];
}

/* Whoever has a parent that stays stays, and so do its own children. */
static void keep_contained(struct level *l)
{
    const struct edge *e = l->edges.items;
    const struct row *first = l->rows.items;
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < l->edges.count; i++) {
            const struct row *child = row_of(&l->rows, e[i].child_id);
            if (!child || l->stays[child - first] || goes(l, e[i].parent_id))
                continue;
            l->stays[child - first] = changed = true;
        }
    }
}

static enum err look(struct ctx *c, const struct i64s *ids, struct level *l)
{
    struct list tags;
    TRY(rows_of(c, &lock, ids, &l->rows));
    TRY(sql_rows(c, &parents, ARGS(arg_of(c, ids)), edge_fields, sizeof(struct edge), &l->edges));
    TRY(rows_of(c, &tag_counts, ids, &tags));
    l->stays = arena_alloc(&c->mem, l->rows.count + 1);
    struct row *r = l->rows.items;
    const struct row *t = tags.items;
    for (size_t i = 0; i < tags.count; i++) {
        struct row *of = row_of(&l->rows, t[i].id);
        if (of)
            of->tags = t[i].tags;
    }
    for (size_t i = 0; i < l->rows.count; i++)
        l->stays[i] = l->children && r[i].tags;
    keep_contained(l);
    return E_OK;
}

/* ---- out ------------------------------------------------------------------------------------ */

static void add_blobs(struct ctx *c, struct gone *g, const struct i64s *more)
{
    size_t count = g->blobs.count + more->count;
    int64_t *all = arena_alloc(&c->mem, (count + 1) * sizeof *all);
    if (g->blobs.count)
        memcpy(all, g->blobs.items, g->blobs.count * sizeof *all);
    memcpy(all + g->blobs.count, more->items, more->count * sizeof *all);
    g->blobs = (struct i64s){all, count};
}

static void add_manifests(struct ctx *c, struct gone *g, const struct level *l)
{
    const struct row *r = l->rows.items;
    struct manifest_gone *all =
        arena_alloc(&c->mem, (g->manifests.count + l->rows.count + 1) * sizeof *all);
    size_t n = g->manifests.count;
    if (n)
        memcpy(all, g->manifests.items, n * sizeof *all);
    for (size_t i = 0; i < l->rows.count; i++)
        if (!l->stays[i] && r[i].size)
            all[n++] = (struct manifest_gone){r[i].digest, r[i].size};
    g->manifests = (struct list){all, n};
}

/* The rows of those that go; their orphans are the next level. */
static enum err drop_level(struct ctx *c, const struct level *l, struct gone *g, struct i64s *next)
{
    struct list own, left;
    const struct row *r = l->rows.items;
    struct i64s ids = {arena_alloc(&c->mem, (l->rows.count + 1) * sizeof(int64_t)), 0};
    bool tagged = false;
    *next = (struct i64s){0};
    for (size_t i = 0; i < l->rows.count; i++)
        if (!l->stays[i]) {
            ids.items[ids.count++] = r[i].id;
            tagged = tagged || r[i].tags;
        }
    if (!ids.count)
        return E_OK;
    struct arg set = arg_of(c, &ids);
    TRY(rows_of(c, &orphans, &ids, &left));
    TRY(rows_of(c, &blobs_of, &ids, &own));
    struct i64s blobs = ids_of(c, &own);
    *next = ids_of(c, &left);
    add_blobs(c, g, &blobs);
    add_manifests(c, g, l);
    if (tagged)
        TRY(tag_delete_of(c, &ids));
    TRY(gc_candidates_add(c, &blobs));
    TRY(sql_run(c, &drop_edges, ARGS(set), NULL));
    return sql_run(c, &drop, ARGS(set), NULL);
}

static bool contained(const struct level *l, int64_t id)
{
    const struct edge *e = l->edges.items;
    for (size_t i = 0; i < l->edges.count; i++)
        if (e[i].child_id == id)
            return true;
    return false;
}

static struct list tell(struct ctx *c, const struct i64s *ids, const struct level *l)
{
    struct removed *out = arena_alloc(&c->mem, (ids->count + 1) * sizeof *out);
    for (size_t i = 0; i < ids->count; i++) {
        const struct row *r = row_of(&l->rows, ids->items[i]);
        out[i] = (struct removed){.id = ids->items[i], .fate = E_NOT_FOUND};
        if (!r)
            continue;
        out[i].digest = r->digest;
        out[i].fate = goes(l, r->id) ? E_OK : E_PRECONDITION;
        out[i].with = !r->tags && contained(l, r->id);
    }
    return (struct list){out, ids->count};
}

/* Indexes in indexes are walked level by level: a stranger decides how deep they are. */
enum err artifacts_remove(struct ctx *c, int64_t project_id, const struct i64s *ids,
                          struct list *out)
{
    struct i64s now = *ids;
    struct gone g = {0};
    struct list refunds;
    TRY(cut(c, ids, &now.count));
    TRY(sql_run(c, &lock_blobs, ARGS(arg_of(c, &now)), NULL));
    for (bool children = false; now.count; children = true) {
        struct level l = {.children = children};
        TRY(look(c, &now, &l));
        if (!children)
            *out = tell(c, &now, &l);
        TRY(drop_level(c, &l, &g, &now));
    }
    TRY(usage_lock_blobs(c, &g.blobs));
    TRY(usage_unlink(c, &g.blobs, &refunds));
    TRY(usage_refund(c, &refunds));
    return usage_refund_manifests(c, project_id, &g.manifests);
}
