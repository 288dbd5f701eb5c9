/*
 * Waits for the moment that the schedule names, makes the list of tags, and goes through it one by
 * one. Tags that meet the floor of a pull limit stay on the list and are tried again while it
 * lasts: until all are done or the schedule's next moment makes a new one. A moment that passes
 * while the process is down or busy is not made up for.
 */
#include "jobs/refresher.h"

#include "base/log.h"
#include "base/metric.h"
#include "registry/refresh.h"
#include "rule/cron.h"
#include "rule/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 10
#define RETRY_MS 5000 /* of tags that wait; costs no request while the floor is reached */

struct refresher {
    struct services *sv;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct str schedule;   /* that `next` was reckoned for; the settings live as long as we */
    struct timestamp next; /* 0 = never */
    struct ctx list;       /* holds the memory of items */
    struct refresh_item *items;
    size_t count, waiting;
    struct timestamp since;
    int64_t retry_ms;
};

static bool stopped(struct refresher *r)
{
    pthread_mutex_lock(&r->lock);
    bool stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stop;
}

static void reckon(struct refresher *r, struct str schedule)
{
    struct cron cron;
    r->schedule = schedule;
    r->next = schedule.n && !cron_parse(schedule, &cron) ? cron_next(&cron, clock_now())
                                                         : (struct timestamp){0};
}

static void set_waiting(struct refresher *r, size_t n)
{
    metric_add(M_refresh_waiting, (int64_t)n - (int64_t)r->waiting);
    r->waiting = n;
}

static void make_list(struct refresher *r)
{
    ctx_release(&r->list);
    r->list = (struct ctx){.sv = r->sv, .actor = S("refresh")};
    r->since.us = clock_now().us - r->sv->settings->proxy_refresh_days * DAY_US;
    r->items = NULL;
    r->count = 0;
    if (refresh_collect(&r->list, r->since, &r->items, &r->count) != E_OK)
        log_warn("refresh", "no list of tags: %s", r->list.msg);
}

static void go_through(struct refresher *r)
{
    size_t waiting = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct refresh_item *item = &r->items[i];
        if (item->done || stopped(r))
            continue;
        CLEANUP(ctx_release) struct ctx c = {.sv = r->sv, .actor = S("refresh")};
        enum err e = refresh_tag(&c, &r->list.mem, r->since, item);
        waiting += !item->done;
        if (e != E_OK && item->done)
            log_info("refresh", "%.*s/%.*s:%.*s: %s", STR(item->tag.project_name),
                     STR(item->tag.repository_name), STR(item->tag.name), c.msg);
    }
    if (waiting && !r->waiting)
        log_info("refresh", "%zu tags wait: the rest of the pull limit is for people", waiting);
    set_waiting(r, waiting);
    r->retry_ms = clock_mono_ms() + RETRY_MS;
}

static void look(struct refresher *r)
{
    struct str schedule = r->sv->settings->proxy_refresh;
    if (!str_eq(schedule, r->schedule))
        reckon(r, schedule);
    bool due = r->next.us && clock_now().us >= r->next.us;
    if (due)
        reckon(r, schedule);
    if (refresh_take() || due) {
        make_list(r);
        go_through(r);
    } else if (r->waiting && clock_mono_ms() >= r->retry_ms) {
        go_through(r);
    }
}

static void *refresher_thread(void *arg)
{
    struct refresher *r = arg;
    while (!stopped(r)) {
        struct timespec until;
        look(r);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_mutex_lock(&r->lock);
        while (!r->stop && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
            ;
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

enum err refresher_start(struct ctx *c, struct services *sv, struct refresher **out)
{
    pthread_condattr_t attr;
    struct refresher *r = calloc(1, sizeof *r);
    if (!r)
        return fail(c, E_UNAVAILABLE, "out of memory");
    r->sv = sv;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    int e = pthread_create(&r->thread, NULL, refresher_thread, r);
    if (e) {
        free(r);
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for the refresh");
    }
    *out = r;
    return E_OK;
}

bool refresher_stop(struct refresher *r)
{
    struct timespec until;
    if (!r)
        return true;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (pthread_timedjoin_np(r->thread, NULL, &until) != 0)
        return false;
    set_waiting(r, 0);
    ctx_release(&r->list);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r);
    return true;
}
