/*
 * One byte, one step. The size is read by our own hex digits: no sign, no prefix, no blank, at
 * most 16 digits and never past INT64_MAX. Extensions and trailers are bounded and dropped.
 */
#include "net/chunk.h"

#include "base/codec.h"

#include <assert.h>

enum {
    AT_SIZE,      /* digits of a size */
    AT_EXTENSION, /* behind ';' */
    AT_SIZE_LF,
    AT_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_TRAILER, /* in a line of the trailer section */
    AT_TRAILER_LF,
    AT_END,
    AT_ERROR,
};

static int size_step(struct chunked *s, char c)
{
    int v = hex_digit(c);
    if (v >= 0) {
        if (s->digits == CHUNK_DIGITS_MAX || s->left > (INT64_MAX - v) / 16)
            return AT_ERROR;
        s->digits++;
        s->left = s->left * 16 + v;
        return AT_SIZE;
    }
    if (s->digits == 0)
        return AT_ERROR;
    s->line = 0;
    return c == ';' ? AT_EXTENSION : c == '\r' ? AT_SIZE_LF : AT_ERROR;
}

static int extension_step(struct chunked *s, char c)
{
    if (c == '\r')
        return AT_SIZE_LF;
    if (((unsigned char)c < 32 && c != '\t') || c == 127 || ++s->line > CHUNK_EXTENSION_MAX)
        return AT_ERROR;
    return AT_EXTENSION;
}

static int trailer_step(struct chunked *s, char c)
{
    if (++s->trailer > CHUNK_TRAILER_MAX)
        return AT_ERROR;
    if (c == '\r')
        return AT_TRAILER_LF;
    if (((unsigned char)c < 32 && c != '\t') || c == 127)
        return AT_ERROR;
    s->line++;
    return AT_TRAILER;
}

static int line_end(struct chunked *s, char c)
{
    if (c != '\n')
        return AT_ERROR;
    switch (s->state) {
    case AT_SIZE_LF:
        s->digits = 0;
        s->line = 0;
        return s->left ? AT_DATA : AT_TRAILER;
    case AT_DATA_LF: return AT_SIZE;
    default: /* AT_TRAILER_LF: an empty line is the end */
        if (s->line == 0)
            return AT_END;
        s->line = 0;
        return AT_TRAILER;
    }
}

static int step(struct chunked *s, char c)
{
    switch (s->state) {
    case AT_SIZE: return size_step(s, c);
    case AT_EXTENSION: return extension_step(s, c);
    case AT_DATA_CR: return c == '\r' ? AT_DATA_LF : AT_ERROR;
    case AT_TRAILER: return trailer_step(s, c);
    case AT_SIZE_LF:
    case AT_DATA_LF:
    case AT_TRAILER_LF: return line_end(s, c);
    default: return AT_ERROR;
    }
}

enum chunk_event chunk_next(struct chunked *s, struct str bytes, size_t *used_out)
{
    size_t i = 0;
    while (i < bytes.n && s->state != AT_DATA && s->state != AT_END && s->state != AT_ERROR)
        s->state = step(s, bytes.p[i++]);
    *used_out = i;
    switch (s->state) {
    case AT_DATA: return i < bytes.n ? CHUNK_DATA : CHUNK_MORE;
    case AT_END: return CHUNK_END;
    case AT_ERROR: return CHUNK_BAD;
    default: return CHUNK_MORE;
    }
}

void chunk_took(struct chunked *s, size_t n)
{
    assert(s->state == AT_DATA && n <= (size_t)s->left);
    s->left -= (int64_t)n;
    if (s->left == 0)
        s->state = AT_DATA_CR;
}
