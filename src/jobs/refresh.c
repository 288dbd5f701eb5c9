/*
 * The refresh of cached tags (registry/refresh) as a job: makes the list of tags, and goes through
 * it one by one. Tags that meet the floor of a pull limit stay on the list and are tried again
 * while it lasts: until all are done, or the schedule's next moment wants a new list, or somebody
 * asks for one. A moment that passes while the process is down is not made up for.
 */
#include "jobs/kinds.h"

#include "base/log.h"
#include "base/metric.h"
#include "registry/refresh.h"
#include "rule/cron.h"
#include "rule/settings.h"

#include <inttypes.h>
#include <time.h>

#define DAY_US (86400 * SECOND_US)
#define RETRY_MS 5000 /* of tags that wait; costs no request while the floor is reached */
#define NAP_NS 200000000

struct refresh {
    struct job_run *run;
    struct ctx list; /* holds the memory of items */
    struct refresh_item *items;
    size_t count, waiting;
    struct timestamp since;
    char why[512]; /* of the last one that waits */
};

static void set_waiting(struct refresh *r, size_t n)
{
    metric_add(M_refresh_waiting, (int64_t)n - (int64_t)r->waiting);
    r->waiting = n;
}

static void refresh_release(struct refresh *r)
{
    set_waiting(r, 0);
    ctx_release(&r->list);
}

static enum err make_list(struct ctx *c, struct refresh *r)
{
    ctx_release(&r->list);
    r->list = (struct ctx){.sv = c->sv, .actor = S("refresh")};
    r->since.us = clock_now().us - c->sv->settings->proxy_refresh_days * DAY_US;
    r->count = 0;
    enum err e = refresh_collect(&r->list, r->since, &r->items, &r->count);
    if (e != E_OK)
        return fail(c, e, "no list of tags: %s", r->list.msg);
    job_total(r->run, (int64_t)r->count);
    return E_OK;
}

static void one(struct refresh *r, struct refresh_item *item)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = r->list.sv, .actor = S("refresh")};
    enum err e = refresh_tag(&c, &r->list.mem, r->since, item);
    if (!item->done)
        (void)snprintf(r->why, sizeof r->why, "%s", c.msg);
    if (e == E_OK || !item->done)
        return;
    struct str name = str_fmt(&c.mem, "%.*s/%.*s:%.*s", STR(item->tag.project_name),
                              STR(item->tag.repository_name), STR(item->tag.name));
    log_info("refresh", "%.*s: %s", STR(name), c.msg);
    job_failed(r->run, name, c.msg);
}

static void go_through(struct refresh *r)
{
    size_t waiting = 0;
    for (size_t i = 0; i < r->count && !job_stopping(r->run); i++) {
        struct refresh_item *item = &r->items[i];
        if (!item->done)
            one(r, item);
        waiting += !item->done;
        job_done(r->run, (int64_t)(i + 1 - waiting));
    }
    if (waiting && !r->waiting)
        log_info("refresh", "%zu tags wait: %s", waiting, r->why);
    if (waiting)
        job_say(r->run, "%zu tags wait: %s", waiting, r->why);
    set_waiting(r, waiting);
}

/* Waits for the next try; false when there is none: stopped, or a new list is due. */
static bool rest(struct refresh *r, struct timestamp next, bool *again)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    int64_t until = clock_mono_ms() + RETRY_MS;
    while (clock_mono_ms() < until) {
        if (job_stopping(r->run) || (next.us && clock_now().us >= next.us))
            return false;
        *again = refresh_take();
        if (*again)
            return true;
        nanosleep(&nap, NULL);
    }
    return true;
}

enum err refresh_job(struct ctx *c, struct job_run *run)
{
    CLEANUP(refresh_release) struct refresh r = {.run = run};
    struct timestamp next = refresh_next(c->sv->settings->proxy_refresh);
    bool again = true;
    (void)refresh_take(); /* what was asked for before is this */
    for (bool go = true; go; go = r.waiting && rest(&r, next, &again)) {
        if (again)
            TRY(make_list(c, &r));
        again = false;
        go_through(&r);
    }
    if (!r.waiting)
        job_say(run, "%s", "");
    return E_OK;
}
