/* Deleting tags, manifests, blobs from a repository, repositories. Bytes go at garbage collection.
 */
#ifndef REGISTRY_DELETE_H
#define REGISTRY_DELETE_H

#include "base/digest.h"
#include "registry/pull.h"

enum err delete_tag(struct ctx *c, const struct place *at, struct str tag);
enum err delete_manifest(struct ctx *c, const struct place *at, struct str digest);
enum err delete_blob(struct ctx *c, const struct place *at, const struct digest *d);
enum err delete_repository(struct ctx *c, const struct place *at);

#endif
