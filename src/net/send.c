/*
 * Replies. What the socket takes at once leaves in reply_send. The rest goes on after the handler
 * has returned, so that its memory is free by then, and holds no thread while the reader is slow:
 * send_continue sends until the socket is full, then the connection is parked in the epoll. Files
 * go by sendfile; over TLS they are read again from where the last record ended. What was left of
 * bytes in memory is copied in front, as far as FRONT_MAX of all connections allows; beyond it the
 * thread waits. A source that still grows is followed: when it has nothing, the connection is
 * nobody's until the source wakes it. A body that cannot be finished ends in a reset, so that no
 * client takes a part for the whole.
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

#define COPY_SIZE ((size_t)64 << 10)
#define PIECE ((int64_t)1 << 20)
#define TURN ((int64_t)8 << 20)       /* a fast reader gives the thread back after so much */
#define FRONT_MAX ((int64_t)32 << 20) /* bytes of replies in memory that wait for slow readers */
#define DROP_MAX (1 << 20)

static _Atomic int64_t in_front; /* of all connections */

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
    buf_str(b, S("HTTP/1.1 "));
    buf_i64(b, p->status);
    buf_char(b, ' ');
    buf_str(b, str_of(reason(p->status)));
    buf_str(b, S("\r\n"));
    buf_str(b, date_line());
    for (size_t i = 0; i < p->header_count; i++) {
        buf_str(b, p->headers[i].name);
        buf_add(b, ": ", 2);
        buf_str(b, p->headers[i].value);
        buf_add(b, "\r\n", 2);
    }
    if (conn->out.chunked) {
        buf_str(b, S("Transfer-Encoding: chunked\r\n"));
    } else if (length >= 0) {
        buf_str(b, S("Content-Length: "));
        buf_i64(b, length);
        buf_str(b, S("\r\n"));
    }
    if (conn->close)
        buf_str(b, S("Connection: close\r\n"));
    else if (conn->http10)
        buf_str(b, S("Connection: keep-alive\r\n"));
    buf_add(b, "\r\n", 2);
}

static void front_release(struct outgoing *o)
{
    if (o->front.cap)
        atomic_fetch_sub(&in_front, (int64_t)o->front.cap);
    buf_release(&o->front);
    o->front_at = 0;
}

