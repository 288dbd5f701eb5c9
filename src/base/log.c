/*
 * Events: one write(2) a line, so lines of different threads never mix. Accesses: one buffer under
 * a mutex that a thread of its own writes out, because a write(2) for each request is a tenth of a
 * small request's cost. There are two buffers: one fills while the other is written.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int threshold = LOG_INFO;
static const char *const names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

static void put_line(int fd, struct buf *line)
{
    buf_char(line, '\n');
    ssize_t n = write(fd, line->p, line->n);
    (void)n; /* nowhere left to say that the log is gone */
}

void log_event(enum log_level level, const char *room, const char *fmt, ...)
{
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct arena mem = {0};
    struct buf line = {.max = 16384};
    struct json_out j = {.out = &line};
    put_open(&j, '{');
    put_key(&j, S("time"));
    put_str(&j, time_text(&mem, clock_now()));
    put_key(&j, S("level"));
    put_str(&j, str_of(names[level]));
    put_key(&j, S("room"));
    put_str(&j, str_of(room));
    put_key(&j, S("msg"));
    put_str(&j, str_of(text));
    put_close(&j, '}');
    put_line(STDERR_FILENO, &line);
    buf_release(&line);
    arena_release(&mem);
}

/* ---- accesses ----------------------------------------------------------------------------- */

#define LINES_MAX ((size_t)128 << 10)

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, room;
    pthread_t thread;
    bool running, stop;
    char *fill, *write;
    size_t n;
} lines = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .wake = PTHREAD_COND_INITIALIZER,
           .room = PTHREAD_COND_INITIALIZER};

/* Under the lock, given up while it writes. */
static void write_out(void)
{
    char *p = lines.fill;
    size_t n = lines.n;
    lines.fill = lines.write;
    lines.write = p;
    lines.n = 0;
    pthread_cond_broadcast(&lines.room);
    pthread_mutex_unlock(&lines.lock);
    (void)fd_write_all(STDOUT_FILENO, p, n); /* nowhere left to say that the log is gone */
    pthread_mutex_lock(&lines.lock);
}

static void *lines_thread(void *arg UNUSED)
{
    pthread_mutex_lock(&lines.lock);
    while (!lines.stop || lines.n) {
        if (!lines.n) {
            pthread_cond_wait(&lines.wake, &lines.lock);
            continue;
        }
        if (!lines.stop) { /* others' lines join the first */
            pthread_mutex_unlock(&lines.lock);
            nanosleep(&(struct timespec){.tv_nsec = LOG_DELAY_MS * 1000000L}, NULL);
            pthread_mutex_lock(&lines.lock);
        }
        write_out();
    }
    lines.running = false;
    pthread_mutex_unlock(&lines.lock);
    return NULL;
}

enum err log_start(struct ctx *c)
{
    lines.fill = malloc(LINES_MAX);
    lines.write = malloc(LINES_MAX);
    lines.stop = false;
    lines.running =
        lines.fill && lines.write && pthread_create(&lines.thread, NULL, lines_thread, NULL) == 0;
    return lines.running ? E_OK : fail(c, E_UNAVAILABLE, "no thread for the access log");
}

void log_stop(void)
{
    pthread_mutex_lock(&lines.lock);
    bool running = lines.running;
    lines.stop = true;
    pthread_cond_signal(&lines.wake);
    pthread_mutex_unlock(&lines.lock);
    if (running)
        pthread_join(lines.thread, NULL);
    free(lines.fill);
    free(lines.write);
    lines.fill = lines.write = NULL;
}

/* False: there is no thread, the caller writes. */
static bool collect(struct str line)
{
    pthread_mutex_lock(&lines.lock);
    while (lines.running && LINES_MAX - lines.n < line.n + 1)
        pthread_cond_wait(&lines.room, &lines.lock);
    bool taken = lines.running;
    if (taken) {
        memcpy(lines.fill + lines.n, line.p, line.n);
        lines.fill[lines.n + line.n] = '\n';
        if (lines.n == 0)
            pthread_cond_signal(&lines.wake);
        lines.n += line.n + 1;
    }
    pthread_mutex_unlock(&lines.lock);
    return taken;
}

void log_access(struct str json_object)
{
    if (json_object.n < LINES_MAX / 2 && collect(json_object))
        return;
    struct buf line = {.max = LINES_MAX};
    buf_str(&line, json_object);
    put_line(STDOUT_FILENO, &line);
    buf_release(&line);
}
