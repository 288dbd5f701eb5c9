/*
 * SQLite: one connection that writes and checkpoints, and a pool that reads.
 *
 * Writing. tx_begin takes the baton (first come, first served). Whoever holds it runs its own
 * statements inside a SAVEPOINT of the group's BEGIN IMMEDIATE; the first of a group needs none,
 * since there is nobody's work yet but its own. tx_commit releases the savepoint and passes the
 * baton on; the group's COMMIT, one fsync for all, is made by the member that ends
 * its turn when nobody waits, when the group is 2 ms old or has 64 members. tx_commit returns when
 * that COMMIT is durable. A failed COMMIT, or an error by which SQLite undid the whole
 * transaction, fails every member.
 *
 * Checkpoints run on the same connection and nowhere else: a checkpoint on one connection beside
 * a write on another is what corrupted WAL databases before SQLite 3.51.3.
 *
 * Reading. SQLite marks what it reads by a lock of the log, which it asks of the kernel only when
 * no other connection of this process has it. So one more reader, the keeper, stays in a
 * transaction and saves all others their two system calls. It is a help only: whoever reads later
 * than the keeper asks the kernel, as before. A pull moves it to what is new, KEEP_MS after the
 * last time; a checkpoint, which it would hold back, ends it first.
 *
 * A corrupt database, or an I/O error while committing, ends the process: what the kernel has
 * dropped it will not report twice.
 */
#include "meta/driver.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP_AGE_MS 2
#define GROUP_MEMBERS 64
#define WAL_PAGES 1000
#define READERS_PER_CORE 2
#define KEEP_MS 100
#define READERS_CAP 4 /* times the base size of the pool */

struct tx_group {
    int64_t opened_ms;
    int members;     /* released, waiting for the COMMIT */
    bool bare;       /* the holder of the baton has no savepoint */
    enum err failed; /* undone before its COMMIT */
    bool done;
    enum err result;
    char why[256];
    pthread_cond_t wake;
};

struct waiter {
    struct waiter *next;
    pthread_cond_t wake;
    bool mine;
};

struct sqlite {
    struct str path; /* terminated */
    int lock;        /* flock: one process */
    bool fresh;      /* the file was made by this open */
    pthread_mutex_t settling;
    bool settled;
    struct conn *writer;
    struct stmt *savepoint, *release, *undo;
    pthread_mutex_t baton;
    bool held;
    struct waiter *first, **last;
    struct tx_group *group; /* of the holder of the baton */
    int wal_pages, next_checkpoint;
    _Atomic int64_t latest; /* the clock never goes back */

    pthread_mutex_t pool;
    pthread_cond_t freed;
    struct conn *idle;
    int readers, readers_max;

    pthread_mutex_t keeping;
    struct conn *keeper;
    struct stmt *look;
    bool kept;                        /* the keeper is in its transaction */
    _Atomic int64_t commits, kept_at; /* kept_at: those the keeper has seen; -1 = none */
    _Atomic int64_t keep_after_ms;
};

/* ---- errors ------------------------------------------------------------------------------- */

static enum err translate(struct ctx *c, sqlite3 *h, int code)
{
    const char *why = sqlite3_errmsg(h);
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
        log_error("meta", "the database is corrupt, stopping: %s", why);
        abort();
    }
    switch (sqlite3_extended_errcode(h)) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY: return fail(c, E_CONFLICT, "exists already");
    case SQLITE_CONSTRAINT_FOREIGNKEY:
    case SQLITE_CONSTRAINT_TRIGGER: return fail(c, E_PRECONDITION, "still in use, or missing");
    default: break;
    }
    switch (code & 0xff) {
    case SQLITE_FULL: return fail(c, E_NO_SPACE, "no space left for the database");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        c->retry_after = 1;
        return fail(c, E_UNAVAILABLE, "the database cannot answer: %s", why);
    default: return fail(c, E_INTERNAL, "database: %s", why);
    }
}

