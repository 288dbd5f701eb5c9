/*
 * The one outbound policy, as decisions: which addresses and names may be reached, and what goes
 * through the proxy. client.c asks on every connection and on every redirect.
 */
#ifndef NET_OUTBOUND_H
#define NET_OUTBOUND_H

#include "net/address.h"
#include "net/url.h"

struct outbound { /* owned: outbound_release */
    struct cidrs allow;
    char *proxy; /* NULL = none */
    struct cidrs no_proxy_ranges;
    char **no_proxy_names; /* "host", ".domain" or "*"; lower case, terminated */
    size_t no_proxy_count;
};

/* E_BAD_REQUEST names the key that is wrong. */
enum err outbound_init(struct ctx *c, const struct strs *allow, struct str proxy,
                       const struct strs *no_proxy, struct outbound *out);
void outbound_release(struct outbound *o);

/* Public, or listed in outbound.allow. */
bool outbound_permits(const struct outbound *o, const struct address *a);
/* For hosts that a proxy resolves: an address by outbound_permits, a name unless it is known to
   mean this machine, its metadata service or a host without a domain. */
bool outbound_permits_name(const struct outbound *o, const struct url *u);
/* Goes this URL through the proxy? */
bool outbound_proxied(const struct outbound *o, const struct url *u);

#endif
