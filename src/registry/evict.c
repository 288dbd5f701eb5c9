/*
 * Eviction. One at a time in this process; each image goes in a transaction of its own, and the
 * bytes after it as garbage collection deletes them: condemned, looked at again, given up, deleted,
 * forgotten. So a blob that an image elsewhere needs, a push that holds a lease, and whoever has
 * the file open lose nothing, and a reader that comes a moment too late finds no row and asks
 * upstream.
 *
 * What an image really gives back is known when it is gone (layers are shared), so the bound is
 * looked at again after each round, and no round takes more than seems needed.
 */
#include "registry/evict.h"

#include "base/log.h"
#include "base/metric.h"
#include "blob/store.h"
#include "meta/evict.h"
#include "meta/project.h"
#include "meta/removal.h"
#include "registry/again.h"
#include "registry/flight.h"
#include "registry/gc.h"
#include "registry/tally.h"
#include "rule/evict.h"
#include "rule/settings.h"

#include <pthread.h>
#include <string.h>

#define PAGE 500
#define LOOSE 200
#define SETTLE_MAX 100 /* pages that are put in order before one is taken */
#define ROUNDS_MAX 10000

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

/* A bound: of a project, or of the file system (project_id 0). */
struct bound {
    int64_t project_id;
    int64_t size;  /* file system: bytes that are to come */
    int64_t floor; /* file system: bytes that must stay free */
    int64_t space; /* file system: bytes that were free when the run began */
    int64_t freed; /* by this run */
    int64_t images;
};

/* How many bytes are too many; 0 or less: none. */
static enum err missing(struct ctx *c, const struct bound *b, int64_t *out)
{
    if (b->project_id) {
        CLEANUP(tx_end) struct tx tx = {0};
        struct evict_project p;
        TRY(tx_read(c, &tx));
        enum err e = evict_use(c, b->project_id, &p);
        *out = e == E_OK && p.storage_limit >= 0 ? p.storage_used - p.storage_limit : 0;
        return e == E_NOT_FOUND ? E_OK : e;
    }
    int64_t to_come;
    struct strs flying;
    flights_under_way(c->sv->flights, &c->mem, &flying, &to_come);
    *out = b->size + b->floor + to_come - b->space - b->freed;
    return E_OK;
}

/* ---- one image ---------------------------------------------------------------------------- */

static enum err take_out(struct ctx *c, const struct evict_row *row, struct i64s *blobs)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct list gone;
    int64_t id = row->id;
    TRY(tx_begin(c, &tx));
    TRY(evict_still(c, row));
    TRY(evict_blobs(c, row->id, blobs));
    TRY(artifacts_remove(c, row->project_id, &(struct i64s){&id, 1}, &gone));
    const struct removed *r = gone.items;
    return r->fate == E_OK ? tx_commit(&tx) : r->fate;
}

/* *gone false: it was pulled, tagged or taken into an index in this moment, and stays. */
static enum err evict_image(struct ctx *c, const struct evict_row *row, int64_t *freed, bool *gone)
{
    struct i64s blobs = {0};
    int64_t began = clock_mono_ms();
    enum err e = take_out(c, row, &blobs);
    for (int tries = 1; again(e, tries, began); tries++)
        e = take_out(c, row, &blobs);
    *gone = e == E_OK;
    *freed = 0;
    if (e == E_NOT_FOUND || e == E_PRECONDITION)
        return E_OK;
    TRY(e);
    metric_add(M_evicted_artifacts, 1);
    log_debug("evict", "%.*s@%.*s left the cache", STR(row->repository), STR(row->digest));
    return gc_free(c, blobs.items, blobs.count, freed);
}

/* ---- a round ------------------------------------------------------------------------------ */

static bool is_among(const struct i64s *ids, int64_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->items[i] == id)
            return true;
    return false;
}

