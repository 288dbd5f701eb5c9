/* URLs: what is taken, what is refused, how references are joined; who shares a domain. */
#include "net/url.h"

#include "net/domain.h"
#include "net/outbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *text, *out; /* NULL = refused */
    const char *host;
    int port;
} urls[] = {
    {"https://registry.example", "https://registry.example/", "registry.example", 443},
    {"HTTPS://Registry.Example:443/p", "https://registry.example/p", "registry.example", 443},
    {"http://h:5000/a/b?x=y", "http://h:5000/a/b?x=y", "h", 5000},
    {"http://h?x", "http://h/?x", "h", 80},
    {"http://1.2.3.4:80/", "http://1.2.3.4/", "1.2.3.4", 80},
    {"http://[::1]:5000/", "http://[::1]:5000/", "::1", 5000},
    {"http://[0:0::1]/", "http://[::1]/", "::1", 80},
    {"http://[::ffff:127.0.0.1]/", "http://127.0.0.1/", "127.0.0.1", 80},
    {"http://my_host-1.svc/", "http://my_host-1.svc/", "my_host-1.svc", 80},
    {"https://h/x?sig=a%2Fb&c={d}|e", "https://h/x?sig=a%2Fb&c={d}|e", "h", 443},
    {"https://h/x#y", NULL, NULL, 0},
    {"https://h#@evil/", NULL, NULL, 0},
    {"https://u@h/", NULL, NULL, 0},
    {"https://u:p@h/", NULL, NULL, 0},
    {"https://h\\@evil/", NULL, NULL, 0},
    {"https://h/a\\b", NULL, NULL, 0},
    {"https://h/a b", NULL, NULL, 0},
    {"https://h/a\nb", NULL, NULL, 0},
    {"https://h/\xc3\xa4", NULL, NULL, 0},
    {"https://h%2eexample/", NULL, NULL, 0},
    {"https://h/../x", NULL, NULL, 0},
    {"https://", NULL, NULL, 0},
    {"https:///x", NULL, NULL, 0},
    {"https:h/", NULL, NULL, 0},
    {"//h/", NULL, NULL, 0},
    {"h/", NULL, NULL, 0},
    {"", NULL, NULL, 0},
    {"ftp://h/", NULL, NULL, 0},
    {"file:///etc/passwd", NULL, NULL, 0},
    {"http://h:/", NULL, NULL, 0},
    {"http://h:0/", NULL, NULL, 0},
    {"http://h:080/", NULL, NULL, 0},
    {"http://h:65536/", NULL, NULL, 0},
    {"http://h:+80/", NULL, NULL, 0},
    {"http://h:80:80/", NULL, NULL, 0},
    {"http://0/", NULL, NULL, 0},
    {"http://127.1/", NULL, NULL, 0},
    {"http://2130706433/", NULL, NULL, 0},
    {"http://0x7f000001/", NULL, NULL, 0},
    {"http://0x7f.1/", NULL, NULL, 0},
    {"http://x.0x7f/", NULL, NULL, 0},
    {"http://0177.0.0.1/", NULL, NULL, 0},
    {"http://1.2.3.4.5/", NULL, NULL, 0},
    {"http://1.2.3.256/", NULL, NULL, 0},
    {"http://localhost./", NULL, NULL, 0},
    {"http://a..b/", NULL, NULL, 0},
    {"http://-a.b/", NULL, NULL, 0},
    {"http://[fe80::1%25eth0]/", NULL, NULL, 0},
    {"http://[1.2.3.4]/", NULL, NULL, 0},
    {"http://[::1/", NULL, NULL, 0},
    {"http://[::1]x/", NULL, NULL, 0},
    {"http://::1/", NULL, NULL, 0},
};

static void test_parse(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct url u;
        enum err e = url_parse(&c, str_of(urls[i].text), &u);
        bool ok = (e == E_OK) == (urls[i].out != NULL);
        if (ok && e == E_OK)
            ok = str_eq(url_text(&c.mem, &u), str_of(urls[i].out)) &&
                 str_eq(u.host, str_of(urls[i].host)) && u.port == urls[i].port;
        if (!ok)
            fail_msg("%s: %s %s", urls[i].text, err_name(e), e == E_OK ? u.host.p : c.msg);
    }
    ctx_release(&c);
}

