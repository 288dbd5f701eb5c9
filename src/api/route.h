/*
 * One row per operation: method, path, operationId, guard (who may), body table, handler. An unset
 * guard refuses to start. The dispatcher authenticates, resolves project, role and repository
 * once, decides by the guard, decodes the body, and only then calls the handler.
 */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "meta/project.h"
#include "net/http.h"
#include "registry/pull.h"
#include "rule/query.h"
#include "rule/rbac.h"

enum guard_kind {
    GUARD_UNSET,
    GUARD_ANYONE,   /* no identity needed */
    GUARD_LOGIN,    /* any authenticated principal */
    GUARD_SYSTEM,   /* system permission res:act (system admins, system robots) */
    GUARD_PROJECT,  /* res:act in the project of the path */
    GUARD_IN_BODY,  /* the handler's body names the project; checked after decoding, see field */
    GUARD_FOUND,    /* login, then res:act in the project that find() names: see below */
    GUARD_SELF,     /* the user of the path, or a system admin */
    GUARD_REGISTRY, /* /v2: challenge instead of plain 401, scope from the row */
};

struct call; /* one request being handled: api/call.h */

/*
 * Names the project to which the decoded body, the query or the row of the path belongs; 0 = the
 * system, whose permission res:act is then asked. Runs after decoding, outside of a transaction.
 * E_NOT_FOUND is passed on to whoever is logged in. FOUND_OWN: it is the caller's own, and no
 * further right is asked.
 */
#define FOUND_OWN (-1)
typedef enum err project_finder(struct call *r, int64_t *project_id);

struct guard {
    enum guard_kind kind;
    enum resource res;
    enum action act;
    const char *field;    /* GUARD_IN_BODY */
    project_finder *find; /* GUARD_FOUND */
};

#define ANYONE                                                                                     \
    {                                                                                              \
        GUARD_ANYONE, RES_NONE, ACT_NONE, NULL, NULL                                               \
    }
#define LOGIN                                                                                      \
    {                                                                                              \
        GUARD_LOGIN, RES_NONE, ACT_NONE, NULL, NULL                                                \
    }
#define SYSTEM(r, a)                                                                               \
    {                                                                                              \
        GUARD_SYSTEM, RES_##r, ACT_##a, NULL, NULL                                                 \
    }
#define IN_PROJECT(r, a)                                                                           \
    {                                                                                              \
        GUARD_PROJECT, RES_##r, ACT_##a, NULL, NULL                                                \
    }
#define IN_BODY(r, a, f)                                                                           \
    {                                                                                              \
        GUARD_IN_BODY, RES_##r, ACT_##a, #f, NULL                                                  \
    }
#define FOUND(r, a, finder)                                                                        \
    {                                                                                              \
        GUARD_FOUND, RES_##r, ACT_##a, NULL, finder                                                \
    }
#define SELF(r, a)                                                                                 \
    {                                                                                              \
        GUARD_SELF, RES_##r, ACT_##a, NULL, NULL                                                   \
    }
#define REGISTRY(a)                                                                                \
    {                                                                                              \
        GUARD_REGISTRY, RES_REPOSITORY, ACT_##a, NULL, NULL                                        \
    }

struct body_spec {
    const struct field *fields; /* NULL: no body, or the handler streams it */
    size_t size;                /* of the struct */
};
#define BODY(T, table)                                                                             \
    {                                                                                              \
        (table), sizeof(T)                                                                         \
    }
#define NO_BODY                                                                                    \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
/* Query parameters beside q, sort, page and page_size: decoded by query_decode() in the handler. */
#define QUERY(T, table) BODY(T, table)

typedef enum err handler(struct call *r);

/* What a good answer holds, for our own description of the API; handlers reply by the same table.
 */
enum reply_kind {
    REPLY_UNSAID, /* Harbor's rows: its own description says it */
    REPLY_ONE,
    REPLY_LIST,
    REPLY_EITHER,  /* fields (what it would do), or with 202 other (the job that does it) */
    REPLY_NOTHING, /* no body */
    REPLY_OBJECT,  /* an object of another's making */
};
struct reply_spec {
    enum reply_kind kind;
    const struct field *fields, *other;
};
#define GIVES(table)                                                                               \
    {                                                                                              \
        REPLY_ONE, (table), NULL                                                                   \
    }
#define GIVES_LIST(table)                                                                          \
    {                                                                                              \
        REPLY_LIST, (table), NULL                                                                  \
    }
#define GIVES_EITHER(table, job)                                                                   \
    {                                                                                              \
        REPLY_EITHER, (table), (job)                                                               \
    }
#define GIVES_NOTHING                                                                              \
    {                                                                                              \
        REPLY_NOTHING, NULL, NULL                                                                  \
    }
#define GIVES_OBJECT                                                                               \
    {                                                                                              \
        REPLY_OBJECT, NULL, NULL                                                                   \
    }

struct route {
    enum http_method method;
    const char *path;      /* "/projects/{project}/members/{mid}"; {path...} takes slashes */
    const char *operation; /* Harbor's operationId, or our own */
    struct guard guard;
    struct body_spec body;
    handler *run;           /* NULL = LATER: authorises, then answers 501 */
    unsigned flags;         /* see below */
    struct body_spec query; /* own query parameters, none when left out */
    struct reply_spec reply;
};
#define ROUTE_LIST 1U           /* q, sort, page, page_size are parsed into call.query */
#define ROUTE_PAGES 2U          /* page and page_size alone are */
#define ROUTE_NAMED_LOCATION 4U /* X-Resource-Name-In-Location is honoured */
/* The read transaction in which the dispatcher authenticated stays open (c->tx) for the handler,
   until it ends it or replies. Without the flag c->tx is NULL when the handler starts. */
#define ROUTE_READ 8U
#define ROUTE_CSRF 16U     /* needs the CSRF header even without a session (POST /c/login) */
#define ROUTE_ANYTIME 64U  /* in read-only mode too: it changes nothing, or must be possible */
#define ROUTE_PREVIEW 128U /* with "dry_run": true in its body it changes nothing: then, too */
#define ROUTE_SIGN_UP 32U  /* nobody may call it too, where self_registration is on */
#define LATER NULL

/* The arrays; each ends with a row without a path. Paths are relative to /v2, /api/v2.0,
   /api/cove/v1 and the root. A parameter {project} (name, or id in digits) is resolved into
   call.access, {repository} (decoded once more) into call.place, both by the dispatcher. GET rows
   answer HEAD too. */
extern const struct route registry_routes[], harbor_routes[], cove_routes[], misc_routes[];

#endif
