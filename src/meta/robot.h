/* Robots of the system (project_id 0) and of projects. The name is stored without prefix. */
#ifndef META_ROBOT_H
#define META_ROBOT_H

#include "meta/list.h"

struct robot {
    int64_t id;
    struct str name; /* "ci", or "project+ci" for a project robot */
    struct str description, secret_hash;
    int64_t project_id; /* 0 = system */
    struct str level;   /* "system" | "project" */
    int64_t duration;   /* days; -1 = for ever */
    int64_t expires_at; /* unix seconds; -1 = never */
    bool disable, editable;
    struct raw_json permissions; /* array of {kind, namespace, access:[{resource, action}]} */
    struct str creator_type;
    int64_t creator_ref, epoch;
    struct timestamp creation_time, update_time;
};
extern const struct field robot_fields[];

enum err robot_insert(struct ctx *c, struct robot *r);
enum err robot_by_id(struct ctx *c, int64_t id, struct robot *out);
/* project_id 0 lists system robots, -1 all. */
enum err robot_list(struct ctx *c, int64_t project_id, const struct list_query *q, struct list *out,
                    int64_t *total);
enum err robot_update(struct ctx *c, const struct robot *r);                  /* bumps epoch */
enum err robot_set_secret(struct ctx *c, int64_t id, struct str secret_hash); /* bumps epoch */
enum err robot_delete(struct ctx *c, int64_t id);

#endif
