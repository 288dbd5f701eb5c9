/* Taking artifacts out of their repository: any number in one transaction, with what goes with
   them. */
#ifndef META_REMOVAL_H
#define META_REMOVAL_H

#include "meta/list.h"

/* What became of one. fate: E_OK it is gone, E_NOT_FOUND it was not there, E_PRECONDITION an index
   that stays contains it. with: it is gone as an untagged part of an index that went, too. */
struct removed {
    int64_t id;
    struct str digest; /* empty when it was not there */
    enum err fate;
    bool with;
};

/*
 * Deletes artifacts of one repository: their tags, their edges, children that no other index
 * contains and no tag names (as Harbor does), links of blobs whose lease is over; their blobs
 * become candidates of garbage collection, the project gets its space back.
 *
 * Ids in an order in which an index comes before what it contains; out (of struct removed) has as
 * many as fit a transaction that stays short, the first always, in the same order. Last in its
 * transaction, since it locks the project's row.
 */
enum err artifacts_remove(struct ctx *c, int64_t project_id, const struct i64s *ids,
                          struct list *out);

#endif
