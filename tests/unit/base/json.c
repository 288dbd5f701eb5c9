/* The scan's bounds, strict parsing, and the writer. */
#include "base/json.h"

#include "base/heap.h"
#include "check.h"

/* The house's calls of malloc come here (ld --wrap), and through the house jansson's. */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
static size_t asked, refuse_at, refuse_run;

void *__wrap_malloc(size_t n)
{
    asked++;
    return asked >= refuse_at && asked - refuse_at < refuse_run ? NULL : __real_malloc(n);
}

static const struct {
    const char *text;
    bool parses;
} rows[] = {
    {"{}", true},
    {"[]", true},
    {" {\"a\" : [1, -2.5e3, true, null, \"x\\u00e4\\n\"]} ", true},
    {"{\"a\":\"]}\\\"\"}", true},
    {"{\"a\":{\"b\":1},\"c\":{\"b\":1}}", true},
    {"", false},
    {"1", false}, /* jansson's rule: an object or a list */
    {"{", false},
    {"}", false},
    {"[}", false},
    {"{]", false},
    {"[1,]", false},
    {"{\"a\":1,}", false},
    {"{a:1}", false},
    {"{'a':1}", false},
    {"[01]", false},
    {"[+1]", false},
    {"[.5]", false},
    {"[NaN]", false},
    {"[1e999]", false},
    {"[99999999999999999999]", false},
    {"[\"a]", false},
    {"[\"\\\"]", false},
    {"[\"\\x\"]", false},
    {"[\"\\ud800\"]", false},
    {"[\"\t\"]", false},
    {"[1] x", false},
    {"[1][2]", false},
    {"[1]\xEF\xBB\xBF", false},
    {"\xEF\xBB\xBF[1]", false},
    {"[\"\xC0\x80\"]", false},
    {"[\"\xED\xA0\x80\"]", false},
    {"{\"a\":1,\"a\":2}", false},
    {"{\"b\":{\"a\":1,\"a\":2}}", false},
    {"{\"a\":1,\"\\u0061\":2}", false},
    {"/* */[1]", false},
};

static void parsing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        CLEANUP(json_done) json_t *v = NULL;
        enum err e = json_parse(&c, str_of(rows[i].text), &v);
        check(e == (rows[i].parses ? E_OK : E_BAD_REQUEST), "row %zu '%s': %s", i, rows[i].text,
              c.msg);
        assert_true((v != NULL) == rows[i].parses);
    }
}

static void bounds(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str deep = str_fmt(&c.mem, "%.*s%.*s", STR(repeated(&c.mem, "[", JSON_DEPTH_MAX)),
                              STR(repeated(&c.mem, "]", JSON_DEPTH_MAX)));
    assert_int_equal(json_scan(&c, deep, NULL), E_OK);
    struct str deeper = str_fmt(&c.mem, "[%.*s]", STR(deep));
    assert_int_equal(json_scan(&c, deeper, NULL), E_BAD_REQUEST);
    assert_int_equal(json_scan(&c, repeated(&c.mem, "[", 1 << 20), NULL), E_BAD_REQUEST);
    struct str many = repeated(&c.mem, "0,", JSON_VALUES_MAX - 2);
    assert_int_equal(json_scan(&c, str_fmt(&c.mem, "[%.*s0]", STR(many)), NULL), E_OK);
    assert_int_equal(json_scan(&c, str_fmt(&c.mem, "[%.*s0,0]", STR(many)), NULL), E_BAD_REQUEST);
}

/* At most three entries in one object or list; which of "a" and "b" the root has. */
static const struct {
    const char *text;
    bool passes;
    unsigned seen;
} limited[] = {
    {"[]", true, 0},
    {"[1,2,3]", true, 0},
    {"[1,2,3,4]", false, 0},
    {"[{},{},{}]", true, 0},
    {"[[1,2,3],[1,2,3]]", true, 0},
    {"[\",,,,,,,,,\"]", true, 0},
    {"{\"x\":1,\"y\":2,\"z\":3,\"u\":4}", false, 0},
    {"{\"a\":1}", true, 1},
    {"{\"x\":1,\"b\":\"a\"}", true, 2},
    {" { \"b\" : {} , \"a\" : [ ] } ", true, 3},
    {"{\"x\":{\"a\":1}}", true, 0},
    {"{\"x\":[\"a\",\"b\"]}", true, 0},
    {"{\"x\":\"a\"}", true, 0},
    {"[\"a\",\"b\"]", true, 0},
    {"{\"\\u0061\":1}", true, 3}, /* an escape: it may be any of them */
};

static void limits(void **state)
{
    static const char *const names[] = {"a", "b"};
    (void)state;
    for (size_t i = 0; i < COUNT(limited); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        unsigned seen = 0;
        const struct json_limits l = {3, names, COUNT(names), &seen};
        enum err e = json_scan(&c, str_of(limited[i].text), &l);
        check(e == (limited[i].passes ? E_OK : E_BAD_REQUEST), "row %zu '%s': %s", i,
              limited[i].text, c.msg);
        check(!limited[i].passes || seen == limited[i].seen, "row %zu '%s': %u", i, limited[i].text,
              seen);
    }
}

