/*
 * Manifests: one line per body. In the bodies `@` stands for a good descriptor's members and `#`
 * for a sha256 digest, so that a row shows only what it is about.
 */
#include "rule/manifest.h"

#include "base/buf.h"
#include "check.h"

#include <malloc.h>
#include <time.h>

#define DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"

static struct str expand(struct ctx *c, const char *text)
{
    CLEANUP(buf_release) struct buf b = {0};
    for (; *text; text++)
        if (*text == '@')
            buf_str(&b, S("\"mediaType\":\"application/x\",\"digest\":\"" DIGEST "\",\"size\":2"));
        else if (*text == '#')
            buf_str(&b, S(DIGEST));
        else
            buf_char(&b, *text);
    return str_dup(&c->mem, buf_view(&b));
}

#define IMAGE "{\"schemaVersion\":2,\"config\":{@},\"layers\":[{@}]"
#define INDEX "{\"schemaVersion\":2,\"manifests\":[{@}]"

static const struct {
    const char *body, *content_type;
    const char *want; /* media type served; NULL: E_MANIFEST_INVALID with `why` in the reason */
    const char *why;
} rows[] = {
    {IMAGE "}", "", MEDIA_OCI_MANIFEST, ""},
    {IMAGE "}", MEDIA_OCI_MANIFEST, MEDIA_OCI_MANIFEST, ""},
    {IMAGE "}", MEDIA_DOCKER_MANIFEST "; charset=utf-8", MEDIA_DOCKER_MANIFEST, ""},
    {IMAGE "}", "Application/vnd.OCI.image.manifest.v1+JSON", MEDIA_OCI_MANIFEST, ""},
    {IMAGE ",\"mediaType\":\"" MEDIA_DOCKER_MANIFEST "\"}", "", MEDIA_DOCKER_MANIFEST, ""},
    {IMAGE ",\"mediaType\":null}", "", MEDIA_OCI_MANIFEST, ""},
    {INDEX "}", "", MEDIA_OCI_INDEX, ""},
    {INDEX "}", MEDIA_DOCKER_LIST, MEDIA_DOCKER_LIST, ""},
    {INDEX ",\"subject\":{@},\"annotations\":{\"a\":\"b\"}}", "", MEDIA_OCI_INDEX, ""},
    {"{\"schemaVersion\":2,\"manifests\":[]}", "", MEDIA_OCI_INDEX, ""},
    {"{\"schemaVersion\":2,\"config\":{@},\"layers\":[]}", "", MEDIA_OCI_MANIFEST, ""},
    {"{\"schemaVersion\":2,\"config\":{@},\"layers\":null}", "", MEDIA_OCI_MANIFEST, ""},
    {IMAGE ",\"unknown\":{\"a\":[1,2.5,null]}}", "", MEDIA_OCI_MANIFEST, ""},
    {IMAGE ",\"subject\":null}", "", MEDIA_OCI_MANIFEST, ""},

    {"", "", NULL, "JSON"},
    {"[]", "", NULL, "object"},
    {"null", "", NULL, "JSON"},
    {"{}", "", NULL, "schemaVersion"},
    {IMAGE "}x", "", NULL, "JSON"},
    {IMAGE "}\n{}", "", NULL, "JSON"},
    {"\xEF\xBB\xBF" IMAGE "}", "", NULL, "byte order mark"},
    {IMAGE ",\"x\":\"\xFF\"}", "", NULL, "UTF-8"},
    {IMAGE ",\"layers\":[]}", "", NULL, "duplicate"},
    {IMAGE ",\"config\":{@}}", "", NULL, "duplicate"},
    {"{\"schemaVersion\":2,\"config\":{@,\"size\":3},\"layers\":[]}", "", NULL, "duplicate"},
    {IMAGE ",\"manifests\":[{@}]}", "", NULL, "both"},
    {IMAGE ",\"manifests\":null}", "", NULL, "both"},
    {IMAGE ",\"manifests\":[]}", MEDIA_OCI_MANIFEST, NULL, "both"},
    {INDEX ",\"layers\":[]}", MEDIA_OCI_INDEX, NULL, "both"},
    {INDEX ",\"config\":{@}}", "", NULL, "both"},
    {IMAGE ",\"Manifests\":[{@}]}", "", NULL, "another case"},
    {IMAGE ",\"mediatype\":\"x\"}", "", NULL, "another case"},
    {IMAGE "}", MEDIA_OCI_INDEX, NULL, "both"},
    {"{\"schemaVersion\":2}", MEDIA_OCI_INDEX, NULL, "manifests is missing"},
    {INDEX "}", MEDIA_OCI_MANIFEST, NULL, "both"},
    {IMAGE ",\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"}", MEDIA_DOCKER_MANIFEST, NULL,
     "is not the Content-Type"},
    {IMAGE ",\"mediaType\":\"" MEDIA_OCI_INDEX "\"}", "", NULL, "both"},
    {IMAGE ",\"mediaType\":7}", "", NULL, "mediaType must be a string"},
    {IMAGE ",\"mediaType\":\"a b\"}", "", NULL, "not a media type"},
    {IMAGE ",\"mediaType\":\"a\\r\\nX: y\"}", "", NULL, "not a media type"},
    {IMAGE "}", "application/json", NULL, "not supported"},
    {IMAGE "}", "application/vnd.oci.artifact.manifest.v1+json", NULL, "not supported"},
    {IMAGE "}", "application/vnd.docker.distribution.manifest.v1+prettyjws", NULL, "schema 1"},
    {"{\"schemaVersion\":1,\"fsLayers\":[]}", "", NULL, "schema 1"},
    {"{\"schemaVersion\":2,\"fsLayers\":[]}", "", NULL, "schema 1"},
    {"{\"schemaVersion\":\"2\",\"config\":{@}}", "", NULL, "schemaVersion"},
    {"{\"schemaVersion\":2.0,\"config\":{@}}", "", NULL, "schemaVersion"},
    {"{\"schemaVersion\":3,\"config\":{@}}", "", NULL, "schemaVersion"},
    {"{\"schemaVersion\":2,\"layers\":[]}", "", NULL, "config must be a descriptor"},
    {"{\"schemaVersion\":2,\"config\":null}", "", NULL, "config must be a descriptor"},
    {"{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", "", NULL, "no mediaType"},
    {"{\"schemaVersion\":2,\"config\":{@},\"layers\":{}}", "", NULL, "must be a list"},
    {"{\"schemaVersion\":2,\"config\":{@},\"layers\":[1]}", "", NULL, "must be a descriptor"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"\",\"digest\":\"#\",\"size\":1}}", "", NULL,
     "no mediaType"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"#\"}}", "", NULL, "size"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"#\",\"size\":-1}}", "",
     NULL, "size"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"#\",\"size\":1.5}}", "",
     NULL, "size"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"#\",\"size\":"
     "99999999999999999999}}",
     "", NULL, "JSON"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"size\":1}}", "", NULL, "digest"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"#0\",\"size\":1}}", "",
     NULL, "digest"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"md5:0\",\"size\":1}}", "",
     NULL, "digest"},
    {IMAGE ",\"subject\":{\"digest\":\"#\"}}", "", NULL, "subject has no mediaType"},
    {IMAGE ",\"subject\":\"#\"}", "", NULL, "subject must be a descriptor"},
    {IMAGE ",\"annotations\":{\"a\":1}}", "", NULL, "strings only"},
    {IMAGE ",\"annotations\":[]}", "", NULL, "must be an object"},
    {"{\"schemaVersion\":2,\"config\":{@,\"urls\":[1]}}", "", NULL, "urls"},
    {"{\"schemaVersion\":2,\"config\":{@,\"urls\":{}}}", "", NULL, "urls"},
    {"{\"schemaVersion\":2,\"manifests\":[{@,\"platform\":[]}]}", "", NULL, "platform"},
    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
     "\"digest\":\"#\",\"size\":2},\"layers\":[]}",
     "", NULL, "artifactType"},
};

