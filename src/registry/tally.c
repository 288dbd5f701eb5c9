/*
 * One hash table per process under one mutex: a pull holds it for a few dozen nanoseconds. The
 * flush takes a copy out, writes it in one transaction of at most FLUSH_MAX rows, and puts back
 * what could not be written.
 */
#include "registry/tally.h"

#include "base/log.h"
#include "meta/store.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 8192 /* a power of two */
#define FULL (SLOTS / 4 * 3)
#define FLUSH_MAX 1000

static struct {
    pthread_mutex_t lock;
    struct pull_count slots[SLOTS]; /* open addressing; artifact_id 0 = free */
    size_t used;
    int64_t lost;
} tally = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t slot_of(int64_t artifact_id, int64_t tag_id)
{
    uint64_t h = (uint64_t)artifact_id * UINT64_C(0x9E3779B97F4A7C15);
    h ^= (uint64_t)tag_id * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (size_t)(h >> 40) % SLOTS;
}

/* Under the lock. */
static void add(const struct pull_count *p)
{
    size_t i = slot_of(p->artifact_id, p->tag_id);
    while (tally.slots[i].artifact_id &&
           (tally.slots[i].artifact_id != p->artifact_id || tally.slots[i].tag_id != p->tag_id))
        i = (i + 1) % SLOTS;
    struct pull_count *slot = &tally.slots[i];
    if (slot->artifact_id) {
        slot->count += p->count;
        slot->last.us = i64_max(slot->last.us, p->last.us);
    } else if (tally.used < FULL) {
        *slot = *p;
        tally.used++;
    } else {
        tally.lost += p->count;
    }
}

void tally_pull(int64_t repository_id, int64_t artifact_id, int64_t tag_id)
{
    struct pull_count p = {.repository_id = repository_id,
                           .artifact_id = artifact_id,
                           .tag_id = tag_id,
                           .count = 1,
                           .last = clock_now()};
    pthread_mutex_lock(&tally.lock);
    add(&p);
    pthread_mutex_unlock(&tally.lock);
}

/* Takes everything out, into memory of the caller. */
static size_t take(struct ctx *c, struct pull_count **out, int64_t *lost)
{
    size_t n = 0;
    pthread_mutex_lock(&tally.lock);
    if (tally.used) {
        *out = arena_alloc(&c->mem, tally.used * sizeof **out);
        for (size_t i = 0; i < SLOTS; i++)
            if (tally.slots[i].artifact_id)
                (*out)[n++] = tally.slots[i];
        memset(tally.slots, 0, sizeof tally.slots);
        tally.used = 0;
    }
    *lost = tally.lost;
    tally.lost = 0;
    pthread_mutex_unlock(&tally.lock);
    return n;
}

static enum err write_some(struct ctx *c, const struct pull_count *pulls, size_t n)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(pulls_add(c, pulls, n));
    return tx_commit(&tx);
}

static enum err flush(struct ctx *c)
{
    struct pull_count *pulls = NULL;
    int64_t lost;
    size_t n = take(c, &pulls, &lost);
    if (lost)
        log_warn("registry", "%lld pulls were not counted: too many artifacts at once",
                 (long long)lost);
    for (size_t at = 0; at < n; at += FLUSH_MAX) {
        enum err e = write_some(c, pulls + at, size_min(FLUSH_MAX, n - at));
        if (e == E_OK)
            continue;
        pthread_mutex_lock(&tally.lock);
        for (; at < n; at++)
            add(&pulls[at]);
        pthread_mutex_unlock(&tally.lock);
        return e;
    }
    return E_OK;
}

/* One at a time, so that after it everything that was counted before it can be read. */
enum err tally_flush(struct ctx *c)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    enum err e = flush(c);
    pthread_mutex_unlock(&one);
    return e;
}
