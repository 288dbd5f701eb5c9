/*
 * The leader of a flight: upstream -> file and hash, then proof, then the commit.
 *
 * It never waits for a client while it has a file, and goes on when all clients have left. A break
 * is resumed by Range from what is here, at most three times, each beginning at the registry. What
 * a killed process left behind is taken over through the flight's upload row: hashed again from
 * disk, then resumed. Trouble with the store never stops it: from the first failed write on it goes
 * on through a ring in memory for the readers that are there.
 *
 * Order at the end: proof, release of the readers, fsync, the blob's row and links, leaving the
 * table. So a newcomer always finds the row or the flight.
 */
#include "registry/flight_inside.h"

#include "base/crypt.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"
#include "meta/repository.h"
#include "meta/upload.h"
#include "meta/usage.h"
#include "registry/evict.h"
#include "registry/ledger.h"
#include "registry/push.h"
#include "registry/readonly.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 4
#define WAKE_BYTES (INT64_C(512) << 10)
#define WAKE_MS 5
#define RATE_MS 1000
#define ROW_BYTES (INT64_C(1) << 20) /* a smaller partial file is not worth a row */
#define LIFE_S 86400
#define EXTEND_MS 3600000
#define RING_WAIT_MS 30000 /* a reader that has not moved for so long is dropped */
#define RING_LOOK_MS 1000

/* ---- the beginning: bytes that are here already, a file ---- */

/* Gives the place's repository the blob that is ACTIVE under another one. */
static enum err link_place(struct ctx *c, const struct place *at, const struct blob *b)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repository_id;
    TRY(tx_begin(c, &tx));
    TRY(repository_ensure(c, at->access->project.project_id, at->repository, &repository_id));
    int64_t project = at->access->project.project_id;
    bool held;
    TRY(usage_lock_blob(c, b->id));
    TRY(usage_has_blob(c, project, b->id, &held));
    TRY(blob_link(c, repository_id, b->id, 0));
    if (!held)
        TRY(usage_linked(c, project, b->id));
    return tx_commit(&tx);
}

static enum err find_blob(struct ctx *c, struct flight *f, struct blob *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return blob_by_digest(c, digest_str(&f->digest), out);
}

static enum err set_aside(struct ctx *c, const struct blob *b)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(blob_quarantine(c, b->id));
    return tx_commit(&tx);
}

/* What the blob's size is, from whoever says it first. */
static void learn_size(struct flight *f, int64_t size)
{
    pthread_mutex_lock(&f->lock);
    if (f->total < 0)
        f->total = size;
    pthread_mutex_unlock(&f->lock);
}

/* Does the store hold the blob (stored for another repository, or a moment ago)? Then it is linked,
   and kept open for those who wait: a full cache may evict it at once. A row whose bytes are gone
   is set aside, so that the fetch can replace it. */
static bool is_here(struct ctx *c, struct flight *f)
{
    struct blob b;
    if (find_blob(c, f, &b) != E_OK)
        return false;
    if (b.size > 0 && b.state != STATE_EXPECTED) /* else it is only somebody's word */
        learn_size(f, b.size);
    if (b.state != STATE_ACTIVE && b.state != STATE_CONDEMNED)
        return false;
    CLEANUP(fd_done) int fd = -1;
    int64_t size;
    enum err err = store_read(c, b.phys_key, &fd, &size);
    if (err != E_OK || size != b.size) {
        log_error("flight", "bytes of blob %s are missing, it is fetched again: %s", f->digest.text,
                  err == E_OK ? "size differs" : c->msg);
        if (set_aside(c, &b) != E_OK)
            log_warn("flight", "cannot set blob %s aside: %s", f->digest.text, c->msg);
        return false;
    }
    if (b.state != STATE_ACTIVE || link_place(c, f->places[0], &b) != E_OK)
        return false;
    f->stored = (struct flight_stored){fd, size};
    fd = -1;
    return true;
}

/* The upload row of a flight that a killed process left behind. */
static enum err left_behind(struct ctx *c, struct flight *f, struct upload *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return upload_flight(c, digest_str(&f->digest), out);
}

