/* One write(2) a line, so lines of different threads never mix. */
#include "base/log.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdatomic.h>
#include <stdio.h>
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

void log_access(struct str json_object)
{
    struct buf line = {.max = 65536};
    buf_str(&line, json_object);
    put_line(STDOUT_FILENO, &line);
    buf_release(&line);
}
