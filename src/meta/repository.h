/* Repositories. name is the path without the project: "nginx", "library/nginx", "a/b". */
#ifndef META_REPOSITORY_H
#define META_REPOSITORY_H

#include "meta/list.h"
#include "meta/principal.h"

struct repository {
    int64_t id, project_id;
    struct str project_name, name, description;
    int64_t pull_count, artifact_count;
    struct timestamp creation_time, update_time;
};
extern const struct field repository_fields[];

enum err repository_by_name(struct ctx *c, int64_t project_id, struct str name,
                            struct repository *out);
/* The id alone: by_name counts the repository's artifacts, which grow. E_NOT_FOUND. */
enum err repository_id(struct ctx *c, int64_t project_id, struct str name, int64_t *id_out);
/* Creates the row when it is missing. */
enum err repository_ensure(struct ctx *c, int64_t project_id, struct str name, int64_t *id_out);
/* project_id 0 = of all projects that the principal sees. */
enum err repository_list(struct ctx *c, int64_t project_id, const struct principal *p,
                         const struct list_query *q, struct list *out, int64_t *total);
enum err repository_update(struct ctx *c, const struct repository *r);
/*
 * A piece of its deletion: tags, artifacts and links go, the project gets the space back, blobs
 * become candidates of garbage collection. Of one with at most n artifacts all goes and the row
 * with it: *gone_out. Of a larger one the first n that no index contains go; call again, in another
 * transaction. The last piece is the whole of what is left then, so nobody sees half of a small
 * repository. E_NOT_FOUND.
 */
enum err repository_shrink(struct ctx *c, int64_t id, int64_t n, bool *gone_out);
/* Full names ("project/path") after `last`, sorted bytewise, at most n, of repositories that hold
   an artifact and that the principal may read (NULL = all). */
enum err repository_catalog(struct ctx *c, const struct principal *p, struct str last, int64_t n,
                            struct strs *out);

#endif
