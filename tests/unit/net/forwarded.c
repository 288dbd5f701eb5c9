/* Whose word about the client is taken. */
#include "net/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *first, *second, *proto, *client;
        bool https;
        const char *why;
    } cases[] = {
        {"192.0.2.1", "198.51.100.1", NULL, "https", "192.0.2.1", false, "a stranger's word"},
        {"10.0.0.1", NULL, NULL, NULL, "10.0.0.1", false, "says nothing"},
        {"10.0.0.1", "198.51.100.1", NULL, "https", "198.51.100.1", true, "believed"},
        {"10.0.0.1", "198.51.100.1", NULL, "http", "198.51.100.1", false, "plain"},
        {"10.0.0.1", "1.1.1.1, 198.51.100.1", NULL, NULL, "198.51.100.1", false, "forged left"},
        {"10.0.0.1", "1.1.1.1", "198.51.100.1, 10.0.0.2", NULL, "198.51.100.1", false,
         "two headers, two proxies"},
        {"10.0.0.1", "10.0.0.3, 10.0.0.2", NULL, NULL, "10.0.0.3", false, "all believed"},
        {"10.0.0.1", "1.1.1.1, junk, 10.0.0.2", NULL, NULL, "10.0.0.2", false, "broken entry"},
        {"10.0.0.1", "unknown", NULL, "ftp", "10.0.0.1", false, "no address"},
        {"10.0.0.1", "198.51.100.1:8080", NULL, NULL, "198.51.100.1", false, "with a port"},
        {"10.0.0.1", "[2001:db8::1]:8080", NULL, NULL, "2001:db8::1", false, "v6 and port"},
        {"10.0.0.1", "[2001:db8::1]", NULL, NULL, "2001:db8::1", false, "v6 in brackets"},
        {"10.0.0.1", "2001:db8::1", NULL, "http, https", "2001:db8::1", true, "bare v6, list"},
        {"10.0.0.1", ",,", NULL, NULL, "10.0.0.1", false, "empty entries"},
        {"", "198.51.100.1", NULL, "https", "", false, "no peer address"},
    };
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str range = S("10.0.0.0/8");
    CLEANUP(cidrs_release) struct cidrs believed = {0};
    assert_int_equal(cidrs_init(&c, &(struct strs){&range, 1}, &believed), E_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct header headers[3];
        size_t n = 0;
        if (cases[i].first)
            headers[n++] = (struct header){S("X-Forwarded-For"), str_of(cases[i].first)};
        if (cases[i].second)
            headers[n++] = (struct header){S("x-forwarded-for"), str_of(cases[i].second)};
        if (cases[i].proto)
            headers[n++] = (struct header){S("X-Forwarded-Proto"), str_of(cases[i].proto)};
        struct str client;
        bool https = false;
        forwarded_apply(&believed, str_of(cases[i].peer), headers, n, &client, &https);
        if (!str_eq(client, str_of(cases[i].client)) || https != cases[i].https)
            fail_msg("%s: %.*s %d", cases[i].why, STR(client), https);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
