/*
 * The server. One epoll holds every connection that waits for its client: idle, in the middle of
 * a head or of a TLS handshake, or reading a reply slower than we send it. None of them costs a
 * thread, nor does one that waits for the source of its reply: it is in no hand and armed for no
 * event until connection_wake. All events are one-shot: the worker that takes one owns the
 * connection (CONN_ACTIVE) until it parks or closes it. A worker that finds a whole head runs the
 * handler, which may block as it likes; pool.c sees to it that others take the next events.
 *
 * Deadlines are swept twice a second by the thread in server_run. The sweep never touches a
 * connection that a worker owns: it marks a parked one CONN_KILLED and shuts its socket down, and
 * the event that follows lets a worker close it.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/conn.h"
#include "net/descriptors.h"
#include "net/forwarded.h"
#include "net/head.h"
#include "net/listen.h"
#include "net/pool.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MS 9000 /* swept every 500 ms, on a busy machine later: none is older than 10 s */
#define IDLE_MS 120000
#define LINGER_MS 2000
#define DRAIN_MS 28000
#define CUT_MS 2000 /* then connections are cut; 30 s in all */
#define SWEEP_MS 500
#define WORKERS_BESIDE 8 /* threads over the cap of handlers: they parse, park and say 503 */
#define READ_FIRST 4096
#define DROP_MAX (1 << 20)
#define LINGER_BYTES (8 << 20)

/* What an epoll event points to; the first member of each kind. */
enum { KIND_LISTENER, KIND_CONNECTION };

struct pollable {
    int kind;
};

struct listener {
    int kind;
    int fd, id, port;
    bool tls;
    atomic_bool starved; /* accept failed for lack of descriptors; the sweep arms it again */
    struct server *server;
};

struct server {
    struct listener *listeners;
    size_t listener_count;
    struct tls *tls;
    struct cidrs believed;
    int64_t max_threads;
    struct descriptors fds;
    void (*handle)(struct http_request *r, void *arg);
    void *arg;
    int epoll, wake; /* wake: for server_run */
    struct pool *pool;
    atomic_bool draining, running;
    _Atomic int64_t busy, busy_with_body, connections;
    pthread_mutex_t lock; /* of the list */
    struct connection *list;
};

bool server_draining(const struct server *s)
{
    return atomic_load_explicit(&s->draining, memory_order_relaxed);
}

/* ---- connections ---- */

static void list_add(struct server *s, struct connection *conn)
{
    pthread_mutex_lock(&s->lock);
    conn->next = s->list;
    if (s->list)
        s->list->prev = conn;
    s->list = conn;
    pthread_mutex_unlock(&s->lock);
}

static void list_remove(struct server *s, struct connection *conn)
{
    pthread_mutex_lock(&s->lock);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        s->list = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    pthread_mutex_unlock(&s->lock);
}

static void input_release(struct connection *conn)
{
    free(conn->in);
    conn->in = NULL;
    conn->in_at = conn->in_n = conn->in_cap = conn->in_scanned = 0;
}

/* The end of a reply, and of what its file was lent. */
static void reply_end(struct connection *conn, bool whole)
{
    bool counted = conn->out.counted;
    send_finish(conn, whole);
    if (counted)
        descriptors_give(&conn->server->fds, 1);
}

static void connection_close(struct connection *conn)
{
    struct server *s = conn->server;
    if (conn->out.active)
        reply_end(conn, false);
    list_remove(s, conn); /* from here on the sweep does not know its descriptor */
    if (conn->reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else if (conn->ssl && SSL_is_init_finished(conn->ssl)) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
    }
    SSL_free(conn->ssl);
    close(conn->fd);
    input_release(conn);
    free(conn->ahead);
    free(conn);
    descriptors_give(&s->fds, 1);
    metric_add(M_http_connections, -1);
    if (atomic_fetch_sub(&s->connections, 1) == 1 && server_draining(s))
        eventfd_write(s->wake, 1);
}

