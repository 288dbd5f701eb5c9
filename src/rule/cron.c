/*
 * Cron in six fields. Each field is a set of bits, so that a moment either is named or is not; the
 * next one is found by going on from the largest unit that does not fit: whole months first, then
 * days, hours, minutes. There are no time zones here: UTC has every minute once.
 *
 * Harbor lets no schedule run more often than once an hour and wants the seconds to be 0. The
 * seconds we ask for as well; how often is the caller's business.
 */
#include "rule/cron.h"

#define DAY_S 86400
#define YEARS_MAX 5

struct part { /* what a field may hold */
    int64_t least, most;
    const char *const *names; /* of least, least + 1, ...; NULL = none */
    size_t name_count;
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

static const struct part parts[] = {
    {0, 59, NULL, 0}, {0, 59, NULL, 0},         {0, 23, NULL, 0},
    {1, 31, NULL, 0}, {1, 12, month_names, 12}, {0, 7, day_names, 7},
};

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_value(const struct part *p, struct str text, int64_t *out)
{
    for (size_t i = 0; i < p->name_count; i++)
        if (str_eq_nocase(text, str_of(p->names[i]))) {
            *out = p->least + (int64_t)i;
            return true;
        }
    return text.n && text.n <= 2 && str_to_i64(text, out) && *out >= p->least && *out <= p->most;
}

/* "*", "5", "1-5", each with "/2" behind it. */
static bool read_item(const struct part *p, struct str text, uint64_t *bits)
{
    int64_t step = 1, from = p->least, to = p->most;
    bool stepped = str_find(text, '/') >= 0;
    struct str range = str_cut(&text, '/');
    if (stepped && (!text.n || text.n > 2 || !str_to_i64(text, &step) || step < 1))
        return false;
    if (!str_eq(range, S("*")) && !str_eq(range, S("?"))) {
        bool two = str_find(range, '-') >= 0;
        struct str first = str_cut(&range, '-');
        if (!read_value(p, first, &from) || (two && !read_value(p, range, &to)))
            return false;
        if (!two && !stepped)
            to = from;
        if (to < from)
            return false;
    } else if (p->names == day_names) {
        to = 6; /* 7 is 0 */
    }
    for (int64_t v = from; v <= to; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static bool read_field(const struct part *p, struct str text, uint64_t *bits, bool *any)
{
    *bits = 0;
    *any = str_eq(text, S("*")) || str_eq(text, S("?"));
    if (!text.n || text.p[text.n - 1] == ',')
        return false;
    while (text.n)
        if (!read_item(p, str_cut(&text, ','), bits))
            return false;
    if (p->names == day_names && (*bits >> 7 & 1))
        *bits = (*bits & 0x7f) | 1;
    return true;
}

const char *cron_parse(struct str text, struct cron *out)
{
    static const char *const wrong[] = {
        "the seconds are no good", "the minutes are no good", "the hours are no good",
        "the days are no good",    "the months are no good",  "the weekdays are no good",
    };
    uint64_t bits[COUNT(parts)];
    bool any[COUNT(parts)];
    size_t count = 0;
    if (text.n > 256)
        return "the schedule is too long";
    while (text.n) {
        struct str word = str_cut(&text, ' ');
        if (!word.n)
            continue;
        if (count == COUNT(parts))
            return "a schedule has six fields";
        if (!read_field(&parts[count], word, &bits[count], &any[count]))
            return wrong[count];
        count++;
    }
    if (count != COUNT(parts))
        return "a schedule has six fields";
    if (bits[0] != 1)
        return "the seconds must be 0";
    *out = (struct cron){bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], any[3], any[5]};
    return NULL;
}

/* ---- the next moment ------------------------------------------------------------------------ */

static bool leap(int64_t y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int64_t days_in(int64_t y, int64_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap(y) ? 29 : days[month - 1];
}

struct date {
    int64_t year, month, day; /* month and day from 1 */
    int64_t number;           /* days since 1970 */
};

static struct date date_of(int64_t number)
{
    struct date d = {1970, 1, 1 + number, number};
    for (int64_t n; d.day > (n = leap(d.year) ? 366 : 365); d.year++)
        d.day -= n;
    for (int64_t n; d.day > (n = days_in(d.year, d.month)); d.month++)
        d.day -= n;
    return d;
}

static void next_day(struct date *d)
{
    d->number++;
    if (++d->day <= days_in(d->year, d->month))
        return;
    d->day = 1;
    if (++d->month <= 12)
        return;
    d->month = 1;
    d->year++;
}

static bool has(uint64_t bits, int64_t n)
{
    return bits >> n & 1;
}

static bool is_day(const struct cron *c, const struct date *d)
{
    bool day = has(c->days, d->day), week = has(c->weekdays, (d->number + 4) % 7);
    if (!has(c->months, d->month))
        return false;
    return c->any_day || c->any_weekday ? day && week : day || week;
}

/* The first second of the day, not before `from`, that is named; -1 = none. */
static int64_t in_day(const struct cron *c, int64_t from)
{
    for (int64_t h = from / 3600; h < 24; h++) {
        if (!has(c->hours, h))
            continue;
        for (int64_t m = h == from / 3600 ? from / 60 % 60 : 0; m < 60; m++) {
            int64_t s = h * 3600 + m * 60;
            if (has(c->minutes, m) && s >= from)
                return s;
        }
    }
    return -1;
}

struct timestamp cron_next(const struct cron *c, struct timestamp t)
{
    int64_t second = i64_max(0, t.us / SECOND_US + 1);
    struct date d = date_of(second / DAY_S);
    int64_t from = second % DAY_S, last = d.number + YEARS_MAX * 366;
    for (; d.number <= last; next_day(&d), from = 0) {
        int64_t s = is_day(c, &d) ? in_day(c, from) : -1;
        if (s >= 0)
            return (struct timestamp){(d.number * DAY_S + s) * SECOND_US};
    }
    return (struct timestamp){0};
}
