/* What stands outside of /v2 and the two APIs: version, health, metrics, the token service. */
#include "api/dispatch.h"
#include "api/harbor.h"
#include "api/token.h"
#include "base/metric.h"
#include "blob/store.h"

#define SPACE_FLOOR (INT64_C(16) << 20) /* bytes below which a node takes no pushes */

static enum err get_version(struct call *r)
{
    return reply_json_text(r, 200, S("{\"version\":\"v2.0\"}"));
}

static enum err get_healthz(struct call *r)
{
    return reply_text(r, 200, S("text/plain; charset=utf-8"), S("ok\n"));
}

static enum err get_readyz(struct call *r)
{
    int64_t free_bytes, total;
    if (!api_ready(r->api))
        return fail(r->c, E_UNAVAILABLE, "shutting down");
    TRY(db_ping(r->c));
    TRY(store_space(r->c, &free_bytes, &total));
    if (free_bytes < SPACE_FLOOR)
        return fail(r->c, E_UNAVAILABLE, "no space left on the data directory's file system");
    return reply_text(r, 200, S("text/plain; charset=utf-8"), S("ready\n"));
}

static enum err get_metrics(struct call *r)
{
    CLEANUP(buf_release) struct buf b = {0};
    metric_write(&b);
    return reply_text(r, 200, S("text/plain; version=0.0.4; charset=utf-8"), buf_view(&b));
}

static enum err get_root(struct call *r)
{
    struct str base = call_base_url(r);
    if (str_starts(base, S("https://")))
        base = str_sub(base, 8, base.n);
    else if (str_starts(base, S("http://")))
        base = str_sub(base, 7, base.n);
    return reply_text(r, 200, S("text/plain; charset=utf-8"),
                      str_fmt(&r->c->mem,
                              "Cove " COVE_VERSION
                              ": an OCI registry and pull-through proxy cache.\n\n"
                              "  docker login %.*s\n"
                              "  docker pull %.*s/<project>/<repository>:<tag>\n\n"
                              "API: /api/v2.0 (Harbor's), /api/cove/v1. State: /healthz, /readyz, "
                              "/metrics.\n",
                              STR(base), STR(base)));
}

const struct route misc_routes[] = {
    {HTTP_GET, "/", "getRoot", ANYONE, NO_BODY, get_root, 0},
    {HTTP_GET, "/api/version", "getVersion", ANYONE, NO_BODY, get_version, 0},
    {HTTP_GET, "/healthz", "getHealthz", ANYONE, NO_BODY, get_healthz, 0},
    {HTTP_GET, "/readyz", "getReadyz", ANYONE, NO_BODY, get_readyz, 0},
    {HTTP_GET, "/metrics", "getMetrics", ANYONE, NO_BODY, get_metrics, 0},
    {HTTP_GET, "/service/token", "getToken", ANYONE, NO_BODY, service_token, ROUTE_READ},
    {HTTP_POST, "/c/login", "login", ANYONE, NO_BODY, session_login, ROUTE_CSRF | ROUTE_ANYTIME},
    {HTTP_GET, "/c/log_out", "logout", ANYONE, NO_BODY, session_logout},
    {HTTP_POST, "/c/userExists", "userExists", ANYONE, NO_BODY, user_exists,
     ROUTE_CSRF | ROUTE_ANYTIME},
    {0},
};
