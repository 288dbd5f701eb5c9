/* JSON Web Tokens of our own making: HS256 alone (RFC 7515, 7519), the algorithm fixed by kid. */
#ifndef BASE_JWT_H
#define BASE_JWT_H

#include "base/ctx.h"

struct jwt_key {
    struct str kid;
    unsigned char bytes[32];
};

/* claims is finished JSON. */
struct str jwt_sign(struct arena *a, const struct jwt_key *key, struct str claims);
/* Checks form, kid and signature and yields the claims' JSON; the caller checks the claims.
   E_UNAUTHORIZED for everything else. Cap: 16 KiB. */
enum err jwt_verify(struct ctx *c, const struct jwt_key *keys, size_t count, struct str token,
                    struct str *claims_out);

#endif
