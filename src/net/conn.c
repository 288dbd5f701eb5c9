/*
 * Sockets that never block, under code that does: a call that would block polls, and what it
 * waited counts against the minimum rate (1 KiB/s over 30 s). Only waiting for the other side
 * counts; the time a handler takes for itself does not. Sending is judged by what the peer has
 * acknowledged, because a socket buffer of megabytes hides a slow reader for minutes.
 */
#include "net/conn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/metric.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define RAW_READ_MAX ((size_t)256 << 10)

static int64_t tls_result(struct connection *conn, int result, short *want_out)
{
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ: *want_out = POLLIN; return CONN_AGAIN;
    case SSL_ERROR_WANT_WRITE: *want_out = POLLOUT; return CONN_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return CONN_EOF;
    default: return CONN_ERROR;
    }
}

int64_t conn_recv(struct connection *conn, void *p, size_t n, short *want_out)
{
    *want_out = POLLIN;
    if (conn->ssl) {
        ERR_clear_error();
        int k = SSL_read(conn->ssl, p, (int)size_min(n, RAW_READ_MAX));
        return k > 0 ? k : tls_result(conn, k, want_out);
    }
    for (;;) {
        ssize_t k = recv(conn->fd, p, n, 0);
        if (k >= 0)
            return k;
        if (errno != EINTR)
            return errno == EAGAIN ? CONN_AGAIN : CONN_ERROR;
    }
}

static void count_sent(struct connection *conn, int64_t n)
{
    atomic_fetch_add_explicit(&conn->sent, n, memory_order_relaxed);
}