enum next { NEXT_HEAD, NEXT_CLOSE, NEXT_PARKED };

/* Gives the connection to the epoll. With NEXT_PARKED it is no longer the caller's: whoever takes
   the event waits for the store at the end. */
static enum next park(struct connection *conn, enum conn_phase phase, uint32_t events,
                      int64_t deadline_ms)
{
    struct epoll_event e = {.events = events | EPOLLONESHOT, .data.ptr = conn};
    atomic_store(&conn->phase, (int)phase);
    atomic_store(&conn->deadline_ms, deadline_ms);
    if (epoll_ctl(conn->server->epoll, EPOLL_CTL_MOD, conn->fd, &e) != 0)
        return NEXT_CLOSE;
    atomic_store(&conn->state, CONN_PARKED);
    return NEXT_PARKED;
}

static uint32_t epoll_events(short want)
{
    return want == POLLOUT ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN;
}

static void peer_text(const struct sockaddr_storage *sa, char out[INET6_ADDRSTRLEN])
{
    const void *at = NULL;
    int family = sa->ss_family;
    if (family == AF_INET) {
        at = &((const struct sockaddr_in *)sa)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)sa)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(a);
        at = mapped ? (const void *)&a->s6_addr[12] : (const void *)a;
        family = mapped ? AF_INET : AF_INET6;
    }
    if (!at || !inet_ntop(family, at, out, INET6_ADDRSTRLEN))
        out[0] = 0;
}

/* Over the cap: a short answer, and as little of our time as can be. */
static void refuse_connection(int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
                               "Content-Type: application/json\r\nContent-Length: 80\r\n"
                               "Connection: close\r\n\r\n"
                               "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":"
                               "\"too many connections, try later\"}]}\n";
    char waste[4096];
    ssize_t n = send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    if (n > 0)
        n = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
    close(fd);
    metric_add(M_http_refused, 1);
}

static void connection_new(struct listener *l, int fd, const struct sockaddr_storage *sa)
{
    struct server *s = l->server;
    struct connection *conn = calloc(1, sizeof *conn);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (conn && l->tls && !(conn->ssl = tls_session(s->tls, fd))) {
        free(conn);
        conn = NULL;
    }
    if (!conn) {
        close(fd);
        descriptors_give(&s->fds, 1);
        return;
    }
    conn->kind = KIND_CONNECTION;
    conn->fd = fd;
    conn->listener = l->id;
    conn->server = s;
    conn->out.fd = -1;
    peer_text(sa, conn->peer);
    conn->head_deadline_ms = clock_mono_ms() + HEAD_MS;
    atomic_store(&conn->phase, conn->ssl ? PHASE_HANDSHAKE : PHASE_IDLE);
    atomic_store(&conn->deadline_ms, conn->head_deadline_ms);
    atomic_store(&conn->state, CONN_ACTIVE);
    atomic_fetch_add(&s->connections, 1);
    metric_add(M_http_connections, 1);
    list_add(s, conn);
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = conn};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) == 0)
        atomic_store(&conn->state, CONN_PARKED);
    else
        connection_close(conn);
}

static void arm(struct listener *l, int op)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = l};
    if (epoll_ctl(l->server->epoll, op, l->fd, &e) != 0)
        log_error("net", "cannot watch a listener: errno %d", errno);
}

static void accept_some(struct listener *l)
{
    struct server *s = l->server;
    for (int i = 0; i < 64; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int fd = accept4(l->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno != EAGAIN) {
            atomic_store(&l->starved, true);
            return;
        }
        if (fd < 0)
            break;
        if (atomic_load(&s->connections) >= s->fds.connections || !descriptors_connection(&s->fds))
            refuse_connection(fd);
        else
            connection_new(l, fd, &sa);
    }
    if (!server_draining(s))
        arm(l, EPOLL_CTL_MOD);
}

/* ---- one request ---- */

