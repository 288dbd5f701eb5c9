/*
 * Inside net: one client connection of the server, its socket and the body of its request. Owned
 * by one thread at a time (CONN_ACTIVE) or parked in the epoll; see server.c.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "net/chunk.h"
#include "net/http.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

struct server;

#define RATE_WINDOW_MS 30000          /* bodies: at least 1 KiB/s ... */
#define RATE_WINDOW_BYTES (30 * 1024) /* ... over each so long window */

/* ACTIVE and WOKEN: a thread's. WAITING: nobody's, its source will wake it. PARKED and KILLED: the
   epoll's. */
enum conn_state { CONN_ACTIVE, CONN_WOKEN, CONN_WAITING, CONN_PARKED, CONN_KILLED };

enum conn_phase {
    PHASE_HANDSHAKE,
    PHASE_IDLE,   /* between requests, no byte of the next one is here */
    PHASE_HEAD,   /* some bytes of a head are here */
    PHASE_BUSY,   /* a handler or a sender has it */
    PHASE_SEND,   /* parked while a reply is being sent */
    PHASE_FOLLOW, /* waits for the source of a reply */
    PHASE_LINGER, /* everything is said; reads on so that the last words are not lost to a reset */
};

/* How much came or went while we waited for the other side. */
struct flow {
    int64_t waited_ms, bytes;
};

/* The rest of a reply, which goes on after the handler has returned. */
struct outgoing {
    bool active, chunked;
    bool counted;  /* fd stands in the account of descriptors */
    bool in_chunk; /* its end is still to be written */
    bool last;     /* nothing follows what is in front */
    int fd;
    struct source *source;
    int64_t offset, end; /* end -1 = until the source is complete */
    int64_t piece;       /* bytes before it may be sent */
    struct buf front;    /* goes first: what the socket did not take, the frame of a chunk */
    size_t front_at;
    int64_t front_body; /* bytes of the body that end with it */
    short want;         /* the event that sending waits for */
};

struct connection {
    int kind; /* first member: see struct pollable in server.c */
    atomic_int state, phase;
    _Atomic int64_t deadline_ms; /* of a parked one; monotonic */
    int64_t head_deadline_ms;
    int fd, listener;
    struct server *server;
    struct connection *prev, *next; /* the server's list, under its lock */
    SSL *ssl;
    char peer[INET6_ADDRSTRLEN];

    char *in; /* received: the head being read or served, and what came behind it */
    size_t in_at, in_n, in_cap, in_scanned;
    char *ahead; /* bytes of the next request that were read with a chunked body */
    size_t ahead_n;

    /* the request */
    bool keep_alive, http10, head_only, replied, whole;
    bool expect; /* 100 Continue is owed when the body is first read */
    bool broken; /* the body cannot be read to its end */
    bool reset;  /* end with RST */
    bool close;
    bool body_end; /* read to its end */
    bool body_chunked;
    int64_t body_left; /* of a body with a length */
    struct chunked chunk;
    struct flow reading;

    /* the reply */
    struct outgoing out;
    int64_t body_sent;
    void (*done)(void *arg, int64_t bytes_sent, bool whole);
    void *done_arg;
    _Atomic int64_t sent;       /* bytes given to the socket, of all replies */
    _Atomic int64_t acked_mark; /* how many of them the peer had when the window began */
    struct flow writing;
};

enum { CONN_EOF = 0, CONN_ERROR = -1, CONN_AGAIN = -2 };

/* One read that does not block: bytes, or one of the above; *want_out is then the poll event. */
int64_t conn_recv(struct connection *conn, void *p, size_t n, short *want_out);
/* Reads at least a byte, waiting at most as long as the minimum rate allows. E_OK with *n_out 0
   at the end of the stream; E_TIMEOUT; E_CLOSED. */
enum err conn_read(struct connection *conn, void *p, size_t n, size_t *n_out);
/* Sends all, waiting as long as the minimum rate allows. False: give the connection up. */
bool conn_write(struct connection *conn, const void *p, size_t n, bool more);
/* One send that does not block: bytes, CONN_ERROR, or CONN_AGAIN with the poll event in *want_out;
   then the next one must begin with the same bytes. */
int64_t conn_send(struct connection *conn, const void *p, size_t n, bool more, short *want_out);
/* Until it is off again only segments of full size leave: OpenSSL sends each record of 16 KiB by
   itself. What waits is gone when it is off. */
void conn_cork(const struct connection *conn, bool on);
/* One sendfile that does not block: bytes, 0 = the file is shorter, CONN_ERROR, CONN_AGAIN. */
int64_t conn_sendfile(struct connection *conn, int fd, int64_t *offset, int64_t end);
/* Starts a window of the minimum rate; true at its end when enough was acknowledged. Any thread
   that may look at the descriptor. */
void conn_mark_acked(struct connection *conn);
bool conn_acked_enough(struct connection *conn);

/* Prepares for reading the body of a request whose head had this length. */
void conn_body_begin(struct connection *conn, int64_t content_length, bool expect);
/* Reads and drops what is left, at most max bytes and 5 seconds; false when there is more. */
bool conn_body_drop(struct connection *conn, int64_t max);
/* Is anything of the body still to come, and how much of it (INT64_MAX when chunked)? */
int64_t conn_body_rest(const struct connection *conn);

/* send.c: the rest of a reply, after the handler. */
enum sent { SENT_WHOLE, SENT_LOST, SENT_PARK, SENT_FOLLOW };
/* Goes on sending, without waiting. SENT_PARK: call again after the event out.want; SENT_FOLLOW:
   when the source has called connection_wake. */
enum sent send_continue(struct connection *conn);
/* What sources call; conn is one that waits, or is about to. Any thread. */
void connection_wake(void *conn);
/* Ends the reply: releases the source, tells done(), counts. Once per request. */
void send_finish(struct connection *conn, bool whole);
/* A reply of the server's own: an OCI error with that status, then close. */
void send_error(struct connection *conn, int status, const char *code, const char *why);
bool server_draining(const struct server *s);

#endif
