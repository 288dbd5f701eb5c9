/*
 * Memory of one request or job: allocated in steps, released at once. A budget caps what a
 * stranger can make us allocate; over it arena_alloc returns NULL only through arena_try, while
 * arena_alloc aborts, so untrusted sizes go through arena_try.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/def.h"

struct arena_block;

struct arena {
    char *at, *end;
    struct arena_block *blocks;
    size_t used, budget; /* bytes taken from the heap; 0 = ARENA_BUDGET */
};

#define ARENA_BUDGET ((size_t)64 << 20)

/* Zeroed, aligned for any type, valid until arena_release. Aborts when the heap is exhausted and
   the reserve as well: 1 MiB of small blocks, four of 4 MiB for manifests and the like. */
void *arena_alloc(struct arena *a, size_t n);
/* The same, NULL when the budget or the heap is exhausted. */
void *arena_try(struct arena *a, size_t n);
/* Not zeroed, for who writes all of it at once. Aborts when the heap is exhausted. */
void *arena_raw(struct arena *a, size_t n);
/* n items of size each, zeroed; NULL when the product overflows or is over the budget. */
void *arena_array(struct arena *a, size_t n, size_t each);
void arena_release(struct arena *a);

#endif
