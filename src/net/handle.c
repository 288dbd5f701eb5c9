/*
 * The pool. An easy handle in a multi handle of its own keeps its connections and its TLS sessions:
 * a reused TLS connection costs 24 us, a fresh one about 1 ms. Handles of an older epoch are closed
 * when they come back or when a newer epoch is first seen; idle ones after IDLE_MS.
 *
 * One lock guards everything here; it is never held while libcurl talks to anyone. Closing a
 * handle may send a TLS close_notify, so doomed handles are closed after unlocking.
 */
#include "net/handle.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS 90000
#define IDLE_MAX 16
#define SWEEP_MS 10000
#define BUCKETS 64

struct pool { /* of one endpoint */
    int64_t endpoint_id, epoch;
    size_t active[2]; /* short calls, streams */
    size_t waiting, idle_count;
    struct handle *idle; /* most recently used first */
    struct pool *next;
};

struct handles {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct pool *buckets[BUCKETS];
    int64_t swept_ms;
    char *ca_text;
    size_t ca_n;
};

struct handles *handles_new(struct str ca_text)
{
    struct handles *hs = calloc(1, sizeof *hs);
    if (!hs)
        return NULL;
    hs->ca_text = malloc(ca_text.n + 1);
    if (!hs->ca_text) {
        free(hs);
        return NULL;
    }
    if (ca_text.n)
        memcpy(hs->ca_text, ca_text.p, ca_text.n);
    hs->ca_n = ca_text.n;
    clock_cond_init(&hs->freed);
    pthread_mutex_init(&hs->lock, NULL);
    return hs;
}

static void handle_close(struct handle *h)
{
    if (h->easy)
        curl.easy_cleanup(h->easy);
    if (h->multi)
        curl.multi_cleanup(h->multi);
    free(h->ca);
    free(h);
}

static void close_all(struct handle *list)
{
    while (list) {
        struct handle *next = list->next;
        handle_close(list);
        list = next;
    }
}

void handles_free(struct handles *hs)
{
    if (!hs)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (hs->buckets[i]) {
            struct pool *p = hs->buckets[i];
            hs->buckets[i] = p->next;
            close_all(p->idle);
            free(p);
        }
    }
    pthread_cond_destroy(&hs->freed);
    pthread_mutex_destroy(&hs->lock);
    free(hs->ca_text);
    free(hs);
}

static struct pool **bucket_of(struct handles *hs, int64_t endpoint_id)
{
    return &hs->buckets[(uint64_t)endpoint_id % BUCKETS];
}

static struct pool *pool_find(struct handles *hs, int64_t endpoint_id)
{
    struct pool *p = *bucket_of(hs, endpoint_id);
    while (p && p->endpoint_id != endpoint_id)
        p = p->next;
    return p;
}

static struct pool *pool_get(struct handles *hs, int64_t endpoint_id)
{
    struct pool *p = pool_find(hs, endpoint_id);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (p) {
        p->endpoint_id = endpoint_id;
        p->next = *bucket_of(hs, endpoint_id);
        *bucket_of(hs, endpoint_id) = p;
    }
    return p;
}

/* Moves a pool's handles that idle since before `oldest` to the list of the doomed. */
static void pool_trim(struct pool *p, int64_t oldest, struct handle **doomed)
{
    struct handle **at = &p->idle;
    while (*at) {
        struct handle *h = *at;
        if (h->idle_since >= oldest && h->epoch == p->epoch) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        h->next = *doomed;
        *doomed = h;
        p->idle_count--;
    }
}

/* Now and then: old idle handles of all endpoints, and pools that nobody uses. */
static void sweep(struct handles *hs, struct handle **doomed)
{
    int64_t now = clock_mono_ms();
    if (now - hs->swept_ms < SWEEP_MS)
        return;
    hs->swept_ms = now;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct pool **at = &hs->buckets[i];
        while (*at) {
            struct pool *p = *at;
            pool_trim(p, now - IDLE_MS, doomed);
            if (p->idle || p->active[0] || p->active[1] || p->waiting) {
                at = &p->next;
                continue;
            }
            *at = p->next;
            free(p);
        }
    }
}

static bool wait_for_slot(struct handles *hs, struct pool *p, bool stream)
{
    size_t most = stream ? STREAMS_PER_ENDPOINT : CALLS_PER_ENDPOINT;
    struct timespec until = clock_deadline(SLOT_WAIT_MS);
    p->waiting++;
    bool ok = true;
    while (ok && p->active[stream] >= most)
        ok = pthread_cond_timedwait(&hs->freed, &hs->lock, &until) == 0;
    p->waiting--;
    if (p->active[stream] >= most)
        return false;
    p->active[stream]++;
    return true;
}

