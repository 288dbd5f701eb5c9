/*
 * The fetch of a far Range.
 *
 * Lazy-pulling clients ask for the end of a layer first; they must not wait for the whole of it.
 * What goes through here is not proven, so it stops 64 KiB before the blob's end: there the reader
 * waits for the flight's proof, compares what it passed on with the flight's file, and takes the
 * rest from the flight. A fetch that breaks off ends in the same way, only earlier.
 */
#include "registry/far.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"

#include <stdlib.h>
#include <string.h>

#define RING ((size_t)1 << 20)
#define COMPARE_STEP ((size_t)256 << 10)

struct far {
    struct source source; /* first: the sender sees this */
    struct source *base;
    struct flight *flight;
    struct arena mem;
    struct endpoint endpoint;
    struct str repository;
    int64_t project_id, rate; /* whose bytes these are, bytes per second */
    int64_t from, limit;      /* bytes that come this way: [from, limit) */

    pthread_mutex_t lock;
    pthread_cond_t room;
    int refs; /* the sender and the fetch */
    int64_t sent, have;
    bool ended, closed, waiting; /* waiting: the sender is to be woken */
    char *ring;

    struct hasher *hasher; /* of what was read here; the sender's */
    int64_t hashed;        /* up to where */
    bool switched;
};

static void far_unref(struct far *r)
{
    pthread_mutex_lock(&r->lock);
    int left = --r->refs;
    pthread_mutex_unlock(&r->lock);
    if (left)
        return;
    pthread_cond_destroy(&r->room);
    pthread_mutex_destroy(&r->lock);
    hasher_free(r->hasher);
    free(r->ring);
    arena_release(&r->mem);
    flight_unref(r->flight);
    free(r);
}

/* ---- the fetch ---- */

static enum err on_head(void *arg, int status, const struct header *headers, size_t count)
{
    (void)arg;
    (void)headers;
    (void)count;
    return status == 206 ? E_OK : E_RANGE; /* an upstream without ranges is of no use here */
}

/* Under r->lock. */
static void announce(struct far *r)
{
    if (r->waiting)
        r->source.wake(r->source.wake_arg);
    r->waiting = false;
}

static enum err put_part(struct far *r, const char **p, size_t *n)
{
    pthread_mutex_lock(&r->lock);
    while (!r->closed && r->have - r->sent >= (int64_t)RING)
        pthread_cond_wait(&r->room, &r->lock);
    enum err err = r->closed ? E_CLOSED : E_OK;
    size_t from = (size_t)(r->have - r->from) % RING;
    size_t part = size_min(*n, RING - (size_t)(r->have - r->sent));
    part = size_min(part, RING - from);
    if (err == E_OK) {
        memcpy(r->ring + from, *p, part);
        r->have += (int64_t)part;
        announce(r);
    }
    pthread_mutex_unlock(&r->lock);
    *p += part;
    *n -= part;
    return err;
}

static enum err on_data(void *arg, const void *bytes, size_t n)
{
    struct far *r = arg;
    const char *p = bytes;
    n = size_min(n, (size_t)(r->limit - r->have));
    struct flights *fs = r->flight->fs;
    if (condition_cut(fs->conditions, r->endpoint.id))
        return E_CLOSED;
    pace_take(fs->paces, r->project_id, r->rate, (int64_t)n, &fs->stopping);
    while (n)
        TRY(put_part(r, &p, &n));
    return r->have == r->limit ? E_RANGE : E_OK;
}

static void fetch(void *arg)
{
    struct far *r = arg;
    struct ctx c = {.sv = r->flight->fs->sv, .actor = S("proxy")};
    struct oci_status st = {.limit = -1, .remaining = -1};
    const struct client_sink sink = {.head = on_head, .data = on_data, .arg = r};
    enum err err =
        oci_get_blob(&c, &r->endpoint, r->repository, &r->flight->digest, r->from, &sink, &st);
    if (err != E_OK && err != E_RANGE && err != E_CLOSED)
        log_info("flight", "range of %s from %lld waits for the flight: %s", r->flight->digest.text,
                 (long long)r->from, c.msg);
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    announce(r);
    pthread_mutex_unlock(&r->lock);
    ctx_release(&c);
    far_unref(r);
}

/* ---- the reader ---- */

