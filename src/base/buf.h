/* Growable bytes with a stated cap. Writes past the cap are refused and remembered, not cut. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, max; /* max 0 = BUF_MAX */
    bool full;          /* a write did not fit; the content is the part before it */
};

#define BUF_MAX ((size_t)64 << 20)

void buf_release(struct buf *b);
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_str(struct buf *b, struct str s);
bool buf_char(struct buf *b, char c);
bool buf_i64(struct buf *b, int64_t v); /* decimal */
bool buf_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Room for n more bytes; NULL past the cap. The caller adds what it wrote to b->n. */
char *buf_reserve(struct buf *b, size_t n);
struct str buf_view(const struct buf *b); /* valid until the next write */

#endif
