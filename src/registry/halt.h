/* Upstreams that operators pause or drain: the row is meta/endpoint.h's, requests read it with
   their project. Here is what a request does not see: transfers that are under way. */
#ifndef REGISTRY_HALT_H
#define REGISTRY_HALT_H

#include "meta/endpoint.h"

/* Reads which upstreams are halted and ends the transfers from those that are paused. For the
   housekeeper (another node may have paused one), and after a change here. Opens a transaction. */
enum err halts_read(struct ctx *c);
/* Pauses, drains or (empty mode) resumes it; E_NOT_FOUND. In transactions of its own. */
enum err upstream_halt(struct ctx *c, int64_t id, struct str mode, struct str reason);
/* Blobs on their way from it to this process. */
int64_t upstream_transfers(struct ctx *c, int64_t id);

#endif
