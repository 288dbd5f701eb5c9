/* How fast proxy projects fetch: one token bucket per project over all bytes its upstream sends
   (proxy_speed_kb). In memory, for this process. */
#ifndef REGISTRY_PACE_H
#define REGISTRY_PACE_H

#include "base/def.h"

#include <stdatomic.h>

struct paces;
struct paces *paces_new(void); /* NULL when out of memory */
void paces_free(struct paces *ps);

/* Counts bytes that came and waits until the project may have more, or *stop is set. rate in bytes
   per second; 0 or less: no limit. */
void pace_take(struct paces *ps, int64_t project_id, int64_t rate, int64_t bytes,
               const atomic_bool *stop);

#endif
