/* Arena: a chain of blocks, the newest one open. Large items get a block of their own. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)8192)

struct arena_block {
    struct arena_block *next;
    _Alignas(16) char data[];
};

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
        free(b);
    }
    *a = (struct arena){.budget = a->budget};
}
