/*
 * Numbers here come from strangers and are sums waiting to overflow, so they are read by our own
 * digits, cut at INT64_MAX, and compared before anything is added to them. A Range we do not
 * understand is ignored, as RFC 9110 allows; one that lies outside or runs backwards is 416.
 */
#include "net/range.h"

/* Digits at the front, cut at INT64_MAX; false when there is none. */
static bool take_number(struct str *s, int64_t *out)
{
    size_t i = 0;
    int64_t v = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s->p[i] - '0', &v))
            v = INT64_MAX;
    *s = str_sub(*s, i, s->n);
    *out = v;
    return i > 0;
}

static bool take_char(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

static bool parse_one(struct str s, struct range_spec *out)
{
    struct range_spec spec = {-1, INT64_MAX};
    if (take_char(&s, '-')) {
        if (!take_number(&s, &spec.last) || s.n)
            return false;
        *out = spec;
        return true;
    }
    if (!take_number(&s, &spec.first) || !take_char(&s, '-'))
        return false;
    if (s.n && (!take_number(&s, &spec.last) || s.n))
        return false;
    *out = spec;
    return true;
}

enum range_answer range_spec_parse(struct str header, struct range_spec *out)
{
    struct str rest = header, unit = str_cut(&rest, '=');
    if (!str_eq_nocase(unit, S("bytes")))
        return RANGE_WHOLE;
    size_t commas = 0;
    for (size_t i = 0; i < rest.n; i++)
        commas += rest.p[i] == ',';
    if (commas >= RANGES_MAX)
        return RANGE_UNSATISFIABLE;
    if (commas || !parse_one(str_trim(rest), out))
        return RANGE_WHOLE;
    return out->first > out->last ? RANGE_UNSATISFIABLE : RANGE_PART;
}

enum range_answer range_resolve(struct range_spec spec, int64_t size, int64_t *offset_out,
                                int64_t *end_out)
{
    if (spec.first < 0) {
        if (spec.last == 0 || size == 0)
            return RANGE_UNSATISFIABLE;
        *offset_out = spec.last < size ? size - spec.last : 0;
        *end_out = size;
        return RANGE_PART;
    }
    if (spec.first >= size)
        return RANGE_UNSATISFIABLE;
    *offset_out = spec.first;
    *end_out = spec.last < size ? spec.last + 1 : size;
    return RANGE_PART;
}

bool if_range_matches(struct str if_range, struct str etag)
{
    return if_range.n == 0 || (if_range.p[0] == '"' && str_eq(if_range, etag));
}

static struct str without_weak(struct str tag)
{
    return str_starts(tag, S("W/")) ? str_sub(tag, 2, tag.n) : tag;
}

bool etag_listed(struct str list, struct str etag)
{
    struct str wanted = without_weak(etag);
    while (list.n) {
        struct str item = str_trim(str_cut(&list, ','));
        if (str_eq(item, S("*")) || (wanted.n && str_eq(without_weak(item), wanted)))
            return true;
    }
    return false;
}

struct str content_range(struct arena *a, int64_t offset, int64_t end, int64_t size)
{
    if (size < 0)
        return str_fmt(a, "bytes %lld-%lld/*", (long long)offset, (long long)end - 1);
    return str_fmt(a, "bytes %lld-%lld/%lld", (long long)offset, (long long)end - 1,
                   (long long)size);
}

struct str content_range_unsatisfied(struct arena *a, int64_t size)
{
    return str_fmt(a, "bytes */%lld", (long long)size);
}

/* "first-last"; the end stays below INT64_MAX. */
static bool take_span(struct str *s, int64_t *offset, int64_t *end)
{
    int64_t last;
    if (!take_number(s, offset) || !take_char(s, '-') || !take_number(s, &last) ||
        last == INT64_MAX || last < *offset)
        return false;
    *end = last + 1;
    return true;
}

bool content_range_of(struct str header, int64_t *offset_out, int64_t *end_out, int64_t *size_out)
{
    struct str s = header, unit = str_cut(&s, ' ');
    int64_t offset, end, size = -1;
    if (!str_eq_nocase(unit, S("bytes")) || !take_span(&s, &offset, &end) || !take_char(&s, '/'))
        return false;
    if (!take_char(&s, '*') && (!take_number(&s, &size) || size < end || size == INT64_MAX))
        return false;
    if (s.n)
        return false;
    *offset_out = offset;
    *end_out = end;
    *size_out = size;
    return true;
}

bool upload_range_parse(struct str header, int64_t *offset_out, int64_t *end_out)
{
    struct str s = header;
    int64_t offset, end;
    if (!take_span(&s, &offset, &end) || s.n)
        return false;
    *offset_out = offset;
    *end_out = end;
    return true;
}

struct str upload_range(struct arena *a, int64_t size)
{
    return str_fmt(a, "0-%lld", (long long)(size > 0 ? size - 1 : 0));
}