static enum err delete_row(struct ctx *c, struct str upload_id)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(upload_delete(c, upload_id));
    return tx_commit(&tx);
}

/* Takes the row out; its key stays an intent and is swept unless a blob takes it. */
static void drop_row(struct ctx *c, struct flight *f)
{
    if (f->upload_id.n && delete_row(c, f->upload_id) != E_OK) /* it expires in a day */
        log_warn("flight", "cannot drop the upload of %s: %s", f->digest.text, c->msg);
    f->upload_id = NO_STR;
}

static enum err prolong_row(struct ctx *c, struct str upload_id)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(upload_extend(c, upload_id, LIFE_S));
    return tx_commit(&tx);
}

/* A row that expires under a running flight would take the object with it. */
static bool extend_row(struct ctx *c, struct flight *f)
{
    f->extended_ms = clock_mono_ms();
    if (prolong_row(c, f->upload_id) == E_OK)
        return true;
    log_warn("flight", "cannot extend the upload of %s: %s", f->digest.text, c->msg);
    return false;
}

/* Goes on with a partial file; false when there is none (of use). */
static bool adopt(struct ctx *c, struct flight *f)
{
    struct upload up;
    if (left_behind(c, f, &up) != E_OK)
        return false;
    f->upload_id = up.id;
    if (up.size >= 0)
        learn_size(f, up.size);
    struct store_file *file = NULL;
    int64_t size;
    if (store_doubts(c->sv->store, up.started) || !extend_row(c, f) ||
        store_reopen(c, up.phys_key, &file, &size) != E_OK || (f->total >= 0 && size > f->total) ||
        store_hash(c, store_fd(file), size, f->digest.alg, &f->hasher) != E_OK) {
        store_close(file);
        drop_row(c, f);
        return false;
    }
    f->key = up.phys_key;
    pthread_mutex_lock(&f->lock);
    f->file = file;
    f->have = size;
    pthread_mutex_unlock(&f->lock);
    log_info("flight", "goes on with %s at %lld bytes", f->digest.text, (long long)size);
    return true;
}

/* Switches to memory: from here on the bytes live in the ring. Under no lock. */
static enum err use_ring(struct ctx *c, struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    f->ring = malloc(FLIGHT_RING);
    f->file_end = f->have;
    pthread_mutex_unlock(&f->lock);
    return f->ring ? E_OK : fail(c, E_UNAVAILABLE, "out of memory");
}

static enum err go_without_file(struct ctx *c, struct flight *f)
{
    metric_add(M_cache_write_errors, 1);
    log_warn("flight", "%s is passed on without being stored: %s", f->digest.text, c->msg);
    c->msg[0] = 0;
    return use_ring(c, f);
}

/* Does the blob fit into its project's cache? An eviction under way is waited for: the cap is
   exceeded by what is in flight and no more. */
static bool fits_cache(struct ctx *c, struct flight *f)
{
    const struct project *p = &f->places[0]->access->project;
    if (p->storage_limit >= 0 && f->total > p->storage_limit) {
        (void)fail(c, E_NO_SPACE, "it is larger than the project's whole cache");
        return false;
    }
    if (p->storage_limit >= 0 && evict_project(c, p->project_id) != E_OK)
        log_warn("flight", "the cache stays over its limit: %s", c->msg);
    return true;
}

/* Makes room on the disk for what upstream is about to send, which is asked for once: a size that
   only the manifest tells would let a small blob drive out everything else. */
static enum err take_room(struct ctx *c, struct flight *f, int64_t size)
{
    bool fits = true;
    if (f->file_end != INT64_MAX || f->awaited >= 0)
        return E_OK;
    if (evict_make_room(c, i64_max(0, size - f->have), &fits) != E_OK) /* the writes will tell */
        log_warn("flight", "no room is made for %s: %s", f->digest.text, c->msg);
    pthread_mutex_lock(&f->lock);
    f->awaited = fits ? i64_max(0, size) : 0;
    pthread_mutex_unlock(&f->lock);
    if (fits)
        return E_OK;
    (void)fail(c, E_NO_SPACE, "no room in the store");
    return go_without_file(c, f);
}

