/*
 * The part of the database that both engines share: transactions as the callers see them, the
 * registry of statements, and rows filled by field tables.
 *
 * Every statement of the program stands in the section cove_sql, so its place in the section is
 * its number: each connection keeps an array of what it has prepared. With a prepared statement
 * lives the map of its columns to fields, made at the first row.
 *
 * Nothing here knows SQL text, sockets or files; those are the drivers'.
 */
#include "meta/driver.h"

#include "base/fd.h"
#include "base/heap.h"
#include "base/metric.h"
#include "meta/store.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

extern const struct sql __start_cove_sql[], __stop_cove_sql[];

static size_t statement_count(void)
{
    return (size_t)(__stop_cove_sql - __start_cove_sql);
}

/* The place in the section, or -1 for text built at run time. */
static int64_t place_of(const struct sql *s)
{
    uintptr_t at = (uintptr_t)s, from = (uintptr_t)__start_cove_sql;
    if (at < from || at >= (uintptr_t)__stop_cove_sql)
        return -1;
    return (int64_t)((at - from) / sizeof *s);
}

static const char *text_of(const struct db *db, const struct sql *s)
{
    return db->driver->postgres ? s->postgres : s->sqlite;
}

void conn_forget(struct conn *conn)
{
    for (size_t i = 0; conn->stmts && i < statement_count(); i++)
        if (conn->stmts[i])
            conn->db->driver->drop(conn->stmts[i]);
    free(conn->stmts);
    conn->stmts = NULL;
}

static enum err statement(struct ctx *c, struct conn *conn, const struct sql *s, struct stmt **out)
{
    const struct driver *d = conn->db->driver;
    int64_t place = place_of(s);
    if (place < 0)
        return d->prepare(c, conn, text_of(conn->db, s), -1, out);
    if (!conn->stmts)
        conn->stmts = calloc(statement_count(), sizeof *conn->stmts);
    if (!conn->stmts)
        return fail(c, E_UNAVAILABLE, "out of memory");
    if (!conn->stmts[place])
        TRY(d->prepare(c, conn, text_of(conn->db, s), place, &conn->stmts[place]));
    *out = conn->stmts[place];
    return E_OK;
}

/* ---- transactions ------------------------------------------------------------------------- */

static enum err begin(struct ctx *c, struct tx *tx, bool write)
{
    assert(!c->tx && c->sv && c->sv->db);
    *tx = (struct tx){.c = c, .write = write};
    TRY(c->sv->db->driver->begin(c, c->sv->db, tx));
    tx->open = true;
    c->tx = tx;
    return E_OK;
}

enum err tx_begin(struct ctx *c, struct tx *tx)
{
    return begin(c, tx, true);
}

enum err tx_read(struct ctx *c, struct tx *tx)
{
    return begin(c, tx, false);
}

static void leave(struct tx *tx)
{
    assert(tx->c->tx == tx);
    tx->open = false;
    tx->c->tx = NULL;
}

enum err tx_commit(struct tx *tx)
{
    assert(tx->open && tx->write);
    if (heap_refused()) /* what was written without memory may be a part; tx_end rolls back */
        return fail(tx->c, E_UNAVAILABLE, "out of memory");
    leave(tx);
    return tx->c->sv->db->driver->commit(tx);
}

void tx_end(struct tx *tx)
{
    if (!tx->open)
        return;
    leave(tx);
    tx->c->sv->db->driver->rollback(tx);
}

/* ---- rows --------------------------------------------------------------------------------- */

static void cursor_done(struct cursor *cur)
{
    if (!cur->stmt)
        return;
    cur->conn->db->driver->finish(cur);
    if (cur->passing)
        cur->conn->db->driver->drop(cur->stmt);
    cur->stmt = NULL;
}

/* After a statement that failed the transaction can only end: PostgreSQL refuses the rest, and
   SQLite shall not differ. */
static enum err spoil(struct tx *tx, enum err e)
{
    if (e != E_OK)
        tx->broken = e;
    return e;
}

static enum err start(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                      struct cursor *cur)
{
    struct tx *tx = c->tx;
    assert(tx && tx->open);
    if (tx->broken != E_OK)
        return tx->broken;
    *cur = (struct cursor){.c = c, .conn = tx->conn, .text = text_of(tx->conn->db, s)};
    cur->passing = place_of(s) < 0;
    tx->statements++;
    metric_add(M_statements, 1);
    enum err e = statement(c, tx->conn, s, &cur->stmt);
    if (e == E_OK)
        e = tx->conn->db->driver->run(cur, args, n);
    return spoil(tx, e);
}

static enum err next(struct cursor *cur, bool *row)
{
    return spoil(cur->c->tx, cur->conn->db->driver->next(cur, row));
}

