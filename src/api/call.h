/* One request being handled: what the dispatcher found out, and the ways to reply. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/route.h"

#define PATH_PARAMS_MAX 8
#define CALL_BODY_MAX ((size_t)1 << 20) /* JSON bodies of the API */

struct api; /* what the dispatcher keeps for the process: api/dispatch.h */
struct token_claims;

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER, AUTH_SESSION };

/* Which part of the house a request talks to; it decides error form and challenge. */
enum realm { REALM_MISC, REALM_REGISTRY, REALM_API };

struct call {
    struct ctx *c;
    struct http_request *http;
    struct api *api;
    const struct route *route;
    enum realm realm;
    struct {
        const char *name;
        size_t name_n;
        struct str value;
    } params[PATH_PARAMS_MAX];
    size_t param_count;
    struct principal principal;
    enum auth_scheme scheme;      /* how the principal was found */
    bool by_session;              /* authenticated by cookie: CSRF applies */
    struct str session_id, csrf;  /* when by_session */
    bool session_ages;            /* a minute or more of its life is gone: renew it */
    struct token_claims *token;   /* when scheme is AUTH_BEARER */
    struct project_access access; /* when the path names a project */
    struct place place;           /* when it names a repository too */
    struct str full_name;         /* /v2: "project/path", what scopes and messages say */
    void *body;                   /* decoded; route->body.size bytes */
    uint64_t seen;                /* which fields the body had */
    struct list_query query;      /* ROUTE_LIST */
    struct str next_cursor;       /* of the page that follows; see list_rows */
    bool mirror;                  /* came by a mirror name or ?ns= */
    bool mirror_open;             /* mirror listener or host: mirror.allow decides, no challenge */
    bool challenge;               /* a 401 of this call carries WWW-Authenticate */
    bool scope_error;             /* the token was good but narrower than what was asked */
    struct tx tx;                 /* the dispatcher's read transaction */
    struct reply reply;           /* headers may be added before replying */
    bool replied;
    enum outcome outcome; /* for the access log */
};

struct str call_param(const struct call *r, const char *name);
enum err call_param_i64(struct call *r, const char *name, int64_t *out); /* E_BAD_REQUEST */

/* Query parameters; absent = the default (NO_STR, `otherwise`). E_BAD_REQUEST. */
enum err call_query(struct call *r, const char *name, struct str *out);
enum err call_query_i64(struct call *r, const char *name, int64_t otherwise, int64_t *out);
enum err call_query_bool(struct call *r, const char *name, bool otherwise, bool *out);

/*
 * Rights beyond what the row's guard has checked. call_may asks about the call's project when the
 * path names one, else about the system. call_require answers 401 or 403 in words.
 * call_require_in looks another project up first (by name, or by id when it is not 0) and leaves
 * it in *out: unknown is 404 for system admins and a refusal for everybody else. It reads in a
 * transaction of its own when none is open.
 */
bool call_may(const struct call *r, enum resource res, enum action act);
enum err call_require(struct call *r, enum resource res, enum action act);
enum err call_require_in(struct call *r, struct str project, int64_t project_id, enum resource res,
                         enum action act, struct project_access *out);
/* The refusal itself: E_UNAUTHORIZED for nobody, E_FORBIDDEN for somebody. */
enum err call_refuse(struct call *r);
/* The same, and names the right: in the same words whether it or the thing is missing. */
enum err call_refuse_right(struct call *r, enum resource res, enum action act);

/* "https://host" that clients use: external_url, else the request's own. No slash at the end. */
struct str call_base_url(const struct call *r);
/* A further header of the reply, formatted into the request's memory. */
void call_header(struct call *r, const char *name, const char *fmt, ...) PRINTF(3, 4);

/* Link: rel="next": the request's own path and query with this cursor. */
void reply_next(struct call *r, struct str cursor);

/* Replies; each may be called once. The object is encoded by its field table. Every reply ends the
   read transaction first, adds the common headers and writes the access log when it is sent. */
enum err reply_json(struct call *r, int status, const struct field *fields, const void *obj);
enum err reply_list(struct call *r, const struct field *fields, const struct list *items,
                    size_t each, int64_t total); /* X-Total-Count (-1 = not said), Link */
enum err reply_text(struct call *r, int status, struct str content_type, struct str text);
enum err reply_json_text(struct call *r, int status, struct str json); /* finished JSON */
enum err reply_empty(struct call *r, int status);
/* Sends r->reply as it stands (bodies that are files or flights). */
enum err reply_now(struct call *r, int status);

#endif