static enum err open_file(struct ctx *c, struct flight *f)
{
    struct str key;
    struct store_file *file;
    if (!read_only() && adopt(c, f))
        return E_OK;
    f->hasher = hasher_new(f->digest.alg);
    if (!f->hasher)
        return fail(c, E_UNAVAILABLE, "out of memory");
    if (read_only())
        return use_ring(c, f);
    if (!fits_cache(c, f))
        return go_without_file(c, f);
    if (store_key(c, &key) != E_OK || store_create(c, key, &file) != E_OK)
        return go_without_file(c, f);
    f->key = key;
    pthread_mutex_lock(&f->lock);
    f->file = file;
    pthread_mutex_unlock(&f->lock);
    return E_OK;
}

static enum err insert_row(struct ctx *c, const struct place *at, struct upload *up)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(repository_ensure(c, at->access->project.project_id, at->repository, &up->repository_id));
    TRY(upload_insert(c, up, LIFE_S));
    return tx_commit(&tx);
}

/* The row by which another process can go on after us. */
static void add_row(struct ctx *c, struct flight *f)
{
    struct upload up = {
        .id = random_uuid(&c->mem),
        .kind = UPLOAD_FLIGHT,
        .repository_path = f->places[0]->repository,
        .actor = S("proxy"),
        .phys_key = f->key,
        .digest = digest_str(&f->digest),
        .size = f->total,
    };
    f->extended_ms = clock_mono_ms();
    if (insert_row(c, f->places[0], &up) == E_OK)
        f->upload_id = up.id;
    else /* the fetch goes on; only a restart could not take it over */
        log_warn("flight", "no upload row for %s: %s", f->digest.text, c->msg);
}

/* ---- the stream ---- */

struct stream {
    struct ctx *c;
    struct flight *f;
    bool row_tried;
    bool odd_length; /* the answer's length is not what is missing: its end is not waited for */
};

/* More bytes are here: tells the readers, but not for each packet. */
static void advance(struct flight *f, int64_t n)
{
    pthread_mutex_lock(&f->lock);
    f->have += n;
    bool first = f->state == FLIGHT_STARTING;
    if (first)
        f->state = FLIGHT_FLOWING;
    int64_t now = clock_mono_ms();
    if (first || now - f->rated_ms >= RATE_MS) {
        f->rate = first ? 0 : (f->have - f->rated) * 1000 / (now - f->rated_ms);
        f->rated = f->have;
        f->rated_ms = now;
    }
    bool opens = !f->open && flight_released(f) > 0; /* the first bytes that may be sent */
    f->open = f->open || opens;
    if (first || opens ||
        (f->waiters &&
         (f->have - f->announced >= WAKE_BYTES || now - f->announced_ms >= WAKE_MS))) {
        f->announced = f->have;
        f->announced_ms = now;
        flight_announce(f);
    }
    pthread_mutex_unlock(&f->lock);
}

static struct reader *slowest_reader(struct flight *f)
{
    struct reader *slow = NULL;
    for (struct reader *r = f->readers; r; r = r->next)
        if (!r->lost && (!slow || r->at < slow->at))
            slow = r;
    return slow;
}

/* Waits until the ring has space; drops a reader that does not move; E_CLOSED without readers.
   Under f->lock. */
static enum err await_room(struct flight *f, size_t *space)
{
    int64_t slowest = flight_slowest(f);
    int64_t begun = clock_mono_ms();
    for (;;) {
        *space = FLIGHT_RING - (size_t)(f->have - i64_max(f->file_end, flight_slowest(f)));
        if (f->refs <= 1 || atomic_load(&f->fs->stopping))
            return E_CLOSED;
        if (*space)
            return E_OK;
        struct timespec look = clock_deadline(RING_LOOK_MS);
        pthread_cond_timedwait(&f->room, &f->lock, &look);
        if (flight_slowest(f) != slowest) {
            slowest = flight_slowest(f);
            begun = clock_mono_ms();
        } else if (clock_mono_ms() - begun >= RING_WAIT_MS) {
            struct reader *slow = slowest_reader(f);
            if (slow)
                slow->lost = true;
            begun = clock_mono_ms();
        }
    }
}

