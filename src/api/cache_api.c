/*
 * How a client comes to use the cache. The words are those of `cove mirror-config`, written by
 * registry/mirror: here they are filled with what this caller may see.
 */
#include "api/cache_api.h"

#include "api/dispatch.h"
#include "api/harbor.h"
#include "registry/mirror.h"
#include "rule/settings.h"

/* ---- words for clients -------------------------------------------------------------------- */

const struct field client_query_fields[] = {
    FIELD(struct client_query, project, 0, 8192),
    FIELD(struct client_query, ns, 0, 255),
    FIELD(struct client_query, login, 0, 0),
    FIELDS_END,
};

struct client_config {
    struct str kind, url, mirror_url, text;
    int64_t routes; /* upstream hosts that the text names */
};

const struct field client_config_fields[] = {
    FIELD(struct client_config, kind, 0, 0),
    FIELD(struct client_config, url, 0, 0),
    FIELD(struct client_config, mirror_url, F_OMIT, 0),
    FIELD(struct client_config, routes, 0, 0),
    FIELD(struct client_config, text, 0, 0),
    FIELDS_END,
};

/* The mirror listener as clients reach it: its own address, or ours with its port. */
static struct str mirror_url(struct call *r, struct str base)
{
    struct str listen = api_config(r->api)->mirror_listen;
    int64_t colon = str_rfind(listen, ':');
    if (!listen.n || colon < 0)
        return NO_STR;
    struct str host = str_sub(listen, 0, (size_t)colon);
    if (!str_eq(host, S("0.0.0.0")) && !str_eq(host, S("[::]")) && host.n)
        return str_fmt(&r->c->mem, "http://%.*s", STR(listen));
    int64_t slash = str_rfind(base, '/');
    base = str_sub(base, (size_t)(slash + 1), base.n);
    colon = str_rfind(base, ':');
    if (colon >= 0 && str_rfind(base, ']') < colon)
        base.n = (size_t)colon;
    return str_fmt(&r->c->mem, "http://%.*s%.*s", STR(base),
                   STR(str_sub(listen, host.n, listen.n)));
}

/* With ns: as it would be if the project served that upstream host. */
enum err get_client_config(struct call *r)
{
    CLEANUP(buf_release) struct buf b = {.max = 1 << 20};
    struct client_query query = {0};
    struct mirror_route *routes;
    struct mirror_params p = {.url = call_base_url(r)};
    struct str kind = call_param(r, "kind");
    TRY(query_decode(r, &query));
    p.mirror_url = mirror_url(r, p.url);
    p.login = query.login;
    struct mirror_route planned = {mirror_host(&r->c->mem, query.ns), query.project};
    if (query.ns.n) {
        p.routes = &planned;
        p.count = 1;
    } else {
        TRY(mirror_routes(r->c, &r->principal, &routes, &p.count));
        p.routes = routes;
        p.count = mirror_keep(routes, p.count, query.project);
    }
    enum err e = mirror_config(r->c, kind, &p, &b);
    if (e == E_BAD_REQUEST)
        return fail(r->c, E_NOT_FOUND, "no text for the client %.*s", STR(str_sub(kind, 0, 40)));
    TRY(e);
    struct client_config out = {kind, p.url, p.mirror_url, buf_view(&b), (int64_t)p.count};
    return reply_json(r, 200, client_config_fields, &out);
}
