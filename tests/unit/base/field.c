/* Field tables: decoding, encoding, and both in turn. */
#include "base/field.h"

#include "check.h"

struct inner {
    struct str name;
    int64_t n;
};

struct outer {
    bool on;
    int64_t id, size;
    struct str name, password, internal, note;
    struct timestamp at, never;
    struct raw_json any;
    struct strs tags;
    struct i64s ids;
    struct inner one;
    struct inner *ref;
    struct list many;
};

static const struct field inner_fields[] = {
    FIELD(struct inner, name, F_REQ, 8),
    FIELD(struct inner, n, 0, 0),
    FIELDS_END,
};

static const struct field outer_fields[] = {
    FIELD(struct outer, on, 0, 0),
    FIELD(struct outer, id, F_RO, 0),
    FIELD(struct outer, size, F_OMIT, 0),
    FIELD(struct outer, name, F_REQ, 16),
    FIELD(struct outer, password, F_WO, 0),
    FIELD(struct outer, internal, F_ROW, 0),
    FIELD(struct outer, note, F_NULL, 0),
    FIELD_AS(struct outer, at, "created", 0, 0),
    FIELD(struct outer, never, F_NULL, 0),
    FIELD(struct outer, any, 0, 0),
    FIELD(struct outer, tags, 0, 3),
    FIELD(struct outer, ids, F_OMIT, 0),
    FIELD_OBJECT(struct outer, one, 0, inner_fields),
    FIELD_REF(struct outer, ref, 0, inner_fields),
    FIELD_LIST(struct outer, many, 0, struct inner, inner_fields),
    FIELDS_END,
};

static const struct {
    const char *in, *out; /* out: what encoding gives back; NULL: refused, with `why` */
    const char *why;
} rows[] = {
    {"{\"name\":\"x\"}",
     "{\"on\":false,\"id\":0,\"name\":\"x\",\"note\":null,\"created\":\"0001-01-01T00:00:00.000Z\","
     "\"never\":null,\"any\":null,\"tags\":[],\"one\":{\"name\":\"\",\"n\":0},\"many\":[]}",
     ""},
    {"{\"name\":\"x\",\"on\":true,\"id\":9,\"size\":-3,\"password\":\"p\",\"internal\":\"i\","
     "\"note\":\"\",\"created\":\"2026-11-24T08:00:00.5Z\",\"never\":\"2026-11-24 08:00:00\","
     "\"any\":{\"b\":[1,2.5]},\"tags\":[\"a\",\"b\"],\"ids\":[3,-4],\"one\":{\"name\":\"o\"},"
     "\"ref\":{\"name\":\"r\",\"n\":2},\"many\":[{\"name\":\"m\"},{\"name\":\"k\",\"n\":1}],"
     "\"unknown\":[[]]}",
     "{\"on\":true,\"id\":0,\"size\":-3,\"name\":\"x\",\"note\":null,"
     "\"created\":\"2026-11-24T08:00:00.500Z\",\"never\":\"2026-11-24T08:00:00.000Z\","
     "\"any\":{\"b\":[1,2.5]},\"tags\":[\"a\",\"b\"],\"ids\":[3,-4],\"one\":{\"name\":\"o\","
     "\"n\":0},\"ref\":{\"name\":\"r\",\"n\":2},\"many\":[{\"name\":\"m\",\"n\":0},"
     "{\"name\":\"k\",\"n\":1}]}",
     ""},
    {"{\"name\":\"x\",\"on\":null,\"tags\":null,\"one\":null,\"ref\":null,\"many\":null,"
     "\"any\":null,\"created\":null}",
     "{\"on\":false,\"id\":0,\"name\":\"x\",\"note\":null,\"created\":\"0001-01-01T00:00:00.000Z\","
     "\"never\":null,\"any\":null,\"tags\":[],\"one\":{\"name\":\"\",\"n\":0},\"many\":[]}",
     ""},
    {"{}", NULL, "name: required"},
    {"{\"name\":null}", NULL, "name: required"},
    {"[]", NULL, "object"},
    {"{\"name\":7}", NULL, "name: expected a string"},
    {"{\"name\":\"12345678901234567\"}", NULL, "longer than 16"},
    {"{\"name\":\"a\\u0000b\"}", NULL, "NUL"},
    {"{\"name\":\"x\",\"on\":1}", NULL, "on: expected true or false"},
    {"{\"name\":\"x\",\"on\":\"true\"}", NULL, "on: expected"},
    {"{\"name\":\"x\",\"size\":1.0}", NULL, "size: expected a whole number"},
    {"{\"name\":\"x\",\"size\":\"1\"}", NULL, "size: expected"},
    {"{\"name\":\"x\",\"created\":\"yesterday\"}", NULL, "created: expected a time"},
    {"{\"name\":\"x\",\"created\":0}", NULL, "created: expected a time"},
    {"{\"name\":\"x\",\"tags\":\"a\"}", NULL, "tags: expected an array"},
    {"{\"name\":\"x\",\"tags\":[1]}", NULL, "tags: expected a string"},
    {"{\"name\":\"x\",\"tags\":[\"1\",\"2\",\"3\",\"4\"]}", NULL, "tags: more than 3"},
    {"{\"name\":\"x\",\"ids\":[1.5]}", NULL, "ids: expected"},
    {"{\"name\":\"x\",\"one\":{}}", NULL, "name: required"},
    {"{\"name\":\"x\",\"one\":[]}", NULL, "object"},
    {"{\"name\":\"x\",\"ref\":1}", NULL, "object"},
    {"{\"name\":\"x\",\"many\":[1]}", NULL, "object"},
    {"{\"name\":\"x\",\"many\":[{\"name\":\"123456789\"}]}", NULL, "longer than 8"},
    {"{\"name\":\"x\",\"name\":\"y\"}", NULL, "duplicate"},
};

