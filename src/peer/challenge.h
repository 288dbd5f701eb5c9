/* WWW-Authenticate (RFC 9110, section 11.6.1; RFC 6750, section 3), parsed strictly. */
#ifndef PEER_CHALLENGE_H
#define PEER_CHALLENGE_H

#include "base/ctx.h"

#define CHALLENGES_MAX 8

enum challenge_scheme { CHALLENGE_OTHER, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    struct str realm, service, scope, error; /* unescaped; empty when not given */
};

/*
 * All challenges of one header value, in order, at most CHALLENGES_MAX. Texts live in c->mem.
 * E_UPSTREAM: not well formed, a parameter twice, control characters, over 8 KiB.
 */
enum err challenge_parse(struct ctx *c, struct str header,
                         struct challenge out[static CHALLENGES_MAX], size_t *count_out);

#endif
