/* The OCI client against a scripted registry on 127.0.0.1, its token service and a CDN. */
#include "peer/oci.h"

#include "net/loopback.h"
#include "rule/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MANIFEST "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"}"
#define BLOB "0123456789abcdef"
#define WRONG "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static struct loopback registry, elsewhere; /* 127.0.0.1, and 127.0.0.3: realm or CDN */
static struct services services;
static struct digest manifest_digest, blob_digest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int tokens_given, valid_token; /* only "token<valid_token>" is accepted */
static char realm[256];

static void number(int *where, int add, int *out)
{
    pthread_mutex_lock(&lock);
    *where += add;
    *out = *where;
    pthread_mutex_unlock(&lock);
}

static bool on_elsewhere(struct loopback *l, int fd, const char *head)
{
    char body[256];
    int n;
    (void)l;
    if (strstr(head, " /token")) {
        number(&tokens_given, 1, &n);
        snprintf(body, sizeof body, "{\"token\":\"token%d\",\"expires_in\":300}", n);
        pthread_mutex_lock(&lock);
        valid_token = n;
        pthread_mutex_unlock(&lock);
        loopback_answer(fd, "200 OK", "", body);
    } else if (strstr(head, " /expired")) {
        loopback_answer(fd, "403 Forbidden", "", "signature expired");
    } else {
        loopback_answer(fd, "200 OK", "", strncmp(head, "HEAD", 4) == 0 ? "" : BLOB);
    }
    return true;
}

static bool authorised(const char *head)
{
    char want[64];
    int n;
    number(&valid_token, 0, &n);
    snprintf(want, sizeof want, "Authorization: Bearer token%d\r\n", n);
    return strstr(head, want) != NULL;
}

static void serve_manifest(int fd, const char *head, const char *digest, const char *more)
{
    char lines[512];
    bool is_head = strncmp(head, "HEAD", 4) == 0;
    snprintf(lines, sizeof lines, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s%s%s%s\r\n",
             strlen(MANIFEST), digest ? "Docker-Content-Digest: " : "", digest ? digest : "",
             digest ? "\r\n" : "", more);
    loopback_put(fd, lines);
    loopback_put(fd, is_head ? "" : MANIFEST);
}

static void serve_repo(int fd, const char *head, const char *repo)
{
    char text[512];
    if (strcmp(repo, "bearer") == 0 && !authorised(head)) {
        snprintf(text, sizeof text,
                 "WWW-Authenticate: Bearer realm=\"%s\",service=\"s\","
                 "scope=\"repository:bearer:pull\"\r\n",
                 realm);
        loopback_answer(fd, "401 Unauthorized", text, "");
    } else if (strcmp(repo, "turned") == 0 && strstr(head, "Basic")) {
        snprintf(text, sizeof text, "WWW-Authenticate: Bearer realm=\"%s\"\r\n", realm);
        loopback_answer(fd, "401 Unauthorized", text, "");
    } else if (strcmp(repo, "basic") == 0 && !strstr(head, "Basic dXNlcjpwYXNz")) {
        loopback_answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    } else if (strcmp(repo, "wrong") == 0) {
        serve_manifest(fd, head, WRONG, "");
    } else if (strcmp(repo, "silent") == 0) {
        serve_manifest(fd, head, NULL, "");
    } else if (strcmp(repo, "nohead") == 0 && strncmp(head, "HEAD", 4) == 0) {
        loopback_answer(fd, "405 Method Not Allowed", "", "");
    } else if (strcmp(repo, "limited") == 0) {
        loopback_answer(fd, "429 Too Many Requests",
                        "ratelimit-limit: 100;w=21600\r\nratelimit-remaining: 0;w=21600\r\n"
                        "docker-ratelimit-source: 203.0.113.7\r\nRetry-After: 30\r\n",
                        "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many\"}]}");
    } else if (strcmp(repo, "abuse") == 0) {
        loopback_answer(fd, "429 Too Many Requests", "", "Too Many Requests");
    } else if (strcmp(repo, "gone") == 0) {
        loopback_answer(fd, "404 Not Found", "", "");
    } else if (strcmp(repo, "broken") == 0) {
        loopback_answer(fd, "503 Service Unavailable", "", "<html>oops</html>");
    } else if (strcmp(repo, "noauth") == 0) {
        loopback_answer(fd, "401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", "");
    } else {
        serve_manifest(fd, head, manifest_digest.text,
                       "Content-Type: " MEDIA_OCI_MANIFEST "; charset=utf-8\r\n"
                       "ratelimit-limit: 100;w=21600\r\nratelimit-remaining: 76;w=21600\r\n");
    }
}

