/* Where content comes from, and what it may skip. No authority comes from a name. */
#ifndef RULE_ORIGIN_H
#define RULE_ORIGIN_H

#include <stdbool.h>

enum origin { ORIGIN_USER, ORIGIN_PROXY, ORIGIN_REPLICATION, ORIGIN_IMPORT };

struct origin_rule {
    bool into_proxy_project; /* may store into a proxy project */
    bool missing_blobs;      /* blobs may be EXPECTED */
    bool skips_quota;        /* usage is counted, never refused */
    bool leases;             /* links get a lease of 24 h */
    bool upstream_move;      /* tag moves are marked as seen upstream */
};
const struct origin_rule *origin_rule(enum origin o);

#endif
