/*
 * What handlers use: parameters, rights, replies. Every reply goes through reply_now(), which ends
 * the read transaction before a byte is sent, so no body ever holds a database connection, and
 * hands the access log's record to the sender.
 */
#include "api/call.h"

#include "api/accesslog.h"
#include "api/dispatch.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/heap.h"
#include "meta/list.h"
#include "net/range.h"
#include "registry/access.h"
#include "registry/readonly.h"
#include "rule/settings.h"

#include <assert.h>
#include <string.h>

/* ---- what came in ------------------------------------------------------------------------- */

struct str call_param(const struct call *r, const char *name)
{
    struct str want = str_of(name);
    for (size_t i = 0; i < r->param_count; i++)
        if (str_eq((struct str){r->params[i].name, r->params[i].name_n}, want))
            return r->params[i].value;
    return NO_STR;
}

enum err call_param_i64(struct call *r, const char *name, int64_t *out)
{
    struct str text = call_param(r, name);
    if (!str_to_i64(text, out))
        return fail(r->c, E_BAD_REQUEST, "%s must be a number, not \"%.*s\"", name,
                    STR(str_sub(text, 0, 64)));
    return E_OK;
}

enum err call_query(struct call *r, const char *name, struct str *out)
{
    enum err e = http_query(r->c, r->http, name, out);
    if (e == E_NOT_FOUND) {
        *out = NO_STR;
        return E_OK;
    }
    return e;
}

enum err call_query_i64(struct call *r, const char *name, int64_t otherwise, int64_t *out)
{
    struct str text;
    TRY(call_query(r, name, &text));
    *out = otherwise;
    if (text.n && !str_to_i64(text, out))
        return fail(r->c, E_BAD_REQUEST, "%s must be a number", name);
    return E_OK;
}

enum err call_query_bool(struct call *r, const char *name, bool otherwise, bool *out)
{
    struct str text;
    TRY(call_query(r, name, &text));
    *out = otherwise;
    if (text.n && !str_to_bool(text, out))
        return fail(r->c, E_BAD_REQUEST, "%s must be true or false", name);
    return E_OK;
}

/* ---- rights ------------------------------------------------------------------------------- */

enum err call_refuse(struct call *r)
{
    if (r->principal.kind == PRINCIPAL_ANONYMOUS)
        return fail(r->c, E_UNAUTHORIZED, "unauthorized");
    return fail(r->c, E_FORBIDDEN, "forbidden");
}

enum err call_refuse_right(struct call *r, enum resource res, enum action act)
{
    if (r->principal.kind == PRINCIPAL_ANONYMOUS)
        return call_refuse(r);
    return fail(r->c, E_FORBIDDEN, "forbidden: this needs the right %s:%s", rbac_resource_name(res),
                rbac_action_name(act));
}

bool call_may(const struct call *r, enum resource res, enum action act)
{
    return access_may(&r->principal, r->access.project.project_id ? &r->access : NULL, res, act);
}

enum err call_require(struct call *r, enum resource res, enum action act)
{
    return call_may(r, res, act) ? E_OK : call_refuse_right(r, res, act);
}

static enum err project_lookup(struct call *r, struct str project, int64_t id,
                               struct project_access *out)
{
    if (r->c->tx)
        return project_access_for(r->c, project, id, &r->principal, out);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    return project_access_for(r->c, project, id, &r->principal, out);
}

enum err call_require_in(struct call *r, struct str project, int64_t project_id, enum resource res,
                         enum action act, struct project_access *out)
{
    struct project_access found = {0};
    enum err e = project_lookup(r, project, project_id, &found);
    if (e == E_NOT_FOUND && r->principal.sysadmin && project_id)
        return fail(r->c, E_NOT_FOUND, "project %lld not found", (long long)project_id);
    if (e == E_NOT_FOUND && r->principal.sysadmin)
        return fail(r->c, E_NOT_FOUND, "project %.*s not found", STR(str_sub(project, 0, 255)));
    if (e == E_NOT_FOUND)
        return call_refuse_right(r, res, act);
    TRY(e);
    if (!access_may(&r->principal, &found, res, act))
        return call_refuse_right(r, res, act);
    *out = found;
    return E_OK;
}

/* ---- replies ------------------------------------------------------------------------------ */

struct str call_base_url(const struct call *r)
{
    struct str url = api_config(r->api)->external_url;
    if (url.n) {
        while (url.n && url.p[url.n - 1] == '/')
            url.n--;
        return url;
    }
    return str_fmt(&r->c->mem, "%s://%.*s", r->http->https ? "https" : "http", STR(r->http->host));
}

void call_header(struct call *r, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str value = str_vfmt(&r->c->mem, fmt, ap);
    va_end(ap);
    reply_header(&r->reply, str_of(name), value);
}

enum err reply_now(struct call *r, int status)
{
    assert(!r->replied);
    bool made = r->reply.body.kind == BODY_BYTES || r->reply.body.kind == BODY_NONE;
    if (status < 400 && made && heap_refused()) { /* what was made without memory may be a part */
        r->reply = (struct reply){.body.fd = -1};
        return fail(r->c, E_UNAVAILABLE, "out of memory");
    }
    r->replied = true;
    tx_end(&r->tx);
    r->reply.status = status;
    reply_header(&r->reply, S("X-Content-Type-Options"), S("nosniff"));
    if (r->c->request_id.n)
        reply_header(&r->reply, S("X-Request-Id"), r->c->request_id);
    if (read_only()) /* a console says so before somebody tries to change something */
        reply_header(&r->reply, S("X-Cove-Read-Only"), S("true"));
    if (r->realm == REALM_REGISTRY)
        reply_header(&r->reply, S("Docker-Distribution-Api-Version"), S("registry/2.0"));
    accesslog_attach(r);
    reply_send(r->c, r->http, &r->reply);
    return E_OK;
}

