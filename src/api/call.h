/* One request being handled: what the dispatcher found out, and the ways to reply. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/route.h"

#define PATH_PARAMS_MAX 8

struct call {
    struct ctx *c;
    struct http_request *http;
    const struct route *route;
    struct {
        const char *name;
        size_t name_n;
        struct str value;
    } params[PATH_PARAMS_MAX];
    size_t param_count;
    struct principal principal;
    bool by_session;              /* authenticated by cookie: CSRF applies */
    struct project_access access; /* when the path names a project */
    struct place place;           /* when it names a repository too */
    void *body;                   /* decoded; route->body.size bytes */
    uint64_t seen;                /* which fields the body had */
    struct list_query query;      /* ROUTE_LIST */
    bool mirror;                  /* came by a mirror name: no challenge */
    struct reply reply;           /* headers may be added before replying */
    bool replied;
    enum outcome outcome; /* for the access log */
};

struct str call_param(const struct call *r, const char *name);
enum err call_param_i64(struct call *r, const char *name, int64_t *out); /* E_BAD_REQUEST */

/* Replies; each may be called once. The object is encoded by its field table. */
enum err reply_json(struct call *r, int status, const struct field *fields, const void *obj);
enum err reply_list(struct call *r, const struct field *fields, const struct list *items,
                    size_t each, int64_t total); /* X-Total-Count, Link */
enum err reply_text(struct call *r, int status, struct str content_type, struct str text);
enum err reply_empty(struct call *r, int status);
enum err reply_created(struct call *r, const char *collection, int64_t id); /* 201, Location */

#endif
