/*
 * Two ways of saying no. Harbor's API: 401 to nobody, 403 to somebody, 404 for a missing project
 * to system admins alone, so that nobody can probe for names. /v2: a 401 with a challenge wherever
 * another token could help, else 403 DENIED.
 *
 * What is authorised is the text that was routed: names come from the parameters of the row.
 */
#include "api/authorize.h"

#include "api/dispatch.h"
#include "api/token.h"
#include "base/codec.h"
#include "net/address.h"
#include "registry/access.h"
#include "registry/mirror.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <string.h>

/* ---- mirror ------------------------------------------------------------------------------- */

static struct str host_only(struct str host)
{
    int64_t colon = str_rfind(host, ':');
    if (colon >= 0 && !str_ends(host, S("]")))
        host.n = (size_t)colon;
    return host;
}

static bool own_host(struct call *r, struct str ns)
{
    struct str url = api_config(r->api)->external_url;
    if (str_starts(url, S("https://")))
        url = str_sub(url, 8, url.n);
    else if (str_starts(url, S("http://")))
        url = str_sub(url, 7, url.n);
    url = str_cut(&url, '/');
    return str_eq_nocase(ns, r->http->host) || (url.n && str_eq_nocase(ns, url));
}

static bool mirror_name(struct call *r)
{
    const struct settings *s = api_config(r->api);
    if (r->http->listener == LISTENER_MIRROR)
        return true;
    for (size_t i = 0; i < s->mirror_hosts.count; i++)
        if (str_eq_nocase(s->mirror_hosts.items[i], r->http->host) ||
            str_eq_nocase(s->mirror_hosts.items[i], host_only(r->http->host)))
            return true;
    return false;
}

enum err authorize_mirror(struct call *r)
{
    struct str ns;
    r->mirror_open = mirror_name(r);
    r->mirror = r->mirror_open;
    if (r->realm != REALM_REGISTRY)
        return E_OK;
    TRY(call_query(r, "ns", &ns));
    if (ns.n && !own_host(r, ns))
        r->mirror = true;
    if (!r->mirror)
        return E_OK;
    if (r->http->method != HTTP_GET && r->http->method != HTTP_HEAD)
        return fail(r->c, E_METHOD_NOT_ALLOWED, "a mirror is for pulling");
    if (r->mirror_open) {
        CLEANUP(cidrs_release) struct cidrs allow = {0};
        TRY(cidrs_init(r->c, &api_config(r->api)->mirror_allow, &allow));
        if (!cidrs_match_text(&allow, r->http->client))
            return fail(r->c, E_DENIED, "%.*s is not in mirror.allow", STR(r->http->client));
    }
    return E_OK;
}

static enum err mirror_project(struct call *r, struct str name)
{
    struct str ns;
    TRY(call_query(r, "ns", &ns));
    struct str host = ns.n && !own_host(r, ns) ? mirror_host(&r->c->mem, ns) : S("docker.io");
    if (!name_is_repository(name))
        return fail(r->c, E_NAME_INVALID, "invalid repository name");
    enum err e = project_access_for_ns(r->c, host, &r->principal, &r->access);
    if (e == E_NOT_FOUND)
        return fail(r->c, E_NAME_UNKNOWN, "no project serves %.*s", STR(str_sub(host, 0, 255)));
    TRY(e);
    r->place.repository = mirror_repository(&r->c->mem, &r->access.endpoint, name);
    r->full_name =
        str_fmt(&r->c->mem, "%.*s/%.*s", STR(r->access.project.name), STR(r->place.repository));
    return E_OK;
}

/* ---- /v2 ---------------------------------------------------------------------------------- */

