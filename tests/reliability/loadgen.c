/*
 * Many clients in one process, for the proofs where clients in Python would be the limit: one
 * epoll, keep-alive, each connection asks the given requests in turn, the next one when the answer
 * is whole. A 503 must bring Retry-After; its connection is opened again after a pause. Ends by the
 * clock and prints one line of JSON. Talks to 127.0.0.1 only.
 *
 *     loadgen PORT AUTHORIZATION CONNECTIONS SECONDS PAUSE_MS METHOD:PATH[:BODY-FILE] ...
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 20000, REQUESTS_MAX = 64, SECONDS_MAX = 7200, HEAD_MAX = 16384 };

struct request {
    char *bytes;
    size_t n;
    bool head_only;
};

struct client {
    int fd;
    size_t request, sent; /* which one, and how much of it has left */
    char head[HEAD_MAX];
    size_t head_n;
    int64_t body_left; /* -1 = still in the head */
    int status;
    bool retry_after, close;
    int64_t began_us, again_us; /* again: when a refused one comes back; 0 = it is here */
};

static struct request requests[REQUESTS_MAX];
static size_t request_count;
static struct client *clients;
static size_t client_count;
static int port, epoll;
static int64_t pause_us, ends_us;
static int64_t good, refused, odd, broken, bytes_in, latency_us[40];
static int first_odd;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void watch(struct client *c, uint32_t events, int op)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, op, c->fd, &e) != 0)
        die("epoll_ctl");
}

static void later(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    c->again_us = now_us() + pause_us;
}

static void send_on(struct client *c)
{
    const struct request *r = &requests[c->request];
    while (c->sent < r->n) {
        ssize_t k = send(c->fd, r->bytes + c->sent, r->n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (k < 0)
            break; /* an early answer may be there to be read */
        c->sent += (size_t)k;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void ask(struct client *c)
{
    c->sent = c->head_n = 0;
    c->body_left = -1;
    c->began_us = now_us();
    send_on(c);
}

static void open_client(struct client *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->again_us = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&at, sizeof at) != 0) {
        broken++;
        later(c);
        return;
    }
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    ask(c);
}

static void count_latency(int64_t us)
{
    size_t slot = 0; /* powers of the square root of two would be finer; two is enough */
    while (us > 1 && slot < 39) {
        us >>= 1;
        slot++;
    }
    latency_us[slot]++;
}

static void answered(struct client *c)
{
    if (c->status >= 200 && c->status < 300) {
        good++;
        count_latency(now_us() - c->began_us);
    } else if (c->status == 503 && c->retry_after) {
        refused++;
    } else if (odd++ == 0) {
        first_odd = c->status;
    }
    bool whole = c->sent == requests[c->request].n;
    c->request = (c->request + 1) % request_count;
    if (c->status == 503 || !whole) {
        later(c);
    } else if (c->close) {
        close(c->fd);
        open_client(c);
    } else {
        ask(c);
    }
}

/* The head is whole: status, length and what matters of the rest. */
static void take_head(struct client *c, char *end)
{
    c->status = c->head_n > 12 ? atoi(c->head + 9) : 0;
    c->retry_after = c->close = false;
    c->body_left = 0;
    *end = 0;
    for (char *line = strstr(c->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, "Content-Length:", 15) == 0)
            c->body_left = atoll(line + 17);
        c->retry_after |= strncasecmp(line + 2, "Retry-After:", 12) == 0;
        c->close |= strncasecmp(line + 2, "Connection: close", 17) == 0;
    }
    if (requests[c->request].head_only || c->status == 204 || c->status == 304)
        c->body_left = 0;
}

