/*
 * Addresses and ranges. The kinds follow the IANA special-purpose registries (RFC 6890 and its
 * updates) with the metadata services of clouds added. What is not listed is public.
 *
 * Matching a range looks at the address as it is: an IPv4 range does not match IPv6 forms that
 * merely carry an IPv4 address (NAT64, 6to4), since anyone may claim those. Judging a kind looks
 * inside them, since that is where a connection would end. The mapped form is the exception: it is
 * the same address in another family, and both treat it so.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct kind_row {
    unsigned char net[16];
    int bits;
    enum address_kind kind;
};

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)                               \
    }

/* The first row that matches decides: narrow ranges stand before the wide ones around them. */
static const struct kind_row kinds[] = {
    {V4(169, 254, 169, 254), 128, ADDRESS_METADATA},  /* AWS, Azure, Google, Oracle, others */
    {V4(169, 254, 170, 2), 128, ADDRESS_METADATA},    /* AWS task credentials */
    {V4(169, 254, 169, 253), 128, ADDRESS_METADATA},  /* AWS resolver */
    {V4(100, 100, 100, 200), 128, ADDRESS_METADATA},  /* Alibaba Cloud */
    {V4(168, 63, 129, 16), 128, ADDRESS_METADATA},    /* Azure wire server */
    {V4(192, 0, 0, 192), 128, ADDRESS_METADATA},      /* Oracle Cloud Classic */
    {{0xfd, 0x00, 0x0e, 0xc2}, 32, ADDRESS_METADATA}, /* AWS over IPv6, fd00:ec2::/32 */
    {{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, ADDRESS_METADATA},
    {V4(0, 0, 0, 0), 104, ADDRESS_UNSPECIFIED},
    {V4(127, 0, 0, 0), 104, ADDRESS_LOOPBACK},
    {V4(169, 254, 0, 0), 112, ADDRESS_LINK_LOCAL},
    {V4(10, 0, 0, 0), 104, ADDRESS_PRIVATE},
    {V4(172, 16, 0, 0), 108, ADDRESS_PRIVATE},
    {V4(192, 168, 0, 0), 112, ADDRESS_PRIVATE},
    {V4(100, 64, 0, 0), 106, ADDRESS_PRIVATE},
    {V4(192, 0, 0, 0), 120, ADDRESS_RESERVED},
    {V4(192, 0, 2, 0), 120, ADDRESS_RESERVED},
    {V4(192, 88, 99, 0), 120, ADDRESS_RESERVED},
    {V4(198, 18, 0, 0), 111, ADDRESS_RESERVED},
    {V4(198, 51, 100, 0), 120, ADDRESS_RESERVED},
    {V4(203, 0, 113, 0), 120, ADDRESS_RESERVED},
    {V4(224, 0, 0, 0), 100, ADDRESS_MULTICAST},
    {V4(240, 0, 0, 0), 100, ADDRESS_RESERVED},
    {{0}, 128, ADDRESS_UNSPECIFIED},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, ADDRESS_LOOPBACK},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, ADDRESS_PRIVATE}, /* local NAT64, RFC 8215 */
    {{0x01, 0x00}, 64, ADDRESS_RESERVED},                        /* discard-only */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, ADDRESS_RESERVED},            /* documentation */
    {{0x20, 0x01, 0x00, 0x00}, 23, ADDRESS_RESERVED},            /* protocols, with Teredo */
    {{0x3f, 0xff, 0x00}, 20, ADDRESS_RESERVED},                  /* documentation, RFC 9637 */
    {{0x5f, 0x00}, 16, ADDRESS_RESERVED},                        /* segment routing */
    {{0xfc, 0x00}, 7, ADDRESS_PRIVATE},
    {{0xfe, 0x80}, 10, ADDRESS_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, ADDRESS_PRIVATE}, /* site-local, deprecated */
    {{0xff, 0x00}, 8, ADDRESS_MULTICAST},
};

static bool same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
    size_t whole = (size_t)bits / 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    int rest = bits % 8;
    return rest == 0 || (a[whole] >> (8 - rest)) == (b[whole] >> (8 - rest));
}

static void set_v4(struct address *out, const unsigned char v4[4])
{
    memcpy(out->b, mapped, sizeof mapped);
    memcpy(out->b + 12, v4, 4);
}

bool address_is_v4(const struct address *a)
{
    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

bool address_parse(struct str text, struct address *out)
{
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
        text = str_sub(text, 1, text.n - 2);
        if (str_find(text, ':') < 0)
            return false;
    }
    if (str_find(text, ':') >= 0)
        text = str_cut(&text, '%');
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    unsigned char v4[4];
    if (inet_pton(AF_INET, copy, v4) == 1) {
        set_v4(out, v4);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->b) == 1;
}

