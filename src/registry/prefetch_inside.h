/* What commands (prefetch.c) and the scheduled refresh (refresh.c) share. */
#ifndef REGISTRY_PREFETCH_INSIDE_H
#define REGISTRY_PREFETCH_INSIDE_H

#include "registry/prefetch.h"
#include "registry/pull.h"

struct prefetch_target {
    struct project_access access;
    struct principal principal; /* anonymous: the rights were the command's */
    struct place at;
    struct str reference;
    const struct prefetch_patience *patience; /* NULL: none */
};

/* A pull of one manifest; when the rest of the pull limit is for people, or the upstream is paused,
   E_TOO_MANY or patience. */
enum err prefetch_manifest(struct ctx *c, struct prefetch_target *t, struct str reference,
                           struct pulled_manifest *out);
/* Config and layers of an image's manifest. */
enum err prefetch_content(struct ctx *c, const struct prefetch_target *t,
                          const struct pulled_manifest *p, struct prefetch_report *report);

#endif
