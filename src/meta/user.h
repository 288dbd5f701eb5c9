/* Local users (Harbor's UserResp, UserCreationReq). Deleting renames the row, ids are never reused.
 */
#ifndef META_USER_H
#define META_USER_H

#include "meta/list.h"

struct user {
    int64_t user_id;
    struct str username, email, realname, comment, password_hash;
    bool sysadmin_flag, admin_role_in_auth, deleted;
    int64_t epoch;
    struct timestamp creation_time, update_time;
};
extern const struct field user_fields[];

/* E_CONFLICT when name or e-mail is taken. Sets id and times. */
enum err user_insert(struct ctx *c, struct user *u);
enum err user_by_id(struct ctx *c, int64_t id, struct user *out);
enum err user_by_name(struct ctx *c, struct str name, struct user *out);
enum err user_list(struct ctx *c, const struct list_query *q, struct list *out, int64_t *total);
enum err user_update_profile(struct ctx *c, const struct user *u);
enum err user_set_password(struct ctx *c, int64_t id, struct str password_hash); /* bumps epoch */
enum err user_set_sysadmin(struct ctx *c, int64_t id, bool on);                  /* bumps epoch */
enum err user_delete(struct ctx *c, int64_t id);                                 /* bumps epoch */

#endif
