/* Tags are rows; each move is kept in a journal that holds no reference. */
#ifndef META_TAG_H
#define META_TAG_H

#include "meta/list.h"

struct tag {
    int64_t id, repository_id, artifact_id;
    struct str name;
    bool immutable;
    int64_t version;
    struct timestamp push_time, pull_time, checked_at;
};
extern const struct field tag_fields[];

/* Points the tag at the artifact; journals a change (who = c->actor). upstream marks moves seen at
   an upstream, and sets checked_at to tx.now. */
enum err tag_put(struct ctx *c, int64_t repository_id, struct str name, int64_t artifact_id,
                 bool upstream);
enum err tag_checked(struct ctx *c, int64_t repository_id, struct str name); /* checked_at = now */
enum err tag_by_name(struct ctx *c, int64_t repository_id, struct str name, struct tag *out);
enum err tag_delete(struct ctx *c, int64_t repository_id, struct str name); /* E_NOT_FOUND */
/* All tags that still point at the artifact when their rows are locked. */
enum err tag_delete_of(struct ctx *c, int64_t artifact_id);
enum err tag_list(struct ctx *c, int64_t repository_id, int64_t artifact_id /* 0 = all */,
                  const struct list_query *q, struct list *out, int64_t *total);
/* Names after `last`, sorted bytewise, at most n (OCI "Listing Tags"). */
enum err tag_names(struct ctx *c, int64_t repository_id, struct str last, int64_t n,
                   struct strs *out);

struct tag_move {
    int64_t id, repository_id;
    struct str name, old_digest, new_digest, actor;
    bool upstream;
    struct timestamp at;
};
extern const struct field tag_move_fields[];

#endif
