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

#define RESERVE_BLOCKS 128

static struct {
    pthread_mutex_t lock;
    size_t fresh; /* how many were handed out at least once */
    struct arena_block *free;
    struct {
        struct arena_block head;
        _Alignas(16) char data[BLOCK_SIZE];
    } blocks[RESERVE_BLOCKS];
} reserve = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* NULL when it is used up. */
static struct arena_block *reserve_take(void)
{
    heap_refuse();
    pthread_mutex_lock(&reserve.lock);
    struct arena_block *b = reserve.free;
    if (b)
        reserve.free = b->next;
    else if (reserve.fresh < RESERVE_BLOCKS)
        b = &reserve.blocks[reserve.fresh++].head;
    pthread_mutex_unlock(&reserve.lock);
    return b;
}

static void block_free(struct arena_block *b)
{
    uintptr_t at = (uintptr_t)b, low = (uintptr_t)reserve.blocks;
    if (at < low || at >= low + sizeof reserve.blocks) {
        free(b);
        return;
    }
    pthread_mutex_lock(&reserve.lock);
    b->next = reserve.free;
    reserve.free = b;
    pthread_mutex_unlock(&reserve.lock);
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
        b = cap <= BLOCK_SIZE ? reserve_take() : NULL;
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
