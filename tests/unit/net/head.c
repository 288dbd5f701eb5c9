/* Request heads: what is taken, and each known way to smuggle. */
#include "net/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

/* Finds and parses; 0 = fine, 1 = not whole, else the status. */
static int parse(struct str bytes, struct head *h)
{
    size_t scanned = 0, len;
    struct head_error error = {0};
    switch (head_find(bytes, &scanned, &len, &error)) {
    case HEAD_PARTIAL: return 1;
    case HEAD_BAD: return error.status;
    case HEAD_WHOLE: break;
    }
    return head_parse(str_sub(bytes, 0, len), h, &error) ? 0 : error.status;
}

/* Values are looked at by words: each character at each place of one, and in the rest behind. */
static void test_each_character_at_each_place(void **state)
{
    (void)state;
    for (size_t at = 0; at < 19; at++)
        for (int ch = 0; ch < 256; ch++) {
            char text[] = LINE HOST "X: 1234567890123456789\r\n\r\n";
            struct head h;
            text[sizeof(LINE HOST) - 1 + 3 + at] = (char)ch;
            bool bad = (ch < 32 && ch != '\t') || ch == 127;
            int status = parse((struct str){text, sizeof text - 1}, &h);
            if (status != (bad ? 400 : 0))
                fail_msg("character %d at %zu: %d", ch, at, status);
        }
}

