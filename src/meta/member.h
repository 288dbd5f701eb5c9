/* Members of projects: users (groups come with their issue). */
#ifndef META_MEMBER_H
#define META_MEMBER_H

#include "meta/list.h"

struct member {
    int64_t id, project_id, entity_id;
    struct str entity_name;
    struct str entity_type; /* "u" | "g" */
    int64_t role_id;
    struct str role_name;
};
extern const struct field member_fields[];

enum err member_insert(struct ctx *c, struct member *m); /* E_CONFLICT: is one already */
enum err member_by_id(struct ctx *c, int64_t project_id, int64_t id, struct member *out);
enum err member_list(struct ctx *c, int64_t project_id, struct str entity_name,
                     const struct list_query *q, struct list *out, int64_t *total);
enum err member_set_role(struct ctx *c, int64_t project_id, int64_t id, int64_t role_id);
enum err member_delete(struct ctx *c, int64_t project_id, int64_t id);
/* How many members have each role: counts[enum role]. */
enum err member_counts(struct ctx *c, int64_t project_id, int64_t counts[6]);

#endif
