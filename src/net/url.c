/*
 * URLs as the client uses them. One parser decides what the host is; libcurl then gets the text
 * that url_text() writes from the parts, so that the two cannot disagree about it.
 *
 * A host whose last label looks like a number must be four plain decimal numbers: resolvers take
 * 2130706433, 0x7f.1 and 0177.0.0.1 for loopback, and no registry is called so.
 */
#include "net/url.h"

#include "net/address.h"

#include <string.h>

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static bool is_alnum(char ch)
{
    return is_digit(ch) || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

static bool label_valid(struct str label)
{
    if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++)
        if (!is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
            return false;
    return true;
}

/* All digits, or 0x and hex digits: what resolvers may read as a part of an IPv4 address. */
static bool looks_numeric(struct str label)
{
    bool hex = label.n >= 2 && label.p[0] == '0' && (label.p[1] == 'x' || label.p[1] == 'X');
    for (size_t i = hex ? 2 : 0; i < label.n; i++) {
        bool hex_digit =
            (label.p[i] >= 'a' && label.p[i] <= 'f') || (label.p[i] >= 'A' && label.p[i] <= 'F');
        if (!is_digit(label.p[i]) && !(hex && hex_digit))
            return false;
    }
    return true;
}

bool url_host_valid(struct str host)
{
    struct address a;
    if (host.n == 0 || host.n > 253)
        return false;
    if (str_find(host, ':') >= 0)
        return str_find(host, '%') < 0 && host.p[0] != '[' && address_parse(host, &a);
    struct str rest = host, label = NO_STR;
    if (host.p[host.n - 1] == '.')
        return false;
    while (rest.n) {
        label = str_cut(&rest, '.');
        if (!label_valid(label))
            return false;
    }
    return !looks_numeric(label) || address_parse(host, &a);
}

static enum err parse_port(struct ctx *c, struct str text, struct url *out)
{
    int64_t port;
    if (text.n == 0 || text.n > 5 || !is_digit(text.p[0]) || text.p[0] == '0' ||
        !str_to_i64(text, &port) || port > 65535)
        return fail(c, E_BAD_REQUEST, "bad URL: the port is not 1 to 65535");
    out->port = (int)port;
    return E_OK;
}

static enum err parse_authority(struct ctx *c, struct str text, struct url *out)
{
    if (str_find(text, '@') >= 0)
        return fail(c, E_BAD_REQUEST, "bad URL: user names and passwords do not belong in it");
    struct str host = text, port = NO_STR;
    bool has_port = false;
    if (text.n && text.p[0] == '[') {
        int64_t close = str_find(text, ']');
        if (close < 0)
            return fail(c, E_BAD_REQUEST, "bad URL: '[' without ']'");
        host = str_sub(text, 1, (size_t)close - 1);
        struct str behind = str_sub(text, (size_t)close + 1, text.n);
        has_port = behind.n != 0;
        if (has_port && behind.p[0] != ':')
            return fail(c, E_BAD_REQUEST, "bad URL: ':' and a port must follow ']'");
        port = str_sub(behind, 1, behind.n);
        out->ipv6 = true;
        if (str_find(host, ':') < 0)
            return fail(c, E_BAD_REQUEST, "bad URL: only IPv6 addresses stand in brackets");
    } else {
        has_port = str_find(text, ':') >= 0;
        host = str_cut(&text, ':');
        port = text;
    }
    if (!url_host_valid(host))
        return fail(c, E_BAD_REQUEST, "bad URL: its host is no plain host name or address");
    out->host = str_lower(&c->mem, host);
    struct address a;
    out->literal = address_parse(out->host, &a);
    if (out->ipv6)
        out->host = address_text(&c->mem, &a);
    out->ipv6 = str_find(out->host, ':') >= 0; /* a mapped address is IPv4 */
    out->port = out->https ? 443 : 80;
    return has_port ? parse_port(c, port, out) : E_OK;
}

/* Visible ASCII; of what RFC 3986 forbids, only what some signed URLs hold is let through. */
static bool text_valid(struct str s, const char *refused)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr(refused, s.p[i]))
            return false;
    return true;
}

static bool has_dot_segment(struct str path)
{
    while (path.n) {
        struct str segment = str_cut(&path, '/');
        if (str_eq(segment, S(".")) || str_eq(segment, S("..")))
            return true;
    }
    return false;
}

static enum err parse_path(struct ctx *c, struct str text, struct url *out)
{
    out->has_query = str_find(text, '?') >= 0;
    struct str path = str_cut(&text, '?');
    if (!text_valid(path, "\"<>\\^`{|}#"))
        return fail(c, E_BAD_REQUEST, "bad URL: characters in its path that must be escaped");
    if (!text_valid(text, "#\\"))
        return fail(c, E_BAD_REQUEST, "bad URL: characters in its query that must be escaped");
    out->path = path.n ? path : S("/");
    out->query = text;
    return E_OK;
}

