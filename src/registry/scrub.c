/*
 * A pass over the blobs by the age of their last proof. Reading is paced piece by piece, so that
 * one large blob does not come as a burst, and what was read is dropped from the page cache: it
 * was not asked for by anybody. Proofs are written down a page of blobs at a time.
 *
 * A finding is looked at twice: garbage collection may have taken the blob, or a push may have
 * given it another object, while it was being read.
 */
#include "registry/scrub.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"
#include "blob/store.h"
#include "meta/blob.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 100
#define PIECE ((int64_t)256 << 10)
#define SAY_MS 5000
#define NAP_MS 200 /* so that the end of the process is noticed */

struct scrub {
    struct ctx *c; /* of the page under way */
    int64_t rate;  /* bytes a second; 0 = no limit */
    int64_t began_ms, said_ms;
    char *piece;
    const struct scrub_watch *watch;
    struct scrub_report r;
};

static const struct scrub_watch nobody;

/* Waits until the bytes that were read are not more than the rate allows. */
static enum err pace(struct scrub *s)
{
    int64_t due =
        s->rate ? s->began_ms + (int64_t)((double)s->r.bytes * 1000 / (double)s->rate) : 0;
    for (int64_t left = 1; left > 0;) {
        if (gc_stopping())
            return fail(s->c, E_UNAVAILABLE, "stopped: the server ends");
        if (s->watch->step && !s->watch->step(s->watch->arg, &s->r))
            return fail(s->c, E_UNAVAILABLE, "stopped");
        left = due - clock_mono_ms();
        if (left > 0)
            usleep((useconds_t)i64_min(left, NAP_MS) * 1000);
    }
    return E_OK;
}

/* *why: what is wrong with the object, NULL when it is whole. */
static enum err hash_object(struct scrub *s, int fd, int64_t size, struct str digest,
                            const char **why)
{
    struct digest want, got;
    enum err e = E_OK;
    TRY(digest_parse(s->c, digest, &want));
    struct hasher *h = hasher_new(want.alg);
    if (!h)
        return fail(s->c, E_UNAVAILABLE, "out of memory");
    for (int64_t at = 0; e == E_OK && !*why && at < size;) {
        int64_t n = fd_pread_all(fd, s->piece, (size_t)i64_min(PIECE, size - at), at);
        if (n <= 0)
            *why = "the object cannot be read";
        else if (!hasher_add(h, s->piece, (size_t)n))
            e = fail(s->c, E_INTERNAL, "hashing failed");
        (void)posix_fadvise(fd, at, PIECE, POSIX_FADV_DONTNEED);
        at += i64_max(n, 0);
        s->r.bytes += i64_max(n, 0);
        if (e == E_OK)
            e = pace(s);
    }
    if (e == E_OK && !*why && (!hasher_end(h, &got) || !digest_eq(&got, &want)))
        *why = "the object has other content";
    hasher_free(h);
    return e;
}

static enum err prove(struct scrub *s, const struct blob *b, const char **why)
{
    CLEANUP(fd_done) int fd = -1;
    int64_t size;
    *why = NULL;
    if (store_read(s->c, b->phys_key, &fd, &size) != E_OK)
        *why = "the object is missing";
    else if (size != b->size)
        *why = "the object has another size";
    return *why ? E_OK : hash_object(s, fd, size, b->digest, why);
}

/* Quarantines the blob, unless its row has changed since it was read. */
static enum err set_aside(struct scrub *s, const struct blob *b, const char *why)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob now;
    TRY(tx_begin(s->c, &tx));
    enum err e = blob_by_digest(s->c, b->digest, &now);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    if (now.id != b->id || !str_eq(now.phys_key, b->phys_key))
        return E_OK;
    TRY(blob_quarantine(s->c, b->id));
    TRY(tx_commit(&tx));
    s->r.broken++;
    metric_add(M_scrub_broken, 1);
    log_error("scrub", "blob %.*s is quarantined: %s (%.*s)", STR(b->digest), why,
              STR(b->phys_key));
    progress_line(s->watch->say, s->watch->arg, "blob %.*s: %s; quarantined", STR(b->digest), why);
    return E_OK;
}

static enum err note_proofs(struct scrub *s, const struct i64s *ids)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(s->c, &tx));
    TRY(blob_verified(s->c, ids));
    return tx_commit(&tx);
}

static enum err read_page(struct scrub *s, struct timestamp before, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(s->c, &tx));
    return blob_unproven(s->c, before, PAGE, out);
}

static enum err scrub_page(struct scrub *s, const struct blob *b, size_t n)
{
    struct i64s whole = {.items = arena_alloc(&s->c->mem, n * sizeof(int64_t))};
    enum err e = E_OK;
    for (size_t i = 0; e == E_OK && i < n; i++) {
        const char *why;
        e = prove(s, &b[i], &why);
        if (e != E_OK)
            break;
        s->r.blobs++;
        metric_add(M_scrub_blobs, 1);
        if (why)
            e = set_aside(s, &b[i], why);
        else
            whole.items[whole.count++] = b[i].id;
        int64_t now = clock_mono_ms();
        if (now - s->said_ms >= SAY_MS) {
            s->said_ms = now;
            progress_line(s->watch->say, s->watch->arg, "%lld blobs, %lld MiB",
                          (long long)s->r.blobs, (long long)(s->r.bytes >> 20));
        }
    }
    if (whole.count) { /* also when the pass ends here: the proofs stand */
        enum err noted = note_proofs(s, &whole);
        e = e == E_OK ? noted : e;
    }
    return e;
}

enum err scrub_run(struct ctx *c, int64_t older_than_s, int64_t rate_mib,
                   const struct scrub_watch *watch, struct scrub_report *out)
{
    struct scrub s = {.rate = rate_mib << 20, .watch = watch ? watch : &nobody};
    struct timestamp before = {clock_now().us - older_than_s * SECOND_US};
    size_t count = 1;
    enum err e = E_OK;
    s.began_ms = s.said_ms = clock_mono_ms();
    s.piece = malloc((size_t)PIECE);
    if (!s.piece)
        return fail(c, E_UNAVAILABLE, "out of memory");
    while (e == E_OK && count) {
        struct ctx page = {.sv = c->sv, .actor = c->actor};
        struct list blobs = {0};
        s.c = &page;
        e = read_page(&s, before, &blobs);
        count = e == E_OK ? blobs.count : 0;
        if (count)
            e = scrub_page(&s, blobs.items, count);
        if (e != E_OK)
            memcpy(c->msg, page.msg, sizeof c->msg);
        ctx_release(&page);
    }
    free(s.piece);
    TRY(e);
    progress_line(s.watch->say, s.watch->arg, "%lld blobs, %lld bytes hashed; %lld broken",
                  (long long)s.r.blobs, (long long)s.r.bytes, (long long)s.r.broken);
    if (s.r.blobs)
        log_info("scrub", "%lld blobs, %lld bytes hashed; %lld broken", (long long)s.r.blobs,
                 (long long)s.r.bytes, (long long)s.r.broken);
    *out = s.r;
    return E_OK;
}
