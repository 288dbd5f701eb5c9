/*
 * The tree is built once at start in the router's own arena and never changes, so matching needs
 * no lock. Matching walks the segments of the decoded path, so what is authorised is the same text
 * that was routed. Names of parameters come from the row that was found, so two rows may call the
 * same place differently. At most one {name...} stands in a pattern, which bounds the walk.
 */
#include "api/router.h"

#include <stdlib.h>

#define SEGMENTS_MAX 64
#define METHODS (HTTP_OPTIONS + 1)

struct node {
    struct str literal; /* of a literal child */
    struct node *children, *next;
    struct node *param, *greedy;
    const struct route *rows[METHODS];
    enum realm realm;
};

struct router {
    struct arena mem;
    struct node root;
};

struct walk {
    struct str segments[SEGMENTS_MAX];
    size_t count;
    struct str values[PATH_PARAMS_MAX];
    size_t value_count;
    enum http_method method;
    struct route_match *out;
};

/* Cuts "/a/b/" into segments; one slash at the end is not a segment. False: too many, or empty. */
static bool split(struct str path, struct str *out, size_t *count)
{
    *count = 0;
    if (!path.n || path.p[0] != '/')
        return false;
    path = str_sub(path, 1, path.n);
    if (path.n && path.p[path.n - 1] == '/')
        path.n--;
    while (path.n) {
        int64_t slash = str_find(path, '/');
        size_t n = slash < 0 ? path.n : (size_t)slash;
        if (!n || *count == SEGMENTS_MAX || (slash >= 0 && n + 1 == path.n))
            return false;
        out[(*count)++] = str_sub(path, 0, n);
        path = str_sub(path, slash < 0 ? n : n + 1, path.n);
    }
    return true;
}

static struct node *child_literal(struct router *router, struct node *at, struct str literal)
{
    struct node **link = &at->children;
    while (*link && !str_eq((*link)->literal, literal))
        link = &(*link)->next;
    if (!*link) {
        *link = arena_alloc(&router->mem, sizeof **link);
        (*link)->literal = literal;
    }
    return *link;
}

static struct node *child_of(struct router *router, struct node *at, struct str segment)
{
    if (segment.p[0] != '{')
        return child_literal(router, at, segment);
    struct node **link = str_ends(segment, S("...}")) ? &at->greedy : &at->param;
    if (!*link)
        *link = arena_alloc(&router->mem, sizeof **link);
    return *link;
}

static bool pattern_sane(const struct str *segments, size_t count)
{
    size_t greedy = 0, params = 0;
    for (size_t i = 0; i < count; i++) {
        bool open = segments[i].p[0] == '{';
        if (open != str_ends(segments[i], S("}")) || (open && segments[i].n < 3))
            return false;
        params += open;
        greedy += str_ends(segments[i], S("...}"));
    }
    return greedy <= 1 && params <= PATH_PARAMS_MAX;
}

static enum err add_row(struct ctx *c, struct router *router, const struct router_table *table,
                        const struct route *row)
{
    struct str segments[SEGMENTS_MAX];
    size_t count;
    struct str full = str_fmt(&router->mem, "%s%s", table->prefix, row->path);
    if (row->guard.kind == GUARD_UNSET || row->method == HTTP_OTHER || !row->operation)
        return fail(c, E_INTERNAL, "route %.*s has no guard, method or name", STR(full));
    if (!split(full, segments, &count) || !pattern_sane(segments, count))
        return fail(c, E_INTERNAL, "route %.*s is malformed", STR(full));
    struct node *at = &router->root;
    for (size_t i = 0; i < count; i++)
        at = child_of(router, at, segments[i]);
    if (at->rows[row->method])
        return fail(c, E_INTERNAL, "route %.*s stands twice", STR(full));
    at->rows[row->method] = row;
    at->realm = table->realm;
    return E_OK;
}

enum err router_new(struct ctx *c, const struct router_table *tables, size_t count,
                    struct router **out)
{
    struct router *router = calloc(1, sizeof *router);
    if (!router)
        return fail(c, E_INTERNAL, "out of memory");
    for (size_t i = 0; i < count; i++)
        for (const struct route *row = tables[i].routes; row->path; row++) {
            enum err e = add_row(c, router, &tables[i], row);
            if (e != E_OK) {
                router_free(router);
                return e;
            }
        }
    *out = router;
    return E_OK;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    arena_release(&router->mem);
    free(router);
}

static bool found(struct walk *w, const struct node *at)
{
    struct route_match *out = w->out;
    for (unsigned m = 0; m < METHODS; m++)
        if (at->rows[m]) {
            out->methods |= 1U << m;
            out->path_known = true;
            out->realm = at->realm;
        }
    const struct route *row = at->rows[w->method];
    if (!row && w->method == HTTP_HEAD)
        row = at->rows[HTTP_GET];
    out->route = row;
    return row != NULL;
}

static bool walk_from(struct walk *w, const struct node *at, size_t i);

static bool walk_greedy(struct walk *w, const struct node *at, size_t i)
{
    if (w->value_count == PATH_PARAMS_MAX)
        return false;
    size_t slot = w->value_count++;
    for (size_t end = w->count; end > i; end--) {
        const struct str *last = &w->segments[end - 1];
        w->values[slot] =
            (struct str){w->segments[i].p, (size_t)(last->p + last->n - w->segments[i].p)};
        if (walk_from(w, at, end))
            return true;
        w->value_count = slot + 1;
    }
    w->value_count = slot;
    return false;
}

static bool walk_from(struct walk *w, const struct node *at, size_t i)
{
    if (i == w->count)
        return found(w, at);
    for (const struct node *n = at->children; n; n = n->next)
        if (str_eq(n->literal, w->segments[i]) && walk_from(w, n, i + 1))
            return true;
    if (at->param && w->value_count < PATH_PARAMS_MAX) {
        size_t slot = w->value_count;
        w->values[w->value_count++] = w->segments[i];
        if (walk_from(w, at->param, i + 1))
            return true;
        w->value_count = slot;
    }
    return at->greedy && walk_greedy(w, at->greedy, i);
}

/* The k-th value belongs to the k-th {name} of the row's pattern. */
static void name_params(const struct walk *w, const struct route *row, struct call *r)
{
    struct str path = str_of(row->path);
    r->param_count = 0;
    for (int64_t at; (at = str_find(path, '{')) >= 0 && r->param_count < w->value_count;) {
        path = str_sub(path, (size_t)at + 1, path.n);
        struct str name = str_cut(&path, '}');
        if (str_ends(name, S("...")))
            name.n -= 3;
        r->params[r->param_count].name = name.p;
        r->params[r->param_count].name_n = name.n;
        r->params[r->param_count].value = w->values[r->param_count];
        r->param_count++;
    }
}

void router_match(const struct router *router, enum http_method method, struct str path,
                  struct call *r, struct route_match *out)
{
    struct walk w = {.method = method, .out = out};
    *out = (struct route_match){0};
    if (!split(path, w.segments, &w.count))
        return;
    if (walk_from(&w, &router->root, 0))
        name_params(&w, out->route, r);
}
