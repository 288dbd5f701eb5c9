/*
 * PostgreSQL: a pool of blocking connections, each with its own prepared statements.
 *
 * BEGIN and the database's clock are one message. Writes are READ COMMITTED, so every statement
 * sees what was committed before it: "lock first, then look" in meta/blob.c and meta/gc.c rests on
 * that. Reads are one REPEATABLE READ snapshot.
 *
 * A connection that broke while it lay in the pool is replaced once, at BEGIN, where nothing has
 * been done yet. Later failures are the caller's: a lost COMMIT is E_UNAVAILABLE with an unknown
 * outcome, and nothing that it might have made durable may be undone.
 */
#include "meta/driver.h"

#include "base/clock.h"
#include "base/late.h"
#include "base/log.h"
#include "base/metric.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAX 16
#define POOL_WAIT_MS 5000
#define CONNECT_MS 1000
#define DOWN_MS 250 /* after a failed attempt others fail at once for so long */
#define ARGS_MAX 64

#define OID_BOOL 16
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23

/* libpq, loaded when the first database of this kind is opened. */
#define PQ_CALLS(X)                                                                                \
    X(clear)                                                                                       \
    X(cmdStatus)                                                                                   \
    X(cmdTuples)                                                                                   \
    X(connectPoll)                                                                                 \
    X(connectStartParams)                                                                          \
    X(errorMessage)                                                                                \
    X(exec)                                                                                        \
    X(execParams)                                                                                  \
    X(execPrepared)                                                                                \
    X(finish)                                                                                      \
    X(fname)                                                                                       \
    X(ftype)                                                                                       \
    X(getisnull)                                                                                   \
    X(getlength)                                                                                   \
    X(getvalue)                                                                                    \
    X(nfields)                                                                                     \
    X(ntuples)                                                                                     \
    X(prepare)                                                                                     \
    X(resultErrorField)                                                                            \
    X(resultErrorMessage)                                                                          \
    X(resultStatus)                                                                                \
    X(setNoticeReceiver)                                                                           \
    X(socket)                                                                                      \
    X(status)                                                                                      \
    X(transactionStatus)

static struct {
#define X(name) __typeof__(PQ##name) *name;
    PQ_CALLS(X)
#undef X
} pq;

static const char *const pq_names[] = {
#define X(name) "PQ" #name,
    PQ_CALLS(X)
#undef X
};

struct postgres {
    char *url;
    pthread_mutex_t pool;
    pthread_cond_t freed;
    struct conn *idle;
    int open;
    int64_t down_until_ms;
};

/* ---- errors ------------------------------------------------------------------------------- */

static enum err away(struct ctx *c, PGconn *h)
{
    c->retry_after = 1;
    return fail(c, E_UNAVAILABLE, "the database cannot be reached: %s",
                h ? pq.errorMessage(h) : "no memory");
}

struct state_error {
    const char *state; /* SQLSTATE or the beginning of one */
    enum err e;
    bool retry;
    const char *text;
};

static const struct state_error state_errors[] = {
    {"23505", E_CONFLICT, false, "exists already"},
    {"23503", E_PRECONDITION, false, "still in use, or missing"},
    {"22021", E_BAD_REQUEST, false, "text is not UTF-8"},
    {"22P05", E_BAD_REQUEST, false, "text is not UTF-8"},
    {"40", E_UNAVAILABLE, true, "two changes met, try again"},
    {"55P03", E_UNAVAILABLE, true, "waited too long for another change"},
    {"57", E_UNAVAILABLE, true, "the database stopped the statement"},
    {"53100", E_NO_SPACE, false, "no space left for the database"},
    {"53", E_UNAVAILABLE, true, "the database has no resources"},
    {"08", E_UNAVAILABLE, true, "the connection to the database broke"},
    {"25006", E_UNAVAILABLE, true, "the database is read-only"},
};

static enum err translate(struct ctx *c, PGconn *h, const PGresult *r)
{
    const char *state = r ? pq.resultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (pq.status(h) == CONNECTION_BAD || !state)
        return away(c, h);
    for (size_t i = 0; i < COUNT(state_errors); i++) {
        const struct state_error *s = &state_errors[i];
        if (strncmp(state, s->state, strlen(s->state)) != 0)
            continue;
        if (s->retry)
            c->retry_after = 1;
        return fail(c, s->e, "%s", s->text);
    }
    return fail(c, E_INTERNAL, "database: %s", pq.resultErrorMessage(r));
}

