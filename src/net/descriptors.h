/* The server's account of file descriptors: who may take how many. */
#ifndef NET_DESCRIPTORS_H
#define NET_DESCRIPTORS_H

#include "base/def.h"

#include <stdatomic.h>

#define REQUEST_DESCRIPTORS 4 /* the most that a handler has open at a time */

struct descriptors {
    int64_t most;        /* for connections and requests together */
    int64_t kept;        /* of these, for requests alone */
    int64_t connections; /* most connections at a time */
    _Atomic int64_t used;
};

/* The process's limit of open files, raised as far as it may go. */
int64_t descriptors_limit(void);
/* Shares out `files`, the process's limit of open files; `connections`: as many as are wanted. */
void descriptors_init(struct descriptors *d, int64_t files, int64_t connections);
/* One for a new connection; false: what is left is kept for requests. */
bool descriptors_connection(struct descriptors *d);
/* REQUEST_DESCRIPTORS for a request; false: there are not so many. */
bool descriptors_request(struct descriptors *d);
void descriptors_give(struct descriptors *d, int64_t n);

#endif
