/* Many artifacts, tags or repositories at once: which they are, what hangs together, what frees. */
#ifndef META_BULK_H
#define META_BULK_H

#include "meta/list.h"

struct bulk_item { /* an artifact that is here, by digest; or a repository, by name */
    int64_t id;
    struct str name;
};

/* Which artifacts of a repository's list: those that fit all of it. */
struct bulk_filter {
    struct str tag; /* a part of a tag's name; empty = any */
    bool untagged;
    struct timestamp idle_since; /* neither pulled nor pushed since then; 0 = any */
};

enum err bulk_by_digest(struct ctx *c, int64_t repository_id, const struct strs *digests,
                        struct list *out /* bulk_item */);
/* At most n. */
enum err bulk_by_filter(struct ctx *c, int64_t repository_id, const struct bulk_filter *f,
                        int64_t n, struct list *out);
enum err bulk_repositories(struct ctx *c, int64_t project_id, const struct strs *names,
                           struct list *out);
/* Names of the tags of artifacts, and those of names that are tags of the repository. */
enum err bulk_tags(struct ctx *c, int64_t repository_id, const int64_t *ids, size_t n,
                   const struct strs *names, struct list *out /* bulk_item: of tags */);

struct bulk_node { /* what was asked for, what it contains, what is attached to any of these */
    int64_t id, state;
    struct str digest, subject_digest;
    int64_t tags;
};
struct bulk_edge { /* an index, of these or another, that contains one of them */
    int64_t parent_id, child_id;
    struct str parent_digest;
};
/* At most n nodes. */
enum err bulk_family(struct ctx *c, const int64_t *ids, size_t count, int64_t n, struct list *nodes,
                     struct list *edges);

struct bulk_worth {
    int64_t size;  /* bytes of manifests and blobs, each counted once */
    int64_t freed; /* of these, what nothing else in the project needs: it pays so much less */
};
enum err bulk_worth_of(struct ctx *c, int64_t project_id, const int64_t *ids, size_t n,
                       struct bulk_worth *out);
/* Of all that repositories hold. */
enum err bulk_worth_of_repositories(struct ctx *c, int64_t project_id, const int64_t *ids, size_t n,
                                    struct bulk_worth *out, int64_t *artifacts, int64_t *tags);

struct bulk_project { /* what a project holds */
    int64_t project_id, repositories, artifacts, tags;
};
/* Of those ids that are projects, by id. */
enum err bulk_projects_hold(struct ctx *c, const int64_t *ids, size_t n, struct list *out);
/* The repositories of projects: id is the project's; sorted by it and by name. */
enum err bulk_repositories_of(struct ctx *c, const int64_t *ids, size_t n,
                              struct list *out /* bulk_item */);

#endif