static enum err map_columns(struct cursor *cur, const struct field *fields)
{
    struct stmt *s = cur->stmt;
    const struct driver *d = cur->conn->db->driver;
    if (s->fields == fields)
        return E_OK;
    int columns = d->columns(cur);
    if (!s->map || columns != s->columns) {
        free((void *)s->map);
        s->fields = NULL;
        s->map = calloc((size_t)columns + 1, sizeof *s->map);
        if (!s->map)
            return fail_errno(cur->c, E_UNAVAILABLE, ENOMEM, "columns");
    }
    s->columns = columns;
    for (int i = 0; i < columns; i++)
        s->map[i] = field_by_name(fields, str_of(d->column(cur, i)));
    s->fields = fields;
    return E_OK;
}

/* A comma list of numbers. */
static void fill_numbers(struct ctx *c, struct str text, struct i64s *out)
{
    size_t max = 1;
    for (size_t i = 0; i < text.n; i++)
        max += text.p[i] == ',';
    out->items = arena_alloc(&c->mem, max * sizeof *out->items);
    out->count = 0;
    while (text.n) {
        struct str one = str_cut(&text, ',');
        if (str_to_i64(one, &out->items[out->count]))
            out->count++;
    }
}

/* A JSON array of texts, written by us. */
static enum err fill_texts(struct ctx *c, struct str text, struct strs *out)
{
    CLEANUP(json_done) json_t *array = NULL;
    if (json_build(c, text, &array) != E_OK)
        return fail(c, E_INTERNAL, "a list in the database cannot be read");
    size_t n = json_array_size(array);
    out->items = arena_alloc(&c->mem, n * sizeof *out->items);
    for (out->count = 0; out->count < n; out->count++) {
        json_t *v = json_array_get(array, out->count);
        out->items[out->count] =
            str_dup(&c->mem, (struct str){json_is_string(v) ? json_string_value(v) : "",
                                          json_is_string(v) ? json_string_length(v) : 0});
    }
    return E_OK;
}

static enum err fill_value(struct cursor *cur, const struct field *f, void *at)
{
    const struct driver *d = cur->conn->db->driver;
    struct ctx *c = cur->c;
    switch (f->type) {
    case F_BOOL: *(bool *)at = d->number(cur) != 0; break;
    case F_I64: *(int64_t *)at = d->number(cur); break;
    case F_TIME: *(struct timestamp *)at = (struct timestamp){d->number(cur)}; break;
    case F_STR: *(struct str *)at = str_dup(&c->mem, d->bytes(cur)); break;
    case F_JSON: ((struct raw_json *)at)->text = str_dup(&c->mem, d->bytes(cur)); break;
    case F_STRS: return fill_texts(c, d->bytes(cur), at);
    case F_I64S: fill_numbers(c, d->bytes(cur), at); break;
    case F_OBJECT:
    case F_REF:
    case F_LIST:
    case F_NONE: assert(false && "a field that cannot be a column"); break;
    }
    return E_OK;
}

static enum err fill_row(struct cursor *cur, const struct field *fields, void *out)
{
    TRY(map_columns(cur, fields));
    for (int i = 0; i < cur->stmt->columns; i++) {
        const struct field *f = cur->stmt->map[i];
        if (f && cur->conn->db->driver->at(cur, i))
            TRY(fill_value(cur, f, (char *)out + f->off));
    }
    return E_OK;
}

enum err sql_run(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                 int64_t *changed)
{
    CLEANUP(cursor_done) struct cursor cur = {0};
    bool row = true;
    TRY(start(c, s, args, n, &cur));
    while (row)
        TRY(next(&cur, &row));
    if (changed)
        *changed = cur.changed;
    return E_OK;
}

enum err sql_row(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                 const struct field *fields, void *out)
{
    CLEANUP(cursor_done) struct cursor cur = {0};
    bool row;
    TRY(start(c, s, args, n, &cur));
    TRY(next(&cur, &row));
    if (!row)
        return E_NOT_FOUND;
    return fill_row(&cur, fields, out);
}

enum err sql_rows(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                  const struct field *fields, size_t each, struct list *out)
{
    CLEANUP(cursor_done) struct cursor cur = {0};
    size_t cap = 0, count = 0;
    char *items = NULL;
    TRY(start(c, s, args, n, &cur));
    for (;;) {
        bool row;
        TRY(next(&cur, &row));
        if (!row)
            break;
        if (count == cap) {
            size_t wider = cap ? cap * 2 : 16;
            char *more = arena_array(&c->mem, wider, each);
            if (!more)
                return fail(c, E_UNAVAILABLE, "the answer is too large");
            if (count)
                memcpy(more, items, count * each);
            items = more;
            cap = wider;
        }
        TRY(fill_row(&cur, fields, items + count * each));
        count++;
    }
    *out = (struct list){items, count};
    return E_OK;
}

