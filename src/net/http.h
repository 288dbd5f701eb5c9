/*
 * One HTTP/1.1 request and its reply, as handlers see them. A handler is straight-line blocking
 * code on a worker thread: it reads the body if it wants it and calls reply_send exactly once. The
 * body of a reply is a value (source, offset, end, limit); no handler loops over a socket.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/ctx.h"

enum http_method {
    HTTP_OTHER,
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
};

struct header {
    struct str name, value;
};

struct connection; /* net/conn.h */

struct http_request {
    enum http_method method;
    struct str method_text;
    struct str target; /* as sent */
    struct str path;   /* decoded once, no NUL, no "." or ".." segments; else the head is 400 */
    struct str query;  /* after '?', not decoded */
    const struct header *headers;
    size_t header_count;
    int64_t content_length; /* -1 = chunked; 0 = no body */
    struct str host;        /* of the Host header or the absolute target */
    struct str client;      /* address in words, X-Forwarded-For of believed peers applied */
    bool https;             /* TLS here, or X-Forwarded-Proto of a believed peer */
    int listener;           /* server_listener.id */
    int64_t started_ms;     /* monotonic, when the head was complete */
    int64_t received;       /* body bytes read so far */
    struct connection *conn;
};

/* The first header of that name, or NO_STR. Case-insensitive. */
struct str http_header(const struct http_request *r, const char *name);
/* How many headers carry that name. */
size_t http_header_count(const struct http_request *r, const char *name);
/* First value of a query parameter, percent-decoded into c->mem. E_NOT_FOUND when absent,
   which is no failure and has no words; E_BAD_REQUEST when it does not decode. */
enum err http_query(struct ctx *c, const struct http_request *r, const char *name, struct str *out);

/* Body bytes, at most cap; *n_out 0 = the end. Sends 100 Continue on first use when asked to.
   E_BAD_REQUEST (broken chunk), E_TIMEOUT (under 1 KiB/s over 30 s), E_CLOSED. After an error
   only reply_send may follow. */
enum err http_body_read(struct ctx *c, struct http_request *r, void *p, size_t cap, size_t *n_out);
/* A whole small body into c->mem; E_TOO_LARGE over max. */
enum err http_body_all(struct ctx *c, struct http_request *r, size_t max, struct str *out);

/*
 * Bytes that may still be arriving (a flight). until() says how far they may be sent by now:
 * *until_out > offset; equal to offset = the body is complete; SOURCE_LATER = nothing yet, and
 * wake(wake_arg) is called once, on any thread, when it is worth asking again; an error = the
 * connection is reset, never ended cleanly. It does not wait. The bytes are in fd when it is not
 * negative, else read() copies, the same bytes as often as it is asked; which of the two may change
 * with each call of until().
 */
#define SOURCE_LATER (-1)

struct source {
    int fd;
    enum err (*until)(struct source *s, int64_t offset, int64_t *until_out);
    enum err (*read)(struct source *s, int64_t offset, void *p, size_t cap, size_t *n_out);
    void (*release)(
        struct source *s);   /* called once by the sender; wake() is not called any more */
    void (*wake)(void *arg); /* set by who calls until(); must not call the source */
    void *wake_arg;
};

#define SMALL_BODY ((int64_t)16 << 10) /* up to here it leaves together with its head */

enum body_kind { BODY_NONE, BODY_BYTES, BODY_FILE, BODY_SOURCE };

struct body {
    enum body_kind kind;
    struct str bytes;      /* BODY_BYTES: valid until reply_send returns */
    int fd;                /* BODY_FILE: owned by the sender from reply_send on */
    struct source *source; /* BODY_SOURCE: likewise */
    int64_t offset, end;   /* of BODY_FILE and BODY_SOURCE; end -1 = not known: sent chunked,
                              without the last chunk until the source is complete */
};

#define REPLY_HEADERS_MAX 32

struct reply {
    int status;
    struct header headers[REPLY_HEADERS_MAX]; /* texts live until reply_send returns */
    size_t header_count;
    struct body body;
    int64_t length;  /* Content-Length of a reply to HEAD; else taken from the body */
    bool has_length; /* length is set (HEAD, 304) */
    bool close;      /* close the connection afterwards */
    /* Called once when the last byte is sent or the connection is lost, on any thread. */
    void (*done)(void *arg, int64_t bytes_sent, bool whole);
    void *done_arg;
};

/* Adds a header; text must outlive reply_send. CR, LF and NUL in the value make it an assertion
   failure: callers encode. */
void reply_header(struct reply *p, struct str name, struct str value);
/* Date, Connection and Content-Length are added here. A failure to send is not an error of the
   handler: it is reported to done. Bytes of a body of a HEAD request are not sent. */
void reply_send(struct ctx *c, struct http_request *r, struct reply *p);

#endif
