/* Flights against a real upstream on loopback, a real store and a real database. */
#include "registry/flight.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/metric.h"
#include "blob/store.h"
#include "meta/repository.h"
#include "meta/store.h"
#include "net/client.h"
#include "peer/oci.h"
#include "registry/ask.h"
#include "registry/far.h"
#include "rule/settings.h"

#include <dirent.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "registry/loopback.h"

#define MIB (INT64_C(1) << 20)
#define READERS 24

struct house {
    struct ctx c;
    struct services sv;
    struct settings settings;
    char dir[64];
    struct loop up;
    struct project_access access;
    struct principal principal;
    struct place place;
};

static void must(struct ctx *c, enum err err)
{
    if (err != E_OK)
        fail_msg("%s: %s", err_name(err), c->msg);
}

static void make_project(struct house *h)
{
    struct ctx *c = &h->c;
    CLEANUP(tx_end) struct tx tx = {0};
    must(c, tx_begin(c, &tx));
    struct endpoint e = {.name = S("loop"),
                         .type = S("docker-registry"),
                         .url = str_fmt(&c->mem, "http://127.0.0.1:%d", h->up.port),
                         .status = S("healthy"),
                         .declared = true};
    must(c, endpoint_insert(c, &e));
    struct project p = {
        .name = S("mirror"), .owner_id = 1, .registry_id = e.id, .storage_limit = -1};
    must(c, project_insert(c, &p));
    must(c, tx_commit(&tx));
    tx_end(&tx);
    CLEANUP(tx_end) struct tx read = {0};
    must(c, tx_read(c, &read));
    must(c, project_access_for(c, S("mirror"), 0, &h->principal, &h->access));
    h->place = (struct place){&h->access, &h->principal, S("team/image"), false};
}

static void open_house(struct house *h, size_t size)
{
    static struct seal_key key = {{1, 2, 3}};
    memset(h, 0, sizeof *h);
    memcpy(h->dir, "/tmp/cove-flight-XXXXXX", 24);
    assert_non_null(mkdtemp(h->dir));
    meta_set_seal_key(&key);
    log_set_level(LOG_ERROR);
    loop_start(&h->up, size);
    h->c = (struct ctx){.sv = &h->sv, .actor = S("tester")};
    h->sv.settings = &h->settings;
    h->settings.proxy_range = S("serve");
    h->settings.registry_compat = S("oci");
    struct ctx *c = &h->c;
    int lock = -1;
    must(c, store_lock(c, str_of(h->dir), &lock));
    must(c, db_open(c, &(struct db_options){.data = str_of(h->dir)}, &h->sv.db));
    must(c, store_open(c, &(struct store_options){.data = str_of(h->dir), .lock = &lock},
                       &h->sv.store));
    must(c, client_new(c, &(struct client_options){0}, &h->sv.client));
    h->sv.upstreams = upstreams_new();
    h->sv.flights = flights_new(&h->sv);
    make_project(h);
}

static void land(struct house *h)
{
    flights_free(h->sv.flights);
    h->sv.flights = NULL;
}