/* SQLite may have undone the whole transaction (a full disk, no memory): then the group is lost. */
static enum err after_error(struct cursor *cur, int code)
{
    sqlite3 *h = cur->conn->handle;
    struct sqlite *q = cur->conn->db->state;
    enum err e = translate(cur->c, h, code);
    if (cur->conn == q->writer && q->group && sqlite3_get_autocommit(h)) {
        q->group->failed = e;
    }
    return e;
}

/* ---- statements --------------------------------------------------------------------------- */

/* Copies the text without the locking words, which SQLite does not know and does not need, and
   with ?1 for $1: SQLite takes $1 for a name and would number it by its first appearance. */
static char *translate_text(const char *text)
{
    static const char *const words[] = {LOCK_UPDATE, LOCK_DELETE, LOCK_SHARE};
    char *out = strdup(text);
    for (size_t i = 0; out && i < COUNT(words); i++)
        for (char *at; (at = strstr(out, words[i]));) {
            char *rest = at + strlen(words[i]);
            memmove(at, rest, strlen(rest) + 1);
        }
    for (char *at = out; at && (at = strchr(at, '$')); at++)
        if (at[1] >= '0' && at[1] <= '9')
            *at = '?';
    return out;
}

static enum err lite_prepare(struct ctx *c, struct conn *conn, const char *text, int64_t place,
                             struct stmt **out)
{
    sqlite3_stmt *handle;
    char *plain = translate_text(text);
    struct stmt *s = calloc(1, sizeof *s);
    if (!plain || !s) {
        free(plain);
        free(s);
        return fail_errno(c, E_UNAVAILABLE, ENOMEM, "a statement");
    }
    int code = sqlite3_prepare_v3(conn->handle, plain, -1,
                                  place >= 0 ? SQLITE_PREPARE_PERSISTENT : 0, &handle, NULL);
    free(plain);
    if (code != SQLITE_OK) {
        free(s);
        return translate(c, conn->handle, code);
    }
    s->handle = handle;
    *out = s;
    return E_OK;
}

static void lite_drop(struct stmt *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->handle);
    free((void *)s->map);
    free(s);
}

static enum err lite_run(struct cursor *cur, const struct arg *args, size_t n)
{
    sqlite3_stmt *s = cur->stmt->handle;
    assert((int)n == sqlite3_bind_parameter_count(s));
    for (size_t i = 0; i < n; i++) {
        int at = (int)i + 1, code = SQLITE_OK;
        struct str t = args[i].s;
        switch (args[i].type) {
        case ARG_NULL: code = sqlite3_bind_null(s, at); break;
        case ARG_I64: code = sqlite3_bind_int64(s, at, args[i].i); break;
        case ARG_TEXT:
            code = t.p ? sqlite3_bind_text64(s, at, t.p, t.n, SQLITE_STATIC, SQLITE_UTF8)
                       : sqlite3_bind_null(s, at);
            break;
        case ARG_BLOB:
            code = t.p ? sqlite3_bind_blob64(s, at, t.p, t.n, SQLITE_STATIC)
                       : sqlite3_bind_null(s, at);
            break;
        }
        if (code != SQLITE_OK)
            return after_error(cur, code);
    }
    return E_OK;
}

static enum err lite_next(struct cursor *cur, bool *row)
{
    int code = sqlite3_step(cur->stmt->handle);
    if (code == SQLITE_ROW) {
        *row = true;
        return E_OK;
    }
    if (code != SQLITE_DONE)
        return after_error(cur, code);
    cur->changed = sqlite3_changes64(cur->conn->handle);
    *row = false;
    return E_OK;
}

static void lite_finish(struct cursor *cur)
{
    sqlite3_reset(cur->stmt->handle);
    sqlite3_clear_bindings(cur->stmt->handle);
}

static int lite_columns(const struct cursor *cur)
{
    return sqlite3_column_count(cur->stmt->handle);
}

static const char *lite_column(const struct cursor *cur, int i)
{
    return sqlite3_column_name(cur->stmt->handle, i);
}

/* The column is looked up once. Reading it by its value is sound because a connection is one
   thread's at a time and has no mutex. */