/* Reads on without a word, so that our last ones are not destroyed by a reset (RFC 9112, 9.6). */
static enum next linger(struct connection *conn)
{
    char waste[16384];
    for (;;) {
        ssize_t k = recv(conn->fd, waste, sizeof waste, MSG_DONTWAIT);
        if (k > 0) {
            conn->body_sent += k; /* the reply is over; counts what was dropped */
            if (conn->body_sent > LINGER_BYTES)
                return NEXT_CLOSE;
        } else if (k < 0 && errno == EAGAIN) {
            return park(conn, PHASE_LINGER, EPOLLIN, conn->head_deadline_ms);
        } else if (k == 0 || errno != EINTR) {
            return NEXT_CLOSE;
        }
    }
}

static enum next linger_begin(struct connection *conn)
{
    if (conn->reset)
        return NEXT_CLOSE;
    if (conn->ssl && SSL_is_init_finished(conn->ssl)) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
    }
    shutdown(conn->fd, SHUT_WR);
    input_release(conn);
    conn->body_sent = 0;
    conn->head_deadline_ms = clock_mono_ms() + LINGER_MS;
    return linger(conn);
}

static enum next refuse(struct connection *conn, int status, const char *code, const char *why)
{
    conn->head_only = false;
    send_error(conn, status, code, why);
    return linger_begin(conn);
}

static enum next wait_for_head(struct connection *conn, short want)
{
    if (conn->in_at < conn->in_n)
        return park(conn, PHASE_HEAD, epoll_events(want), conn->head_deadline_ms);
    input_release(conn);
    if (server_draining(conn->server))
        return NEXT_CLOSE;
    int64_t until = conn->head_deadline_ms ? conn->head_deadline_ms : clock_mono_ms() + IDLE_MS;
    return park(conn, PHASE_IDLE, epoll_events(want), until);
}

/* After a reply: ready for the next request, or the end. */
static enum next settle(struct connection *conn)
{
    if (conn->reset)
        return NEXT_CLOSE;
    if (!conn->close && !conn_body_drop(conn, DROP_MAX))
        conn->close = true;
    if (conn->close)
        return conn_body_rest(conn) || conn->in_at < conn->in_n ? linger_begin(conn) : NEXT_CLOSE;
    if (conn->ahead) {
        input_release(conn);
        conn->in = TAKE(conn->ahead);
        conn->in_n = conn->in_cap = conn->ahead_n;
    }
    conn->in_scanned = 0;
    conn->head_deadline_ms = 0;
    if (conn->in_at == conn->in_n && !conn->ssl)
        return wait_for_head(conn, POLLIN); /* few clients are so fast that a read would pay */
    if (conn->in_at < conn->in_n)
        conn->head_deadline_ms = clock_mono_ms() + HEAD_MS;
    return NEXT_HEAD;
}

/* Arms a connection that was nobody's: a worker takes it and goes on sending. */
static void take_up(struct connection *conn)
{
    struct epoll_event e = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = conn};
    if (epoll_ctl(conn->server->epoll, EPOLL_CTL_MOD, conn->fd, &e) != 0)
        log_error("net", "a connection cannot be woken: errno %d", errno);
}

void connection_wake(void *arg)
{
    struct connection *conn = arg;
    for (;;) {
        int state = atomic_load(&conn->state);
        if (state == CONN_WAITING &&
            atomic_compare_exchange_weak(&conn->state, &state, CONN_PARKED)) {
            take_up(conn); /* from here on it is another thread's */
            return;
        }
        if (state == CONN_ACTIVE && atomic_compare_exchange_weak(&conn->state, &state, CONN_WOKEN))
            return;
        if (state != CONN_ACTIVE && state != CONN_WAITING)
            return;
    }
}

/* Leaves the connection to its source. False: that has called already. */
static bool leave_to_source(struct connection *conn)
{
    int active = CONN_ACTIVE;
    atomic_store(&conn->phase, PHASE_FOLLOW);
    atomic_store(&conn->deadline_ms, clock_mono_ms() + SWEEP_MS);
    if (atomic_compare_exchange_strong(&conn->state, &active, CONN_WAITING))
        return true;
    atomic_store(&conn->state, CONN_ACTIVE);
    atomic_store(&conn->deadline_ms, 0);
    return false;
}