static enum err into_ring(struct flight *f, const char *p, size_t n)
{
    while (n) {
        size_t space;
        pthread_mutex_lock(&f->lock);
        enum err err = await_room(f, &space);
        size_t from = (size_t)(f->have - f->file_end) % FLIGHT_RING;
        size_t part = size_min(size_min(n, space), FLIGHT_RING - from);
        if (err == E_OK)
            memcpy(f->ring + from, p, part);
        pthread_mutex_unlock(&f->lock);
        TRY(err);
        advance(f, (int64_t)part);
        p += part;
        n -= part;
    }
    return E_OK;
}

/* Has an operator paused the upstream meanwhile? What is here stays, and is gone on with later. */
static bool is_cut(struct flight *f)
{
    return condition_cut(f->fs->conditions, f->endpoint.id);
}

static enum err on_head(void *arg, int status, const struct header *headers, size_t count)
{
    struct stream *s = arg;
    struct flight *f = s->f;
    f->skip = status == 200 ? f->have : 0; /* Range was ignored */
    int64_t length, said = -1;
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(headers[i].name, S("content-length")) &&
            str_to_i64(headers[i].value, &length) && length >= 0)
            said = length;
    if (said >= 0 && status == 200)
        learn_size(f, said);
    int64_t before = status == 200 ? 0 : f->have;
    s->odd_length = said < 0 || said != f->total - before;
    bool less = said >= 0 && said < f->total - before;
    TRY(take_room(s->c, f, less ? before + said : f->total));
    advance(f, 0);
    return E_OK;
}

static enum err on_data(void *arg, const void *bytes, size_t n)
{
    struct stream *s = arg;
    struct flight *f = s->f;
    const char *p = bytes;
    if (atomic_load(&f->fs->stopping) || is_cut(f))
        return E_CLOSED;
    size_t skip = (size_t)i64_min(f->skip, (int64_t)n);
    f->skip -= (int64_t)skip;
    p += skip;
    n -= skip;
    bool surplus = f->total >= 0 && (int64_t)n > f->total - f->have;
    if (surplus)
        n = (size_t)(f->total - f->have);
    if (n && !hasher_add(f->hasher, p, n))
        return fail(s->c, E_INTERNAL, "hashing failed");
    if (f->file_end == INT64_MAX && n && store_append(s->c, f->file, p, n) != E_OK)
        TRY(go_without_file(s->c, f));
    if (f->file_end != INT64_MAX)
        TRY(into_ring(f, p, n));
    else
        advance(f, (int64_t)n);
    if (!s->row_tried && f->have >= ROW_BYTES && f->file_end == INT64_MAX) {
        s->row_tried = true;
        if (!f->upload_id.n)
            add_row(s->c, f);
    }
    if (f->upload_id.n && clock_mono_ms() - f->extended_ms > EXTEND_MS)
        (void)extend_row(s->c, f); /* it has said why; the next hour tries again */
    pace_take(f->fs->paces, f->places[0]->access->project.project_id, f->limit, (int64_t)n,
              &f->fs->stopping);
    bool enough = surplus || (s->odd_length && f->total >= 0 && f->have == f->total);
    return enough ? E_RANGE : E_OK; /* everything is here, the rest of the answer is not wanted */
}

/* May another try help? A wish of the upstream to wait is heeded when it is short. */
static bool try_again(struct flight *f, enum err err, const struct oci_status *st, int try)
{
    static const int64_t pauses_ms[] = {100, 400, 1600};
    if (try + 1 >= TRIES || atomic_load(&f->fs->stopping) || is_cut(f))
        return false;
    if (err != E_OK && err != E_UPSTREAM && err != E_UPSTREAM_TIMEOUT &&
        !(err == E_TOO_MANY && !st->pull_limit && st->retry_after_s > 0 && st->retry_after_s <= 2))
        return false;
    uint32_t r;
    random_fill(&r, sizeof r);
    int64_t pause = pauses_ms[try];
    pause = pause / 2 + (int64_t)(r % (uint64_t)pause);
    pause = i64_max(pause, err == E_TOO_MANY ? st->retry_after_s * 1000 : 0);
    usleep((useconds_t)pause * 1000);
    return true;
}

