/*
 * Doing one thing to many: first what would happen, then doing it: artifacts and tags set by set,
 * repositories and projects one after the other, in transactions that are short. What was deleted
 * meanwhile is no failure; what may not be is refused, by name and with the reason. Rights are
 * asked for when it is planned and again at every step.
 */
#ifndef REGISTRY_BULK_H
#define REGISTRY_BULK_H

#include "meta/bulk.h"
#include "registry/pull.h"

#define BULK_MAX 10000 /* things that one request may name or find */

enum bulk_action {
    BULK_DELETE, /* artifacts of a repository */
    BULK_UNTAG,
    BULK_DELETE_REPOSITORIES, /* of a project */
    BULK_DELETE_PROJECTS,     /* this and those behind it: of the whole registry */
    BULK_QUOTA,
    BULK_VISIBILITY,
};
const char *bulk_action_name(enum bulk_action a); /* "delete", ..., "delete_repositories", ... */
bool bulk_action_named(struct str name, enum bulk_action *out);
/* May the principal, who may have lost it meanwhile? project: NULL for what is the system's. */
bool bulk_may(const struct principal *p, const struct project_access *project,
              enum bulk_action action);

/* reason: "contained" (what: in which index), "immutable"; of projects "forbidden" (the right that
   it needs), "declared", "not_empty" (how many repositories), "exposed" (the upstream). */
struct bulk_refusal {
    struct str item, reason, what;
};

struct bulk_plan {
    struct strs steps;    /* digests, tags or repositories, in the order in which they go */
    int64_t asked, going; /* going: of those asked for */
    int64_t children, attached, tags;
    struct bulk_worth worth;
    struct list refused; /* bulk_refusal */
    /* of projects; children counts artifacts */
    int64_t repositories;
    int64_t same; /* are so already */
    int64_t over; /* will hold more than their quota */
};

struct bulk_change {       /* of projects: how they will be */
    bool contents;         /* delete what is in them, too */
    int64_t storage_limit; /* bytes; -1 = none */
    bool public;
};

/* items: digests, tags, or names of repositories; those that are not here are left out. In a read
   transaction. E_TOO_LARGE when too much hangs together. */
enum err bulk_look(struct ctx *c, const struct place *at, enum bulk_action action,
                   const struct strs *items, struct bulk_plan *out);
/*
 * The first steps of a plan, as many as go in one short transaction; outside of one. Returns how
 * many that were, at least one. failed: those that could not be, of bulk_failure; one that is
 * gone already is none. A set that fails as a whole is gone through one by one, so that each says
 * its own reason.
 */
struct bulk_failure {
    struct str item, reason;
};
size_t bulk_steps(struct ctx *c, const struct place *at, enum bulk_action action,
                  const struct strs *steps, struct list *failed);

/* The same of projects, by name; those that the principal does not see are left out. Steps are
   projects, and "project/repository" before the project that goes with it. */
enum err bulk_look_at_projects(struct ctx *c, const struct principal *p, enum bulk_action action,
                               const struct bulk_change *change, const struct strs *names,
                               struct bulk_plan *out);
enum err bulk_project_step(struct ctx *c, const struct principal *p, enum bulk_action action,
                           const struct bulk_change *change, struct str step);

#endif
