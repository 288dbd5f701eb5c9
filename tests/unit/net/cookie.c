/* Cookies in and out. */
#include "net/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

static void test_get(void **state)
{
    (void)state;
    static const struct {
        const char *header, *value;
    } cases[] = {
        {"sid=abc", "abc"},
        {"a=b; sid=abc; c=d", "abc"},
        {"a=b;sid=abc", "abc"},
        {"sid=\"abc\"", "abc"},
        {"sid=a=b", "a=b"},
        {"sid=", ""},
        {"SID=abc", NULL},
        {"xsid=abc", NULL},
        {"sid = abc", NULL},
        {"sid=a b", NULL},
        {"sid=first; sid=second", "first"},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct header headers[] = {{S("Accept"), S("sid=no")},
                                   {S("Cookie"), str_of(cases[i].header)}};
        struct http_request r = {.headers = headers, .header_count = 2};
        struct str value = cookie_get(&r, "sid");
        if ((value.p != NULL) != (cases[i].value != NULL) || !str_eq(value, str_of(cases[i].value)))
            fail_msg("%s: %.*s", cases[i].header, STR(value));
    }
}

static void test_build(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str out;
    struct cookie cookie = {.name = S("sid"), .value = S("abc"), .http_only = true};
    assert_int_equal(cookie_build(&c, &cookie, &out), E_OK);
    assert_true(str_eq(out, S("sid=abc; Path=/; HttpOnly; SameSite=Lax")));
    cookie.max_age = -1;
    cookie.secure = cookie.strict = true;
    cookie.path = S("/c");
    assert_int_equal(cookie_build(&c, &cookie, &out), E_OK);
    assert_true(str_eq(out, S("sid=abc; Path=/c; Max-Age=0; HttpOnly; Secure; SameSite=Strict")));
    cookie.value = S("a;b");
    assert_int_equal(cookie_build(&c, &cookie, &out), E_BAD_REQUEST);
    cookie.value = S("a\r\nb");
    assert_int_equal(cookie_build(&c, &cookie, &out), E_BAD_REQUEST);
    cookie.value = S("a");
    cookie.name = S("a=b");
    assert_int_equal(cookie_build(&c, &cookie, &out), E_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_get), cmocka_unit_test(test_build)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
