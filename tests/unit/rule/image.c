/* Image configurations, whatever a stranger puts into them. */
#include "rule/image.h"

#include "check.h"

static const char one[] =
    "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\",\"created\":\"2026-11-01T00:"
    "00:00Z\","
    "\"config\":{\"Env\":[\"PATH=/bin\",\"A=1\",\"A=2\",7],\"Cmd\":[\"sh\",\"-c\",\"run it\"],"
    "\"Labels\":{\"vendor\":\"x\",\"bad\":3},\"ExposedPorts\":{\"80/tcp\":{}},\"User\":\"nobody\"},"
    "\"history\":[{\"created_by\":\"ADD rootfs\"},{\"created_by\":\"ENV "
    "A=2\",\"empty_layer\":true},"
    "{\"created_by\":\"COPY app\"},9]}";
static const char two[] =
    "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\",\"config\":{\"Env\":[\"PATH=/"
    "bin\","
    "\"A=3\",\"B=\"],\"Cmd\":[\"sh\",\"-c\",\"run it\"],\"Labels\":{\"vendor\":\"x\"}}}";

static const char *value(const struct image_config *in, const char *kind, const char *name)
{
    for (size_t i = 0; i < in->property_count; i++)
        if (str_eq(in->properties[i].kind, str_of(kind)) &&
            str_eq(in->properties[i].name, str_of(name)))
            return in->properties[i].value.p;
    return NULL;
}

static void it_is_read(void **unused)
{
    (void)unused;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct image_config a;
    assert_int_equal(image_config_parse(&c, str_of(one), &a), E_OK);
    check_str(a.platform, "linux/arm64/v8");
    assert_string_equal(value(&a, "env", "A"), "2"); /* the last one */
    assert_string_equal(value(&a, "cmd", ""), "sh -c \"run it\"");
    assert_string_equal(value(&a, "port", "80/tcp"), "");
    assert_string_equal(value(&a, "label", "bad"), "");
    assert_string_equal(value(&a, "user", ""), "nobody");
    size_t at = 0;
    check_str(image_step_next(&a, &at)->created_by, "ADD rootfs");
    check_str(image_step_next(&a, &at)->created_by, "COPY app"); /* without the empty ones */
    check_str(image_step_next(&a, &at)->created_by, "");         /* one that is no object */
    assert_null(image_step_next(&a, &at));
}

static void they_differ(void **unused)
{
    (void)unused;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct image_config a, b;
    struct list changes;
    static const char *const want[][3] = {{"created", "2026-11-01T00:00:00Z", NULL},
                                          {"user", "nobody", NULL},
                                          {"env", "2", "3"},
                                          {"label", "", NULL},
                                          {"port", "", NULL},
                                          {"env", NULL, ""}};
    assert_int_equal(image_config_parse(&c, str_of(one), &a), E_OK);
    assert_int_equal(image_config_parse(&c, str_of(two), &b), E_OK);
    image_compare(&c.mem, &a, &b, &changes);
    assert_int_equal(changes.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        const struct image_change *ch = (const struct image_change *)changes.items + i;
        check_str(ch->kind, want[i][0]);
        check(!ch->a.p == !want[i][1] && !ch->b.p == !want[i][2], "row %zu", i);
        if (want[i][1])
            check_str(ch->a, want[i][1]);
        if (want[i][2])
            check_str(ch->b, want[i][2]);
    }
    image_compare(&c.mem, &a, &a, &changes);
    assert_int_equal(changes.count, 0);
}

static void nonsense(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"", "[]", "7", "{", "\"x\""};
    static const char *const odd[] = {"{}",
                                      "{\"config\":7}",
                                      "{\"config\":{\"Env\":{}}}",
                                      "{\"history\":{}}",
                                      "{\"os\":1,\"architecture\":\"x\"}",
                                      "{\"config\":{\"Cmd\":[[],7,\"\"],\"Labels\":[]}}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct image_config a;
        assert_int_equal(image_config_parse(&c, str_of(bad[i]), &a), E_BAD_REQUEST);
    }
    for (size_t i = 0; i < COUNT(odd); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct image_config a;
        assert_int_equal(image_config_parse(&c, str_of(odd[i]), &a), E_OK);
        check_str(a.platform, "");
        size_t at = 0;
        assert_null(image_step_next(&a, &at));
    }
}

static void as_many_as_one_likes(void **unused)
{
    (void)unused;
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(buf_release) struct buf b = {0};
    struct image_config a;
    buf_str(&b, S("{\"config\":{\"Env\":[\"x=1\""));
    for (int i = 0; i < 60000; i++)
        buf_fmt(&b, ",\"n%d=v\"", i);
    buf_str(&b, S("]}}"));
    assert_int_equal(image_config_parse(&c, buf_view(&b), &a), E_OK);
    assert_int_equal(a.property_count, IMAGE_PROPERTIES_MAX);
}

/* Harbor's extra_attrs: five members of an image, the whole object of anything else. */
static void attributes(void **unused)
{
    (void)unused;
    static const struct {
        const char *why, *config, *want; /* want NULL: refused */
        bool image;
    } rows[] = {
        {"all of it",
         "{\"os\":\"linux\",\"architecture\":\"arm64\",\"author\":\"A\","
         "\"created\":\"2026-01-02T03:04:05Z\",\"config\":{\"User\":\"1\"},\"x\":1}",
         "{\"architecture\":\"arm64\",\"author\":\"A\",\"config\":{\"User\":\"1\"},"
         "\"created\":\"2026-01-02T03:04:05Z\",\"os\":\"linux\"}",
         true},
        {"nothing of it", "{}",
         "{\"architecture\":\"\",\"author\":\"\",\"config\":{},\"created\":null,\"os\":\"\"}",
         true},
        {"of other types", "{\"os\":1,\"config\":[],\"created\":{}}",
         "{\"architecture\":\"\",\"author\":\"\",\"config\":{},\"created\":null,\"os\":\"\"}",
         true},
        {"null and strange members", "{\"config\":{\"Env\":null,\"Cmd\":[\"a\"],\"Own\":1}}",
         "{\"architecture\":\"\",\"author\":\"\",\"config\":{\"Cmd\":[\"a\"]},\"created\":null,"
         "\"os\":\"\"}",
         true},
        {"no image", "{\"name\":\"chart\"}", "{\"name\":\"chart\"}", false},
        {"no object", "[1]", NULL, false},
        {"no JSON", "x", NULL, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct raw_json got = {0};
        enum err e = image_attrs(&c, str_of(rows[i].config), rows[i].image, &got);
        bool right =
            rows[i].want ? e == E_OK && str_eq(got.text, str_of(rows[i].want)) : e == E_BAD_REQUEST;
        if (!right)
            fail_msg("%s: %.*s", rows[i].why, STR(got.text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(attributes), cmocka_unit_test(it_is_read),
                                       cmocka_unit_test(they_differ), cmocka_unit_test(nonsense),
                                       cmocka_unit_test(as_many_as_one_likes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
