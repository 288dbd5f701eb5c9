/* The client against a server that means no good. */
#include "net/client.h"

#include "net/address.h"
#include "net/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct loopback a, b; /* 127.0.0.1 and 127.0.0.2 */
static struct client *strict, *open_client;

static void flood(int fd)
{
    loopback_put(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 90; i++) {
        loopback_put(fd, "X-Flood: ");
        for (int j = 0; j < 10; j++)
            loopback_put(fd, "0123456789012345678901234567890123456789012345678901234567890123456"
                             "7890123456789012345678901234567890");
        loopback_put(fd, "\r\n");
    }
    loopback_put(fd, "Content-Length: 0\r\n\r\n");
}

static void redirect_to(int fd, const char *location)
{
    char line[512];
    snprintf(line, sizeof line, "Location: %s\r\n", location);
    loopback_answer(fd, "302 Found", line, "moved");
}

static void many_headers(int fd)
{
    loopback_put(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 101; i++)
        loopback_put(fd, "X: y\r\n");
    loopback_put(fd, "Content-Length: 0\r\n\r\n");
}

static void big(int fd)
{
    static char chunk[65537];
    memset(chunk, 'x', sizeof chunk - 1);
    loopback_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5242880\r\n\r\n");
    for (int i = 0; i < 80; i++)
        loopback_put(fd, chunk);
}

