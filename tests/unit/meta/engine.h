/* A fresh database for a test: SQLite in a temporary directory, or PostgreSQL when
   COVE_TEST_POSTGRES holds a URL (each test then drops and makes the schema "public" anew). */
#ifndef TESTS_META_ENGINE_H
#define TESTS_META_ENGINE_H

#include "meta/blob.h"
#include "meta/endpoint.h"
#include "meta/list.h"
#include "meta/member.h"
#include "meta/principal.h"
#include "meta/project.h"
#include "meta/removal.h"
#include "meta/repository.h"
#include "meta/robot.h"
#include "meta/store.h"
#include "meta/tag.h"
#include "meta/upload.h"
#include "meta/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

struct engine {
    struct ctx c;
    struct services sv;
    char dir[64];
    bool postgres;
};

#define OK(e) engine_ok((e), __FILE__, __LINE__)
#define IS(want, e) engine_is((want), (e), __FILE__, __LINE__)

/* An artifact of the project "library". */
static inline enum err remove_one(struct ctx *c, int64_t id)
{
    struct list out;
    TRY(artifacts_remove(c, 1, &(struct i64s){&id, 1}, &out));
    return ((struct removed *)out.items)->fate;
}

static struct ctx *engine_last;

static inline void engine_is(enum err want, enum err got, const char *file, int line)
{
    if (want == got)
        return;
    print_error("%s:%d: %s, wanted %s: %s\n", file, line, err_name(got), err_name(want),
                engine_last ? engine_last->msg : "");
    fail();
}

static inline void engine_ok(enum err got, const char *file, int line)
{
    engine_is(E_OK, got, file, line);
}

static inline void engine_wipe_postgres(const char *url)
{
    PGconn *pg = PQconnectdb(url);
    PQclear(PQexec(
        pg, "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
    PQfinish(pg);
}

static inline void engine_reopen(struct engine *e)
{
    const char *url = getenv("COVE_TEST_POSTGRES");
    struct db_options o = {.data = str_of(e->dir), .url = str_of(e->postgres ? url : NULL)};
    engine_last = &e->c;
    e->c.sv = &e->sv;
    OK(db_open(&e->c, &o, &e->sv.db));
}

static inline void engine_open(struct engine *e, bool postgres)
{
    struct seal_key key = {{1, 2, 3}};
    *e = (struct engine){.dir = "/tmp/cove-meta-XXXXXX", .postgres = postgres};
    assert_non_null(mkdtemp(e->dir));
    meta_set_seal_key(&key);
    if (postgres)
        engine_wipe_postgres(getenv("COVE_TEST_POSTGRES"));
    e->c.actor = S("tester");
    engine_reopen(e);
}

static inline void engine_close(struct engine *e)
{
    static const char *const names[] = {"cove.db", "cove.db-wal", "cove.db-shm", "cove.db.lock"};
    db_free(e->sv.db);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", e->dir, names[i]);
        unlink(path);
    }
    rmdir(e->dir);
    ctx_release(&e->c);
    engine_last = NULL;
}

/* A context for another thread, with the same database. */
static inline struct ctx engine_ctx(struct engine *e)
{
    return (struct ctx){.sv = &e->sv, .actor = S("thread")};
}

typedef void engine_test(struct engine *e);

static inline void engine_run(engine_test *test)
{
    struct engine e;
    engine_open(&e, false);
    test(&e);
    engine_close(&e);
    if (!getenv("COVE_TEST_POSTGRES"))
        return;
    engine_open(&e, true);
    test(&e);
    engine_close(&e);
}

/* TEST(name) { ... uses e ... } defines name and name##_on_engines for cmocka. */
#define TEST(name)                                                                                 \
    static void name(struct engine *e);                                                            \
    static void name##_engines(void **state)                                                       \
    {                                                                                              \
        (void)state;                                                                               \
        engine_run(name);                                                                          \
    }                                                                                              \
    static void name(struct engine *e)
#define RUN(name) cmocka_unit_test(name##_engines)

/* The digest of a number, for tests that need many. */
static inline struct str digest_no(struct ctx *c, int64_t n)
{
    return str_fmt(&c->mem, "sha256:%064llx", (long long)n);
}

/* A blob that has arrived in a repository; its own transaction is the caller's. */
static inline struct blob put_blob(struct ctx *c, int64_t repository_id, struct str digest,
                                   int64_t size, int64_t lease_s)
{
    struct blob b;
    bool used;
    struct str key = str_fmt(&c->mem, "data/00/%.*s", STR(random_ulid(&c->mem, 0)));
    OK(intent_add(c, &key, 1));
    OK(blob_expect(c, digest, size, &b));
    OK(blob_commit(c, repository_id, key, size, lease_s, &b, &used));
    return b;
}

#endif