static void serve_blob(int fd, const char *head, const char *repo)
{
    char text[512];
    bool ranged = strstr(head, "Range: bytes=10-") != NULL;
    if (strcmp(repo, "cdn") == 0 || strcmp(repo, "expired") == 0) {
        snprintf(text, sizeof text, "Location: http://127.0.0.3:%d/%s\r\n", elsewhere.port, repo);
        loopback_answer(fd, "307 Temporary Redirect", text, "");
    } else if (strcmp(repo, "norange") == 0 || !ranged) {
        loopback_answer(fd, "200 OK", "", strncmp(head, "HEAD", 4) == 0 ? "" : BLOB);
    } else if (strcmp(repo, "wrongrange") == 0) {
        loopback_answer(fd, "206 Partial Content", "Content-Range: bytes 0-5/16\r\n", "012345");
    } else {
        loopback_answer(fd, "206 Partial Content", "Content-Range: bytes 10-15/16\r\n", &BLOB[10]);
    }
}

static void serve_tags(int fd, const char *head, const char *repo)
{
    if (strcmp(repo, "endless") == 0)
        loopback_answer(fd, "200 OK", "Link: </v2/endless/tags/list?last=a>; rel=\"next\"\r\n",
                        "{\"tags\":[\"a\"]}");
    else if (strcmp(repo, "foreign") == 0)
        loopback_answer(fd, "200 OK", "Link: <http://127.0.0.3/x>; rel=\"next\"\r\n",
                        "{\"tags\":[\"a\"]}");
    else if (strstr(head, "last=b"))
        loopback_answer(fd, "200 OK", "", "{\"tags\":[\"c\"]}");
    else
        loopback_answer(fd, "200 OK", "Link: </p/v2/x/tags/list?n=2&last=b>; rel=\"next\"\r\n",
                        "{\"tags\":[\"a\",\"b\"]}");
}

/* Errors are sent with their bodies to HEAD as well, as some servers do. */
static bool on_registry(struct loopback *l, int fd, const char *head)
{
    char repo[64] = "";
    (void)l;
    const char *start = strstr(head, "/v2/");
    if (start)
        snprintf(repo, sizeof repo, "%.*s", (int)strcspn(start + 4, "/ "), start + 4);
    if (strstr(head, "/manifests/"))
        serve_repo(fd, head, repo);
    else if (strstr(head, "/blobs/"))
        serve_blob(fd, head, repo);
    else if (strstr(head, "/tags/"))
        serve_tags(fd, head, repo);
    else if (strstr(head, "/referrers/"))
        loopback_answer(fd, "200 OK", "", "{\"manifests\":[]}");
    else
        loopback_answer(fd, "200 OK", "", "{}");
    return true;
}

static struct endpoint endpoint_of(struct ctx *c, int64_t id, bool credential)
{
    *c = (struct ctx){.sv = &services};
    return (struct endpoint){
        .id = id,
        .name = S("hub"),
        .type = S("docker-registry"),
        .url = str_fmt(&c->mem, "http://127.0.0.1:%d/p/", registry.port),
        .access_key = credential ? S("user") : NO_STR,
        .access_secret = credential ? S("pass") : NO_STR,
        .epoch = 1,
        .declared = true,
    };
}