static void interim(int fd, int count)
{
    for (int i = 0; i < count; i++)
        loopback_put(fd, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    loopback_answer(fd, "200 OK", "X-Final: yes\r\n", "hello");
}

static const struct {
    const char *path, *status, *headers, *body;
} plain[] = {
    {"/hello", "200 OK", "X-One: 1\r\n", "hello"},
    {"/missing", "404 Not Found", "", "nothing here"},
    {"/metadata", "302 Found", "Location: http://169.254.169.254/latest/meta-data/\r\n", ""},
    {"/mapped", "302 Found", "Location: http://[::ffff:10.0.0.1]/\r\n", ""},
    {"/decimal", "302 Found", "Location: http://2130706433/\r\n", ""},
    {"/file", "302 Found", "Location: file:///etc/passwd\r\n", ""},
    {"/gopher", "302 Found", "Location: gopher://127.0.0.1:70/x\r\n", ""},
    {"/userinfo", "302 Found", "Location: http://u:p@127.0.0.1/\r\n", ""},
    {"/loop", "302 Found", "Location: /loop\r\n", ""},
    {"/rel/x", "307 Temporary Redirect", "Location: ../hello\r\n", ""},
    {"/see", "303 See Other", "Location: hello\r\n", ""},
    {"/gzip", "200 OK", "Content-Encoding: gzip\r\n", "\x1f\x8b bytes as sent"},
    {"/nolocation", "302 Found", "", "where to?"},
};

static bool handle(struct loopback *l, int fd, const char *head)
{
    char path[256] = "", to[128];
    (void)l;
    const char *start = strchr(head, ' ');
    if (start)
        snprintf(path, sizeof path, "%.*s", (int)strcspn(start + 1, " "), start + 1);
    for (size_t i = 0; i < COUNT(plain); i++) {
        if (strcmp(path, plain[i].path) != 0)
            continue;
        bool is_head = strncmp(head, "HEAD", 4) == 0;
        loopback_answer(fd, plain[i].status, plain[i].headers, is_head ? "" : plain[i].body);
        return true;
    }
    snprintf(to, sizeof to, "http://127.0.0.2:%d/hello", b.port);
    if (strcmp(path, "/other-host") == 0)
        redirect_to(fd, to);
    else if (strcmp(path, "/flood") == 0)
        flood(fd);
    else if (strcmp(path, "/many") == 0)
        many_headers(fd);
    else if (strcmp(path, "/big") == 0)
        big(fd);
    else if (strcmp(path, "/interim") == 0)
        interim(fd, 10);
    else if (strcmp(path, "/interims") == 0)
        interim(fd, 11);
    else if (strcmp(path, "/short") == 0)
        loopback_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    else if (strcmp(path, "/garbage") == 0)
        loopback_put(fd, "SSH-2.0-OpenSSH_9\r\n\r\n");
    else if (strcmp(path, "/slow") == 0) {
        usleep(2600000);
        loopback_answer(fd, "200 OK", "", "late");
    } else if (strcmp(path, "/silent") == 0)
        usleep(700000);
    else if (strcmp(path, "/stall") == 0) {
        loopback_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        usleep(1800000);
    }
    return strcmp(path, "/posted") == 0;
}

struct collected {
    int status;
    size_t n;
    enum err answer;
};

static enum err take_head(void *arg, int status, const struct header *h, size_t count)
{
    struct collected *got = arg;
    (void)h, (void)count;
    got->status = status;
    return E_OK;
}

static enum err take_data(void *arg, const void *p, size_t n)
{
    struct collected *got = arg;
    (void)p;
    got->n += n;
    return got->answer;
}

static struct client_target target_of(struct ctx *c, bool declared)
{
    return (struct client_target){
        .endpoint_id = declared ? 1 : 2,
        .epoch = 1,
        .base_url = str_fmt(&c->mem, "http://127.0.0.1:%d", a.port),
        .declared = declared,
    };
}

static enum err get(struct ctx *c, struct client *cl, bool declared, const char *path,
                    struct client_answer *out)
{
    struct client_target target = target_of(c, declared);
    struct header headers[] = {{S("Authorization"), S("Basic c2VjcmV0")},
                               {S("X-Custom"), S("private")},
                               {S("Accept"), S("text/plain")}};
    struct client_call call = {
        .target = &target,
        .method = HTTP_GET,
        .url = str_fmt(&c->mem, "%.*s%s", STR(target.base_url), path),
        .headers = headers,
        .header_count = COUNT(headers),
        .max_body = (size_t)4 << 20,
        .first_byte_ms = 300,
        .stall_s = 1,
    };
    c->msg[0] = '\0';
    return client_do(c, cl, &call, out);
}

static const struct {
    const char *path;
    bool declared;
    enum err err;
    int status;
    const char *body; /* or a part of the reason */
} cases[] = {
    {"/hello", true, E_OK, 200, "hello"},
    {"/hello", false, E_DENIED, 0, "outbound.allow"},
    {"/missing", true, E_OK, 404, "nothing here"},
    {"/rel/x", true, E_OK, 200, "hello"},
    {"/see", true, E_OK, 200, "hello"},
    {"/nolocation", true, E_OK, 302, "where to?"},
    {"/gzip", true, E_OK, 200, "\x1f\x8b bytes as sent"},
    {"/interim", true, E_OK, 200, "hello"},
    {"/metadata", true, E_DENIED, 0, "outbound.allow"},
    {"/mapped", true, E_DENIED, 0, "outbound.allow"},
    {"/other-host", true, E_DENIED, 0, "outbound.allow"},
    {"/decimal", true, E_DENIED, 0, "redirect refused"},
    {"/file", true, E_DENIED, 0, "redirect refused"},
    {"/gopher", true, E_DENIED, 0, "redirect refused"},
    {"/userinfo", true, E_DENIED, 0, "redirect refused"},
    {"/loop", true, E_UPSTREAM, 0, "more than 5 redirects"},
    {"/flood", true, E_UPSTREAM, 0, "64 KiB"},
    {"/many", true, E_UPSTREAM, 0, "100 headers"},
    {"/big", true, E_UPSTREAM, 0, "larger"},
    {"/interims", true, E_UPSTREAM, 0, "interim"},
    {"/short", true, E_UPSTREAM, 0, ""},
    {"/garbage", true, E_UPSTREAM, 0, ""},
    {"/silent", true, E_UPSTREAM_TIMEOUT, 0, "no answer in time"},
    {"/stall", true, E_UPSTREAM_TIMEOUT, 0, "stalled"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ctx c = {0};
        struct client_answer answer = {0};
        enum err e = get(&c, strict, cases[i].declared, cases[i].path, &answer);
        struct str want = str_of(cases[i].body);
        bool ok = e == cases[i].err && answer.status == cases[i].status;
        ok = ok && (e == E_OK ? str_eq(answer.body, want) : str_contains(str_of(c.msg), want));
        if (!ok)
            fail_msg("%s: %s, %d, \"%.*s\" (%s)", cases[i].path, err_name(e), answer.status,
                     STR(answer.body), c.msg);
        ctx_release(&c);
    }
    assert_int_equal(loopback_count(&b, "GET"), 0);
}

/* Credentials and custom headers end at the host; Accept goes on. */
static void test_redirect_drops_credentials(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct client_answer answer;
    assert_int_equal(get(&c, open_client, true, "/other-host", &answer), E_OK);
    assert_int_equal(answer.status, 200);
    assert_true(str_contains(answer.final_url, S("127.0.0.2")));
    assert_int_equal(loopback_count(&b, "GET /hello"), 1);
    assert_int_equal(loopback_count(&b, "Authorization"), 0);
    assert_int_equal(loopback_count(&b, "X-Custom"), 0);
    assert_int_equal(loopback_count(&b, "Accept: text/plain"), 1);
    assert_int_equal(loopback_count(&b, "Accept-Encoding: identity"), 1);
    assert_true(loopback_count(&a, "Authorization: Basic c2VjcmV0") > 0);
    assert_int_equal(loopback_count(&a, "Cookie"), 0);
    ctx_release(&c);
}

static void test_stream(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct client_target target = target_of(&c, true);
    struct collected got = {0};
    struct client_sink sink = {take_head, take_data, &got};
    struct client_call call = {.target = &target,
                               .method = HTTP_GET,
                               .url = str_fmt(&c.mem, "%.*s/big", STR(target.base_url)),
                               .sink = &sink};
    struct client_answer answer;
    assert_int_equal(client_do(&c, strict, &call, &answer), E_OK);
    assert_int_equal(got.status, 200);
    assert_int_equal(got.n, 5242880);
    assert_int_equal(answer.body.n, 0);
    got = (struct collected){.answer = E_NO_SPACE};
    assert_int_equal(client_do(&c, strict, &call, &answer), E_NO_SPACE);
    got = (struct collected){0};
    call.url = str_fmt(&c.mem, "%.*s/missing", STR(target.base_url));
    assert_int_equal(client_do(&c, strict, &call, &answer), E_OK);
    assert_int_equal(answer.status, 404);
    assert_int_equal(got.status, 0);
    assert_true(str_eq(answer.body, S("nothing here")));
    ctx_release(&c);
}

/* Kept connections, and none of them across epochs. */
static void test_pool(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct client_answer answer;
    assert_int_equal(get(&c, strict, true, "/hello", &answer), E_OK);
    size_t before = a.connections;
    for (int i = 0; i < 5; i++)
        assert_int_equal(get(&c, strict, true, "/hello", &answer), E_OK);
    assert_int_equal(a.connections, before);
    struct client_target target = target_of(&c, true);
    target.epoch = 2;
    struct client_call call = {.target = &target,
                               .method = HTTP_HEAD,
                               .url = str_fmt(&c.mem, "%.*s/hello", STR(target.base_url))};
    assert_int_equal(client_do(&c, strict, &call, &answer), E_OK);
    assert_int_equal(answer.status, 200);
    assert_int_equal(a.connections, before + 1);
    ctx_release(&c);
}

static void *hammer(void *arg)
{
    size_t *failed = arg;
    for (int i = 0; i < 20; i++) {
        struct ctx c = {0};
        struct client_answer answer;
        *failed += get(&c, open_client, true, i % 2 ? "/other-host" : "/hello", &answer) != E_OK;
        ctx_release(&c);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    size_t failed[8] = {0};
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, hammer, &failed[i]);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failed[i], 0);
    }
}

