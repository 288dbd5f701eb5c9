/*
 * What artifacts have to do with each other: what an index contains, what contains it, what refers
 * to it, who shares its layers; and what a list of them shows, asked for the whole page at once.
 */
#ifndef META_KIN_H
#define META_KIN_H

#include "meta/artifact.h"
#include "meta/principal.h"

#define KIN_TAGS_MAX 100 /* names per artifact; the newest */

struct kin_node {
    int64_t id, repository_id;
    struct str digest, media_type, artifact_type, type, subject_digest;
    int64_t state;        /* enum object_state */
    int64_t size, layers; /* layers: distinct blobs beside the configuration */
    int64_t pulls;
    struct strs tags;
    struct timestamp push_time, pull_time;
};

struct kin_edge { /* an index and what it contains, in its order */
    int64_t parent_id, child_id;
    struct raw_json platform, annotations;
};

/* The artifact, all that it contains at any depth, and all that refers to any of these; at most n,
   the oldest first. And the edges of the indexes among them. */
enum err kin_below(struct ctx *c, int64_t artifact_id, int64_t n, struct list *nodes /* kin_node */,
                   struct list *edges /* kin_edge */);
/* The indexes that contain it directly, at most n. */
enum err kin_above(struct ctx *c, int64_t artifact_id, int64_t n, struct list *nodes);
/* One by digest, in any state. E_NOT_FOUND. */
enum err kin_by_digest(struct ctx *c, int64_t repository_id, struct str digest,
                       struct kin_node *out);

#define KIN_SHARED_MAX 1000 /* so far artifacts are counted that share a layer, or all of them */

struct kin_layer { /* a blob of the artifact or of what it contains */
    struct str digest;
    int64_t size, state;
    int64_t artifacts, repositories; /* others that have it, of those that the principal sees */
};
struct kin_sharer {
    struct str repository; /* "project/path" */
    int64_t artifacts, layers;
};
/* NULL = sees everything. The sharers are the n with the most layers; *artifacts_out counts all. */
enum err kin_layers(struct ctx *c, int64_t artifact_id, const struct principal *p,
                    struct list *out /* kin_layer */);
enum err kin_sharers(struct ctx *c, int64_t artifact_id, const struct principal *p, int64_t n,
                     struct list *out /* kin_sharer */, int64_t *artifacts_out,
                     int64_t *repositories_out);

/* ---- a page of artifacts: each for all ids at once ------------------------------------------ */

struct kin_tag {
    int64_t artifact_id;
    struct str name;
    struct timestamp push_time, pull_time, checked_at;
    bool pinned;
    int64_t many; /* how many the artifact has; KIN_TAGS_MAX of them are given */
};
struct kin_child {
    int64_t parent_id;
    struct raw_json platform;
};
struct kin_day {
    int64_t artifact_id, day, pulls; /* day: since 1970, UTC */
};
enum err kin_tags(struct ctx *c, const int64_t *ids, size_t n, struct list *out /* kin_tag */);
enum err kin_children(struct ctx *c, const int64_t *ids, size_t n, struct list *out);
/* Referrers, oldest first; kin_node with subject_digest, without tags. */
enum err kin_attached(struct ctx *c, const int64_t *ids, size_t n, struct list *out);
/* Days from `from` on that had pulls. */
enum err kin_days(struct ctx *c, const int64_t *ids, size_t n, int64_t from, struct list *out);

/* Artifacts by id, whatever order the ids have; of artifact. */
enum err kin_artifacts(struct ctx *c, const int64_t *ids, size_t n, struct list *out);
/* Each pair of an artifact of the list (ARTIFACT_BASE) and a tag of it that holds `part`; one
   without tags has an empty name. At most n, newest first. */
struct kin_name {
    int64_t id;
    struct str name;
};
enum err kin_names(struct ctx *c, int64_t repository_id, struct str part, int64_t n,
                   struct list *out);

#endif
