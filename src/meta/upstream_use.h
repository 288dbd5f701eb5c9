/*
 * What of upstreams' pull limits was used and what was left, by minutes for a day and by hours for
 * 90 days: one small table. A row without a project is a sample of what was left; its principal is
 * the credential.
 */
#ifndef META_UPSTREAM_USE_H
#define META_UPSTREAM_USE_H

#include "meta/db.h"

struct upstream_use {
    int64_t endpoint_id;
    struct timestamp at; /* the beginning of the minute or hour */
    int64_t project_id;
    struct str repository, principal;
    int64_t pulls;
    int64_t remaining, limit_pulls; /* of samples: the last ones in the span */
    struct str project_name;        /* in lists; empty when the project is gone */
};
extern const struct field upstream_use_fields[];

/* Adds pulls to, or puts a sample into, the minute and the hour of `at`. */
enum err upstream_use_add(struct ctx *c, const struct upstream_use *u);
/* Samples of a credential, oldest first, from `from` to `to`, by hours or by minutes, at most n
   (the newest). */
enum err upstream_use_samples(struct ctx *c, int64_t endpoint_id, struct str credential, bool hours,
                              struct timestamp from, struct timestamp to, int64_t n,
                              struct list *out);
/* Sums by project, repository and principal since then, the largest first, at most n. */
enum err upstream_use_consumers(struct ctx *c, int64_t endpoint_id, bool hours,
                                struct timestamp from, int64_t n, struct list *out);
enum err upstream_use_sweep(struct ctx *c); /* what is older than its time */

#endif
