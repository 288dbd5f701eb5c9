/* Who acts: a user, a robot or nobody. What authentication and the access function need, in one
   row, whatever the scheme. */
#ifndef META_PRINCIPAL_H
#define META_PRINCIPAL_H

#include "meta/db.h"

enum principal_kind { PRINCIPAL_ANONYMOUS, PRINCIPAL_USER, PRINCIPAL_ROBOT };

struct principal {
    enum principal_kind kind;
    int64_t id;
    int64_t epoch;          /* tokens and cached passwords of another epoch are void */
    struct str name;        /* user name; robots without their prefix: "ci" or "project+ci" */
    struct str secret_hash; /* argon2id of users, salt$hash of robots */
    bool sysadmin;
    bool disabled;               /* deleted, disabled or expired at tx.now */
    int64_t project_id;          /* robots: 0 = system robot */
    struct raw_json permissions; /* robots: Harbor's RobotPermission array */
};

/* E_NOT_FOUND when there is none. */
enum err principal_user_by_name(struct ctx *c, struct str name, struct principal *out);
enum err principal_robot_by_name(struct ctx *c, struct str name, struct principal *out);
enum err principal_by_id(struct ctx *c, enum principal_kind kind, int64_t id,
                         struct principal *out);

#endif
