/* The last referrers index that an upstream gave for a subject (OCI Distribution Spec 1.1, "Listing
   Referrers"), for the time when it cannot be asked. Bounded: the oldest go. */
#ifndef META_REFERRER_H
#define META_REFERRER_H

#include "meta/db.h"

#define REFERRER_INDEXES 1000
#define REFERRER_INDEX_MAX ((size_t)256 << 10) /* a larger one is not kept */

struct referrer_key {
    int64_t project_id;
    struct str repository, digest, artifact_type; /* type empty = all */
};
enum err referrer_index_put(struct ctx *c, const struct referrer_key *key, struct str index);
enum err referrer_index_get(struct ctx *c, const struct referrer_key *key, struct str *out);

#endif
