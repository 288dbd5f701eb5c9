/*
 * The store: one place for bytes, locked by this process, and a pool of fresh keys. Every key has
 * a durable intent row before anybody may write under it, so whatever a crash leaves on disk is
 * known: it is a blob's, an upload's, or an old intent that the sweep removes.
 *
 * Keys are committed 64 at a time, ahead of need and by a thread of the store's own, so that a
 * push does not pay for a commit of its own before its first byte.
 */
#include "blob/store.h"

#include "base/crypt.h"
#include "base/fd.h"
#include "base/log.h"
#include "blob/driver.h"
#include "blob/reserve.h"
#include "meta/store.h"
#include "rule/evict.h"
#include "rule/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define POOL 64
#define POOL_LOW 16
#define KEY_MAX 48

struct pool_key {
    char text[KEY_MAX];
    int64_t made_ms; /* monotonic */
};

struct store {
    const struct driver *driver;
    void *place;
    struct services *sv;
    int dir_fd, lock_fd;
    struct timestamp boot; /* objects begun before it may have lost bytes to a power cut */
    struct upload_table *uploads;
    pthread_mutex_t lock;
    pthread_cond_t low, refilled;
    struct pool_key pool[2 * POOL];
    size_t pool_count;
    bool refilling, stop;
    pthread_t thread;
    bool threaded;
    bool settled; /* database, store-id and directory are durable; of the one who refills */
    bool no_id;   /* the directory does not name its store yet */
};

/* ---- keys -------------------------------------------------------------------------------- */

static enum err refill(struct ctx *c, struct store *s)
{
    struct str keys[POOL];
    struct tx tx = {0};
    int64_t now = clock_now().us;
    unsigned char spread; /* one directory for a poolful: pushes at one time share its fsync */
    random_fill(&spread, 1);
    for (size_t i = 0; i < POOL; i++) {
        struct str ulid = random_ulid(&c->mem, now);
        keys[i] = str_fmt(&c->mem, "data/%02x/%.*s", (unsigned)spread, STR(ulid));
    }
    enum err e = tx_begin(c, &tx);
    if (e == E_OK)
        e = intent_add(c, keys, POOL);
    if (e == E_OK)
        e = tx_commit(&tx);
    tx_end(&tx);
    TRY(e);
    int64_t made = clock_mono_ms();
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < POOL && s->pool_count < COUNT(s->pool); i++) {
        struct pool_key *k = &s->pool[s->pool_count++];
        memcpy(k->text, keys[i].p, keys[i].n);
        k->text[keys[i].n] = 0;
        k->made_ms = made;
    }
    pthread_mutex_unlock(&s->lock);
    return E_OK;
}

static enum err write_file(struct ctx *c, int dir_fd, const char *name, struct str text,
                           bool durable);

/* Before the first key is given away: whoever finds an object later must find whose it is. */
static enum err settle(struct ctx *c, struct store *s)
{
    struct str id;
    if (s->settled)
        return E_OK;
    TRY(db_settle(c));
    TRY(store_id(c, &id));
    if (s->no_id)
        TRY(write_file(c, s->dir_fd, "store-id", id, true));
    else if (fsync(s->dir_fd) != 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "cannot sync the store's directory");
    s->no_id = false;
    s->settled = true;
    return E_OK;
}

/* One refill at a time; those who find the pool empty wait for it. */
static enum err refill_once(struct store *s)
{
    struct ctx c = {.sv = s->sv, .actor = S("store")};
    enum err e = settle(&c, s);
    if (e == E_OK)
        e = refill(&c, s);
    if (e != E_OK)
        log_error("blob", "no fresh keys: %s", c.msg);
    ctx_release(&c);
    return e;
}