/* Who asks again and again (a console that polls) hears 304 while nothing changed. /v2 has tags of
   its own, and a page too. */
static bool unchanged(struct call *r, struct str text)
{
    unsigned char sum[MAC_SIZE];
    if (r->realm != REALM_API || r->http->method != HTTP_GET)
        return false;
    sha256(text, sum);
    struct str tag = str_fmt(&r->c->mem, "\"%.*s\"", STR(hex_encode(&r->c->mem, sum, 16)));
    reply_header(&r->reply, S("ETag"), tag);
    return etag_listed(http_header(r->http, "If-None-Match"), tag);
}

enum err reply_text(struct call *r, int status, struct str content_type, struct str text)
{
    if (status == 200 && unchanged(r, text))
        return reply_empty(r, 304);
    reply_header(&r->reply, S("Content-Type"), content_type);
    r->reply.body = (struct body){.kind = BODY_BYTES, .bytes = text, .fd = -1};
    return reply_now(r, status);
}

enum err reply_json_text(struct call *r, int status, struct str json)
{
    return reply_text(r, status, S("application/json; charset=utf-8"), json);
}

enum err reply_empty(struct call *r, int status)
{
    r->reply.body = (struct body){.kind = BODY_NONE, .fd = -1};
    return reply_now(r, status);
}

static enum err reply_buf(struct call *r, int status, struct buf *b)
{
    if (b->full)
        return fail(r->c, E_INTERNAL, "the answer is over %zu bytes", b->max ? b->max : BUF_MAX);
    return reply_json_text(r, status, buf_view(b));
}

enum err reply_json(struct call *r, int status, const struct field *fields, const void *obj)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode(&j, &r->c->mem, fields, obj);
    return reply_buf(r, status, &b);
}

/* The request's own path and query with another page or cursor (`head`), without the parameters
   that it replaces. Relative, as Harbor gives it. */
static struct str same_with(struct call *r, struct str head, bool pages)
{
    struct str path = r->http->target, query = r->http->query;
    int64_t mark = str_find(path, '?');
    int64_t start = str_starts(path, S("/")) ? 0 : -1;
    if (start < 0) /* absolute form: take the decoded path, encoded again */
        path = percent_encode(&r->c->mem, r->http->path, "/");
    else if (mark >= 0)
        path.n = (size_t)mark;
    struct str out = str_fmt(&r->c->mem, "%.*s?%.*s", STR(path), STR(head));
    while (query.n) {
        struct str pair = str_cut(&query, '&'), rest = pair;
        struct str key = str_cut(&rest, '=');
        bool replaced = pages ? str_eq(key, S("page")) || str_eq(key, S("page_size"))
                              : str_eq(key, S("cursor"));
        if (pair.n && !replaced)
            out = str_fmt(&r->c->mem, "%.*s&%.*s", STR(out), STR(pair));
    }
    return out;
}

static struct str page_url(struct call *r, int64_t page)
{
    return same_with(r,
                     str_fmt(&r->c->mem, "page=%lld&page_size=%lld", (long long)page,
                             (long long)r->query.page_size),
                     true);
}

void reply_next(struct call *r, struct str cursor)
{
    struct str head =
        str_fmt(&r->c->mem, "cursor=%.*s", STR(percent_encode(&r->c->mem, cursor, "")));
    call_header(r, "Link", "<%.*s>; rel=\"next\"", STR(same_with(r, head, false)));
}

static void link_header(struct call *r, int64_t total)
{
    int64_t page = r->query.page, size = r->query.page_size;
    struct str prev = NO_STR, next = NO_STR;
    if (size <= 0)
        return;
    if (page > 1)
        prev = str_fmt(&r->c->mem, "<%.*s>; rel=\"prev\"", STR(page_url(r, page - 1)));
    if (page <= (total - 1) / size)
        next = str_fmt(&r->c->mem, "<%.*s>; rel=\"next\"", STR(page_url(r, page + 1)));
    if (prev.n || next.n)
        call_header(r, "Link", "%.*s%s%.*s", STR(prev), prev.n && next.n ? " , " : "", STR(next));
}

enum err reply_list(struct call *r, const struct field *fields, const struct list *items,
                    size_t each, int64_t total)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode_list(&j, &r->c->mem, fields, items->items, items->count, each);
    if (r->query.by_cursor && total > LIST_COUNT_MAX) {
        total = LIST_COUNT_MAX;
        call_header(r, "X-Total-Is-Limit", "true");
    }
    if (total >= 0)
        call_header(r, "X-Total-Count", "%lld", (long long)total);
    if (r->next_cursor.n)
        reply_next(r, r->next_cursor);
    else if (!r->query.by_cursor && r->route && (r->route->flags & (ROUTE_LIST | ROUTE_PAGES)))
        link_header(r, total);
    return reply_buf(r, 200, &b);
}