/* The rest of a reply, as far as it goes without waiting for a slow reader or a slow source. */
static enum next send_rest(struct connection *conn)
{
    enum sent sent;
    do {
        sent = send_continue(conn);
        if (sent == SENT_FOLLOW && leave_to_source(conn))
            return NEXT_PARKED;
    } while (sent == SENT_FOLLOW);
    if (sent != SENT_PARK) {
        reply_end(conn, sent == SENT_WHOLE);
        return settle(conn);
    }
    int64_t now = clock_mono_ms(), until = atomic_load(&conn->deadline_ms);
    if (until && now >= until && !conn_acked_enough(conn)) {
        conn->reset = true;
        reply_end(conn, false);
        return NEXT_CLOSE;
    }
    if (!until || now >= until) {
        conn_mark_acked(conn);
        until = now + RATE_WINDOW_MS;
    }
    return park(conn, PHASE_SEND, epoll_events(conn->out.want), until);
}

/* A place for a handler and its descriptors; a quarter of the places is not for requests that bring
   a body. */
static bool slot_take(struct server *s, bool with_body)
{
    int64_t busy = atomic_fetch_add(&s->busy, 1) + 1;
    int64_t bodies = with_body ? atomic_fetch_add(&s->busy_with_body, 1) + 1 : 0;
    if (busy <= s->max_threads && bodies <= i64_max(1, s->max_threads - s->max_threads / 4) &&
        descriptors_request(&s->fds))
        return true;
    atomic_fetch_sub(&s->busy, 1);
    if (with_body)
        atomic_fetch_sub(&s->busy_with_body, 1);
    metric_add(M_http_refused, 1);
    return false;
}

static void slot_give(struct server *s, bool with_body)
{
    atomic_fetch_sub(&s->busy, 1);
    if (with_body)
        atomic_fetch_sub(&s->busy_with_body, 1);
}

static void call_handler(struct connection *conn, const struct head *head,
                         const struct target *target)
{
    struct server *s = conn->server;
    struct http_request r = {
        .method = head->method,
        .method_text = head->method_text,
        .target = head->target,
        .path = target->path,
        .query = target->query,
        .headers = head->headers,
        .header_count = head->header_count,
        .content_length = head->content_length,
        .host = target->host.n ? target->host : head->host,
        .https = conn->ssl != NULL,
        .listener = conn->listener,
        .started_ms = clock_mono_ms(),
        .conn = conn,
    };
    forwarded_apply(&s->believed, str_of(conn->peer), head->headers, head->header_count, &r.client,
                    &r.https);
    conn->keep_alive = head->keep_alive;
    conn->http10 = head->minor == 0;
    conn->head_only = head->method == HTTP_HEAD;
    conn->replied = false;
    conn->close = false;
    conn_body_begin(conn, head->content_length, head->expect_continue);
    atomic_store(&conn->deadline_ms, 0);
    metric_add(M_http_in_flight, 1);
    heap_forget();
    s->handle(&r, s->arg);
    if (!conn->replied) {
        log_error("net", "no reply to %.*s %.*s", STR(r.method_text), STR(r.path));
        send_error(conn, 500, "UNKNOWN", "internal error");
        conn->body_sent = 0;
        send_finish(conn, false);
    }
}