struct str authorize_challenge(struct call *r)
{
    struct arena *a = &r->c->mem;
    const struct route *row = r->route;
    if (r->realm != REALM_REGISTRY || (row && row->guard.res == RES_CATALOG))
        return S("Basic realm=\"harbor\"");
    struct str scope = NO_STR;
    const char *error = r->scope_error ? ",error=\"insufficient_scope\"" : "";
    if (r->full_name.n) {
        enum action act = row ? row->guard.act : ACT_PULL;
        const char *words = act == ACT_PUSH ? "pull,push" : act == ACT_DELETE ? "delete" : "pull";
        struct str from;
        scope = str_fmt(a, ",scope=\"repository:%.*s:%s", STR(r->full_name), words);
        if (act == ACT_PUSH && call_query(r, "from", &from) == E_OK && name_is_repository(from))
            scope = str_fmt(a, "%.*s repository:%.*s:pull", STR(scope), STR(from));
        scope = str_fmt(a, "%.*s\"", STR(scope));
    }
    return str_fmt(a, "Bearer realm=\"%.*s/service/token\",service=\"" TOKEN_SERVICE "\"%.*s%s",
                   STR(call_base_url(r)), STR(scope), error);
}

bool authorize_repository(struct call *r, const struct project_access *project,
                          struct str full_name, enum action act)
{
    bool may = access_may(&r->principal, project, RES_REPOSITORY, act);
    if (act == ACT_DELETE) /* robots are given artifact:delete */
        may = may || access_may(&r->principal, project, RES_ARTIFACT, ACT_DELETE);
    if (r->scheme == AUTH_BEARER)
        may = may &&
              token_allows(r->token, project->project.project_id, full_name, token_action(act));
    return may;
}

static enum err registry_refuse(struct call *r, bool project_known)
{
    if (!project_known && r->principal.sysadmin) {
        struct str rest = r->full_name, project = str_cut(&rest, '/');
        return fail(r->c, E_NAME_UNKNOWN, "project %.*s not found", STR(project));
    }
    if (r->scheme == AUTH_BASIC)
        return fail(r->c, E_DENIED, "requested access to the resource is denied");
    r->scope_error = r->scheme == AUTH_BEARER;
    return fail(r->c, E_UNAUTHORIZED, "unauthorized to access repository: %.*s", STR(r->full_name));
}

static enum err registry_project(struct call *r, struct str name, bool *known)
{
    struct str project, path;
    r->full_name = name;
    if (!name_is_repository(name)) {
        r->full_name = NO_STR;
        return fail(r->c, E_NAME_INVALID, "invalid repository name");
    }
    if (r->scheme == AUTH_NONE)
        return fail(r->c, E_UNAUTHORIZED, "authentication is required");
    TRY(name_split(r->c, name, &project, &path));
    enum err e = project_access_for(r->c, project, 0, &r->principal, &r->access);
    *known = e == E_OK;
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    r->place.repository = r->access.project.registry_id
                              ? mirror_repository(&r->c->mem, &r->access.endpoint, path)
                              : path;
    return E_OK;
}

static enum err registry(struct call *r)
{
    struct str name = call_param(r, "name");
    enum action act = r->route->guard.act;
    bool known = true;
    r->challenge = !r->mirror_open;
    r->place.access = &r->access;
    r->place.principal = &r->principal;
    if (!name.n && r->mirror_open)
        return act == ACT_NONE ? E_OK : fail(r->c, E_NOT_FOUND, "a mirror has no catalog");
    if (r->route->guard.res == RES_CATALOG) {
        bool may = access_may(&r->principal, NULL, RES_CATALOG, ACT_READ);
        if (may && r->scheme == AUTH_BEARER)
            may = token_allows(r->token, 0, S("catalog"), TOKEN_CATALOG);
        return may ? E_OK : fail(r->c, E_UNAUTHORIZED, "unauthorized to list catalog");
    }
    if (!name.n)
        return r->principal.kind != PRINCIPAL_ANONYMOUS
                   ? E_OK
                   : fail(r->c, E_UNAUTHORIZED, "unauthorized");
    if (r->mirror)
        TRY(mirror_project(r, name));
    else
        TRY(registry_project(r, name, &known));
    if (r->mirror_open)
        return E_OK;
    if (!known || !authorize_repository(r, &r->access, r->full_name, act))
        return registry_refuse(r, known);
    r->place.may_push =
        act == ACT_PUSH || authorize_repository(r, &r->access, r->full_name, ACT_PUSH);
    return E_OK;
}

/* ---- Harbor's API ------------------------------------------------------------------------- */

