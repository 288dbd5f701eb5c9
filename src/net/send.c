/*
 * Replies. The head and bodies of bytes leave in reply_send, small ones in one send. Files and
 * sources go on after the handler has returned, so that its memory is free by then: a plain file
 * by sendfile, parked in the epoll when the reader is slow; over TLS, with a rate limit, or from a
 * source that still grows, on the worker thread. A body that cannot be finished ends in a reset,
 * so that no client takes a part for the whole.
 */
#include "net/conn.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/metric.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ONE_SEND ((size_t)16 << 10) /* bodies up to here leave together with their head */
#define PIECE ((int64_t)1 << 20)
#define TURN ((int64_t)8 << 20) /* a fast reader gives the thread back after so much */
#define DROP_MAX (1 << 20)

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return status < 400 ? "OK" : "Error";
    }
}

/* The Date header, made once a second and thread. */
static struct str date_line(void)
{
    static _Thread_local char line[64];
    static _Thread_local size_t n;
    static _Thread_local time_t second;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ts.tv_sec != second || n == 0) {
        struct arena mem = {0};
        struct str text = time_http(&mem, (struct timestamp){(int64_t)ts.tv_sec * SECOND_US});
        n = (size_t)snprintf(line, sizeof line, "Date: %.*s\r\n", STR(text));
        arena_release(&mem);
        second = ts.tv_sec;
    }
    return (struct str){line, n};
}

static void put_head(struct buf *b, const struct connection *conn, const struct reply *p,
                     int64_t length)
{
    buf_fmt(b, "HTTP/1.1 %d %s\r\n", p->status, reason(p->status));
    buf_str(b, date_line());
    for (size_t i = 0; i < p->header_count; i++) {
        buf_str(b, p->headers[i].name);
        buf_add(b, ": ", 2);
        buf_str(b, p->headers[i].value);
        buf_add(b, "\r\n", 2);
    }
    if (conn->out.chunked)
        buf_str(b, S("Transfer-Encoding: chunked\r\n"));
    else if (length >= 0)
        buf_fmt(b, "Content-Length: %lld\r\n", (long long)length);
    if (conn->close)
        buf_str(b, S("Connection: close\r\n"));
    else if (conn->http10)
        buf_str(b, S("Connection: keep-alive\r\n"));
    buf_add(b, "\r\n", 2);
}

void send_finish(struct connection *conn, bool whole)
{
    struct outgoing *o = &conn->out;
    if (o->fd >= 0)
        close(o->fd);
    if (o->source)
        o->source->release(o->source);
    *o = (struct outgoing){.fd = -1};
    if (!whole)
        conn->close = true;
    metric_add(M_http_bytes_out, conn->body_sent);
    metric_add(M_http_requests, 1);
    metric_add(M_http_in_flight, -1);
    if (conn->done)
        conn->done(conn->done_arg, conn->body_sent, whole);
    conn->done = NULL;
}

static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Content-Length, or -1 when there is none to tell. */
static int64_t length_of(const struct connection *conn, const struct reply *p)
{
    if (p->status == 204 || p->status < 200)
        return -1;
    if (p->has_length && (conn->head_only || p->status == 304))
        return p->length;
    switch (p->body.kind) {
    case BODY_BYTES: return (int64_t)p->body.bytes.n;
    case BODY_FILE:
    case BODY_SOURCE: return p->body.end < 0 ? -1 : p->body.end - p->body.offset;
    case BODY_NONE: break;
    }
    return p->status == 304 ? -1 : 0;
}