/* Images with a blob in the air. */
static enum err find_flying(struct ctx *c, struct i64s *out)
{
    struct strs digests;
    int64_t to_come;
    struct i64s all = {0};
    flights_under_way(c->sv->flights, &c->mem, &digests, &to_come);
    for (size_t i = 0; i < digests.count; i++) {
        struct i64s some;
        TRY(evict_holders(c, digests.items[i], &some));
        int64_t *items = arena_array(&c->mem, all.count + some.count + 1, sizeof *items);
        if (!items)
            return fail(c, E_UNAVAILABLE, "too many images are being fetched");
        if (all.count)
            memcpy(items, all.items, all.count * sizeof *items);
        if (some.count)
            memcpy(items + all.count, some.items, some.count * sizeof *items);
        all = (struct i64s){items, all.count + some.count};
    }
    *out = all;
    return E_OK;
}

static void describe(const struct list *page, const struct i64s *flying, struct evict_unit *units)
{
    const struct evict_row *rows = page->items;
    for (size_t i = 0; i < page->count; i++)
        units[i] = (struct evict_unit){
            .id = (int64_t)i, /* the pages come sorted, so the order of places is the order */
            .last_us = rows[i].last.us,
            .size = rows[i].size,
            .pinned = rows[i].held || rows[i].last.us > rows[i].used.us || /* out of its place */
                      evict_pinned(rows[i].pins, rows[i].repository, rows[i].tags),
            .flying = is_among(flying, rows[i].id),
            .incomplete = rows[i].incomplete,
            .newest = page->count < PAGE && i + 1 == page->count,
        };
}

/* Puts images whose children were pulled later where they belong; *moved: there were any. */
static enum err settle_page(struct ctx *c, const struct list *page, bool *moved)
{
    const struct evict_row *rows = page->items;
    CLEANUP(tx_end) struct tx tx = {0};
    *moved = false;
    for (size_t i = 0; i < page->count; i++) {
        if (rows[i].last.us <= rows[i].used.us)
            continue;
        if (!*moved)
            TRY(tx_begin(c, &tx));
        *moved = true;
        TRY(evict_settle(c, &rows[i]));
    }
    return *moved ? tx_commit(&tx) : E_OK;
}

/* A page of images after `after`, in the order of their last use. */
static enum err read_page(struct ctx *c, const struct bound *b, const struct evict_row *after,
                          struct list *page)
{
    bool moved = true;
    for (int i = 0; moved && i < SETTLE_MAX; i++) {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(evict_page(c, b->project_id, after->used, after->id, PAGE, page));
        tx_end(&tx);
        TRY(settle_page(c, page, &moved));
    }
    return E_OK;
}

/* A page of images after `after`, and who of them goes. */
static enum err choose(struct ctx *c, const struct bound *b, int64_t need,
                       const struct evict_row *after, struct list *page, size_t *chosen,
                       size_t *count)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct i64s flying;
    struct evict_unit *units = arena_alloc(&c->mem, PAGE * sizeof *units);
    TRY(read_page(c, b, after, page));
    TRY(tx_read(c, &tx));
    TRY(find_flying(c, &flying));
    describe(page, &flying, units);
    *count = evict_choose(units, page->count, need, tx.now.us, chosen);
    return E_OK;
}

/* Evicts about `need` bytes; *went: whether anything did. */
static enum err round_of(struct ctx *c, struct bound *b, int64_t need, bool *went)
{
    struct evict_row after = {.used = {-1}};
    size_t *chosen = arena_alloc(&c->mem, PAGE * sizeof *chosen);
    for (*went = false; !*went;) {
        struct list page = {0};
        size_t count = 0;
        TRY(choose(c, b, need, &after, &page, chosen, &count));
        const struct evict_row *rows = page.items;
        for (size_t i = 0; i < count; i++) {
            int64_t freed;
            bool gone;
            if (gc_stopping())
                return fail(c, E_UNAVAILABLE, "stopped: the server ends");
            TRY(evict_image(c, &rows[chosen[i]], &freed, &gone));
            b->freed += freed;
            b->images += gone;
            *went |= gone;
        }
        if (page.count < PAGE)
            break;
        after = rows[page.count - 1];
    }
    return E_OK;
}