static bool good(const PGresult *r)
{
    ExecStatusType s = pq.resultStatus(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

static void result_done(PGresult **r)
{
    pq.clear(*r);
}

static enum err pg_script(struct ctx *c, struct conn *conn, const char *text)
{
    CLEANUP(result_done) PGresult *r = pq.exec(conn->handle, text);
    return good(r) ? E_OK : translate(c, conn->handle, r);
}

/* ---- statements --------------------------------------------------------------------------- */

static enum err pg_prepare(struct ctx *c, struct conn *conn, const char *text, int64_t place,
                           struct stmt **out)
{
    struct stmt *s = calloc(1, sizeof *s);
    if (!s)
        return fail(c, E_UNAVAILABLE, "out of memory");
    if (place >= 0) {
        struct str name = str_fmt(&c->mem, "s%lld", (long long)place);
        memcpy(s->name, name.p, size_min(name.n, sizeof s->name - 1));
        CLEANUP(result_done) PGresult *r = pq.prepare(conn->handle, s->name, text, 0, NULL);
        if (!good(r)) {
            free(s);
            return translate(c, conn->handle, r);
        }
    }
    *out = s;
    return E_OK;
}

static void pg_drop(struct stmt *s)
{
    if (!s)
        return;
    free((void *)s->map);
    free(s);
}

static int64_t changed_rows(PGresult *r)
{
    int64_t n;
    return str_to_i64(str_of(pq.cmdTuples(r)), &n) ? n : 0;
}

/* Numbers go as text, so that the server may take them for whatever the column is. */
static enum err pg_run(struct cursor *cur, const struct arg *args, size_t n)
{
    const char *values[ARGS_MAX];
    int lengths[ARGS_MAX], formats[ARGS_MAX];
    PGconn *h = cur->conn->handle;
    assert(n <= ARGS_MAX);
    for (size_t i = 0; i < n; i++) {
        bool number = args[i].type == ARG_I64;
        struct str v = number ? str_fmt(&cur->c->mem, "%lld", (long long)args[i].i) : args[i].s;
        values[i] = args[i].type == ARG_NULL ? NULL : v.p;
        lengths[i] = (int)v.n;
        formats[i] = !number;
    }
    PGresult *r = cur->stmt->name[0]
                      ? pq.execPrepared(h, cur->stmt->name, (int)n, values, lengths, formats, 1)
                      : pq.execParams(h, cur->text, (int)n, NULL, values, lengths, formats, 1);
    if (!good(r)) {
        enum err e = translate(cur->c, h, r);
        pq.clear(r);
        return e;
    }
    cur->result = r;
    cur->row = -1;
    cur->rows = pq.ntuples(r);
    cur->changed = changed_rows(r);
    return E_OK;
}

static enum err pg_next(struct cursor *cur, bool *row)
{
    *row = ++cur->row < cur->rows;
    return E_OK;
}

static void pg_finish(struct cursor *cur)
{
    pq.clear(cur->result);
    cur->result = NULL;
}

static int pg_columns(const struct cursor *cur)
{
    return pq.nfields(cur->result);
}

static const char *pg_column(const struct cursor *cur, int i)
{
    return pq.fname(cur->result, i);
}

static bool pg_at(struct cursor *cur, int i)
{
    cur->column = i;
    return !pq.getisnull(cur->result, cur->row, i);
}

static int64_t pg_number(const struct cursor *cur)
{
    int i = cur->column;
    const unsigned char *p = (const unsigned char *)pq.getvalue(cur->result, cur->row, i);
    int n = pq.getlength(cur->result, cur->row, i);
    uint64_t v = 0;
    Oid type = pq.ftype(cur->result, i);
    assert(type == OID_INT8 || type == OID_INT4 || type == OID_INT2 || type == OID_BOOL);
    for (int k = 0; k < n; k++)
        v = v << 8 | p[k];
    if (n == 4)
        return (int32_t)(uint32_t)v;
    return n == 2 ? (int16_t)(uint16_t)v : (int64_t)v;
}

static struct str pg_bytes(const struct cursor *cur)
{
    int i = cur->column;
    return (struct str){pq.getvalue(cur->result, cur->row, i),
                        (size_t)pq.getlength(cur->result, cur->row, i)};
}

/* ---- connections -------------------------------------------------------------------------- */

static void disconnect(struct conn *conn)
{
    if (!conn)
        return;
    conn_forget(conn);
    pq.finish(conn->handle);
    free(conn);
}

static void drop_notice(void *arg UNUSED, const PGresult *r UNUSED)
{
}

/* libpq's own timeout counts in seconds, and at least two of them. */
static bool connect_in_time(PGconn *h)
{
    int64_t until = clock_mono_ms() + CONNECT_MS;
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        int64_t left = until - clock_mono_ms();
        if (want == PGRES_POLLING_FAILED || left <= 0)
            return false;
        struct pollfd p = {.fd = pq.socket(h),
                           .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (p.fd < 0 || poll(&p, 1, (int)left) <= 0)
            return false;
        want = pq.connectPoll(h);
    }
    return true;
}

static const char settings[] =
    "SET statement_timeout = 5000; SET lock_timeout = 5000; "
    "SET idle_in_transaction_session_timeout = 60000; SET client_min_messages = error; "
    "SET jit = off; " /* our statements are short: compiling one takes longer than running it */
    "SET default_transaction_isolation = 'read committed'";

static enum err connect_to(struct ctx *c, struct db *db, struct conn **out)
{
    struct postgres *q = db->state;
    /* Kerberos is asked for by the URL or not at all: libpq would look for a ticket each time */
    static const char *const keys[] = {
        "gssencmode",      "dbname", "application_name", "client_encoding", "tcp_user_timeout",
        "keepalives_idle", NULL};
    const char *const values[] = {"disable", q->url, "cove", "UTF8", "10000", "10", NULL};
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return fail(c, E_UNAVAILABLE, "out of memory");
    conn->db = db;
    PGconn *h = conn->handle = pq.connectStartParams(keys, values, 1);
    enum err e = E_OK;
    if (!h || pq.status(h) == CONNECTION_BAD || !connect_in_time(h)) {
        c->retry_after = 1;
        const char *why = h ? pq.errorMessage(h) : "";
        e = fail(c, E_UNAVAILABLE, "the database cannot be reached: %s",
                 why[0] ? why : "no answer in time");
    } else {
        pq.setNoticeReceiver(h, drop_notice, NULL);
        e = pg_script(c, conn, settings);
    }
    if (e != E_OK) {
        disconnect(conn);
        return e;
    }
    *out = conn;
    return E_OK;
}

/* A new connection for a place in the pool that is counted already; gives the place back. */
static enum err fill_place(struct ctx *c, struct db *db, struct conn **out)
{
    struct postgres *q = db->state;
    pthread_mutex_lock(&q->pool);
    bool down = clock_mono_ms() < q->down_until_ms;
    pthread_mutex_unlock(&q->pool);
    if (down)
        c->retry_after = 1;
    enum err e =
        down ? fail(c, E_UNAVAILABLE, "the database cannot be reached") : connect_to(c, db, out);
    if (e == E_OK)
        return E_OK;
    pthread_mutex_lock(&q->pool);
    q->open--;
    if (!down)
        q->down_until_ms = clock_mono_ms() + DOWN_MS;
    pthread_cond_signal(&q->freed);
    pthread_mutex_unlock(&q->pool);
    return e;
}

static enum err take(struct ctx *c, struct db *db, struct conn **out)
{
    struct postgres *q = db->state;
    struct timespec until = clock_deadline(POOL_WAIT_MS);
    pthread_mutex_lock(&q->pool);
    while (!q->idle && q->open >= POOL_MAX)
        if (pthread_cond_timedwait(&q->freed, &q->pool, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&q->pool);
            c->retry_after = 1;
            return fail(c, E_UNAVAILABLE, "all connections to the database are busy");
        }
    struct conn *conn = q->idle;
    if (conn)
        q->idle = conn->next;
    else
        q->open++;
    pthread_mutex_unlock(&q->pool);
    if (!conn)
        return fill_place(c, db, out);
    *out = conn;
    return E_OK;
}

/* Back to the pool, or away when it is broken or still inside a transaction. */
static void give(struct conn *conn)
{
    struct postgres *q = conn->db->state;
    bool fine = pq.status(conn->handle) == CONNECTION_OK &&
                pq.transactionStatus(conn->handle) == PQTRANS_IDLE;
    if (!fine)
        disconnect(conn);
    pthread_mutex_lock(&q->pool);
    if (fine) {
        conn->next = q->idle;
        q->idle = conn;
    } else {
        q->open--;
    }
    pthread_cond_signal(&q->freed);
    pthread_mutex_unlock(&q->pool);
}

/* ---- transactions ------------------------------------------------------------------------- */

#define CLOCK "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

static enum err send_begin(struct ctx *c, struct conn *conn, struct tx *tx)
{
    CLEANUP(result_done)
    PGresult *r = pq.exec(conn->handle, tx->write ? "BEGIN; " CLOCK
                                                  : "BEGIN ISOLATION LEVEL REPEATABLE READ READ "
                                                    "ONLY; " CLOCK);
    if (pq.resultStatus(r) != PGRES_TUPLES_OK || pq.ntuples(r) != 1 ||
        !str_to_i64(str_of(pq.getvalue(r, 0, 0)), &tx->now.us))
        return translate(c, conn->handle, r);
    return E_OK;
}

static enum err pg_begin(struct ctx *c, struct db *db, struct tx *tx)
{
    struct postgres *q = db->state;
    struct conn *conn;
    TRY(take(c, db, &conn));
    enum err e = send_begin(c, conn, tx);
    if (e != E_OK && pq.status(conn->handle) == CONNECTION_BAD) {
        /* the server was restarted: whatever else lies in the pool is broken as well */
        disconnect(conn);
        pthread_mutex_lock(&q->pool);
        struct conn *stale = q->idle;
        q->idle = NULL;
        for (struct conn *s = stale; s; s = s->next)
            q->open--;
        pthread_mutex_unlock(&q->pool);
        for (struct conn *next; stale; stale = next) {
            next = stale->next;
            disconnect(stale);
        }
        TRY(fill_place(c, db, &conn));
        e = send_begin(c, conn, tx);
    }
    if (e != E_OK) {
        give(conn);
        return e;
    }
    tx->conn = conn;
    return E_OK;
}

static enum err pg_commit(struct tx *tx)
{
    struct conn *conn = tx->conn;
    enum err e = tx->broken;
    CLEANUP(result_done) PGresult *r = pq.exec(conn->handle, e == E_OK ? "COMMIT" : "ROLLBACK");
    if (e == E_OK && !good(r))
        e = translate(tx->c, conn->handle, r);
    else if (e == E_OK && strcmp(pq.cmdStatus(r), "COMMIT") != 0)
        e = fail(tx->c, E_INTERNAL, "the database undid the transaction");
    metric_add(M_db_commits, 1);
    metric_add(M_db_commit_members, 1);
    give(conn);
    return e;
}

static void pg_rollback(struct tx *tx)
{
    pq.clear(pq.exec(tx->conn->handle, tx->write ? "ROLLBACK" : "COMMIT"));
    give(tx->conn);
}

/* ---- open and close ----------------------------------------------------------------------- */

/* A server that may forget what it has acknowledged is refused. */
static enum err check_server(struct ctx *c, struct conn *conn)
{
    static const char *const must[] = {"synchronous_commit", "fsync", "full_page_writes"};
    CLEANUP(result_done)
    PGresult *r = pq.exec(
        conn->handle, "SELECT current_setting('synchronous_commit'), current_setting('fsync'), "
                      "current_setting('full_page_writes'), current_setting('server_encoding')");
    if (pq.resultStatus(r) != PGRES_TUPLES_OK)
        return translate(c, conn->handle, r);
    for (int i = 0; i < (int)COUNT(must); i++)
        if (strcmp(pq.getvalue(r, 0, i), "off") == 0)
            return fail(c, E_PRECONDITION,
                        "PostgreSQL runs with %s = off and may lose what was stored", must[i]);
    if (strcmp(pq.getvalue(r, 0, 3), "UTF8") != 0)
        return fail(c, E_PRECONDITION, "the PostgreSQL database is encoded in %s; Cove needs UTF8",
                    pq.getvalue(r, 0, 3));
    return E_OK;
}

static void pg_close(struct db *db)
{
    struct postgres *q = db->state;
    for (struct conn *conn = q->idle, *after; conn; conn = after) {
        after = conn->next;
        disconnect(conn);
    }
    pthread_mutex_destroy(&q->pool);
    pthread_cond_destroy(&q->freed);
    free(q->url);
    free(q);
    db->state = NULL;
}

static enum err pg_open(struct ctx *c, const struct db_options *o, struct db *db)
{
    struct postgres *q = calloc(1, sizeof *q);
    struct conn *conn;
    if (!q || !(q->url = strndup(o->url.p, o->url.n))) {
        free(q);
        return fail_errno(c, E_INTERNAL, ENOMEM, "the database");
    }
    pthread_mutex_init(&q->pool, NULL);
    clock_cond_init(&q->freed);
    db->state = q;
    _Static_assert(sizeof pq == sizeof(void *) * COUNT(pq_names), "one pointer for each name");
    TRY(late_load(c, "libpq.so.5", pq_names, COUNT(pq_names), (void **)&pq));
    TRY(take(c, db, &conn));
    enum err e = check_server(c, conn);
    give(conn);
    return e;
}

const struct driver driver_postgres = {
    .postgres = true,
    .open = pg_open,
    .close = pg_close,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .prepare = pg_prepare,
    .drop = pg_drop,
    .run = pg_run,
    .next = pg_next,
    .finish = pg_finish,
    .columns = pg_columns,
    .column = pg_column,
    .at = pg_at,
    .number = pg_number,
    .bytes = pg_bytes,
    .script = pg_script,
};