/* What was passed on against the flight's file, whose digest is proven. */
static enum err compare(struct far *r, int64_t until)
{
    struct digest ours, theirs;
    struct hasher *h = hasher_new(DIGEST_SHA256);
    char *p = malloc(COMPARE_STEP);
    bool ok = h && p;
    for (int64_t at = r->from; ok && at < until;) {
        size_t n;
        ok = r->base->read(r->base, at, p, size_min(COMPARE_STEP, (size_t)(until - at)), &n) ==
                 E_OK &&
             hasher_add(h, p, n);
        at += ok ? (int64_t)n : 0;
    }
    ok = ok && hasher_end(h, &theirs) && hasher_end(r->hasher, &ours) && digest_eq(&ours, &theirs);
    hasher_free(h);
    free(p);
    if (!ok)
        log_warn("flight", "a range of %s differs from the proven blob", r->flight->digest.text);
    return ok ? E_OK : E_UPSTREAM;
}

/* How far the fetch of our own has come. */
static bool own_bytes(struct far *r, int64_t offset, int64_t *until_out)
{
    pthread_mutex_lock(&r->lock);
    r->sent = offset;
    pthread_cond_signal(&r->room);
    r->waiting = offset < r->limit && r->have <= offset && !r->ended;
    *until_out = r->waiting ? SOURCE_LATER : r->have;
    pthread_mutex_unlock(&r->lock);
    return *until_out == SOURCE_LATER || *until_out > offset;
}

static enum err far_until(struct source *s, int64_t offset, int64_t *until_out)
{
    struct far *r = (struct far *)s;
    r->base->wake = s->wake;
    r->base->wake_arg = s->wake_arg;
    if (!r->switched) {
        s->fd = -1;
        if (own_bytes(r, offset, until_out))
            return E_OK;
        *until_out = SOURCE_LATER;
        bool settled;
        TRY(source_settled(r->base, &settled));
        if (!settled)
            return E_OK;
        TRY(compare(r, offset));
        r->switched = true;
    }
    TRY(r->base->until(r->base, offset, until_out));
    s->fd = r->base->fd;
    return E_OK;
}

static enum err far_read(struct source *s, int64_t offset, void *p, size_t cap, size_t *n_out)
{
    struct far *r = (struct far *)s;
    if (r->switched)
        return r->base->read(r->base, offset, p, cap, n_out);
    pthread_mutex_lock(&r->lock);
    size_t from = (size_t)(offset - r->from) % RING;
    size_t n = offset < r->have ? (size_t)(r->have - offset) : 0;
    n = size_min(size_min(n, cap), RING - from);
    memcpy(p, r->ring + from, n);
    pthread_mutex_unlock(&r->lock);
    *n_out = n;
    int64_t end = offset + (int64_t)n;
    if (end > r->hashed) { /* a sender may read bytes twice, they are hashed once */
        size_t known = (size_t)i64_max(0, r->hashed - offset);
        if (!hasher_add(r->hasher, (const char *)p + known, n - known))
            return E_UPSTREAM;
        r->hashed = end;
    }
    return n ? E_OK : E_UPSTREAM;
}

static void far_release(struct source *s)
{
    struct far *r = (struct far *)s;
    r->base->release(r->base);
    pthread_mutex_lock(&r->lock);
    r->closed = true;
    r->waiting = false;
    pthread_cond_signal(&r->room);
    pthread_mutex_unlock(&r->lock);
    far_unref(r);
}

enum err far_source(struct ctx *c, struct flight *f, const struct place *at, int64_t from,
                    int64_t size, struct source *base, struct source **out)
{
    struct far *r = calloc(1, sizeof *r);
    char *ring = malloc(RING);
    struct hasher *h = hasher_new(DIGEST_SHA256);
    if (!r || !ring || !h) {
        free(r);
        free(ring);
        hasher_free(h);
        base->release(base);
        return fail(c, E_UNAVAILABLE, "out of memory");
    }
    *r = (struct far){
        .source = {.fd = -1, .until = far_until, .read = far_read, .release = far_release},
        .base = base,
        .flight = f,
        .project_id = f->places[0]->access->project.project_id,
        .rate = f->limit,
        .from = from,
        .limit = size - FLIGHT_TAIL,
        .sent = from,
        .have = from,
        .hashed = from,
        .ring = ring,
        .hasher = h,
        .refs = 2,
    };
    pthread_mutex_lock(&f->lock);
    f->refs++;
    pthread_mutex_unlock(&f->lock);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->room, NULL);
    endpoint_copy(&r->mem, &at->access->endpoint, &r->endpoint);
    r->repository = str_dup(&r->mem, at->repository);
    if (!crew_run(f->fs->crew, r->endpoint.id, fetch, r)) {
        r->ended = true;
        r->refs--;
    }
    *out = &r->source;
    return E_OK;
}
