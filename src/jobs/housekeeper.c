/*
 * Nothing here is urgent and everything may be repeated. A task that fails is logged, once a
 * minute at most, and tried again when its time comes round.
 */
#include "jobs/housekeeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "blob/reserve.h"
#include "blob/upload.h"
#include "meta/blob.h"
#include "meta/figure.h"
#include "meta/job.h"
#include "meta/storage.h"
#include "meta/store.h"
#include "meta/tag.h"
#include "meta/upstream_use.h"
#include "registry/burn.h"
#include "registry/evict.h"
#include "registry/figures.h"
#include "registry/gc.h"
#include "registry/halt.h"
#include "registry/ledger.h"
#include "registry/readonly.h"
#include "registry/refresh.h"
#include "registry/tally.h"
#include "rule/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS 1000
#define SCRUB_LOOK_S 600

struct housekeeper {
    struct services *sv;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    bool halted;           /* of the one who stops it */
    struct str schedule;   /* of the refresh, that `next` was reckoned for; settings are kept */
    struct timestamp next; /* 0 = never */
};

static enum err sweep_sessions(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(session_sweep(c));
    return tx_commit(&tx);
}

static enum err sweep_figures(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(upstream_use_sweep(c));
    TRY(figure_sweep(c));
    return tx_commit(&tx);
}

static enum err sweep_seen(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(tag_seen_sweep(c));
    return tx_commit(&tx);
}

/* Queues a job of the system's. E_CONFLICT: one of its kind waits or works. */
static enum err queue(struct ctx *c, const char *kind)
{
    struct job job = {.kind = str_of(kind), .lock_key = str_of(kind), .actor = c->actor};
    return job_queue(c, &job);
}

static enum err queue_one(struct ctx *c, const char *kind)
{
    enum err e = queue(c, kind);
    return e == E_CONFLICT ? E_OK : e;
}

static enum err sweep_pulls(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(pulls_sweep(c));
    return tx_commit(&tx);
}

/* A run that would find nothing makes no entry in the history. */
static enum err collect(struct ctx *c)
{
    struct storage_pending p;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(storage_pending(c, c->sv->settings->gc_grace_s, GC_PAUSE_S, &p));
    }
    return p.due + p.ripe + p.dying ? queue_one(c, "gc") : E_OK;
}

static enum err scrub(struct ctx *c)
{
    struct list blobs;
    struct timestamp before = {clock_now().us - c->sv->settings->scrub_interval_s * SECOND_US};
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(blob_unproven(c, before, 1, &blobs));
    }
    return blobs.count ? queue_one(c, "scrub") : E_OK;
}

/* At the schedule's moment; while one is under way it is tried again every second. */
static void look_at_schedule(struct housekeeper *h)
{
    struct str schedule = h->sv->settings->proxy_refresh;
    if (!str_eq(schedule, h->schedule)) {
        h->schedule = schedule;
        h->next = refresh_next(schedule);
    }
    if (!h->next.us || clock_now().us < h->next.us)
        return;
    struct ctx c = {.sv = h->sv, .actor = S("housekeeper")};
    enum err e = queue(&c, "refresh");
    if (e == E_OK)
        h->next = refresh_next(schedule);
    else if (e != E_CONFLICT)
        log_warn("housekeeper", "refresh: %s: %s", err_name(e), c.msg);
    ctx_release(&c);
}

struct task {
    const char *name;
    enum err (*run)(struct ctx *c);
    int64_t every_ms; /* 0 = gc.interval_s */
    int64_t due_ms, said_ms;
};

static void run_due(struct housekeeper *h, struct task *t, int64_t now)
{
    int64_t every = t->every_ms ? t->every_ms : h->sv->settings->gc_interval_s * 1000;
    if (!every || now < t->due_ms)
        return;
    struct ctx c = {.sv = h->sv, .actor = S("housekeeper")};
    enum err e = t->due_ms ? t->run(&c) : E_OK; /* the first time only sets the clock */
    if (e != E_OK && now - t->said_ms >= 60000) {
        log_warn("housekeeper", "%s: %s: %s", t->name, err_name(e), c.msg);
        t->said_ms = now;
    }
    ctx_release(&c);
    t->due_ms = now + every;
}

