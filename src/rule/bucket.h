/* A token bucket that may go into debt: what came is paid for before more is taken. Pure. */
#ifndef RULE_BUCKET_H
#define RULE_BUCKET_H

#include "base/def.h"

struct bucket {
    int64_t level; /* bytes that may be taken at once; negative: a debt */
    int64_t at_ms; /* monotonic, of the level; 0 = not used yet */
};

/* Takes n bytes at rate bytes per second (> 0) and returns the milliseconds until the debt is paid.
   After a pause at most a quarter of a second's bytes come for free. */
int64_t bucket_take(struct bucket *b, int64_t rate, int64_t now_ms, int64_t n);

#endif
