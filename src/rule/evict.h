/*
 * Which cached images go when a proxy cache is full: whole images, least recently pulled first.
 * Pure: who is in flight, and what the last pulls were, is told by the caller.
 */
#ifndef RULE_EVICT_H
#define RULE_EVICT_H

#include "base/str.h"

/* An image (or index with its children) that nothing else contains. */
struct evict_unit {
    int64_t id;
    int64_t last_us; /* the last pull of it or of a part of it */
    int64_t size;    /* at most what its leaving gives back, bytes */
    bool pinned;
    bool flying;     /* one of its blobs is being fetched */
    bool incomplete; /* blobs are still to come: somebody may be in the middle of pulling it */
    bool newest;     /* nothing was pulled after it */
};

/* So long the newest image is waited for when its pull has not brought all of it. */
#define EVICT_PATIENCE_S 60

/*
 * Chooses from units (in any order; they are sorted, oldest first) until what goes is worth need
 * bytes or nothing more may go. What is pinned or flying stays, and the newest image while its
 * pull goes on. Returns how many of the sorted units go; their places are in chosen[n].
 */
size_t evict_choose(struct evict_unit *units, size_t n, int64_t need, int64_t now_us,
                    size_t *chosen);

/*
 * Pins: doublestar patterns between blanks. One with ':' is for repository:tag and pins the image
 * that has such a tag, one without is for the repository and pins all of it. tags: names between
 * blanks.
 */
bool evict_pinned(struct str patterns, struct str repository, struct str tags);
/* NULL when every pattern is good, else what is wrong with one, in words. */
const char *evict_pins_check(struct str patterns);

/* "", "0", bytes with or without KiB MiB GiB TiB, or "10%" of total: the least free space, bytes.
   False when it is none of these. */
bool evict_floor(struct str text, int64_t total, int64_t *out);
/* The same for store.reserve, which knows "auto" too: 1 GiB or 2 % of total, the larger, but of a
   small file system a sixteenth at most. */
bool evict_reserve(struct str text, int64_t total, int64_t *out);

#endif
