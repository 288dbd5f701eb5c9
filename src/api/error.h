/* The only place that writes an error to a client: Harbor's envelope, OCI's codes on /v2. */
#ifndef API_ERROR_H
#define API_ERROR_H

#include "api/call.h"

/* Replies with the error and the reason in c->msg. Our own failures (500) are logged with the
   request id and masked. Adds WWW-Authenticate, Retry-After and Allow where they belong. */
void error_reply(struct call *r, enum err e);

#endif
