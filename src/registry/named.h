/*
 * Which digest an upstream lately named for a tag whose manifest is not here. docker and containerd
 * ask HEAD by tag, then GET by digest: with this memory the GET stores the tag as well, so that one
 * pull is enough to be served when the upstream is gone. Bounded, for this process, ten minutes.
 */
#ifndef REGISTRY_NAMED_H
#define REGISTRY_NAMED_H

#include "base/ctx.h"

/* The upstream's answer to a HEAD; what it said of the tag before is forgotten. */
void named_note(int64_t project_id, struct str repository, struct str tag, struct str digest);
void named_forget(int64_t project_id, struct str repository, struct str tag);
/* Takes out a tag that was said to be this digest; empty when there is none. */
struct str named_take(struct arena *a, int64_t project_id, struct str repository,
                      struct str digest);

#endif
