/*
 * Workers. A waking thread costs more than a small request (measured: 0.0147 CPU-seconds per 1,000
 * requests with a thread woken for each, 0.009 with two that stay awake), so few of them wait in
 * epoll_wait; the others end or rest as spares. When all of those few are in handlers, somebody
 * must take over, but not at once: most handlers end sooner than another thread wakes. The relief
 * looks once a millisecond and sends spares or new threads only when no event was taken since.
 * While nobody is short of workers the relief sleeps too.
 */
#include "net/pool.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 1000000
#define QUIET_TICKS 100 /* the relief sleeps after so many without a shortage */
#define BUSY_TICKS 10   /* a shortage so long gets a thread even while events are taken */
#define BATCH_MAX 64
#define SPARE_MS 10000 /* a spare ends after so long */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE ((size_t)1 << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_SIZE ((size_t)1 << 20)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE ((size_t)256 << 10)
#endif

struct pool {
    int epoll, stop_fd;
    int64_t max_threads, waiting_min;
    void (*serve)(void *what);
    _Atomic int64_t threads, waiting, taken;
    atomic_bool stopping, relief_asleep;
    pthread_mutex_t lock; /* of the spares and of the relief's sleep */
    pthread_cond_t spare_wanted, relief_wanted;
    int64_t spares, calls; /* spares asleep, and how many of them were called */
    pthread_t relief;
    bool started;
};

/* How many may wait in epoll_wait: a few, more when handlers block a lot. */
static int64_t waiting_max(const struct pool *p)
{
    return i64_max(p->waiting_min, atomic_load(&p->threads) / 4);
}

/* Sleeps until called; false when nobody called for SPARE_MS. */
static bool rest(struct pool *p)
{
    struct timespec until = clock_deadline(SPARE_MS);
    pthread_mutex_lock(&p->lock);
    p->spares++;
    int late = 0;
    while (p->calls == 0 && !late && !atomic_load(&p->stopping))
        late = pthread_cond_timedwait(&p->spare_wanted, &p->lock, &until);
    bool called = p->calls > 0;
    p->calls -= called;
    p->spares--;
    pthread_mutex_unlock(&p->lock);
    return called;
}

static void wake_relief(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->relief_asleep, false);
    pthread_cond_signal(&p->relief_wanted);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct pool *p = arg;
    for (;;) {
        struct epoll_event e;
        if (atomic_fetch_add(&p->waiting, 1) >= waiting_max(p)) {
            atomic_fetch_sub(&p->waiting, 1);
            if (!rest(p))
                break;
            continue;
        }
        int n = epoll_wait(p->epoll, &e, 1, SPARE_MS);
        int64_t left = atomic_fetch_sub(&p->waiting, 1) - 1;
        if (n < 0 && errno != EINTR)
            log_error("net", "epoll_wait: errno %d", errno);
        if ((n > 0 && e.data.ptr == p) || (n == 0 && left >= p->waiting_min))
            break;
        if (n <= 0)
            continue;
        atomic_fetch_add_explicit(&p->taken, 1, memory_order_relaxed);
        if (left == 0 && atomic_load(&p->relief_asleep))
            wake_relief(p);
        p->serve(e.data.ptr);
    }
    atomic_fetch_sub(&p->threads, 1);
    return NULL;
}

static void start_thread(struct pool *p)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (atomic_fetch_add(&p->threads, 1) >= p->max_threads) {
        atomic_fetch_sub(&p->threads, 1);
        return;
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, work, p) != 0)
        atomic_fetch_sub(&p->threads, 1);
    pthread_attr_destroy(&attr);
}

static void send_workers(struct pool *p, int64_t n)
{
    for (; n > 0; n--) {
        pthread_mutex_lock(&p->lock);
        bool spare = p->spares > p->calls;
        if (spare) {
            p->calls++;
            pthread_cond_signal(&p->spare_wanted);
        }
        pthread_mutex_unlock(&p->lock);
        if (!spare)
            start_thread(p);
    }
}

static void relief_sleep(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->relief_asleep, true);
    while (atomic_load(&p->relief_asleep) && atomic_load(&p->waiting) > 0 &&
           !atomic_load(&p->stopping))
        pthread_cond_wait(&p->relief_wanted, &p->lock);
    atomic_store(&p->relief_asleep, false);
    pthread_mutex_unlock(&p->lock);
}

static void *relieve(void *arg)
{
    struct pool *p = arg;
    int64_t seen = -1, batch = 1;
    int quiet = 0, shortage = 0;
    while (!atomic_load(&p->stopping)) {
        if (quiet >= QUIET_TICKS) {
            relief_sleep(p);
            quiet = 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
        int64_t taken = atomic_load_explicit(&p->taken, memory_order_relaxed);
        bool stuck = taken == seen;
        seen = taken;
        if (atomic_load(&p->waiting) > 0) {
            quiet++;
            shortage = 0;
            batch = 1;
            continue;
        }
        quiet = 0;
        if (!stuck && ++shortage < BUSY_TICKS)
            continue;
        send_workers(p, stuck ? batch : 1);
        batch = stuck ? i64_min(batch * 2, BATCH_MAX) : 1;
        shortage = 0;
    }
    return NULL;
}

void pool_start(struct pool *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* threads inherit: signals are main's */
    for (int64_t i = 0; i < p->waiting_min; i++)
        start_thread(p);
    p->started = pthread_create(&p->relief, NULL, relieve, p) == 0;
    if (!p->started)
        log_error("net", "cannot start the thread that starts workers");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool pool_stop(struct pool *p, int64_t wait_ms)
{
    atomic_store(&p->stopping, true);
    eventfd_write(p->stop_fd, 1);
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->spare_wanted);
    pthread_cond_broadcast(&p->relief_wanted);
    pthread_mutex_unlock(&p->lock);
    if (p->started)
        pthread_join(p->relief, NULL);
    p->started = false;
    int64_t until = clock_mono_ms() + wait_ms;
    while (atomic_load(&p->threads) > 0 && clock_mono_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    return atomic_load(&p->threads) == 0;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    fd_done(&p->stop_fd);
    pthread_cond_destroy(&p->spare_wanted);
    pthread_cond_destroy(&p->relief_wanted);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

enum err pool_new(struct ctx *c, const struct pool_options *o, struct pool **out)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p)
        return fail_errno(c, E_INTERNAL, ENOMEM, "the workers");
    pthread_mutex_init(&p->lock, NULL);
    clock_cond_init(&p->spare_wanted);
    pthread_cond_init(&p->relief_wanted, NULL);
    p->epoll = o->epoll;
    p->max_threads = o->max_threads;
    p->waiting_min = i64_min(4, i64_max(2, sysconf(_SC_NPROCESSORS_ONLN)));
    p->serve = o->serve;
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    if (p->stop_fd < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop_fd, &e) != 0) {
        enum err err = fail_errno(c, E_INTERNAL, errno, "cannot make an eventfd");
        pool_free(p);
        return err;
    }
    *out = p;
    return E_OK;
}
