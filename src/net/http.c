/* What handlers ask of a request's head, and headers of replies. Sending is in send.c. */
#include "net/http.h"

#include "base/codec.h"

#include <assert.h>
#include <string.h>

struct str http_header(const struct http_request *r, const char *name)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, wanted))
            return r->headers[i].value;
    return NO_STR;
}

size_t http_header_count(const struct http_request *r, const char *name)
{
    struct str wanted = str_of(name);
    size_t n = 0;
    for (size_t i = 0; i < r->header_count; i++)
        n += str_eq_nocase(r->headers[i].name, wanted);
    return n;
}

/* Names are compared decoded: "%6e" and "n" are one parameter. */
static bool query_name_is(struct ctx *c, struct str raw, struct str wanted)
{
    if (str_eq(raw, wanted))
        return true;
    struct str name;
    return raw.n > wanted.n && str_find(raw, '%') >= 0 &&
           percent_decode(&c->mem, raw, true, &name) && str_eq(name, wanted);
}

enum err http_query(struct ctx *c, const struct http_request *r, const char *name, struct str *out)
{
    struct str rest = r->query, wanted = str_of(name);
    while (rest.n) {
        struct str value = str_cut(&rest, '&');
        struct str key = str_cut(&value, '=');
        if (!query_name_is(c, key, wanted))
            continue;
        if (!percent_decode(&c->mem, value, true, out) || !utf8_valid(*out))
            return fail(c, E_BAD_REQUEST, "the query parameter %s does not decode", name);
        return E_OK;
    }
    return E_NOT_FOUND;
}

void reply_header(struct reply *p, struct str name, struct str value)
{
    assert(p->header_count < REPLY_HEADERS_MAX && name.n);
    assert(str_find(value, '\r') < 0 && str_find(value, '\n') < 0 && str_find(value, 0) < 0);
    p->headers[p->header_count++] = (struct header){name, value};
}
