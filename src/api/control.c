/*
 * One thread accepts, one thread per command works; a handful of them at most, for people type
 * them. The socket's mode lets in the user that runs Cove and root, and nobody else; the peer's
 * uid is checked as well.
 */
#include "api/control.h"

#include "base/codec.h"
#include "base/fd.h"
#include "base/log.h"
#include "registry/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_N ((size_t)16 << 10)
#define WORDS_MAX 64
#define AT_ONCE 8

struct control {
    struct services *sv;
    int listener, wake[2];
    char path[108];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int running;
};

struct conversation {
    struct control *k;
    int fd;
    bool gone; /* the other side hung up: the command goes on, nobody listens */
};

/* ---- commands ---------------------------------------------------------------------------- */

const struct command *command_find(struct strs words, struct strs *rest)
{
    for (const struct command *cmd = commands; cmd->name; cmd++) {
        struct str name = str_of(cmd->name);
        size_t n = 0;
        while (name.n && n < words.count && str_eq(str_cut(&name, ' '), words.items[n]))
            n++;
        if (name.n || !n || (str_find(str_of(cmd->name), ' ') >= 0 && n != 2))
            continue;
        *rest = (struct strs){.items = words.items + n, .count = words.count - n};
        return cmd;
    }
    return NULL;
}

void command_say(struct command_call *k, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    k->say(k->arg, str_of(line));
}

int command_failed(struct ctx *c, struct command_call *k, enum err e)
{
    command_say(k, "%s: %s", err_name(e), c->msg);
    return 2;
}

bool command_option(struct command_call *k, const char *name, struct str *value)
{
    struct strs *w = &k->words;
    for (size_t i = 0; i < w->count; i++) {
        struct str rest = w->items[i], key = str_cut(&rest, '=');
        bool joined = w->items[i].n != key.n;
        size_t take = value && !joined ? 2 : 1;
        if (!str_eq(key, str_of(name)) || (joined && !value) || i + take > w->count)
            continue;
        if (value)
            *value = joined ? rest : w->items[i + 1];
        for (size_t at = i; at + take < w->count; at++)
            w->items[at] = w->items[at + take];
        w->count -= take;
        return true;
    }
    return false;
}

/* ---- the server's side ------------------------------------------------------------------- */

static void send_line(void *arg, struct str line)
{
    struct conversation *v = arg;
    CLEANUP(buf_release) struct buf b = {.max = LINE_MAX_N};
    for (size_t i = 0; i < line.n && !b.full; i++)
        buf_char(&b, line.p[i] == '\n' ? ' ' : line.p[i]);
    buf_char(&b, '\n');
    struct str out = buf_view(&b);
    while (out.n && !v->gone) {
        ssize_t n = send(v->fd, out.p, out.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        v->gone = n < 0;
        out = n > 0 ? str_sub(out, (size_t)n, out.n) : out;
    }
}

/* Nothing more comes from the other side but its end. */
static bool hung_up(void *arg)
{
    struct conversation *v = arg;
    char ch;
    v->gone |= recv(v->fd, &ch, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return v->gone;
}

/* One line, without its end. */
static bool read_line(int fd, struct buf *b)
{
    char ch;
    for (;;) {
        ssize_t n = recv(fd, &ch, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != 1 || ch == '\n')
            return n == 1;
        if (!buf_char(b, ch))
            return false;
    }
}

static bool split_words(struct ctx *c, struct str line, struct strs *out)
{
    struct strs words = {.items = arena_alloc(&c->mem, WORDS_MAX * sizeof(struct str))};
    while (line.n) {
        struct str word = str_cut(&line, ' ');
        if (words.count == WORDS_MAX ||
            !percent_decode(&c->mem, word, false, &words.items[words.count]))
            return false;
        words.count++;
    }
    *out = words;
    return words.count > 0;
}

static bool peer_may(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

/* The first word is the secret, empty for none; then the command. */
static int serve(struct ctx *c, struct conversation *v)
{
    CLEANUP(buf_release) struct buf b = {.max = LINE_MAX_N};
    struct command_call k = {.say = send_line, .gone = hung_up, .arg = v};
    struct strs words, all;
    struct timeval wait = {.tv_sec = 10};
    (void)setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (!peer_may(v->fd) || !read_line(v->fd, &b) || !split_words(c, buf_view(&b), &words)) {
        command_say(&k, "no command");
        return 2;
    }
    k.secret = words.items[0];
    all = (struct strs){.items = words.items + 1, .count = words.count - 1};
    const struct command *cmd = command_find(all, &k.words);
    if (!cmd) {
        command_say(&k, "unknown command");
        return 2;
    }
    log_info("control", "command %s", cmd->name);
    return cmd->run(c, &k);
}

static void *conversation_thread(void *arg)
{
    struct conversation *v = arg;
    struct control *k = v->k;
    struct ctx c = {.sv = k->sv, .actor = S("admin")};
    char last[32];
    int code = serve(&c, v);
    snprintf(last, sizeof last, "exit %d", code);
    send_line(v, str_of(last));
    ctx_release(&c);
    close(v->fd);
    free(v);
    pthread_mutex_lock(&k->lock);
    k->running--;
    pthread_cond_signal(&k->idle);
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

static void begin(struct control *k, int fd)
{
    pthread_t thread;
    pthread_attr_t attr;
    struct conversation *v = calloc(1, sizeof *v);
    pthread_mutex_lock(&k->lock);
    bool room = v && k->running < AT_ONCE;
    k->running += room ? 1 : 0;
    pthread_mutex_unlock(&k->lock);
    if (room) {
        *v = (struct conversation){.k = k, .fd = fd};
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        int e = pthread_create(&thread, &attr, conversation_thread, v);
        pthread_attr_destroy(&attr);
        if (e == 0)
            return;
        pthread_mutex_lock(&k->lock);
        k->running--;
        pthread_mutex_unlock(&k->lock);
    }
    free(v);
    close(fd);
}

static void *accept_thread(void *arg)
{
    struct control *k = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = k->listener, .events = POLLIN},
                              {.fd = k->wake[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents)
            return NULL;
        int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            begin(k, fd);
    }
}

static enum err socket_path(struct ctx *c, struct str data, struct sockaddr_un *out)
{
    struct str path = str_fmt(&c->mem, "%.*s/cove.sock", STR(data));
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path.n >= sizeof out->sun_path)
        return fail(c, E_BAD_REQUEST, "%.*s is too long for a socket's name", STR(path));
    memcpy(out->sun_path, path.p, path.n);
    return E_OK;
}

enum err control_start(struct ctx *c, struct services *sv, struct str data, struct control **out)
{
    struct sockaddr_un at;
    TRY(socket_path(c, data, &at));
    CLEANUP(fd_done) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "control socket");
    unlink(at.sun_path); /* of a process that died: we hold the lock */
    mode_t mask = umask(0177);
    int bound = bind(fd, (struct sockaddr *)&at, sizeof at);
    umask(mask);
    if (bound != 0 || chmod(at.sun_path, 0600) != 0 || listen(fd, 16) != 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "%s", at.sun_path);
    struct control *k = calloc(1, sizeof *k);
    if (!k || pipe2(k->wake, O_CLOEXEC) != 0) {
        free(k);
        return fail(c, E_UNAVAILABLE, "no room for the control socket");
    }
    k->sv = sv;
    k->listener = fd_take(&fd);
    memcpy(k->path, at.sun_path, sizeof k->path);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->idle, NULL);
    int e = pthread_create(&k->thread, NULL, accept_thread, k);
    if (e) {
        close(k->listener);
        free(k);
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for the control socket");
    }
    *out = k;
    return E_OK;
}

