/* Clocks and the two text forms of a time. Parsing is strict and of fixed layout. */
#include "base/clock.h"

#include <string.h>

struct timestamp clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct timestamp){(int64_t)ts.tv_sec * SECOND_US + ts.tv_nsec / 1000};
}

int64_t clock_mono_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec clock_deadline(int64_t ms)
{
    int64_t us = clock_mono_us() + ms * 1000;
    return (struct timespec){.tv_sec = (time_t)(us / 1000000), .tv_nsec = us % 1000000 * 1000};
}

static bool split(struct timestamp t, struct tm *tm, int *ms)
{
    time_t s = (time_t)(t.us / SECOND_US);
    *ms = (int)(t.us % SECOND_US / 1000);
    return gmtime_r(&s, tm) != NULL;
}

static void put_digits(char *p, int width, int v)
{
    while (width--) {
        p[width] = (char)('0' + v % 10);
        v /= 10;
    }
}

struct str time_text(struct arena *a, struct timestamp t)
{
    struct tm tm;
    int ms;
    if (t.us <= 0 || !split(t, &tm, &ms))
        return S("0001-01-01T00:00:00.000Z");
    char *p = arena_raw(a, sizeof "0001-01-01T00:00:00.000Z");
    memcpy(p, "0001-01-01T00:00:00.000Z", sizeof "0001-01-01T00:00:00.000Z");
    put_digits(p, 4, tm.tm_year + 1900);
    put_digits(p + 5, 2, tm.tm_mon + 1);
    put_digits(p + 8, 2, tm.tm_mday);
    put_digits(p + 11, 2, tm.tm_hour);
    put_digits(p + 14, 2, tm.tm_min);
    put_digits(p + 17, 2, tm.tm_sec);
    put_digits(p + 20, 3, ms);
    return (struct str){p, sizeof "0001-01-01T00:00:00.000Z" - 1};
}

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct str time_http(struct arena *a, struct timestamp t)
{
    struct tm tm;
    int ms;
    if (!split(t, &tm, &ms))
        return NO_STR;
    return str_fmt(a, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
                   months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool number(struct str *s, size_t width, char after, int *out)
{
    int64_t v;
    if (s->n < width || !str_to_i64(str_sub(*s, 0, width), &v) || s->p[0] == '-')
        return false;
    *s = str_sub(*s, width, SIZE_MAX);
    if (after) {
        if (!s->n || s->p[0] != after)
            return false;
        *s = str_sub(*s, 1, SIZE_MAX);
    }
    *out = (int)v;
    return true;
}

static bool assemble(struct tm *tm, int64_t us, int offset_min, struct timestamp *out)
{
    static const int length[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
        tm->tm_mday > length[tm->tm_mon - 1] || tm->tm_hour > 23 || tm->tm_min > 59 ||
        tm->tm_sec > 60)
        return false;
    if (tm->tm_mon == 2 && tm->tm_mday == 29 &&
        (tm->tm_year % 4 != 0 || (tm->tm_year % 100 == 0 && tm->tm_year % 400 != 0)))
        return false;
    tm->tm_mon -= 1;
    tm->tm_year -= 1900;
    *out = (struct timestamp){(int64_t)timegm(tm) * SECOND_US + us -
                              (int64_t)offset_min * 60 * SECOND_US};
    return true;
}

/* ".123" in microseconds, 0 when there is none, -1 when there is no digit behind the point. */
static int64_t fraction(struct str *s)
{
    int64_t us = 0, scale = SECOND_US / 10;
    if (!s->n || s->p[0] != '.')
        return 0;
    *s = str_sub(*s, 1, SIZE_MAX);
    if (!s->n || s->p[0] < '0' || s->p[0] > '9')
        return -1;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = str_sub(*s, 1, SIZE_MAX), scale /= 10)
        us += (s->p[0] - '0') * scale;
    return us;
}

bool time_parse(struct str s, struct timestamp *out)
{
    struct tm tm = {0};
    if (!number(&s, 4, '-', &tm.tm_year) || !number(&s, 2, '-', &tm.tm_mon) ||
        !number(&s, 2, 0, &tm.tm_mday) || !s.n || (s.p[0] != 'T' && s.p[0] != ' '))
        return false;
    s = str_sub(s, 1, SIZE_MAX);
    if (!number(&s, 2, ':', &tm.tm_hour) || !number(&s, 2, ':', &tm.tm_min) ||
        !number(&s, 2, 0, &tm.tm_sec))
        return false;
    int64_t us = fraction(&s);
    int offset = 0;
    if (s.n == 6 && (s.p[0] == '+' || s.p[0] == '-')) {
        int h, m, sign = s.p[0] == '-' ? -1 : 1;
        s = str_sub(s, 1, SIZE_MAX);
        if (!number(&s, 2, ':', &h) || !number(&s, 2, 0, &m) || h > 23 || m > 59)
            return false;
        offset = sign * (h * 60 + m);
    } else if (s.n && !str_eq(s, S("Z"))) {
        return false;
    }
    return us >= 0 && assemble(&tm, us, offset, out);
}

bool time_parse_http(struct str s, struct timestamp *out)
{
    struct tm tm = {0};
    if (s.n != 29 || !str_eq(str_sub(s, 3, 2), S(", ")) || !str_ends(s, S(" GMT")))
        return false;
    s = str_sub(s, 5, SIZE_MAX);
    if (!number(&s, 2, ' ', &tm.tm_mday))
        return false;
    for (int i = 0; i < 12; i++)
        if (str_starts(s, str_of(months[i])))
            tm.tm_mon = i + 1;
    s = str_sub(s, 4, SIZE_MAX);
    if (!number(&s, 4, ' ', &tm.tm_year) || !number(&s, 2, ':', &tm.tm_hour) ||
        !number(&s, 2, ':', &tm.tm_min) || !number(&s, 2, ' ', &tm.tm_sec))
        return false;
    return assemble(&tm, 0, 0, out);
}