static bool cut_scheme(struct str *text, bool *https)
{
    static const struct {
        struct str prefix;
        bool https;
    } schemes[] = {{{"https://", 8}, true}, {{"http://", 7}, false}};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        struct str head = str_sub(*text, 0, schemes[i].prefix.n);
        if (!str_eq_nocase(head, schemes[i].prefix))
            continue;
        *text = str_sub(*text, head.n, text->n);
        *https = schemes[i].https;
        return true;
    }
    return false;
}

/* Behind "scheme://". */
static enum err parse_rest(struct ctx *c, struct str text, struct url *u)
{
    size_t end = 0;
    while (end < text.n && text.p[end] != '/' && text.p[end] != '?' && text.p[end] != '#')
        end++;
    if (str_find(text, '#') >= 0)
        return fail(c, E_BAD_REQUEST, "bad URL: it has a fragment");
    TRY(parse_authority(c, str_sub(text, 0, end), u));
    return parse_path(c, str_sub(text, end, text.n), u);
}

enum err url_parse(struct ctx *c, struct str text, struct url *out)
{
    struct url u = {0};
    if (text.n > URL_MAX)
        return fail(c, E_BAD_REQUEST, "bad URL: longer than %zu bytes", URL_MAX);
    text = str_dup(&c->mem, text);
    if (!cut_scheme(&text, &u.https))
        return fail(c, E_BAD_REQUEST, "bad URL: it must begin with http:// or https://");
    TRY(parse_rest(c, text, &u));
    if (has_dot_segment(u.path))
        return fail(c, E_BAD_REQUEST, "bad URL: \".\" or \"..\" in its path");
    *out = u;
    return E_OK;
}

/* RFC 3986, section 5.2.4, for paths that begin with '/'. */
static struct str remove_dots(struct arena *a, struct str path)
{
    char *out = arena_alloc(a, path.n + 2);
    size_t n = 0;
    struct str rest = str_sub(path, 1, path.n);
    for (bool more = true; more;) {
        more = str_find(rest, '/') >= 0;
        struct str segment = str_cut(&rest, '/');
        bool up = str_eq(segment, S(".."));
        if (up)
            while (n > 0 && out[--n] != '/')
                ;
        if (up || str_eq(segment, S("."))) {
            if (!more)
                out[n++] = '/';
            continue;
        }
        out[n++] = '/';
        if (segment.n)
            memcpy(out + n, segment.p, segment.n);
        n += segment.n;
    }
    return (struct str){out, n};
}

static bool has_scheme(struct str reference)
{
    for (size_t i = 0; i < reference.n; i++) {
        char ch = reference.p[i];
        if (ch == ':')
            return i > 0;
        if (ch == '/' || ch == '?' || ch == '#')
            return false;
    }
    return false;
}

enum err url_join(struct ctx *c, const struct url *base, struct str reference, struct url *out)
{
    struct url u = *base;
    if (reference.n > URL_MAX)
        return fail(c, E_BAD_REQUEST, "bad URL: longer than %zu bytes", URL_MAX);
    struct str text = str_dup(&c->mem, reference);
    if (has_scheme(text)) {
        u = (struct url){0};
        if (!cut_scheme(&text, &u.https))
            return fail(c, E_BAD_REQUEST, "bad URL: neither http nor https");
        TRY(parse_rest(c, text, &u));
    } else if (str_starts(text, S("//"))) {
        u = (struct url){.https = base->https};
        TRY(parse_rest(c, str_sub(text, 2, text.n), &u));
    } else {
        if (str_find(text, '#') >= 0)
            return fail(c, E_BAD_REQUEST, "bad URL: it has a fragment");
        bool keeps_path = text.n == 0 || text.p[0] == '?';
        if (!keeps_path && text.p[0] != '/') {
            struct str dir = str_sub(base->path, 0, (size_t)str_rfind(base->path, '/') + 1);
            text = str_fmt(&c->mem, "%.*s%.*s", STR(dir), STR(text));
        }
        TRY(parse_path(c, text, &u));
        if (keeps_path)
            u.path = base->path;
        if (reference.n == 0) {
            u.query = base->query;
            u.has_query = base->has_query;
        }
    }
    u.path = remove_dots(&c->mem, u.path);
    *out = u;
    return E_OK;
}

struct str url_authority(struct arena *a, const struct url *u)
{
    const char *open = u->ipv6 ? "[" : "", *close = u->ipv6 ? "]" : "";
    if (u->port == (u->https ? 443 : 80))
        return str_fmt(a, "%s%.*s%s", open, STR(u->host), close);
    return str_fmt(a, "%s%.*s%s:%d", open, STR(u->host), close, u->port);
}

struct str url_text(struct arena *a, const struct url *u)
{
    return str_fmt(a, "%s://%.*s%.*s%s%.*s", u->https ? "https" : "http", STR(url_authority(a, u)),
                   STR(u->path), u->has_query ? "?" : "", STR(u->query));
}

struct str url_prefix(const struct url *u)
{
    struct str path = u->path;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

bool url_same_host(const struct url *a, const struct url *b)
{
    return a->port == b->port && str_eq(a->host, b->host);
}
