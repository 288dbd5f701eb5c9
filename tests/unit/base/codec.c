/* Encoders and decoders: known values, strictness, round trips. */
#include "base/codec.h"

#include "check.h"

static const struct {
    const char *text, *std, *url;
} known[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"\xFB\xFF\xBF", "+/+/", "-_-_"},
};

static void base64(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str out;
    for (size_t i = 0; i < COUNT(known); i++) {
        check_str(base64_encode(&a, str_of(known[i].text)), known[i].std);
        check_str(base64url_encode(&a, str_of(known[i].text)), known[i].url);
        assert_true(base64_decode(&a, str_of(known[i].std), &out));
        check_str(out, known[i].text);
        assert_true(base64url_decode(&a, str_of(known[i].url), &out));
        check_str(out, known[i].text);
    }
    static const char *const bad[] = {"Z",    "Zg=",      "Zg===", "Zh==",   "Zm9=", "=",   "====",
                                      "Z===", "Zg==Zg==", "Zm 9",  "Zm9v\n", "Zm9-", "=Zm9"};
    for (size_t i = 0; i < COUNT(bad); i++)
        check(!base64_decode(&a, str_of(bad[i]), &out), "'%s'", bad[i]);
    assert_true(base64_decode(&a, S("Zg"), &out));
    assert_true(base64url_decode(&a, S("Zg=="), &out));
    assert_false(base64url_decode(&a, S("+/+/"), &out));
    assert_false(base64_decode(&a, (struct str){"Zm\0v", 4}, &out));
    for (size_t n = 0; n < 70; n++) {
        char raw[70];
        for (size_t i = 0; i < n; i++)
            raw[i] = (char)(i * 37 + n);
        assert_true(base64_decode(&a, base64_encode(&a, (struct str){raw, n}), &out));
        assert_true(str_eq(out, (struct str){raw, n}));
        assert_true(base64url_decode(&a, base64url_encode(&a, (struct str){raw, n}), &out));
        assert_true(str_eq(out, (struct str){raw, n}));
    }
    arena_release(&a);
}

static void hex(void **state)
{
    (void)state;
    struct arena a = {0};
    unsigned char out[2] = {0};
    check_str(hex_encode(&a, "\x00\xFFz", 3), "00ff7a");
    assert_true(hex_decode(S("0aff"), out, 2));
    assert_int_equal(out[0], 10);
    assert_int_equal(out[1], 255);
    assert_false(hex_decode(S("0aFF"), out, 2));
    assert_false(hex_decode(S("0af"), out, 2));
    assert_false(hex_decode(S("0afg"), out, 2));
    arena_release(&a);
}

static void percent(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str out;
    static const struct {
        const char *text, *path, *query; /* NULL: refused */
    } rows[] = {
        {"a%2Fb", "a/b", "a/b"}, {"a+b", "a+b", "a b"}, {"%41%5a", "AZ", "AZ"},
        {"%252F", "%2F", "%2F"}, {"%", NULL, NULL},     {"%4", NULL, NULL},
        {"a%zz", NULL, NULL},    {"%00", NULL, NULL},   {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int query = 0; query < 2; query++) {
            const char *want = query ? rows[i].query : rows[i].path;
            bool ok = percent_decode(&a, str_of(rows[i].text), query, &out);
            check(ok == (want != NULL), "'%s'", rows[i].text);
            if (ok)
                check_str(out, want);
        }
    assert_false(percent_decode(&a, (struct str){"a\0", 2}, false, &out));
    check_str(percent_encode(&a, S("a/b c+~\xC3\xA4"), "/"), "a/b%20c%2B~%C3%A4");
    check_str(percent_encode(&a, S("a/b"), ""), "a%2Fb");
    check_str(percent_encode(&a, (struct str){"\0", 1}, "/"), "%00");
    arena_release(&a);
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\xC3\xA4",
                                       "\xE2\x98\xBA",
                                       "\xF0\x9F\x98\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xEF\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xC3",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xE2\x98",
                                      "\xE2\x98z",
                                      "\xFF",
                                      "a\xFE"};
    for (size_t i = 0; i < COUNT(good); i++)
        check(utf8_valid(str_of(good[i])), "good %zu", i);
    for (size_t i = 0; i < COUNT(bad); i++)
        check(!utf8_valid(str_of(bad[i])), "bad %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),
        cmocka_unit_test(hex),
        cmocka_unit_test(percent),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