static void bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct manifest m = {0};
        enum err e = manifest_parse(&c, expand(&c, rows[i].body), str_of(rows[i].content_type), &m);
        check(e == (rows[i].want ? E_OK : E_MANIFEST_INVALID), "row %zu: %s: %s %s", i,
              rows[i].body, err_name(e), c.msg);
        if (rows[i].want)
            check_str(m.media_type, rows[i].want);
        else
            check(strstr(c.msg, rows[i].why), "row %zu: '%s' lacks '%s'", i, c.msg, rows[i].why);
    }
}

static const struct {
    const char *config, *artifact_type, *type, *want_artifact_type;
} types[] = {
    {OCI_CONFIG, "", "IMAGE", OCI_CONFIG},
    {OCI_CONFIG, "application/x", "IMAGE", "application/x"},
    {"application/vnd.docker.container.image.v1+json", "", "IMAGE",
     "application/vnd.docker.container.image.v1+json"},
    {"application/vnd.cncf.helm.config.v1+json", "", "CHART",
     "application/vnd.cncf.helm.config.v1+json"},
    {"application/vnd.wasm.config.v1+json", "", "WASM", "application/vnd.wasm.config.v1+json"},
    {"application/vnd.acme.rocket.config.v1+json", "", "ROCKET",
     "application/vnd.acme.rocket.config.v1+json"},
    {"application/vnd.acme.big.rocket.config.v1+json", "", "BIG.ROCKET",
     "application/vnd.acme.big.rocket.config.v1+json"},
    {"application/vnd.acme.config.v1+json", "", "UNKNOWN", "application/vnd.acme.config.v1+json"},
    {"application/vnd.acme..config.v1+json", "", "UNKNOWN", "application/vnd.acme..config.v1+json"},
    {"application/vnd.+json", "", "UNKNOWN", "application/vnd.+json"},
    {"text/plain", "", "UNKNOWN", "text/plain"},
    {"application/vnd.oci.empty.v1+json", "application/vnd.acme.rocket.config.v1+json", "ROCKET",
     "application/vnd.acme.rocket.config.v1+json"},
    {"application/vnd.oci.empty.v1+json", "application/x", "UNKNOWN", "application/x"},
};