static const struct {
    const char *repo;
    bool by_digest;
    enum err head, get;
} manifests[] = {
    {"x", false, E_OK, E_OK},
    {"x", true, E_OK, E_OK},
    {"silent", false, E_OK, E_OK}, /* no digest header: hashed */
    {"silent", true, E_OK, E_OK},
    {"nohead", false, E_OK, E_OK},
    {"basic", false, E_OK, E_OK},
    {"wrong", false, E_OK, E_UPSTREAM},
    {"wrong", true, E_UPSTREAM, E_OK}, /* the body is what was asked for */
    {"limited", false, E_TOO_MANY, E_TOO_MANY},
    {"abuse", false, E_TOO_MANY, E_TOO_MANY},
    {"gone", false, E_MANIFEST_UNKNOWN, E_MANIFEST_UNKNOWN},
    {"broken", false, E_UPSTREAM, E_UPSTREAM},
    {"noauth", false, E_DENIED, E_DENIED},
};

static void test_manifests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(manifests); i++) {
        struct ctx c;
        struct endpoint e = endpoint_of(&c, 1, true);
        struct oci_status st;
        struct oci_manifest m = {0};
        struct str ref = manifests[i].by_digest ? digest_str(&manifest_digest) : S("latest");
        struct str repo = str_of(manifests[i].repo);
        enum err head = oci_head_manifest(&c, &e, repo, ref, 2000, &m, &st);
        if (head != manifests[i].head)
            fail_msg("HEAD %s: %s (%s)", manifests[i].repo, err_name(head), c.msg);
        enum err get = oci_get_manifest(&c, &e, repo, ref, &m, &st);
        if (get != manifests[i].get)
            fail_msg("GET %s: %s (%s)", manifests[i].repo, err_name(get), c.msg);
        if (get == E_OK) {
            assert_true(str_eq(m.digest, digest_str(&manifest_digest)));
            assert_true(str_eq(m.payload, S(MANIFEST)));
            assert_true(str_eq(m.media_type, S(MEDIA_OCI_MANIFEST)));
        }
        ctx_release(&c);
    }
    assert_true(loopback_count(&registry, "GET /p/v2/x/manifests/latest") > 0);
    assert_true(loopback_count(&registry, "User-Agent: cove/") > 0);
}

static void test_status(void **state)
{
    (void)state;
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 1, true);
    struct oci_status st;
    struct oci_manifest m;
    assert_int_equal(oci_head_manifest(&c, &e, S("x"), S("1"), 2000, &m, &st), E_OK);
    assert_int_equal(st.http, 200);
    assert_int_equal(st.limit, 100);
    assert_int_equal(st.remaining, 76);
    assert_int_equal(st.window_s, 21600);
    assert_int_equal(oci_get_manifest(&c, &e, S("limited"), S("1"), &m, &st), E_TOO_MANY);
    assert_true(st.pull_limit);
    assert_int_equal(st.retry_after_s, 30);
    assert_int_equal(c.retry_after, 30);
    assert_true(str_eq(st.source, S("203.0.113.7")));
    assert_true(str_eq(st.reason, S("too many")));
    assert_int_equal(oci_get_manifest(&c, &e, S("abuse"), S("1"), &m, &st), E_TOO_MANY);
    assert_false(st.pull_limit);
    assert_int_equal(st.limit, -1);
    ctx_release(&c);
}

/* S04: the credential does not go to a realm on another host, the pull goes on without it. */
static void test_token_hostile_realm(void **state)
{
    (void)state;
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 2, true);
    struct oci_status st;
    struct oci_manifest m;
    snprintf(realm, sizeof realm, "http://127.0.0.3:%d/token", elsewhere.port);
    assert_int_equal(oci_get_manifest(&c, &e, S("bearer"), S("1"), &m, &st), E_OK);
    assert_int_equal(loopback_count(&elsewhere, "/token?service=s&scope=repository:bearer:pull"),
                     1);
    assert_int_equal(loopback_count(&elsewhere, "Authorization"), 0);
    size_t asked = loopback_count(&registry, "/bearer/");
    assert_int_equal(oci_get_manifest(&c, &e, S("bearer"), S("1"), &m, &st), E_OK);
    assert_int_equal(loopback_count(&registry, "/bearer/"), asked + 1); /* no 401 in between */
    assert_int_equal(loopback_count(&elsewhere, "/token"), 1);
    ctx_release(&c);
}

