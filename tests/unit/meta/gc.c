/* Garbage collection's states and races: no referenced or leased blob is ever condemned. */
#include "meta/engine.h"

#include <pthread.h>
#include <time.h>

static int64_t repository(struct ctx *c)
{
    int64_t id;
    OK(repository_ensure(c, 1, S("r"), &id));
    return id;
}

static struct artifact use(struct ctx *c, int64_t repo, int64_t number, int64_t blob_id)
{
    bool created;
    struct artifact a = {.repository_id = repo,
                         .digest = digest_no(c, number),
                         .media_type = S("m"),
                         .payload = S("{}")};
    OK(artifact_put(c, &a, &blob_id, 1, NULL, 0, &created));
    return a;
}

typedef enum err step_fn(struct ctx *c, const struct i64s *ids, struct i64s *out);

/* A step with one blob. */
static enum err one(struct ctx *c, step_fn *step, int64_t id, bool *changed)
{
    struct i64s out;
    TRY(step(c, &(struct i64s){&id, 1}, &out));
    *changed = out.count == 1;
    return E_OK;
}

static int64_t state_of(struct ctx *c, struct str digest)
{
    struct blob b;
    return blob_by_digest(c, digest, &b) == E_OK ? b.state : 0;
}

TEST(from_candidate_to_nothing)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list found;
    bool yes;
    struct str d = digest_no(c, 1);
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, d, 10, 0);
    OK(gc_candidates(c, c->tx->now, 3600, 10, &found));
    assert_int_equal(found.count, 0);
    struct timestamp before = {c->tx->now.us - 1}; /* a run that began then leaves it to the next */
    OK(gc_candidates(c, before, 0, 10, &found));
    assert_int_equal(found.count, 0);
    OK(gc_candidates(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 1);
    OK(one(c, gc_condemn, b.id, &yes));
    assert_true(yes);
    assert_int_equal(state_of(c, d), STATE_CONDEMNED);
    OK(gc_candidates(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 0);
    OK(gc_condemned(c, c->tx->now, 600, 10, &found));
    assert_int_equal(found.count, 0);
    OK(gc_condemned(c, before, 0, 10, &found));
    assert_int_equal(found.count, 0);
    OK(gc_condemned(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 1);
    OK(one(c, gc_tombstone, b.id, &yes));
    assert_true(yes);
    assert_int_equal(state_of(c, d), 0);
    OK(gc_deleting(c, 10, &found));
    assert_int_equal(found.count, 1);
    assert_true(str_eq(((struct gc_blob *)found.items)->phys_key, b.phys_key));
    struct blob twin = put_blob(c, repo, d, 10, 60); /* beside its dying twin */
    assert_true(twin.id != b.id);
    OK(gc_forget(c, &(struct i64s){&b.id, 1}));
    OK(gc_deleting(c, 10, &found));
    assert_int_equal(found.count, 0);
    assert_int_equal(state_of(c, d), STATE_ACTIVE);
    OK(tx_commit(&tx));
}

TEST(a_lease_postpones)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list found;
    bool yes;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 3600);
    OK(one(c, gc_condemn, b.id, &yes));
    assert_false(yes);
    assert_int_equal(state_of(c, digest_no(c, 1)), STATE_ACTIVE);
    OK(gc_candidates(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 0);
    tx_end(&tx);
}

TEST(a_reference_keeps_and_its_end_makes_a_candidate)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list found;
    bool yes;
    struct blob b, in;
    int64_t other;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    OK(repository_ensure(c, 1, S("other"), &other));
    b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    OK(blob_link(c, other, b.id, 0));
    struct artifact a = use(c, repo, 2, b.id);
    OK(one(c, gc_condemn, b.id, &yes));
    assert_false(yes);
    OK(blob_in_repository(c, 1, S("r"), digest_no(c, 1), &in));
    IS(E_NOT_FOUND, blob_in_repository(c, 1, S("other"), digest_no(c, 1), &in));
    OK(gc_candidates(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 0);
    OK(remove_one(c, a.id));
    OK(gc_candidates(c, c->tx->now, 0, 10, &found));
    assert_int_equal(found.count, 1);
    OK(one(c, gc_condemn, b.id, &yes));
    assert_true(yes);
    tx_end(&tx);
}

TEST(arriving_bytes_revive)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    bool yes, used;
    struct str key = S("data/00/second");
    struct blob again;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    OK(one(c, gc_condemn, b.id, &yes));
    assert_true(yes);
    OK(intent_add(c, &key, 1));
    OK(blob_expect(c, digest_no(c, 1), 10, &again));
    OK(blob_commit(c, repo, key, 10, 60, &again, &used));
    assert_false(used);
    assert_int_equal(again.id, b.id);
    assert_int_equal(state_of(c, digest_no(c, 1)), STATE_ACTIVE);
    OK(one(c, gc_tombstone, b.id, &yes));
    assert_false(yes);
    tx_end(&tx);
}

