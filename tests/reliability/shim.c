/*
 * Preloaded into the server by the harness (shim.py): it sees every call that makes something
 * durable and does two things with them.
 *
 * Faults. Calls are counted over all threads; at the N-th one the process is killed before or
 * after the call, or the call fails (EIO, ENOSPC, EINTR), or a write is cut short.
 *
 * Order. When "HTTP/1.1 2xx" leaves as the answer to PUT, POST or DELETE under /v2/, the objects
 * that this thread wrote must have been synced after their last byte and their directory entries
 * after their creation, and the database's log must have been synced with a write that is younger
 * than the request. What breaks this is written to the control page.
 *
 * The wall clock of the process can be stepped.
 *
 * The control page is a file that both sides map, so that it is armed without a restart.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The order is known to shim.py. */
enum call { CREATE, MKDIR, PWRITE, WRITE, FDATASYNC, FSYNC, FTRUNCATE, UNLINK, RENAME, CALLS };
enum mode { OFF, KILL, KILL_AFTER, FAIL_EIO, FAIL_ENOSPC, FAIL_EINTR, SHORT, FULL };

struct control {
    _Atomic int64_t mode, at, count, fired, checked, violations;
    _Atomic int64_t calls[14], only, clock_s; /* clock_s: what the wall clock is set forward by */
    char text[16][240];
};

enum kind { NONE, OBJECT, DIRECTORY, DATA, LOG, OTHER };

struct file {
    enum kind kind;
    int which; /* object or directory */
    bool push; /* a socket whose request was PUT, POST or DELETE below /v2/ */
    int64_t log_at;
};

struct object {
    char key[48];
    int dir;
    bool dirty;
    bool lost; /* a sync of it or of its directory failed, and no later one makes up for that */
    int64_t created;
};

#define FDS 65536
#define OBJECTS 65536
static struct control *control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FDS];
static struct object objects[OBJECTS];
static int object_count;
static int64_t turn, dir_synced[256], dir_made[256], data_synced;
static int64_t log_writes, log_synced; /* log_writes: 0 = the database is another process */
static __thread int touched[64], touched_count;

#define REAL(name, type, ...) ((type(*)(__VA_ARGS__))real(#name))
static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("COVE_SHIM");
    int fd = path ? REAL(open, int, const char *, int, ...)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = at == MAP_FAILED ? NULL : at;
}

/* ---- faults -------------------------------------------------------------------------------- */

/* What shall become of this call: 0 = nothing, an errno, -1 = a short write, -2 = kill after it. */
static int fault(enum call call)
{
    if (!control)
        return 0;
    atomic_fetch_add(&control->calls[call], 1);
    if (control->only && control->only != (int64_t)call + 1)
        return 0;
    int64_t n = atomic_fetch_add(&control->count, 1) + 1, mode = control->mode;
    if (!mode || (n != control->at && !(mode == FULL && n > control->at)))
        return 0;
    atomic_fetch_add(&control->fired, 1);
    switch (mode) {
    case KILL:
        kill(getpid(), SIGKILL);
        pause();
        return 0;
    case KILL_AFTER: return -2;
    case FAIL_EIO: return EIO;
    case FAIL_EINTR: return EINTR;
    case SHORT: return call == PWRITE || call == WRITE ? -1 : 0;
    case FAIL_ENOSPC:
    case FULL: return call == UNLINK || call == FTRUNCATE ? 0 : ENOSPC;
    default: return 0;
    }
}

static void die_after(int f)
{
    if (f == -2) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

/* ---- order --------------------------------------------------------------------------------- */

static bool has_end(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && strcmp(path + n - k, end) == 0;
}

static int hex2(const char *p)
{
    char two[3] = {p[0], p[0] ? p[1] : 0, 0}, *end;
    long v = strtol(two, &end, 16);
    return end == two + 2 ? (int)v : -1;
}

/* "data/<2 hex>/<key>" anywhere at the end of a path. */
static const char *key_in(const char *path)
{
    const char *at = strstr(path, "data/");
    for (; at && (strlen(at) < 9 || hex2(at + 5) < 0 || at[7] != '/'); at = strstr(at + 1, "data/"))
        ;
    return at;
}

static int object_at(const char *key, bool made)
{
    if (object_count == OBJECTS)
        object_count = 0;
    for (int i = object_count - 1; !made && i >= 0; i--)
        if (strncmp(objects[i].key, key, sizeof objects[i].key - 1) == 0)
            return i;
    struct object *o = &objects[object_count];
    *o = (struct object){.dir = hex2(key + 5), .dirty = true, .created = ++turn};
    strncpy(o->key, key, sizeof o->key - 1);
    return object_count++;
}

static void touch(int which)
{
    for (int i = 0; i < touched_count; i++)
        if (touched[i] == which)
            return;
    if (touched_count < 64)
        touched[touched_count++] = which;
}

static void opened(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= FDS || !control)
        return;
    pthread_mutex_lock(&lock);
    struct file *f = &files[fd];
    *f = (struct file){.kind = (flags & O_ACCMODE) == O_RDONLY ? NONE : OTHER};
    const char *key = key_in(path);
    if (flags & O_DIRECTORY && strlen(path) == 2 && hex2(path) >= 0)
        *f = (struct file){.kind = DIRECTORY, .which = hex2(path)};
    else if (flags & O_DIRECTORY && strcmp(path, "data") == 0)
        f->kind = DATA;
    else if (has_end(path, "-wal") && f->kind == OTHER)
        f->kind = LOG;
    else if (key && f->kind == OTHER) {
        *f = (struct file){.kind = OBJECT, .which = object_at(key, (flags & O_CREAT) != 0)};
        touch(f->which);
    }
    pthread_mutex_unlock(&lock);
}

