/* An upstream registry on 127.0.0.1 with one blob, that breaks off, lies or dawdles on demand. */
#ifndef TESTS_REGISTRY_LOOPBACK_H
#define TESTS_REGISTRY_LOOPBACK_H

#include "base/digest.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOP_REQUESTS 256

struct loop {
    int fd, port;
    pthread_t thread;
    char *blob;
    size_t size;
    struct digest digest;
    /* what is wrong with it */
    atomic_long cut_at;  /* of the first answer: bytes after which it breaks off; 0 = never */
    atomic_bool corrupt; /* the last byte is another one */
    atomic_bool chunked; /* no length */
    atomic_int status;   /* instead of 200 */
    atomic_long rate;    /* bytes per second; 0 = none */
    /* what was asked */
    atomic_int gets;
    atomic_long offsets[LOOP_REQUESTS];
    atomic_bool stop;
    atomic_int answering;
};

struct loop_call {
    struct loop *loop;
    int fd;
};

static inline bool loop_write(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static inline bool loop_piece(struct loop *l, int fd, size_t at, size_t n)
{
    char head[32];
    if (atomic_load(&l->chunked) &&
        !loop_write(fd, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", n)))
        return false;
    bool last = at + n == l->size && atomic_load(&l->corrupt);
    if (!loop_write(fd, l->blob + at, last ? n - 1 : n))
        return false;
    if (last) {
        char other = (char)~l->blob[l->size - 1];
        if (!loop_write(fd, &other, 1))
            return false;
    }
    return !atomic_load(&l->chunked) || loop_write(fd, "\r\n", 2);
}

static inline void loop_body(struct loop *l, int fd, size_t at, bool first)
{
    size_t cut = first ? (size_t)atomic_load(&l->cut_at) : 0;
    size_t end = cut ? cut : l->size;
    while (at < end) {
        size_t n = size_min(end - at, 32 << 10);
        if (!loop_piece(l, fd, at, n))
            return;
        at += n;
        long rate = atomic_load(&l->rate);
        if (rate)
            usleep((useconds_t)(n * 1000000 / (size_t)rate));
    }
    if (!cut && atomic_load(&l->chunked))
        (void)loop_write(fd, "0\r\n\r\n", 5);
}

static inline void *loop_answer(void *arg)
{
    struct loop_call *call = arg;
    struct loop *l = call->loop;
    int fd = call->fd;
    free(call);
    char head[4096];
    size_t n = 0;
    while (n < sizeof head - 1) {
        ssize_t k = recv(fd, head + n, sizeof head - 1 - n, 0);
        if (k <= 0)
            break;
        n += (size_t)k;
        head[n] = 0;
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    head[n] = 0;
    const char *range = strstr(head, "Range: bytes=");
    size_t at = range ? (size_t)strtoull(range + 13, NULL, 10) : 0;
    int i = atomic_fetch_add(&l->gets, 1);
    if (i < LOOP_REQUESTS)
        atomic_store(&l->offsets[i], (long)at);
    int status = atomic_load(&l->status);
    char out[512], length[64] = "Transfer-Encoding: chunked";
    if (!atomic_load(&l->chunked))
        snprintf(length, sizeof length, "Content-Length: %zu", status ? 0 : l->size - at);
    char part[128] = "";
    if (range)
        snprintf(part, sizeof part, "Content-Range: bytes %zu-%zu/%zu\r\n", at, l->size - 1,
                 l->size);
    int m = snprintf(out, sizeof out, "HTTP/1.1 %d x\r\n%s\r\n%sConnection: close\r\n\r\n",
                     status  ? status
                     : range ? 206
                             : 200,
                     length, part);
    if (loop_write(fd, out, (size_t)m) && !status)
        loop_body(l, fd, at, i == 0);
    shutdown(fd, SHUT_WR);
    close(fd);
    atomic_fetch_sub(&l->answering, 1);
    return NULL;
}

static inline void *loop_serve(void *arg)
{
    struct loop *l = arg;
    for (;;) {
        int fd = accept(l->fd, NULL, NULL);
        if (fd < 0 || atomic_load(&l->stop)) {
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        struct loop_call *call = malloc(sizeof *call);
        *call = (struct loop_call){l, fd};
        pthread_t t;
        atomic_fetch_add(&l->answering, 1);
        pthread_create(&t, NULL, loop_answer, call);
        pthread_detach(t);
    }
}

static inline void loop_start(struct loop *l, size_t size)
{
    memset(l, 0, sizeof *l);
    l->size = size;
    l->blob = malloc(size);
    uint64_t x = 88172645463325252ULL + (uint64_t)size;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        l->blob[i] = (char)x;
    }
    (void)digest_of(DIGEST_SHA256, (struct str){l->blob, size}, &l->digest);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(l->fd, (struct sockaddr *)&a, n) || listen(l->fd, 256) ||
        getsockname(l->fd, (struct sockaddr *)&a, &n))
        abort();
    l->port = ntohs(a.sin_port);
    pthread_create(&l->thread, NULL, loop_serve, l);
}

static inline void loop_stop(struct loop *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)l->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    atomic_store(&l->stop, true);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)!connect(fd, (struct sockaddr *)&a, sizeof a);
    pthread_join(l->thread, NULL);
    close(fd);
    close(l->fd);
    while (atomic_load(&l->answering))
        usleep(1000);
    free(l->blob);
}

#endif