static void close_house(struct house *h)
{
    land(h);
    upstreams_free(h->sv.upstreams);
    client_free(h->sv.client);
    store_free(h->sv.store);
    db_free(h->sv.db);
    ctx_release(&h->c);
    loop_stop(&h->up);
    const char *argv[] = {"rm", "-r", h->dir, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execv("/bin/rm", (char *const *)(uintptr_t)argv);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- readers ---- */

struct client_thread {
    struct house *house;
    pthread_t thread;
    int64_t from, leave_at; /* 0 = to the end */
    int64_t slow_us;        /* between pieces */
    enum err err;
    int64_t got;
    bool same; /* all bytes were the upstream's */
    bool led, here;
};

static void post(void *arg)
{
    sem_post(arg);
}

/* until() of a reader that may wait: for the source's call, or a moment. */
static enum err await(struct source *s, sem_t *woken, int64_t at, int64_t *until_out)
{
    s->wake = post;
    s->wake_arg = woken;
    for (;;) {
        enum err err = s->until(s, at, until_out);
        if (err != E_OK || *until_out != SOURCE_LATER)
            return err;
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec++;
        (void)sem_timedwait(woken, &t);
    }
}

static void read_all(struct client_thread *t, struct source *s)
{
    char *p = malloc(64 << 10);
    sem_t woken;
    int64_t at = t->from, until = 0;
    sem_init(&woken, 0, 0);
    t->same = true;
    while (!t->leave_at || at < t->leave_at) {
        t->err = await(s, &woken, at, &until);
        if (t->err != E_OK || until == at)
            break;
        while (at < until) {
            size_t want = (size_t)i64_min(until - at, 64 << 10), n = 0;
            if (s->fd >= 0)
                n = (size_t)i64_max(0, fd_pread_all(s->fd, p, want, at));
            else if (s->read(s, at, p, want, &n) != E_OK)
                n = 0;
            if (!n) {
                t->err = E_INTERNAL;
                break;
            }
            t->same = t->same && memcmp(p, t->house->up.blob + at, n) == 0;
            at += (int64_t)n;
            t->got += (int64_t)n;
            if (t->slow_us)
                usleep((useconds_t)t->slow_us);
        }
        if (t->err != E_OK)
            break;
    }
    free(p);
}

static void *client_run(void *arg)
{
    struct client_thread *t = arg;
    struct house *h = t->house;
    struct ctx c = {.sv = &h->sv, .actor = S("client")};
    struct flight_want w = {
        .at = &h->place, .digest = &h->up.digest, .size = h->up.chunked ? -1 : (int64_t)h->up.size};
    struct flight *f = NULL;
    struct source *s = NULL;
    struct flight_stored stored;
    t->err = flight_join(&c, &w, &f, &stored, &t->led);
    t->here = stored.fd >= 0;
    fd_done(&stored.fd);
    if (t->err == E_OK && f) {
        t->err = flight_source(&c, f, t->from, &s);
        int64_t size = flight_size(f);
        if (t->err == E_OK && t->from - flight_have(f) > FLIGHT_FAR)
            t->err = far_source(&c, f, &h->place, t->from, size, s, &s);
        flight_release(f);
    }
    if (t->err == E_OK && s) {
        read_all(t, s);
        s->release(s);
    }
    ctx_release(&c);
    return NULL;
}

static void run_clients(struct house *h, struct client_thread *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t[i].house = h;
        assert_int_equal(pthread_create(&t[i].thread, NULL, client_run, &t[i]), 0);
    }
    for (size_t i = 0; i < n; i++)
        pthread_join(t[i].thread, NULL);
}

static bool stored(struct house *h)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob b;
    must(&h->c, tx_read(&h->c, &tx));
    return blob_in_repository(&h->c, h->access.project.project_id, h->place.repository,
                              digest_str(&h->up.digest), &b) == E_OK;
}

static void settle(struct house *h)
{
    for (int i = 0; i < 2000 && flight_flying(h->sv.flights, &h->up.digest); i++)
        usleep(5000);
    assert_false(flight_flying(h->sv.flights, &h->up.digest));
}

/* ---- cases ---- */

static void one_fetch_for_all(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[READERS] = {0};
    open_house(&h, 24 * MIB);
    run_clients(&h, t, READERS);
    int led = 0;
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(t[i].err, E_OK);
        assert_int_equal(t[i].got, h.up.size);
        assert_true(t[i].same);
        led += t[i].led;
    }
    assert_int_equal(led, 1);
    settle(&h);
    assert_int_equal(h.up.gets, 1);
    assert_true(stored(&h));
    struct client_thread late = {0}; /* what is stored is not fetched again */
    run_clients(&h, &late, 1);
    assert_true(late.here);
    assert_int_equal(h.up.gets, 1);
    close_house(&h);
}

static void goes_on_when_clients_leave(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[READERS] = {0};
    open_house(&h, 16 * MIB);
    atomic_store(&h.up.rate, 64 * MIB);
    for (size_t i = 0; i < READERS; i++)
        t[i].leave_at = 1 + (int64_t)i * MIB / 8;
    run_clients(&h, t, READERS);
    settle(&h);
    assert_int_equal(h.up.gets, 1);
    assert_true(stored(&h));
    close_house(&h);
}

static void resumes_a_break(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[4] = {0};
    open_house(&h, 12 * MIB);
    atomic_store(&h.up.cut_at, 5 * MIB + 77);
    run_clients(&h, t, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(t[i].err, E_OK);
        assert_int_equal(t[i].got, h.up.size);
        assert_true(t[i].same);
    }
    assert_int_equal(h.up.gets, 2);
    assert_int_equal(h.up.offsets[1], 5 * MIB + 77);
    settle(&h);
    assert_true(stored(&h));
    close_house(&h);
}

