/* What strangers say in headers: challenges, links, limits, tokens; and the vendor table. */
#include "peer/challenge.h"
#include "peer/linkheader.h"
#include "peer/ratelimit.h"
#include "peer/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *header;
    int count;                           /* -1 = refused */
    const char *realm, *service, *scope; /* of the last challenge */
} challenges[] = {
    {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
     "scope=\"repository:library/nginx:pull\"",
     1, "https://auth.docker.io/token", "registry.docker.io", "repository:library/nginx:pull"},
    {"Basic realm=\"Registry\"", 1, "Registry", "", ""},
    {"bearer REALM=\"r\" , service = s", 1, "r", "s", ""},
    {"Bearer realm=\"a \\\"b\\\" c\"", 1, "a \"b\" c", "", ""},
    {"Bearer realm=\"a,b\",scope=\"x:pull,push\"", 1, "a,b", "", "x:pull,push"},
    {"Basic realm=\"x\", Bearer realm=\"y\",service=\"z\"", 2, "y", "z", ""},
    {"Negotiate, Basic realm=\"x\"", 2, "x", "", ""},
    {"Negotiate abcd==, Bearer realm=\"x\"", 2, "x", "", ""},
    {"NTLM", 1, "", "", ""},
    {", ,Basic realm=\"x\",,", 1, "x", "", ""},
    {"Bearer realm=\"x\",error=\"invalid_token\",extra=1", 1, "x", "", ""},
    {"", 0, "", "", ""},
    {"Bearer realm=\"x", -1, "", "", ""},
    {"Bearer realm=\"x\\", -1, "", "", ""},
    {"Bearer realm=", 1, "", "", ""}, /* a token68: no realm, no use */
    {"Bearer service=s,realm=", -1, "", "", ""},
    {"Bearer realm=\"x\" service=\"y\"", -1, "", "", ""},
    {"Bearer realm=\"x\",realm=\"y\"", -1, "", "", ""},
    {"Bearer realm=\"\",realm=\"y\"", -1, "", "", ""},
    {"realm=\"x\"", -1, "", "", ""},
    {"Bearer \"x\"", -1, "", "", ""},
    {"Bearer realm=\"x\nInjected: y\"", -1, "", "", ""},
    {"=", -1, "", "", ""},
    {"a,b,c,d,e,f,g,h,i", -1, "", "", ""},
};

static void test_challenges(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(challenges); i++) {
        struct challenge found[CHALLENGES_MAX] = {0};
        size_t n = 0;
        enum err e = challenge_parse(&c, str_of(challenges[i].header), found, &n);
        bool ok = challenges[i].count < 0 ? e == E_UPSTREAM
                                          : e == E_OK && n == (size_t)challenges[i].count;
        const struct challenge *last = &found[n ? n - 1 : 0];
        if (ok && challenges[i].count > 0)
            ok = str_eq(last->realm, str_of(challenges[i].realm)) &&
                 str_eq(last->service, str_of(challenges[i].service)) &&
                 str_eq(last->scope, str_of(challenges[i].scope));
        if (!ok)
            fail_msg("%s: %s, %zu", challenges[i].header, err_name(e), n);
    }
    ctx_release(&c);
}

static const struct {
    const char *header, *next;
} links[] = {
    {"</v2/x/tags/list?last=b&n=2>; rel=\"next\"", "/v2/x/tags/list?last=b&n=2"},
    {"<a>; rel=prev, <b>; rel=next", "b"},
    {"<a>;title=\"x, <y>; rel=next\";rel=\"prev\",<b>;rel=\"last next\"", "b"},
    {"<a> ; REL = \"NEXT\"", "a"},
    {"<a>; rel", NULL},
    {"<a>; rel=\"nextish\"", NULL},
    {"<a>", NULL},
    {"<a", NULL},
    {"a; rel=next", NULL},
    {"<>; rel=next", NULL},
    {"<a>; rel=\"next", NULL},
    {"<a> rel=next", NULL},
    {"", NULL},
};

static void test_links(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(links); i++) {
        struct str next = NO_STR;
        bool found = link_next(str_of(links[i].header), &next);
        if (found != (links[i].next != NULL) || (found && !str_eq(next, str_of(links[i].next))))
            fail_msg("%s: %.*s", links[i].header, STR(next));
    }
}

static const struct {
    const char *value;
    int64_t n, window; /* n -1 = refused */
} limits[] = {
    {"100;w=21600", 100, 21600},
    {"20", 20, -1},
    {" 0 ; w=60 ", 0, 60},
    {"100;w=21600;burst=5, 10;w=1", 100, 21600},
    {"", -1, -1},
    {"-5", -1, -1},
    {"x;w=1", -1, -1},
    {"1;w=x", -1, -1},
    {"99999999999999999999", -1, -1},
};

static const struct {
    const char *value;
    int64_t seconds; /* -1 = refused */
} retries[] = {
    {"30", 30},
    {" 0 ", 0},
    {"999999999", 86400},
    {"99999999999999999999999", 86400},
    {"Tue, 24 Nov 2026 08:00:30 GMT", 30},
    {"Tue, 24 Nov 2026 07:59:00 GMT", 0},
    {"Tue, 24 Nov 2036 08:00:00 GMT", 86400},
    {"-1", -1},
    {"1.5", -1},
    {"soon", -1},
    {"", -1},
};