/* Blobs that came without a manifest, or whose manifest is gone. */
static enum err free_loose(struct ctx *c, struct bound *b)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct i64s ids;
    int64_t freed = 0;
    TRY(tx_read(c, &tx));
    TRY(evict_loose(c, b->project_id, LOOSE, &ids));
    tx_end(&tx);
    if (ids.count)
        TRY(gc_free(c, ids.items, ids.count, &freed));
    b->freed += freed;
    return E_OK;
}

/* ---- a run -------------------------------------------------------------------------------- */

/* Each round has memory of its own. */
static enum err one_round(struct ctx *outer, struct bound *b, bool first, bool *more)
{
    struct ctx c = {.sv = outer->sv, .actor = outer->actor};
    int64_t need = 0;
    enum err e = missing(&c, b, &need);
    *more = false;
    if (e == E_OK && need > 0 && first) {
        e = tally_flush(&c);
        if (e == E_OK)
            e = free_loose(&c, b);
        *more = true;
    } else if (e == E_OK && need > 0) {
        e = round_of(&c, b, need, more);
    }
    if (e != E_OK)
        memcpy(outer->msg, c.msg, sizeof outer->msg);
    ctx_release(&c);
    return e;
}

static enum err shrink(struct ctx *c, struct bound *b)
{
    bool more = true;
    enum err e = E_OK;
    for (int i = 0; e == E_OK && more && i < ROUNDS_MAX; i++)
        e = one_round(c, b, i == 0, &more);
    metric_add(M_evicted_bytes, b->freed);
    if (b->images || b->freed)
        log_info("evict", "%lld images went, %lld bytes are free again", (long long)b->images,
                 (long long)b->freed);
    return e;
}

enum err evict_project(struct ctx *c, int64_t project_id)
{
    struct bound b = {.project_id = project_id};
    pthread_mutex_lock(&one);
    enum err e = shrink(c, &b);
    pthread_mutex_unlock(&one);
    return e;
}

/* Measures what is free and what must be. */
static enum err measure(struct ctx *c, struct bound *b, int64_t *need)
{
    int64_t total, reserve;
    TRY(store_space(c, &b->space, &total));
    if (!evict_floor(c->sv->settings->proxy_free_floor, total, &b->floor))
        b->floor = 0; /* config.c refuses such a value */
    if (!evict_reserve(c->sv->settings->store_reserve, total, &reserve))
        reserve = 0;
    if (b->size)
        b->floor = i64_max(b->floor, i64_max(EVICT_RESERVE, reserve));
    b->freed = 0;
    return missing(c, b, need);
}

/* Nothing goes for a blob that would not fit into an empty cache either. */
static enum err keep_free(struct ctx *c, struct bound *b, bool *fits)
{
    int64_t need, cached;
    TRY(measure(c, b, &need));
    if (need > 0) {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(evict_total(c, &cached));
        tx_end(&tx);
        if (!b->size || need <= cached) {
            TRY(shrink(c, b));
            TRY(measure(c, b, &need)); /* what is open somewhere is not free yet */
        }
    }
    *fits = need <= 0;
    return E_OK;
}

enum err evict_make_room(struct ctx *c, int64_t size, bool *fits)
{
    struct bound b = {.size = size};
    int64_t need;
    TRY(measure(c, &b, &need)); /* mostly there is room, and nobody waits for anybody */
    *fits = need <= 0;
    if (*fits)
        return E_OK;
    pthread_mutex_lock(&one);
    enum err e = keep_free(c, &b, fits);
    pthread_mutex_unlock(&one);
    return e;
}

static enum err read_over(struct ctx *c, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return evict_over(c, out);
}

enum err evict_all(struct ctx *c)
{
    struct list over;
    struct bound b = {0};
    bool fits;
    TRY(read_over(c, &over));
    const struct evict_project *p = over.items;
    for (size_t i = 0; i < over.count; i++)
        TRY(evict_project(c, p[i].id));
    pthread_mutex_lock(&one);
    enum err e = keep_free(c, &b, &fits);
    pthread_mutex_unlock(&one);
    return e;
}
