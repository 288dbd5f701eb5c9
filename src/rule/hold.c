/*
 * When a digest is old enough.
 *
 * A digest's age begins when this store first heard of it under the tag, so a project that starts
 * to hold tags back waits the whole time once, and a clock that goes back only makes it longer. A
 * digest that upstream replaces meanwhile is forgotten: its successor begins at zero.
 */
#include "rule/hold.h"

#include "rule/glob.h"

#define HOUR_US INT64_C(3600000000)

enum hold_verdict hold_decide(const struct hold_question *q)
{
    if (q->hold_us <= 0)
        return HOLD_NONE;
    if (q->excepted)
        return HOLD_EXCEPTED;
    if (!q->known && !q->new_waits)
        return HOLD_NEW;
    return q->now_us - q->seen_us >= q->hold_us ? HOLD_RELEASED : HOLD_WAIT;
}

bool hold_passes(enum hold_verdict v)
{
    return v != HOLD_WAIT;
}

const char *hold_text(enum hold_verdict v)
{
    switch (v) {
    case HOLD_NONE: break;
    case HOLD_WAIT: return "held";
    case HOLD_RELEASED: return "released";
    case HOLD_EXCEPTED: return "excepted";
    case HOLD_NEW: return "passed";
    }
    return "";
}

bool hold_hours(struct str text, int64_t *us_out)
{
    struct str whole = str_cut(&text, '.');
    int64_t hours, part = 0, unit = HOUR_US;
    if (!str_to_i64(whole, &hours) || hours < 0 || hours > HOLD_HOURS_MAX || text.n > 6)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        unit /= 10;
        part += (text.p[i] - '0') * unit;
    }
    if (hours == HOLD_HOURS_MAX && part > 0)
        return false;
    *us_out = hours * HOUR_US + part;
    return true;
}

/* The next pattern and its half for tags; false when there is none. */
static bool next_pattern(struct str *rest, struct str *repository, struct str *tag)
{
    while (rest->n) {
        struct str word = str_trim(str_cut(rest, ' '));
        if (!word.n)
            continue;
        int64_t colon = str_rfind(word, ':');
        *repository = colon < 0 ? word : str_sub(word, 0, (size_t)colon);
        *tag = colon < 0 ? NO_STR : str_sub(word, (size_t)colon + 1, word.n);
        return true;
    }
    return false;
}

bool hold_excepted(struct str patterns, struct str repository, struct str tag)
{
    struct str repositories, tags;
    while (next_pattern(&patterns, &repositories, &tags))
        if (glob_match(repositories, repository) && glob_match(tags, tag))
            return true;
    return false;
}

bool hold_patterns_good(struct str patterns)
{
    struct str repositories, tags;
    while (next_pattern(&patterns, &repositories, &tags))
        if (glob_check(repositories) || glob_check(tags))
            return false;
    return true;
}