static void test_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int64_t length;
        bool keep, expect;
    } cases[] = {
        {LINE HOST "\r\n", 0, true, false},
        {"GET / HTTP/1.0\r\n\r\n", 0, false, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0, true, false},
        {LINE HOST "Connection: x, CLOSE\r\n\r\n", 0, false, false},
        {LINE HOST "Connection: close\r\nConnection: keep-alive\r\n\r\n", 0, false, false},
        {LINE HOST "Connection: not-close\r\n\r\n", 0, true, false},
        {LINE HOST "Content-Length: 5\r\n\r\nhello", 5, true, false},
        {LINE HOST "content-length:0\r\n\r\n", 0, true, false},
        {LINE HOST "Content-Length: 999999999999999999\r\n\r\n", 999999999999999999, true, false},
        {LINE HOST "Transfer-Encoding: Chunked\r\n\r\n", -1, true, false},
        {LINE HOST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n", 5, true, true},
        {LINE HOST "Expect: 100-continue\r\n\r\n", 0, true, false},
        {"GET / HTTP/1.0\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 1, false, false},
        {LINE "Host: [::1]:5000\r\n\r\n", 0, true, false},
        {LINE HOST "X-Empty:\r\nX-Tab:\ta\tb\t\r\nX-8bit: \xc3\xa9\r\n\r\n", 0, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct head h;
        int status = parse(str_of(cases[i].bytes), &h);
        if (status || h.content_length != cases[i].length || h.keep_alive != cases[i].keep ||
            h.expect_continue != cases[i].expect)
            fail_msg("%s: %d", cases[i].bytes, status);
    }
}

#define POST LINE HOST
static const struct {
    const char *bytes;
    int status;
    const char *why;
} refused[] = {
    {LINE "\r\n", 400, "no Host"},
    {LINE HOST HOST "\r\n", 400, "two Hosts"},
    {LINE "Host:\r\n\r\n", 400, "empty Host"},
    {LINE "Host: a/b\r\n\r\n", 400, "slash in Host"},
    {LINE "Host: a?b\r\n\r\n", 400, "question mark in Host"},
    {LINE "Host: a#b\r\n\r\n", 400, "hash in Host"},
    {LINE "Host: u@a\r\n\r\n", 400, "user in Host"},
    {LINE "Host: a b\r\n\r\n", 400, "blank in Host"},
    {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "CL.TE"},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "TE.CL"},
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "two lengths"},
    {POST "Content-Length: 5,5\r\n\r\n", 400, "list"},
    {POST "Content-Length:\r\n\r\n", 400, "empty"},
    {POST "Content-Length: +5\r\n\r\n", 400, "sign"},
    {POST "Content-Length: -5\r\n\r\n", 400, "minus"},
    {POST "Content-Length: 5 \r\n\r\n", 400, "blank behind"},
    {POST "Content-Length: 0x5\r\n\r\n", 400, "hex"},
    {POST "Content-Length: 5 5\r\n\r\n", 400, "two numbers"},
    {POST "Content-Length: 9999999999999999999\r\n\r\n", 400, "too large"},
    {POST "Transfer-Encoding : chunked\r\n\r\n", 400, "blank before the colon"},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", 400, "unknown coding"},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "list of codings"},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "twice"},
    {POST "Transfer-Encoding:\r\n\r\n", 400, "empty coding"},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "coding in 1.0"},
    {POST "X: a\r\n b\r\n\r\n", 400, "folding"},
    {POST "X: a\r\n\tb\r\n\r\n", 400, "folding by tab"},
    {LINE " Host: a\r\n\r\n", 400, "folding first"},
    {POST "X: a\nY: b\r\n\r\n", 400, "bare LF"},
    {POST "X: a\rY: b\r\n\r\n", 400, "bare CR"},
    {POST "X: a\r\r\n\r\n", 400, "CR CR LF"},
    {POST ": a\r\n\r\n", 400, "empty name"},
    {POST "X y: a\r\n\r\n", 400, "blank in a name"},
    {POST "X(y): a\r\n\r\n", 400, "not a token"},
    {POST "X\xc3\xa9: a\r\n\r\n", 400, "8-bit name"},
    {POST "X\r\n\r\n", 400, "no colon"},
    {POST "X: a\x01"
          "b\r\n\r\n",
     400, "control"},
    {POST "X: a\x7f\r\n\r\n", 400, "DEL"},
    {POST "Expect: 100-continue, x\r\n\r\n", 417, "another expectation"},
    {"\r\n" LINE HOST "\r\n", 400, "empty line first"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400, "two blanks"},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400, "blank behind the version"},
    {"GET /\r\n\r\n", 400, "HTTP/0.9"},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", 400, "blank in the target"},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400, "8-bit target"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505, "version"},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", 505, "version"},
    {"GET / http/1.1\r\n" HOST "\r\n", 400, "version in small letters"},
    {"PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/2"},
    {"G@T / HTTP/1.1\r\n" HOST "\r\n", 400, "method"},
    {" / HTTP/1.1\r\n" HOST "\r\n", 400, "no method"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct head h;
        int status = parse(str_of(refused[i].bytes), &h);
        if (status != refused[i].status)
            fail_msg("%s: %d", refused[i].why, status);
    }
    struct head h;
    assert_int_equal(parse(S(LINE HOST "X: a\0b\r\n\r\n"), &h), 400);
    assert_int_equal(parse(S("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), &h), 400);
}

/* Byte by byte the answer is the same, and no byte behind the head is needed. */
static void test_growing(void **state)
{
    (void)state;
    struct str bytes = S(LINE HOST "X: y\r\n\r\nbody");
    size_t scanned = 0, len = 0;
    struct head_error error = {0};
    for (size_t n = 0; n < bytes.n - 4; n++)
        assert_int_equal(head_find(str_sub(bytes, 0, n), &scanned, &len, &error), HEAD_PARTIAL);
    assert_int_equal(head_find(str_sub(bytes, 0, bytes.n - 4), &scanned, &len, &error), HEAD_WHOLE);
    assert_int_equal(len, bytes.n - 4);
}

static void test_sizes(void **state)
{
    (void)state;
    struct head h;
    size_t n = (size_t)70000;
    char *big = malloc(n);
    memset(big, 'x', n);
    memcpy(big, LINE, 16);
    assert_int_equal(parse((struct str){big, 32767}, &h), 1);
    assert_int_equal(parse((struct str){big, n}, &h), 431);
    memset(big, 'x', n);
    memcpy(big, "GET /", 5);
    memcpy(big + 9000, " HTTP/1.1\r\n" HOST "\r\n", 22);
    assert_int_equal(parse((struct str){big, n}, &h), 414);
    size_t at = 16;
    memcpy(big, LINE, 16);
    for (int i = 0; i < 65; i++, at += 6)
        memcpy(big + at, "X: y\r\n", 6);
    memcpy(big + at, "\r\n", 2);
    assert_int_equal(parse((struct str){big, n}, &h), 431);
    free(big);
}

static void test_target(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query, *host;
    } cases[] = {
        {"/", "/", "", ""},
        {"/v2/a/b?n=1&last=%41", "/v2/a/b", "n=1&last=%41", ""},
        {"/a%2Fb", "/a/b", "", ""},
        {"/a%252Fb", "/a%2Fb", "", ""},
        {"/%E2%82%AC", "/\xe2\x82\xac", "", ""},
        {"/a//b;c", "/a//b;c", "", ""},
        {"/..a/b...", "/..a/b...", "", ""},
        {"/a?x=../y?z", "/a", "x=../y?z", ""},
        {"*", "*", "", ""},
        {"http://h:80/a?b", "/a", "b", "h:80"},
        {"https://h", "/", "", "h"},
        {"http://h?b", "/", "b", "h"},
        {"", NULL, NULL, NULL},
        {"a/b", NULL, NULL, NULL},
        {"h:443", NULL, NULL, NULL},
        {"ftp://h/a", NULL, NULL, NULL},
        {"http:///a", NULL, NULL, NULL},
        {"http://u@h/a", NULL, NULL, NULL},
        {"/a#b", NULL, NULL, NULL},
        {"/a%", NULL, NULL, NULL},
        {"/a%4", NULL, NULL, NULL},
        {"/a%4g", NULL, NULL, NULL},
        {"/a%00b", NULL, NULL, NULL},
        {"/a%0ab", NULL, NULL, NULL},
        {"/a%7f", NULL, NULL, NULL},
        {"/a\\b", NULL, NULL, NULL},
        {"/a%5cb", NULL, NULL, NULL},
        {"/a/../b", NULL, NULL, NULL},
        {"/a/./b", NULL, NULL, NULL},
        {"/a/..", NULL, NULL, NULL},
        {"/%2e%2e/b", NULL, NULL, NULL},
        {"/..%2fb", NULL, NULL, NULL},
        {"/a%2f..", NULL, NULL, NULL},
        {"/%c0%ae%c0%ae/", NULL, NULL, NULL},
        {"/%ff", NULL, NULL, NULL},
        {"/%ed%a0%80", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char scratch[64];
        struct target t = {0};
        struct head_error error = {0};
        bool fine = target_parse(str_of(cases[i].target), scratch, &t, &error);
        if (fine != (cases[i].path != NULL) || (!fine && error.status != 400))
            fail_msg("%s: %d", cases[i].target, fine);
        if (fine &&
            (!str_eq(t.path, str_of(cases[i].path)) || !str_eq(t.query, str_of(cases[i].query)) ||
             !str_eq(t.host, str_of(cases[i].host))))
            fail_msg("%s: %.*s %.*s", cases[i].target, STR(t.path), STR(t.query));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),   cmocka_unit_test(test_each_character_at_each_place),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_growing),
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