static enum err paused(struct ctx *c, const struct flight *f)
{
    c->retry_after = PAUSED_RETRY_S;
    return fail(c, E_UNAVAILABLE, "upstream %.*s was paused meanwhile", STR(f->endpoint.name));
}

/* Streams until every byte is here. */
static enum err fetch(struct ctx *c, struct flight *f, struct oci_status *st)
{
    struct stream s = {.c = c, .f = f};
    const struct client_sink sink = {.head = on_head, .data = on_data, .arg = &s};
    enum err err = E_OK;
    for (int try = 0; f->total < 0 || f->have < f->total; try++) {
        int64_t before = f->have;
        if (before)
            metric_add(M_flight_resumes, 1);
        *st = (struct oci_status){.limit = -1, .remaining = -1};
        if (is_cut(f))
            return paused(c, f);
        err = oci_get_blob(c, &f->endpoint, f->repository, &f->digest, before, &sink, st);
        if (err == E_RANGE)
            err = E_OK;
        condition_note(f->fs->conditions, &f->endpoint, err, st);
        ledger_note(c, &f->endpoint, st);
        if (err == E_OK && (f->total < 0 || f->have == f->total))
            break;
        if (is_cut(f))
            return paused(c, f);
        if (!try_again(f, err, st, try))
            return err != E_OK ? err
                               : fail(c, E_UPSTREAM, "upstream ends blob %s after %lld bytes",
                                      f->digest.text, (long long)f->have);
        if (err == E_OK && f->have > before)
            log_warn("flight", "%s broke off at %lld bytes, resuming", f->digest.text,
                     (long long)f->have);
    }
    return E_OK;
}

/* ---- the end ---- */

static void set_state(struct flight *f, enum flight_state state)
{
    pthread_mutex_lock(&f->lock);
    f->state = state;
    flight_announce(f);
    pthread_mutex_unlock(&f->lock);
}

/* Nobody can join any more, everybody who did is told. */
static void give_up(struct ctx *c, struct flight *f, enum err err, const struct oci_status *st)
{
    metric_add(M_flight_failures, 1);
    log_warn("flight", "fetch of %s from %.*s failed: %s", f->digest.text, STR(f->endpoint.name),
             c->msg);
    pthread_mutex_lock(&f->fs->lock);
    flight_leave_table(f);
    pthread_mutex_unlock(&f->fs->lock);
    pthread_mutex_lock(&f->lock);
    f->err = err == E_DENIED ? E_UPSTREAM : err;
    if (err != E_BLOB_UNKNOWN && err != E_UNAVAILABLE)
        f->status = condition_status(err, st);
    f->retry_after = st->retry_after_s ? st->retry_after_s : c->retry_after;
    struct str reason = str_of(c->msg);
    memcpy(f->msg, reason.p, size_min(reason.n, sizeof f->msg - 1));
    pthread_mutex_unlock(&f->lock);
    set_state(f, FLIGHT_FAILED);
}

/* The file is of no use any more; readers keep their open descriptor. */
static void forget_file(struct ctx *c, struct flight *f)
{
    drop_row(c, f);
    if (f->key.n && store_delete(c, f->key) != E_OK)
        log_warn("flight", "cannot delete %.*s: %s", STR(f->key), c->msg);
    f->key = NO_STR;
}

/* The next place that waits for its link; NULL: none, and the flight has left the table. */
static const struct place *next_place(struct flight *f, size_t i)
{
    pthread_mutex_lock(&f->fs->lock);
    const struct place *at = i < f->place_count ? f->places[i] : NULL;
    if (!at)
        flight_leave_table(f);
    pthread_mutex_unlock(&f->fs->lock);
    return at;
}

