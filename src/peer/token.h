/*
 * Credentials towards registries: the challenge of a 401 answered with Basic or with a token
 * (distribution's "Token Authentication Specification"), tokens cached, each fetched once.
 */
#ifndef PEER_TOKEN_H
#define PEER_TOKEN_H

#include "peer/asker.h"
#include "peer/challenge.h"

struct tokens;
struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

enum token_kind { TOKEN_NONE, TOKEN_BASIC, TOKEN_CACHED, TOKEN_FRESH };

struct authorization {
    enum token_kind kind;
    struct str value; /* "Bearer ..."; empty for TOKEN_NONE */
};

/*
 * What to send with the first try of a request: remembered for (endpoint, epoch, repository), or
 * nothing. Endpoint 0 remembers nothing. Errors of the token service are those of the request; st
 * tells about them.
 */
enum err token_for(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                   struct authorization *out, struct oci_status *st);

/*
 * After a 401 of the registry itself: learns from its challenges and yields what to send next; a
 * token that was sent and refused is dropped. E_DENIED: no challenge that we can answer.
 */
enum err token_challenged(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                          const struct client_answer *answer, const struct authorization *sent,
                          struct authorization *out, struct oci_status *st);

/* Another token than the one that was sent, after an answer without a challenge (a 403). */
enum err token_renewed(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                       const struct authorization *sent, struct authorization *out,
                       struct oci_status *st);

/* Token service answers (JSON): the token and its life in seconds. E_UPSTREAM. */
enum err token_parse(struct ctx *c, struct str body, struct str *token_out, int64_t *life_s_out);

/* May the endpoint's credential go to that realm? The same host, the same registrable domain or the
   vendor's pinned realm, and never from https to http. */
bool token_realm_trusted(struct ctx *c, const struct asker *a, const struct url *realm);

#endif