static void test_limits(void **state)
{
    (void)state;
    struct timestamp now;
    assert_true(time_parse_http(S("Tue, 24 Nov 2026 08:00:00 GMT"), &now));
    for (size_t i = 0; i < COUNT(limits); i++) {
        int64_t n = -1, window = -1;
        bool ok = ratelimit_parse(str_of(limits[i].value), &n, &window);
        if (ok != (limits[i].n >= 0) || n != limits[i].n || window != limits[i].window)
            fail_msg("%s: %lld %lld", limits[i].value, (long long)n, (long long)window);
    }
    for (size_t i = 0; i < COUNT(retries); i++) {
        int64_t seconds = -1;
        bool ok = retry_after_parse(str_of(retries[i].value), now, &seconds);
        if (ok != (retries[i].seconds >= 0) || seconds != retries[i].seconds)
            fail_msg("%s: %lld", retries[i].value, (long long)seconds);
    }
    struct str hub = S("{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"You have reached "
                       "your unauthenticated pull rate limit. "
                       "https://www.docker.com/increase-rate-limit\"}]}");
    assert_true(ratelimit_is_pull_limit(true, hub, -1));
    assert_false(ratelimit_is_pull_limit(false, hub, -1));
    assert_false(ratelimit_is_pull_limit(true, S("429 Too Many Requests"), -1));
    assert_false(ratelimit_is_pull_limit(true, S("429 Too Many Requests"), 5));
    assert_true(ratelimit_is_pull_limit(true, NO_STR, 0));
}

static const struct {
    const char *body, *token; /* NULL = refused */
    int64_t life_s;
} tokens[] = {
    {"{\"token\":\"abc\",\"expires_in\":300}", "abc", 300},
    {"{\"access_token\":\"abc\"}", "abc", 60},
    {"{\"token\":\"\",\"access_token\":\"abc\",\"expires_in\":0}", "abc", 60},
    {"{\"token\":\"abc\",\"expires_in\":-5}", "abc", 60},
    {"{\"token\":\"abc\",\"expires_in\":99999999}", "abc", 3600},
    {"{\"token\":\"abc\",\"expires_in\":\"300\"}", "abc", 60},
    {"{\"token\":\"a b\"}", NULL, 0},
    {"{\"token\":\"a\\r\\nX: y\"}", NULL, 0},
    {"{\"token\":5}", NULL, 0},
    {"{}", NULL, 0},
    {"[]", NULL, 0},
    {"abc", NULL, 0},
    {"", NULL, 0},
};

static void test_tokens(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct str token;
        int64_t life_s = 0;
        enum err e = token_parse(&c, str_of(tokens[i].body), &token, &life_s);
        bool ok = tokens[i].token ? e == E_OK && str_eq(token, str_of(tokens[i].token)) &&
                                        life_s == tokens[i].life_s
                                  : e == E_UPSTREAM;
        if (!ok)
            fail_msg("%s: %s, %lld", tokens[i].body, err_name(e), (long long)life_s);
    }
    ctx_release(&c);
}

static const struct {
    const char *type, *url, *out;
} data_urls[] = {
    {"docker-hub", "", "https://registry-1.docker.io"},
    {"docker-hub", "https://hub.docker.com", "https://registry-1.docker.io"},
    {"docker-hub", "https://hub.docker.com/", "https://registry-1.docker.io"},
    {"docker-hub", "https://registry-1.docker.io", "https://registry-1.docker.io"},
    {"docker-hub", "https://docker.io", "https://registry-1.docker.io"},
    {"docker-hub", "http://127.0.0.1:5005", "http://127.0.0.1:5005"},
    {"docker-hub", "https://mirror.example", "https://mirror.example"},
    {"github-ghcr", "https://ghcr.io", "https://ghcr.io"},
    {"docker-registry", "https://h/p", "https://h/p"},
    {"unknown", "https://h/p", "https://h/p"},
};

static const struct {
    const char *type, *registry, *realm;
    bool trusted;
} realms[] = {
    {"docker-hub", "https://registry-1.docker.io", "https://auth.docker.io/token", true},
    {"docker-hub", "https://mirror.example", "https://auth.docker.io/token", true},
    {"docker-registry", "https://mirror.example", "https://auth.docker.io/token", false},
    {"docker-registry", "https://r.example.com", "https://auth.example.com/t", true},
    {"docker-registry", "https://r.example.com", "http://auth.example.com/t", false},
    {"docker-registry", "http://r.example.com", "http://r.example.com:5001/t", true},
    {"docker-registry", "https://r.example.com", "https://evil.com/t", false},
    {"docker-registry", "https://a.github.io", "https://b.github.io/t", false},
    {"docker-registry", "http://127.0.0.1:5000", "http://127.0.0.2:5000/t", false},
};

static void test_vendors(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(data_urls); i++) {
        const struct vendor *v = vendor_by_type(str_of(data_urls[i].type));
        struct str url = vendor_data_url(v, str_of(data_urls[i].url));
        if (!str_eq(url, str_of(data_urls[i].out)))
            fail_msg("%s %s: %.*s", data_urls[i].type, data_urls[i].url, STR(url));
    }
    for (size_t i = 0; i < COUNT(realms); i++) {
        struct endpoint e = {.type = str_of(realms[i].type), .url = str_of(realms[i].registry)};
        struct asker a;
        struct url realm;
        assert_int_equal(asker_init(&c, &e, 0, &a), E_OK);
        assert_int_equal(url_parse(&c, str_of(realms[i].realm), &realm), E_OK);
        if (token_realm_trusted(&c, &a, &realm) != realms[i].trusted)
            fail_msg("%s and %s", realms[i].registry, realms[i].realm);
    }
    for (size_t i = 0; i < vendor_count; i++)
        assert_ptr_equal(vendor_by_type(str_of(vendors[i].type)), &vendors[i]);
    assert_true(vendor_by_type(S("docker-hub"))->library);
    assert_null(vendor_by_type(S("helm-hub")));
    ctx_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_challenges), cmocka_unit_test(test_links),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_vendors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
