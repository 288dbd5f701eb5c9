/*
 * The record is one heap object with all it needs, because `done` runs on whichever thread sends
 * the last byte, when the request's memory is gone. A reply that has its own `done` keeps it: the
 * record calls it first.
 */
#include "api/accesslog.h"

#include "api/auth.h"
#include "api/dispatch.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_bool enabled = true;

struct record {
    struct buf line; /* the object, still open */
    int64_t started_ms;
    void (*done)(void *arg, int64_t bytes_sent, bool whole);
    void *done_arg;
};

void accesslog_on(bool on)
{
    atomic_store(&enabled, on);
}

static void finish(void *arg, int64_t bytes_sent, bool whole)
{
    struct record *rec = arg;
    struct json_out j = {.out = &rec->line, .comma = true};
    if (rec->done)
        rec->done(rec->done_arg, bytes_sent, whole);
    put_key(&j, S("bytes_out"));
    put_i64(&j, bytes_sent);
    put_key(&j, S("ms"));
    put_i64(&j, clock_mono_ms() - rec->started_ms);
    if (!whole) {
        put_key(&j, S("broken"));
        put_bool(&j, true);
    }
    put_close(&j, '}');
    if (!rec->line.full)
        log_access(buf_view(&rec->line));
    buf_release(&rec->line);
    free(rec);
}

static void put_pair(struct json_out *j, const char *key, struct str value)
{
    put_key(j, str_of(key));
    put_str(j, value);
}

void accesslog_attach(struct call *r)
{
    if (!atomic_load_explicit(&enabled, memory_order_relaxed))
        return;
    struct record *rec = calloc(1, sizeof *rec);
    if (!rec) /* out of memory: a line less, never a request less */
        return;
    rec->line.max = 16384;
    buf_reserve(&rec->line, 512); /* what most lines need, in one piece */
    rec->started_ms = r->http->started_ms;
    rec->done = r->reply.done;
    rec->done_arg = r->reply.done_arg;
    struct json_out j = {.out = &rec->line};
    put_open(&j, '{');
    put_pair(&j, "time", time_text(&r->c->mem, clock_now()));
    put_pair(&j, "request_id", r->c->request_id);
    put_pair(&j, "principal", r->c->actor);
    put_pair(&j, "client", r->http->client);
    put_pair(&j, "method", r->http->method_text);
    put_pair(&j, "path", str_sub(r->http->path, 0, 2048));
    put_key(&j, S("status"));
    put_i64(&j, r->reply.status);
    put_key(&j, S("bytes_in"));
    put_i64(&j, r->http->received);
    if (r->outcome != OUTCOME_LOCAL)
        put_pair(&j, "upstream", str_of(outcome_text(r->outcome)));
    r->reply.done = finish;
    r->reply.done_arg = rec;
}