/* Takes over the body and says whether the connection can be used again. */
static void prepare(struct connection *conn, struct reply *p)
{
    struct outgoing *o = &conn->out;
    *o = (struct outgoing){.fd = -1};
    if (p->body.kind == BODY_FILE)
        o->fd = p->body.fd;
    if (p->body.kind == BODY_SOURCE)
        o->source = p->body.source;
    o->offset = p->body.offset;
    o->end = p->body.end;
    o->limit = p->body.limit;
    bool endless = p->body.kind == BODY_SOURCE && p->body.end < 0 && has_body(p->status);
    o->chunked = endless && !conn->http10;
    conn->done = p->done;
    conn->done_arg = p->done_arg;
    conn->body_sent = 0;
    conn->writing = (struct flow){0};
    bool deferred = p->body.kind == BODY_FILE || p->body.kind == BODY_SOURCE;
    int64_t rest = conn_body_rest(conn);
    if (p->close || !conn->keep_alive || conn->broken || (endless && conn->http10) ||
        server_draining(conn->server) || (rest && (conn->expect || deferred)) ||
        (rest > DROP_MAX && rest != INT64_MAX))
        conn->close = true;
}

/* A small file is read into the buffer of the head. False: it is shorter than promised. */
static bool take_small_file(struct outgoing *o, struct buf *b)
{
    size_t n = (size_t)(o->end - o->offset);
    char *at = buf_reserve(b, n);
    if (!at || fd_pread_all(o->fd, at, n, o->offset) != (int64_t)n)
        return false;
    b->n += n;
    return true;
}

static void finish_bytes(struct connection *conn, bool fine, size_t body_n)
{
    if (!fine)
        conn->reset = true;
    conn->body_sent = fine ? (int64_t)body_n : 0;
    send_finish(conn, fine);
}

static void send_bytes(struct connection *conn, struct buf *b, struct str bytes)
{
    bool fine;
    if (bytes.n <= ONE_SEND) {
        buf_str(b, bytes);
        fine = !b->full && conn_write(conn, b->p, b->n, false);
    } else {
        fine = !b->full && conn_write(conn, b->p, b->n, true) &&
               conn_write(conn, bytes.p, bytes.n, false);
    }
    finish_bytes(conn, fine, bytes.n);
}

static void send_file_head(struct connection *conn, struct buf *b)
{
    struct outgoing *o = &conn->out;
    assert(o->end >= o->offset);
    size_t n = (size_t)(o->end - o->offset);
    if (n <= ONE_SEND && !o->limit) {
        bool fine = take_small_file(o, b) && conn_write(conn, b->p, b->n, false);
        finish_bytes(conn, fine, n);
        return;
    }
    if (b->full || !conn_write(conn, b->p, b->n, true))
        finish_bytes(conn, false, 0);
    else
        o->active = true;
}

void reply_send(struct ctx *c, struct http_request *r, struct reply *p)
{
    (void)c;
    struct connection *conn = r->conn;
    assert(!conn->replied && p->status >= 200 && p->status < 600);
    prepare(conn, p);
    struct buf b = {.max = (size_t)256 << 10};
    buf_reserve(&b, 2048);
    put_head(&b, conn, p, length_of(conn, p));
    if (conn->head_only || !has_body(p->status) || p->body.kind == BODY_NONE)
        send_bytes(conn, &b, NO_STR);
    else if (p->body.kind == BODY_BYTES)
        send_bytes(conn, &b, p->body.bytes);
    else if (p->body.kind == BODY_FILE)
        send_file_head(conn, &b);
    else if (b.full || !conn_write(conn, b.p, b.n, false))
        finish_bytes(conn, false, 0);
    else
        conn->out.active = true;
    buf_release(&b);
    conn->replied = true;
}

void send_error(struct connection *conn, int status, const char *code, const char *why)
{
    struct buf body = {.max = 4096}, b = {.max = 8192};
    struct json_out j = {.out = &body};
    put_open(&j, '{');
    put_key(&j, S("errors"));
    put_open(&j, '[');
    put_open(&j, '{');
    put_key(&j, S("code"));
    put_str(&j, str_of(code));
    put_key(&j, S("message"));
    put_str(&j, str_of(why));
    put_close(&j, '}');
    put_close(&j, ']');
    put_close(&j, '}');
    buf_fmt(&b, "HTTP/1.1 %d %s\r\n", status, reason(status));
    buf_str(&b, date_line());
    buf_fmt(&b,
            "Content-Type: application/json\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
            body.n, status == 503 ? "Retry-After: 1\r\n" : "");
    if (!conn->head_only)
        buf_str(&b, buf_view(&body));
    conn->writing = (struct flow){0};
    conn->close = true;
    if (!conn_write(conn, b.p, b.n, false))
        conn->reset = true;
    buf_release(&body);
    buf_release(&b);
}

