/*
 * Flights, seen from the clients: the table of fetches under way, joining one, and readers that
 * follow it at their own offsets.
 *
 * The invariants. At most one joinable flight per digest. No reader gets the last 64 KiB (or
 * anything, of a smaller blob) before the digest is proven, so a body that ends well is a blob that
 * hashed right. A reader never slows the leader down while there is a file; without one (no room)
 * the leader keeps at most 4 MiB ahead of the slowest reader, and drops one that does not move.
 *
 * Locks: fs->lock before f->lock; neither is held over the network, the disk or the database.
 */
#include "registry/flight_inside.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"
#include "registry/ask.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define LEADERS_EACH 64
#define LEADERS_ALL 256
#define LEADER_WAIT_MS 30000
#define LOOK_MS 1000       /* how often one who waits for a leader looks at the time */
#define LINE_WAIT_MS 30000 /* in the line of a project with max_upstream_conn */
#define LINE_RETRY_S 5

struct flights *flights_new(struct services *sv)
{
    struct flights *fs = calloc(1, sizeof *fs);
    if (!fs)
        return NULL;
    fs->sv = sv;
    pthread_mutex_init(&fs->lock, NULL);
    fs->conditions = conditions_new();
    fs->crew = crew_new(LEADERS_EACH, LEADERS_ALL);
    fs->asks = asks_new(sv);
    fs->paces = paces_new();
    clock_cond_init(&fs->left);
    if (!fs->conditions || !fs->crew || !fs->asks || !fs->paces) {
        flights_free(fs);
        return NULL;
    }
    return fs;
}

void flights_stop(struct flights *fs)
{
    if (fs)
        atomic_store(&fs->stopping, true);
}

void flights_free(struct flights *fs)
{
    if (!fs)
        return;
    flights_stop(fs);
    asks_free(fs->asks);
    crew_free(fs->crew);
    conditions_free(fs->conditions);
    paces_free(fs->paces);
    pthread_cond_destroy(&fs->left);
    map_release(&fs->table);
    pthread_mutex_destroy(&fs->lock);
    free(fs);
}

struct conditions *flights_conditions(struct flights *fs)
{
    return fs->conditions;
}

struct asks *flights_asks(struct flights *fs)
{
    return fs->asks;
}

bool flight_flying(struct flights *fs, const struct digest *d)
{
    pthread_mutex_lock(&fs->lock);
    bool flying = map_get(&fs->table, digest_str(d)) != NULL;
    pthread_mutex_unlock(&fs->lock);
    return flying;
}

