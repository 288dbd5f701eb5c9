/*
 * Keeping proxy caches in their bounds: a proxy project's storage quota is the size of its cache,
 * and the file system keeps a floor of free space (proxy.free_floor). Over a bound whole images
 * go, least recently pulled first, and their blobs with them unless somebody else needs these.
 *
 * Not for a client's thread: these write, delete files and wait for each other.
 */
#ifndef REGISTRY_EVICT_H
#define REGISTRY_EVICT_H

#include "base/ctx.h"

/* So much is left free for the database whatever proxy.free_floor and store.reserve say, before a
   blob is fetched into the store. */
#define EVICT_RESERVE (INT64_C(16) << 20)

/* Brings one project under its limit; E_OK when it is, or when nothing more may go. */
enum err evict_project(struct ctx *c, int64_t project_id);
/* Makes room for a blob of `size` bytes: *fits says whether there is, after eviction if need be. */
enum err evict_make_room(struct ctx *c, int64_t size, bool *fits);
/* All projects over their limit, then the floor: for the housekeeper. */
enum err evict_all(struct ctx *c);

#endif