TEST(a_proxied_manifest_revives)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    bool yes;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    OK(one(c, gc_condemn, b.id, &yes));
    struct blob_need need = {.digest = digest_no(c, 1), .size = 10};
    OK(blob_require(c, repo, &need, 1, true));
    use(c, repo, 2, need.id);
    assert_int_equal(state_of(c, digest_no(c, 1)), STATE_ACTIVE);
    OK(one(c, gc_tombstone, b.id, &yes));
    assert_false(yes);
    tx_end(&tx);
}

TEST(expected_rows_just_go)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    bool yes;
    struct blob b;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob_need need = {.digest = digest_no(c, 1), .size = 10};
    OK(blob_require(c, repo, &need, 1, true));
    struct artifact a = use(c, repo, 2, need.id);
    OK(remove_one(c, a.id));
    OK(one(c, gc_condemn, need.id, &yes));
    assert_false(yes);
    IS(E_NOT_FOUND, blob_by_digest(c, digest_no(c, 1), &b));
    tx_end(&tx);
}

/* ---- two at once -------------------------------------------------------------------------- */

struct race {
    struct engine *e;
    int64_t repo, blob_id;
    struct str digest;
    pthread_barrier_t start;
    enum err pushed;
    bool condemned;
    int push_delay_us, hold_us;
};

static void pause_us(int us)
{
    struct timespec t = {.tv_nsec = us * 1000};
    nanosleep(&t, NULL);
}

/* The push: requires the blob, waits a little with the lock held, references it. */
static void *push(void *arg)
{
    struct race *r = arg;
    struct ctx c = engine_ctx(r->e);
    struct tx tx = {0};
    bool created;
    pthread_barrier_wait(&r->start);
    pause_us(r->push_delay_us);
    struct blob_need need = {.digest = r->digest, .size = 10};
    enum err e = tx_begin(&c, &tx);
    if (e == E_OK)
        e = blob_require(&c, r->repo, &need, 1, false);
    if (e == E_OK) {
        pause_us(r->hold_us);
        struct artifact a = {.repository_id = r->repo,
                             .digest = str_fmt(&c.mem, "sha256:m%.*s", STR(r->digest)),
                             .media_type = S("m"),
                             .payload = S("{}")};
        e = artifact_put(&c, &a, &need.id, 1, NULL, 0, &created);
    }
    if (e == E_OK)
        e = tx_commit(&tx);
    tx_end(&tx);
    r->pushed = e;
    ctx_release(&c);
    return NULL;
}

static void *collect(void *arg)
{
    struct race *r = arg;
    struct ctx c = engine_ctx(r->e);
    pthread_barrier_wait(&r->start);
    for (int step = 0; step < 2; step++) {
        struct tx tx = {0};
        bool yes = false;
        enum err e = tx_begin(&c, &tx);
        if (e == E_OK)
            e = one(&c, step ? gc_tombstone : gc_condemn, r->blob_id, &yes);
        if (e == E_OK)
            e = tx_commit(&tx);
        tx_end(&tx);
        r->condemned = e == E_OK && yes;
    }
    ctx_release(&c);
    return NULL;
}

/* Lease over, manifest arriving: either the push wins and the blob stays, or it hears so. */
TEST(push_against_collection)
{
    struct ctx *c = &e->c;
    for (int i = 0; i < 24; i++) {
        struct race r = {.e = e, .push_delay_us = i % 6 * 200, .hold_us = 2000};
        struct tx tx = {0};
        pthread_t threads[2];
        r.digest = digest_no(c, 100 + i);
        OK(tx_begin(c, &tx));
        r.repo = repository(c);
        r.blob_id = put_blob(c, r.repo, r.digest, 10, 0).id;
        OK(tx_commit(&tx));
        pthread_barrier_init(&r.start, NULL, 2);
        pthread_create(&threads[0], NULL, push, &r);
        pthread_create(&threads[1], NULL, collect, &r);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        pthread_barrier_destroy(&r.start);
        OK(tx_read(c, &tx));
        int64_t state = state_of(c, r.digest);
        tx_end(&tx);
        if (r.pushed == E_OK) {
            assert_int_equal(state, STATE_ACTIVE);
            assert_false(r.condemned);
        } else {
            assert_int_equal(r.pushed, E_MANIFEST_BLOB_UNKNOWN);
            assert_int_equal(state, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(from_candidate_to_nothing),
        RUN(a_lease_postpones),
        RUN(a_reference_keeps_and_its_end_makes_a_candidate),
        RUN(arriving_bytes_revive),
        RUN(a_proxied_manifest_revives),
        RUN(expected_rows_just_go),
        RUN(push_against_collection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
