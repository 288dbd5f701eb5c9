/* Shares and numbers. The list is checked when the settings are read, so an item that is no good
   is not met here; it would count as if it were not there. */
#include "rule/floor.h"

static bool read_item(struct str item, struct str *name, int64_t *n, bool *share)
{
    int64_t equals = str_rfind(item, '='); /* a registry's name may hold one */
    *name = equals < 0 ? NO_STR : str_sub(item, 0, (size_t)equals);
    struct str value = equals < 0 ? item : str_sub(item, (size_t)equals + 1, item.n);
    *share = str_ends(value, S("%"));
    if (*share)
        value.n--;
    if ((equals >= 0 && !name->n) || !value.n || value.n > 15 || !str_to_i64(value, n))
        return false;
    return *n >= 0 && (!*share || *n <= 100);
}

bool floor_good(struct str item)
{
    struct str name;
    int64_t n;
    bool share;
    return read_item(item, &name, &n, &share);
}

int64_t floor_of(struct strs items, struct str endpoint, int64_t limit)
{
    int64_t n, found = 10;
    bool share, found_share = true, named = false;
    struct str name;
    for (size_t i = 0; i < items.count; i++) {
        if (!read_item(items.items[i], &name, &n, &share))
            continue;
        if (name.n ? !str_eq(name, endpoint) : named)
            continue;
        named = name.n > 0;
        found = n;
        found_share = share;
    }
    if (!found_share || !found)
        return found;
    return i64_max(FLOOR_LEAST, limit / 100 * found + limit % 100 * found / 100);
}
