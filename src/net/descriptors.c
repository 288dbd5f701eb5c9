/*
 * The account of descriptors. An idle connection costs one. A request that is being answered is
 * lent REQUEST_DESCRIPTORS more, and a reply that goes on after its handler keeps the one of its
 * file. A quarter of the limit, 2,048 at most, is for the rest of the process: database, log,
 * fetches from upstreams. An eighth of what remains is for requests alone, so that the last
 * connection that is let in can still ask for something. Nobody opens anything that was not
 * granted here, so accept, open and connect do not fail for lack of a descriptor.
 */
#include "net/descriptors.h"

#include <sys/resource.h>

#define REST_MAX 2048
#define LEAST 32

int64_t descriptors_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return 1024;
    if (l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) != 0)
            getrlimit(RLIMIT_NOFILE, &l);
    }
    return l.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)l.rlim_cur;
}

void descriptors_init(struct descriptors *d, int64_t files, int64_t connections)
{
    d->most = i64_max(LEAST, files - i64_min(REST_MAX, files / 4));
    d->kept = i64_max(2 * REQUEST_DESCRIPTORS, d->most / 8);
    d->connections = i64_min(connections, d->most - d->kept);
    atomic_store(&d->used, 0);
}

static bool take(struct descriptors *d, int64_t n, int64_t most)
{
    if (atomic_fetch_add_explicit(&d->used, n, memory_order_relaxed) + n <= most)
        return true;
    descriptors_give(d, n);
    return false;
}

bool descriptors_connection(struct descriptors *d)
{
    return take(d, 1, d->most - d->kept);
}

bool descriptors_request(struct descriptors *d)
{
    return take(d, REQUEST_DESCRIPTORS, d->most);
}

void descriptors_give(struct descriptors *d, int64_t n)
{
    atomic_fetch_sub_explicit(&d->used, n, memory_order_relaxed);
}
