/*
 * What each origin may skip, as one table. A row is chosen by the code that starts the work,
 * never by anything in a request.
 */
#include "rule/origin.h"

#include <assert.h>

static const struct origin_rule rules[] = {
    /* a person or a robot with rights: nothing is skipped; what is pushed waits for its manifest */
    [ORIGIN_USER] = {.leases = true},
    /* the proxy filling its own project; blobs come when somebody pulls them */
    [ORIGIN_PROXY] = {.into_proxy_project = true,
                      .missing_blobs = true,
                      .skips_quota = true,
                      .upstream_move = true},
    /* a replication is a push by another means */
    [ORIGIN_REPLICATION] = {.leases = true},
    /* the operator moving what already existed: projects keep their kind and may be full */
    [ORIGIN_IMPORT] = {.into_proxy_project = true, .skips_quota = true, .leases = true},
};

const struct origin_rule *origin_rule(enum origin o)
{
    assert((unsigned)o < sizeof(rules) / sizeof(rules[0]));
    return &rules[o];
}