static const struct {
    const char *reference, *out;
} joins[] = {
    /* RFC 3986, section 5.4, against http://a/b/c/d;p?q */
    {"http://g/x", "http://g/x"},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g/"},
    {"//g:81/x?y", "http://g:81/x?y"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {";x", "http://a/b/c/;x"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {"./g/.", "http://a/b/c/g/"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"HTTPS://G/", "https://g/"},
    {"g#s", NULL},
    {"ftp://g/", NULL},
    {"http:g", NULL},
    {"javascript:x", NULL},
    {"//u@g/", NULL},
    {"//0x7f.1/", NULL},
    {"/a b", NULL},
    {"\\\\g\\x", NULL},
};

static void test_join(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct url base, u;
    assert_int_equal(url_parse(&c, S("http://a/b/c/d;p?q"), &base), E_OK);
    for (size_t i = 0; i < COUNT(joins); i++) {
        enum err e = url_join(&c, &base, str_of(joins[i].reference), &u);
        if ((e == E_OK) != (joins[i].out != NULL) ||
            (e == E_OK && !str_eq(url_text(&c.mem, &u), str_of(joins[i].out))))
            fail_msg("%s: %s %s", joins[i].reference, err_name(e),
                     e == E_OK ? url_text(&c.mem, &u).p : c.msg);
    }
    assert_int_equal(url_parse(&c, S("https://h/prefix/"), &base), E_OK);
    assert_true(str_eq(url_prefix(&base), S("/prefix")));
    assert_int_equal(url_parse(&c, S("https://h/"), &base), E_OK);
    assert_int_equal(url_prefix(&base).n, 0);
    ctx_release(&c);
}

static const struct {
    const char *a, *b;
    bool same;
} sites[] = {
    {"registry-1.docker.io", "auth.docker.io", true},
    {"registry.gitlab.com", "gitlab.com", true},
    {"a.example.co.uk", "b.example.co.uk", true},
    {"a.co.uk", "b.co.uk", false},
    {"x.github.io", "y.github.io", false},
    {"github.io", "github.io", true},
    {"registry.example.com", "evil.com", false},
    {"registry.example.com", "example.com.evil.com", false},
    {"registry.example.com", "xexample.com", false},
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"1.2.3.4", "9.2.3.4", false},
    {"::1", "::2", false},
    {"localhost", "localhost", true},
    {"localhost", "com", false},
    {"", "", false},
};

static void test_domain(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(sites); i++)
        if (domain_same_site(&c, str_of(sites[i].a), str_of(sites[i].b)) != sites[i].same)
            fail_msg("%s and %s", sites[i].a, sites[i].b);
    ctx_release(&c);
}

static const struct {
    const char *url;
    bool proxied, permitted; /* permitted: by name, where a proxy resolves */
} proxied[] = {
    {"https://registry.example/", true, true},
    {"https://inner.corp.example/", false, true},
    {"https://corp.example/", false, true},
    {"https://xcorp.example/", true, true},
    {"https://exact.example/", false, true},
    {"http://10.1.2.3/", false, true}, /* listed in outbound.allow */
    {"http://192.168.0.1/", true, false},
    {"http://127.0.0.1/", true, false},
    {"http://localhost/", true, false},
    {"http://x.localhost/", true, false},
    {"http://metadata.google.internal/", true, false},
    {"http://intranet/", true, false},
};

static void test_outbound(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct str allow[] = {S("10.0.0.0/8")};
    struct str no_proxy[] = {S(".corp.example"), S("exact.example"), S("10.0.0.0/8")};
    struct strs allows = {allow, 1}, no = {no_proxy, 3};
    struct outbound o;
    assert_int_equal(outbound_init(&c, &allows, S("http://proxy:3128"), &no, &o), E_OK);
    for (size_t i = 0; i < COUNT(proxied); i++) {
        struct url u;
        assert_int_equal(url_parse(&c, str_of(proxied[i].url), &u), E_OK);
        if (outbound_proxied(&o, &u) != proxied[i].proxied ||
            outbound_permits_name(&o, &u) != proxied[i].permitted)
            fail_msg("%s", proxied[i].url);
    }
    outbound_release(&o);
    struct strs none = {0};
    allow[0] = S("10.0.0.0/40");
    assert_int_equal(outbound_init(&c, &allows, NO_STR, &none, &o), E_BAD_REQUEST);
    assert_true(str_starts(str_of(c.msg), S("outbound.allow: ")));
    assert_int_equal(outbound_init(&c, &none, S("proxy:3128"), &none, &o), E_BAD_REQUEST);
    ctx_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_domain),
        cmocka_unit_test(test_outbound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
