/*
 * What a database must do for meta/db.c: two tables of functions, one in sqlite.c and one in
 * postgres.c. Nothing outside those three files includes this header.
 */
#ifndef META_DRIVER_H
#define META_DRIVER_H

#include "meta/db.h"

#include <pthread.h>

struct stmt { /* prepared on one connection */
    void *handle;
    char name[20];
    int columns;
    const struct field *fields; /* of which map was made */
    const struct field **map;   /* column -> field, NULL = none */
};

struct conn {
    struct db *db;
    void *handle;        /* sqlite3 or PGconn */
    struct stmt **stmts; /* by place in the section of statements */
    struct conn *next;   /* in the pool */
    struct stmt *begin, *commit, *rollback;
};

struct cursor {
    struct ctx *c;
    struct conn *conn;
    struct stmt *stmt;
    const char *text;
    bool passing; /* the statement is not kept */
    void *result;
    int row, rows;
    int column; /* the driver's: where `at` went */
    void *value;
    int64_t changed;
};

struct driver {
    bool postgres;
    /* Connects and applies settings; db->state is the driver's. */
    enum err (*open)(struct ctx *c, const struct db_options *o, struct db *db);
    /* The schema is there: from now on a COMMIT is durable when it returns. May be NULL. */
    enum err (*opened)(struct ctx *c, struct db *db);
    enum err (*settle)(struct ctx *c, struct db *db); /* db_settle; may be NULL */
    void (*close)(struct db *db);
    enum err (*begin)(struct ctx *c, struct db *db, struct tx *tx);
    enum err (*commit)(struct tx *tx); /* ends it, whatever the answer */
    void (*rollback)(struct tx *tx);
    /* Text that does not come from the section is passing: never named on the server. */
    enum err (*prepare)(struct ctx *c, struct conn *conn, const char *text, int64_t place,
                        struct stmt **out);
    void (*drop)(struct stmt *s);
    enum err (*run)(struct cursor *cur, const struct arg *args, size_t n);
    enum err (*next)(struct cursor *cur, bool *row);
    void (*finish)(struct cursor *cur);
    int (*columns)(const struct cursor *cur);
    const char *(*column)(const struct cursor *cur, int i);
    /* Goes to a column of the row; false when it is NULL. The other two read that column. */
    bool (*at)(struct cursor *cur, int i);
    int64_t (*number)(const struct cursor *cur);
    struct str (*bytes)(const struct cursor *cur); /* view until next or finish */
    enum err (*script)(struct ctx *c, struct conn *conn, const char *text);
};

extern const struct driver driver_sqlite, driver_postgres;

struct db {
    const struct driver *driver;
    void *state;
    struct str store_id;       /* owned */
    pthread_mutex_t jobs_lock; /* of what follows: meta/job.c */
    pthread_cond_t jobs_wake;
    bool jobs_swept, jobs_news;
};

/* Frees the statements of a connection. */
void conn_forget(struct conn *conn);

/* The steps of the schema, in order; the last has no text (meta/schema.c). */
struct migration {
    const char *sqlite, *postgres;
};
extern const struct migration migrations[];
/* Brings the schema up to date and makes the first rows, in one write transaction. */
enum err schema_migrate(struct ctx *c);

#endif
