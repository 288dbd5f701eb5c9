/* Look-ups in the one list of errors. */
#include "base/err.h"

#include <assert.h>

static const struct {
    const char *name;
    int status;
    const char *harbor, *oci;
} table[] = {
#define X(name, http, harbor, oci) [E_##name] = {#name, http, harbor, oci},
    ERR_LIST(X)
#undef X
};

int err_status(enum err e)
{
    assert(e < E_COUNT);
    return table[e].status;
}

const char *err_code(enum err e)
{
    assert(e < E_COUNT);
    return table[e].harbor;
}

const char *err_oci_code(enum err e)
{
    assert(e < E_COUNT);
    return table[e].oci;
}

const char *err_name(enum err e)
{
    assert(e < E_COUNT);
    return table[e].name;
}
