/* Which of two tags stands first. */
#include "rule/version.h"

#include "check.h"

static const struct {
    const char *first, *second, *why;
} rows[] = {
    {"1.10", "1.9", "numbers, not letters"},
    {"1.27.3", "1.27", "the more exact one"},
    {"v2.0.0", "v1.9.9", "a leading v"},
    {"v1.10", "1.9", "does not count"},
    {"latest", "9.9", "words before versions"},
    {"edge", "latest", "words by alphabet"},
    {"2026.11.24", "2026.9.30", "dates"},
    {"20261124093000123456", "20261124093000123455", "longer than a number may be"},
    {"1.027", "1.26", "zeros do not count"},
    {"1.27-bookworm", "1.27-alpine", "variants from the last letter down"},
    {"1.27-alpine", "1.27", "a variant follows its version"},
};

static void the_order(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str a = str_of(rows[i].first), b = str_of(rows[i].second);
        check(version_cmp(a, b) < 0, "%s before %s: %s", rows[i].first, rows[i].second,
              rows[i].why);
        check(version_cmp(b, a) > 0, "%s behind %s: %s", rows[i].second, rows[i].first,
              rows[i].why);
    }
    assert_int_equal(version_cmp(S("1.2"), S("1.2")), 0);
    assert_int_not_equal(version_cmp(S("v1"), S("1")), 0); /* two tags are two */
    assert_int_not_equal(version_cmp(S("01"), S("1")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
