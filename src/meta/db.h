/*
 * The database: SQLite (one writer connection with group commit, a pool of readers) or PostgreSQL
 * (a pool). SQL is written once for both, beside the one function that runs it, in meta/ only.
 *
 * Inside a function that takes ctx, c->tx is the open transaction; meta functions assert that
 * there is one. Write with tx_begin ... tx_commit; read with tx_read ... tx_end. Never hold one
 * over the network or while a body is sent.
 */
#ifndef META_DB_H
#define META_DB_H

#include "base/field.h"

struct db;

struct db_options {
    struct str url;  /* empty = SQLite */
    struct str data; /* directory of cove.db */
    int64_t readers; /* 0 = 2 x cores */
};

/* Opens, migrates, checks that this is our store. E_CONFLICT when another process holds it. */
enum err db_open(struct ctx *c, const struct db_options *o, struct db **out);
/* What db_open made is on the disk when it returns; any thread, before the first thing that is
   promised to anybody. Costs a few fsyncs the first time, so callers do it beside other work. */
enum err db_settle(struct ctx *c);
void db_free(struct db *db);
bool db_is_postgres(const struct db *db);
enum err db_ping(struct ctx *c);  /* for /readyz */
enum err db_check(struct ctx *c); /* integrity_check, for fsck */
/* Prepares every statement of the program: the test of "SQL is written once". */
enum err db_prepare_all(struct ctx *c);

struct tx {
    struct ctx *c;
    struct conn *conn;
    struct timestamp now; /* the database's clock, read once */
    bool write, open;
    int64_t statements;     /* run so far, BEGIN and COMMIT aside */
    struct tx_group *group; /* SQLite: the group commit that it belongs to */
    enum err broken;        /* a statement failed: tx_commit answers with this */
};

enum err tx_begin(struct ctx *c, struct tx *tx); /* write; E_UNAVAILABLE when the db is away */
enum err tx_read(struct ctx *c, struct tx *tx);  /* one snapshot */
enum err tx_commit(struct tx *tx);               /* durable when it returns E_OK */
void tx_end(struct tx *tx);                      /* rolls back unless committed; for CLEANUP */

/* ---- statements (meta/ alone uses what follows) ------------------------------------------- */

struct sql {
    const char *sqlite, *postgres;
};

/* STATEMENT name = SQL("..."); every statement is in one section, so a test can prepare all. */
#define STATEMENT static const struct sql __attribute__((section("cove_sql"), used, aligned(16)))
#define SQL(text)                                                                                  \
    {                                                                                              \
        (text), (text)                                                                             \
    }
#define SQL2(lite, pg)                                                                             \
    {                                                                                              \
        (lite), (pg)                                                                               \
    }
/* Words that the SQLite driver drops when it prepares. */
#define LOCK_UPDATE " FOR NO KEY UPDATE" /* a foreign key to the row does not wait for it */
#define LOCK_DELETE " FOR UPDATE"        /* before the row is deleted: a foreign key waits */
#define LOCK_SHARE " FOR SHARE"

enum arg_type { ARG_NULL, ARG_I64, ARG_TEXT, ARG_BLOB };
struct arg {
    enum arg_type type;
    int64_t i;
    struct str s;
};
#define A_I(v) ((struct arg){.type = ARG_I64, .i = (v)})
#define A_B(v) ((struct arg){.type = ARG_I64, .i = (v) ? 1 : 0}) /* booleans are 0/1 integers */
#define A_T(v) ((struct arg){.type = ARG_I64, .i = (v).us})      /* times are microseconds */
#define A_S(v) ((struct arg){.type = ARG_TEXT, .s = (v)})
#define A_BYTES(v) ((struct arg){.type = ARG_BLOB, .s = (v)})
#define A_NULL ((struct arg){.type = ARG_NULL})
#define A_ID(v) ((v) ? A_I(v) : A_NULL) /* 0 = no reference */
#define ARGS(...)                                                                                  \
    ((const struct arg[]){__VA_ARGS__}),                                                           \
        sizeof((const struct arg[]){__VA_ARGS__}) / sizeof(struct arg)
#define NO_ARGS NULL, 0

/* A statement that fails spoils its transaction on both engines: only tx_end is left.
   Runs a change. *changed may be NULL. E_CONFLICT on a unique violation, E_PRECONDITION on a
   foreign key, E_NO_SPACE, E_UNAVAILABLE. */
enum err sql_run(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                 int64_t *changed);
/* One row into *out by column names; E_NOT_FOUND without a row (no message is set). */
enum err sql_row(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                 const struct field *fields, void *out);
/* All rows into c->mem. */
enum err sql_rows(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                  const struct field *fields, size_t each, struct list *out);
/* One number or 0; also for INSERT ... RETURNING id. */
enum err sql_i64(struct ctx *c, const struct sql *s, const struct arg *args, size_t n,
                 int64_t *out);

#endif
