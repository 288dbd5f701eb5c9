/* Addresses: forms accepted, what lies behind them, ranges. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    int kind; /* -1 = not an address */
} kinds[] = {
    {"8.8.8.8", ADDRESS_PUBLIC},
    {"2606:4700::1111", ADDRESS_PUBLIC},
    {"[2606:4700::1111]", ADDRESS_PUBLIC},
    {"127.0.0.1", ADDRESS_LOOPBACK},
    {"127.255.255.254", ADDRESS_LOOPBACK},
    {"::1", ADDRESS_LOOPBACK},
    {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
    {"::ffff:7f00:1", ADDRESS_LOOPBACK},
    {"64:ff9b::7f00:1", ADDRESS_LOOPBACK},
    {"64:ff9b::8.8.8.8", ADDRESS_PUBLIC},
    {"64:ff9b:1::a00:1", ADDRESS_PRIVATE},
    {"::127.0.0.1", ADDRESS_LOOPBACK},
    {"::ffff:0:127.0.0.1", ADDRESS_LOOPBACK},
    {"2002:7f00:1::", ADDRESS_LOOPBACK},
    {"2002:a00:1::1", ADDRESS_PRIVATE},
    {"169.254.1.1", ADDRESS_LINK_LOCAL},
    {"fe80::1", ADDRESS_LINK_LOCAL},
    {"fe80::1%eth0", ADDRESS_LINK_LOCAL},
    {"169.254.169.254", ADDRESS_METADATA},
    {"::ffff:169.254.169.254", ADDRESS_METADATA},
    {"64:ff9b::a9fe:a9fe", ADDRESS_METADATA},
    {"fd00:ec2::254", ADDRESS_METADATA},
    {"fd20:ce::254", ADDRESS_METADATA},
    {"100.100.100.200", ADDRESS_METADATA},
    {"10.0.0.1", ADDRESS_PRIVATE},
    {"172.16.0.1", ADDRESS_PRIVATE},
    {"172.31.255.255", ADDRESS_PRIVATE},
    {"172.32.0.1", ADDRESS_PUBLIC},
    {"192.168.1.1", ADDRESS_PRIVATE},
    {"100.64.0.1", ADDRESS_PRIVATE},
    {"100.128.0.1", ADDRESS_PUBLIC},
    {"fd12::1", ADDRESS_PRIVATE},
    {"fec0::1", ADDRESS_PRIVATE},
    {"0.0.0.0", ADDRESS_UNSPECIFIED},
    {"0.1.2.3", ADDRESS_UNSPECIFIED},
    {"::", ADDRESS_UNSPECIFIED},
    {"224.0.0.1", ADDRESS_MULTICAST},
    {"ff02::1", ADDRESS_MULTICAST},
    {"255.255.255.255", ADDRESS_RESERVED},
    {"198.19.0.1", ADDRESS_RESERVED},
    {"2001:db8::1", ADDRESS_RESERVED},
    {"2001::1", ADDRESS_RESERVED},
    {"", -1},
    {"0", -1},
    {"127.1", -1},
    {"2130706433", -1},
    {"0x7f.0.0.1", -1},
    {"0177.0.0.1", -1},
    {"127.0.0.01", -1},
    {"127.0.0.1.", -1},
    {"1.2.3.4 ", -1},
    {"[127.0.0.1]", -1},
    {"[::1", -1},
    {"1.2.3.256", -1},
    {"::1::", -1},
    {"localhost", -1},
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct address a;
        bool ok = address_parse(str_of(kinds[i].text), &a);
        if (ok != (kinds[i].kind >= 0) || (ok && (int)address_kind(&a) != kinds[i].kind))
            fail_msg("%s: %d", kinds[i].text, ok ? (int)address_kind(&a) : -1);
    }
}

static const struct {
    const char *range, *address;
    bool match;
} ranges[] = {
    {"10.0.0.0/8", "10.255.0.1", true},
    {"10.0.0.0/8", "11.0.0.1", false},
    {"10.0.0.0/8", "::ffff:10.0.0.1", true},
    {"10.0.0.0/8", "64:ff9b::10.0.0.1", false},
    {"10.1.2.3/8", "10.9.9.9", true},
    {"192.168.1.128/25", "192.168.1.127", false},
    {"192.168.1.128/25", "192.168.1.129", true},
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"0.0.0.0/0", "8.8.8.8", true},
    {"0.0.0.0/0", "::1", false},
    {"::/0", "::1", true},
    {"::/0", "8.8.8.8", true},
    {"fd00::/8", "fd12:3456::1", true},
    {"fc00::/7", "fd12:3456::1", true},
    {"fd00::/8", "fe80::1", false},
    {"::ffff:10.0.0.0/104", "10.0.0.1", true},
    {" 10.0.0.0/8 ", "10.0.0.1", true},
};

static const char *const bad_ranges[] = {
    "",           "/8",          "10.0.0.0/",    "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8",
    "fd00::/129", "example.com", "10.0.0.0/8/8", "10.0.0.0/ 8", "10.0.0.0/+8"};

static void test_ranges(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct str text = str_of(ranges[i].range);
        struct strs texts = {&text, 1};
        struct cidrs list;
        assert_int_equal(cidrs_init(&c, &texts, &list), E_OK);
        if (cidrs_match_text(&list, str_of(ranges[i].address)) != ranges[i].match)
            fail_msg("%s and %s", ranges[i].range, ranges[i].address);
        cidrs_release(&list);
    }
    for (size_t i = 0; i < COUNT(bad_ranges); i++) {
        struct cidr range;
        if (cidr_parse(&c, str_of(bad_ranges[i]), &range) != E_BAD_REQUEST)
            fail_msg("%s was accepted", bad_ranges[i]);
    }
    ctx_release(&c);
}

static void test_sockaddr(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage storage = {0};
    memcpy(&storage, &in, sizeof in);
    struct address a;
    assert_true(address_of((struct sockaddr *)&storage, &a));
    assert_int_equal(address_kind(&a), ADDRESS_LOOPBACK);
    assert_true(address_is_v4(&a));
    assert_true(str_eq(address_text(&c.mem, &a), S("127.0.0.1")));
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    in6.sin6_addr.s6_addr[0] = 0xfe;
    in6.sin6_addr.s6_addr[1] = 0x80;
    memcpy(&storage, &in6, sizeof in6);
    assert_true(address_of((struct sockaddr *)&storage, &a));
    assert_true(str_eq(address_text(&c.mem, &a), S("fe80::")));
    storage.ss_family = AF_UNIX;
    assert_false(address_of((struct sockaddr *)&storage, &a));
    ctx_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_sockaddr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
