/*
 * Arena: a chain of blocks, the newest one open. Large items get a block of their own. When the
 * heap has nothing, blocks come from a reserve, so that who is under way comes to an end; pages of
 * it that were never needed cost nothing.
 */
#include "base/arena.h"

#include "base/heap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)8192)

struct arena_block {
    struct arena_block *next;
    _Alignas(16) char data[];
};

/* Of a kind of block: small ones for what requests are made of, large ones for a manifest. */
struct reserve {
    size_t size, count;
    char *blocks;
    size_t fresh; /* how many were handed out at least once */
    struct arena_block *free;
};

#define SMALL_COUNT 128
#define LARGE_COUNT 4
#define SMALL_SIZE (sizeof(struct arena_block) + BLOCK_SIZE)
#define LARGE_SIZE (sizeof(struct arena_block) + ((size_t)4 << 20) + 4096)

static _Alignas(16) char small_blocks[SMALL_COUNT * SMALL_SIZE];
static _Alignas(4096) char large_blocks[LARGE_COUNT * LARGE_SIZE];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct reserve reserves[] = {
    {.size = SMALL_SIZE, .count = SMALL_COUNT, .blocks = small_blocks},
    {.size = LARGE_SIZE, .count = LARGE_COUNT, .blocks = large_blocks},
};

/* NULL when what is large enough is used up. */
static struct arena_block *reserve_take(size_t size)
{
    struct arena_block *b = NULL;
    heap_refuse();
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT(reserves) && !b; i++) {
        struct reserve *r = &reserves[i];
        if (size > r->size)
            continue;
        b = r->free;
        if (b)
            r->free = b->next;
        else if (r->fresh < r->count)
            b = (struct arena_block *)(void *)(r->blocks + r->size * r->fresh++);
    }
    pthread_mutex_unlock(&lock);
    return b;
}

static void block_free(struct arena_block *b)
{
    for (size_t i = 0; i < COUNT(reserves); i++) {
        struct reserve *r = &reserves[i];
        uintptr_t at = (uintptr_t)b, low = (uintptr_t)r->blocks;
        if (at < low || at >= low + r->size * r->count)
            continue;
        pthread_mutex_lock(&lock);
        b->next = r->free;
        r->free = b;
        pthread_mutex_unlock(&lock);
        return;
    }
    free(b);
}

static size_t round_up(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static void *new_block(struct arena *a, size_t n, bool keep_open)
{
    size_t budget = a->budget ? a->budget : ARENA_BUDGET;
    size_t cap = n > BLOCK_SIZE / 4 && !keep_open ? n : BLOCK_SIZE;
    if (cap < n)
        cap = n;
    if (cap > budget || a->used > budget - cap)
        return NULL;
    struct arena_block *b = malloc(sizeof *b + cap);
    if (!b)
        b = reserve_take(sizeof *b + cap);
    if (!b)
        return NULL;
    b->next = a->blocks;
    a->blocks = b;
    a->used += cap;
    if (cap == BLOCK_SIZE) {
        a->at = b->data + n;
        a->end = b->data + cap;
    }
    return b->data;
}

static void *take(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - 64)
        return NULL;
    n = round_up(n ? n : 1);
    if ((size_t)(a->end - a->at) >= n) {
        void *p = a->at;
        a->at += n;
        return p;
    }
    return new_block(a, n, false);
}

/* Zeroed here and not with the block: most of a block is never handed out. */
void *arena_try(struct arena *a, size_t n)
{
    void *p = take(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_raw(struct arena *a, size_t n)
{
    void *p = take(a, n);
    if (!p)
        abort();
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = arena_try(a, n);
    if (!p)
        abort();
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t each)
{
    size_t total;
    if (__builtin_mul_overflow(n, each, &total))
        return NULL;
    return arena_try(a, total);
}

void arena_release(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    *a = (struct arena){.budget = a->budget};
}
