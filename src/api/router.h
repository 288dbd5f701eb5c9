/*
 * Paths to rows. Patterns are compiled into a tree of segments: literals before {name}, {name}
 * before {name...}; of the ways in which {name...} can match, the longest wins.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/call.h"

struct router;

struct router_table {
    const char *prefix; /* "/v2" */
    const struct route *routes;
    enum realm realm;
};

/* E_INTERNAL when a row has no guard, a pattern is malformed, or two rows are the same. */
enum err router_new(struct ctx *c, const struct router_table *tables, size_t count,
                    struct router **out);
void router_free(struct router *router);

struct route_match {
    const struct route *route; /* NULL: no row for this method */
    enum realm realm;
    bool path_known;  /* some method has a row here */
    unsigned methods; /* bit per enum http_method */
};
/* Fills r->params for the row found. path is decoded; nothing is copied. */
void router_match(const struct router *router, enum http_method method, struct str path,
                  struct call *r, struct route_match *out);

#endif
