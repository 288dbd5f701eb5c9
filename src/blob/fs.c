/*
 * A directory as a place for bytes. An object is created at its final name with O_EXCL and never
 * renamed, so one fsync of its directory serves every object that was created there before that
 * fsync began. store_sync wants both durable: the file's data and its entry. It syncs the directory
 * itself when nobody is at it, because a thread woken for a small object costs more than the call;
 * for an object that grows a thread does it while the bytes are still arriving.
 *
 * A failed fsync is believed the first time. The kernel may drop the dirty pages and report the
 * next fsync as a success, so the object is marked broken and given up; no other object is.
 */
#include "base/fd.h"
#include "base/log.h"
#include "blob/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIRS 256
#define WRITEBACK ((int64_t)8 << 20) /* bytes after which the kernel is told to start writing */
#define GROWN ((int64_t)1 << 20)     /* bytes after which the entry is synced beside them */

enum entry_state { ENTRY_PENDING, ENTRY_DURABLE, ENTRY_LOST };

struct fs;

/* A directory entry on its way to the disk: one reference by the file, one by the list. */
struct entry {
    enum entry_state state;
    int refs;
    struct entry *next;
};

struct fs_file {
    struct store_file f;
    struct fs *fs;
    int dir;
    struct entry *entry;
    int64_t started; /* bytes whose writeback was started */
    bool called;     /* the thread was */
};

struct fs {
    int dir_fd, data_fd;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct entry *pending[DIRS];
    bool syncing[DIRS];  /* somebody is at it */
    bool wanted[DIRS];   /* of the thread */
    bool unlinked[DIRS]; /* an unlink in it may not be durable yet */
    bool known[DIRS];    /* the subdirectory's own entry is durable */
    bool failed[DIRS];   /* an fsync of it failed: what was in it then may be lost */
    int wanted_count;
    bool stop;
    pthread_t thread;
};

static bool key_parse(struct str key, int *dir)
{
    unsigned char byte;
    if (key.n < 9 || key.n > 47 || memcmp(key.p, "data/", 5) != 0 || key.p[7] != '/')
        return false;
    for (size_t i = 8; i < key.n; i++) {
        char ch = key.p[i];
        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')))
            return false;
    }
    const char *hex = "0123456789abcdef";
    const char *hi = memchr(hex, key.p[5], 16), *lo = memchr(hex, key.p[6], 16);
    if (!hi || !lo)
        return false;
    byte = (unsigned char)((hi - hex) * 16 + (lo - hex));
    *dir = byte;
    return true;
}

/* errno of a write or fsync as an error: a full disk is an answer, all else is our trouble. */
static enum err io_error(struct ctx *c, int e, const char *what, const char *key)
{
    bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    if (full)
        return fail(c, E_NO_SPACE, "no space left in the store");
    log_error("blob", "%s of %s failed: errno %d", what, key, e);
    return fail_errno(c, E_INTERNAL, e, "%s failed", what);
}

/* ---- directories ------------------------------------------------------------------------- */

