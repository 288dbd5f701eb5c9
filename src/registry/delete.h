/* Deleting tags, manifests, blobs from a repository, repositories. Bytes go at garbage collection.
 */
#ifndef REGISTRY_DELETE_H
#define REGISTRY_DELETE_H

#include "base/digest.h"
#include "registry/pull.h"

enum err delete_tag(struct ctx *c, const struct place *at, struct str tag);
enum err delete_manifest(struct ctx *c, const struct place *at, struct str digest);

/* The same of several in one transaction; *gone: how many of them were tags. */
enum err delete_tags(struct ctx *c, const struct place *at, const struct strs *names, size_t *gone);

#define DELETE_AT_ONCE 100 /* artifacts in one transaction: others write meanwhile */
#define DELETE_CONTAINED "%.*s is referenced by an index"
/* Manifests of one repository in one transaction, an index before what it contains. out, of struct
   removed (meta/removal.h): what became of the first of them, at least of one and at most of
   DELETE_AT_ONCE, in their order; ask again for the rest. */
enum err delete_manifests(struct ctx *c, const struct place *at, const struct strs *digests,
                          struct list *out);

enum err delete_blob(struct ctx *c, const struct place *at, const struct digest *d);
enum err delete_repository(struct ctx *c, const struct place *at);

#endif
