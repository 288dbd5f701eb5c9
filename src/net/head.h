/*
 * The strict parser of request heads (RFC 9112, sections 2-7; RFC 9110, section 7.2). Pure: bytes
 * in, views of the same bytes out, no memory, no I/O. What it does not understand it refuses.
 */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include "net/http.h"

#define HEAD_MAX 32768  /* bytes, with the empty line */
#define HEADERS_MAX 64  /* lines */
#define TARGET_MAX 8192 /* bytes of the request target */

struct head {
    enum http_method method;
    struct str method_text, target;
    struct header headers[HEADERS_MAX];
    size_t header_count;
    int minor;              /* HTTP/1.minor: 0 or 1 */
    int64_t content_length; /* -1 = chunked; 0 = none or zero */
    struct str host;        /* empty only with HTTP/1.0 */
    bool keep_alive;
    bool expect_continue;
};

/* What was wrong: the status to answer with, and why, in words. status 0 = nothing. */
struct head_error {
    int status;
    const char *why;
};

enum head_state { HEAD_PARTIAL, HEAD_WHOLE, HEAD_BAD };

/*
 * Looks for the empty line that ends a head in a growing buffer; *scanned (0 at first) remembers
 * how far it looked. HEAD_WHOLE sets *len_out to the length with the empty line. HEAD_BAD: a line
 * feed without its carriage return, NUL, or more than HEAD_MAX bytes.
 */
enum head_state head_find(struct str bytes, size_t *scanned, size_t *len_out,
                          struct head_error *error);
/* Parses a whole head (as head_find measured it). False fills *error. Views into bytes. */
bool head_parse(struct str bytes, struct head *out, struct head_error *error);

struct target {
    struct str path;  /* decoded once; "*" for OPTIONS * */
    struct str query; /* as sent, without the question mark */
    struct str host;  /* of the absolute form; else empty */
};

/*
 * Takes a request target apart (RFC 9112, section 3.2: origin, absolute and asterisk form) and
 * decodes its path once. Refused: broken escapes, NUL and other controls, backslashes, bytes that
 * are not UTF-8, "." and ".." as segments after decoding. scratch must hold target.n bytes; the
 * path lives there when anything was escaped. False fills *error.
 */
bool target_parse(struct str target, char *scratch, struct target *out, struct head_error *error);
/* A host with an optional port, as in Host: no blank, slash, '?', '#', '@' or the like. */
bool host_valid(struct str host);

#endif
