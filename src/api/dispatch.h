/*
 * The dispatcher: request in, reply out. It finds the row, authenticates, resolves project, role
 * and repository once, decides by the row's guard, decodes the body, and calls the handler.
 */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/call.h"
#include "api/router.h"
#include "base/jwt.h"

#define LISTENER_MAIN 0
#define LISTENER_MIRROR 1

/* Compiles the route tables (E_INTERNAL names the row whose guard is unset or that collides) and
   loads the installation's id and token keys. sv and its settings must outlive the api. */
enum err api_new(struct ctx *c, struct services *sv, struct api **out);
void api_free(struct api *api);
/* server_options.handle; arg is the struct api. */
void api_handle(struct http_request *r, void *arg);

const struct settings *api_config(const struct api *api);
struct str api_installation(const struct api *api); /* iss of tokens */
/* Readiness: false from SIGTERM on. */
void api_set_ready(struct api *api, bool ready);
bool api_ready(const struct api *api);
/* Methods that the path of the call has, for Allow: "GET, HEAD". */
struct str api_allowed(struct call *r);

/* The keys of registry tokens: a copy; an unknown kid reloads them, at most every 5 s. */
enum err api_token_keys(struct ctx *c, struct api *api, bool reload, struct jwt_key keys[2],
                        size_t *count);

#endif
