/* A real server on a free port, spoken to by raw sockets: what clients of every temper see. */
#include "net/server.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_SIZE (16 << 20)

static struct server *server;
static pthread_t runner;
static char *file_bytes;
static char file_path[] = "/tmp/cove-server-test-XXXXXX";
static char tls_dir[] = "/tmp/cove-server-tls-XXXXXX";
static atomic_int done_calls, done_whole, released;
static _Atomic int64_t done_bytes;
static atomic_int hold; /* requests to /hold wait while it is set */
static atomic_int holding;

static char pattern(int64_t at)
{
    return (char)('a' + at % 23 + at / 4096 % 3);
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void on_done(void *arg, int64_t bytes, bool whole)
{
    (void)arg;
    atomic_fetch_add(&done_bytes, bytes);
    atomic_fetch_add(&done_whole, whole);
    atomic_fetch_add(&done_calls, 1);
}

/* ---- a source that grows by 10,000 bytes a step: every other time it has nothing yet, and calls
   from a thread of its own ---- */

struct growing {
    struct source s;
    int64_t total, fail_at, asked;
    pthread_t caller;
    bool calling;
    int pause_ms;
};

static void *grow_call(void *arg)
{
    struct growing *g = arg;
    sleep_ms(g->pause_ms);
    g->s.wake(g->s.wake_arg);
    return NULL;
}

static void grow_settle(struct growing *g)
{
    if (g->calling)
        pthread_join(g->caller, NULL);
    g->calling = false;
}

static enum err grow_until(struct source *s, int64_t offset, int64_t *until_out)
{
    struct growing *g = (struct growing *)s;
    grow_settle(g);
    if (g->asked++ % 2 == 0) {
        g->pause_ms = (int)(g->asked / 2 % 3); /* 0: before the connection is left to us */
        g->calling = true;
        *until_out = SOURCE_LATER;
        return pthread_create(&g->caller, NULL, grow_call, g) == 0 ? E_OK : E_INTERNAL;
    }
    if (g->fail_at >= 0 && offset >= g->fail_at)
        return E_UPSTREAM;
    *until_out = i64_min(offset + 10000, g->total);
    return E_OK;
}

static enum err grow_read(struct source *s, int64_t offset, void *p, size_t cap, size_t *n_out)
{
    (void)s;
    char *at = p;
    for (size_t i = 0; i < cap; i++)
        at[i] = pattern(offset + (int64_t)i);
    *n_out = cap;
    return E_OK;
}

static void grow_release(struct source *s)
{
    grow_settle((struct growing *)s);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    atomic_fetch_add(&released, 1);
}

static struct source *growing_new(int fd, int64_t total, int64_t fail_at)
{
    struct growing *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->s =
        (struct source){.fd = fd, .until = grow_until, .read = grow_read, .release = grow_release};
    g->total = total;
    g->fail_at = fail_at;
    return &g->s;
}

/* ---- the handler ---- */

static void reply_source(struct reply *p, struct str path)
{
    bool failing = str_ends(path, S("-fail")), from_file = str_starts(path, S("/grow-fd"));
    int fd = from_file ? open(file_path, O_RDONLY | O_CLOEXEC) : -1;
    p->body.kind = BODY_SOURCE;
    p->body.source = growing_new(fd, 50000, failing ? 30000 : -1);
    p->body.end = str_starts(path, S("/stream")) ? -1 : 50000;
}

static void reply_text(struct reply *p, struct str text)
{
    p->body.kind = BODY_BYTES;
    p->body.bytes = text;
}

static void handle(struct http_request *r, void *arg)
{
    (void)arg;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct reply p = {.status = 200, .done = on_done};
    if (str_eq(r->path, S("/small"))) {
        reply_text(&p, S("hello"));
    } else if (str_eq(r->path, S("/echo"))) {
        struct str body;
        enum err e = http_body_all(&c, r, 1 << 20, &body);
        p.status = err_status(e);
        reply_text(&p, e == E_OK ? body : str_of(c.msg));
    } else if (str_eq(r->path, S("/deny"))) {
        p.status = 401;
        reply_text(&p, S("no"));
    } else if (str_eq(r->path, S("/file"))) {
        p.body.kind = BODY_FILE;
        p.body.fd = open(file_path, O_RDONLY | O_CLOEXEC);
        p.body.end = FILE_SIZE;
    } else if (str_eq(r->path, S("/long"))) {
        reply_text(&p, (struct str){file_bytes, FILE_SIZE});
    } else if (str_eq(r->path, S("/part"))) {
        p.status = 206;
        p.body = (struct body){.kind = BODY_FILE, .offset = 100, .end = 200};
        p.body.fd = open(file_path, O_RDONLY | O_CLOEXEC);
    } else if (str_starts(r->path, S("/grow")) || str_starts(r->path, S("/stream"))) {
        reply_source(&p, r->path);
    } else if (str_eq(r->path, S("/hold"))) {
        atomic_fetch_add(&holding, 1);
        while (atomic_load(&hold))
            sleep_ms(5);
        reply_text(&p, S("held"));
    } else if (str_eq(r->path, S("/who"))) {
        reply_text(&p, str_fmt(&c.mem, "%.*s %s", STR(r->client), r->https ? "https" : "http"));
    } else {
        reply_text(&p, r->path);
    }
    reply_send(&c, r, &p);
}

/* ---- the client's side ---- */

static int dial(size_t listener)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server_port(server, listener)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_return_code(connect(fd, (struct sockaddr *)&sa, sizeof sa), errno);
    struct timeval t = {15, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_true(fd_write_all(fd, text, strlen(text)));
}

/* Reads until the other side ends (*reset_out tells how) or want bytes are there. */
static struct str hear(struct arena *a, int fd, size_t want, bool *reset_out)
{
    static char text[FILE_SIZE + 65536];
    size_t n = 0;
    if (reset_out)
        *reset_out = false;
    while (n < want && n < sizeof text) {
        ssize_t k = recv(fd, text + n, size_min(want - n, sizeof text - n), 0);
        if (k < 0 && reset_out)
            *reset_out = errno == ECONNRESET;
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    return str_dup(a, (struct str){text, n});
}

/* One head, and as much of the body as Content-Length says. Head in *head_out. */
static struct str hear_reply(struct arena *a, int fd, struct str *head_out)
{
    char head[8192];
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof head);
        ssize_t k = recv(fd, head + n, 1, 0);
        assert_true(k == 1);
        n++;
    }
    *head_out = str_dup(a, (struct str){head, n});
    const char *at = memmem(head, n, "Content-Length: ", 16);
    if (!at)
        return NO_STR;
    size_t length = 0;
    for (at += 16; *at >= '0' && *at <= '9'; at++)
        length = length * 10 + (size_t)(*at - '0');
    return hear(a, fd, length, NULL);
}

