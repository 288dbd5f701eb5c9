/* Our own operations, below /api/cove/v1: what Harbor's API has no words for. */
#include "api/call.h"
#include "registry/ledger.h"

static const struct field ledger_fields[] = {
    FIELD(struct ledger_line, endpoint_id, 0, 0),
    FIELD(struct ledger_line, endpoint, 0, 0),
    FIELD(struct ledger_line, credential, 0, 0),
    FIELD(struct ledger_line, source, F_OMIT, 0),
    FIELD(struct ledger_line, limit, 0, 0),
    FIELD(struct ledger_line, remaining, 0, 0),
    FIELD(struct ledger_line, window_s, 0, 0),
    FIELD(struct ledger_line, seen_at, F_NULL, 0),
    FIELDS_END,
};

/* What upstreams said last of their pull limits, per endpoint and credential. */
static enum err list_quota(struct call *r)
{
    struct ledger_line *lines = NULL;
    size_t count = 0;
    TRY(ledger_list(r->c, &lines, &count));
    struct list list = {lines, count};
    return reply_list(r, ledger_fields, &list, sizeof *lines, (int64_t)count);
}

const struct route cove_routes[] = {
    {HTTP_GET, "/quota", "listUpstreamQuota", SYSTEM(REGISTRY, LIST), NO_BODY, list_quota, 0},
    {0},
};
