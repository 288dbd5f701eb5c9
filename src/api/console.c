/*
 * The console's files stand in the binary as gzip (fonts as they are), in one table that the build
 * wrote. Names that carry a hash never change and are cached for ever; index.html and the rest are
 * asked for again each time and mostly answered by 304.
 *
 * The page is a single one whose router runs in the browser, so any path that no API owns is
 * answered with index.html, but only to what asks for text/html: tools keep the answers they had.
 */
#include "api/console.h"

#include "api/dispatch.h"
#include "base/codec.h"
#include "net/range.h"

#ifndef COVE_CONSOLE
#define CONSOLE_ASSETS(X)
#else
#include <console_assets.h>
#endif

#define CONSOLE_CSP                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "   \
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

struct asset {
    const char *path, *type, *etag;
    bool immutable, gzip;
    const char *begin, *end;
};

#define X(path, type, etag, immutable, gzip, symbol) extern const char symbol[], symbol##_end[];
CONSOLE_ASSETS(X)
#undef X

static const struct asset assets[] = {
#define X(path, type, etag, immutable, gzip, symbol)                                               \
    {(path), (type), (etag), (immutable), (gzip), symbol, symbol##_end},
    CONSOLE_ASSETS(X)
#undef X
        {NULL, NULL, NULL, false, false, NULL, NULL},
};

static const struct asset *asset_at(struct str path)
{
    for (const struct asset *a = assets; a->path; a++)
        if (str_eq(path, str_of(a->path)))
            return a;
    return NULL;
}

static bool under(struct str path, struct str prefix)
{
    return str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* What index.html never stands for. */
static bool is_api(struct str path)
{
    static const char *const owned[] = {"/v2",      "/api",     "/service", "/c",
                                        "/metrics", "/healthz", "/readyz",  "/assets"};
    for (size_t i = 0; i < COUNT(owned); i++)
        if (under(path, str_of(owned[i])))
            return true;
    return false;
}

bool console_wants(const struct call *r)
{
    const struct http_request *http = r->http;
    bool reads = http->method == HTTP_GET || http->method == HTTP_HEAD;
    if (under(http->path, S("/v2"))) /* most requests, and no file stands there */
        return false;
    if (!assets[0].path || !reads || http->listener != LISTENER_MAIN)
        return false;
    return asset_at(http->path) ||
           (!is_api(http->path) && str_contains(http_header(http, "Accept"), S("text/html")));
}

/* RFC 9110, section 12.5.3: without the header every coding will do. */
static bool takes_gzip(const struct http_request *http)
{
    struct str list = http_header(http, "Accept-Encoding");
    if (!http_header_count(http, "Accept-Encoding"))
        return true;
    while (list.n) {
        struct str item = str_cut(&list, ',');
        struct str name = str_trim(str_cut(&item, ';'));
        struct str q = str_trim(item);
        if (str_eq_nocase(name, S("gzip")) || str_eq(name, S("*")))
            return !(str_eq(q, S("q=0")) || str_eq(q, S("q=0.0")) || str_eq(q, S("q=0.000")));
    }
    return false;
}

static void security_headers(struct call *r)
{
    reply_header(&r->reply, S("Content-Security-Policy"), S(CONSOLE_CSP));
    reply_header(&r->reply, S("X-Frame-Options"), S("DENY"));
    reply_header(&r->reply, S("Referrer-Policy"), S("same-origin"));
    reply_header(&r->reply, S("Cross-Origin-Opener-Policy"), S("same-origin"));
    reply_header(&r->reply, S("Cross-Origin-Resource-Policy"), S("same-origin"));
}

/* The console's own name for a page of Harbor's portal, which stands in bookmarks and webhooks:
   the same without /harbor and without the names of tabs. */
static enum err redirect(struct call *r)
{
    struct str rest = str_sub(r->http->path, 7, r->http->path.n);
    struct str tab = S("/artifacts-tab");
    struct str tail = NO_STR;
    for (size_t i = 0; i + tab.n <= rest.n && !tail.p; i++)
        if (str_eq(str_sub(rest, i, tab.n), tab)) {
            tail = str_sub(rest, i + tab.n, rest.n);
            rest.n = i;
        }
    if (str_ends(rest, S("/info-tab")))
        rest.n -= 9;
    if (str_starts(rest, S("/projects/")) && str_ends(rest, S("/repositories")))
        rest.n -= 13;
    if (under(rest, S("/registries")))
        rest = S("/upstreams");
    struct str path = str_fmt(&r->c->mem, "%.*s%.*s", STR(rest), STR(tail));
    while (path.n > 1 && path.p[1] == '/') /* "//host" would leave this origin */
        path = str_sub(path, 1, path.n);
    call_header(r, "Location", "%.*s",
                STR(path.n ? percent_encode(&r->c->mem, path, "/:@") : S("/")));
    security_headers(r);
    return reply_empty(r, 302);
}

enum err console_reply(struct call *r)
{
    const struct asset *a = asset_at(r->http->path);
    if (!a && under(r->http->path, S("/harbor")))
        return redirect(r);
    if (!a)
        a = asset_at(S("/index.html"));
    security_headers(r);
    struct str etag = str_fmt(&r->c->mem, "\"%s\"", a->etag);
    reply_header(&r->reply, S("ETag"), etag);
    reply_header(&r->reply, S("Vary"), S("Accept, Accept-Encoding"));
    reply_header(&r->reply, S("Cache-Control"),
                 a->immutable ? S("public, max-age=31536000, immutable") : S("no-cache"));
    if (etag_listed(http_header(r->http, "If-None-Match"), etag))
        return reply_empty(r, 304);
    if (a->gzip && !takes_gzip(r->http))
        return reply_text(r, 406, S("text/plain; charset=utf-8"),
                          S("The console's files are kept as gzip, which this client refuses.\n"));
    if (a->gzip)
        reply_header(&r->reply, S("Content-Encoding"), S("gzip"));
    return reply_text(r, 200, str_of(a->type), (struct str){a->begin, (size_t)(a->end - a->begin)});
}