int64_t conn_send(struct connection *conn, const void *p, size_t n, bool more, short *want_out)
{
    *want_out = POLLOUT;
    if (conn->ssl) {
        ERR_clear_error();
        int k = SSL_write(conn->ssl, p, (int)size_min(n, RAW_READ_MAX));
        if (k > 0) {
            count_sent(conn, k);
            return k;
        }
        int64_t why = tls_result(conn, k, want_out);
        return why == CONN_AGAIN ? CONN_AGAIN : CONN_ERROR;
    }
    for (;;) {
        ssize_t k = send(conn->fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        if (k >= 0) {
            count_sent(conn, k);
            return k;
        }
        if (errno != EINTR)
            return errno == EAGAIN ? CONN_AGAIN : CONN_ERROR;
    }
}

void conn_cork(const struct connection *conn, bool on)
{
    int value = on;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

/* Polls; false when the descriptor is beyond hope. Adds the time to flow. */
static bool wait_for(struct connection *conn, short events, struct flow *flow)
{
    struct pollfd p = {conn->fd, events, 0};
    int64_t before = clock_mono_ms();
    int k = poll(&p, 1, (int)i64_max(1, RATE_WINDOW_MS - flow->waited_ms));
    flow->waited_ms += clock_mono_ms() - before;
    return k >= 0 || errno == EINTR;
}

enum err conn_read(struct connection *conn, void *p, size_t n, size_t *n_out)
{
    struct flow *flow = &conn->reading;
    for (;;) {
        short want;
        int64_t k = conn_recv(conn, p, n, &want);
        if (k >= 0) {
            flow->bytes += k;
            *n_out = (size_t)k;
            return E_OK;
        }
        if (k != CONN_AGAIN || !wait_for(conn, want, flow))
            return E_CLOSED;
        if (flow->waited_ms >= RATE_WINDOW_MS) {
            if (flow->bytes < RATE_WINDOW_BYTES)
                return E_TIMEOUT;
            *flow = (struct flow){0};
        }
    }
}

/* Bytes that were sent and that the peer's kernel has. */
static int64_t acked(const struct connection *conn)
{
    int queued = 0;
    if (ioctl(conn->fd, SIOCOUTQ, &queued) != 0)
        queued = 0;
    return atomic_load_explicit(&conn->sent, memory_order_relaxed) - queued;
}

void conn_mark_acked(struct connection *conn)
{
    atomic_store_explicit(&conn->acked_mark, acked(conn), memory_order_relaxed);
}

bool conn_acked_enough(struct connection *conn)
{
    int64_t mark = atomic_load_explicit(&conn->acked_mark, memory_order_relaxed);
    return acked(conn) - mark >= RATE_WINDOW_BYTES;
}

static bool wait_to_send(struct connection *conn, short want)
{
    struct flow *flow = &conn->writing;
    if (flow->waited_ms == 0)
        conn_mark_acked(conn);
    if (!wait_for(conn, want, flow))
        return false;
    if (flow->waited_ms < RATE_WINDOW_MS)
        return true;
    flow->waited_ms = 0;
    return conn_acked_enough(conn);
}

bool conn_write(struct connection *conn, const void *p, size_t n, bool more)
{
    const char *at = p;
    while (n) {
        short want;
        int64_t k = conn_send(conn, at, n, more, &want);
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        } else if (k != CONN_AGAIN || !wait_to_send(conn, want)) {
            return false;
        }
    }
    return true;
}

int64_t conn_sendfile(struct connection *conn, int fd, int64_t *offset, int64_t end)
{
    for (;;) {
        size_t n = (size_t)i64_min(end - *offset, 4 << 20);
        ssize_t k = sendfile(conn->fd, fd, offset, n);
        if (k >= 0) {
            count_sent(conn, k);
            return k;
        }
        if (errno != EINTR)
            return errno == EAGAIN ? CONN_AGAIN : CONN_ERROR;
    }
}

/* ---- the body of a request ---- */

void conn_body_begin(struct connection *conn, int64_t content_length, bool expect)
{
    conn->body_chunked = content_length < 0;
    conn->body_left = i64_max(content_length, 0);
    conn->body_end = content_length == 0;
    conn->broken = false;
    conn->expect = expect;
    conn->chunk = (struct chunked){0};
    conn->reading = (struct flow){0};
}

int64_t conn_body_rest(const struct connection *conn)
{
    if (conn->body_end)
        return 0;
    return conn->body_chunked ? INT64_MAX : conn->body_left;
}

/* Bytes as they come: first what was received with the head. *buffered_out tells which. */
static enum err read_raw(struct connection *conn, void *p, size_t n, size_t *n_out,
                         bool *buffered_out)
{
    size_t here = conn->in_n - conn->in_at;
    *buffered_out = here > 0;
    if (here) {
        n = size_min(n, here);
        memcpy(p, conn->in + conn->in_at, n);
        conn->in_at += n;
        *n_out = n;
        return E_OK;
    }
    if (conn->expect) {
        conn->expect = false;
        if (!conn_write(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25, false))
            return E_CLOSED;
    }
    TRY(conn_read(conn, p, n, n_out));
    if (*n_out)
        return E_OK;
    return conn->body_chunked ? E_BAD_REQUEST : E_CLOSED;
}

/* What was read past the end of a chunked body goes back. */
static bool give_back(struct connection *conn, const char *p, size_t n, bool buffered)
{
    if (buffered) {
        conn->in_at -= n;
        return true;
    }
    if (n == 0)
        return true;
    conn->ahead = malloc(n);
    if (!conn->ahead)
        return false;
    memcpy(conn->ahead, p, n);
    conn->ahead_n = n;
    return true;
}

/* Decodes n raw bytes at p in place. *out_n bytes of data remain. E_BAD_REQUEST when broken. */
static enum err decode_chunks(struct connection *conn, char *p, size_t n, bool buffered,
                              size_t *out_n)
{
    size_t in = 0, out = 0;
    while (in < n) {
        size_t used;
        enum chunk_event event = chunk_next(&conn->chunk, (struct str){p + in, n - in}, &used);
        in += used;
        if (event == CHUNK_BAD)
            return E_BAD_REQUEST;
        if (event == CHUNK_DATA) {
            size_t k = size_min(n - in, (size_t)conn->chunk.left);
            memmove(p + out, p + in, k);
            chunk_took(&conn->chunk, k);
            in += k;
            out += k;
        } else if (event == CHUNK_END) {
            conn->body_end = true;
            if (!give_back(conn, p + in, n - in, buffered))
                return E_CLOSED;
            break;
        }
    }
    *out_n = out;
    return E_OK;
}

static enum err read_chunked(struct connection *conn, char *p, size_t cap, size_t *n_out)
{
    size_t n = 0;
    while (n == 0 && !conn->body_end) {
        bool buffered;
        size_t raw;
        TRY(read_raw(conn, p, size_min(cap, RAW_READ_MAX), &raw, &buffered));
        TRY(decode_chunks(conn, p, raw, buffered, &n));
    }
    *n_out = n;
    return E_OK;
}

static enum err read_sized(struct connection *conn, char *p, size_t cap, size_t *n_out)
{
    bool buffered;
    size_t n = (size_t)i64_min((int64_t)size_min(cap, INT32_MAX), conn->body_left);
    TRY(read_raw(conn, p, n, n_out, &buffered));
    conn->body_left -= (int64_t)*n_out;
    conn->body_end = conn->body_left == 0;
    return E_OK;
}

static enum err body_read(struct connection *conn, void *p, size_t cap, size_t *n_out)
{
    *n_out = 0;
    if (conn->body_end || cap == 0)
        return E_OK;
    if (conn->broken)
        return E_CLOSED;
    enum err e =
        conn->body_chunked ? read_chunked(conn, p, cap, n_out) : read_sized(conn, p, cap, n_out);
    if (e != E_OK)
        conn->broken = true;
    else
        metric_add(M_http_bytes_in, (int64_t)*n_out);
    return e;
}

static bool drop_body(struct connection *conn, int64_t max)
{
    char waste[16384];
    int64_t until = clock_mono_ms() + 5000;
    while (!conn->body_end && max > 0 && clock_mono_ms() < until) {
        size_t n;
        conn->reading.waited_ms = RATE_WINDOW_MS - i64_max(1, until - clock_mono_ms());
        conn->reading.bytes = 0;
        if (body_read(conn, waste, sizeof waste, &n) != E_OK)
            return false;
        max -= (int64_t)n;
    }
    return conn->body_end;
}

/* Mostly there is none, and then not even the buffer is touched. */
bool conn_body_drop(struct connection *conn, int64_t max)
{
    return conn->body_end || drop_body(conn, max);
}

enum err http_body_read(struct ctx *c, struct http_request *r, void *p, size_t cap, size_t *n_out)
{
    enum err e = body_read(r->conn, p, cap, n_out);
    switch ((int)e) {
    case E_OK: r->received += (int64_t)*n_out; return E_OK;
    case E_BAD_REQUEST: return fail(c, e, "broken or missing chunk in the request body");
    case E_TIMEOUT: return fail(c, e, "the request body came at less than 1 KiB/s");
    default: return fail(c, E_CLOSED, "the client went away in the middle of the request body");
    }
}

enum err http_body_all(struct ctx *c, struct http_request *r, size_t max, struct str *out)
{
    if (r->content_length > 0 && (uint64_t)r->content_length > max)
        return fail(c, E_TOO_LARGE, "the request body is larger than %zu bytes", max);
    CLEANUP(buf_release) struct buf body = {.max = max + 4097};
    for (;;) {
        size_t left = max + 1 - body.n, n;
        char *p = buf_reserve(&body, size_min(left, 4096));
        if (!p)
            return fail(c, E_INTERNAL, "out of memory for a request body");
        TRY(http_body_read(c, r, p, size_min(body.cap - body.n, left), &n));
        if (n == 0)
            break;
        body.n += n;
        if (body.n > max)
            return fail(c, E_TOO_LARGE, "the request body is larger than %zu bytes", max);
    }
    char *p = arena_try(&c->mem, body.n + 1);
    if (!p)
        return fail(c, E_TOO_LARGE, "the request body is larger than its budget");
    if (body.n)
        memcpy(p, body.p, body.n);
    *out = (struct str){p, body.n};
    return E_OK;
}