static void *refill_thread(void *arg)
{
    struct store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (s->pool_count >= POOL_LOW || s->refilling) {
            pthread_cond_wait(&s->low, &s->lock);
            continue;
        }
        s->refilling = true;
        pthread_mutex_unlock(&s->lock);
        enum err e = refill_once(s);
        pthread_mutex_lock(&s->lock);
        s->refilling = false;
        pthread_cond_broadcast(&s->refilled);
        if (e != E_OK && !s->stop) /* whoever needs a key next asks again */
            pthread_cond_wait(&s->low, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Old keys are left to the sweep: their intents may be older than the life of an upload. */
static bool pool_take(struct store *s, struct pool_key *out)
{
    int64_t oldest = clock_mono_ms() - (int64_t)STORE_KEY_LIFE_S * 1000;
    while (s->pool_count) {
        *out = s->pool[--s->pool_count];
        if (out->made_ms >= oldest)
            return true;
    }
    return false;
}

enum err store_key(struct ctx *c, struct str *key_out)
{
    struct store *s = c->sv->store;
    struct pool_key key;
    enum err e = E_OK;
    pthread_mutex_lock(&s->lock);
    bool got = pool_take(s, &key);
    while (!got && e == E_OK) {
        if (s->refilling) {
            pthread_cond_wait(&s->refilled, &s->lock);
        } else {
            s->refilling = true;
            pthread_mutex_unlock(&s->lock);
            e = refill_once(s);
            pthread_mutex_lock(&s->lock);
            s->refilling = false;
            pthread_cond_broadcast(&s->refilled);
        }
        got = pool_take(s, &key);
    }
    if (s->pool_count < POOL_LOW)
        pthread_cond_signal(&s->low);
    pthread_mutex_unlock(&s->lock);
    if (!got)
        return fail(c, e, "the store cannot take new objects");
    *key_out = str_dup(&c->mem, str_of(key.text));
    return E_OK;
}

/* ---- objects ----------------------------------------------------------------------------- */

static enum err lost(struct ctx *c, const struct store_file *f)
{
    return fail(c, E_INTERNAL, "the object %s was lost by an earlier failure", f->key);
}

enum err store_create(struct ctx *c, struct str key, struct store_file **out)
{
    struct store *s = c->sv->store;
    return s->driver->create(c, s->place, key, out);
}

enum err store_reopen(struct ctx *c, struct str key, struct store_file **out, int64_t *size_out)
{
    struct store *s = c->sv->store;
    TRY(s->driver->reopen(c, s->place, key, out));
    *size_out = (*out)->size;
    return E_OK;
}

enum err store_append(struct ctx *c, struct store_file *f, const void *p, size_t n)
{
    if (reserve_short(c))
        return fail(c, E_NO_SPACE, "no space left in the store");
    return f->broken ? lost(c, f) : f->driver->append(c, f, p, n);
}

int64_t store_size(const struct store_file *f)
{
    return f->size;
}

int store_fd(const struct store_file *f)
{
    return f->fd;
}

enum err store_empty(struct ctx *c, struct store_file *f)
{
    return f->broken ? lost(c, f) : f->driver->empty(c, f);
}

enum err store_sync(struct ctx *c, struct store_file *f)
{
    if (f->broken)
        return lost(c, f);
    enum err e = f->driver->sync(c, f);
    f->broken = e != E_OK;
    return e;
}

void store_close(struct store_file *f)
{
    if (f)
        f->driver->close(f);
}

enum err store_read(struct ctx *c, struct str key, int *fd_out, int64_t *size_out)
{
    struct store *s = c->sv->store;
    return s->driver->read(c, s->place, key, fd_out, size_out);
}

enum err store_has(struct ctx *c, struct str key, bool *out)
{
    struct store *s = c->sv->store;
    return s->driver->has(c, s->place, key, out);
}

enum err store_delete(struct ctx *c, struct str key)
{
    struct store *s = c->sv->store;
    return s->driver->remove(c, s->place, key);
}

enum err store_delete_sync(struct ctx *c)
{
    struct store *s = c->sv->store;
    return s->driver->remove_sync(c, s->place);
}

enum err store_space(struct ctx *c, int64_t *free_out, int64_t *total_out)
{
    struct store *s = c->sv->store;
    return s->driver->space(c, s->place, free_out, total_out);
}

enum err store_room(struct ctx *c, int64_t n)
{
    int64_t space, total, reserve;
    TRY(store_space(c, &space, &total));
    if (!evict_reserve(c->sv->settings->store_reserve, total, &reserve))
        reserve = 0; /* config.c refuses such a value */
    if (reserve && space - reserve < n)
        return fail(c, E_NO_SPACE, "no space left in the store: %lld bytes are free, %lld are kept",
                    (long long)space, (long long)reserve);
    return E_OK;
}

enum err store_walk(struct ctx *c, store_each *each, void *arg)
{
    struct store *s = c->sv->store;
    return s->driver->walk(c, s->place, each, arg);
}

enum err store_hash(struct ctx *c, int fd, int64_t n, enum digest_alg alg, struct hasher **out)
{
    enum { STEP = 256 << 10 };
    struct hasher *h = hasher_new(alg);
    char *buf = malloc(STEP);
    enum err e = h && buf ? E_OK : fail(c, E_UNAVAILABLE, "out of memory");
    for (int64_t at = 0; e == E_OK && at < n;) {
        int64_t got = fd_pread_all(fd, buf, (size_t)i64_min(STEP, n - at), at);
        if (got <= 0)
            e = fail(c, E_INTERNAL, "reading an object failed");
        else if (!hasher_add(h, buf, (size_t)got))
            e = fail(c, E_INTERNAL, "hashing failed");
        at += got;
    }
    free(buf);
    if (e == E_OK)
        *out = h;
    else
        hasher_free(h);
    return e;
}

struct upload_table *store_uploads(struct store *s)
{
    return s->uploads;
}

bool store_doubts(const struct store *s, struct timestamp begun)
{
    return begun.us < s->boot.us;
}

/* ---- opening ----------------------------------------------------------------------------- */

static enum err locked_by(struct ctx *c, struct str data, int fd)
{
    char who[32] = "";
    int64_t n = fd_pread_all(fd, who, sizeof who - 1, 0);
    struct str pid = str_trim((struct str){who, n > 0 ? (size_t)n : 0});
    if (pid.n && pid.p[pid.n - 1] == '\n')
        pid.n--;
    return fail(c, E_CONFLICT, "%.*s is in use by another cove (process %.*s)", STR(data),
                STR(pid));
}

enum err store_lock(struct ctx *c, struct str data, int *fd_out)
{
    const char *dir = str_c(&c->mem, data);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail_errno(c, E_UNAVAILABLE, errno, "cannot create %s", dir);
    const char *path = str_c(&c->mem, str_fmt(&c->mem, "%s/lock", dir));
    CLEANUP(fd_done) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? locked_by(c, data, fd)
                                    : fail_errno(c, E_UNAVAILABLE, errno, "cannot lock %s", path);
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || !fd_pwrite_all(fd, pid, (size_t)n, 0))
        log_warn("blob", "the lock file does not name this process: errno %d", errno);
    *fd_out = fd_take(&fd);
    return E_OK;
}

/* A small file of DATA, old or new and never half; after a power cut only when it was durable. */
static enum err write_file(struct ctx *c, int dir_fd, const char *name, struct str text,
                           bool durable)
{
    char fresh[32];
    snprintf(fresh, sizeof fresh, "%s.new", name);
    CLEANUP(fd_done)
    int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !fd_write_all(fd, text.p, text.n) || (durable && fsync(fd) != 0) ||
        renameat(dir_fd, fresh, dir_fd, name) != 0 || (durable && fsync(dir_fd) != 0))
        return fail_errno(c, errno == ENOSPC ? E_NO_SPACE : E_UNAVAILABLE, errno, "cannot write %s",
                          name);
    return E_OK;
}

