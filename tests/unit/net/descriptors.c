/* How descriptors are shared out, at limits from tiny to unlimited. */
#include "net/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

static void test_shares(void **state)
{
    (void)state;
    static const struct {
        int64_t files, wanted, connections, kept, most;
    } cases[] = {
        {20, 12000, 24, 8, 32},
        {256, 12000, 168, 24, 192},
        {400, 12000, 263, 37, 300},
        {1024, 12000, 672, 96, 768},
        {1024, 100, 100, 96, 768},
        {20000, 12000, 12000, 2244, 17952},
        {20000, 1000000, 15708, 2244, 17952},
        {65536, 1000000, 55552, 7936, 63488},
        {INT32_MAX, 12000, 12000, 268435199, 2147481599},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct descriptors d;
        descriptors_init(&d, cases[i].files, cases[i].wanted);
        if (d.connections != cases[i].connections || d.kept != cases[i].kept ||
            d.most != cases[i].most)
            fail_msg("%lld files: %lld connections, %lld kept, %lld in all",
                     (long long)cases[i].files, (long long)d.connections, (long long)d.kept,
                     (long long)d.most);
    }
}

/* Connections leave to requests what is kept for them, and take their place again. */
static void test_account(void **state)
{
    (void)state;
    struct descriptors d;
    int64_t connections = 0, requests = 0;
    descriptors_init(&d, 256, 12000);
    while (descriptors_connection(&d))
        connections++;
    assert_int_equal(connections, 168);
    while (descriptors_request(&d))
        requests++;
    assert_int_equal(requests, 24 / REQUEST_DESCRIPTORS);
    assert_int_equal(atomic_load(&d.used), 192);
    descriptors_give(&d, 1); /* a connection ends: not one of those that requests hold */
    assert_false(descriptors_connection(&d));
    descriptors_give(&d, 24);
    assert_true(descriptors_connection(&d));
    assert_false(descriptors_connection(&d));
    assert_true(descriptors_request(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