static void wrote(int fd)
{
    if (fd < 0 || fd >= FDS)
        return;
    pthread_mutex_lock(&lock);
    if (files[fd].kind == OBJECT) {
        objects[files[fd].which].dirty = true;
        touch(files[fd].which);
    }
    if (files[fd].kind == LOG)
        log_writes++;
    pthread_mutex_unlock(&lock);
}

/* What a sync that begins now will cover. */
static int64_t before_sync(int fd)
{
    pthread_mutex_lock(&lock);
    int64_t at = fd >= 0 && fd < FDS && files[fd].kind == LOG ? log_writes : turn;
    pthread_mutex_unlock(&lock);
    return at;
}

static void synced(int fd, int64_t at)
{
    if (fd < 0 || fd >= FDS)
        return;
    pthread_mutex_lock(&lock);
    struct file *f = &files[fd];
    switch (f->kind) {
    case OBJECT: objects[f->which].dirty = false; break;
    case DIRECTORY:
        dir_synced[f->which] = at > dir_synced[f->which] ? at : dir_synced[f->which];
        break;
    case DATA: data_synced = at > data_synced ? at : data_synced; break;
    case LOG: log_synced = at > log_synced ? at : log_synced; break;
    default: break;
    }
    pthread_mutex_unlock(&lock);
}

static void sync_failed(int fd, int64_t at)
{
    if (fd < 0 || fd >= FDS)
        return;
    pthread_mutex_lock(&lock);
    const struct file *f = &files[fd];
    if (f->kind == OBJECT)
        objects[f->which].lost = true;
    for (int i = 0; f->kind == DIRECTORY && i < object_count; i++)
        if (objects[i].dir == f->which && objects[i].created <= at &&
            objects[i].created > dir_synced[f->which])
            objects[i].lost = true;
    pthread_mutex_unlock(&lock);
}

static void violation(const char *what, const char *key)
{
    int64_t n = atomic_fetch_add(&control->violations, 1);
    if (n < 16)
        snprintf(control->text[n], sizeof control->text[n], "%s %s", what, key);
}

/* A head of an answer leaves on this socket. */
static void answered(int fd, const char *head)
{
    pthread_mutex_lock(&lock);
    const struct file *f = &files[fd];
    if (f->push && head[9] == '2') {
        atomic_fetch_add(&control->checked, 1);
        for (int i = 0; memcmp(head + 9, "201", 3) == 0 && i < touched_count; i++) {
            const struct object *o = &objects[touched[i]];
            if (!o->key[0])
                continue;
            if (o->lost)
                violation("201 after a failed sync of", o->key);
            if (o->dirty)
                violation("201 before fdatasync of", o->key);
            if (dir_synced[o->dir] < o->created)
                violation("201 before fsync of the directory of", o->key);
            if (dir_made[o->dir] > data_synced)
                violation("201 before fsync of data/ for", o->key);
        }
        if (log_writes && log_synced <= f->log_at)
            violation("2xx before the database's log was synced:", head[11] == '1' ? "201" : "2xx");
    }
    pthread_mutex_unlock(&lock);
    touched_count = 0;
}

static bool is_push(const char *p, ssize_t n)
{
    return (n > 8 && memcmp(p, "PUT /v2/", 8) == 0) || (n > 9 && memcmp(p, "POST /v2/", 9) == 0) ||
           (n > 11 && memcmp(p, "DELETE /v2/", 11) == 0);
}

static bool is_request(const char *p, ssize_t n)
{
    return is_push(p, n) || (n > 5 && (memcmp(p, "GET /", 5) == 0 || memcmp(p, "HEAD ", 5) == 0 ||
                                       memcmp(p, "PATCH", 5) == 0));
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int done = REAL(clock_gettime, int, clockid_t, struct timespec *)(id, out);
    if (control && done == 0 && id == CLOCK_REALTIME)
        out->tv_sec += control->clock_s;
    return done;
}

/* ---- the calls ----------------------------------------------------------------------------- */

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    ssize_t got = REAL(recv, ssize_t, int, void *, size_t, int)(fd, p, n, flags);
    if (control && fd < FDS && is_request(p, got)) {
        pthread_mutex_lock(&lock);
        files[fd] = (struct file){.push = is_push(p, got), .log_at = log_writes};
        pthread_mutex_unlock(&lock);
    }
    return got;
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    if (control && fd < FDS && n > 12 && memcmp(p, "HTTP/1.1 ", 9) == 0 &&
        ((const char *)p)[9] != '1')
        answered(fd, p);
    return REAL(send, ssize_t, int, const void *, size_t, int)(fd, p, n, flags);
}

