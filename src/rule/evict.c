/*
 * The order in which a full cache gives up images, and who is spared.
 *
 * Sizes are upper bounds (layers may be shared with images that stay), so a choice may be worth
 * less than it seems and the caller asks again; it never takes more than it must. The newest image
 * is spared only while blobs of it are still to come: a complete one larger than the whole cache
 * goes as well, whoever reads it has it open.
 */
#include "rule/evict.h"

#include "rule/glob.h"

#include <stdlib.h>

static int by_age(const void *a, const void *b)
{
    const struct evict_unit *x = a, *y = b;
    if (x->last_us != y->last_us)
        return x->last_us < y->last_us ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool may_go(const struct evict_unit *u, int64_t now_us)
{
    if (u->pinned || u->flying)
        return false;
    bool young = now_us - u->last_us < EVICT_PATIENCE_S * INT64_C(1000000);
    return !(u->newest && u->incomplete && young);
}

size_t evict_choose(struct evict_unit *units, size_t n, int64_t need, int64_t now_us,
                    size_t *chosen)
{
    size_t count = 0;
    int64_t sum = 0;
    qsort(units, n, sizeof *units, by_age);
    for (size_t i = 0; i < n && sum < need; i++) {
        if (!may_go(&units[i], now_us))
            continue;
        chosen[count++] = i;
        if (!add_i64(sum, i64_max(0, units[i].size), &sum))
            sum = INT64_MAX;
    }
    return count;
}

/* ---- pins --------------------------------------------------------------------------------- */

static struct str next_word(struct str *rest)
{
    struct str word = NO_STR;
    while (rest->n && !word.n)
        word = str_cut(rest, ' ');
    return word;
}

/* Cuts repository:tag; *by_tag false: the pattern is for the repository alone. */
static void split(struct str pattern, struct str *repository, struct str *tag, bool *by_tag)
{
    int64_t colon = str_rfind(pattern, ':');
    *by_tag = colon >= 0;
    *repository = *by_tag ? str_sub(pattern, 0, (size_t)colon) : pattern;
    *tag = *by_tag ? str_sub(pattern, (size_t)colon + 1, pattern.n) : NO_STR;
}

static bool pins(struct str pattern, struct str repository, struct str tags)
{
    struct str of_repository, of_tag;
    bool by_tag;
    split(pattern, &of_repository, &of_tag, &by_tag);
    if (!glob_match(of_repository, repository))
        return false;
    for (struct str tag = next_word(&tags); by_tag && tag.n; tag = next_word(&tags))
        if (glob_match(of_tag, tag))
            return true;
    return !by_tag;
}

bool evict_pinned(struct str patterns, struct str repository, struct str tags)
{
    for (struct str p = next_word(&patterns); p.n; p = next_word(&patterns))
        if (pins(p, repository, tags))
            return true;
    return false;
}

const char *evict_pins_check(struct str patterns)
{
    const char *wrong = NULL;
    for (struct str p = next_word(&patterns); p.n && !wrong; p = next_word(&patterns)) {
        struct str repository, tag;
        bool by_tag;
        split(p, &repository, &tag, &by_tag);
        wrong = glob_check(repository);
        wrong = wrong ? wrong : glob_check(tag);
    }
    return wrong;
}

/* ---- the floor ---------------------------------------------------------------------------- */

bool evict_floor(struct str text, int64_t total, int64_t *out)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int64_t n = 0, unit = 1;
    text = str_trim(text);
    if (!text.n) {
        *out = 0;
        return true;
    }
    if (str_ends(text, S("%"))) {
        if (!str_to_i64(str_trim(str_sub(text, 0, text.n - 1)), &n) || n < 0 || n > 99)
            return false;
        *out = total / 100 * n;
        return true;
    }
    for (size_t i = 0; i < COUNT(units); i++)
        if (str_ends(text, str_of(units[i]))) {
            unit = INT64_C(1) << (10 * (i + 1));
            text = str_trim(str_sub(text, 0, text.n - 3));
            break;
        }
    return str_to_i64(text, &n) && n >= 0 && !__builtin_mul_overflow(n, unit, out);
}

bool evict_reserve(struct str text, int64_t total, int64_t *out)
{
    if (!str_eq(str_trim(text), S("auto")))
        return evict_floor(text, total, out);
    *out = i64_min(i64_max(INT64_C(1) << 30, total / 50), total / 16);
    return true;
}
