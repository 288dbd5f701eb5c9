/*
 * One request from head to reply. Order: row, mirror, who, CSRF, may they, body, handler. The read
 * transaction opened for "who" and "may they" is the one in which a pull reads its content (rows
 * with ROUTE_READ); for all other rows it ends before the handler starts. Requests that carry no
 * credential and need none never touch the database.
 */
#include "api/dispatch.h"

#include "api/auth.h"
#include "api/authorize.h"
#include "api/console.h"
#include "api/error.h"
#include "api/token.h"
#include "base/crypt.h"
#include "base/heap.h"
#include "base/log.h"
#include "meta/store.h"
#include "registry/readonly.h"
#include "rule/settings.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_RELOAD_MS 5000

struct api {
    struct services *sv;
    struct router *router;
    struct arena mem; /* installation id, key ids */
    struct str installation;
    atomic_bool ready;
    pthread_mutex_t keys_lock;
    struct jwt_key keys[2];
    char kids[2][64];
    size_t key_count;
    int64_t keys_read_ms;
};

static const struct router_table tables[] = {
    {"/v2", registry_routes, REALM_REGISTRY},
    {"/api/v2.0", harbor_routes, REALM_API},
    {"/api/cove/v1", cove_routes, REALM_API},
    {"", misc_routes, REALM_MISC},
};

const struct settings *api_config(const struct api *api)
{
    return api->sv->settings;
}

struct str api_installation(const struct api *api)
{
    return api->installation;
}

void api_set_ready(struct api *api, bool ready)
{
    atomic_store(&api->ready, ready);
}

bool api_ready(const struct api *api)
{
    return atomic_load(&api->ready);
}

/* ---- keys --------------------------------------------------------------------------------- */

static void keep_keys(struct api *api, const struct jwt_key *keys, size_t count)
{
    token_forget_all();
    api->key_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t n = size_min(keys[i].kid.n, sizeof api->kids[i]);
        memcpy(api->kids[i], keys[i].kid.p, n);
        api->keys[i] = keys[i];
        api->keys[i].kid = (struct str){api->kids[i], n};
    }
    api->keys_read_ms = clock_mono_ms();
}

static enum err load_in(struct ctx *c, struct jwt_key keys[2], size_t *count)
{
    if (c->tx)
        return keyring_load(c, keys, count);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return keyring_load(c, keys, count);
}

enum err api_token_keys(struct ctx *c, struct api *api, bool reload, struct jwt_key keys[2],
                        size_t *count)
{
    pthread_mutex_lock(&api->keys_lock);
    bool due = reload && clock_mono_ms() - api->keys_read_ms >= KEYS_RELOAD_MS;
    if (due)
        api->keys_read_ms = clock_mono_ms(); /* one reader is enough */
    pthread_mutex_unlock(&api->keys_lock);
    if (due) {
        struct jwt_key fresh[2];
        size_t n = 0;
        TRY(load_in(c, fresh, &n));
        pthread_mutex_lock(&api->keys_lock);
        keep_keys(api, fresh, n);
        pthread_mutex_unlock(&api->keys_lock);
    }
    pthread_mutex_lock(&api->keys_lock);
    *count = api->key_count;
    for (size_t i = 0; i < api->key_count; i++) {
        keys[i] = api->keys[i];
        keys[i].kid = str_dup(&c->mem, api->keys[i].kid);
    }
    pthread_mutex_unlock(&api->keys_lock);
    return E_OK;
}

static enum err first_keys(struct ctx *c, struct api *api)
{
    struct jwt_key keys[2];
    size_t count = 0;
    struct str id;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(store_id(c, &id));
    TRY(keyring_load(c, keys, &count));
    if (!count) {
        TRY(keyring_rotate(c));
        TRY(keyring_load(c, keys, &count));
    }
    TRY(tx_commit(&tx));
    api->installation = str_dup(&api->mem, id);
    keep_keys(api, keys, count);
    return E_OK;
}

enum err api_new(struct ctx *c, struct services *sv, struct api **out)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return fail(c, E_INTERNAL, "out of memory");
    api->sv = sv;
    pthread_mutex_init(&api->keys_lock, NULL);
    enum err e = router_new(c, tables, COUNT(tables), &api->router);
    if (e == E_OK)
        e = first_keys(c, api);
    if (e != E_OK) {
        api_free(api);
        return e;
    }
    *out = api;
    return E_OK;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    token_forget_all();
    router_free(api->router);
    arena_release(&api->mem);
    explicit_bzero(api->keys, sizeof api->keys);
    pthread_mutex_destroy(&api->keys_lock);
    free(api);
}

