/*
 * Who owns a host name. Credentials may follow a realm inside one registrable domain; the built-in
 * list decides what that is, private suffixes ("github.io", "s3.amazonaws.com") included, since
 * neighbours below those are strangers to each other.
 */
#include "net/domain.h"

#include "net/address.h"

#include <libpsl.h>

static struct str registrable(struct ctx *c, struct str host)
{
    struct address a;
    const psl_ctx_t *list = psl_builtin();
    if (!list || host.n == 0 || address_parse(host, &a))
        return NO_STR;
    return str_of(psl_registrable_domain(list, str_c(&c->mem, host)));
}

bool domain_same_site(struct ctx *c, struct str a, struct str b)
{
    if (a.n && str_eq(a, b))
        return true;
    struct str domain = registrable(c, a);
    return domain.n && str_eq(domain, registrable(c, b));
}