static void assert_starts(struct str s, const char *prefix)
{
    if (!str_starts(s, str_of(prefix)))
        fail_msg("wanted \"%s\", got \"%.*s\"", prefix, STR(str_sub(s, 0, 200)));
}

static void assert_text(struct str s, const char *text)
{
    if (!str_eq(s, str_of(text)))
        fail_msg("wanted \"%s\", got \"%.*s\"", text, STR(str_sub(s, 0, 200)));
}

static void assert_pattern(struct str s, int64_t offset)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != pattern(offset + (int64_t)i))
            fail_msg("byte %zu is wrong", i);
}

static void wait_for_done(int calls)
{
    for (int i = 0; i < 500 && atomic_load(&done_calls) < calls; i++)
        sleep_ms(10);
    assert_int_equal(atomic_load(&done_calls), calls);
}

/* Sends one request on a connection of its own and gives all that came back. */
static struct str ask(struct arena *a, const char *request, bool *reset_out)
{
    CLEANUP(fd_done) int fd = dial(0);
    say(fd, request);
    return hear(a, fd, SIZE_MAX, reset_out);
}

/* ---- set-up ---- */

static void *run(void *arg)
{
    server_run(arg, NULL, NULL);
    return NULL;
}

static void make_certificate(const char *name)
{
    char script[1024];
    snprintf(script, sizeof script,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
             "-subj /CN=%s -keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
             name, tls_dir, tls_dir);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void start_server(int64_t threads, int64_t connections)
{
    static char cert[128], key[128];
    static struct str believed = {"127.0.0.1", 9};
    CLEANUP(ctx_release) struct ctx c = {0};
    snprintf(cert, sizeof cert, "%s/cert.pem", tls_dir);
    snprintf(key, sizeof key, "%s/key.pem", tls_dir);
    struct server_listener listeners[] = {{S("127.0.0.1:0"), false, 1},
                                          {S("127.0.0.1:0"), true, 2}};
    struct server_options o = {.listeners = listeners,
                               .listener_count = 2,
                               .tls_cert = str_of(cert),
                               .tls_key = str_of(key),
                               .forwarded_from = {&believed, 1},
                               .max_threads = threads,
                               .max_connections = connections,
                               .handle = handle};
    if (server_new(&c, &o, &server) != E_OK)
        fail_msg("%s", c.msg);
    assert_int_equal(pthread_create(&runner, NULL, run, server), 0);
    atomic_store(&done_calls, 0);
    atomic_store(&done_whole, 0);
    atomic_store(&done_bytes, 0);
    atomic_store(&released, 0);
    atomic_store(&holding, 0);
}

static int setup(void **state)
{
    (void)state;
    start_server(64, 1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&hold, 0);
    server_drain(server);
    pthread_join(runner, NULL);
    assert_int_equal(metric_get(M_http_connections), 0);
    assert_int_equal(metric_get(M_http_in_flight), 0);
    server_free(server);
    return 0;
}

/* ---- tests ---- */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define CLOSE_GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void test_keep_alive(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    for (int i = 0; i < 3; i++) {
        struct str head;
        say(fd, GET("/small"));
        assert_text(hear_reply(&a, fd, &head), "hello");
        assert_starts(head, "HTTP/1.1 200 OK\r\nDate: ");
        assert_false(str_contains(head, S("Connection: close")));
    }
    say(fd, CLOSE_GET("/small"));
    struct str all = hear(&a, fd, SIZE_MAX, NULL);
    assert_true(str_contains(all, S("Connection: close\r\n")));
    assert_true(str_ends(all, S("\r\n\r\nhello")));
    wait_for_done(4);
    assert_int_equal(atomic_load(&done_bytes), 20);
}

static void test_pipelining(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, GET("/1") GET("/2") "\r\nPUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
                                "\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/file") GET("/3"));
    assert_text(hear_reply(&a, fd, &head), "/1");
    assert_text(hear_reply(&a, fd, &head), "/2");
    assert_text(hear_reply(&a, fd, &head), "abc");
    assert_pattern(hear_reply(&a, fd, &head), 0);
    assert_text(hear_reply(&a, fd, &head), "/3");
}

