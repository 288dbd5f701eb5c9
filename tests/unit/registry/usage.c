/*
 * What a project uses is kept by small steps, so a long walk of random ones is compared with the
 * sum over all rows: pushes of shared layers, mounts over repositories and projects, images of a
 * cache, deletes of manifests, blobs and repositories, eviction, garbage collection; by one, where
 * it must be right after each step, and by several at once, where it must be right in the end.
 */
#include "store_here.h"

#include "meta/usage.h"
#include "registry/delete.h"
#include "registry/evict.h"
#include "registry/flight.h"
#include "registry/gc.h"
#include "registry/push.h"
#include "rule/manifest.h"

#include <pthread.h>

#define LAYERS 12
#define REPOSITORIES 4
#define MANIFESTS 40
#define STEPS 500
#define WALKERS 4
#define WALKER_STEPS 120

static struct here here;
static struct project_access projects[2]; /* an ordinary one, a cache of 600 bytes */

static int open_here(void **state)
{
    struct tx tx = {0};
    struct endpoint hub = {.name = S("hub"), .type = S("docker-hub"), .url = S("https://hub")};
    struct project cache = {.name = S("cache"), .owner_id = 1, .storage_limit = 600};
    (void)state;
    here_open(&here);
    here.settings.gc_lease_s = 0; /* a link that no manifest needs may end at once */
    here.e.sv.flights = flights_new(&here.e.sv);
    OK(tx_begin(here.c, &tx));
    OK(endpoint_insert(here.c, &hub));
    cache.registry_id = hub.id;
    OK(project_insert(here.c, &cache));
    OK(tx_commit(&tx));
    projects[0] = here.access;
    projects[1] = (struct project_access){.project = cache, .endpoint = hub};
    return 0;
}

static int close_here(void **state)
{
    (void)state;
    flights_free(here.e.sv.flights);
    here_close(&here);
    return 0;
}

/* ---- one who walks ------------------------------------------------------------------------ */

struct walker {
    struct ctx c;
    unsigned seed;
    int steps, refused, evicted;
};

static int pick(struct walker *w, int n)
{
    w->seed = w->seed * 1103515245u + 12345u;
    return (int)((w->seed >> 16) % (unsigned)n);
}

static struct place somewhere(struct walker *w, int project)
{
    static const char *const names[REPOSITORIES] = {"a", "b", "c", "d"};
    return (struct place){.access = &projects[project],
                          .principal = &here.principal,
                          .repository = str_of(names[pick(w, REPOSITORIES)]),
                          .may_push = true};
}

/* Layer number i: its text is as long as its number says. */
static struct str layer(struct ctx *c, int i, struct digest *d)
{
    struct str text = str_fmt(&c->mem, "layer %0*d", 20 + i * 3, i);
    assert_true(digest_of(DIGEST_SHA256, text, d));
    return text;
}

static enum err put_layer(struct ctx *c, const struct place *at, enum origin origin, int i)
{
    struct digest d;
    struct str key, text = layer(c, i, &d);
    struct store_file *f;
    TRY(store_key(c, &key));
    TRY(store_create(c, key, &f));
    enum err e = store_append(c, f, text.p, text.n);
    if (e == E_OK)
        e = store_sync(c, f);
    store_close(f);
    TRY(e);
    return push_blob(c, at, origin, key, &d, (int64_t)text.n);
}

/* Image number n is always the same: two of its three blobs are shared with others. */
static struct str image(struct ctx *c, int n)
{
    const int of[] = {n % LAYERS, (n * 5 + 1) % LAYERS, (n * 7 + 2) % LAYERS};
    struct str text[3];
    struct digest d[3];
    for (int i = 0; i < 3; i++)
        text[i] = layer(c, of[i], &d[i]);
    return str_fmt(&c->mem,
                   "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
                   "\",\"annotations\":{\"n\":\"%d\"},\"config\":{\"mediaType\":"
                   "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
                   "\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                   "\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":"
                   "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
                   n, d[0].text, text[0].n, d[1].text, text[1].n, d[2].text, text[2].n);
}

