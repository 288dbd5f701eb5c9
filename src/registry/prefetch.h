/*
 * What people ask of a proxy project beforehand and afterwards: pull images into the cache, check
 * the cached tags, throw a cache away, look at the quota. For commands; nobody's request waits.
 */
#ifndef REGISTRY_PREFETCH_H
#define REGISTRY_PREFETCH_H

#include "registry/gc.h"

/* The way out (client, tokens, flights) for a process that has only the store open. What was there
   already stays; prefetch_done releases what prefetch_begin made. */
struct prefetch {
    struct services *sv;
    bool client, upstreams, flights;
};
enum err prefetch_begin(struct ctx *c, struct prefetch *p);
void prefetch_done(struct prefetch *p);

struct prefetch_report {
    int64_t images, manifests, blobs, bytes, failed;
};

/* For who would rather wait than leave out what the pull limit does not allow now: asked four times
   a second whether to go on. */
struct prefetch_patience {
    bool (*go_on)(void *arg, const char *why); /* why: what is waited for, in words */
    void *arg;
};

/*
 * Pulls "project/path[:tag|@digest]" (or "host/path..." for a host that a project serves; a bare
 * name is docker.io's) with everything it names. platform: "os/arch[/variant]" of an index's
 * children, empty = all of them. E_BAD_REQUEST, E_TOO_MANY when the rest of the pull limit belongs
 * to people and nobody is patient (NULL), or the upstream's error.
 */
enum err prefetch_image(struct ctx *c, struct str name, struct str platform,
                        const struct prefetch_patience *patience, progress_fn *say, void *arg,
                        struct prefetch_report *out);
/* Asks the upstream for every cached tag of "project[/path]" and fetches what has moved. */
enum err prefetch_refresh(struct ctx *c, struct str name, const struct prefetch_patience *patience,
                          progress_fn *say, void *arg, struct prefetch_report *out);
/* Deletes the cached repositories of "project[/path]"; their blobs go at garbage collection. */
enum err prefetch_purge(struct ctx *c, struct str name, const struct prefetch_patience *patience,
                        progress_fn *say, void *arg, struct prefetch_report *out);
/* The quota ledger as lines of text. */
enum err prefetch_quota(struct ctx *c, progress_fn *say, void *arg);

#endif