static void test_continue(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    hear_reply(&a, fd, &head);
    assert_text(head, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    assert_text(hear_reply(&a, fd, &head), "hello");
    say(fd, "PUT /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    struct str all = hear(&a, fd, SIZE_MAX, NULL);
    assert_starts(all, "HTTP/1.1 401 Unauthorized\r\n");
    assert_true(str_contains(all, S("Connection: close\r\n")));
}

static void test_unread_body(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, "PUT /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/small"));
    assert_text(hear_reply(&a, fd, &head), "no");
    assert_text(hear_reply(&a, fd, &head), "hello");
    say(fd, "PUT /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nhello");
    struct str all = hear(&a, fd, SIZE_MAX, NULL);
    assert_starts(all, "HTTP/1.1 401 Unauthorized\r\n");
    assert_true(str_contains(all, S("Connection: close\r\n")));
}

static void test_chunked(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char *p = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n"; *p;
         p++) {
        assert_int_equal(write(fd, p, 1), 1);
        if (*p == '\n')
            sleep_ms(5);
    }
    assert_text(hear_reply(&a, fd, &head), "hello world");
    /* read together with the next request's head, past the end of the body */
    say(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    sleep_ms(50);
    say(fd, "2\r\nhi\r\n0\r\n\r\n" GET("/next"));
    assert_text(hear_reply(&a, fd, &head), "hi");
    assert_text(hear_reply(&a, fd, &head), "/next");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n",
         "400"},
        {"GET /small HTTP/1.1\r\n\r\n", "400"},
        {"GET /small HTTP/1.1\nHost: a\n\n", "400"},
        {"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET /small HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
        {"GET /small HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "417"},
        {"\x16\x03\x01\x02 junk of a TLS client\n", "400"},
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab", "400"},
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "400"},
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", "413"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_release) struct arena a = {0};
        struct str all = ask(&a, cases[i].request, NULL);
        if (!str_starts(all, str_fmt(&a, "HTTP/1.1 %s ", cases[i].status)))
            fail_msg("case %zu: %.*s", i, STR(all));
        assert_true(str_contains(all, S("Connection: close\r\n")));
        assert_false(str_contains(all, S("HTTP/1.1 200")));
    }
}