static void read_on(struct client *c)
{
    static char waste[256 << 10];
    for (;;) {
        bool in_head = c->body_left < 0;
        char *to = in_head ? c->head + c->head_n : waste;
        size_t room = in_head ? HEAD_MAX - 1 - c->head_n : sizeof waste;
        ssize_t k = recv(c->fd, to, room, MSG_DONTWAIT);
        if (k < 0 && errno == EAGAIN)
            return;
        if (k <= 0) {
            broken++;
            later(c);
            return;
        }
        bytes_in += k;
        if (in_head) {
            c->head_n += (size_t)k;
            c->head[c->head_n] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end)
                continue;
            int64_t behind = c->head + c->head_n - (end + 4);
            take_head(c, end);
            c->body_left -= behind;
        } else {
            c->body_left -= k;
        }
        if (c->body_left <= 0) {
            answered(c);
            return;
        }
    }
}

static void add_request(const char *word, const char *auth)
{
    char *text = strdup(word), *path = strchr(text, ':'), *file = NULL, *head = NULL;
    struct stat st = {0};
    int fd = -1;
    if (!path || request_count == REQUESTS_MAX)
        die("a request is METHOD:PATH[:BODY-FILE]");
    *path++ = 0;
    char *cut = strstr(path, ":/"); /* digests have colons too; a body's file is an absolute path */
    if (cut) {
        *cut = 0;
        file = cut + 1;
        fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0)
            die(file);
    }
    int n = asprintf(&head,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nContent-Type: "
                     "application/octet-stream\r\nContent-Length: %lld\r\n\r\n",
                     text, path, auth, (long long)st.st_size);
    struct request *r = &requests[request_count++];
    r->n = (size_t)n + (size_t)st.st_size;
    r->bytes = malloc(r->n);
    r->head_only = strcmp(text, "HEAD") == 0;
    memcpy(r->bytes, head, (size_t)n);
    if (fd >= 0 && read(fd, r->bytes + n, (size_t)st.st_size) != st.st_size)
        die("read");
    if (fd >= 0)
        close(fd);
    free(head);
    free(text);
}

static double percentile(double share)
{
    int64_t seen = 0;
    for (size_t i = 0; i < 40; i++)
        if ((double)(seen += latency_us[i]) >= share * (double)good)
            return (double)(2LL << i) / 1000.0;
    return 0;
}

static void run(void)
{
    struct epoll_event events[256];
    while (now_us() < ends_us) {
        int n = epoll_wait(epoll, events, 256, 5);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd >= 0 && events[i].events & EPOLLOUT)
                send_on(c);
            if (c->fd >= 0 && events[i].events & ~(uint32_t)EPOLLOUT)
                read_on(c);
        }
        int64_t now = now_us();
        for (size_t i = 0; i < client_count; i++)
            if (clients[i].again_us && clients[i].again_us <= now)
                open_client(&clients[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc < 7)
        die("usage: loadgen PORT AUTHORIZATION CONNECTIONS SECONDS PAUSE_MS REQUEST...");
    port = atoi(argv[1]);
    client_count = (size_t)atoi(argv[3]);
    int64_t seconds = atoll(argv[4]), began = now_us();
    pause_us = atoll(argv[5]) * 1000;
    if (client_count < 1 || client_count > CLIENTS_MAX || seconds < 1 || seconds > SECONDS_MAX)
        die("out of bounds");
    for (int i = 6; i < argc; i++)
        add_request(argv[i], argv[2]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(client_count, sizeof *clients);
    if (epoll < 0 || !clients)
        die("start");
    ends_us = began + seconds * 1000000;
    for (size_t i = 0; i < client_count; i++) {
        clients[i].request = i % request_count;
        open_client(&clients[i]);
    }
    run();
    printf(
        "{\"good\": %lld, \"refused\": %lld, \"odd\": %lld, \"first_odd\": %d, \"broken\": %lld, "
        "\"bytes\": %lld, \"seconds\": %.2f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
        (long long)good, (long long)refused, (long long)odd, first_odd, (long long)broken,
        (long long)bytes_in, (double)(now_us() - began) / 1e6, percentile(0.5), percentile(0.99));
    return 0;
}
