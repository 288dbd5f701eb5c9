/*
 * Who may be reached. A target made through the API may name any host, so what counts is the
 * address that a connection is about to be made to, not the name: names change between two looks.
 * Only where a proxy does the resolving is a name judged by itself.
 */
#include "net/outbound.h"

#include <stdlib.h>
#include <string.h>

static char *own(struct str s)
{
    char *p = malloc(s.n + 1);
    if (p) {
        if (s.n)
            memcpy(p, s.p, s.n);
        p[s.n] = '\0';
    }
    return p;
}

static enum err add_no_proxy(struct ctx *c, struct str text, struct outbound *o)
{
    struct address a;
    struct cidr range;
    struct str host = text;
    if (address_parse(str_cut(&host, '/'), &a)) {
        TRY(cidr_parse(c, text, &range));
        o->no_proxy_ranges.items[o->no_proxy_ranges.count++] = range;
        return E_OK;
    }
    struct str name = str_starts(text, S(".")) ? str_sub(text, 1, text.n) : text;
    if (!str_eq(text, S("*")) && !url_host_valid(name))
        return fail(c, E_BAD_REQUEST, "outbound.no_proxy: \"%.*s\" is no host, domain or range",
                    STR(text));
    char *copy = own(str_lower(&c->mem, text));
    if (!copy)
        return fail(c, E_INTERNAL, "out of memory");
    o->no_proxy_names[o->no_proxy_count++] = copy;
    return E_OK;
}

static enum err set_proxy(struct ctx *c, struct str proxy, struct outbound *o)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    if (proxy.n == 0)
        return E_OK;
    for (size_t i = 0; i < COUNT(schemes); i++) {
        if (!str_starts(proxy, str_of(schemes[i])))
            continue;
        o->proxy = own(proxy);
        return o->proxy ? E_OK : fail(c, E_INTERNAL, "out of memory");
    }
    return fail(c, E_BAD_REQUEST,
                "outbound.proxy: it must begin with http://, https://, socks5:// or socks5h://");
}

enum err outbound_init(struct ctx *c, const struct strs *allow, struct str proxy,
                       const struct strs *no_proxy, struct outbound *out)
{
    CLEANUP(outbound_release) struct outbound o = {0};
    enum err e = cidrs_init(c, allow, &o.allow);
    if (e != E_OK) {
        struct str why = str_dup(&c->mem, str_of(c->msg));
        return fail(c, e, "outbound.allow: %.*s", STR(why));
    }
    TRY(set_proxy(c, proxy, &o));
    o.no_proxy_names = calloc(no_proxy->count + 1, sizeof *o.no_proxy_names);
    o.no_proxy_ranges.items = calloc(no_proxy->count + 1, sizeof *o.no_proxy_ranges.items);
    if (!o.no_proxy_names || !o.no_proxy_ranges.items)
        return fail(c, E_INTERNAL, "out of memory");
    for (size_t i = 0; i < no_proxy->count; i++)
        TRY(add_no_proxy(c, str_trim(no_proxy->items[i]), &o));
    *out = o;
    o = (struct outbound){0};
    return E_OK;
}

void outbound_release(struct outbound *o)
{
    cidrs_release(&o->allow);
    cidrs_release(&o->no_proxy_ranges);
    for (size_t i = 0; i < o->no_proxy_count; i++)
        free(o->no_proxy_names[i]);
    free(o->no_proxy_names);
    free(o->proxy);
    *o = (struct outbound){0};
}

bool outbound_permits(const struct outbound *o, const struct address *a)
{
    return address_is_public(a) || cidrs_match(&o->allow, a);
}

/* "b.example" lies in "example" and in ".example". */
static bool in_domain(struct str host, struct str domain)
{
    if (str_starts(domain, S(".")))
        domain = str_sub(domain, 1, domain.n);
    if (str_eq(host, domain))
        return true;
    return host.n > domain.n && str_ends(host, domain) && host.p[host.n - domain.n - 1] == '.';
}

bool outbound_permits_name(const struct outbound *o, const struct url *u)
{
    static const char *const inner[] = {
        "localhost",
        "local",
        "metadata.google.internal",
        "metadata.goog",
        "ec2.internal",
        "compute.internal",
        "metadata.azure.internal",
        "localdomain",
        "home.arpa",
    };
    struct address a;
    if (u->literal)
        return address_parse(u->host, &a) && outbound_permits(o, &a);
    if (str_find(u->host, '.') < 0)
        return false;
    for (size_t i = 0; i < COUNT(inner); i++)
        if (in_domain(u->host, str_of(inner[i])))
            return false;
    return true;
}

bool outbound_proxied(const struct outbound *o, const struct url *u)
{
    struct address a;
    if (!o->proxy)
        return false;
    if (u->literal && address_parse(u->host, &a) && cidrs_match(&o->no_proxy_ranges, &a))
        return false;
    for (size_t i = 0; i < o->no_proxy_count; i++) {
        struct str name = str_of(o->no_proxy_names[i]);
        if (str_eq(name, S("*")) || in_domain(u->host, name))
            return false;
    }
    return true;
}