void control_stop(struct control *k)
{
    if (!k)
        return;
    fd_done(&k->wake[1]); /* the accepting thread sees the end of the pipe */
    pthread_join(k->thread, NULL);
    unlink(k->path);
    gc_stop();
    pthread_mutex_lock(&k->lock);
    while (k->running)
        pthread_cond_wait(&k->idle, &k->lock);
    pthread_mutex_unlock(&k->lock);
    close(k->listener);
    close(k->wake[0]);
    free(k);
}

/* ---- the client's side ------------------------------------------------------------------- */

static enum err send_words(struct ctx *c, int fd, struct strs words, struct str secret)
{
    CLEANUP(buf_release) struct buf b = {.max = LINE_MAX_N};
    buf_str(&b, percent_encode(&c->mem, secret, ""));
    for (size_t i = 0; i < words.count; i++) {
        buf_char(&b, ' ');
        buf_str(&b, percent_encode(&c->mem, words.items[i], ""));
    }
    buf_char(&b, '\n');
    if (b.full)
        return fail(c, E_TOO_LARGE, "the command is too long");
    return fd_write_all(fd, b.p, b.n) ? E_OK
                                      : fail_errno(c, E_UNAVAILABLE, errno, "control socket");
}

enum err control_ask(struct ctx *c, struct str data, struct strs words, struct str secret,
                     void (*say)(void *arg, struct str line), void *arg, int *exit_out)
{
    struct sockaddr_un at;
    TRY(socket_path(c, data, &at));
    CLEANUP(fd_done) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "control socket");
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return errno == ENOENT || errno == ECONNREFUSED
                   ? E_NOT_FOUND
                   : fail_errno(c, E_UNAVAILABLE, errno, "%s", at.sun_path);
    TRY(send_words(c, fd, words, secret));
    for (;;) {
        CLEANUP(buf_release) struct buf b = {.max = LINE_MAX_N};
        int64_t code;
        if (!read_line(fd, &b))
            return fail(c, E_CLOSED, "the server went away before the command ended");
        struct str line = buf_view(&b);
        if (str_starts(line, S("exit ")) && str_to_i64(str_sub(line, 5, line.n), &code)) {
            *exit_out = (int)code;
            return E_OK;
        }
        say(arg, line);
    }
}