/* ---- after the handler ---- */

/* A token bucket of a quarter second: waits until the bytes sent so far are due. False when the
   connection is gone. */
static bool pace(struct connection *conn, int64_t started_ms)
{
    int64_t limit = conn->out.limit;
    for (;;) {
        double due = (double)conn->body_sent / (double)limit * 1000.0 - 250.0;
        int64_t wait = started_ms + (int64_t)due - clock_mono_ms();
        if (wait <= 0)
            return true;
        struct pollfd p = {conn->fd, 0, 0};
        if (poll(&p, 1, (int)i64_min(wait, 1000)) > 0)
            return false;
    }
}

static int64_t piece_size(const struct outgoing *o)
{
    return o->limit ? i64_min(PIECE, i64_max(o->limit / 8, 4096)) : PIECE;
}

/* Sends offset..until of a source's file or of what it reads out. */
static bool send_range(struct connection *conn, int64_t until)
{
    struct outgoing *o = &conn->out;
    int fd = o->source ? o->source->fd : o->fd;
    if (fd >= 0)
        return conn_write_file(conn, fd, &o->offset, until);
    size_t cap = (size_t)i64_min(until - o->offset, 64 << 10);
    char *copy = malloc(cap);
    bool fine = copy != NULL;
    while (fine && o->offset < until) {
        size_t want = size_min(cap, (size_t)(until - o->offset)), n = 0;
        fine = o->source->read(o->source, o->offset, copy, want, &n) == E_OK && n > 0 &&
               n <= want && conn_write(conn, copy, n, false);
        o->offset += fine ? (int64_t)n : 0;
    }
    free(copy);
    return fine;
}

static bool send_piece(struct connection *conn, int64_t until)
{
    struct outgoing *o = &conn->out;
    int64_t from = o->offset;
    until = i64_min(until, from + piece_size(o));
    bool fine = true;
    if (o->chunked) {
        char size[24];
        int n = snprintf(size, sizeof size, "%llx\r\n", (unsigned long long)(until - from));
        fine = conn_write(conn, size, (size_t)n, true);
    }
    fine = fine && send_range(conn, until) && (!o->chunked || conn_write(conn, "\r\n", 2, false));
    conn->body_sent += o->offset - from;
    return fine;
}

/* A source, or a file over TLS or with a limit: on this thread, to the end. */
static bool send_here(struct connection *conn)
{
    struct outgoing *o = &conn->out;
    int64_t started = clock_mono_ms();
    while (o->end < 0 || o->offset < o->end) {
        int64_t until = o->end;
        if (o->source && o->source->until(o->source, o->offset, &until) != E_OK)
            return false;
        if (until <= o->offset && o->end >= 0)
            return false; /* complete, yet shorter than promised */
        if (until <= o->offset)
            return !o->chunked || conn_write(conn, "0\r\n\r\n", 5, false);
        if (o->end >= 0)
            until = i64_min(until, o->end);
        while (o->offset < until)
            if (!send_piece(conn, until) || (o->limit && !pace(conn, started)))
                return false;
    }
    return true;
}

enum sent send_continue(struct connection *conn)
{
    struct outgoing *o = &conn->out;
    if (o->source || conn->ssl || o->limit) {
        if (send_here(conn))
            return SENT_WHOLE;
        conn->reset = true;
        return SENT_LOST;
    }
    int64_t turn = 0;
    while (o->offset < o->end) {
        if (turn >= TURN)
            return SENT_PARK;
        int64_t k = conn_sendfile(conn, o->fd, &o->offset, o->end);
        if (k == CONN_AGAIN)
            return SENT_PARK;
        if (k <= 0) {
            conn->reset = true;
            return SENT_LOST;
        }
        turn += k;
        conn->body_sent += k;
    }
    return SENT_WHOLE;
}