static void artifact_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct manifest m = {0};
        struct str body =
            str_fmt(&c.mem,
                    "{\"schemaVersion\":2,\"artifactType\":\"%s\",\"config\":{\"mediaType\":\"%s\","
                    "\"digest\":\"%s\",\"size\":2},\"layers\":[]}",
                    types[i].artifact_type, types[i].config, DIGEST);
        check(manifest_parse(&c, body, NO_STR, &m) == E_OK, "%s: %s", types[i].config, c.msg);
        check_str(m.type, types[i].type);
        check_str(m.artifact_type, types[i].want_artifact_type);
    }
}

static void content(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct manifest m = {0};
    struct str sha512 = str_fmt(&c.mem, "sha512:%.*s", STR(repeated(&c.mem, "ab", 64)));
    struct str body = str_fmt(
        &c.mem,
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG "\",\"digest\":\"%.*s\","
        "\"size\":7},\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff."
        "tar.gzip\",\"digest\":\"" DIGEST "\",\"size\":9,\"urls\":[\"https://a.example/x\"],"
        "\"annotations\":{\"k\":\"v "
        "\\u00e4\"}}],\"subject\":{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
        "\",\"size\":1},\"annotations\":{\"b\":\"c\"}}",
        STR(sha512));
    assert_int_equal(manifest_parse(&c, body, NO_STR, &m), E_OK);
    assert_false(m.index);
    check_str(m.config.digest, sha512.p);
    assert_int_equal(m.config.size, 7);
    assert_int_equal(m.layer_count, 1);
    assert_true(m.layers[0].foreign);
    assert_int_equal(m.layers[0].urls.count, 1);
    check_str(m.layers[0].urls.items[0], "https://a.example/x");
    check_str(m.layers[0].annotations.text, "{\"k\":\"v \xC3\xA4\"}");
    check_str(m.subject_digest, DIGEST);
    check_str(m.annotations.text, "{\"b\":\"c\"}");

    struct str index = S("{\"schemaVersion\":2,\"artifactType\":\"application/x\",\"manifests\":[{"
                         "\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" DIGEST
                         "\",\"size\":3,\"artifactType\":\"a/t\",\"platform\":{\"os\":\"linux\","
                         "\"architecture\":\"arm64\"}}]}");
    assert_int_equal(manifest_parse(&c, index, NO_STR, &m), E_OK);
    assert_true(m.index);
    assert_int_equal(m.child_count, 1);
    assert_int_equal(m.config.digest.n, 0);
    check_str(m.children[0].platform.text, "{\"os\":\"linux\",\"architecture\":\"arm64\"}");
    check_str(m.children[0].artifact_type, "a/t");
    check_str(m.artifact_type, "application/x");
    check_str(m.type, "IMAGE");
}

