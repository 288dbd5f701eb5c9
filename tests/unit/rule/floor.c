/* What is kept for people of a pull limit. */
#include "rule/floor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *items[3], *endpoint;
    int64_t limit, want;
} rows[] = {
    {{"10%"}, "hub", 100, 10},
    {{"10%"}, "hub", 20, 5}, /* at least five */
    {{"0%"}, "hub", 100, 0},
    {{"0"}, "hub", 100, 0},
    {{"30"}, "hub", 100, 30},
    {{"100%"}, "hub", 100, 100},
    {{"10%", "hub=25%"}, "hub", 100, 25},
    {{"hub=25%", "10%"}, "hub", 100, 25},
    {{"hub=25%", "10%"}, "ghcr", 100, 10},
    {{"a=b=7"}, "a=b", 100, 7},
    {{"20%", "30%"}, "hub", 100, 30}, /* the last one */
    {{"bad"}, "hub", 200, 20},
    {{NULL}, "hub", 200, 20},
};

static void the_floor(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str texts[3];
        struct strs items = {texts, 0};
        for (size_t k = 0; k < 3 && rows[i].items[k]; k++)
            texts[items.count++] = str_of(rows[i].items[k]);
        int64_t got = floor_of(items, str_of(rows[i].endpoint), rows[i].limit);
        if (got != rows[i].want)
            fail_msg("row %zu: %lld", i, (long long)got);
    }
    static const char *const bad[] = {"", "%", "x", "-1", "101%", "=5", "hub=", "5%%", "hub=x%"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(floor_good(str_of(bad[i])));
    assert_true(floor_good(S("hub=25%")) && floor_good(S("20")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_floor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
