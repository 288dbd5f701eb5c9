/* The part of an upstream's pull limit that is kept for people (proxy.quota_floor). Pure. */
#ifndef RULE_FLOOR_H
#define RULE_FLOOR_H

#include "base/str.h"

/* An item of the list: "10%" or "20" pulls for all upstreams, "hub=25%" for the registry of that
   name. */
bool floor_good(struct str item);
/* Pulls that background work leaves of `limit`: of the item that names the endpoint, else of the
   last one without a name. A share is at least FLOOR_LEAST pulls, unless it is 0%. */
int64_t floor_of(struct strs items, struct str endpoint, int64_t limit);
#define FLOOR_LEAST 5

#endif
