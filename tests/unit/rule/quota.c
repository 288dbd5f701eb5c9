/* Quotas: the sums and the words. */
#include "rule/quota.h"

#include "check.h"

static void sizes(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    static const struct {
        int64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1 << 20, "1.0 MiB"},
        {(INT64_C(1) << 30) - 1, "1024.0 MiB"},
        {INT64_C(10) << 30, "10.0 GiB"},
        {QUOTA_MAX, "1.0 PiB"},
        {INT64_MAX, "8.0 EiB"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_str(quota_size_text(&c.mem, rows[i].bytes), rows[i].text);
}

static void decisions(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    static const struct {
        int64_t hard, used, adding;
        enum err want;
    } rows[] = {
        {-1, INT64_MAX, INT64_MAX, E_OK}, /* no limit */
        {100, 0, 100, E_OK},
        {100, 0, 101, E_DENIED},
        {100, 60, 40, E_OK},
        {100, 60, 41, E_DENIED},
        {100, 200, 0, E_OK}, /* over it already, and nothing new */
        {100, 200, 1, E_DENIED},
        {INT64_MAX, INT64_MAX, 1, E_DENIED}, /* the sum overflows */
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check(quota_admits(&c, rows[i].hard, rows[i].used, rows[i].adding) == rows[i].want,
              "row %zu", i);
    assert_int_equal(quota_admits(&c, 10 << 20, 8703180, 2202010), E_DENIED);
    assert_string_equal(c.msg, "adding 2.1 MiB of storage resource, which when updated to current "
                               "usage of 8.3 MiB will exceed the configured upper limit of "
                               "10.0 MiB.");
}

static void limits(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    assert_int_equal(quota_check_limit(&c, "storage_limit", -1), E_OK);
    assert_int_equal(quota_check_limit(&c, "storage_limit", 1), E_OK);
    assert_int_equal(quota_check_limit(&c, "storage_limit", QUOTA_MAX), E_OK);
    assert_int_equal(quota_check_limit(&c, "storage_limit", QUOTA_MAX + 1), E_BAD_REQUEST);
    assert_int_equal(quota_check_limit(&c, "storage_limit", 0), E_BAD_REQUEST);
    assert_int_equal(quota_check_limit(&c, "storage_limit", -2), E_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(decisions),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