static void test_head_deadline(void **state)
{
    (void)state;
    CLEANUP(fd_done) int silent = dial(0);
    CLEANUP(fd_done) int tls = dial(1);
    CLEANUP(fd_done) int slow = dial(0);
    int64_t began = clock_mono_ms();
    say(slow, "GET /small HTTP/1.1\r\nX: ");
    char c;
    for (;;) {
        if (send(slow, "x", 1, MSG_NOSIGNAL) < 0)
            break;
        struct pollfd p = {slow, POLLIN, 0};
        if (poll(&p, 1, 500) > 0)
            break;
        assert_true(clock_mono_ms() - began < 12000);
    }
    assert_true(clock_mono_ms() - began > 8000);
    assert_true(recv(silent, &c, 1, 0) <= 0);
    assert_true(recv(tls, &c, 1, 0) <= 0);
    assert_true(clock_mono_ms() - began < 11000);
}

static void test_file(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, GET("/part"));
    assert_pattern(hear_reply(&a, fd, &head), 100);
    assert_starts(head, "HTTP/1.1 206 Partial Content\r\n");
    assert_true(str_contains(head, S("Content-Length: 100\r\n")));
    say(fd, "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n" GET("/small"));
    char text[400];
    ssize_t n = recv(fd, text, sizeof text, MSG_PEEK);
    sleep_ms(50);
    n = recv(fd, text, sizeof text, 0);
    struct str both = {text, (size_t)i64_max(n, 0)};
    assert_true(str_contains(both, S("Content-Length: 16777216\r\n")));
    assert_true(str_ends(both, S("\r\n\r\nhello")));
    wait_for_done(3);
    assert_int_equal(atomic_load(&done_bytes), 100 + 5);
}

/* A hundred clients that do not read hold no thread, and get everything once they do. */
static void test_parked(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {.budget = (size_t)256 << 20};
    int fds[100];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial(0);
        say(fds[i], GET("/file"));
    }
    sleep_ms(300);
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, GET("/small"));
    assert_text(hear_reply(&a, fd, &head), "hello");
    for (size_t i = 0; i < COUNT(fds); i++) {
        if (i % 25 == 0) {
            struct str body = hear_reply(&a, fds[i], &head);
            assert_int_equal(body.n, FILE_SIZE);
            assert_pattern(body, 0);
            say(fds[i], GET("/small"));
            assert_text(hear_reply(&a, fds[i], &head), "hello");
        }
        close(fds[i]);
    }
    wait_for_done(105);
    assert_int_equal(atomic_load(&done_whole), 9);
}

/* The same of bytes in memory: what fits into FRONT_MAX waits without a thread. */
static void test_long(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {.budget = (size_t)256 << 20};
    int fds[2];
    struct str head;
    start_server(4, 20);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = dial(0);
        say(fds[i], GET("/long") GET("/small"));
    }
    for (int i = 0; i < 10; i++)
        assert_true(str_ends(ask(&a, CLOSE_GET("/small"), NULL), S("\r\n\r\nhello")));
    for (size_t i = 0; i < COUNT(fds); i++) {
        struct str body = hear_reply(&a, fds[i], &head);
        assert_int_equal(body.n, FILE_SIZE);
        assert_pattern(body, 0);
        assert_text(hear_reply(&a, fds[i], &head), "hello");
        close(fds[i]);
    }
    wait_for_done(14);
    assert_int_equal(atomic_load(&done_bytes), 2 * ((int64_t)FILE_SIZE + 5) + 10 * 5);
}

