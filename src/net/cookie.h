/* Cookies (RFC 6265): the Cookie header in, Set-Cookie out. */
#ifndef NET_COOKIE_H
#define NET_COOKIE_H

#include "net/http.h"

struct cookie {
    struct str name, value, path; /* path empty = "/" */
    int64_t max_age;              /* seconds; 0 = until the browser ends, -1 = delete it */
    bool secure, http_only;
    bool strict; /* SameSite=Strict, else Lax */
};

/* The value of the first cookie of that name in the request; NO_STR when there is none. A pair
   of double quotes around it is taken off. */
struct str cookie_get(const struct http_request *r, const char *name);
/* The value of a Set-Cookie header. E_BAD_REQUEST when name, value or path hold what a cookie
   cannot carry. */
enum err cookie_build(struct ctx *c, const struct cookie *cookie, struct str *out);

#endif