static struct str param_of(struct call *r, const char *const *names)
{
    for (; *names; names++) {
        struct str v = call_param(r, *names);
        if (v.n)
            return v;
    }
    return NO_STR;
}

static const char *const project_params[] = {"project", "project_name_or_id", "project_name", NULL};
static const char *const repository_params[] = {"repository", "repository_name", NULL};

static enum err resolve(struct call *r)
{
    struct str project = param_of(r, project_params);
    struct str repository = param_of(r, repository_params);
    int64_t id = 0;
    if (repository.n) {
        struct str plain;
        if (!percent_decode(&r->c->mem, repository, false, &plain) || !name_is_repository(plain))
            return fail(r->c, E_BAD_REQUEST, "invalid repository name");
        r->place = (struct place){&r->access, &r->principal, plain, false};
    }
    bool by_name = call_param(r, "project_name").n ||
                   str_eq_nocase(str_trim(http_header(r->http, "X-Is-Resource-Name")), S("true"));
    if (by_name || !str_to_i64(project, &id) || id < 0)
        id = 0;
    const struct guard *g = &r->route->guard;
    TRY(call_require_in(r, id ? NO_STR : project, id, g->res, g->act, &r->access));
    if (repository.n) {
        r->place.may_push = call_may(r, RES_REPOSITORY, ACT_PUSH);
        r->full_name =
            str_fmt(&r->c->mem, "%.*s/%.*s", STR(r->access.project.name), STR(r->place.repository));
    }
    return E_OK;
}

static enum err self(struct call *r)
{
    int64_t id;
    if (r->principal.kind == PRINCIPAL_ANONYMOUS)
        return call_refuse(r);
    TRY(call_param_i64(r, "user_id", &id));
    if (r->principal.kind == PRINCIPAL_USER && r->principal.id == id)
        return E_OK;
    return call_require(r, r->route->guard.res, r->route->guard.act);
}

enum err authorize(struct call *r)
{
    const struct guard *g = &r->route->guard;
    switch (g->kind) {
    case GUARD_ANYONE: return E_OK;
    case GUARD_LOGIN:
    case GUARD_IN_BODY:
    case GUARD_FOUND: return r->principal.kind == PRINCIPAL_ANONYMOUS ? call_refuse(r) : E_OK;
    case GUARD_SYSTEM:
        if ((r->route->flags & ROUTE_SIGN_UP) && r->principal.kind == PRINCIPAL_ANONYMOUS &&
            api_config(r->api)->self_registration)
            return E_OK;
        return access_may(&r->principal, NULL, g->res, g->act)
                   ? E_OK
                   : call_refuse_right(r, g->res, g->act);
    case GUARD_PROJECT: return resolve(r);
    case GUARD_SELF: return self(r);
    case GUARD_REGISTRY: return registry(r);
    case GUARD_UNSET: break;
    }
    return fail(r->c, E_INTERNAL, "a route without a guard was reached");
}

static enum err require_project(struct call *r, struct str name, int64_t id)
{
    const struct guard *g = &r->route->guard;
    if (!id && !name.n)
        return access_may(&r->principal, NULL, g->res, g->act)
                   ? E_OK
                   : call_refuse_right(r, g->res, g->act);
    return call_require_in(r, name, id, g->res, g->act, &r->access);
}

enum err authorize_body(struct call *r)
{
    const struct guard *g = &r->route->guard;
    if (g->kind == GUARD_FOUND) {
        int64_t id = 0;
        TRY(g->find(r, &id));
        if (id == FOUND_OWN)
            return E_OK;
        return require_project(r, NO_STR, id);
    }
    if (g->kind != GUARD_IN_BODY)
        return E_OK;
    const struct field *f = field_by_name(r->route->body.fields, str_of(g->field));
    if (!f || !r->body || (f->type != F_I64 && f->type != F_STR))
        return fail(r->c, E_INTERNAL, "the guard's field %s is not in the body", g->field);
    const char *member = (const char *)r->body + f->off;
    int64_t id = 0;
    struct str name = NO_STR;
    if (f->type == F_I64)
        memcpy(&id, member, sizeof id);
    else
        memcpy(&name, member, sizeof name);
    return require_project(r, name, id);
}