/* ---- one request -------------------------------------------------------------------------- */

static bool under(struct str path, struct str prefix)
{
    return str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

static enum realm realm_of(struct str path)
{
    if (under(path, S("/v2")))
        return REALM_REGISTRY;
    return under(path, S("/api")) ? REALM_API : REALM_MISC;
}

static struct str request_id(struct ctx *c, const struct http_request *http)
{
    struct str given = str_trim(http_header(http, "X-Request-Id"));
    bool good = given.n > 0 && given.n <= 128;
    for (size_t i = 0; i < given.n && good; i++) {
        char ch = given.p[i];
        good = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
               ch == '-' || ch == '_' || ch == '.';
    }
    return good ? given : random_uuid(&c->mem);
}

struct str api_allowed(struct call *r)
{
    static const char *const names[] = {NULL,  "GET",   "HEAD",   "POST",
                                        "PUT", "PATCH", "DELETE", "OPTIONS"};
    struct route_match m;
    struct call scratch = {.c = r->c};
    struct str out = NO_STR;
    router_match(r->api->router, HTTP_OTHER, r->http->path, &scratch, &m);
    if (m.methods & 1U << HTTP_GET)
        m.methods |= 1U << HTTP_HEAD;
    for (unsigned i = 1; i < COUNT(names); i++)
        if (m.methods & 1U << i)
            out = str_fmt(&r->c->mem, "%.*s%s%s", STR(out), out.n ? ", " : "", names[i]);
    return out;
}

static enum err find_row(struct call *r)
{
    struct route_match m;
    router_match(r->api->router, r->http->method, r->http->path, r, &m);
    r->realm = m.path_known ? m.realm : realm_of(r->http->path);
    r->route = m.route;
    if (m.route)
        return E_OK;
    if (m.path_known)
        return fail(r->c, E_METHOD_NOT_ALLOWED, "the method %.*s is not allowed here",
                    STR(str_sub(r->http->method_text, 0, 16)));
    return fail(r->c, E_NOT_FOUND, "there is nothing at this path");
}

static bool has_credential(const struct call *r)
{
    if (http_header(r->http, "Authorization").n)
        return true;
    return r->realm != REALM_REGISTRY &&
           str_contains(http_header(r->http, "Cookie"), S(SESSION_COOKIE "="));
}

static enum err identify(struct call *r)
{
    r->c->actor = S("anonymous");
    if (r->mirror_open || !has_credential(r)) {
        bool alone = r->route->guard.kind == GUARD_ANYONE && !(r->route->flags & ROUTE_READ);
        return alone ? auth_csrf(r) : tx_read(r->c, &r->tx);
    }
    auth_wait();
    TRY(tx_read(r->c, &r->tx));
    TRY(auth_authenticate(r));
    return auth_csrf(r);
}

static enum err bad_page(struct call *r, const char *what)
{
    return fail(r->c, E_UNPROCESSABLE, "%s", what);
}

static enum err read_list_query(struct call *r)
{
    struct str q, sort;
    unsigned flags = r->route->flags;
    if (!(flags & (ROUTE_LIST | ROUTE_PAGES)))
        return E_OK;
    if (call_query_i64(r, "page", 1, &r->query.page) != E_OK || r->query.page < 1)
        return bad_page(r, "page in query should be greater than or equal to 1");
    if (call_query_i64(r, "page_size", 10, &r->query.page_size) != E_OK || r->query.page_size < 1 ||
        r->query.page_size > 100)
        return bad_page(r, "page_size in query should be between 1 and 100");
    if (!(flags & ROUTE_LIST))
        return E_OK;
    r->query.lenient = under(r->http->path, S("/api/v2.0"));
    TRY(call_query(r, "q", &q));
    TRY(call_query(r, "sort", &sort));
    enum err cursor = http_query(r->c, r->http, "cursor", &r->query.cursor);
    if (cursor != E_OK && cursor != E_NOT_FOUND)
        return cursor;
    r->query.by_cursor = cursor == E_OK;
    r->query.next = &r->next_cursor;
    if (q.n)
        TRY(query_parse(r->c, q, &r->query));
    return sort.n ? query_parse_sort(r->c, sort, &r->query) : E_OK;
}

static bool is_dry_run(const struct call *r)
{
    const struct field *f = r->route->body.fields;
    while (f->name && !str_eq(str_of(f->name), S("dry_run")))
        f++;
    assert(f->type == F_BOOL);
    return *(const bool *)((const char *)r->body + f->off);
}

/* Read-only mode refuses what could change something, in Harbor's words and with its status, after
   whoever has no right to it has heard that; what may be a preview, when its body is read. */
static enum err refuse_change(struct call *r)
{
    enum http_method m = r->http->method;
    unsigned flags = r->route->flags;
    if (!read_only() || (flags & ROUTE_ANYTIME) || m == HTTP_GET || m == HTTP_HEAD ||
        m == HTTP_OPTIONS)
        return E_OK;
    if ((flags & ROUTE_PREVIEW) && (!r->body || is_dry_run(r)))
        return E_OK;
    return fail(r->c, E_DENIED, READ_ONLY_TEXT);
}

static enum err read_body(struct call *r)
{
    const struct body_spec *spec = &r->route->body;
    struct str text;
    if (!spec->fields)
        return E_OK;
    TRY(http_body_all(r->c, r->http, CALL_BODY_MAX, &text));
    if (!text.n)
        return fail(r->c, E_BAD_REQUEST, "a JSON body is missing");
    r->body = arena_alloc(&r->c->mem, spec->size);
    return fields_from_json(r->c, spec->fields, text, r->body, &r->seen);
}

static enum err handle(struct call *r)
{
    if (console_wants(r))
        return console_reply(r);
    enum err row = find_row(r);
    if (row != E_OK)
        return row;
    TRY(authorize_mirror(r));
    if (r->http->listener == LISTENER_MIRROR && r->realm != REALM_REGISTRY &&
        r->route->guard.kind != GUARD_ANYONE)
        return fail(r->c, E_NOT_FOUND, "this address is a mirror");
    r->challenge = r->realm == REALM_REGISTRY && !r->mirror_open;
    TRY(identify(r));
    TRY(authorize(r));
    TRY(refuse_change(r));
    if (!(r->route->flags & ROUTE_READ) || r->route->guard.kind == GUARD_FOUND)
        tx_end(&r->tx);
    TRY(read_list_query(r));
    TRY(read_body(r));
    if (r->route->flags & ROUTE_PREVIEW)
        TRY(refuse_change(r));
    TRY(authorize_body(r));
    if (!r->route->run)
        return fail(r->c, E_NOT_IMPLEMENTED, "%s comes with a later release", r->route->operation);
    return r->route->run(r);
}

/* A session's life slides, but not for polling pages, and not on every request. */
static void touch_session(struct call *r)
{
    struct str no = http_header(r->http, "X-Harbor-No-Session-Renewal");
    if (!r->session_ages || str_eq_nocase(str_trim(no), S("true")))
        return;
    CLEANUP(tx_end) struct tx tx = {0};
    enum err e = tx_begin(r->c, &tx);
    if (e == E_OK)
        e = session_touch(r->c, r->session_id, api_config(r->api)->session_timeout_s);
    if (e == E_OK)
        e = tx_commit(&tx);
    if (e != E_OK) /* the session ends earlier, the request was served */
        log_warn("api", "session not renewed: %s", r->c->msg);
}

void api_handle(struct http_request *http, void *arg)
{
    struct api *api = arg;
    CLEANUP(ctx_release) struct ctx c = {.sv = api->sv};
    struct call r = {.c = &c, .http = http, .api = api};
    c.request_id = request_id(&c, http);
    c.actor = S("anonymous");
    r.reply.body.fd = -1;
    enum err e = handle(&r);
    if (e != E_OK && heap_refused())
        e = fail(&c, E_UNAVAILABLE, "out of memory");
    if (e != E_OK && r.replied)
        log_error("api", "%.*s: after the reply: %s", STR(c.request_id), c.msg);
    if (!r.replied) {
        if (e == E_OK)
            e = fail(&c, E_INTERNAL, "%s replied nothing", r.route->operation);
        tx_end(&r.tx);
        error_reply(&r, e);
    }
    tx_end(&r.tx);
    assert(!c.tx);
    touch_session(&r);
}
