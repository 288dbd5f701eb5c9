/* Text helpers. Parsing of numbers is ours because strtol accepts signs, blanks and hex. */
#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct str str_of(const char *c_string)
{
    return c_string ? (struct str){c_string, strlen(c_string)} : NO_STR;
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = size_min(a.n, b.n);
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

struct str str_trim(struct str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
    if (from > s.n)
        from = s.n;
    return (struct str){s.p ? s.p + from : NULL, size_min(n, s.n - from)};
}

int64_t str_find(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

int64_t str_rfind(struct str s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

bool str_contains(struct str s, struct str needle)
{
    return needle.n == 0 || (s.n && memmem(s.p, s.n, needle.p, needle.n) != NULL);
}

struct str str_cut(struct str *rest, char sep)
{
    int64_t at = str_find(*rest, sep);
    size_t n = at < 0 ? rest->n : (size_t)at;
    struct str part = str_sub(*rest, 0, n);
    *rest = str_sub(*rest, at < 0 ? n : n + 1, SIZE_MAX);
    return part;
}

struct str str_dup(struct arena *a, struct str s)
{
    char *p = arena_raw(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){p, s.n};
}

struct str str_vfmt(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    size_t room = (size_t)(a->end - a->at);
    va_copy(again, ap);
    int n = vsnprintf(a->at, room, fmt, ap); /* mostly it fits where it will lie */
    assert(n >= 0);
    char *p = arena_raw(a, (size_t)n + 1);
    if ((size_t)n >= room)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct str){p, (size_t)n};
}

struct str str_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str s = str_vfmt(a, fmt, ap);
    va_end(ap);
    return s;
}

struct str str_lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = lower(s.p[i]);
    return (struct str){p, s.n};
}

const char *str_c(struct arena *a, struct str s)
{
    return str_dup(a, s).p;
}

void str_put(char *to, size_t cap, struct str s)
{
    size_t n = size_min(s.n, cap - 1);
    if (n)
        memcpy(to, s.p, n);
    to[n] = 0;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    if (negative)
        s = str_sub(s, 1, s.n);
    if (s.n == 0 || s.n > 19)
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
            return false;
    }
    *out = negative ? -v : v;
    return true;
}

bool str_to_bool(struct str s, bool *out)
{
    if (str_eq(s, S("true")))
        *out = true;
    else if (str_eq(s, S("false")))
        *out = false;
    else
        return false;
    return true;
}