static void json(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        CLEANUP(buf_release) struct buf b = {0};
        struct outer o = {0};
        struct json_out j = {.out = &b};
        enum err e = fields_from_json(&c, outer_fields, str_of(rows[i].in), &o, NULL);
        check(e == (rows[i].out ? E_OK : E_BAD_REQUEST), "row %zu: %s", i, c.msg);
        if (!rows[i].out) {
            check(strstr(c.msg, rows[i].why), "row %zu: '%s' lacks '%s'", i, c.msg, rows[i].why);
            continue;
        }
        fields_encode(&j, &c.mem, outer_fields, &o);
        check_str(buf_view(&b), rows[i].out);
        assert_int_equal(o.id, 0);
        assert_int_equal(o.internal.n, 0);
    }
}

static void seen_members(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct outer o = {0};
    uint64_t seen = 0;
    struct str body = S("{\"name\":\"x\",\"on\":false,\"id\":1,\"note\":null,\"password\":\"p\"}");
    assert_int_equal(fields_from_json(&c, outer_fields, body, &o, &seen), E_OK);
    assert_true(field_seen(outer_fields, "name", seen));
    assert_true(field_seen(outer_fields, "on", seen));
    assert_true(field_seen(outer_fields, "password", seen));
    assert_false(field_seen(outer_fields, "id", seen));
    assert_false(field_seen(outer_fields, "note", seen));
    assert_false(field_seen(outer_fields, "tags", seen));
    check_str(o.password, "p");
}

static void from_text(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct outer o = {0};
    static const struct {
        const char *field, *text;
        bool good;
    } tried[] = {
        {"on", "true", true},
        {"on", "1", false},
        {"size", "-5", true},
        {"size", "5x", false},
        {"name", "x", true},
        {"name", "12345678901234567", false},
        {"created", "2026-11-24T08:00:00", true},
        {"created", "x", false},
        {"tags", "a", false},
        {"one", "{}", false},
        {"any", "{}", false},
    };
    for (size_t i = 0; i < COUNT(tried); i++) {
        const struct field *f = field_by_name(outer_fields, str_of(tried[i].field));
        assert_non_null(f);
        enum err e = field_from_text(&c, f, str_of(tried[i].text), &o);
        check((e == E_OK) == tried[i].good, "%s=%s", tried[i].field, tried[i].text);
    }
    assert_int_equal(o.size, -5);
    assert_true(o.on);
    assert_null(field_by_name(outer_fields, S("at")));
    assert_null(field_by_name(outer_fields, S("")));
}

static void lists(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    const struct inner two[] = {{S("a"), 1}, {S("b"), 2}};
    fields_encode_list(&j, &c.mem, inner_fields, two, 2, sizeof two[0]);
    check_str(buf_view(&b), "[{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(seen_members),
        cmocka_unit_test(from_text),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
