/* Texts and numbers in text. */
#include "base/str.h"

#include "check.h"

static void comparing(void **state)
{
    (void)state;
    assert_true(str_eq(S("a"), S("a")));
    assert_true(str_eq(NO_STR, S("")));
    assert_false(str_eq(S("a"), S("ab")));
    assert_true(str_eq_nocase(S("aBc"), S("AbC")));
    assert_false(str_eq_nocase(S("\xC3\xA4"), S("\xC3\x84")));
    assert_true(str_cmp(S("a"), S("b")) < 0);
    assert_true(str_cmp(S("ab"), S("a")) > 0);
    assert_int_equal(str_cmp(NO_STR, S("")), 0);
    assert_true(str_cmp(S("\xFF"), S("a")) > 0);
    assert_true(str_starts(S("abc"), S("ab")));
    assert_true(str_starts(S("abc"), S("")));
    assert_false(str_starts(S("a"), S("ab")));
    assert_true(str_ends(S("abc"), S("bc")));
    assert_false(str_ends(S("c"), S("bc")));
    assert_true(str_contains(S("abc"), S("b")));
    assert_true(str_contains(NO_STR, NO_STR));
    assert_false(str_contains(NO_STR, S("b")));
}

static void cutting(void **state)
{
    (void)state;
    struct str rest = S("a,b,,c");
    check_str(str_cut(&rest, ','), "a");
    check_str(str_cut(&rest, ','), "b");
    check_str(str_cut(&rest, ','), "");
    check_str(str_cut(&rest, ','), "c");
    assert_int_equal(rest.n, 0);
    check_str(str_cut(&rest, ','), "");
    check_str(str_trim(S(" \ta b \t")), "a b");
    check_str(str_trim(S("  ")), "");
    check_str(str_sub(S("abc"), 1, 1), "b");
    check_str(str_sub(S("abc"), 2, SIZE_MAX), "c");
    check_str(str_sub(S("abc"), 9, 9), "");
    check_str(str_sub(NO_STR, 1, 1), "");
    assert_int_equal(str_find(S("abca"), 'a'), 0);
    assert_int_equal(str_rfind(S("abca"), 'a'), 3);
    assert_int_equal(str_find(S("abc"), 'x'), -1);
    assert_int_equal(str_rfind(NO_STR, 'x'), -1);
}

static void copying(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str s = str_dup(&a, (struct str){"a\0b", 3});
    assert_memory_equal(s.p, "a\0b", 4);
    assert_int_equal(str_dup(&a, NO_STR).p[0], 0);
    check_str(str_fmt(&a, "%d-%.*s", 7, STR(S("x"))), "7-x");
    check_str(str_lower(&a, S("AbZ\xC3\x84")), "abz\xC3\x84");
    assert_string_equal(str_c(&a, S("abc")), "abc");
    check_str(str_of(NULL), "");
    arena_release(&a);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"1e3", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t v = 0;
        check(str_to_i64(str_of(rows[i].text), &v) == rows[i].ok, "'%s'", rows[i].text);
        assert_int_equal(v, rows[i].want);
    }
    bool b = false;
    assert_true(str_to_bool(S("true"), &b) && b);
    assert_true(str_to_bool(S("false"), &b) && !b);
    assert_false(str_to_bool(S("True"), &b));
    assert_false(str_to_bool(S("1"), &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),
        cmocka_unit_test(cutting),
        cmocka_unit_test(copying),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