/* F07: a token that is refused is replaced once, and the client never sees a 401. */
static void test_token_expires(void **state)
{
    (void)state;
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 2, true);
    struct oci_status st;
    struct oci_manifest m;
    size_t before = loopback_count(&elsewhere, "/token");
    pthread_mutex_lock(&lock);
    valid_token = -1;
    pthread_mutex_unlock(&lock);
    assert_int_equal(oci_get_manifest(&c, &e, S("bearer"), S("1"), &m, &st), E_OK);
    assert_int_equal(loopback_count(&elsewhere, "/token"), before + 1);
    ctx_release(&c);
}

/* A registry that was Basic for one repository and wants tokens for the next. */
static void test_basic_then_bearer(void **state)
{
    (void)state;
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 4, true);
    struct oci_status st;
    struct oci_manifest m;
    assert_int_equal(oci_get_manifest(&c, &e, S("basic"), S("1"), &m, &st), E_OK);
    assert_int_equal(oci_get_manifest(&c, &e, S("turned"), S("1"), &m, &st), E_OK);
    assert_int_equal(loopback_count(&elsewhere, "scope=repository:turned:pull"), 1);
    assert_int_equal(loopback_count(&elsewhere, "Authorization"), 0);
    ctx_release(&c);
}

static void test_token_realms(void **state)
{
    (void)state;
    static const struct {
        const char *realm;
        enum err err;
        const char *reason;
    } bad[] = {
        {"http://169.254.169.254/token", E_DENIED, "outbound.allow"},
        {"http://10.0.0.1/token", E_DENIED, "outbound.allow"},
        {"file:///etc/passwd", E_UPSTREAM, "realm"},
        {"http://u:p@127.0.0.1/token", E_UPSTREAM, "realm"},
        {"http://0x7f.1/token", E_UPSTREAM, "realm"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ctx c;
        struct endpoint e = endpoint_of(&c, 0, true);
        struct oci_status st;
        struct oci_manifest m;
        snprintf(realm, sizeof realm, "%s", bad[i].realm);
        enum err err = oci_get_manifest(&c, &e, S("bearer"), S("1"), &m, &st);
        if (err != bad[i].err || !strstr(c.msg, bad[i].reason))
            fail_msg("%s: %s (%s)", bad[i].realm, err_name(err), c.msg);
        ctx_release(&c);
    }
}

static void *pull(void *arg)
{
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 3, false);
    struct oci_status st;
    struct oci_manifest m;
    enum err *out = arg;
    *out = oci_get_manifest(&c, &e, S("bearer"), S("1"), &m, &st);
    ctx_release(&c);
    return NULL;
}

/* Many pulls at once: one token. */
static void test_token_single_flight(void **state)
{
    (void)state;
    pthread_t threads[12];
    enum err errors[12];
    size_t before = loopback_count(&elsewhere, "/token");
    snprintf(realm, sizeof realm, "http://127.0.0.3:%d/token", elsewhere.port);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, pull, &errors[i]);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(errors[i], E_OK);
    }
    assert_int_equal(loopback_count(&elsewhere, "/token"), before + 1);
}

struct got {
    int status;
    char bytes[64];
    size_t n;
    struct str length;
};

static enum err take_head(void *arg, int status, const struct header *headers, size_t count)
{
    struct got *got = arg;
    *got = (struct got){.status = status};
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(headers[i].name, S("content-length")))
            got->length = headers[i].value;
    return E_OK;
}

static enum err take_data(void *arg, const void *p, size_t n)
{
    struct got *got = arg;
    for (size_t i = 0; i < n && got->n + 1 < sizeof got->bytes; i++)
        got->bytes[got->n++] = ((const char *)p)[i];
    return E_OK;
}