static void keeps_nothing_wrong(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[READERS] = {0};
    open_house(&h, 4 * MIB);
    atomic_store(&h.up.corrupt, true);
    run_clients(&h, t, READERS);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_not_equal(t[i].err, E_OK);
        assert_true(t[i].got <= (int64_t)h.up.size - FLIGHT_TAIL);
    }
    settle(&h);
    assert_false(stored(&h));
    atomic_store(&h.up.corrupt, false); /* and the next one is well served */
    struct client_thread next = {0};
    run_clients(&h, &next, 1);
    assert_int_equal(next.err, E_OK);
    assert_int_equal(next.got, h.up.size);
    close_house(&h);
}

static void takes_over_a_partial_file(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t = {.leave_at = 2 * MIB};
    open_house(&h, 24 * MIB);
    atomic_store(&h.up.rate, 16 * MIB);
    run_clients(&h, &t, 1);
    land(&h); /* the process ends in the middle */
    atomic_store(&h.up.rate, 0);
    h.sv.flights = flights_new(&h.sv);
    struct client_thread next = {0};
    run_clients(&h, &next, 1);
    assert_int_equal(next.err, E_OK);
    assert_int_equal(next.got, h.up.size);
    assert_true(next.same);
    assert_int_equal(h.up.gets, 2);
    assert_true(h.up.offsets[1] >= 2 * MIB);
    settle(&h);
    assert_true(stored(&h));
    close_house(&h);
}

/* The store takes no more than 3 MiB of a file: the client gets everything, nothing is kept. */
static void serves_without_room(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[3] = {{0}, {.slow_us = 200}, {.leave_at = 5 * MIB}};
    struct rlimit was, small = {3 * MIB, RLIM_INFINITY};
    open_house(&h, 12 * MIB);
    signal(SIGXFSZ, SIG_IGN);
    atomic_store(&h.up.rate, 48 * MIB); /* slow enough for all three to join before the wall */
    int64_t errors = metric_get(M_cache_write_errors);
    getrlimit(RLIMIT_FSIZE, &was);
    setrlimit(RLIMIT_FSIZE, &small);
    run_clients(&h, t, 3);
    settle(&h);
    setrlimit(RLIMIT_FSIZE, &was);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t[i].err, E_OK);
        assert_true(t[i].same);
        assert_int_equal(t[i].got, h.up.size);
    }
    assert_true(metric_get(M_cache_write_errors) > errors);
    assert_false(stored(&h));
    close_house(&h);
}

static void waits_for_the_end_of_an_unknown_length(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[3] = {0};
    open_house(&h, 3 * MIB + 5);
    atomic_store(&h.up.chunked, true);
    run_clients(&h, t, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(t[i].err, E_OK);
        assert_int_equal(t[i].got, h.up.size);
    }
    settle(&h);
    assert_true(stored(&h));
    close_house(&h);
}

static void tells_the_true_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err err;
        int gets; /* a no is not asked again, a stumble is: three times */
    } rows[] = {
        {404, E_BLOB_UNKNOWN, 1},
        {429, E_TOO_MANY, 1},
        {403, E_UPSTREAM, 1},
        {503, E_UPSTREAM, 4},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct house h;
        struct client_thread t = {0};
        open_house(&h, 4096);
        atomic_store(&h.up.status, rows[i].status);
        run_clients(&h, &t, 1);
        if (t.err != rows[i].err || h.up.gets != rows[i].gets)
            fail_msg("%d: %s after %d requests", rows[i].status, err_name(t.err), h.up.gets);
        close_house(&h);
    }
}

static void a_far_range_has_its_own_fetch(void **state)
{
    (void)state;
    struct house h;
    struct client_thread t[2] = {{0}, {.from = 60 * MIB}};
    open_house(&h, 64 * MIB);
    atomic_store(&h.up.rate, 128 * MIB);
    run_clients(&h, t, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t[i].err, E_OK);
        assert_true(t[i].same);
        assert_int_equal(t[i].got, (int64_t)h.up.size - t[i].from);
    }
    assert_int_equal(h.up.gets, 2);
    settle(&h);
    assert_true(stored(&h));
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fetch_for_all),
        cmocka_unit_test(goes_on_when_clients_leave),
        cmocka_unit_test(resumes_a_break),
        cmocka_unit_test(keeps_nothing_wrong),
        cmocka_unit_test(takes_over_a_partial_file),
        cmocka_unit_test(serves_without_room),
        cmocka_unit_test(waits_for_the_end_of_an_unknown_length),
        cmocka_unit_test(tells_the_true_status),
        cmocka_unit_test(a_far_range_has_its_own_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
