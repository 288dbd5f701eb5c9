/* Pushes, deletions and collection at once: the order of locks lets none fail for another's sake,
   and no acknowledged manifest loses a blob. */
#include "meta/engine.h"

#include "meta/usage.h"

#include <pthread.h>

#define THREADS 6
#define EACH 25
#define BLOBS 12
#define NEEDS 4

struct worker {
    struct engine *e;
    int64_t repositories[2];
    unsigned seed;
    int number, undone;
    enum err worst;
    char why[128];
};

static int64_t pick(struct worker *w, int64_t n)
{
    w->seed = w->seed * 1103515245U + 12345U;
    return (int64_t)(w->seed >> 16 & 0x7fff) % n;
}

static void note(struct worker *w, struct ctx *c, enum err e)
{
    if (e == E_OK || e == E_NOT_FOUND || e == E_PRECONDITION)
        return;
    w->undone++;
    w->worst = e;
    snprintf(w->why, sizeof w->why, "%.100s", c->msg);
}

static enum err push_blob(struct ctx *c, int64_t repository, struct str digest)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob b;
    bool used, held;
    struct str key = str_fmt(&c->mem, "k%.*s", STR(random_ulid(&c->mem, 0)));
    TRY(tx_begin(c, &tx));
    TRY(intent_add(c, &key, 1));
    TRY(blob_expect(c, digest, 10, &b));
    TRY(blob_commit(c, repository, key, 10, 60, &b, &used));
    TRY(usage_has_blob(c, 1, b.id, &held));
    TRY(project_charge(c, 1, 10, false));
    return tx_commit(&tx);
}

static enum err push(struct ctx *c, struct worker *w, int i)
{
    struct blob_need needs[NEEDS];
    struct artifact_child children[2];
    int64_t ids[NEEDS], repository = w->repositories[pick(w, 2)];
    bool created;
    for (int k = 0; k < NEEDS; k++) {
        needs[k] = (struct blob_need){.digest = digest_no(c, pick(w, BLOBS)), .size = 10};
        TRY(push_blob(c, repository, needs[k].digest));
    }
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(blob_require(c, repository, needs, NEEDS, false));
    for (int k = 0; k < NEEDS; k++)
        ids[k] = needs[k].id;
    for (int k = 0; k < 2; k++)
        children[k] = (struct artifact_child){.digest = digest_no(c, 100 + pick(w, 4))};
    struct artifact a = {.repository_id = repository,
                         .digest = digest_no(c, 1000 + w->number * 1000 + i),
                         .media_type = S("m"),
                         .payload = S("{}")};
    TRY(artifact_put(c, &a, ids, NEEDS, children, 2, &created));
    TRY(tag_put(c, repository, str_fmt(&c->mem, "t%d", (int)pick(w, 3)), a.id, false));
    TRY(usage_charge_manifest(c, 1, a.digest, 2, 1, false));
    return tx_commit(&tx);
}

static enum err delete_one(struct ctx *c, struct worker *w)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct artifact a;
    int64_t repository = w->repositories[pick(w, 2)];
    TRY(tx_begin(c, &tx));
    TRY(artifact_by_reference(c, repository, str_fmt(&c->mem, "t%d", (int)pick(w, 3)), &a));
    TRY(remove_one(c, a.id));
    return tx_commit(&tx);
}

static enum err collect(struct ctx *c, struct worker *w)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob b;
    int64_t ids[3];
    size_t n = 0;
    struct i64s condemned;
    TRY(tx_begin(c, &tx));
    for (int64_t i = 0; i < BLOBS && n < COUNT(ids); i++)
        if (pick(w, 2) && blob_by_digest(c, digest_no(c, i), &b) == E_OK)
            ids[n++] = b.id;
    TRY(gc_condemn(c, &(struct i64s){ids, n}, &condemned));
    return tx_commit(&tx);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < EACH; i++) {
        struct ctx c = engine_ctx(w->e);
        if (w->number == 0)
            note(w, &c, collect(&c, w));
        else if (w->number == 1)
            note(w, &c, delete_one(&c, w));
        else
            note(w, &c, push(&c, w, i));
        ctx_release(&c);
    }
    return NULL;
}

TEST(nobody_waits_in_a_circle)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    int64_t repositories[2], lost;
    struct tx tx = {0};
    struct sql broken = SQL("SELECT count(*) FROM artifact_blob x JOIN blob b ON b.id = x.blob_id "
                            "WHERE b.state <> 2");
    OK(tx_begin(&e->c, &tx));
    OK(repository_ensure(&e->c, 1, S("one"), &repositories[0]));
    OK(repository_ensure(&e->c, 1, S("two"), &repositories[1]));
    OK(tx_commit(&tx));
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.e = e, .number = t, .seed = (unsigned)t * 7919U + 1};
        memcpy(workers[t].repositories, repositories, sizeof repositories);
        pthread_create(&threads[t], NULL, work, &workers[t]);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        if (workers[t].undone)
            print_error("%d undone: %s: %s\n", workers[t].undone, err_name(workers[t].worst),
                        workers[t].why);
        assert_int_equal(workers[t].undone, 0);
    }
    OK(tx_read(&e->c, &tx));
    OK(sql_i64(&e->c, &broken, NO_ARGS, &lost));
    assert_int_equal(lost, 0);
    tx_end(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {RUN(nobody_waits_in_a_circle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