/* head, then `item` until the body has `size` bytes or `count` items, then tail. */
static struct str grown(struct buf *b, const char *head, const char *item, size_t count,
                        const char *tail)
{
    buf_release(b);
    buf_str(b, str_of(head));
    for (size_t i = 0; i < count && b->n + strlen(item) + strlen(tail) < MANIFEST_MAX; i++) {
        if (i)
            buf_char(b, ',');
        for (const char *at = item; *at; at++)
            if (*at == '#')
                buf_str(b, S(DIGEST));
            else if (*at == '%')
                buf_fmt(b, "%zu", i);
            else
                buf_char(b, *at);
    }
    buf_str(b, str_of(tail));
    return buf_view(b);
}

#define TEN(x) x "," x "," x "," x "," x "," x "," x "," x "," x "," x
#define LIST_OF_100(x) "[" TEN(TEN(x)) "]"
#define HEAD_IMAGE                                                                                 \
    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST "\",\"size\":1}" \
    ","
#define ITEM "{\"mediaType\":\"a/b\",\"digest\":\"#\",\"size\":1}"

static const struct {
    const char *why, *head, *item;
    size_t count;
    const char *tail;
    enum err want;
} bombs[] = {
    {"10,000 layers", HEAD_IMAGE "\"layers\":[", ITEM, 10000, "]}", E_OK},
    {"10,001 layers", HEAD_IMAGE "\"layers\":[", ITEM, 10001, "]}", E_MANIFEST_INVALID},
    {"a million layers", HEAD_IMAGE "\"layers\":[", "{}", 1000000, "]}", E_MANIFEST_INVALID},
    {"1,000 children", "{\"schemaVersion\":2,\"manifests\":[", ITEM, 1000, "]}", E_OK},
    {"1,001 children", "{\"schemaVersion\":2,\"manifests\":[", ITEM, 1001, "]}",
     E_MANIFEST_INVALID},
    {"10,000 children", "{\"schemaVersion\":2,\"manifests\":[", ITEM, 10000, "]}",
     E_MANIFEST_INVALID},
    {"a million annotations", HEAD_IMAGE "\"annotations\":{", "\"%\":\"\"", 1000000, "}}",
     E_MANIFEST_INVALID},
    {"10,000 annotations", HEAD_IMAGE "\"annotations\":{", "\"%\":\"\"", 10000, "}}", E_OK},
    {"60,000 long annotations", HEAD_IMAGE "\"annotations\":{",
     "\"%\":\"01234567890123456789012345678901234567890123456789012\"", 60000, "}}",
     E_MANIFEST_INVALID},
    {"100,000 deep", "", "[", 100000, "", E_MANIFEST_INVALID},
    {"32,700 objects in a list", HEAD_IMAGE "\"x\":[", "{}", 32700, "]}", E_MANIFEST_INVALID},
    {"objects, as many as pass", HEAD_IMAGE "\"x\":[", LIST_OF_100("{}"), 320, "]}", E_OK},
    {"one-member objects", HEAD_IMAGE "\"x\":[", LIST_OF_100("{\"\":0}"), 320, "]}", E_OK},
    {"strings, as many as pass", HEAD_IMAGE "\"x\":[",
     LIST_OF_100("\"0123456789012345678901234567890123456789012345678901234\""), 640, "]}", E_OK},
    {"one annotation of 3.9 MB", HEAD_IMAGE "\"annotations\":{\"a\":\"", "xxxxxxxxxxxx,", 300000,
     "\"}}", E_OK},
    {"numbers, as many as pass", HEAD_IMAGE "\"x\":[", LIST_OF_100("0"), 640, "]}", E_OK},
};

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Peak of what jansson and the arena take: the house gives jansson its memory (with 16 bytes in
   front), so the count stands between the two. */
static json_malloc_t house_malloc;
static json_free_t house_free;
static size_t taken, peak;

static size_t size_of(void *p)
{
    return p ? malloc_usable_size((char *)p - 16) + 16 : 0;
}

static void *counted(size_t n)
{
    void *p = house_malloc(n);
    taken += size_of(p);
    peak = taken > peak ? taken : peak;
    return p;
}

static void uncounted(void *p)
{
    taken -= size_of(p);
    house_free(p);
}

