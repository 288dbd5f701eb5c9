/*
 * Pausing an upstream. A request learns of the pause by the endpoint's row, which it reads anyway,
 * so it holds at once on every node. Fetches under way outlive requests: their leaders look at a
 * list in memory (registry/condition.h), which is read again here: after a change on this node,
 * and every other second for changes of another's.
 */
#include "registry/halt.h"

#include "base/log.h"
#include "registry/flight.h"

enum err halts_read(struct ctx *c)
{
    struct list halted;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(endpoint_halted(c, &halted));
    conditions_set_halted(flights_conditions(c->sv->flights), &halted);
    return E_OK;
}

static enum err write(struct ctx *c, int64_t id, struct str mode, struct str reason)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(endpoint_halt(c, id, mode, reason));
    return tx_commit(&tx);
}

enum err upstream_halt(struct ctx *c, int64_t id, struct str mode, struct str reason)
{
    TRY(write(c, id, mode, reason));
    log_info("audit", "upstream %lld is %.*s by %.*s%s%.*s", (long long)id,
             STR(mode.n ? mode : S("resumed")), STR(c->actor), reason.n ? ": " : "", STR(reason));
    return halts_read(c);
}

int64_t upstream_transfers(struct ctx *c, int64_t id)
{
    return flights_count(c->sv->flights, id);
}
