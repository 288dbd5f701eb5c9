/* q= and sort=: one line per query, terms written back as "key op values". */
#include "rule/query.h"

#include "base/buf.h"
#include "base/clock.h"
#include "check.h"

static const struct {
    const char *q, *want; /* NULL: refused */
} rows[] = {
    {"", ""},
    {"name=a", "name EQ a;"},
    {"name=~a", "name FUZZY a;"},
    {"name=\\~a", "name EQ ~a;"},
    {"name=\"a\"", "name EQ \"a\";"},
    {"a=b=c", "a EQ b=c;"},
    {"id=[1~5]", "id RANGE 1|5;"},
    {"id=[1~]", "id RANGE 1|;"},
    {"id=[~5]", "id RANGE |5;"},
    {"t=[2006-01-02 15:04:05~2006-01-03T00:00:00]",
     "t RANGE 2006-01-02 15:04:05|2006-01-03T00:00:00;"},
    {"t=[\"a\"~'b']", "t RANGE a|b;"},
    {"id={1 2 3}", "id ANY 1|2|3;"},
    {"id={1}", "id ANY 1;"},
    {"id={ 1  2 }", "id ANY 1|2;"},
    {"labels=(1 2)", "labels ALL 1|2;"},
    {"n={\"a b\" 'c'}", "n ANY a b|c;"},
    {"name=a,public=true", "name EQ a;public EQ true;"},
    {"name=a,name=b", "name EQ b;"},
    {"tags%3Dnil", "tags EQ nil;"},
    {"tags=*", "tags EQ *;"},
    {"a=100%", "a EQ 100%;"}, /* not an escape: as it is */
    {" a = b ", "a EQ b;"},
    {"name", NULL},
    {"=a", NULL},
    {"name=", NULL},
    {"name=~", NULL},
    {",", NULL},
    {"a=b,", NULL},
    {"a=[1~2", NULL},
    {"a=[12]", NULL},
    {"a=[~]", NULL},
    {"a=[1~2~3]", NULL},
    {"a=[", NULL},
    {"a={", NULL},
    {"a={}", NULL},
    {"a={1", NULL},
    {"a={1)", NULL},
    {"a=(1", NULL},
    {"a={\"b}", NULL},
    {"a=\xFF", NULL},
    {"a=%FF", NULL},
};

static const char *written(struct buf *b, const struct list_query *q)
{
    static const char *const ops[] = {"EQ", "FUZZY", "RANGE", "ANY", "ALL"};
    buf_release(b);
    for (size_t i = 0; i < q->term_count; i++) {
        const struct query_term *t = &q->terms[i];
        buf_fmt(b, "%.*s %s ", STR(t->key), ops[t->op]);
        for (size_t k = 0; k < t->values.count; k++)
            buf_fmt(b, "%s%.*s", k ? "|" : "", STR(t->values.items[k]));
        buf_char(b, ';');
    }
    buf_char(b, '\0');
    return b->p;
}

static void queries(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(buf_release) struct buf b = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct list_query q = {0};
        enum err e = query_parse(&c, str_of(rows[i].q), &q);
        check(e == (rows[i].want ? E_OK : E_BAD_REQUEST), "'%s': %d", rows[i].q, e);
        if (rows[i].want)
            assert_string_equal(written(&b, &q), rows[i].want);
    }
}

static void limits(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct list_query q = {.page = 3};
    char text[256] = "";
    for (int i = 0; i < QUERY_TERMS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sk%d=v", i ? "," : "", i);
    assert_int_equal(query_parse(&c, str_of(text), &q), E_OK);
    assert_int_equal(q.term_count, QUERY_TERMS_MAX);
    assert_int_equal(q.page, 3);
    struct str more = str_fmt(&c.mem, "%s,z=1", text);
    assert_int_equal(query_parse(&c, more, &q), E_BAD_REQUEST);
    int64_t start = clock_mono_ms();
    assert_int_equal(query_parse(&c, repeated(&c.mem, "a=b,", 100000), &q), E_BAD_REQUEST);
    assert_int_equal(query_parse(&c, repeated(&c.mem, "[a~b", 1 << 18), &q), E_BAD_REQUEST);
    assert_true(clock_mono_ms() - start < 50);
    struct str words = str_fmt(&c.mem, "a={%.*s}", STR(repeated(&c.mem, "b ", 2000)));
    assert_int_equal(query_parse(&c, words, &q), E_OK);
    assert_int_equal(q.terms[0].values.count, 2000);
}

static void sorts(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct list_query q = {0};
    assert_int_equal(query_parse_sort(&c, S(""), &q), E_OK);
    assert_int_equal(q.sort_count, 0);
    assert_int_equal(query_parse_sort(&c, S("name,-creation_time,,"), &q), E_OK);
    assert_int_equal(q.sort_count, 2);
    check_str(q.sort[0], "name");
    check_str(q.sort[1], "-creation_time");
    assert_int_equal(query_parse_sort(&c, S("-"), &q), E_BAD_REQUEST);
    assert_int_equal(query_parse_sort(&c, S("a,b,c,d,e,f,g,h"), &q), E_OK);
    assert_int_equal(query_parse_sort(&c, S("a,b,c,d,e,f,g,h,i"), &q), E_BAD_REQUEST);
    assert_int_equal(query_parse_sort(&c, repeated(&c.mem, ",", 5000), &q), E_BAD_REQUEST);
}

static void taking(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct list_query q = {0};
    assert_int_equal(query_parse(&c, S("a=1,b=2,c=3"), &q), E_OK);
    const struct query_term *b = query_take(&q, "b"), *a = query_take(&q, "a");
    assert_null(query_take(&q, "b"));
    assert_null(query_take(&q, "d"));
    check_str(b->values.items[0], "2");
    check_str(a->values.items[0], "1");
    assert_int_equal(q.term_count, 1);
    check_str(q.terms[0].key, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries),
        cmocka_unit_test(limits),
        cmocka_unit_test(sorts),
        cmocka_unit_test(taking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
