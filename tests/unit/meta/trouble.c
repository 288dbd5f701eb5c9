/* What goes wrong: a full disk, a broken connection, a strange directory, two first starts. */
#include "meta/engine.h"

#include "meta/driver.h"

#include <fcntl.h>
#include <pthread.h>

#define THREADS 6

struct worker {
    struct engine *e;
    int number;
    bool stored[30];
    int refused;
};

static char large[200000];

/* Thread 0 writes what does not fit, the others small rows. */
static void *fill(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 30; i++) {
        struct ctx c = engine_ctx(w->e);
        struct tx tx = {0};
        struct str key = str_fmt(&c.mem, "f%d-%d", w->number, i);
        enum err err = tx_begin(&c, &tx);
        if (err == E_OK)
            err = value_set(&c, key, w->number ? S("v") : (struct str){large, sizeof large});
        if (err == E_OK)
            err = tx_commit(&tx);
        tx_end(&tx);
        w->stored[i] = err == E_OK;
        w->refused += err == E_NO_SPACE;
        ctx_release(&c);
    }
    return NULL;
}

static void cap_pages(struct engine *e, const char *pragma)
{
    struct tx tx = {0};
    OK(tx_begin(&e->c, &tx));
    OK(e->sv.db->driver->script(&e->c, tx.conn, pragma));
    tx_end(&tx);
}

/* Nothing that was acknowledged is missing, nothing that was refused is there. */
static void full_disk(void **state)
{
    struct engine e;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    struct tx tx = {0};
    struct str v;
    (void)state;
    engine_open(&e, false);
    memset(large, 'x', sizeof large);
    cap_pages(&e, "PRAGMA max_page_count = 120");
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.e = &e, .number = t};
        pthread_create(&threads[t], NULL, fill, &workers[t]);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_true(workers[0].refused > 0);
    cap_pages(&e, "PRAGMA max_page_count = 100000");
    OK(tx_begin(&e.c, &tx));
    OK(value_set(&e.c, S("after"), S("v")));
    OK(tx_commit(&tx));
    db_free(e.sv.db);
    engine_reopen(&e);
    OK(tx_read(&e.c, &tx));
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < 30; i++)
            IS(workers[t].stored[i] ? E_OK : E_NOT_FOUND,
               value_get(&e.c, str_fmt(&e.c.mem, "f%d-%d", t, i), &v));
    OK(value_get(&e.c, S("after"), &v));
    tx_end(&tx);
    OK(db_check(&e.c));
    engine_close(&e);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

TEST(a_directory_remembers_its_store)
{
    char path[128];
    struct str id;
    struct db *other = NULL;
    snprintf(path, sizeof path, "%s/store-id", e->dir);
    OK(store_id(&e->c, &id));
    write_file(path, str_fmt(&e->c.mem, "%.*s\n", STR(id)).p);
    db_free(e->sv.db);
    engine_reopen(e);
    db_free(e->sv.db);
    write_file(path, "11111111-2222-3333-4444-555555555555\n");
    const char *url = e->postgres ? getenv("COVE_TEST_POSTGRES") : NULL;
    struct db_options o = {.data = str_of(e->dir), .url = str_of(url)};
    IS(E_CONFLICT, db_open(&e->c, &o, &other));
    unlink(path);
    engine_reopen(e);
}

TEST(a_newer_schema_is_refused)
{
    struct tx tx = {0};
    struct db *other = NULL;
    struct sql newer = SQL("INSERT INTO schema_version(version, at) VALUES(1000, 0)");
    struct sql older = SQL("DELETE FROM schema_version WHERE version = 1000");
    OK(tx_begin(&e->c, &tx));
    OK(sql_run(&e->c, &newer, NO_ARGS, NULL));
    OK(tx_commit(&tx));
    struct db *own = e->sv.db;
    if (e->postgres) {
        struct db_options o = {.url = str_of(getenv("COVE_TEST_POSTGRES"))};
        IS(E_CONFLICT, db_open(&e->c, &o, &other));
        e->sv.db = own;
    }
    OK(tx_begin(&e->c, &tx));
    OK(sql_run(&e->c, &older, NO_ARGS, NULL));
    OK(tx_commit(&tx));
}

static void *first_start(void *arg)
{
    struct engine *e = arg;
    struct ctx c = {0};
    struct db_options o = {.url = str_of(getenv("COVE_TEST_POSTGRES"))};
    enum err err = db_open(&c, &o, &e->sv.db);
    if (err != E_OK)
        print_error("%s: %s\n", err_name(err), c.msg);
    ctx_release(&c);
    return err == E_OK ? e : NULL;
}

static void two_first_starts(void **state)
{
    struct engine nodes[2] = {0};
    pthread_t threads[2];
    void *fine[2];
    (void)state;
    if (!getenv("COVE_TEST_POSTGRES"))
        return;
    engine_wipe_postgres(getenv("COVE_TEST_POSTGRES"));
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, first_start, &nodes[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &fine[i]);
        assert_non_null(fine[i]);
    }
    assert_true(str_eq(nodes[0].sv.db->store_id, nodes[1].sv.db->store_id));
    db_free(nodes[0].sv.db);
    db_free(nodes[1].sv.db);
}

static void reconnects(void **state)
{
    struct engine e;
    const char *url = getenv("COVE_TEST_POSTGRES");
    (void)state;
    if (!url)
        return;
    engine_open(&e, true);
    OK(db_ping(&e.c));
    PGconn *pg = PQconnectdb(url);
    PQclear(PQexec(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                       "application_name = 'cove'"));
    PQfinish(pg);
    OK(db_ping(&e.c));
    engine_close(&e);
}

static void away(void **state)
{
    struct ctx c = {0};
    struct db *db = NULL;
    int64_t before = clock_mono_ms();
    struct db_options o = {.url = S("postgres://nobody@127.0.0.1:1/none")};
    (void)state;
    engine_last = &c;
    IS(E_UNAVAILABLE, db_open(&c, &o, &db));
    assert_true(clock_mono_ms() - before < 1500);
    assert_int_equal(c.retry_after, 1);
    ctx_release(&c);
    engine_last = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_disk),    RUN(a_directory_remembers_its_store),
        RUN(a_newer_schema_is_refused), cmocka_unit_test(two_first_starts),
        cmocka_unit_test(reconnects),   cmocka_unit_test(away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