static enum next serve_head(struct connection *conn, size_t len)
{
    struct head head;
    struct target target;
    struct head_error error = {0};
    struct str bytes = {conn->in + conn->in_at, len};
    if (!head_parse(bytes, &head, &error))
        return refuse(conn, error.status, "UNSUPPORTED", error.why);
    char *scratch = str_find(head.target, '%') < 0 ? NULL : malloc(head.target.n);
    if (!scratch && str_find(head.target, '%') >= 0)
        return NEXT_CLOSE;
    enum next next;
    bool with_body = head.content_length != 0;
    if (!target_parse(head.target, scratch, &target, &error)) {
        next = refuse(conn, error.status, "UNSUPPORTED", error.why);
    } else if (!slot_take(conn->server, with_body)) {
        next = refuse(conn, 503, "UNAVAILABLE", "the server is busy, try again");
    } else {
        struct server *s = conn->server; /* conn may be another thread's when send_rest returns */
        atomic_store(&conn->phase, PHASE_BUSY);
        conn->in_at += len;
        call_handler(conn, &head, &target);
        conn->out.counted = conn->out.fd >= 0;
        descriptors_give(&s->fds, REQUEST_DESCRIPTORS - conn->out.counted);
        next = conn->out.active ? send_rest(conn) : settle(conn);
        slot_give(s, with_body);
    }
    free(scratch);
    return next;
}

/* Makes room behind what is there; the head being read moves to the front. */
static bool input_room(struct connection *conn)
{
    if (conn->in_at) {
        memmove(conn->in, conn->in + conn->in_at, conn->in_n - conn->in_at);
        conn->in_n -= conn->in_at;
        conn->in_at = 0;
    }
    if (conn->in_cap - conn->in_n >= READ_FIRST / 2)
        return true;
    size_t cap = conn->in_cap < READ_FIRST ? READ_FIRST : conn->in_cap * 2;
    char *in = realloc(conn->in, cap);
    if (!in)
        return false;
    conn->in = in;
    conn->in_cap = cap;
    return true;
}

/* Reads until there is a head, serves it, and says what comes then. */
static enum next serve_one(struct connection *conn)
{
    for (;;) {
        struct head_error error = {0};
        size_t len;
        struct str bytes = {conn->in ? conn->in + conn->in_at : NULL, conn->in_n - conn->in_at};
        if (conn->in_scanned == 0 && str_starts(bytes, S("\r\n"))) {
            conn->in_at += 2; /* RFC 9112, section 2.2: an empty line before a request */
            bytes = str_sub(bytes, 2, bytes.n);
        }
        switch (bytes.n ? head_find(bytes, &conn->in_scanned, &len, &error) : HEAD_PARTIAL) {
        case HEAD_WHOLE: return serve_head(conn, len);
        case HEAD_BAD: return refuse(conn, error.status, "UNSUPPORTED", error.why);
        case HEAD_PARTIAL: break;
        }
        short want;
        if (!input_room(conn))
            return NEXT_CLOSE;
        int64_t k = conn_recv(conn, conn->in + conn->in_n, conn->in_cap - conn->in_n, &want);
        if (k == CONN_AGAIN)
            return wait_for_head(conn, want);
        if (k <= 0)
            return NEXT_CLOSE;
        conn->in_n += (size_t)k;
        if (!conn->head_deadline_ms)
            conn->head_deadline_ms = clock_mono_ms() + HEAD_MS;
    }
}

static enum next handshake(struct connection *conn)
{
    ERR_clear_error();
    int k = SSL_do_handshake(conn->ssl);
    if (k == 1)
        return NEXT_HEAD;
    int why = SSL_get_error(conn->ssl, k);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return NEXT_CLOSE;
    return park(conn, PHASE_HANDSHAKE, why == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN,
                conn->head_deadline_ms);
}

static enum next send_again(struct connection *conn, int phase)
{
    if (phase == PHASE_FOLLOW) /* its reader had everything: a new window begins */
        atomic_store(&conn->deadline_ms, 0);
    return send_rest(conn);
}