/* DATA/boot holds the machine's boot id and when this store first met it. A power cut may take it:
   the next boot has another id, so nothing is lost with it. */
static enum err note_boot(struct ctx *c, struct store *s, struct str data, struct timestamp now)
{
    struct str id, text;
    s->boot = now;
    if (fd_read_file(c, S("/proc/sys/kernel/random/boot_id"), 256, &id) != E_OK)
        return E_OK; /* no way to tell one boot from another: every start is one */
    id = str_cut(&id, '\n');
    enum err e = fd_read_file(c, str_fmt(&c->mem, "%.*s/boot", STR(data)), 256, &text);
    if (e == E_OK && str_eq(str_cut(&text, ' '), id) && str_to_i64(text, &s->boot.us))
        return E_OK;
    s->boot = now; /* the parse may have begun to fill it */
    return write_file(c, s->dir_fd, "boot",
                      str_fmt(&c->mem, "%.*s %lld", STR(id), (long long)now.us), false);
}

/*
 * The wrong directory under the right database would make every blob look lost, and the wrong
 * database over the right directory every object look like garbage: both are refused.
 */
static enum err check_id(struct ctx *c, struct store *s, struct str data, struct timestamp *now_out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct str id, file;
    struct list blobs;
    TRY(tx_begin(c, &tx));
    TRY(store_id(c, &id));
    TRY(blob_page(c, 0, 1, &blobs));
    *now_out = tx.now;
    TRY(tx_commit(&tx));
    struct str path = str_fmt(&c->mem, "%.*s/store-id", STR(data));
    enum err e = fd_read_file(c, path, 256, &file);
    if (e == E_NOT_FOUND && blobs.count)
        return fail(
            c, E_CONFLICT,
            "%.*s has no store-id, but the database knows blobs: is it the right directory?",
            STR(data));
    s->no_id = e == E_NOT_FOUND; /* written by settle() */
    if (s->no_id)
        return E_OK;
    TRY(e);
    while (file.n && (file.p[file.n - 1] == '\n' || file.p[file.n - 1] == ' '))
        file.n--;
    if (!str_eq(file, id))
        return fail(c, E_CONFLICT, "%.*s belongs to another database (store %.*s, database %.*s)",
                    STR(data), STR(file), STR(id));
    return E_OK;
}