static const struct {
    const char *repo;
    int64_t offset;
    enum err err;
    int status;
    const char *bytes, *length;
} blobs[] = {
    {"x", 0, E_OK, 200, BLOB, "16"},           {"x", 10, E_OK, 206, "abcdef", "6"},
    {"norange", 10, E_OK, 206, "abcdef", "6"}, /* F16: skipped */
    {"wrongrange", 10, E_UPSTREAM, 0, "", ""}, {"cdn", 0, E_OK, 200, BLOB, "16"},
    {"expired", 0, E_UPSTREAM, 0, "", ""}, /* F14: asked twice */
};

static void test_blobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blobs); i++) {
        struct ctx c;
        struct endpoint e = endpoint_of(&c, 1, true);
        struct oci_status st;
        struct got got = {0};
        const struct client_sink sink = {take_head, take_data, &got};
        enum err err =
            oci_get_blob(&c, &e, str_of(blobs[i].repo), &blob_digest, blobs[i].offset, &sink, &st);
        bool ok = err == blobs[i].err && got.status == blobs[i].status &&
                  strcmp(got.bytes, blobs[i].bytes) == 0 &&
                  str_eq(got.length, str_of(blobs[i].length));
        if (!ok)
            fail_msg("%s: %s, %d, %s (%s)", blobs[i].repo, err_name(err), got.status, got.bytes,
                     c.msg);
        ctx_release(&c);
    }
    assert_int_equal(loopback_count(&registry, "/v2/expired/blobs"), 2);
    assert_int_equal(loopback_count(&elsewhere, "Authorization"), 0);
}

static void test_lists(void **state)
{
    (void)state;
    struct ctx c;
    struct endpoint e = endpoint_of(&c, 1, true);
    struct oci_status st;
    struct strs tags;
    struct str index;
    int64_t size;
    assert_int_equal(oci_tags(&c, &e, S("x"), &tags, &st), E_OK);
    assert_int_equal(tags.count, 3);
    assert_true(str_eq(tags.items[2], S("c")));
    assert_int_equal(oci_tags(&c, &e, S("endless"), &tags, &st), E_UPSTREAM);
    assert_int_equal(loopback_count(&registry, "/v2/endless/tags"), 100);
    assert_int_equal(oci_tags(&c, &e, S("foreign"), &tags, &st), E_UPSTREAM);
    assert_int_equal(
        oci_referrers(&c, &e, S("x"), digest_str(&blob_digest), S("a/b+json"), &index, &st), E_OK);
    assert_true(str_eq(index, S("{\"manifests\":[]}")));
    assert_int_equal(loopback_count(&registry, "?artifactType=a/b%2Bjson "), 1);
    assert_int_equal(oci_head_blob(&c, &e, S("x"), &blob_digest, &size, &st), E_OK);
    assert_int_equal(oci_ping(&c, &e, &st), E_OK);
    ctx_release(&c);
}

static int set_up(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct str range = S("127.0.0.3/32");
    struct client_options o = {.allow = {&range, 1}};
    loopback_start(&registry, "127.0.0.1", on_registry, NULL);
    loopback_start(&elsewhere, "127.0.0.3", on_elsewhere, NULL);
    bool ok = client_new(&c, &o, &services.client) == E_OK &&
              digest_of(DIGEST_SHA256, S(MANIFEST), &manifest_digest) &&
              digest_of(DIGEST_SHA256, S(BLOB), &blob_digest);
    services.upstreams = upstreams_new();
    ctx_release(&c);
    return ok && services.upstreams ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    client_free(services.client);
    upstreams_free(services.upstreams);
    loopback_stop(&registry);
    loopback_stop(&elsewhere);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_token_hostile_realm),
        cmocka_unit_test(test_token_expires),
        cmocka_unit_test(test_basic_then_bearer),
        cmocka_unit_test(test_token_realms),
        cmocka_unit_test(test_token_single_flight),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