static void measured(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf b = {0};
    json_get_alloc_funcs(&house_malloc, &house_free);
    assert_true(house_malloc != malloc); /* an earlier test has parsed */
    json_set_alloc_funcs(counted, uncounted);
    for (size_t i = 0; i < COUNT(bombs); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct manifest m = {0};
        struct str body = grown(&b, bombs[i].head, bombs[i].item, bombs[i].count, bombs[i].tail);
        taken = peak = 0;
        int64_t start = cpu_us();
        enum err e = manifest_parse(&c, body, NO_STR, &m);
        int64_t took = cpu_us() - start;
        size_t memory = peak + c.mem.used;
        print_message("%-28s %8zu bytes: %6lld us, %5zu KiB, %s\n", bombs[i].why, body.n,
                      (long long)took, memory / 1024, err_name(e));
        check(e == bombs[i].want, "%s: %s %s", bombs[i].why, err_name(e), c.msg);
        check(memory < (size_t)16 << 20, "%s: %zu bytes", bombs[i].why, memory);
        /* 50 ms is the limit for a release build; sanitizers and debug builds are slower */
        check(took < 500000, "%s: %lld us", bombs[i].why, (long long)took);
        assert_int_equal(taken, 0);
    }
    json_set_alloc_funcs(house_malloc, house_free);
    CLEANUP(ctx_release) struct ctx c = {0};
    struct manifest m = {0};
    struct str big = repeated(&c.mem, " ", MANIFEST_MAX + 1);
    assert_int_equal(manifest_parse(&c, big, NO_STR, &m), E_TOO_LARGE);
    big.n--;
    assert_int_equal(manifest_parse(&c, big, NO_STR, &m), E_MANIFEST_INVALID);
}

static void media_types(void **state)
{
    (void)state;
    assert_true(media_is_index(S(MEDIA_OCI_INDEX)));
    assert_true(media_is_index(S(MEDIA_DOCKER_LIST)));
    assert_false(media_is_index(S(MEDIA_OCI_MANIFEST)));
    assert_true(media_is_manifest(S(MEDIA_DOCKER_MANIFEST)));
    assert_false(media_is_manifest(S("application/json")));
    assert_false(media_is_manifest(NO_STR));
}

/* What is large: refused before it is parsed, or legal up to the last byte. */
static void large(void **state)
{
    static const struct {
        const char *head, *piece, *tail;
        int count;
        const char *why; /* NULL: legal */
    } bodies[] = {
        {"{\"schemaVersion\":2,\"x\":\"", "0123456789", "\"}", 30000, "neither config nor"},
        {"{\"schemaVersion\":2,", "          ", "\"x\":1}", 30000, "neither config nor"},
        {"{\"schemaVersion\":1,\"fsLayers\":[],\"x\":\"", "0123456789", "\"}", 30000, "schema 1"},
        {IMAGE ",\"x\":[1", ",1", "]}", 10000, "more than 10000 entries"},
        {IMAGE ",\"x\":[1", ",1", "]}", 9999, NULL},
        {IMAGE ",\"x\":{\"a\":1", ",\"b\":2", "}}", 10000, "more than 10000 entries"},
        {IMAGE ",\"annotations\":{\"a\":\"", "0123456789", "\"}}", 400000, NULL},
        {INDEX ",\"annotations\":{\"a\":\"", "\\u00e4", "\"}}", 600000, NULL},
        {"{\"schemaVersion\":2,\"manifests\":[{@}", ",{@}", "]}", 999, NULL},
        {"{\"schemaVersion\":2,\"manifests\":[{@}", ",{@}", "]}", 1000, "more than 1000"},
        {"{\"schemaVersion\":2,\"config\":{@},\"layers\":[{@}", ",{@}", "]}", 9999, NULL},
        {"{\"schemaVersion\":2,\"config\":{@},\"layers\":[{@}", ",{@}", "]}", 10000,
         "more than 10000"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        CLEANUP(buf_release) struct buf b = {0};
        struct manifest m;
        struct str piece = expand(&c, bodies[i].piece);
        buf_str(&b, expand(&c, bodies[i].head));
        for (int k = 0; k < bodies[i].count; k++)
            buf_str(&b, piece);
        buf_str(&b, expand(&c, bodies[i].tail));
        enum err e = manifest_parse(&c, buf_view(&b), NO_STR, &m);
        check(e == (bodies[i].why ? E_MANIFEST_INVALID : E_OK), "row %zu: %s: %s", i, err_name(e),
              c.msg);
        check(!bodies[i].why || strstr(c.msg, bodies[i].why), "row %zu: %s", i, c.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),   cmocka_unit_test(artifact_types), cmocka_unit_test(content),
        cmocka_unit_test(measured), cmocka_unit_test(media_types),    cmocka_unit_test(large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
