/* One growable buffer: doubles until its cap, never measures first and fills later. */
#include "base/buf.h"

#include "base/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX;
    if (b->full || n > max || b->n > max - n) {
        b->full = true;
        return NULL;
    }
    if (b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap - b->n < n)
            cap *= 2;
        cap = size_min(cap, max); /* so that what fits into cap fits under the cap */
        char *p = realloc(b->p, cap);
        if (!p) {
            heap_refuse();
            b->full = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return !b->full;
    char *at = n <= b->cap - b->n && !b->full ? b->p + b->n : buf_reserve(b, n);
    if (!at)
        return false;
    memcpy(at, p, n);
    b->n += n;
    return true;
}

bool buf_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_char(struct buf *b, char c)
{
    if (b->n == b->cap || b->full)
        return buf_add(b, &c, 1);
    b->p[b->n++] = c;
    return true;
}

bool buf_i64(struct buf *b, int64_t v)
{
    char text[20];
    size_t at = sizeof text;
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        text[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        text[--at] = '-';
    return buf_add(b, text + at, sizeof text - at);
}

bool buf_fmt(struct buf *b, const char *fmt, ...)
{
    size_t max = b->max ? b->max : BUF_MAX, room = size_min(b->cap, max) - size_min(b->n, max);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap); /* mostly it fits */
    va_end(ap);
    if (n < 0 || b->full)
        return false;
    if ((size_t)n < room) {
        b->n += (size_t)n;
        return true;
    }
    char *at = buf_reserve(b, (size_t)n + 1);
    if (!at)
        return false;
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return true;
}

struct str buf_view(const struct buf *b)
{
    return (struct str){b->p, b->n};
}