void flights_under_way(struct flights *fs, struct arena *a, struct strs *digests, int64_t *to_come)
{
    struct map_entry *e;
    size_t count = 0;
    *digests = (struct strs){0};
    *to_come = 0;
    pthread_mutex_lock(&fs->lock);
    for (size_t at = 0; (e = map_next(&fs->table, &at));)
        count++;
    digests->items = arena_alloc(a, (count + 1) * sizeof *digests->items);
    for (size_t at = 0; (e = map_next(&fs->table, &at));) {
        struct flight *f = e->value;
        digests->items[digests->count++] = str_dup(a, digest_str(&f->digest));
        pthread_mutex_lock(&f->lock);
        if (f->file && f->file_end == INT64_MAX && f->awaited > f->have)
            *to_come += f->awaited - f->have;
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_unlock(&fs->lock);
}

int64_t flights_count(struct flights *fs, int64_t endpoint_id)
{
    return crew_count(fs->crew, endpoint_id);
}

static int by_age(const void *a, const void *b)
{
    const struct flight_view *x = a, *y = b;
    if (x->seconds != y->seconds)
        return x->seconds < y->seconds ? 1 : -1;
    return str_cmp(x->digest, y->digest);
}

/* Under fs->lock. */
static struct flight_view view_of(struct arena *a, struct flight *f)
{
    const struct place *at = f->places[0];
    struct flight_view v = {
        .project_id = at->access->project.project_id,
        .upstream = str_dup(a, f->endpoint.name),
        .project = str_dup(a, at->access->project.name),
        .repository = str_dup(a, at->repository),
        .digest = str_dup(a, digest_str(&f->digest)),
    };
    pthread_mutex_lock(&f->lock);
    v.have = f->have;
    v.total = f->total;
    v.seconds = (clock_mono_ms() - f->begun_ms) / 1000;
    v.rate = f->rate;
    for (const struct reader *r = f->readers; r; r = r->next)
        v.clients += !r->lost;
    pthread_mutex_unlock(&f->lock);
    return v;
}

enum err flights_list(struct ctx *c, struct flights *fs, struct list *out)
{
    struct map_entry *e;
    size_t n = 0;
    struct flight_view *views = arena_array(&c->mem, LEADERS_ALL, sizeof *views);
    if (!views)
        return fail(c, E_UNAVAILABLE, "out of memory");
    pthread_mutex_lock(&fs->lock);
    for (size_t at = 0; n < LEADERS_ALL && (e = map_next(&fs->table, &at));)
        views[n++] = view_of(&c->mem, e->value);
    pthread_mutex_unlock(&fs->lock);
    if (n)
        qsort(views, n, sizeof *views, by_age);
    *out = (struct list){views, n};
    return E_OK;
}

void flight_unref(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    int left = --f->refs;
    pthread_cond_signal(&f->room); /* a leader without readers and without a file stops */
    pthread_mutex_unlock(&f->lock);
    if (left)
        return;
    store_close(f->file);
    fd_done(&f->stored.fd);
    hasher_free(f->hasher);
    free(f->ring);
    pthread_cond_destroy(&f->moved);
    pthread_cond_destroy(&f->room);
    pthread_mutex_destroy(&f->lock);
    arena_release(&f->mem);
    free(f);
}

void flight_leave_table(struct flight *f)
{
    if (map_get(&f->fs->table, digest_str(&f->digest)) == f)
        (void)map_remove(&f->fs->table, digest_str(&f->digest));
    pthread_cond_broadcast(&f->fs->left);
}

void flight_announce(struct flight *f)
{
    pthread_cond_broadcast(&f->moved);
    for (struct reader *r = f->readers; r; r = r->next) {
        if (!r->waiting)
            continue;
        r->waiting = false;
        f->waiters--;
        r->source.wake(r->source.wake_arg);
    }
}

int64_t flight_released(const struct flight *f)
{
    if (f->state == FLIGHT_PROVEN)
        return f->have;
    int64_t proven_first = f->total >= 0 ? f->total : f->have;
    return i64_max(0, i64_min(f->have, proven_first - FLIGHT_TAIL));
}

int64_t flight_slowest(const struct flight *f)
{
    int64_t least = f->pending ? f->file_end : INT64_MAX;
    for (const struct reader *r = f->readers; r; r = r->next)
        if (!r->lost)
            least = i64_min(least, i64_max(r->at, f->file_end));
    return i64_min(least, f->have);
}

/* ---- joining ---- */

static struct flight *flight_new(struct flights *fs, const struct flight_want *w)
{
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->fs = fs;
    f->digest = *w->digest;
    f->total = w->size;
    f->awaited = -1;
    f->limit = w->limit;
    f->file_end = INT64_MAX;
    f->stored.fd = -1;
    f->places[0] = place_copy(&f->mem, w->at);
    f->place_count = 1;
    f->endpoint = f->places[0]->access->endpoint;
    f->repository = f->places[0]->repository;
    f->refs = 1; /* the leader's */
    f->begun_ms = clock_mono_ms();
    pthread_mutex_init(&f->lock, NULL);
    clock_cond_init(&f->moved);
    clock_cond_init(&f->room);
    return f;
}

/* Notes that this repository, too, gets the blob. Under fs->lock. */
static void add_place(struct flight *f, const struct place *at)
{
    for (size_t i = 0; i < f->place_count; i++)
        if (f->places[i]->access->project.project_id == at->access->project.project_id &&
            str_eq(f->places[i]->repository, at->repository))
            return;
    if (f->place_count < FLIGHT_PLACES_MAX) /* one left out is linked by its next pull */
        f->places[f->place_count++] = place_copy(&f->mem, at);
}

/* A flight that newcomers can read from its beginning. Under fs->lock. */
static bool joinable(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    bool ok = f->state != FLIGHT_FAILED && f->state != FLIGHT_HERE &&
              (f->file_end == INT64_MAX || f->have - f->file_end <= (int64_t)FLIGHT_RING / 2);
    if (ok) {
        f->refs++;
        f->pending++;
    }
    pthread_mutex_unlock(&f->lock);
    return ok;
}

/* A place in the line of those who may not begin a flight yet. */
struct line {
    struct line *next;
    int64_t project_id;
};

/* Has the project as many flights as it may have, or is somebody before us in its line? Under
   fs->lock. */
static bool must_wait(struct flights *fs, const struct flight_want *w, const struct line *me)
{
    int64_t project = w->at->access->project.project_id, n = 0;
    struct map_entry *e;
    if (w->most <= 0)
        return false;
    for (const struct line *l = fs->line; l && l != me; l = l->next)
        if (l->project_id == project)
            return true;
    for (size_t at = 0; (e = map_next(&fs->table, &at));)
        n += ((struct flight *)e->value)->places[0]->access->project.project_id == project;
    return n >= w->most;
}

/* The flight of the digest, begun when there is none; NULL: out of memory or leaders, or *full.
   Under fs->lock. */
static struct flight *find_or_begin(struct flights *fs, const struct flight_want *w,
                                    const struct line *me, bool *led, bool *full)
{
    struct flight *f = map_get(&fs->table, digest_str(w->digest));
    *led = !f || !joinable(f);
    *full = false;
    if (!*led) {
        add_place(f, w->at);
        return f;
    }
    *full = must_wait(fs, w, me);
    f = *full ? NULL : flight_new(fs, w);
    if (f) {
        f->refs++;
        f->pending++;
        if (!map_set(&fs->table, digest_str(w->digest), f) ||
            !crew_run(fs->crew, f->endpoint.id, flight_lead, f)) {
            flight_leave_table(f);
            f->refs--;
            flight_unref(f);
            f = NULL;
        }
    }
    return f;
}

/* The same, after a wait in the project's line when it has as many as it may have. */
static struct flight *find_or_wait(struct flights *fs, const struct flight_want *w, bool *led,
                                   bool *full)
{
    struct line me = {.project_id = w->at->access->project.project_id};
    struct timespec until = clock_deadline(LINE_WAIT_MS);
    int rc = 0;
    pthread_mutex_lock(&fs->lock);
    struct flight *f = find_or_begin(fs, w, &me, led, full);
    if (*full) {
        struct line **last = &fs->line;
        while (*last)
            last = &(*last)->next;
        *last = &me;
        while (*full && rc == 0 && !atomic_load(&fs->stopping)) {
            rc = pthread_cond_timedwait(&fs->left, &fs->lock, &until);
            f = find_or_begin(fs, w, &me, led, full);
        }
        for (last = &fs->line; *last != &me;)
            last = &(*last)->next;
        *last = me.next;
        pthread_cond_broadcast(&fs->left); /* who stood behind us may be first now */
    }
    pthread_mutex_unlock(&fs->lock);
    return f;
}

/* The flight's failure as this caller's. Under f->lock. */
static enum err pass_on(struct ctx *c, const struct flight *f)
{
    c->status = f->status;
    c->retry_after = f->retry_after;
    return fail(c, f->err, "%s", f->msg);
}

/* What the store had, for this caller. Under f->lock. */
static enum err open_again(struct ctx *c, const struct flight *f, struct flight_stored *out)
{
    *out = (struct flight_stored){fcntl(f->stored.fd, F_DUPFD_CLOEXEC, 0), f->stored.size};
    return out->fd >= 0 ? E_OK : fail(c, E_UNAVAILABLE, "no file descriptor is left");
}

/* Waits for the first answer. A flight in line for a leader is waited for, but not for ever. */
static enum err await_answer(struct ctx *c, struct flight *f, struct flight_stored *stored)
{
    int64_t begun = clock_mono_ms();
    pthread_mutex_lock(&f->lock);
    while (f->state == FLIGHT_STARTING) {
        if (!f->begun && clock_mono_ms() - begun >= LEADER_WAIT_MS) {
            pthread_mutex_unlock(&f->lock);
            c->retry_after = 10;
            return fail(c, E_UNAVAILABLE, "too many fetches from this upstream are under way");
        }
        struct timespec look = clock_deadline(LOOK_MS);
        f->waiters++;
        pthread_cond_timedwait(&f->moved, &f->lock, &look);
        f->waiters--;
    }
    enum err err = E_OK;
    if (f->state == FLIGHT_FAILED)
        err = pass_on(c, f);
    else if (f->state == FLIGHT_HERE)
        err = open_again(c, f, stored);
    pthread_mutex_unlock(&f->lock);
    return err;
}

enum err flight_join(struct ctx *c, const struct flight_want *w, struct flight **out,
                     struct flight_stored *stored, bool *led)
{
    struct flights *fs = c->sv->flights;
    *out = NULL;
    *stored = (struct flight_stored){.fd = -1};
    for (int try = 0;; try++) {
        bool full;
        struct flight *f = find_or_wait(fs, w, led, &full);
        if (full) {
            c->retry_after = LINE_RETRY_S;
            return fail(c, E_TOO_MANY, "the project fetches %lld blobs from upstream already",
                        (long long)w->most);
        }
        if (!f) {
            c->retry_after = 10;
            return fail(c, E_UNAVAILABLE, "too many fetches are under way");
        }
        int64_t asked = f->endpoint.id;
        enum err err = await_answer(c, f, stored);
        if (err == E_OK && stored->fd < 0) {
            *out = f;
            return E_OK;
        }
        flight_release(f);
        /* Another project's upstream failed; ours may have it. */
        if (err == E_OK || asked == w->at->access->endpoint.id || try > 0)
            return err;
        c->status = 0;
        c->retry_after = 0;
    }
}

void flight_release(struct flight *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->pending--;
    pthread_mutex_unlock(&f->lock);
    flight_unref(f);
}

int64_t flight_size(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    int64_t total = f->total;
    pthread_mutex_unlock(&f->lock);
    return total;
}

int64_t flight_have(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    int64_t have = f->have;
    pthread_mutex_unlock(&f->lock);
    return have;
}

enum err flight_settle(struct ctx *c, struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    f->waiters++;
    while (f->state == FLIGHT_STARTING || f->state == FLIGHT_FLOWING)
        pthread_cond_wait(&f->moved, &f->lock);
    f->waiters--;
    enum err err = f->state == FLIGHT_FAILED ? pass_on(c, f) : E_OK;
    pthread_mutex_unlock(&f->lock);
    return err;
}

/* ---- readers ---- */

/* Under f->lock. */
static void set_waiting(struct reader *r, bool waiting)
{
    r->flight->waiters += waiting - r->waiting;
    r->waiting = waiting;
}

/* How far bytes may be sent. Wake-ups are coalesced by the leader, so who waits looks again by
   itself now and then. */
static enum err reader_until(struct source *s, int64_t offset, int64_t *until_out)
{
    struct reader *r = (struct reader *)s;
    struct flight *f = r->flight;
    enum err err = E_OK;
    pthread_mutex_lock(&f->lock);
    r->at = offset;
    if (f->file_end != INT64_MAX)
        pthread_cond_signal(&f->room);
    int64_t released = flight_released(f);
    bool failed = f->state == FLIGHT_FAILED || r->lost;
    bool moved = released > offset || f->state == FLIGHT_PROVEN;
    set_waiting(r, !failed && !moved);
    if (failed) {
        err = E_UPSTREAM;
    } else if (moved) {
        /* One call's bytes are all in the file or all in the ring. */
        bool in_file = offset < f->file_end;
        *until_out = i64_max(offset, in_file ? i64_min(released, f->file_end) : released);
        s->fd = in_file && f->file ? store_fd(f->file) : -1;
    } else {
        *until_out = SOURCE_LATER;
    }
    pthread_mutex_unlock(&f->lock);
    return err;
}

/* Copies from the ring. Under f->lock. */
static enum err read_ring(struct flight *f, int64_t offset, void *p, size_t cap, size_t *n_out)
{
    int64_t oldest = i64_max(f->file_end, f->have - (int64_t)FLIGHT_RING);
    if (offset < oldest || offset >= f->have)
        return E_UPSTREAM;
    size_t n = size_min(cap, (size_t)(f->have - offset));
    size_t from = (size_t)(offset - f->file_end) % FLIGHT_RING;
    size_t first = size_min(n, FLIGHT_RING - from);
    memcpy(p, f->ring + from, first);
    memcpy((char *)p + first, f->ring, n - first);
    *n_out = n;
    return E_OK;
}

static enum err reader_read(struct source *s, int64_t offset, void *p, size_t cap, size_t *n_out)
{
    struct reader *r = (struct reader *)s;
    struct flight *f = r->flight;
    pthread_mutex_lock(&f->lock);
    bool in_file = offset < f->file_end;
    enum err err = E_UPSTREAM;
    int64_t last = i64_min(f->have, f->file_end);
    if (!r->lost && !in_file)
        err = read_ring(f, offset, p, cap, n_out);
    pthread_mutex_unlock(&f->lock);
    if (!in_file)
        return err;
    int64_t n = fd_pread_all(store_fd(f->file), p, size_min(cap, (size_t)(last - offset)), offset);
    if (n <= 0)
        return E_INTERNAL;
    *n_out = (size_t)n;
    return E_OK;
}

static void reader_release(struct source *s)
{
    struct reader *r = (struct reader *)s;
    struct flight *f = r->flight;
    pthread_mutex_lock(&f->lock);
    set_waiting(r, false);
    struct reader **p = &f->readers;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    pthread_mutex_unlock(&f->lock);
    metric_add(M_flight_followers, -1);
    free(r);
    flight_unref(f);
}

enum err flight_source(struct ctx *c, struct flight *f, int64_t from, struct source **out)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return fail(c, E_UNAVAILABLE, "out of memory");
    *r = (struct reader){
        .source = {.fd = -1, .until = reader_until, .read = reader_read, .release = reader_release},
        .flight = f,
        .at = from,
    };
    pthread_mutex_lock(&f->lock);
    f->refs++;
    r->next = f->readers;
    f->readers = r;
    if (f->file && f->file_end == INT64_MAX)
        r->source.fd = store_fd(f->file);
    pthread_mutex_unlock(&f->lock);
    metric_add(M_flight_followers, 1);
    *out = &r->source;
    return E_OK;
}

enum err source_settled(struct source *s, bool *settled)
{
    struct reader *r = (struct reader *)s;
    struct flight *f = r->flight;
    pthread_mutex_lock(&f->lock);
    *settled = f->state != FLIGHT_STARTING && f->state != FLIGHT_FLOWING;
    enum err err = f->state == FLIGHT_FAILED ? f->err : E_OK;
    set_waiting(r, !*settled);
    pthread_mutex_unlock(&f->lock);
    return err;
}

enum err source_settle(struct ctx *c, struct source *s)
{
    if (s->until != reader_until) /* a far range proves itself before its last bytes */
        return E_OK;
    return flight_settle(c, ((struct reader *)s)->flight);
}
