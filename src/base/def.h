/* The few macros of the house. If a function can do it, it is a function. */
#ifndef BASE_DEF_H
#define BASE_DEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define UNUSED __attribute__((unused))
#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))

/* Gives a resource away: yields p and leaves NULL behind. */
#define TAKE(p)                                                                                    \
    (__extension__({                                                                               \
        __typeof__(p) take_it = (p);                                                               \
        (p) = NULL;                                                                                \
        take_it;                                                                                   \
    }))

/* gcc has no nodiscard types in C; clang's build enforces it. */
#ifdef __clang__
#define NODISCARD __attribute__((warn_unused_result))
#else
#define NODISCARD
#endif

static inline int64_t i64_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t i64_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Sums and casts of numbers that a client gave: false when the result does not fit. */
static inline bool add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool i64_to_size(int64_t n, size_t *out)
{
    return n >= 0 && !__builtin_add_overflow((uint64_t)n, 0U, out);
}

#endif
