/*
 * Registry tokens: HS256 from our own keys. iss = the installation's id, aud = the service;
 * principal kind, id and epoch; access = [{type, project id, name, actions}]. A token narrows what
 * its principal may do at the time of each request; it never grants.
 */
#ifndef API_TOKEN_H
#define API_TOKEN_H

#include "api/call.h"

#define TOKEN_SERVICE "harbor-registry"

enum { TOKEN_PULL = 1, TOKEN_PUSH = 2, TOKEN_DELETE = 4, TOKEN_CATALOG = 8 };

struct token_access {
    int64_t project_id;
    struct str name; /* "project/path"; "catalog" with TOKEN_CATALOG */
    unsigned actions;
};

struct token_claims {
    enum principal_kind kind;
    int64_t id, epoch, expires; /* in seconds */
    struct token_access *access;
    size_t count;
};

/* E_UNAUTHORIZED for anything but a living token of this installation for TOKEN_SERVICE. */
enum err token_verify(struct call *r, struct str token, struct token_claims **out);
/* Verified tokens are kept for a while; this forgets them: at the end, and for other keys. */
void token_forget_all(void);
bool token_allows(const struct token_claims *t, int64_t project_id, struct str name,
                  unsigned action);
unsigned token_action(enum action act); /* PULL, PUSH, DELETE; else 0 */

enum err service_token(struct call *r); /* GET /service/token */

#endif
