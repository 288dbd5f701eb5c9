/*
 * The framing of chunked bodies (RFC 9112, section 7.1) as a pure state machine. It consumes
 * framing bytes and says where data stands; data bytes are the caller's.
 */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "base/str.h"

#define CHUNK_DIGITS_MAX 16
#define CHUNK_EXTENSION_MAX 256 /* bytes behind a size, over all extensions of one chunk */
#define CHUNK_TRAILER_MAX 8192  /* bytes of the whole trailer section */

struct chunked {
    int state;       /* zeroed = before the first size */
    int64_t left;    /* data bytes of this chunk that are still to come */
    unsigned digits; /* of the size being read */
    size_t line;     /* bytes of the extension, or of the trailer line */
    size_t trailer;  /* bytes of the trailer section */
};

enum chunk_event {
    CHUNK_MORE, /* all bytes were framing; more are needed */
    CHUNK_DATA, /* data begins at *used_out: take at most left bytes, then call chunk_took */
    CHUNK_END,  /* the body is complete; bytes from *used_out on belong to the next request */
    CHUNK_BAD,
};

enum chunk_event chunk_next(struct chunked *s, struct str bytes, size_t *used_out);
void chunk_took(struct chunked *s, size_t n);

#endif