/* A used handle whose connections were made under the same settings. */
static struct handle *take_idle(struct pool *p, const struct client_target *target)
{
    for (struct handle **at = &p->idle; *at; at = &(*at)->next) {
        struct handle *h = *at;
        if (h->epoch != target->epoch || h->insecure != target->insecure ||
            h->declared != target->declared)
            continue;
        *at = h->next;
        h->next = NULL;
        p->idle_count--;
        return h;
    }
    return NULL;
}

/* libcurl replaces its store by a blob, so the blob holds the system's as well. */
static bool load_ca(struct handles *hs, const struct client_target *target, struct handle *h)
{
    if (target->ca_pem.n == 0 && hs->ca_n == 0)
        return true;
    struct ctx c = {0};
    const char *path = curl.version_info(CURLVERSION_NOW)->cainfo;
    struct str system = NO_STR;
    if (fd_read_file(&c, str_of(path ? path : "/etc/ssl/certs/ca-certificates.crt"), CA_FILE_MAX,
                     &system) != E_OK)
        system = NO_STR; /* no system store: only what was given is trusted */
    struct buf all = {0};
    bool ok = buf_str(&all, system) && buf_char(&all, '\n') &&
              buf_add(&all, hs->ca_text, hs->ca_n) && buf_char(&all, '\n') &&
              buf_str(&all, target->ca_pem) && buf_char(&all, '\n');
    ctx_release(&c);
    if (!ok) {
        buf_release(&all);
        return false;
    }
    h->ca_n = all.n;
    h->ca = all.p; /* given away: released with the handle by free() */
    return true;
}

static struct handle *handle_new(struct handles *hs, const struct client_target *target)
{
    struct handle *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->endpoint_id = target->endpoint_id;
    h->epoch = target->epoch;
    h->insecure = target->insecure;
    h->declared = target->declared;
    h->easy = curl.easy_init();
    h->multi = curl.multi_init();
    if (!h->easy || !h->multi || !load_ca(hs, target, h)) {
        handle_close(h);
        return NULL;
    }
    curl.multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 4L);
    return h;
}

static void give_back_slot(struct handles *hs, int64_t endpoint_id, bool stream)
{
    struct pool *p = pool_find(hs, endpoint_id);
    p->active[stream]--;
    if (p->waiting)
        pthread_cond_broadcast(&hs->freed);
}

enum err handle_acquire(struct ctx *c, struct handles *hs, const struct client_target *target,
                        bool stream, struct handle **out)
{
    struct handle *doomed = NULL, *h = NULL;
    TRY(curl_ready(c));
    pthread_mutex_lock(&hs->lock);
    sweep(hs, &doomed);
    struct pool *p = pool_get(hs, target->endpoint_id);
    bool slot = p && wait_for_slot(hs, p, stream);
    if (slot) {
        if (target->epoch > p->epoch) {
            p->epoch = target->epoch;
            pool_trim(p, 0, &doomed);
        }
        if (target->endpoint_id != 0)
            h = take_idle(p, target);
    }
    pthread_mutex_unlock(&hs->lock);
    close_all(doomed);
    if (!p)
        return fail(c, E_INTERNAL, "out of memory");
    if (!slot) {
        c->retry_after = 2;
        return fail(c, E_TOO_MANY, "%d transfers with this endpoint are under way",
                    stream ? STREAMS_PER_ENDPOINT : CALLS_PER_ENDPOINT);
    }
    if (!h)
        h = handle_new(hs, target);
    if (!h) {
        pthread_mutex_lock(&hs->lock);
        give_back_slot(hs, target->endpoint_id, stream);
        pthread_mutex_unlock(&hs->lock);
        return fail(c, E_INTERNAL, "out of memory");
    }
    h->stream = stream;
    *out = h;
    return E_OK;
}

void handle_release(struct handles *hs, struct handle *h)
{
    struct handle *doomed = NULL;
    h->idle_since = clock_mono_ms();
    pthread_mutex_lock(&hs->lock);
    struct pool *p = pool_find(hs, h->endpoint_id);
    give_back_slot(hs, h->endpoint_id, h->stream);
    if (h->endpoint_id == 0 || h->epoch != p->epoch || p->idle_count >= IDLE_MAX) {
        doomed = h;
    } else {
        h->next = p->idle;
        p->idle = h;
        p->idle_count++;
    }
    pthread_mutex_unlock(&hs->lock);
    close_all(doomed);
}
