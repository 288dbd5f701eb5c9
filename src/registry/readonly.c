/* The switch in memory: a request must not ask the database for it. */
#include "registry/readonly.h"

#include "base/log.h"
#include "meta/store.h"

#include <stdatomic.h>

static atomic_bool on_now;

bool read_only(void)
{
    return atomic_load_explicit(&on_now, memory_order_relaxed);
}

enum err read_only_read(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct str value;
    TRY(tx_read(c, &tx));
    enum err e = value_get(c, S("read_only"), &value);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    atomic_store(&on_now, e == E_OK && str_eq(value, S("true")));
    return E_OK;
}

enum err read_only_set(struct ctx *c, bool on)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(value_set(c, S("read_only"), on ? S("true") : S("false")));
    TRY(event_emit(c, "UPDATE_CONFIGURATION", 0,
                   on ? S("{\"read_only\":true}") : S("{\"read_only\":false}")));
    TRY(tx_commit(&tx));
    atomic_store(&on_now, on);
    log_info("audit", "read-only mode is %s by %.*s", on ? "on" : "off", STR(c->actor));
    return E_OK;
}
