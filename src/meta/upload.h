/* Uploads under way: of users, and of flights (proxy fetches), which survive a restart. */
#ifndef META_UPLOAD_H
#define META_UPLOAD_H

#include "meta/db.h"

enum upload_kind { UPLOAD_USER = 1, UPLOAD_FLIGHT };

struct upload {
    struct str id; /* UUID */
    int64_t kind, repository_id;
    struct str repository_path; /* of a flight: project id and path, for the key */
    struct str actor;           /* who began it; others get E_UPLOAD_UNKNOWN */
    struct str phys_key;
    struct str digest; /* of a flight: what it must become */
    int64_t size;      /* of a flight: expected, -1 = unknown */
    struct timestamp started, expires;
};
extern const struct field upload_fields[];

enum err upload_insert(struct ctx *c, struct upload *u, int64_t life_s);
enum err upload_by_id(struct ctx *c, struct str id, struct upload *out);
enum err upload_flight(struct ctx *c, struct str digest, struct upload *out); /* E_NOT_FOUND */
enum err upload_extend(struct ctx *c, struct str id, int64_t life_s);
enum err upload_delete(struct ctx *c, struct str id); /* its key stays an intent until committed */
enum err upload_expired(struct ctx *c, int64_t n, struct list *out);

#endif