/* An event came for a parked connection. */
static void serve(struct connection *conn)
{
    int parked = CONN_PARKED;
    enum next next = NEXT_HEAD;
    while (atomic_load(&conn->state) < CONN_WAITING)
        sched_yield(); /* the one who parks it is on its last line */
    if (!atomic_compare_exchange_strong(&conn->state, &parked, CONN_ACTIVE)) {
        conn->reset = conn->reset || conn->out.active; /* killed by the sweep */
        next = NEXT_CLOSE;
    } else {
        int phase = atomic_load(&conn->phase);
        if (phase == PHASE_HANDSHAKE)
            next = handshake(conn);
        else if (phase == PHASE_SEND || phase == PHASE_FOLLOW)
            next = send_again(conn, phase);
        else if (phase == PHASE_LINGER)
            next = linger(conn);
    }
    while (next == NEXT_HEAD)
        next = serve_one(conn);
    if (next == NEXT_CLOSE)
        connection_close(conn);
}

/* What the pool's workers do with an event. */
static void serve_event(void *what)
{
    if (((struct pollable *)what)->kind == KIND_LISTENER)
        accept_some(what);
    else
        serve(what);
}

/* ---- the sweep, and the life of the server ---- */

static void kill_parked(struct connection *conn)
{
    int parked = CONN_PARKED;
    if (atomic_compare_exchange_strong(&conn->state, &parked, CONN_KILLED))
        shutdown(conn->fd, SHUT_RDWR);
}

/* A connection that waits for its source is looked after now and then: sources may leave the last
   bytes that came unannounced, and nobody tells us of a client that has left. */
static void sweep_waiting(struct connection *conn, int64_t now, bool all)
{
    int waiting = CONN_WAITING;
    struct pollfd p = {conn->fd, 0, 0};
    if (!all && now < atomic_load(&conn->deadline_ms))
        return;
    if (!all && poll(&p, 1, 0) == 0)
        connection_wake(conn);
    else if (atomic_compare_exchange_strong(&conn->state, &waiting, CONN_KILLED))
        take_up(conn);
}

/* A drain closes what waits for nothing: no byte of a request is on its way. */
static bool is_idle(const struct connection *conn)
{
    int phase = atomic_load(&conn->phase), bytes = 0;
    return (phase == PHASE_IDLE || phase == PHASE_HANDSHAKE) &&
           (ioctl(conn->fd, FIONREAD, &bytes) != 0 || bytes == 0);
}

static void sweep(struct server *s, bool all)
{
    int64_t now = clock_mono_ms();
    bool draining = server_draining(s);
    pthread_mutex_lock(&s->lock);
    for (struct connection *conn = s->list; conn; conn = conn->next) {
        if (all)
            shutdown(conn->fd, SHUT_RDWR); /* handlers that read or write now fail */
        int state = atomic_load(&conn->state);
        if (state == CONN_WAITING)
            sweep_waiting(conn, now, all);
        if (state != CONN_PARKED)
            continue;
        int phase = atomic_load(&conn->phase);
        bool late = phase != PHASE_FOLLOW && now >= atomic_load(&conn->deadline_ms);
        if (late && phase == PHASE_SEND && conn_acked_enough(conn)) {
            conn_mark_acked(conn);
            atomic_store(&conn->deadline_ms, now + RATE_WINDOW_MS);
            late = false;
        }
        if (late || all || (draining && is_idle(conn)))
            kill_parked(conn);
    }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->listener_count && !draining; i++)
        if (atomic_exchange(&s->listeners[i].starved, false))
            arm(&s->listeners[i], EPOLL_CTL_MOD);
}

static void wait_ms(struct server *s, int ms)
{
    struct pollfd p = {s->wake, POLLIN, 0};
    eventfd_t count;
    if (poll(&p, 1, ms) > 0)
        eventfd_read(s->wake, &count);
}

