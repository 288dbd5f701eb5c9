/* Many writers: durable together, alone in their failures. Runs under TSan as well. */
#include "meta/engine.h"

#include "base/metric.h"

#include <pthread.h>
#include <sys/stat.h>

#define THREADS 8
#define EACH 40

struct worker {
    struct engine *e;
    int number;
    int committed, rolled_back, refused;
};

static void write_one(struct ctx *c, struct worker *w, int i)
{
    struct tx tx = {0};
    struct str key = str_fmt(&c->mem, "t%d-%d", w->number, i);
    if (tx_begin(c, &tx) != E_OK || value_set(c, key, S("v")) != E_OK) {
        w->refused++;
    } else if (i % 5 == 4) {
        w->rolled_back++;
    } else if (tx_commit(&tx) == E_OK) {
        w->committed++;
    } else {
        w->refused++;
    }
    tx_end(&tx);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct ctx c = engine_ctx(w->e);
    for (int i = 0; i < EACH; i++)
        write_one(&c, w, i);
    ctx_release(&c);
    return NULL;
}

TEST(durable_together)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct str v;
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.e = e, .number = t};
        pthread_create(&threads[t], NULL, work, &workers[t]);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    db_free(e->sv.db);
    engine_reopen(e);
    OK(tx_read(c, &tx));
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(workers[t].refused, 0);
        assert_int_equal(workers[t].committed, EACH - EACH / 5);
        for (int i = 0; i < EACH; i++)
            IS(i % 5 == 4 ? E_NOT_FOUND : E_OK, value_get(c, str_fmt(&c->mem, "t%d-%d", t, i), &v));
    }
    tx_end(&tx);
}

/* One member breaks a constraint, the others of its group do not notice. */
static void *insert_users(void *arg)
{
    struct worker *w = arg;
    struct ctx c = engine_ctx(w->e);
    for (int i = 0; i < EACH; i++) {
        struct tx tx = {0};
        struct user own = {.username = str_fmt(&c.mem, "u%d-%d", w->number, i)};
        struct user same = {.username = S("admin")};
        enum err err = tx_begin(&c, &tx);
        if (err == E_OK)
            err = user_insert(&c, &own);
        if (err == E_OK && i % 2)
            err = user_insert(&c, &same);
        if (err == E_OK)
            err = tx_commit(&tx);
        tx_end(&tx);
        w->committed += err == E_OK;
        w->refused += err == E_CONFLICT;
    }
    ctx_release(&c);
    return NULL;
}

TEST(failures_stay_alone)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    struct list users;
    int64_t total;
    struct list_query q = {.page_size = 1};
    struct tx tx = {0};
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.e = e, .number = t};
        pthread_create(&threads[t], NULL, insert_users, &workers[t]);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(workers[t].committed, EACH / 2);
        assert_int_equal(workers[t].refused, EACH / 2);
    }
    OK(tx_read(&e->c, &tx));
    OK(user_list(&e->c, &q, &users, &total));
    assert_int_equal(total, 1 + THREADS * EACH / 2);
    tx_end(&tx);
}

/* What was acknowledged before a read began is in its snapshot. */
static void *read_back(void *arg)
{
    struct worker *w = arg;
    struct ctx c = engine_ctx(w->e);
    for (int i = 0; i < EACH; i++) {
        struct tx tx = {0};
        struct str key = str_fmt(&c.mem, "r%d-%d", w->number, i), v;
        bool fine = tx_begin(&c, &tx) == E_OK && value_set(&c, key, S("v")) == E_OK &&
                    tx_commit(&tx) == E_OK;
        tx_end(&tx);
        fine = fine && tx_read(&c, &tx) == E_OK && value_get(&c, key, &v) == E_OK;
        tx_end(&tx);
        w->committed += fine;
    }
    ctx_release(&c);
    return NULL;
}

TEST(readers_see_what_was_acknowledged)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.e = e, .number = t};
        pthread_create(&threads[t], NULL, read_back, &workers[t]);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(workers[t].committed, EACH);
    }
}

/* Somebody always reads, and one reader stays: each checkpoint still empties the log, which is used
   again from its beginning. */
TEST(the_log_stays_short)
{
    char path[128], text[40000];
    struct stat st;
    snprintf(path, sizeof path, "%s/cove.db-wal", e->dir);
    for (int i = 0; i < 350; i++) { /* 3,500 pages and more */
        struct tx tx = {0};
        struct str v;
        memset(text, 'a' + i % 26, sizeof text);
        OK(tx_begin(&e->c, &tx));
        OK(value_set(&e->c, S("long"), (struct str){text, sizeof text}));
        OK(tx_commit(&tx));
        OK(tx_read(&e->c, &tx));
        OK(value_get(&e->c, S("long"), &v));
        tx_end(&tx);
        assert_true(v.n == sizeof text && v.p[0] == text[0]);
        ctx_release(&e->c);
    }
    if (!e->postgres) {
        assert_int_equal(stat(path, &st), 0);
        assert_in_range(st.st_size, 1, 1500 * 4120);
    }
}

/* A spoiled transaction cannot be committed, on either engine. */
TEST(spoiled)
{
    struct user one = {.username = S("one"), .email = S("a@example.org")};
    struct user same = {.username = S("two"), .email = S("a@example.org")};
    struct str v;
    struct tx tx = {0};
    OK(tx_begin(&e->c, &tx));
    OK(value_set(&e->c, S("half"), S("v")));
    OK(user_insert(&e->c, &one));
    IS(E_CONFLICT, user_insert(&e->c, &same));
    IS(E_CONFLICT, value_set(&e->c, S("other"), S("v")));
    IS(E_CONFLICT, tx_commit(&tx));
    OK(tx_read(&e->c, &tx));
    IS(E_NOT_FOUND, value_get(&e->c, S("half"), &v));
    tx_end(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(durable_together),
        RUN(failures_stay_alone),
        RUN(readers_see_what_was_acknowledged),
        RUN(the_log_stays_short),
        RUN(spoiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