static bool lite_at(struct cursor *cur, int i)
{
    cur->value = sqlite3_column_value(cur->stmt->handle, i);
    return sqlite3_value_type(cur->value) != SQLITE_NULL;
}

static int64_t lite_number(const struct cursor *cur)
{
    return sqlite3_value_int64(cur->value);
}

static struct str lite_bytes(const struct cursor *cur)
{
    const char *p = sqlite3_value_blob(cur->value);
    int n = sqlite3_value_bytes(cur->value);
    return (struct str){p ? p : "", (size_t)n};
}

static enum err lite_script(struct ctx *c, struct conn *conn, const char *text)
{
    int code = sqlite3_exec(conn->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? E_OK : translate(c, conn->handle, code);
}

/* ---- connections -------------------------------------------------------------------------- */

static void disconnect(struct conn *conn)
{
    if (!conn)
        return;
    conn_forget(conn);
    lite_drop(conn->begin);
    lite_drop(conn->commit);
    lite_drop(conn->rollback);
    sqlite3_close_v2(conn->handle);
    free(conn);
}

static enum err set_up(struct ctx *c, struct conn *conn, bool write)
{
    sqlite3_extended_result_codes(conn->handle, 1);
    /* The writer waits too: a reader that met a header of the log half written looks again under
       the write lock, and on a busy machine it may be stopped just there. */
    sqlite3_busy_timeout(conn->handle, 5000);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    const struct sqlite *q = conn->db->state;
    if (write) /* a new file is synced once, as a whole: see lite_opened and lite_settle */
        TRY(lite_script(c, conn, q->fresh ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL"));
    TRY(lite_script(c, conn,
                    write ? "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA mmap_size=0; "
                            "PRAGMA cache_size=-2048; "
                            "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY"
                          : "PRAGMA mmap_size=0; PRAGMA cache_size=-512; PRAGMA query_only=ON; "
                            "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY"));
    TRY(lite_prepare(c, conn, write ? "BEGIN IMMEDIATE" : "BEGIN", 0, &conn->begin));
    TRY(lite_prepare(c, conn, "COMMIT", 0, &conn->commit));
    return lite_prepare(c, conn, "ROLLBACK", 0, &conn->rollback);
}

static enum err connect_to(struct ctx *c, struct db *db, bool write, struct conn **out)
{
    struct sqlite *q = db->state;
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return fail(c, E_UNAVAILABLE, "out of memory");
    conn->db = db;
    sqlite3 *h = NULL;
    int code =
        sqlite3_open_v2(q->path.p, &h,
                        SQLITE_OPEN_NOMUTEX | (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                     : SQLITE_OPEN_READONLY),
                        NULL);
    conn->handle = h;
    enum err e = code == SQLITE_OK
                     ? set_up(c, conn, write)
                     : fail(c, E_UNAVAILABLE, "%s: %s", q->path.p, sqlite3_errstr(code));
    if (e != E_OK) {
        disconnect(conn);
        return e;
    }
    *out = conn;
    return E_OK;
}

static int simple(struct stmt *s)
{
    int code = sqlite3_step(s->handle);
    sqlite3_reset(s->handle);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* ---- readers ------------------------------------------------------------------------------ */

static enum err take_reader(struct ctx *c, struct db *db, struct conn **out)
{
    struct sqlite *q = db->state;
    pthread_mutex_lock(&q->pool);
    while (!q->idle && q->readers >= q->readers_max)
        pthread_cond_wait(&q->freed, &q->pool);
    struct conn *conn = q->idle;
    if (conn)
        q->idle = conn->next;
    else
        q->readers++;
    pthread_mutex_unlock(&q->pool);
    if (conn) {
        *out = conn;
        return E_OK;
    }
    enum err e = connect_to(c, db, false, out);
    if (e != E_OK) {
        pthread_mutex_lock(&q->pool);
        q->readers--;
        pthread_cond_signal(&q->freed);
        pthread_mutex_unlock(&q->pool);
    }
    return e;
}

static void give_reader(struct conn *conn)
{
    struct sqlite *q = conn->db->state;
    pthread_mutex_lock(&q->pool);
    conn->next = q->idle;
    q->idle = conn;
    pthread_cond_signal(&q->freed);
    pthread_mutex_unlock(&q->pool);
}

/* ---- the keeper --------------------------------------------------------------------------- */

/* With q->keeping locked. */
static void keeper_ends(struct sqlite *q)
{
    if (q->kept && simple(q->keeper->commit) != SQLITE_OK)
        log_warn("meta", "the keeper's transaction did not end: %s",
                 sqlite3_errmsg(q->keeper->handle));
    q->kept = false;
    atomic_store(&q->kept_at, -1);
}

static bool keeper_made(struct db *db)
{
    struct sqlite *q = db->state;
    struct ctx c = {0};
    if (!q->keeper && connect_to(&c, db, false, &q->keeper) == E_OK &&
        lite_prepare(&c, q->keeper, "SELECT 1 FROM sqlite_schema", 0, &q->look) != E_OK) {
        disconnect(q->keeper);
        q->keeper = NULL;
    }
    ctx_release(&c);
    return q->keeper != NULL;
}

/* Moves the keeper to what was committed last, now and then; without it all goes on, slower. */
static void keep_up(struct db *db)
{
    struct sqlite *q = db->state;
    int64_t commits = atomic_load(&q->commits), now;
    if (atomic_load_explicit(&q->kept_at, memory_order_relaxed) == commits)
        return;
    now = clock_mono_ms();
    if (now < atomic_load(&q->keep_after_ms) || pthread_mutex_trylock(&q->keeping) != 0)
        return;
    atomic_store(&q->keep_after_ms, now + KEEP_MS);
    keeper_ends(q);
    if (keeper_made(db) && simple(q->keeper->begin) == SQLITE_OK) {
        q->kept = true;
        bool seen = sqlite3_step(q->look->handle) == SQLITE_ROW;
        sqlite3_reset(q->look->handle);
        if (seen)
            atomic_store(&q->kept_at, commits);
        else
            keeper_ends(q);
    }
    pthread_mutex_unlock(&q->keeping);
}

/* ---- the writer --------------------------------------------------------------------------- */

static void take_baton(struct sqlite *q)
{
    struct waiter w = {0};
    pthread_mutex_lock(&q->baton);
    if (!q->held && !q->first) {
        q->held = true;
        pthread_mutex_unlock(&q->baton);
        return;
    }
    pthread_cond_init(&w.wake, NULL);
    *q->last = &w;
    q->last = &w.next;
    while (!w.mine)
        pthread_cond_wait(&w.wake, &q->baton);
    pthread_mutex_unlock(&q->baton);
    pthread_cond_destroy(&w.wake);
}

/* With q->baton locked. */
static void pass_baton(struct sqlite *q)
{
    struct waiter *w = q->first;
    if (!w) {
        q->held = false;
        return;
    }
    q->first = w->next;
    if (!q->first)
        q->last = &q->first;
    w->mine = true;
    pthread_cond_signal(&w->wake);
}

static int count_pages(void *arg, sqlite3 *h UNUSED, const char *name UNUSED, int pages)
{
    struct sqlite *q = arg;
    q->wal_pages = pages;
    return SQLITE_OK;
}

/* A file system that turned read-only (the kernel does so after an error) is no reason to stop:
   nothing was changed, nothing is promised, and what is stored can still be read. Asked by a try,
   because SQLite does not keep the reason. */
static bool is_read_only(const struct sqlite *q)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%.*s-probe", STR(q->path));
    if (n < 0 || (size_t)n >= sizeof path)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool read_only = fd < 0 && errno == EROFS;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return read_only;
}

/* Readers may hold the log back: the next try comes when it has grown by as much again. */
static void checkpoint(struct sqlite *q)
{
    int log = 0, moved = 0;
    pthread_mutex_lock(&q->keeping);
    keeper_ends(q);
    int code =
        sqlite3_wal_checkpoint_v2(q->writer->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
    pthread_mutex_unlock(&q->keeping);
    bool failed = (code & 0xff) == SQLITE_IOERR && !is_read_only(q);
    if (failed || (code & 0xff) == SQLITE_CORRUPT) {
        log_error("meta", "checkpoint failed, stopping: %s", sqlite3_errmsg(q->writer->handle));
        abort();
    }
    q->next_checkpoint = moved >= log ? WAL_PAGES : log + WAL_PAGES;
}

/* Undoing needs memory too, above all when the schema has changed: when there is none it is tried
   again for two seconds. */
static int roll_back(struct sqlite *q)
{
    int code = simple(q->writer->rollback);
    for (useconds_t ms = 0; (code & 0xff) == SQLITE_NOMEM && ms < 64; ms++) {
        usleep(ms * 1000);
        code = sqlite3_get_autocommit(q->writer->handle) ? SQLITE_OK : simple(q->writer->rollback);
    }
    return code;
}

/* COMMIT for all members; who calls it holds the baton. */
static void group_close(struct sqlite *q)
{
    struct tx_group *g = q->group;
    sqlite3 *h = q->writer->handle;
    struct ctx note = {0};
    enum err e = g->failed;
    if (sqlite3_get_autocommit(h)) {
        e = e == E_OK ? E_UNAVAILABLE : e;
    } else if (e == E_OK && g->members > 0) {
        int code = simple(q->writer->commit);
        if ((code & 0xff) == SQLITE_IOERR && !is_read_only(q)) {
            log_error("meta", "COMMIT failed, stopping: %s", sqlite3_errmsg(h));
            abort();
        }
        if (code != SQLITE_OK)
            e = translate(&note, h, code);
        metric_add(M_db_commits, 1);
        metric_add(M_db_commit_members, g->members);
    }
    if (!sqlite3_get_autocommit(h) && roll_back(q) != SQLITE_OK) {
        log_error("meta", "ROLLBACK failed, stopping: %s", sqlite3_errmsg(h));
        abort();
    }
    atomic_fetch_add(&q->commits, 1);
    pthread_mutex_lock(&q->baton);
    q->group = NULL;
    g->result = e;
    memcpy(g->why, note.msg, sizeof g->why - 1);
    g->done = true;
    bool alone = g->members == 0;
    pthread_cond_broadcast(&g->wake);
    pthread_mutex_unlock(&q->baton);
    if (alone) {
        pthread_cond_destroy(&g->wake);
        free(g);
    }
    if (q->wal_pages >= q->next_checkpoint)
        checkpoint(q);
}

/* Ends the holder's turn; a member then waits for the COMMIT of its group. */
static enum err end_turn(struct ctx *c, struct sqlite *q, bool member)
{
    struct tx_group *g = q->group;
    pthread_mutex_lock(&q->baton);
    if (member)
        g->members++;
    bool close = g->failed != E_OK || !q->first || g->members >= GROUP_MEMBERS ||
                 clock_mono_ms() - g->opened_ms >= GROUP_AGE_MS;
    pthread_mutex_unlock(&q->baton);
    if (close)
        group_close(q); /* frees a group without members */
    pthread_mutex_lock(&q->baton);
    pass_baton(q);
    if (!member) {
        pthread_mutex_unlock(&q->baton);
        return E_OK;
    }
    while (!g->done)
        pthread_cond_wait(&g->wake, &q->baton);
    enum err e = g->result;
    if (e != E_OK)
        e = fail(c, e, "%s", g->why[0] ? g->why : "the database undid the transaction");
    bool last = --g->members == 0;
    pthread_mutex_unlock(&q->baton);
    if (last) {
        pthread_cond_destroy(&g->wake);
        free(g);
    }
    return e;
}

static enum err open_group(struct ctx *c, struct sqlite *q)
{
    struct tx_group *g = calloc(1, sizeof *g);
    if (!g)
        return fail(c, E_UNAVAILABLE, "out of memory");
    int code = simple(q->writer->begin);
    if (code != SQLITE_OK) {
        free(g);
        return translate(c, q->writer->handle, code);
    }
    g->opened_ms = clock_mono_ms();
    pthread_cond_init(&g->wake, NULL);
    q->group = g;
    return E_OK;
}

static enum err begin_write(struct ctx *c, struct sqlite *q, struct tx *tx)
{
    take_baton(q);
    enum err e = q->group ? E_OK : open_group(c, q);
    if (e != E_OK) {
        pthread_mutex_lock(&q->baton);
        pass_baton(q);
        pthread_mutex_unlock(&q->baton);
        return e;
    }
    q->group->bare = q->group->members == 0;
    int code = q->group->bare ? SQLITE_OK : simple(q->savepoint);
    if (code != SQLITE_OK) {
        e = translate(c, q->writer->handle, code);
        q->group->failed = e;
        enum err turn = end_turn(c, q, false);
        return turn == E_OK ? e : turn;
    }
    tx->conn = q->writer;
    tx->group = q->group;
    return E_OK;
}

static struct timestamp tick(struct sqlite *q)
{
    int64_t now = clock_now().us, seen = atomic_load(&q->latest);
    while (now > seen && !atomic_compare_exchange_weak(&q->latest, &seen, now))
        ;
    return (struct timestamp){i64_max(now, seen)};
}

static enum err lite_begin(struct ctx *c, struct db *db, struct tx *tx)
{
    struct sqlite *q = db->state;
    if (tx->write)
        TRY(begin_write(c, q, tx));
    else {
        keep_up(db);
        TRY(take_reader(c, db, &tx->conn));
        int code = simple(tx->conn->begin);
        if (code != SQLITE_OK) {
            enum err e = translate(c, tx->conn->handle, code);
            give_reader(tx->conn);
            return e;
        }
    }
    tx->now = tick(q);
    return E_OK;
}

static void lite_rollback(struct tx *tx)
{
    struct sqlite *q = tx->conn->db->state;
    if (!tx->write) {
        if (simple(tx->conn->commit) != SQLITE_OK)
            log_warn("meta", "a read transaction did not end: %s",
                     sqlite3_errmsg(tx->conn->handle));
        give_reader(tx->conn);
        return;
    }
    if (q->group->bare)
        q->group->failed = E_CLOSED; /* alone in its group, which ends with it */
    else if (!sqlite3_get_autocommit(q->writer->handle) &&
             (simple(q->undo) != SQLITE_OK || simple(q->release) != SQLITE_OK))
        q->group->failed = E_UNAVAILABLE;
    if (end_turn(tx->c, q, false) != E_OK)
        log_error("meta", "the database undid a group of transactions");
}

static enum err lite_commit(struct tx *tx)
{
    struct sqlite *q = tx->conn->db->state;
    if (tx->broken == E_OK && !q->group->bare) {
        int code = simple(q->release);
        if (code != SQLITE_OK) {
            tx->broken = translate(tx->c, q->writer->handle, code);
            q->group->failed = tx->broken;
        }
    }
    if (tx->broken == E_OK)
        return end_turn(tx->c, q, true);
    lite_rollback(tx);
    return tx->broken;
}

/* ---- open and close ----------------------------------------------------------------------- */

static enum err lock_file(struct ctx *c, struct sqlite *q)
{
    struct str path = str_fmt(&c->mem, "%.*s.lock", STR(q->path));
    q->lock = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (q->lock < 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "%s", path.p);
    if (flock(q->lock, LOCK_EX | LOCK_NB) != 0)
        return fail(c, E_CONFLICT, "%s is in use by another process", q->path.p);
    return E_OK;
}

static enum err lite_opened(struct ctx *c, struct db *db)
{
    struct sqlite *q = db->state;
    return lite_script(c, q->writer, "PRAGMA synchronous=FULL");
}

static enum err sync_path(struct ctx *c, const char *path, bool must_exist)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !must_exist)
        return E_OK;
    if (fd < 0 || fsync(fd) != 0)
        return fail_errno(c, E_UNAVAILABLE, errno, "%s", path);
    return E_OK;
}

/*
 * The log first: the database file says that there is one. Without the two a COMMIT would be
 * durable in a file that a power cut may take away, so nobody is answered 2xx before this; it is
 * done at each start because the one before may have been cut short.
 */
static enum err settle_files(struct ctx *c, const struct sqlite *q)
{
    struct str folder = str_sub(q->path, 0, (size_t)str_rfind(q->path, '/'));
    TRY(sync_path(c, str_c(&c->mem, str_fmt(&c->mem, "%.*s-wal", STR(q->path))), false));
    TRY(sync_path(c, q->path.p, true));
    return sync_path(c, str_c(&c->mem, folder), true);
}

static enum err lite_settle(struct ctx *c, struct db *db)
{
    struct sqlite *q = db->state;
    enum err e = E_OK;
    pthread_mutex_lock(&q->settling);
    if (!q->settled)
        e = settle_files(c, q);
    q->settled = q->settled || e == E_OK;
    pthread_mutex_unlock(&q->settling);
    return e;
}

static void lite_close(struct db *db)
{
    struct sqlite *q = db->state;
    keeper_ends(q);
    lite_drop(q->look);
    disconnect(q->keeper);
    for (struct conn *conn = q->idle, *after; conn; conn = after) {
        after = conn->next;
        disconnect(conn);
    }
    lite_drop(q->savepoint);
    lite_drop(q->release);
    lite_drop(q->undo);
    if (q->writer && sqlite3_wal_checkpoint_v2(q->writer->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                               NULL, NULL) != SQLITE_OK)
        log_warn("meta", "the log was not emptied: %s", sqlite3_errmsg(q->writer->handle));
    disconnect(q->writer);
    if (q->lock >= 0)
        close(q->lock);
    pthread_mutex_destroy(&q->settling);
    pthread_mutex_destroy(&q->keeping);
    pthread_mutex_destroy(&q->baton);
    pthread_mutex_destroy(&q->pool);
    pthread_cond_destroy(&q->freed);
    free((void *)(uintptr_t)q->path.p);
    free(q);
    db->state = NULL;
}

static void configure_once(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* its counters take a lock at each allocation */
    sqlite3_initialize();
}

static enum err lite_open(struct ctx *c, const struct db_options *o, struct db *db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_once);
    struct sqlite *q = calloc(1, sizeof *q);
    struct str path = str_fmt(&c->mem, "%.*s/cove.db", STR(o->data));
    char *own = strdup(path.p);
    if (!q || !own) {
        free(q);
        free(own);
        return fail_errno(c, E_INTERNAL, ENOMEM, "the database");
    }
    q->path = (struct str){own, path.n};
    q->lock = -1;
    q->last = &q->first;
    q->next_checkpoint = WAL_PAGES;
    pthread_mutex_init(&q->settling, NULL);
    pthread_mutex_init(&q->keeping, NULL);
    q->kept_at = -1;
    pthread_mutex_init(&q->baton, NULL);
    pthread_mutex_init(&q->pool, NULL);
    pthread_cond_init(&q->freed, NULL);
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    q->readers_max =
        (int)(o->readers > 0 ? o->readers : READERS_PER_CORE * READERS_CAP * i64_max(cores, 1));
    db->state = q;
    TRY(lock_file(c, q));
    struct stat st;
    q->fresh = stat(q->path.p, &st) != 0 ? errno == ENOENT : st.st_size == 0;
    TRY(connect_to(c, db, true, &q->writer));
    sqlite3_wal_hook(q->writer->handle, count_pages, q);
    TRY(lite_prepare(c, q->writer, "SAVEPOINT t", 0, &q->savepoint));
    TRY(lite_prepare(c, q->writer, "RELEASE t", 0, &q->release));
    return lite_prepare(c, q->writer, "ROLLBACK TO t", 0, &q->undo);
}

const struct driver driver_sqlite = {
    .open = lite_open,
    .opened = lite_opened,
    .settle = lite_settle,
    .close = lite_close,
    .begin = lite_begin,
    .commit = lite_commit,
    .rollback = lite_rollback,
    .prepare = lite_prepare,
    .drop = lite_drop,
    .run = lite_run,
    .next = lite_next,
    .finish = lite_finish,
    .columns = lite_columns,
    .column = lite_column,
    .at = lite_at,
    .number = lite_number,
    .bytes = lite_bytes,
    .script = lite_script,
};