static void *ask_slowly(void *arg)
{
    struct ctx c = {0};
    struct client_target target = target_of(&c, true);
    struct client_answer answer;
    target.endpoint_id = 3;
    struct client_call call = {.target = &target,
                               .method = HTTP_GET,
                               .url = str_fmt(&c.mem, "%.*s/slow", STR(target.base_url))};
    enum err *out = arg;
    *out = client_do(&c, strict, &call, &answer);
    if (*out == E_TOO_MANY && c.retry_after == 0)
        *out = E_INTERNAL;
    ctx_release(&c);
    return NULL;
}

/* A slow endpoint holds its own callers alone: who finds no slot in 2 s is told to come back. */
static void test_bulkhead(void **state)
{
    (void)state;
    pthread_t threads[36];
    enum err errors[36];
    size_t late = 0;
    struct ctx c = {0};
    struct client_answer answer;
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, ask_slowly, &errors[i]);
    assert_int_equal(get(&c, strict, true, "/hello", &answer), E_OK);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_true(errors[i] == E_OK || errors[i] == E_TOO_MANY);
        late += errors[i] == E_TOO_MANY;
    }
    assert_int_equal(late, 4);
    ctx_release(&c);
}

static const struct {
    const char *url;
    bool declared;
    enum err err;
} checks[] = {
    {"https://registry.example/", false, E_OK},
    {"https://8.8.8.8", false, E_OK},
    {"http://127.0.0.1:1", false, E_DENIED},
    {"http://127.0.0.1:1", true, E_DENIED}, /* declared means its own port alone */
    {"http://[::1]/", false, E_DENIED},
    {"http://10.1.2.3/", false, E_DENIED},
    {"http://[fd00::1]/", false, E_DENIED},
    {"http://0.0.0.0/", false, E_DENIED},
    {"http://0/", false, E_BAD_REQUEST},
    {"http://0x7f000001/", false, E_BAD_REQUEST},
    {"http://localhost./", false, E_BAD_REQUEST},
    {"ftp://registry.example/", false, E_BAD_REQUEST},
    {"https://u:p@registry.example/", false, E_BAD_REQUEST},
    {"https://registry.example/#x", false, E_BAD_REQUEST},
};

static void test_check_url(void **state)
{
    (void)state;
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(checks); i++) {
        struct client_target target = target_of(&c, checks[i].declared);
        enum err e = client_check_url(&c, strict, &target, str_of(checks[i].url));
        if (e != checks[i].err)
            fail_msg("%s: %s", checks[i].url, err_name(e));
    }
    ctx_release(&c);
}

static int set_up(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct str range = S("127.0.0.0/8");
    loopback_start(&a, "127.0.0.1", handle, NULL);
    loopback_start(&b, "127.0.0.2", handle, NULL);
    struct client_options o = {0};
    enum err e = client_new(&c, &o, &strict);
    o.allow = (struct strs){&range, 1};
    if (e == E_OK)
        e = client_new(&c, &o, &open_client);
    ctx_release(&c);
    return e == E_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    client_free(strict);
    client_free(open_client);
    loopback_stop(&a);
    loopback_stop(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),     cmocka_unit_test(test_redirect_drops_credentials),
        cmocka_unit_test(test_stream),    cmocka_unit_test(test_pool),
        cmocka_unit_test(test_check_url), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bulkhead),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
