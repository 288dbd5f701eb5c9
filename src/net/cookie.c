/* What is not a cookie octet is refused when we write and does not match when we read. */
#include "net/cookie.h"

#include <string.h>

/* RFC 6265, section 4.1.1 */
static bool octets(struct str s, const char *never)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr(never, s.p[i]))
            return false;
    return true;
}

static struct str find(struct str list, struct str wanted)
{
    while (list.n) {
        struct str value = str_trim(str_cut(&list, ';'));
        struct str name = str_cut(&value, '=');
        if (!str_eq(name, wanted))
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_sub(value, 1, value.n - 2);
        return octets(value, "\",;\\") ? value : NO_STR;
    }
    return NO_STR;
}

struct str cookie_get(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (!str_eq_nocase(r->headers[i].name, S("cookie")))
            continue;
        struct str value = find(r->headers[i].value, str_of(name));
        if (value.p)
            return value;
    }
    return NO_STR;
}

enum err cookie_build(struct ctx *c, const struct cookie *cookie, struct str *out)
{
    struct str path = cookie->path.n ? cookie->path : S("/");
    if (!cookie->name.n || !octets(cookie->name, "()<>@,;:\\\"/[]?={}") ||
        !octets(cookie->value, "\",;\\") || !octets(path, ";\"\\"))
        return fail(c, E_BAD_REQUEST, "not a cookie");
    struct str age = NO_STR;
    if (cookie->max_age)
        age = str_fmt(&c->mem, "; Max-Age=%lld", (long long)i64_max(0, cookie->max_age));
    *out = str_fmt(&c->mem, "%.*s=%.*s; Path=%.*s%.*s%s%s; SameSite=%s", STR(cookie->name),
                   STR(cookie->value), STR(path), STR(age), cookie->http_only ? "; HttpOnly" : "",
                   cookie->secure ? "; Secure" : "", cookie->strict ? "Strict" : "Lax");
    return E_OK;
}
