/* The sums of quotas, which client-given sizes must not overflow, and their wording. */
#include "rule/quota.h"

#include <inttypes.h>

struct str quota_size_text(struct arena *a, int64_t bytes)
{
    int64_t unit = 1024;
    size_t power = 0;
    if (bytes < unit)
        return str_fmt(a, "%lld B", (long long)bytes);
    for (int64_t n = bytes / 1024; n >= 1024; n /= 1024) {
        unit *= 1024;
        power++;
    }
    return str_fmt(a, "%.1f %ciB", (double)bytes / (double)unit, "KMGTPE"[power]);
}

enum err quota_admits(struct ctx *c, int64_t hard, int64_t used, int64_t adding)
{
    int64_t sum;
    if (hard < 0 || adding <= 0)
        return E_OK;
    if (add_i64(used, adding, &sum) && sum <= hard)
        return E_OK;
    struct str more = quota_size_text(&c->mem, adding), now = quota_size_text(&c->mem, used),
               limit = quota_size_text(&c->mem, hard);
    return fail(c, E_DENIED,
                "adding %.*s of storage resource, which when updated to current usage of %.*s "
                "will exceed the configured upper limit of %.*s.",
                STR(more), STR(now), STR(limit));
}

enum err quota_check_limit(struct ctx *c, const char *field, int64_t hard)
{
    if (hard == QUOTA_NONE || (hard > 0 && hard <= QUOTA_MAX))
        return E_OK;
    return fail(c, E_BAD_REQUEST, "%s: expected -1 or 1 to %" PRId64 " bytes", field, QUOTA_MAX);
}
