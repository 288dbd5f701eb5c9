/*
 * Deleting and untagging many at once: first what would happen, then doing it, one thing after the
 * other, each in a transaction of its own. What was deleted meanwhile is no failure; what may not
 * go is refused, by name and with the reason.
 */
#ifndef REGISTRY_BULK_H
#define REGISTRY_BULK_H

#include "meta/bulk.h"
#include "registry/pull.h"

#define BULK_MAX 10000 /* things that one request may name or find */

enum bulk_action { BULK_DELETE, BULK_UNTAG, BULK_DELETE_REPOSITORIES };
const char *bulk_action_name(enum bulk_action a); /* "delete", "untag", "delete_repositories" */
bool bulk_action_named(struct str name, enum bulk_action *out);

struct bulk_refusal {
    struct str item, reason, what; /* reason: "contained" (what: in which index), "immutable" */
};

struct bulk_plan {
    struct strs steps;    /* digests, tags or repositories, in the order in which they go */
    int64_t asked, going; /* going: of those asked for */
    int64_t children, attached, tags;
    struct bulk_worth worth;
    struct list refused; /* bulk_refusal */
};

/* items: digests, tags, or names of repositories; those that are not here are left out. In a read
   transaction. E_TOO_LARGE when too much hangs together. */
enum err bulk_look(struct ctx *c, const struct place *at, enum bulk_action action,
                   const struct strs *items, struct bulk_plan *out);
/* One step of a plan, outside of a transaction; E_OK also when it is gone already. */
enum err bulk_step(struct ctx *c, const struct place *at, enum bulk_action action, struct str step);

#endif
