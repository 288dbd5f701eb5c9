/*
 * `cove gc`: a collection in the thread of whoever asked, with a row among the jobs like those that
 * the worker runs. So the console knows of it and can stop it, and two never run at once: the row
 * holds the lock of its kind, kept alive by the progress that is written into it.
 *
 * The row tells of the collection, it is no part of it: when it cannot be written any more the
 * collection goes on.
 */
#include "api/gc_command.h"

#include "base/log.h"
#include "blob/upload.h"
#include "meta/job.h"
#include "registry/gc.h"
#include "rule/settings.h"

#define PROGRESS_MS 1000
#define EXIT_BUSY 3

struct by_hand {
    struct command_call *k;
    struct services *sv;
    struct job job;
    struct str node;
    struct gc_report so_far;
    int64_t next_ms; /* when progress is written again */
    bool stopped;    /* somebody asked */
};

static void say(void *arg, struct str line)
{
    struct by_hand *h = arg;
    h->k->say(h->k->arg, line);
}

static enum err write_progress(struct ctx *c, struct by_hand *h)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(job_progress(c, &h->job, h->node, &h->stopped));
    return tx_commit(&tx);
}

static bool step(void *arg, const struct gc_report *so_far)
{
    struct by_hand *h = arg;
    h->so_far = *so_far;
    h->job.done = so_far->condemned + so_far->deleted;
    if (clock_mono_ms() < h->next_ms)
        return !h->stopped;
    CLEANUP(ctx_release) struct ctx c = {.sv = h->sv, .actor = h->job.actor};
    if (write_progress(&c, h) != E_OK)
        log_warn("gc", "job %lld: its row cannot be written now: %s", (long long)h->job.id, c.msg);
    h->next_ms = clock_mono_ms() + PROGRESS_MS;
    return !h->stopped;
}

static enum err write_end(struct ctx *c, struct by_hand *h)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(job_end(c, &h->job, h->node));
    return tx_commit(&tx);
}

static void end(struct ctx *c, struct by_hand *h, enum err e, const struct gc_report *report)
{
    const struct gc_result result = {
        .blobs = report->deleted, .bytes = report->bytes, .condemned = report->condemned};
    CLEANUP(buf_release) struct buf b = {0};
    CLEANUP(ctx_release) struct ctx own = {.sv = h->sv, .actor = h->job.actor};
    struct json_out j = {.out = &b};
    fields_encode(&j, &own.mem, gc_result_fields, &result);
    h->job.state = h->stopped      ? S("stopped")
                   : e == E_OK     ? S("done")
                   : gc_stopping() ? S("interrupted")
                                   : S("failed");
    h->job.done = h->job.total = report->condemned + report->deleted;
    h->job.result.text = buf_view(&b);
    h->job.message = e == E_OK ? S("") : str_of(c->msg);
    if (write_end(&own, h) != E_OK)
        log_warn("gc", "job %lld: its end cannot be written: %s", (long long)h->job.id, own.msg);
}

static enum err collect(struct ctx *c, struct by_hand *h, int64_t grace_s, struct gc_report *report)
{
    const struct gc_watch watch = {.say = say, .step = step, .arg = h};
    TRY(upload_sweep(c));
    return gc_run(c, grace_s, &watch, report);
}

static enum err begin(struct ctx *c, struct by_hand *h, int64_t grace_s)
{
    const struct gc_params params = {.grace_s = grace_s};
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode(&j, &c->mem, gc_params_fields, &params);
    h->node = job_node(c);
    h->job = (struct job){.kind = S("gc"),
                          .lock_key = S("gc"),
                          .actor = c->actor,
                          .params = {str_dup(&c->mem, buf_view(&b))}};
    h->next_ms = clock_mono_ms() + PROGRESS_MS;
    TRY(job_sweep_earlier(c, h->node));
    return job_begin(c, &h->job, h->node);
}

int run_gc(struct ctx *c, struct command_call *k)
{
    struct by_hand h = {.k = k, .sv = c->sv};
    struct gc_report report = {0};
    struct str text;
    int64_t grace = c->sv->settings->gc_grace_s;
    bool ok = !command_option(k, "--grace", &text) || (str_to_i64(text, &grace) && grace >= 0);
    if (!ok || k->words.count) {
        command_say(k, "usage: cove gc [--grace SECONDS]");
        return 2;
    }
    enum err e = begin(c, &h, grace);
    if (e == E_CONFLICT) {
        command_say(k, "another garbage collection runs: %s", c->msg);
        return EXIT_BUSY;
    }
    if (e != E_OK)
        return command_failed(c, k, e);
    e = collect(c, &h, grace, &report);
    end(c, &h, e, e == E_OK ? &report : &h.so_far);
    if (e != E_OK)
        return command_failed(c, k, e);
    return report.failed ? 1 : 0;
}
