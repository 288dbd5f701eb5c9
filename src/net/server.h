/* The HTTP/1.1 server: one epoll, parked connections, blocking workers, TLS, drain. */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "net/http.h"

struct server;

struct server_listener {
    struct str address; /* "127.0.0.1:5000", "[::1]:5000", "0.0.0.0:80"; port 0 = any free one */
    bool tls;
    int id; /* handed to the handler in http_request.listener */
};

struct server_options {
    const struct server_listener *listeners;
    size_t listener_count;
    struct str tls_cert, tls_key; /* PEM files, when a listener has tls */
    struct strs forwarded_from;   /* CIDRs whose X-Forwarded-* are believed */
    int64_t max_threads, max_connections;
    void (*handle)(struct http_request *r, void *arg); /* must call reply_send once */
    void *arg;
};

/* Binds and listens, nothing is answered yet. E_CONFLICT with "address already in use" in words. */
enum err server_new(struct ctx *c, const struct server_options *o, struct server **out);
/* Port of the i-th listener (for port 0). */
int server_port(const struct server *s, size_t i);
/* Answers until server_drain; returns when the last connection is gone or 30 s have passed. overdue
   (may be NULL) is called when that time is nearly over: what handlers wait for is to end. False:
   handlers still run, and what they use must not be freed. */
bool server_run(struct server *s, void (*overdue)(void *arg), void *arg);
/* Stop accepting, finish what is under way, close idle connections. Any thread, not a handler. */
void server_drain(struct server *s);
/* Reads certificate and key again; open connections keep theirs. The old ones stay on error. */
enum err server_reload_tls(struct ctx *c, struct server *s);
void server_free(struct server *s);

#endif