static enum err start(struct ctx *c, struct store *s)
{
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->low, NULL);
    pthread_cond_init(&s->refilled, NULL);
    s->uploads = upload_table_new();
    if (!s->uploads)
        return fail(c, E_UNAVAILABLE, "out of memory");
    TRY(fs_open(c, s->dir_fd, &s->place));
    s->driver = &fs_driver;
    int e = pthread_create(&s->thread, NULL, refill_thread, s);
    if (e)
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for the store");
    s->threaded = true;
    return E_OK;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->threaded) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->low);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    if (s->place)
        s->driver->free(s->place);
    upload_table_free(s->uploads);
    fd_done(&s->dir_fd);
    fd_done(&s->lock_fd);
    free(s);
}

static void store_done(struct store **s)
{
    store_free(*s);
}

enum err store_open(struct ctx *c, const struct store_options *o, struct store **out)
{
    CLEANUP(fd_done) int lock = o->lock ? fd_take(o->lock) : -1;
    if (lock < 0)
        TRY(store_lock(c, o->data, &lock));
    CLEANUP(store_done) struct store *s = calloc(1, sizeof *s);
    if (!s)
        return fail(c, E_UNAVAILABLE, "out of memory");
    s->driver = &fs_driver;
    s->sv = c->sv;
    s->lock_fd = fd_take(&lock);
    s->dir_fd = open(str_c(&c->mem, o->data), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "cannot open %.*s", STR(o->data));
    struct timestamp now;
    TRY(check_id(c, s, o->data, &now));
    TRY(note_boot(c, s, o->data, now));
    TRY(start(c, s));
    *out = TAKE(s);
    return E_OK;
}
