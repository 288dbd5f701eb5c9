/*
 * A pool of threads with lanes. Threads are made when work comes, stay for a few seconds, and
 * leave.
 *
 * The invariant: running jobs per lane never exceed `each`, threads never exceed `all`. A job in a
 * full lane waits without holding a thread and without holding up other lanes.
 */
#include "registry/crew.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>

#define LINE_MAX_JOBS 8192
#define IDLE_MS 5000
#define STACK ((size_t)1 << 20) /* libcurl, TLS and SQL run on it */

struct job {
    struct job *next;
    int64_t lane;
    void (*fn)(void *arg);
    void *arg;
};

struct lane {
    struct lane *next;
    int64_t id;
    int running;
};

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t work, left;
    struct job *first, **last;
    struct lane *lanes;
    int each, all, threads, idle, waiting;
    bool closing;
};

struct crew *crew_new(int each, int all)
{
    struct crew *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->each = each;
    w->all = all;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    clock_cond_init(&w->work);
    clock_cond_init(&w->left);
    return w;
}

/* The lane's count; lanes are few (one per endpoint) and kept. NULL when out of memory. */
static struct lane *lane_of(struct crew *w, int64_t id)
{
    for (struct lane *l = w->lanes; l; l = l->next)
        if (l->id == id)
            return l;
    struct lane *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct lane){.next = w->lanes, .id = id};
    w->lanes = l;
    return l;
}

/* The first job whose lane has room, taken out of the line; its lane is charged. */
static struct job *take_job(struct crew *w, struct lane **lane)
{
    for (struct job **p = &w->first; *p; p = &(*p)->next) {
        struct job *j = *p;
        *lane = lane_of(w, j->lane);
        if (!*lane || (*lane)->running >= w->each)
            continue;
        *p = j->next;
        if (w->last == &j->next)
            w->last = p;
        w->waiting--;
        (*lane)->running++;
        return j;
    }
    return NULL;
}

/* Waits a while for work; false when there was none. */
static bool idle(struct crew *w)
{
    struct timespec until = clock_deadline(IDLE_MS);
    w->idle++;
    int rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
    w->idle--;
    return rc == 0;
}

static void *worker(void *arg)
{
    struct crew *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct lane *lane;
        struct job *j = take_job(w, &lane);
        if (!j) {
            if (w->closing && !w->waiting)
                break;
            if (!idle(w) && !w->waiting)
                break;
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        j->fn(j->arg);
        free(j);
        pthread_mutex_lock(&w->lock);
        lane->running--;
    }
    w->threads--;
    pthread_cond_broadcast(&w->left);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static bool start_thread(struct crew *w)
{
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, STACK);
    pthread_t t;
    bool ok = pthread_create(&t, &a, worker, w) == 0;
    pthread_attr_destroy(&a);
    if (ok)
        w->threads++;
    return ok;
}

bool crew_run(struct crew *w, int64_t lane, void (*fn)(void *arg), void *arg)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return false;
    *j = (struct job){.lane = lane, .fn = fn, .arg = arg};
    pthread_mutex_lock(&w->lock);
    bool ok = !w->closing && w->waiting < LINE_MAX_JOBS;
    /* A signalled thread still counts as idle until it runs, hence the comparison with the line. */
    if (ok && w->idle <= w->waiting && w->threads < w->all)
        ok = start_thread(w) || w->threads > 0;
    if (ok) {
        *w->last = j;
        w->last = &j->next;
        w->waiting++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    if (!ok)
        free(j);
    return ok;
}

int64_t crew_count(struct crew *w, int64_t lane)
{
    int64_t n = 0;
    pthread_mutex_lock(&w->lock);
    for (const struct lane *l = w->lanes; l; l = l->next)
        n += l->id == lane ? l->running : 0;
    for (const struct job *j = w->first; j; j = j->next)
        n += j->lane == lane;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void crew_free(struct crew *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->work);
    while (w->threads)
        pthread_cond_wait(&w->left, &w->lock);
    pthread_mutex_unlock(&w->lock);
    for (struct lane *l = w->lanes, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->left);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
