/*
 * The scheduled refresh: cached tags that somebody pulled lately are looked at, and of those that
 * moved the platforms that were pulled are fetched. jobs/refresh.c goes through them.
 */
#ifndef REGISTRY_REFRESH_H
#define REGISTRY_REFRESH_H

#include "meta/tag.h"
#include "registry/prefetch.h"

/* A tag on the list, and how far it is. */
struct refresh_item {
    struct tag_pulled tag;
    bool done;
    bool moved;            /* its manifest is here; what belongs to it is being fetched */
    struct timestamp last; /* when its manifest was pulled last */
    struct list pulled;    /* struct artifact_ref: children of its index that were pulled */
};

/* The tags of all proxy projects that were pulled since then, in c->mem; at most 100,000. */
enum err refresh_collect(struct ctx *c, struct timestamp since, struct refresh_item **out,
                         size_t *count);
/*
 * Looks at one. E_TOO_MANY: what is left of the pull limit is for people; call again later, it goes
 * on where it stopped. On every other error the item is done. What is kept in the item lives in
 * keep's memory; c is for this call.
 */
enum err refresh_tag(struct ctx *c, struct arena *keep, struct timestamp since,
                     struct refresh_item *item);

/* The schedule's next moment; 0 = never. */
struct timestamp refresh_next(struct str schedule);

/* "A new list now", to the job that is under way. refresh_take: has it been asked for since the
   last call? */
void refresh_ask(void);
bool refresh_take(void);

#endif
