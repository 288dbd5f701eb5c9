/* The guards: from a row, a principal and a path to yes or to the right refusal. */
#ifndef API_AUTHORIZE_H
#define API_AUTHORIZE_H

#include "api/call.h"

/* Marks calls that came by a mirror listener, a mirror host or ?ns= (design: transparent mirror).
   Before authentication: on an open mirror every Authorization is dropped unread. */
enum err authorize_mirror(struct call *r);
/* Resolves project and repository of the path and decides by the row's guard, all but IN_BODY. */
enum err authorize(struct call *r);
/* GUARD_IN_BODY, after decoding. */
enum err authorize_body(struct call *r);
/* /v2: does the principal, through its token if it came with one, have act on "project/path"? */
bool authorize_repository(struct call *r, const struct project_access *project,
                          struct str full_name, enum action act);
/* The value of WWW-Authenticate for a 401 of this call. */
struct str authorize_challenge(struct call *r);

#endif