/* Sleeps ms, or until the end; says whether to go on. */
static bool rest(struct housekeeper *h, int64_t ms)
{
    struct timespec until = clock_deadline(ms);
    pthread_mutex_lock(&h->lock);
    while (!h->stop && pthread_cond_timedwait(&h->wake, &h->lock, &until) == 0)
        ;
    bool go = !h->stop;
    pthread_mutex_unlock(&h->lock);
    return go;
}

static void *housekeeper_thread(void *arg)
{
    struct housekeeper *h = arg;
    int64_t scrub_s = h->sv->settings->scrub_interval_s;
    int64_t scrub_ms = scrub_s > 0 ? i64_min(scrub_s, SCRUB_LOOK_S) * 1000 : INT64_MAX / 2;
    struct task tasks[] = {
        {"reserve", reserve_tend, 1000, 0, -60000},
        {"pull counts", tally_flush, 1000, 0, -60000},
        {"cache figures", figures_flush, 1000, 0, -60000},
        {"quota ledger", ledger_flush, 5000, 0, -60000},
        {"use of pull limits", burn_flush, 5000, 0, -60000},
        {"old figures", sweep_figures, 600000, 0, -60000},
        {"upload sweep", upload_sweep, 60000, 0, -60000},
        {"held tag sweep", sweep_seen, 3600000, 0, -60000},
        {"old pull counts", sweep_pulls, 3600000, 0, -60000},
        {"session sweep", sweep_sessions, 60000, 0, -60000},
        {"read-only mode", read_only_read, 1000, 0, -60000},
        {"paused upstreams", halts_read, 2000, 0, -60000},
        {"cache bounds", evict_all, 2000, 0, -60000},
        {"garbage collection", collect, 0, 0, -60000},
        {"scrub", scrub, scrub_ms, 0, -60000},
    };
    do {
        for (size_t i = 0; i < COUNT(tasks); i++)
            run_due(h, &tasks[i], clock_mono_ms());
        look_at_schedule(h);
    } while (rest(h, LOOK_MS));
    return NULL;
}

enum err housekeeper_start(struct ctx *c, struct services *sv, struct housekeeper **out)
{
    struct housekeeper *h = calloc(1, sizeof *h);
    if (!h)
        return fail(c, E_UNAVAILABLE, "out of memory");
    h->sv = sv;
    pthread_mutex_init(&h->lock, NULL);
    clock_cond_init(&h->wake);
    int e = pthread_create(&h->thread, NULL, housekeeper_thread, h);
    if (e) {
        free(h);
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for housekeeping");
    }
    *out = h;
    return E_OK;
}

void housekeeper_halt(struct housekeeper *h)
{
    if (!h || h->halted)
        return;
    h->halted = true;
    gc_stop();
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_broadcast(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
}

void housekeeper_stop(struct housekeeper *h)
{
    if (!h)
        return;
    housekeeper_halt(h);
    struct ctx c = {.sv = h->sv, .actor = S("housekeeper")};
    if (tally_flush(&c) != E_OK)
        log_warn("housekeeper", "the last pull counts are lost: %s", c.msg);
    if (figures_flush(&c) != E_OK)
        log_warn("housekeeper", "the last figures of the cache are lost: %s", c.msg);
    if (burn_flush(&c) != E_OK)
        log_warn("housekeeper", "the last use of pull limits is lost: %s", c.msg);
    if (ledger_flush(&c) != E_OK)
        log_warn("housekeeper", "the last word on pull limits is lost: %s", c.msg);
    ctx_release(&c);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->wake);
    free(h);
}