bool address_of(const struct sockaddr *sa, struct address *out)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        unsigned char v4[4];
        memcpy(v4, &in.sin_addr, sizeof v4);
        set_v4(out, v4);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        memcpy(out->b, &in6.sin6_addr, sizeof out->b);
        return true;
    }
    return false;
}

struct str address_text(struct arena *a, const struct address *address)
{
    char text[INET6_ADDRSTRLEN];
    const char *done = address_is_v4(address)
                           ? inet_ntop(AF_INET, address->b + 12, text, sizeof text)
                           : inet_ntop(AF_INET6, address->b, text, sizeof text);
    return done ? str_dup(a, str_of(text)) : NO_STR;
}

/* The IPv4 address that a connection to this IPv6 address would end at. */
static bool embedded_v4(const struct address *a, struct address *out)
{
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const unsigned char translated[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0};
    static const unsigned char compatible[12] = {0};
    if (memcmp(a->b, nat64, 12) == 0 || memcmp(a->b, translated, 12) == 0) {
        set_v4(out, a->b + 12);
        return true;
    }
    if (memcmp(a->b, compatible, 12) == 0 && (a->b[12] || a->b[13] || a->b[14])) {
        set_v4(out, a->b + 12);
        return true;
    }
    if (a->b[0] == 0x20 && a->b[1] == 0x02) {
        set_v4(out, a->b + 2);
        return true;
    }
    return false;
}

enum address_kind address_kind(const struct address *a)
{
    struct address inner;
    if (embedded_v4(a, &inner))
        a = &inner;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (same_prefix(kinds[i].net, a->b, kinds[i].bits))
            return kinds[i].kind;
    return ADDRESS_PUBLIC;
}

bool address_is_public(const struct address *a)
{
    return address_kind(a) == ADDRESS_PUBLIC;
}

static void clear_host_bits(struct cidr *range)
{
    for (int bit = range->bits; bit < 128; bit++)
        range->net.b[bit / 8] &= (unsigned char)~(0x80 >> (bit % 8));
}

enum err cidr_parse(struct ctx *c, struct str text, struct cidr *out)
{
    struct str rest = str_trim(text);
    bool has_bits = str_find(rest, '/') >= 0;
    struct str host = str_cut(&rest, '/');
    struct cidr range = {.bits = 128};
    if (!address_parse(host, &range.net))
        return fail(c, E_BAD_REQUEST,
                    "\"%.*s\" is not an address or a range: write 10.0.0.0/8 or fd00::/8",
                    STR(text));
    /* ::ffff:a.b.c.d/104 counts in 16 bytes; a.b.c.d/8 in 4 */
    bool short_form = address_is_v4(&range.net) && str_find(host, ':') < 0;
    if (has_bits) {
        int64_t bits;
        int most = short_form ? 32 : 128;
        if (rest.n == 0 || rest.n > 3 || rest.p[0] == '-' || !str_to_i64(rest, &bits) ||
            bits > most)
            return fail(c, E_BAD_REQUEST, "\"%.*s\": the number behind the slash is 0 to %d",
                        STR(text), most);
        range.bits = (int)bits + (short_form ? 96 : 0);
    }
    clear_host_bits(&range);
    *out = range;
    return E_OK;
}

enum err cidrs_init(struct ctx *c, const struct strs *texts, struct cidrs *out)
{
    CLEANUP(cidrs_release) struct cidrs list = {0};
    if (texts->count) {
        list.items = calloc(texts->count, sizeof *list.items);
        if (!list.items)
            return fail(c, E_INTERNAL, "out of memory");
    }
    for (; list.count < texts->count; list.count++)
        TRY(cidr_parse(c, texts->items[list.count], &list.items[list.count]));
    *out = list;
    list = (struct cidrs){0};
    return E_OK;
}

void cidrs_release(struct cidrs *list)
{
    free(list->items);
    *list = (struct cidrs){0};
}

bool cidr_match(const struct cidr *range, const struct address *a)
{
    return same_prefix(range->net.b, a->b, range->bits);
}

bool cidrs_match(const struct cidrs *list, const struct address *a)
{
    for (size_t i = 0; i < list->count; i++)
        if (cidr_match(&list->items[i], a))
            return true;
    return false;
}

bool cidrs_match_text(const struct cidrs *list, struct str text)
{
    struct address a;
    return address_parse(text, &a) && cidrs_match(list, &a);
}