void send_finish(struct connection *conn, bool whole)
{
    struct outgoing *o = &conn->out;
    front_release(o);
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
    if (p->body.kind == BODY_SOURCE) {
        o->source = p->body.source;
        o->source->wake = connection_wake;
        o->source->wake_arg = conn;
    }
    o->offset = p->body.offset;
    o->end = p->body.end;
    o->piece = o->offset;
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

/* Sends what the socket takes; how much that was, or -1. */
static int64_t push(struct connection *conn, struct str s, bool more)
{
    size_t at = 0;
    while (at < s.n) {
        int64_t k = conn_send(conn, s.p + at, s.n - at, more, &conn->out.want);
        if (k == CONN_AGAIN)
            break;
        if (k <= 0)
            return -1;
        at += (size_t)k;
    }
    return (int64_t)at;
}

/* Puts two texts in front of what is to be sent. False: it would be more than `most` in all. */
static bool put_in_front(struct outgoing *o, struct str a, struct str b, int64_t most)
{
    int64_t n = (int64_t)(a.n + b.n);
    assert(o->front_at == o->front.n);
    front_release(o);
    if (atomic_load(&in_front) + n > most || !buf_reserve(&o->front, a.n + b.n))
        return false;
    atomic_fetch_add(&in_front, (int64_t)o->front.cap);
    return buf_str(&o->front, a) && buf_str(&o->front, b);
}

/* Head and bytes; what the socket does not take waits in front. `more`: a body follows. */
static bool send_now(struct connection *conn, struct str head, struct str bytes, bool more)
{
    int64_t k = push(conn, head, more || bytes.n > 0);
    if (k < 0)
        return false;
    head = str_sub(head, (size_t)k, head.n);
    if (!head.n && bytes.n) {
        k = push(conn, bytes, more);
        if (k < 0)
            return false;
        bytes = str_sub(bytes, (size_t)k, bytes.n);
    }
    if (!head.n && !bytes.n)
        return true;
    if (put_in_front(&conn->out, head, bytes, FRONT_MAX))
        return true;
    return conn_write(conn, head.p, head.n, true) && conn_write(conn, bytes.p, bytes.n, more);
}

/* A reply whose body is in memory, or has none. */
static void send_bytes(struct connection *conn, struct buf *b, struct str bytes, size_t body_n)
{
    bool fine = !b->full && send_now(conn, buf_view(b), bytes, false);
    if (!fine || !conn->out.front.n) {
        finish_bytes(conn, fine, body_n);
        return;
    }
    conn->out.front_body = (int64_t)body_n;
    conn->out.last = conn->out.active = true;
}

static void send_text(struct connection *conn, struct buf *b, struct str bytes)
{
    if (bytes.n > (size_t)SMALL_BODY) {
        send_bytes(conn, b, bytes, bytes.n);
    } else {
        buf_str(b, bytes);
        send_bytes(conn, b, NO_STR, bytes.n);
    }
}

static void send_head(struct connection *conn, struct buf *b, bool more)
{
    if (b->full || !send_now(conn, buf_view(b), NO_STR, more))
        finish_bytes(conn, false, 0);
    else
        conn->out.active = true;
}

static void send_file(struct connection *conn, struct buf *b)
{
    struct outgoing *o = &conn->out;
    assert(o->end >= o->offset);
    size_t n = (size_t)(o->end - o->offset);
    if (n > (size_t)SMALL_BODY)
        send_head(conn, b, true);
    else if (take_small_file(o, b))
        send_bytes(conn, b, NO_STR, n);
    else
        finish_bytes(conn, false, 0);
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
        send_text(conn, &b, NO_STR);
    else if (p->body.kind == BODY_BYTES)
        send_text(conn, &b, p->body.bytes);
    else if (p->body.kind == BODY_FILE)
        send_file(conn, &b);
    else
        send_head(conn, &b, false);
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
    conn->close = true;
    if (push(conn, buf_view(&b), false) != (int64_t)b.n)
        conn->reset = true; /* also who has not read what came before is not waited for */
    buf_release(&body);
    buf_release(&b);
}

/* ---- after the handler ---- */

/* What to do when everything that may be sent is sent. */
enum step { STEP_SEND, STEP_WHOLE, STEP_LOST, STEP_LATER };

static enum step frame(struct outgoing *o, const char *text)
{
    return put_in_front(o, str_of(text), NO_STR, INT64_MAX) ? STEP_SEND : STEP_LOST;
}

/* How far the source has come. */
static enum step follow(struct outgoing *o)
{
    int64_t until;
    if (o->source->until(o->source, o->offset, &until) != E_OK)
        return STEP_LOST;
    if (until == SOURCE_LATER)
        return STEP_LATER;
    if (until <= o->offset) { /* complete, and maybe shorter than promised */
        o->last = o->end < 0;
        if (!o->last)
            return STEP_LOST;
        return o->chunked ? frame(o, "0\r\n\r\n") : STEP_WHOLE;
    }
    if (o->end >= 0)
        until = i64_min(until, o->end);
    o->piece = i64_min(until, o->offset + PIECE);
    if (!o->chunked)
        return STEP_SEND;
    char size[24];
    (void)snprintf(size, sizeof size, "%llx\r\n", (unsigned long long)(o->piece - o->offset));
    o->in_chunk = true;
    return frame(o, size);
}

static enum step next_piece(struct outgoing *o)
{
    if (o->last || (o->end >= 0 && o->offset >= o->end))
        return STEP_WHOLE;
    if (o->in_chunk) {
        o->in_chunk = false;
        return frame(o, "\r\n");
    }
    if (o->source)
        return follow(o);
    o->piece = o->end;
    return STEP_SEND;
}

static int64_t send_front(struct connection *conn)
{
    struct outgoing *o = &conn->out;
    struct str rest = str_sub(buf_view(&o->front), o->front_at, o->front.n);
    bool more = !o->last && o->offset < o->piece;
    int64_t k = conn_send(conn, rest.p, rest.n, more, &o->want);
    if (k <= 0)
        return k;
    o->front_at += (size_t)k;
    if (o->front_at < o->front.n)
        return k;
    conn->body_sent += o->front_body;
    o->front_body = 0;
    front_release(o);
    return k;
}

/* Bytes of the piece by way of memory. What does not leave is read again next time: the same bytes,
   as TLS demands. */
static int64_t send_copy(struct connection *conn, int fd, char *copy)
{
    struct outgoing *o = &conn->out;
    size_t n = (size_t)i64_min(o->piece - o->offset, (int64_t)COPY_SIZE), got = 0;
    if (fd >= 0 && fd_pread_all(fd, copy, n, o->offset) != (int64_t)n)
        return CONN_ERROR;
    for (; fd < 0 && got < n;) {
        size_t part = 0;
        int64_t at = o->offset + (int64_t)got;
        if (o->source->read(o->source, at, copy + got, n - got, &part) != E_OK || !part ||
            part > n - got)
            return CONN_ERROR;
        got += part;
    }
    int64_t k = push(conn, (struct str){copy, n}, false);
    if (k < 0)
        return CONN_ERROR;
    o->offset += k;
    conn->body_sent += k;
    return k == (int64_t)n ? k : CONN_AGAIN;
}

static int64_t send_piece(struct connection *conn, char **copy)
{
    struct outgoing *o = &conn->out;
    int fd = o->source ? o->source->fd : o->fd;
    if (conn->ssl || fd < 0) {
        if (!*copy && !(*copy = malloc(COPY_SIZE)))
            return CONN_ERROR;
        return send_copy(conn, fd, *copy);
    }
    o->want = POLLOUT;
    int64_t k = conn_sendfile(conn, fd, &o->offset, o->piece);
    conn->body_sent += i64_max(0, k);
    return k;
}

static enum sent go_on(struct connection *conn, char **copy)
{
    struct outgoing *o = &conn->out;
    int64_t turn = 0, k;
    for (;;) {
        if (o->front_at < o->front.n) {
            k = send_front(conn);
        } else if (o->offset < o->piece) {
            k = send_piece(conn, copy);
        } else {
            switch (next_piece(o)) {
            case STEP_SEND: continue;
            case STEP_WHOLE: return SENT_WHOLE;
            case STEP_LATER: return SENT_FOLLOW;
            case STEP_LOST: return SENT_LOST;
            }
        }
        if (k == CONN_AGAIN)
            return SENT_PARK;
        if (k <= 0)
            return SENT_LOST;
        turn += k;
        if (turn >= TURN) {
            o->want = POLLOUT;
            return SENT_PARK;
        }
    }
}

enum sent send_continue(struct connection *conn)
{
    char *copy = NULL;
    if (conn->ssl)
        conn_cork(conn, true);
    enum sent sent = go_on(conn, &copy);
    if (conn->ssl)
        conn_cork(conn, false);
    free(copy);
    if (sent == SENT_LOST)
        conn->reset = true;
    return sent;
}