static bool counts(int fd)
{
    return fd > 2 && fd < FDS && files[fd].kind != NONE;
}

#define OPEN(name, call, ...)                                                                      \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }                                                                                              \
    int f = flags & O_CREAT ? fault(CREATE) : 0;                                                   \
    if (f > 0)                                                                                     \
        return errno = f, -1;                                                                      \
    int fd = call;                                                                                 \
    die_after(f);                                                                                  \
    int e = errno;                                                                                 \
    opened(fd, path, flags);                                                                       \
    errno = e;                                                                                     \
    return fd

int open(const char *path, int flags, ...)
{
    OPEN(open, REAL(open, int, const char *, int, ...)(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
    OPEN(open64, REAL(open64, int, const char *, int, ...)(path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...)
{
    OPEN(openat, REAL(openat, int, int, const char *, int, ...)(dir, path, flags, mode));
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    int f = counts(fd) ? fault(PWRITE) : 0;
    if (f > 0)
        return errno = f, -1;
    if (f == -1 && n > 1)
        n /= 2;
    wrote(fd);
    ssize_t done = REAL(pwrite, ssize_t, int, const void *, size_t, off_t)(fd, p, n, at);
    die_after(f);
    return done;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return pwrite(fd, p, n, at);
}

ssize_t write(int fd, const void *p, size_t n)
{
    int f = counts(fd) ? fault(WRITE) : 0;
    if (f > 0)
        return errno = f, -1;
    if (f == -1 && n > 1)
        n /= 2;
    wrote(fd);
    ssize_t done = REAL(write, ssize_t, int, const void *, size_t)(fd, p, n);
    die_after(f);
    return done;
}

static int sync_by(enum call call, const char *name, int fd)
{
    int64_t at = before_sync(fd);
    int f = fault(call);
    int done = f > 0 ? -1 : ((int (*)(int))real(name))(fd);
    int e = f > 0 ? f : errno;
    die_after(f);
    if (done == 0)
        synced(fd, at);
    else
        sync_failed(fd, at);
    errno = e;
    return done;
}

int fsync(int fd)
{
    return sync_by(FSYNC, "fsync", fd);
}

int fdatasync(int fd)
{
    return sync_by(FDATASYNC, "fdatasync", fd);
}

int ftruncate(int fd, off_t n)
{
    int f = fault(FTRUNCATE);
    if (f > 0)
        return errno = f, -1;
    wrote(fd);
    int done = REAL(ftruncate, int, int, off_t)(fd, n);
    die_after(f);
    return done;
}

int ftruncate64(int fd, off_t n)
{
    return ftruncate(fd, n);
}

static void unlinked(const char *path)
{
    const char *key = control ? key_in(path) : NULL;
    pthread_mutex_lock(&lock);
    for (int i = object_count - 1; key && i >= 0; i--)
        if (strncmp(objects[i].key, key, sizeof objects[i].key - 1) == 0) {
            objects[i].key[0] = 0;
            break;
        }
    pthread_mutex_unlock(&lock);
}

int unlinkat(int dir, const char *path, int flags)
{
    int f = fault(UNLINK);
    if (f > 0)
        return errno = f, -1;
    int done = REAL(unlinkat, int, int, const char *, int)(dir, path, flags);
    die_after(f);
    unlinked(path);
    return done;
}

int unlink(const char *path)
{
    int f = fault(UNLINK);
    if (f > 0)
        return errno = f, -1;
    int done = REAL(unlink, int, const char *)(path);
    die_after(f);
    return done;
}

int rename(const char *from, const char *to)
{
    int f = fault(RENAME);
    if (f > 0)
        return errno = f, -1;
    int done = REAL(rename, int, const char *, const char *)(from, to);
    die_after(f);
    return done;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int f = fault(RENAME);
    if (f > 0)
        return errno = f, -1;
    int done =
        REAL(renameat, int, int, const char *, int, const char *)(from_dir, from, to_dir, to);
    die_after(f);
    return done;
}

/* when: a turn from before the call; another thread may have found and synced it meanwhile. */
static void made(const char *path, int64_t when)
{
    const char *at = strstr(path, "data/");
    pthread_mutex_lock(&lock);
    if (at && hex2(at + 5) >= 0)
        dir_made[hex2(at + 5)] = when;
    pthread_mutex_unlock(&lock);
}

static int64_t take_turn(void)
{
    pthread_mutex_lock(&lock);
    int64_t at = ++turn;
    pthread_mutex_unlock(&lock);
    return at;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    int f = fault(MKDIR);
    if (f > 0)
        return errno = f, -1;
    int64_t when = take_turn();
    int done = REAL(mkdirat, int, int, const char *, mode_t)(dir, path, mode);
    die_after(f);
    if (done == 0)
        made(path, when);
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    int f = fault(MKDIR);
    if (f > 0)
        return errno = f, -1;
    int done = REAL(mkdir, int, const char *, mode_t)(path, mode);
    die_after(f);
    return done;
}