static void test_source(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
        bool whole, chunked;
    } cases[] = {
        {CLOSE_GET("/grow"), "known length", true, false},
        {CLOSE_GET("/grow-fd"), "from a file", true, false},
        {CLOSE_GET("/grow-fail"), "breaks: reset", false, false},
        {CLOSE_GET("/grow-fd-fail"), "breaks: reset", false, false},
        {CLOSE_GET("/stream"), "length unknown: chunked", true, true},
        {CLOSE_GET("/stream-fail"), "no last chunk, reset", false, true},
        {"GET /stream HTTP/1.0\r\n\r\n", "HTTP/1.0: until the close", true, false},
        {"GET /stream-fail HTTP/1.0\r\n\r\n", "HTTP/1.0: reset", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(arena_release) struct arena a = {0};
        bool reset;
        struct str all = ask(&a, cases[i].request, &reset);
        if (reset == cases[i].whole)
            fail_msg("%s: reset is %d", cases[i].why, reset);
        if (cases[i].chunked) {
            assert_true(str_contains(all, S("Transfer-Encoding: chunked\r\n")));
            assert_int_equal(str_ends(all, S("\r\n0\r\n\r\n")), cases[i].whole);
        } else if (cases[i].whole) {
            assert_pattern(str_sub(all, all.n - 50000, 50000), 0);
        }
        wait_for_done((int)i + 1);
    }
    assert_int_equal(atomic_load(&released), 8);
    assert_int_equal(atomic_load(&done_whole), 4);
}

static void test_forwarded(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    struct str all = ask(&a,
                         "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, "
                         "198.51.100.7\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n",
                         NULL);
    assert_true(str_ends(all, S("\r\n\r\n198.51.100.7 https")));
}

static void *hold_one(void *arg)
{
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(fd_done) int fd = dial(0);
    struct str head;
    say(fd, GET("/hold"));
    struct str body = hear_reply(&a, fd, &head);
    *(bool *)arg = str_eq(body, S("held")) && str_contains(head, S("Connection: close"));
    return NULL;
}

static void wait_for_holding(int count)
{
    for (int i = 0; i < 500 && atomic_load(&holding) < count; i++)
        sleep_ms(10);
    assert_int_equal(atomic_load(&holding), count);
}

static void test_drain(void **state)
{
    (void)state;
    pthread_t holder;
    bool fine = false;
    atomic_store(&hold, 1);
    assert_int_equal(pthread_create(&holder, NULL, hold_one, &fine), 0);
    CLEANUP(fd_done) int idle = dial(0);
    CLEANUP(arena_release) struct arena a = {0};
    struct str head;
    char c;
    say(idle, GET("/small"));
    assert_text(hear_reply(&a, idle, &head), "hello");
    wait_for_holding(1);
    server_drain(server);
    assert_int_equal(recv(idle, &c, 1, 0), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server_port(server, 0)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), -1);
    close(fd);
    atomic_store(&hold, 0);
    pthread_join(holder, NULL);
    assert_true(fine);
}

