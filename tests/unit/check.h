/* What every unit test includes: cmocka, and comparisons of the house's texts. */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include "base/ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Like assert_true, but a failing row of a table says which one it was. */
#define check(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail_msg("%s", #condition);                                                            \
        }                                                                                          \
    } while (0)

static inline void check_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got '%.*s', want '%s'", STR(got), want);
}

/* count copies of what, as one text. */
static inline struct str repeated(struct arena *a, const char *what, size_t count)
{
    size_t n = strlen(what);
    char *p = arena_alloc(a, n * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(p + i * n, what, n);
    return (struct str){p, n * count};
}

#endif