enum err sql_i64(struct ctx *c, const struct sql *s, const struct arg *args, size_t n, int64_t *out)
{
    CLEANUP(cursor_done) struct cursor cur = {0};
    bool row;
    TRY(start(c, s, args, n, &cur));
    TRY(next(&cur, &row));
    *out = row && cur.conn->db->driver->at(&cur, 0) ? cur.conn->db->driver->number(&cur) : 0;
    return E_OK;
}

/* ---- open, close, check ------------------------------------------------------------------- */

bool db_is_postgres(const struct db *db)
{
    return db->driver->postgres;
}

STATEMENT ping = SQL("SELECT 1");

enum err db_ping(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t one;
    TRY(tx_read(c, &tx));
    return sql_i64(c, &ping, NO_ARGS, &one);
}

STATEMENT integrity = SQL2("SELECT count(*) FROM pragma_integrity_check WHERE "
                           "integrity_check <> 'ok'",
                           "SELECT count(*) FROM pg_index WHERE NOT indisvalid");
STATEMENT strangers = SQL2("SELECT count(*) FROM pragma_foreign_key_check",
                           "SELECT count(*) FROM pg_constraint WHERE NOT convalidated");

enum err db_check(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t broken, dangling;
    TRY(tx_read(c, &tx));
    TRY(sql_i64(c, &integrity, NO_ARGS, &broken));
    TRY(sql_i64(c, &strangers, NO_ARGS, &dangling));
    if (broken || dangling)
        return fail(c, E_INTERNAL,
                    "the database is damaged: %lld bad pages or indexes, "
                    "%lld dangling references",
                    (long long)broken, (long long)dangling);
    return E_OK;
}

enum err db_prepare_all(struct ctx *c)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    for (size_t i = 0; i < statement_count(); i++) {
        struct stmt *s;
        enum err e = statement(c, tx.conn, &__start_cove_sql[i], &s);
        if (e != E_OK) {
            struct str why = str_dup(&c->mem, str_of(c->msg));
            return fail(c, e, "%.*s: %.300s", STR(why), text_of(c->sv->db, &__start_cove_sql[i]));
        }
    }
    return E_OK;
}

/* A directory that remembers another store must not meet this database. */
static enum err check_store(struct ctx *c, struct db *db, struct str data)
{
    struct str file, id;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(value_get(c, S("store_id"), &id));
    db->store_id = (struct str){strndup(id.p, id.n), id.n};
    if (!db->store_id.p)
        return fail(c, E_UNAVAILABLE, "out of memory");
    if (!data.n)
        return E_OK;
    enum err e = fd_read_file(c, str_fmt(&c->mem, "%.*s/store-id", STR(data)), 256, &file);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    while (file.n && (file.p[file.n - 1] == '\n' || file.p[file.n - 1] == ' '))
        file.n--;
    if (!str_eq(file, id))
        return fail(c, E_CONFLICT, "%.*s belongs to store %.*s, the database to store %.*s",
                    STR(data), STR(file), STR(id));
    return E_OK;
}

static void db_close(struct db **db)
{
    db_free(*db);
}

enum err db_open(struct ctx *c, const struct db_options *o, struct db **out)
{
    CLEANUP(db_close) struct db *db = calloc(1, sizeof *db);
    struct services own = {0}, *before = c->sv;
    if (!db)
        return fail(c, E_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&db->jobs_lock, NULL);
    clock_cond_init(&db->jobs_wake);
    db->driver = o->url.n ? &driver_postgres : &driver_sqlite;
    TRY(db->driver->open(c, o, db));
    own.db = db;
    c->sv = &own;
    enum err e = schema_migrate(c);
    if (e == E_OK && db->driver->opened)
        e = db->driver->opened(c, db);
    if (e == E_OK)
        e = check_store(c, db, o->data);
    c->sv = before;
    TRY(e);
    *out = TAKE(db);
    return E_OK;
}

enum err db_settle(struct ctx *c)
{
    struct db *db = c->sv->db;
    return db->driver->settle ? db->driver->settle(c, db) : E_OK;
}

void db_free(struct db *db)
{
    if (!db)
        return;
    if (db->state)
        db->driver->close(db);
    pthread_mutex_destroy(&db->jobs_lock);
    pthread_cond_destroy(&db->jobs_wake);
    free((void *)(uintptr_t)db->store_id.p);
    free(db);
}

enum err store_id(struct ctx *c, struct str *out)
{
    *out = c->sv->db->store_id;
    return E_OK;
}
