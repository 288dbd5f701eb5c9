/* Chunked framing, each case fed whole and byte by byte: the outcome may not depend on the cut. */
#include "net/chunk.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

#include <string.h>

/* Runs the framing over bytes in pieces; the data goes to out. */
static enum chunk_event feed(struct str bytes, size_t piece, struct buf *out, size_t *used_out)
{
    struct chunked s = {0};
    size_t at = 0;
    while (at < bytes.n) {
        struct str part = str_sub(bytes, at, piece);
        size_t used;
        enum chunk_event event = chunk_next(&s, part, &used);
        at += used;
        if (event == CHUNK_DATA) {
            size_t n = size_min(part.n - used, (size_t)s.left);
            buf_add(out, bytes.p + at, n);
            chunk_took(&s, n);
            at += n;
        } else if (event != CHUNK_MORE) {
            *used_out = at;
            return event;
        }
    }
    *used_out = at;
    return CHUNK_MORE;
}

#define EXT16 "0123456789abcdef"
#define EXT256                                                                                     \
    EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16 EXT16

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum chunk_event event;
        const char *data;
        const char *rest; /* behind the end */
    } cases[] = {
        {"0\r\n\r\n", CHUNK_END, "", ""},
        {"5\r\nhello\r\n0\r\n\r\nGET /", CHUNK_END, "hello", "GET /"},
        {"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", CHUNK_END, "hello world", ""},
        {"A\r\n0123456789\r\n0\r\n\r\n", CHUNK_END, "0123456789", ""},
        {"a\r\n0123456789\r\n0\r\n\r\n", CHUNK_END, "0123456789", ""},
        {"0000000000000002\r\nab\r\n0\r\n\r\n", CHUNK_END, "ab", ""},
        {"2;x=y;z\r\nab\r\n0;q\r\n\r\n", CHUNK_END, "ab", ""},
        {"2\r\nab\r\n0\r\nA: b\r\nC: d\r\n\r\nX", CHUNK_END, "ab", "X"},
        {"2;" EXT256 "\r\nab\r\n0\r\n\r\n", CHUNK_END, "ab", ""},
        {"2;" EXT256 "x\r\nab\r\n0\r\n\r\n", CHUNK_BAD, "", NULL},
        {"2\r\nab\r\n", CHUNK_MORE, "ab", NULL},
        {"2\r\nab\r\n0\r\n", CHUNK_MORE, "ab", NULL},
        {"-2\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"+2\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"0x2\r\nab\r\n", CHUNK_BAD, "", NULL},
        {" 2\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"2 \r\nab\r\n", CHUNK_BAD, "", NULL},
        {"2\nab\n", CHUNK_BAD, "", NULL},
        {"2\r\nabc\r\n", CHUNK_BAD, "ab", NULL},
        {"2\r\nab\n0\r\n\r\n", CHUNK_BAD, "ab", NULL},
        {"\r\nab\r\n", CHUNK_BAD, "", NULL},
        {";x\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"00000000000000002\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"7fffffffffffffff\r\nab", CHUNK_MORE, "ab", NULL},
        {"8000000000000000\r\nab", CHUNK_BAD, "", NULL},
        {"ffffffffffffffff\r\nab", CHUNK_BAD, "", NULL},
        {"2;a\nb\r\nab\r\n", CHUNK_BAD, "", NULL},
        {"0\r\nA: b\n\r\n", CHUNK_BAD, "", NULL},
        {"0\r\n\rX", CHUNK_BAD, "", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece < 400; piece += piece < 8 ? 1 : 97) {
            CLEANUP(buf_release) struct buf out = {0};
            struct str bytes = str_of(cases[i].bytes);
            size_t used;
            enum chunk_event event = feed(bytes, piece, &out, &used);
            if (event != cases[i].event || !str_eq(buf_view(&out), str_of(cases[i].data)))
                fail_msg("%s in pieces of %zu: %d \"%.*s\"", cases[i].bytes, piece, event,
                         STR(buf_view(&out)));
            if (cases[i].rest)
                assert_true(str_eq(str_sub(bytes, used, bytes.n), str_of(cases[i].rest)));
        }
}

static void test_trailers_are_bounded(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf bytes = {0}, out = {0};
    size_t used;
    buf_str(&bytes, S("0\r\n"));
    for (int i = 0; i < 1000; i++)
        buf_str(&bytes, S("Trailer: x\r\n"));
    buf_str(&bytes, S("\r\n"));
    assert_int_equal(feed(buf_view(&bytes), 64, &out, &used), CHUNK_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_trailers_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