/* Makes the proven bytes a blob of every repository that asked. A commit of unknown outcome leaves
   the object alone: its intent is swept if no blob took it. */
static enum err keep(struct ctx *c, struct flight *f)
{
    enum err err = store_sync(c, f->file);
    if (err != E_OK) {
        forget_file(c, f);
        return err;
    }
    drop_row(c, f);
    TRY(push_blob(c, f->places[0], ORIGIN_PROXY, f->key, &f->digest, f->have));
    const struct place *at;
    for (size_t i = 1; (at = next_place(f, i)); i++) {
        const struct place *from = f->places[0];
        if (push_mount(c, at, &f->digest, from->access->project.project_id, from->repository) !=
            E_OK) /* its next pull links it */
            log_warn("flight", "cannot link %s to %.*s: %s", f->digest.text, STR(at->repository),
                     c->msg);
    }
    return E_OK;
}

/* After bytes or links came: the caches that grew are brought into their bounds. Nobody waits. */
static void keep_bounds(struct ctx *c, const struct flight *f)
{
    for (size_t i = 0; i < f->place_count; i++) {
        const struct project *p = &f->places[i]->access->project;
        bool done = p->storage_limit < 0;
        for (size_t k = 0; k < i && !done; k++)
            done = f->places[k]->access->project.project_id == p->project_id;
        if (!done && evict_project(c, p->project_id) != E_OK) /* the housekeeper comes back to it */
            log_warn("flight", "cache of %.*s: %s", STR(p->name), c->msg);
    }
}

static void finish(struct ctx *c, struct flight *f, struct oci_status *st)
{
    struct digest got;
    if (!hasher_end(f->hasher, &got) || !digest_eq(&got, &f->digest)) {
        (void)snprintf(c->msg, sizeof c->msg, "upstream sent other bytes than %s", f->digest.text);
        condition_note(f->fs->conditions, &f->endpoint, E_UPSTREAM, st);
        give_up(c, f, E_UPSTREAM, st);
        forget_file(c, f);
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->total = f->have;
    pthread_mutex_unlock(&f->lock);
    set_state(f, FLIGHT_PROVEN);
    enum err err = E_OK;
    if (f->file_end == INT64_MAX)
        err = keep(c, f);
    if (err != E_OK) {
        metric_add(M_cache_write_errors, 1);
        log_warn("flight", "%s was served but not stored: %s", f->digest.text, c->msg);
    }
    pthread_mutex_lock(&f->fs->lock);
    flight_leave_table(f);
    pthread_mutex_unlock(&f->fs->lock);
    if (f->file_end != INT64_MAX)
        forget_file(c, f);
    else if (err == E_OK)
        keep_bounds(c, f);
}

static void lead(struct ctx *c, struct flight *f)
{
    struct oci_status st = {.limit = -1, .remaining = -1};
    if (is_here(c, f)) {
        pthread_mutex_lock(&f->fs->lock);
        flight_leave_table(f);
        size_t count = f->place_count;
        pthread_mutex_unlock(&f->fs->lock);
        struct blob b;
        for (size_t i = 1; i < count; i++)
            if (find_blob(c, f, &b) != E_OK || link_place(c, f->places[i], &b) != E_OK)
                log_warn("flight", "cannot link %s: %s", f->digest.text, c->msg);
        set_state(f, FLIGHT_HERE);
        keep_bounds(c, f);
        return;
    }
    enum err err = open_file(c, f);
    if (err == E_OK)
        err = fetch(c, f, &st);
    if (err == E_OK) {
        finish(c, f, &st);
        return;
    }
    give_up(c, f, err, &st);
    if (f->file_end != INT64_MAX || !f->upload_id.n)
        forget_file(c, f);
}

void flight_lead(void *flight)
{
    struct flight *f = flight;
    struct ctx c = {.sv = f->fs->sv, .actor = S("proxy")};
    metric_add(M_flights, 1);
    pthread_mutex_lock(&f->lock);
    f->begun = true;
    pthread_mutex_unlock(&f->lock);
    lead(&c, f);
    metric_add(M_flights, -1);
    ctx_release(&c);
    flight_unref(f);
}
