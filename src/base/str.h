/* Text as pointer and length. Never owns; a str from arena functions lives as long as the arena. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/arena.h"

#include <stdarg.h>

struct str {
    const char *p; /* not terminated unless a function says so */
    size_t n;
};

#define S(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR(s) (int)(s).n, (s).p /* for "%.*s" */
#define NO_STR ((struct str){0})

struct strs { /* a list of texts */
    struct str *items;
    size_t count;
};

struct i64s { /* a list of numbers */
    int64_t *items;
    size_t count;
};

struct str str_of(const char *c_string); /* NULL gives NO_STR */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* bytewise, for sorting */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);                       /* spaces and tabs at both ends */
struct str str_sub(struct str s, size_t from, size_t n); /* clamped */
/* Position of the first / last c, or -1. */
int64_t str_find(struct str s, char c);
int64_t str_rfind(struct str s, char c);
bool str_contains(struct str s, struct str needle);
/* Cuts *rest at the first sep: returns the part before, leaves the part after (empty if none). */
struct str str_cut(struct str *rest, char sep);

/* Copies, always followed by a NUL that is not counted. */
struct str str_dup(struct arena *a, struct str s);
struct str str_fmt(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
struct str str_vfmt(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0);
struct str str_lower(struct arena *a, struct str s); /* ASCII */
const char *str_c(struct arena *a, struct str s);    /* terminated copy for a C library */
void str_put(char *to, size_t cap, struct str s);    /* terminated, cut to fit cap bytes */

/* Whole text as a number: digits only, with an optional '-'. */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_bool(struct str s, bool *out); /* "true" | "false" */

#endif
