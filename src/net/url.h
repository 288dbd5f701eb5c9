/*
 * http and https URLs, parsed strictly (RFC 3986) and written back in one form. What a lenient
 * parser would guess at is refused: userinfo, fragments, backslashes, IPv4 addresses in decimal,
 * octal or short forms, zones, trailing dots, ports out of range.
 */
#ifndef NET_URL_H
#define NET_URL_H

#include "base/ctx.h"

#define URL_MAX ((size_t)16 << 10)

struct url {
    bool https;
    bool ipv6;        /* host is an IPv6 address */
    bool literal;     /* host is an IP address of either family */
    struct str host;  /* lower case, no brackets */
    int port;         /* always set; 80 or 443 when not given */
    struct str path;  /* begins with '/' */
    struct str query; /* without '?' */
    bool has_query;
};

/* Views and copies live in c->mem. E_BAD_REQUEST says what is wrong, quoting no secret. */
enum err url_parse(struct ctx *c, struct str text, struct url *out);
/* A reference against a base (RFC 3986, section 5.3): what a Location header holds. */
enum err url_join(struct ctx *c, const struct url *base, struct str reference, struct url *out);
/* scheme://host[:port]path[?query]; the port is left out when it is the scheme's own. */
struct str url_text(struct arena *a, const struct url *u);
/* host[:port] as in a Host header. */
struct str url_authority(struct arena *a, const struct url *u);
/* The path without slashes at its end: "" or "/prefix". */
struct str url_prefix(const struct url *u);
bool url_same_host(const struct url *a, const struct url *b); /* host and port */

/* A host name of letters, digits, '-' and '_' in labels, or an IP address in its plain form. */
bool url_host_valid(struct str host);

#endif
