/*
 * IP addresses and address ranges: parsed strictly, matched, and told apart by what lies behind
 * them. Every IPv4 address is held in its IPv4-mapped form, so that 127.0.0.1 and
 * ::ffff:127.0.0.1 are one.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/ctx.h"

struct sockaddr;

struct address {
    unsigned char b[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
};

struct cidr {
    struct address net; /* bits past the prefix are zero */
    int bits;           /* 0-128, of the 16-byte form: 10.0.0.0/8 has 104 */
};

struct cidrs { /* owned: cidrs_release */
    struct cidr *items;
    size_t count;
};

enum address_kind {
    ADDRESS_PUBLIC,
    ADDRESS_LOOPBACK,
    ADDRESS_LINK_LOCAL,
    ADDRESS_PRIVATE,  /* RFC 1918, RFC 6598, RFC 4193, site-local */
    ADDRESS_METADATA, /* instance metadata services of clouds */
    ADDRESS_MULTICAST,
    ADDRESS_UNSPECIFIED, /* 0.0.0.0/8 and :: reach this machine */
    ADDRESS_RESERVED,    /* documentation, benchmarks, protocol assignments, tunnels, broadcast */
};

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; a zone ("%eth0") is cut off. Four decimal numbers
   without leading zeros for IPv4, nothing else: no octal, hex or short forms. */
bool address_parse(struct str text, struct address *out);
/* Of AF_INET and AF_INET6; false for every other family. */
bool address_of(const struct sockaddr *sa, struct address *out);
bool address_is_v4(const struct address *a);
/* Canonical text (RFC 5952), IPv4 in dots. */
struct str address_text(struct arena *a, const struct address *address);

/* What the address reaches: IPv4 inside NAT64 (RFC 6052), 6to4, IPv4-compatible and translated
   forms is judged as that IPv4 address. */
enum address_kind address_kind(const struct address *a);
bool address_is_public(const struct address *a);

/* "10.0.0.0/8", "fd00::/8" or a single address. Bits past the prefix are ignored. E_BAD_REQUEST
   quotes the text and says what is wrong. */
enum err cidr_parse(struct ctx *c, struct str text, struct cidr *out);
enum err cidrs_init(struct ctx *c, const struct strs *texts, struct cidrs *out);
void cidrs_release(struct cidrs *list);

bool cidr_match(const struct cidr *range, const struct address *a);
bool cidrs_match(const struct cidrs *list, const struct address *a);
/* The same for a text; false when it is no address at all. */
bool cidrs_match_text(const struct cidrs *list, struct str text);

#endif
