/*
 * A tag is a run of digits, a run of other bytes, and so on. Runs of digits are compared by value
 * without ever becoming numbers: leading zeros go, then the longer one is the larger one, so no
 * date or build number is too long.
 */
#include "rule/version.h"

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static struct str without_v(struct str s)
{
    bool v = s.n > 1 && (s.p[0] == 'v' || s.p[0] == 'V') && is_digit(s.p[1]);
    return v ? str_sub(s, 1, s.n) : s;
}

static bool is_version(struct str s)
{
    s = without_v(s);
    return s.n && is_digit(s.p[0]);
}

/* The run of digits at the head, without its zeros; *rest begins behind it. */
static struct str take_number(struct str *rest)
{
    size_t end = 0, zeros = 0;
    while (end < rest->n && is_digit(rest->p[end]))
        end++;
    while (zeros + 1 < end && rest->p[zeros] == '0')
        zeros++;
    struct str number = str_sub(*rest, zeros, end - zeros);
    *rest = str_sub(*rest, end, rest->n);
    return number;
}

static int numbers(struct str a, struct str b)
{
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return str_cmp(a, b);
}

/* Ascending. */
static int natural(struct str a, struct str b)
{
    while (a.n && b.n) {
        int order;
        if (is_digit(a.p[0]) && is_digit(b.p[0])) {
            order = numbers(take_number(&a), take_number(&b));
        } else {
            order = str_cmp(str_sub(a, 0, 1), str_sub(b, 0, 1));
            a = str_sub(a, 1, a.n);
            b = str_sub(b, 1, b.n);
        }
        if (order)
            return order;
    }
    return (a.n > 0) - (b.n > 0);
}

int version_cmp(struct str a, struct str b)
{
    bool x = is_version(a), y = is_version(b);
    if (x != y)
        return x ? 1 : -1;
    int order = x ? natural(without_v(b), without_v(a)) : natural(a, b);
    return order ? order : str_cmp(a, b);
}