/* fsync of one subdirectory and, the first time, of its own entry in data/. */
static bool sync_dir(struct fs *fs, int dir, bool known)
{
    char name[3];
    snprintf(name, sizeof name, "%02x", (unsigned)dir);
    CLEANUP(fd_done) int fd = openat(fs->data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return false;
    return known || fsync(fs->data_fd) == 0;
}

/* Under the lock. */
static void entry_drop(struct entry *e)
{
    if (--e->refs == 0)
        free(e);
}

static void settle(struct fs *fs, struct entry *batch, int dir, bool ok)
{
    fs->known[dir] = fs->known[dir] || ok;
    fs->failed[dir] = fs->failed[dir] || !ok;
    for (struct entry *e = batch, *next; e; e = next) {
        next = e->next;
        e->state = ok ? ENTRY_DURABLE : ENTRY_LOST;
        entry_drop(e);
    }
    pthread_cond_broadcast(&fs->done);
}

/* Under the lock, given up meanwhile. Objects created while a directory is being synced wait for
   its next turn. */
static void sync_batch(struct fs *fs, int dir)
{
    struct entry *batch = fs->pending[dir];
    bool known = fs->known[dir];
    fs->pending[dir] = NULL;
    fs->syncing[dir] = true;
    pthread_mutex_unlock(&fs->lock);
    bool ok = sync_dir(fs, dir, known);
    if (!ok)
        log_error("blob", "fsync of data/%02x failed: errno %d", (unsigned)dir, errno);
    pthread_mutex_lock(&fs->lock);
    fs->syncing[dir] = false;
    settle(fs, batch, dir, ok);
}

static void *sync_thread(void *arg)
{
    struct fs *fs = arg;
    pthread_mutex_lock(&fs->lock);
    for (int dir = 0; !fs->stop; dir = (dir + 1) % DIRS) {
        while (!fs->wanted_count && !fs->stop)
            pthread_cond_wait(&fs->work, &fs->lock);
        if (!fs->wanted[dir])
            continue;
        fs->wanted[dir] = false;
        fs->wanted_count--;
        if (!fs->syncing[dir] && fs->pending[dir])
            sync_batch(fs, dir);
    }
    pthread_mutex_unlock(&fs->lock);
    return NULL;
}

static void want_entry(struct fs_file *f)
{
    struct fs *fs = f->fs;
    pthread_mutex_lock(&fs->lock);
    f->entry->refs = 2;
    f->entry->next = fs->pending[f->dir];
    fs->pending[f->dir] = f->entry;
    pthread_mutex_unlock(&fs->lock);
}

static void call_thread(struct fs_file *f)
{
    struct fs *fs = f->fs;
    f->called = true;
    pthread_mutex_lock(&fs->lock);
    if (f->entry->state == ENTRY_PENDING && !fs->wanted[f->dir]) {
        fs->wanted[f->dir] = true;
        fs->wanted_count++;
        pthread_cond_signal(&fs->work);
    }
    pthread_mutex_unlock(&fs->lock);
}

static enum entry_state wait_entry(struct fs_file *f)
{
    struct fs *fs = f->fs;
    pthread_mutex_lock(&fs->lock);
    while (f->entry->state == ENTRY_PENDING)
        if (fs->syncing[f->dir])
            pthread_cond_wait(&fs->done, &fs->lock);
        else
            sync_batch(fs, f->dir);
    enum entry_state state = f->entry->state;
    pthread_mutex_unlock(&fs->lock);
    return state;
}

/* ---- objects ----------------------------------------------------------------------------- */

static enum err file_new(struct ctx *c, struct fs *fs, struct str key, int dir, int fd,
                         struct store_file **out)
{
    struct fs_file *f = calloc(1, sizeof *f);
    struct entry *entry = calloc(1, sizeof *entry);
    if (!f || !entry) {
        free(f);
        free(entry);
        close(fd);
        return fail(c, E_UNAVAILABLE, "out of memory");
    }
    f->f.driver = &fs_driver;
    memcpy(f->f.key, key.p, key.n);
    f->f.fd = fd;
    f->fs = fs;
    f->dir = dir;
    f->entry = entry;
    want_entry(f);
    *out = &f->f;
    return E_OK;
}

static enum err fs_create(struct ctx *c, void *place, struct str key, struct store_file **out)
{
    struct fs *fs = place;
    int dir;
    if (!key_parse(key, &dir))
        return fail(c, E_INTERNAL, "bad object key");
    const char *path = str_c(&c->mem, key);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(fs->dir_fd, path, flags, 0600);
    if (fd < 0 && errno == ENOENT) {
        const char *sub = str_c(&c->mem, str_sub(key, 0, 7));
        if (mkdirat(fs->dir_fd, sub, 0700) != 0 && errno != EEXIST)
            return io_error(c, errno, "mkdir", path);
        fd = openat(fs->dir_fd, path, flags, 0600);
    }
    if (fd < 0)
        return io_error(c, errno, "create", path);
    return file_new(c, fs, key, dir, fd, out);
}

/* Is the entry of an object that was made earlier in doubt? A later fsync cannot dispel it. */
static bool entry_doubtful(struct fs *fs, int dir)
{
    pthread_mutex_lock(&fs->lock);
    bool failed = fs->failed[dir];
    pthread_mutex_unlock(&fs->lock);
    return failed;
}

static enum err fs_reopen(struct ctx *c, void *place, struct str key, struct store_file **out)
{
    struct fs *fs = place;
    int dir;
    if (!key_parse(key, &dir))
        return fail(c, E_INTERNAL, "bad object key");
    const char *path = str_c(&c->mem, key);
    int fd = openat(fs->dir_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return E_NOT_FOUND;
    if (fd >= 0 && entry_doubtful(fs, dir)) {
        close(fd);
        return fail(c, E_UNAVAILABLE, "the upload was lost: fsync of its directory failed");
    }
    struct stat st;
    if (fd < 0)
        return io_error(c, errno, "open", path);
    if (fstat(fd, &st) != 0) {
        int e = errno;
        close(fd);
        return io_error(c, e, "stat", path);
    }
    TRY(file_new(c, fs, key, dir, fd, out));
    (*out)->size = st.st_size;
    return E_OK;
}

static enum err fs_append(struct ctx *c, struct store_file *file, const void *p, size_t n)
{
    struct fs_file *f = (struct fs_file *)file;
    if (!fd_pwrite_all(file->fd, p, n, file->size)) {
        int e = errno;
        file->broken = e != ENOSPC && e != EDQUOT && e != EFBIG;
        return io_error(c, e, "write", file->key);
    }
    file->size += (int64_t)n;
    if (file->size >= GROWN && !f->called)
        call_thread(f);
    if (file->size - f->started >= WRITEBACK) {
        /* A hint; its errors come back from fdatasync. */
        (void)sync_file_range(file->fd, f->started, file->size - f->started, SYNC_FILE_RANGE_WRITE);
        f->started = file->size;
    }
    return E_OK;
}

static enum err fs_empty(struct ctx *c, struct store_file *file)
{
    if (ftruncate(file->fd, 0) != 0)
        return io_error(c, errno, "truncate", file->key);
    file->size = 0;
    ((struct fs_file *)file)->started = 0;
    return E_OK;
}

static enum err fs_sync(struct ctx *c, struct store_file *file)
{
    struct fs_file *f = (struct fs_file *)file;
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return io_error(c, errno, "stat", file->key);
    /* A write that failed half-way may have left bytes that nobody counts. */
    if (st.st_size != file->size && ftruncate(file->fd, file->size) != 0)
        return io_error(c, errno, "truncate", file->key);
    if (fdatasync(file->fd) != 0)
        return io_error(c, errno, "fdatasync", file->key);
    if (wait_entry(f) != ENTRY_DURABLE)
        return fail(c, E_INTERNAL, "fsync of the object's directory failed");
    return E_OK;
}

static void fs_close(struct store_file *file)
{
    struct fs_file *f = (struct fs_file *)file;
    pthread_mutex_lock(&f->fs->lock);
    entry_drop(f->entry);
    pthread_mutex_unlock(&f->fs->lock);
    close(file->fd);
    free(f);
}

static enum err fs_read(struct ctx *c, void *place, struct str key, int *fd_out, int64_t *size_out)
{
    struct fs *fs = place;
    int dir;
    if (!key_parse(key, &dir))
        return fail(c, E_UNAVAILABLE, "bad object key");
    const char *path = str_c(&c->mem, key);
    CLEANUP(fd_done) int fd = openat(fs->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st = {0};
    if (fd < 0 || (size_out && fstat(fd, &st) != 0)) {
        int e = errno;
        log_error("blob", "object %s cannot be opened: errno %d", path, e);
        return fail(c, E_UNAVAILABLE, e == ENOENT ? "the object is missing" : "open failed");
    }
    if (size_out)
        *size_out = st.st_size;
    *fd_out = fd_take(&fd);
    return E_OK;
}

static enum err fs_has(struct ctx *c, void *place, struct str key, bool *out)
{
    struct fs *fs = place;
    const char *path = str_c(&c->mem, key);
    if (faccessat(fs->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        *out = true;
    else if (errno == ENOENT)
        *out = false;
    else
        return io_error(c, errno, "access", path);
    return E_OK;
}

static enum err fs_remove(struct ctx *c, void *place, struct str key)
{
    struct fs *fs = place;
    int dir;
    if (!key_parse(key, &dir))
        return fail(c, E_INTERNAL, "bad object key");
    const char *path = str_c(&c->mem, key);
    if (unlinkat(fs->dir_fd, path, 0) != 0 && errno != ENOENT)
        return io_error(c, errno, "unlink", path);
    pthread_mutex_lock(&fs->lock);
    fs->unlinked[dir] = true;
    pthread_mutex_unlock(&fs->lock);
    return E_OK;
}

static enum err fs_remove_sync(struct ctx *c, void *place)
{
    struct fs *fs = place;
    for (int dir = 0; dir < DIRS; dir++) {
        pthread_mutex_lock(&fs->lock);
        bool due = fs->unlinked[dir];
        fs->unlinked[dir] = false;
        pthread_mutex_unlock(&fs->lock);
        if (!due || sync_dir(fs, dir, true) || errno == ENOENT)
            continue;
        int e = errno;
        pthread_mutex_lock(&fs->lock);
        fs->unlinked[dir] = true;
        pthread_mutex_unlock(&fs->lock);
        return io_error(c, e, "fsync", "a directory");
    }
    return E_OK;
}

static enum err fs_space(struct ctx *c, void *place, int64_t *free_out, int64_t *total_out)
{
    struct fs *fs = place;
    struct statvfs v;
    if (fstatvfs(fs->data_fd, &v) != 0)
        return io_error(c, errno, "statvfs", "data");
    *free_out = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    *total_out = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
    return E_OK;
}

static void dir_done(DIR **d)
{
    if (*d)
        closedir(*d);
}

static enum err walk_dir(struct ctx *c, struct fs *fs, const char *name, store_each *each,
                         void *arg)
{
    int fd = openat(fs->data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? E_OK : io_error(c, errno, "open", name);
    CLEANUP(dir_done) DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return fail(c, E_UNAVAILABLE, "out of memory");
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        char key[300];
        int n = snprintf(key, sizeof key, "data/%s/%s", name, e->d_name);
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* deleted while we walked */
        TRY(each(c, (struct str){key, (size_t)n}, st.st_size, arg));
    }
    return E_OK;
}

static enum err fs_walk(struct ctx *c, void *place, store_each *each, void *arg)
{
    struct fs *fs = place;
    for (int i = 0; i < DIRS; i++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", (unsigned)i);
        TRY(walk_dir(c, fs, name, each, arg));
    }
    return E_OK;
}

static void fs_free(void *place)
{
    struct fs *fs = place;
    pthread_mutex_lock(&fs->lock);
    fs->stop = true;
    pthread_cond_signal(&fs->work);
    pthread_mutex_unlock(&fs->lock);
    pthread_join(fs->thread, NULL);
    for (int dir = 0; dir < DIRS; dir++)
        for (struct entry *e = fs->pending[dir], *next; e; e = next) {
            next = e->next;
            entry_drop(e);
        }
    close(fs->data_fd);
    close(fs->dir_fd);
    free(fs);
}

const struct driver fs_driver = {
    .name = "fs",
    .create = fs_create,
    .reopen = fs_reopen,
    .append = fs_append,
    .empty = fs_empty,
    .sync = fs_sync,
    .close = fs_close,
    .read = fs_read,
    .has = fs_has,
    .remove = fs_remove,
    .remove_sync = fs_remove_sync,
    .space = fs_space,
    .walk = fs_walk,
    .free = fs_free,
};

enum err fs_open(struct ctx *c, int dir_fd, void **place_out)
{
    if (mkdirat(dir_fd, "data", 0700) != 0 && errno != EEXIST)
        return io_error(c, errno, "mkdir", "data");
    CLEANUP(fd_done) int data = openat(dir_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(fd_done) int own = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (data < 0 || own < 0) /* its entry is made durable with the store's other files */
        return io_error(c, errno, "open", "data");
    struct fs *fs = calloc(1, sizeof *fs);
    if (!fs)
        return fail(c, E_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&fs->lock, NULL);
    pthread_cond_init(&fs->work, NULL);
    pthread_cond_init(&fs->done, NULL);
    fs->data_fd = data;
    fs->dir_fd = own;
    int e = pthread_create(&fs->thread, NULL, sync_thread, fs);
    if (e) {
        free(fs);
        return fail_errno(c, E_UNAVAILABLE, e, "no thread for the store");
    }
    (void)fd_take(&data);
    (void)fd_take(&own);
    *place_out = fs;
    return E_OK;
}