static void members(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(json_done) json_t *v = NULL;
    struct str s = S("kept");
    int64_t n = 5;
    assert_int_equal(json_parse(&c, S("{\"s\":\"a\\u0000b\",\"n\":-7,\"r\":1.5,\"z\":null}"), &v),
                     E_OK);
    assert_true(json_get_str(v, "s", &s));
    assert_true(str_eq(s, (struct str){"a\0b", 3}));
    assert_true(json_get_i64(v, "n", &n));
    assert_int_equal(n, -7);
    assert_false(json_get_i64(v, "r", &n));
    assert_false(json_get_i64(v, "s", &n));
    assert_false(json_get_str(v, "n", &s));
    assert_false(json_get_str(v, "z", &s));
    assert_false(json_get_str(v, "absent", &s));
    assert_false(json_get_str(NULL, "s", &s));
}

static void writing(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("a"));
    put_open(&j, '[');
    put_i64(&j, INT64_MIN);
    put_bool(&j, true);
    put_null(&j);
    put_str(&j, S("q\"\\\n\x01\x7f\xC3\xA4"));
    put_str(&j, S("\xFFz"));
    put_str(&j, NO_STR);
    put_open(&j, '{');
    put_close(&j, '}');
    put_raw(&j, S("1.5"));
    put_close(&j, ']');
    put_key(&j, S("b\n"));
    put_bool(&j, false);
    put_close(&j, '}');
    check_str(buf_view(&b), "{\"a\":[-9223372036854775808,true,null,"
                            "\"q\\\"\\\\\\n\\u0001\\u007f\xC3\xA4\",\"\xEF\xBF\xBDz\",\"\",{},"
                            "1.5],\"b\\n\":false}");
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(json_done) json_t *v = NULL;
    assert_int_equal(json_parse(&c, buf_view(&b), &v), E_OK);
}

/* As it was read, without blanks, but for how a character or a number is written. */
static const struct {
    const char *text, *written;
} again[] = {
    {"[ ]", "[]"},
    {"{ }", "{}"},
    {" {\"b\" : [1, -2, {\"c\":{}}], \"a\" : \"x\"} ", "{\"b\":[1,-2,{\"c\":{}}],\"a\":\"x\"}"},
    {"[true,false,null,\"\"]", "[true,false,null,\"\"]"},
    {"[1.5,1e3,-0.25]", "[1.5,1000.0,-0.25]"},
    {"[\"\\u00e4\\/\\u0000\\u001f\"]", "[\"\xC3\xA4/\\u0000\\u001f\"]"},
    {"[\"\\b\\f\\n\\r\\t\\\"\\\\\"]", "[\"\\b\\f\\n\\r\\t\\\"\\\\\"]"},
    {"[\"\xC3\xA4\\n\xC3\xA4\x7f\"]", "[\"\xC3\xA4\\n\xC3\xA4\\u007f\"]"},
    {"{\"\\u00e4\\n\":0}", "{\"\xC3\xA4\\n\":0}"},
};

static void writing_what_was_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(again); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        CLEANUP(json_done) json_t *v = NULL, *w = NULL;
        struct str text;
        assert_int_equal(json_parse(&c, str_of(again[i].text), &v), E_OK);
        assert_int_equal(json_text(&c, v, &text), E_OK);
        check_str(text, again[i].written);
        assert_int_equal(json_parse(&c, text, &w), E_OK);
        assert_true(json_equal(v, w));
    }
}

/* Tokens that outgrow the lexer's first buffer: names, texts, numbers and words. */
static const char *const long_tokens[] = {
    "[1234567890123456,-123456789012345678]",
    "[1234567890.12345678e-12,12345678901234567890123456789012345678901234567890.5]",
    "{\"a name of more than sixteen bytes\":\"and a text of more than thirty-two \\u00e4\\n\"}",
    "[[[1,2,3,4,5,6,7,8,9,10]],{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8}]",
    "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
    "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\x\"]",
    "[123456789012345678901234567890,12345678901234567890]",
};

/* Whatever is refused, and for however long: said so, or parsed. */
static void no_memory(void **state)
{
    static const size_t runs[] = {1, 2, 12, 1000000};
    (void)state;
    for (size_t i = 0; i < COUNT(long_tokens) * COUNT(runs); i++) {
        const char *text = long_tokens[i % COUNT(long_tokens)];
        size_t at = 0;
        do {
            CLEANUP(ctx_release) struct ctx c = {0};
            CLEANUP(json_done) json_t *v = NULL;
            asked = 0;
            refuse_at = ++at;
            refuse_run = runs[i / COUNT(long_tokens)];
            enum err e = json_parse(&c, str_of(text), &v);
            refuse_run = 0;
            check(heap_refused() == (e == E_UNAVAILABLE), "'%s' at %zu: %s", text, at, c.msg);
            check(heap_refused() == (asked >= at), "'%s' at %zu of %zu", text, at, asked);
        } while (asked >= at);
        check(at > 3, "'%s' asked %zu times only", text, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing),   cmocka_unit_test(bounds),
        cmocka_unit_test(limits),    cmocka_unit_test(members),
        cmocka_unit_test(writing),   cmocka_unit_test(writing_what_was_read),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
