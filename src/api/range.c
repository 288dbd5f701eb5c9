/*
 * Range and Content-Range. A range that is malformed or one of several is not honoured, and the
 * whole comes with 200, as RFC 9110 allows; nothing here adds two numbers of a client unchecked.
 */
#include "api/registry.h"

#define DIGITS_MAX 18 /* fits int64_t */

static bool number(struct str s, int64_t *out)
{
    if (!s.n || s.n > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return str_to_i64(s, out);
}

struct byte_range range_parse(struct str header)
{
    struct byte_range none = {0}, range = {.given = true, .from = -1, .end = -1};
    struct str rest = str_trim(header), unit = str_cut(&rest, '=');
    rest = str_trim(rest);
    int64_t dash = str_find(rest, '-');
    if (!str_eq_nocase(str_trim(unit), S("bytes")) || dash < 0 || str_find(rest, ',') >= 0)
        return none;
    struct str first = str_sub(rest, 0, (size_t)dash);
    struct str last = str_sub(rest, (size_t)dash + 1, rest.n);
    if (!first.n) /* the last so many bytes */
        return number(last, &range.end) ? range : none;
    if (!number(first, &range.from))
        return none;
    if (!last.n)
        return range;
    if (!number(last, &range.end) || range.end < range.from)
        return none;
    range.end++;
    return range;
}

bool range_fit(const struct byte_range *range, int64_t size, int64_t *from, int64_t *end)
{
    int64_t a = range->from, b = range->end;
    if (a < 0) {
        if (b <= 0 || size == 0)
            return false;
        *from = i64_max(size - b, 0);
        *end = size;
        return true;
    }
    if (a >= size)
        return false;
    *from = a;
    *end = b < 0 ? size : i64_min(b, size);
    return true;
}

bool content_range_parse(struct str header, int64_t *from, int64_t *end)
{
    struct str rest = str_trim(header);
    if (str_starts(rest, S("bytes ")))
        rest = str_trim(str_sub(rest, 6, rest.n));
    struct str pair = str_cut(&rest, '/'), first = str_cut(&pair, '-');
    int64_t last;
    if (!number(first, from) || !number(pair, &last) || last < *from)
        return false;
    *end = last + 1;
    return true;
}
