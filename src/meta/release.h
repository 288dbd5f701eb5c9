/* Gives a project its bytes back when links and manifests go. Private to meta/; call it before the
   rows are gone, after all other locks: the project's row is the last that a transaction takes. */
#ifndef META_RELEASE_H
#define META_RELEASE_H

#include "meta/db.h"

enum err release_bytes(struct ctx *c, int64_t repository_id, int64_t bytes);
/* A link that is about to go: counts when it is the last in its project. */
enum err release_link(struct ctx *c, int64_t repository_id, int64_t blob_id);
enum err release_repository(struct ctx *c, int64_t repository_id);

#endif
