/* Long lists as people read them: each row with all that is shown of it, one query a page. */
#ifndef META_OVERVIEW_H
#define META_OVERVIEW_H

#include "meta/list.h"
#include "meta/principal.h"

struct project_overview {
    int64_t project_id, registry_id;          /* registry_id 0: an ordinary project */
    struct str name, upstream, upstream_type; /* the endpoint's name and type */
    bool is_public;
    int64_t repo_count, pull_count, storage_used, storage_limit; /* limit -1 = none */
    int64_t role; /* enum role of the principal, by membership; 0 = none */
    struct timestamp creation_time, push_time, pull_time; /* the last ones; 0 = never */
    /* Of a proxy project in the last OVERVIEW_DAYS days, by whole hours: pulls that were asked for,
       those of them that the cache served, and their share in thousandths (-1: none was asked). */
    int64_t requests_7d, served_7d, hit_permille;
};
#define OVERVIEW_DAYS 7
/* The projects that the principal sees. */
enum err overview_projects(struct ctx *c, const struct principal *p, const struct list_query *q,
                           struct list *out, int64_t *total);
extern const struct field project_overview_fields[];

struct repository_overview {
    int64_t id, artifact_count, tag_count, pull_count;
    int64_t size; /* of its blobs, each once */
    struct str name;
    struct str days;       /* pulls of the last days as "day:pulls,..." */
    struct i64s pull_days; /* of PULL_DAYS days, the last is today */
    struct timestamp creation_time, push_time, pull_time;
};
enum err overview_repositories(struct ctx *c, int64_t project_id, const struct list_query *q,
                               struct list *out, int64_t *total);
extern const struct field repository_overview_fields[];

struct tag_overview {
    int64_t id, size;
    struct str name, digest, type, media_type;
    bool pinned;
    struct timestamp push_time, pull_time;
};
enum err overview_tags(struct ctx *c, int64_t repository_id, const struct list_query *q,
                       struct list *out, int64_t *total);
extern const struct field tag_overview_fields[];

struct found_artifact {
    struct str project, repository, digest, tag; /* tag: its newest; empty: none */
    int64_t size;
    struct timestamp push_time, pull_time;
};
/* Artifacts whose digest begins so, the newest first, at most n: in projects that the principal
   sees. `from` is a digest cut short, lower case, with its algorithm ("sha256:4bf7"). */
enum err overview_by_digest(struct ctx *c, const struct principal *p, struct str from, int64_t n,
                            struct list *out);
extern const struct field found_artifact_fields[];

#endif
