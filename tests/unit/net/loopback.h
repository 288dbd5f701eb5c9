/* A tiny HTTP server in threads of the test: a handler writes raw bytes, requests are kept. */
#ifndef UNIT_NET_LOOPBACK_H
#define UNIT_NET_LOOPBACK_H

#include "base/ctx.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK_SEEN 256

struct loopback;
/* Answers one request on fd; false = close the connection. head is terminated. */
typedef bool loopback_handler(struct loopback *l, int fd, const char *head);

struct loopback {
    int fd, port;
    char host[32];
    loopback_handler *handler;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    size_t connections, alive;
    char *seen[LOOPBACK_SEEN];
    size_t seen_count;
    bool stopping;
};

struct loopback_peer {
    struct loopback *l;
    int fd;
};

static inline void loopback_put(int fd, const char *text)
{
    size_t n = strlen(text);
    while (n) {
        ssize_t w = send(fd, text, n, MSG_NOSIGNAL);
        if (w <= 0)
            return;
        text += w;
        n -= (size_t)w;
    }
}

/* A whole answer with Content-Length; more holds complete header lines. */
static inline void loopback_answer(int fd, const char *status, const char *more, const char *body)
{
    char head[4096];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, more,
             strlen(body));
    loopback_put(fd, head);
    loopback_put(fd, body);
}

static inline void loopback_note(struct loopback *l, const char *head)
{
    pthread_mutex_lock(&l->lock);
    if (l->seen_count < LOOPBACK_SEEN)
        l->seen[l->seen_count++] = strdup(head);
    pthread_mutex_unlock(&l->lock);
}

static inline void *loopback_serve(void *arg)
{
    struct loopback_peer peer = *(struct loopback_peer *)arg;
    free(arg);
    char head[16384];
    size_t n = 0;
    for (;;) {
        head[n] = '\0';
        char *end = strstr(head, "\r\n\r\n");
        if (!end) {
            ssize_t r = n + 1 < sizeof head ? read(peer.fd, head + n, sizeof head - 1 - n) : 0;
            if (r <= 0)
                break;
            n += (size_t)r;
            continue;
        }
        end[2] = '\0';
        loopback_note(peer.l, head);
        bool more = peer.l->handler(peer.l, peer.fd, head);
        size_t used = (size_t)(end - head) + 4;
        memmove(head, head + used, n - used);
        n -= used;
        if (!more)
            break;
    }
    close(peer.fd);
    pthread_mutex_lock(&peer.l->lock);
    peer.l->alive--;
    pthread_mutex_unlock(&peer.l->lock);
    return NULL;
}

static inline void *loopback_accept(void *arg)
{
    struct loopback *l = arg;
    for (;;) {
        int fd = accept(l->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        int on = 1; /* head and body are two writes */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&l->lock);
        bool stopping = l->stopping;
        l->connections++;
        l->alive++;
        pthread_mutex_unlock(&l->lock);
        struct loopback_peer *peer = malloc(sizeof *peer);
        pthread_t thread;
        if (stopping || !peer)
            return NULL;
        *peer = (struct loopback_peer){l, fd};
        pthread_create(&thread, NULL, loopback_serve, peer);
        pthread_detach(thread);
    }
}

static inline void loopback_start(struct loopback *l, const char *host, loopback_handler *handler,
                                  void *arg)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof at;
    *l = (struct loopback){.handler = handler, .arg = arg};
    snprintf(l->host, sizeof l->host, "%s", host);
    pthread_mutex_init(&l->lock, NULL);
    inet_pton(AF_INET, host, &at.sin_addr);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(l->fd, (struct sockaddr *)&at, sizeof at) || listen(l->fd, 64) ||
        getsockname(l->fd, (struct sockaddr *)&at, &n))
        abort();
    l->port = ntohs(at.sin_port);
    pthread_create(&l->thread, NULL, loopback_accept, l);
}

/* After every client that keeps connections was freed. */
static inline void loopback_stop(struct loopback *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_mutex_unlock(&l->lock);
    shutdown(l->fd, SHUT_RDWR);
    pthread_join(l->thread, NULL);
    close(l->fd);
    for (int tries = 0; tries < 500; tries++) {
        pthread_mutex_lock(&l->lock);
        bool idle = l->alive == 0;
        pthread_mutex_unlock(&l->lock);
        if (idle)
            break;
        usleep(10000);
    }
    for (size_t i = 0; i < l->seen_count; i++)
        free(l->seen[i]);
}

/* How many requests held that text. */
static inline size_t loopback_count(struct loopback *l, const char *text)
{
    size_t found = 0;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->seen_count; i++)
        found += strstr(l->seen[i], text) != NULL;
    pthread_mutex_unlock(&l->lock);
    return found;
}

#endif
