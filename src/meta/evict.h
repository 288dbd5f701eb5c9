/* What a full proxy cache looks at: images with their last pull, and the blobs that go with one. */
#ifndef META_EVICT_H
#define META_EVICT_H

#include "meta/artifact.h"

/* An image (or index with children) of a proxy project that no index contains. */
struct evict_row {
    int64_t id, project_id;
    int64_t size; /* the most that it gives back, its children included */
    struct str repository, digest;
    struct str tags;       /* names between blanks */
    struct str pins;       /* the project's proxy_pins */
    bool held;             /* a tag of it was pointed by hand and stays */
    bool incomplete;       /* a blob of it, or of a child, is EXPECTED */
    struct timestamp used; /* its place in the order: its own last pull, or when it came */
    struct timestamp last; /* the same of it and its children, which is what counts */
};

/* In the order of `used`, after (used, id); project_id 0 = of all proxy projects. Of evict_row. */
enum err evict_page(struct ctx *c, int64_t project_id, struct timestamp used, int64_t id, int64_t n,
                    struct list *out);
/* Gives an image the place that its children earned it: used = last. */
enum err evict_settle(struct ctx *c, const struct evict_row *row);
/* Images that contain the blob, and the indexes that contain these. */
enum err evict_holders(struct ctx *c, struct str digest, struct i64s *out);
/* E_NOT_FOUND when the image is gone or was pulled since. */
enum err evict_still(struct ctx *c, const struct evict_row *row);
/* Ids of all blobs of the image and of its children at any depth, ascending. */
enum err evict_blobs(struct ctx *c, int64_t artifact_id, struct i64s *out);
/* Blobs of a project (0 = of all proxy projects) that no manifest needs and no lease holds. */
enum err evict_loose(struct ctx *c, int64_t project_id, int64_t n, struct i64s *out);

struct evict_project {
    int64_t id, storage_limit, storage_used;
    struct str name;
};
/* Proxy projects over their limit; of evict_project. */
enum err evict_over(struct ctx *c, struct list *out);
/* Limit and use of one project; E_NOT_FOUND. */
enum err evict_use(struct ctx *c, int64_t project_id, struct evict_project *out);
/* What all proxy projects use together, at most what eviction could free. */
enum err evict_total(struct ctx *c, int64_t *out);

#endif