static enum err put_image(struct ctx *c, const struct place *at, enum origin origin, int n)
{
    struct pushed_manifest m;
    for (int i = 0; origin == ORIGIN_USER && i < 3; i++) {
        const int of[] = {n % LAYERS, (n * 5 + 1) % LAYERS, (n * 7 + 2) % LAYERS};
        TRY(put_layer(c, at, origin, of[i]));
    }
    return push_manifest(c, at, origin, str_fmt(&c->mem, "t%d", n % 7), S(MEDIA_OCI_MANIFEST),
                         image(c, n), &m);
}

static enum err delete_image(struct ctx *c, const struct place *at, int n)
{
    struct digest d;
    assert_true(digest_of(DIGEST_SHA256, image(c, n), &d));
    return delete_manifest(c, at, digest_str(&d));
}

static enum err evict(struct walker *w, struct ctx *c)
{
    struct project p;
    TRY(evict_project(c, projects[1].project.project_id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(project_by_id(c, projects[1].project.project_id, &p));
    w->evicted += p.storage_used <= 600;
    return E_OK;
}

static enum err one_step(struct walker *w, struct ctx *c)
{
    struct gc_report report;
    struct digest d;
    int n = pick(w, MANIFESTS), i = pick(w, LAYERS);
    struct place at = somewhere(w, 0), cache = somewhere(w, 1), other = somewhere(w, 0);
    layer(c, i, &d);
    switch (pick(w, 16)) {
    case 0:
    case 1:
    case 2:
    case 3: return put_image(c, &at, ORIGIN_USER, n);
    case 4: return put_layer(c, &at, ORIGIN_USER, i);
    case 5:
    case 6: return put_image(c, &cache, ORIGIN_PROXY, n);
    case 7:
    case 8: return put_layer(c, &cache, ORIGIN_PROXY, i);
    case 9: return push_mount(c, &at, &d, 1, other.repository);
    case 10: return delete_image(c, &at, n);
    case 11: return delete_image(c, &cache, n);
    case 12: return delete_blob(c, pick(w, 2) ? &at : &cache, &d);
    case 13: return pick(w, 3) ? E_OK : delete_repository(c, pick(w, 2) ? &at : &cache);
    case 14: return evict(w, c);
    default: return gc_run(c, 0, NULL, &report);
    }
}

static void right(struct ctx *c, int step)
{
    for (int64_t id = 1; id <= 2; id++) {
        CLEANUP(tx_end) struct tx tx = {0};
        struct project p;
        int64_t sum;
        OK(tx_read(c, &tx));
        OK(project_by_id(c, id, &p));
        OK(usage_sum(c, id, &sum));
        if (p.storage_used != sum)
            print_error("after step %d project %lld uses %lld, not %lld\n", step, (long long)id,
                        (long long)p.storage_used, (long long)sum);
        assert_int_equal(p.storage_used, sum);
    }
}

static void *walk(void *arg)
{
    struct walker *w = arg;
    for (int i = 0; i < w->steps; i++) {
        CLEANUP(ctx_release) struct ctx c = {.sv = &here.e.sv};
        w->refused += one_step(w, &c) != E_OK;
        if (w->steps == STEPS)
            right(&c, i);
    }
    return NULL;
}

/* ---- the two walks ------------------------------------------------------------------------ */

static void right_after_each_step(void **state)
{
    struct walker w = {.seed = 7, .steps = STEPS};
    (void)state;
    walk(&w);
    assert_true(w.refused < STEPS / 3); /* deletes of what is not there */
    assert_true(w.evicted > 3);
}

static void right_when_many_are_done(void **state)
{
    struct walker w[WALKERS];
    pthread_t threads[WALKERS];
    (void)state;
    for (unsigned i = 0; i < WALKERS; i++) {
        w[i] = (struct walker){.seed = 100 + i, .steps = WALKER_STEPS};
        pthread_create(&threads[i], NULL, walk, &w[i]);
    }
    for (unsigned i = 0; i < WALKERS; i++)
        pthread_join(threads[i], NULL);
    right(here.c, -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(right_after_each_step),
        T(right_when_many_are_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