static void test_caps(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    int held[4];
    struct str head;
    atomic_store(&hold, 1);
    start_server(4, 20);
    for (size_t i = 0; i < COUNT(held); i++) {
        held[i] = dial(0);
        say(held[i], GET("/hold"));
    }
    wait_for_holding(4);
    struct str all = ask(&a, GET("/small"), NULL);
    assert_starts(all, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_true(str_contains(all, S("Retry-After: ")));
    atomic_store(&hold, 0);
    for (size_t i = 0; i < COUNT(held); i++)
        assert_text(hear_reply(&a, held[i], &head), "held");
    int more[20];
    for (size_t i = 0; i < COUNT(more); i++)
        more[i] = dial(0);
    sleep_ms(100);
    all = hear(&a, more[19], SIZE_MAX, NULL);
    assert_starts(all, "HTTP/1.1 503 Service Unavailable\r\n");
    for (size_t i = 0; i < COUNT(more); i++)
        close(more[i]);
    for (size_t i = 0; i < COUNT(held); i++)
        close(held[i]);
}

/* Three of four handlers may be at requests with a body; the fourth is for those without. */
static void test_reserve(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    int held[3];
    struct str head;
    atomic_store(&hold, 1);
    start_server(4, 20);
    for (size_t i = 0; i < COUNT(held); i++) {
        held[i] = dial(0);
        say(held[i], "PUT /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    }
    wait_for_holding(3);
    struct str all = ask(&a, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", NULL);
    assert_starts(all, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_true(str_ends(ask(&a, CLOSE_GET("/small"), NULL), S("\r\n\r\nhello")));
    atomic_store(&hold, 0);
    for (size_t i = 0; i < COUNT(held); i++) {
        assert_text(hear_reply(&a, held[i], &head), "held");
        close(held[i]);
    }
    assert_true(str_ends(ask(&a,
                             "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                             "Connection: close\r\n\r\nhi",
                             NULL),
                         S("\r\n\r\nhi")));
}

/* ---- TLS ---- */

static SSL *tls_dial(SSL_CTX *context, int *fd_out, char name_out[64])
{
    *fd_out = dial(1);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, *fd_out);
    assert_int_equal(SSL_connect(ssl), 1);
    X509 *cert = SSL_get1_peer_certificate(ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name_out, 64);
    X509_free(cert);
    return ssl;
}

/* Asks for a path with Connection: close and counts the bytes behind the head. */
static size_t tls_ask(SSL *ssl, const char *request, struct str *head_out, struct arena *a)
{
    static char text[FILE_SIZE + 65536];
    size_t n = 0;
    assert_true(SSL_write(ssl, request, (int)strlen(request)) > 0);
    for (;;) {
        int k = SSL_read(ssl, text + n, (int)size_min(sizeof text - n, 1 << 20));
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    const char *end = memmem(text, n, "\r\n\r\n", 4);
    assert_non_null(end);
    size_t head = (size_t)(end - text) + 4;
    *head_out = str_dup(a, (struct str){text, head});
    assert_pattern((struct str){text + head, n - head}, 0);
    return n - head;
}

static void test_tls(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct str head;
    char name[64];
    int fd1, fd2, fd3;
    SSL *old = tls_dial(context, &fd1, name);
    assert_string_equal(name, "one");
    make_certificate("two");
    assert_int_equal(server_reload_tls(&c, server), E_OK);
    SSL *fresh = tls_dial(context, &fd2, name);
    assert_string_equal(name, "two");
    assert_int_equal(truncate(str_c(&c.mem, str_fmt(&c.mem, "%s/cert.pem", tls_dir)), 20), 0);
    assert_int_equal(server_reload_tls(&c, server), E_BAD_REQUEST);
    assert_int_equal(tls_ask(old, CLOSE_GET("/file"), &head, &c.mem), FILE_SIZE);
    assert_int_equal(tls_ask(fresh, CLOSE_GET("/grow-fd"), &head, &c.mem), 50000);
    SSL *third = tls_dial(context, &fd3, name);
    assert_string_equal(name, "two");
    assert_int_equal(tls_ask(third, CLOSE_GET("/grow-fail"), &head, &c.mem), 30000);
    assert_int_equal(SSL_get_error(third, 0) == SSL_ERROR_ZERO_RETURN, 0);
    SSL_free(old);
    SSL_free(fresh);
    SSL_free(third);
    close(fd1);
    close(fd2);
    close(fd3);
    SSL_CTX_free(context);
    make_certificate("one");
}

static int make_files(void **state)
{
    (void)state;
    int fd = mkstemp(file_path);
    char *bytes = malloc(FILE_SIZE);
    for (int64_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = pattern(i);
    assert_true(fd_write_all(fd, bytes, FILE_SIZE));
    file_bytes = bytes;
    close(fd);
    assert_non_null(mkdtemp(tls_dir));
    make_certificate("one");
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    char path[128];
    free(file_bytes);
    unlink(file_path);
    snprintf(path, sizeof path, "%s/cert.pem", tls_dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/key.pem", tls_dir);
    unlink(path);
    rmdir(tls_dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keep_alive),
        TEST(test_pipelining),
        TEST(test_continue),
        TEST(test_unread_body),
        TEST(test_chunked),
        TEST(test_refused),
        TEST(test_file),
        TEST(test_parked),
        TEST(test_source),
        TEST(test_forwarded),
        TEST(test_drain),
        TEST(test_tls),
        TEST(test_head_deadline),
        cmocka_unit_test_teardown(test_long, teardown),
        cmocka_unit_test_teardown(test_caps, teardown),
        cmocka_unit_test_teardown(test_reserve, teardown),
    };
    return cmocka_run_group_tests(tests, make_files, drop_files);
}