bool server_run(struct server *s, void (*overdue)(void *arg), void *arg)
{
    atomic_store(&s->running, true);
    pool_start(s->pool);
    for (size_t i = 0; i < s->listener_count; i++)
        arm(&s->listeners[i], EPOLL_CTL_ADD);
    while (!server_draining(s)) {
        sweep(s, false);
        wait_ms(s, SWEEP_MS);
    }
    int64_t until = clock_mono_ms() + DRAIN_MS;
    while (atomic_load(&s->connections) > 0 && clock_mono_ms() < until) {
        sweep(s, false);
        wait_ms(s, SWEEP_MS / 5);
    }
    if (overdue && atomic_load(&s->connections) > 0)
        overdue(arg);
    until = clock_mono_ms() + CUT_MS;
    while (atomic_load(&s->connections) > 0 && clock_mono_ms() < until) {
        sweep(s, true);
        wait_ms(s, SWEEP_MS / 5);
    }
    atomic_store(&s->running, !pool_stop(s->pool, 2000));
    return !atomic_load(&s->running);
}

void server_drain(struct server *s)
{
    for (size_t i = 0; i < s->listener_count && atomic_load(&s->running); i++)
        accept_some(&s->listeners[i]); /* who already knocked is let in */
    atomic_store(&s->draining, true);
    for (size_t i = 0; i < s->listener_count; i++)
        shutdown(s->listeners[i].fd, SHUT_RDWR); /* closed in server_free: no reuse meanwhile */
    eventfd_write(s->wake, 1);
}

int server_port(const struct server *s, size_t i)
{
    return s->listeners[i].port;
}

enum err server_reload_tls(struct ctx *c, struct server *s)
{
    return s->tls ? tls_reload(c, s->tls) : E_OK;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (atomic_load(&s->running)) {
        log_warn("net", "handlers still run; the server's memory is left to the process's end");
        return;
    }
    while (s->list) {
        struct connection *conn = s->list;
        connection_close(conn);
    }
    for (size_t i = 0; i < s->listener_count; i++)
        fd_done(&s->listeners[i].fd);
    pool_free(s->pool);
    fd_done(&s->epoll);
    fd_done(&s->wake);
    tls_free(s->tls);
    cidrs_release(&s->believed);
    pthread_mutex_destroy(&s->lock);
    free(s->listeners);
    free(s);
}

static void share_descriptors(struct server *s, int64_t connections)
{
    int64_t files = descriptors_limit();
    descriptors_init(&s->fds, files, connections);
    if (s->fds.connections < connections)
        log_warn("net", "%lld connections instead of %lld: the limit of open files is %lld",
                 (long long)s->fds.connections, (long long)connections, (long long)files);
}

static void server_done(struct server **s)
{
    server_free(*s);
}

enum err server_new(struct ctx *c, const struct server_options *o, struct server **out)
{
    CLEANUP(server_done) struct server *s = calloc(1, sizeof *s);
    if (!s || !(s->listeners = calloc(o->listener_count + 1, sizeof *s->listeners))) {
        free(TAKE(s));
        return fail_errno(c, E_INTERNAL, ENOMEM, "the server");
    }
    pthread_mutex_init(&s->lock, NULL);
    signal(SIGPIPE, SIG_IGN); /* sendfile and OpenSSL know no MSG_NOSIGNAL */
    s->max_threads = o->max_threads > 0 ? o->max_threads : 4096;
    share_descriptors(s, o->max_connections > 0 ? o->max_connections : 12000);
    s->handle = o->handle;
    s->arg = o->arg;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll < 0 || s->wake < 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot make an epoll");
    struct pool_options p = {s->epoll, s->max_threads + WORKERS_BESIDE, serve_event};
    TRY(pool_new(c, &p, &s->pool));
    TRY(cidrs_init(c, &o->forwarded_from, &s->believed));
    for (size_t i = 0; i < o->listener_count; i++) {
        const struct server_listener *from = &o->listeners[i];
        struct listener *l = &s->listeners[i];
        l->kind = KIND_LISTENER;
        l->id = from->id;
        l->tls = from->tls;
        l->server = s;
        TRY(listen_on(c, from->address, &l->fd, &l->port));
        s->listener_count++;
        if (from->tls && !s->tls)
            TRY(tls_new(c, o->tls_cert, o->tls_key, &s->tls));
    }
    *out = TAKE(s);
    return E_OK;
}
