/* Threads that take one-shot events from one epoll and may block while they serve them. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "base/ctx.h"

struct pool;

struct pool_options {
    int epoll;                 /* borrowed */
    int64_t max_threads;       /* the limit of threads of all states */
    void (*serve)(void *what); /* what: data.ptr of the event */
};

/* E_INTERNAL when there is no descriptor for it. No thread runs before pool_start. */
enum err pool_new(struct ctx *c, const struct pool_options *o, struct pool **out);
void pool_start(struct pool *p);
/* Ends the threads as they finish what they serve; false when some still run after wait_ms. */
bool pool_stop(struct pool *p, int64_t wait_ms);
void pool_free(struct pool *p); /* after pool_stop was true, or before pool_start */

#endif
