/* Places and endpoints that outlive the request that they come from. */
#ifndef REGISTRY_PLACE_H
#define REGISTRY_PLACE_H

#include "registry/pull.h"

/* In the arena. Of its principal only the name comes along: nobody's rights travel. */
struct place *place_copy(struct arena *a, const struct place *at);
void endpoint_copy(struct arena *a, const struct endpoint *e, struct endpoint *out);

#endif
