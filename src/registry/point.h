/* Pointing tags by hand: undo and rollback, of local tags and of those of proxy projects. */
#ifndef REGISTRY_POINT_H
#define REGISTRY_POINT_H

#include "registry/pull.h"

/*
 * Points the tag at digest, when it still is where the caller saw it (expect; empty = there is no
 * such tag). In a proxy project the digest is fetched when it is not here, and the tag is pinned:
 * it serves that digest, asking nobody, until it is pointed elsewhere or released. E_PRECONDITION
 * (with HTTP status 409) when the tag has moved; E_MANIFEST_UNKNOWN. No transaction may be open.
 */
enum err point_tag(struct ctx *c, const struct place *at, struct str tag, struct str digest,
                   struct str expect, struct str reason);
/* Upstream's word counts again, from the next pull on. E_MANIFEST_UNKNOWN: it was not pinned. */
enum err point_release(struct ctx *c, const struct place *at, struct str tag, struct str reason);

#endif
