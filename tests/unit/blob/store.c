/* Objects: keys used once, bytes that last, a disk that fills, directories that belong together. */
#include "store_here.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static struct here here;

static int open_here(void **state)
{
    (void)state;
    here_open(&here);
    return 0;
}

static int close_here(void **state)
{
    (void)state;
    here_close(&here);
    return 0;
}

static struct str put(struct ctx *c, const char *text)
{
    struct str key;
    struct store_file *f;
    OK(store_key(c, &key));
    OK(store_create(c, key, &f));
    OK(store_append(c, f, text, strlen(text)));
    OK(store_sync(c, f));
    store_close(f);
    return key;
}

static void writes_and_reads(void **state)
{
    struct ctx *c = here.c;
    struct str key = put(c, "hello");
    char got[8] = "";
    int fd;
    int64_t size;
    bool has;
    (void)state;
    OK(store_read(c, key, &fd, &size));
    assert_int_equal(size, 5);
    assert_int_equal(pread(fd, got, sizeof got, 0), 5);
    assert_string_equal(got, "hello");
    close(fd);
    OK(store_has(c, key, &has));
    assert_true(has);
    assert_int_equal(here_objects(&here), 1);
    OK(store_delete(c, key));
    OK(store_delete(c, key)); /* missing = done */
    IS(E_UNAVAILABLE, store_read(c, key, &fd, &size));
}

static void keys_are_used_once(void **state)
{
    struct ctx *c = here.c;
    struct str keys[200];
    struct store_file *f;
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) { /* through several refills */
        OK(store_key(c, &keys[i]));
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(keys[i], keys[k]));
    }
    OK(store_create(c, keys[0], &f));
    store_close(f);
    assert_int_not_equal(store_create(c, keys[0], &f), E_OK);
    assert_int_equal(here_objects(&here), 1);
}

static void refuses_strange_keys(void **state)
{
    static const char *const keys[] = {
        "",
        "data/../../etc/passwd",
        "data/zz/01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "data/00/../01/X",
        "lock",
        "data/00/01ARZ3NDEKTSV4RRFFQ69G5FAV01ARZ3NDEKTSV4RRFFQ69G5FAV"};
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct store_file *f;
        int64_t size;
        int fd;
        struct str key = str_of(keys[i]);
        assert_int_not_equal(store_create(here.c, key, &f), E_OK);
        assert_int_not_equal(store_reopen(here.c, key, &f, &size), E_OK);
        assert_int_not_equal(store_read(here.c, key, &fd, &size), E_OK);
        assert_int_not_equal(store_delete(here.c, key), E_OK);
    }
}

static void goes_on_where_it_stopped(void **state)
{
    struct ctx *c = here.c;
    struct str key = put(c, "one");
    struct store_file *f;
    int64_t size;
    (void)state;
    OK(store_reopen(c, key, &f, &size));
    assert_int_equal(size, 3);
    OK(store_append(c, f, "two", 3));
    assert_int_equal(store_size(f), 6);
    OK(store_sync(c, f));
    store_close(f);
    assert_int_equal(store_reopen(c, S("data/00/01ARZ3NDEKTSV4RRFFQ69G5FAV"), &f, &size),
                     E_NOT_FOUND);
}

/* A limit on file sizes is the nearest thing to a full disk that needs no root. */
static void full_disk_is_an_answer(void **state)
{
    struct ctx *c = here.c;
    struct rlimit before, tight = {.rlim_cur = 100000};
    struct str key;
    struct store_file *f;
    static char block[65536];
    (void)state;
    OK(store_key(c, &key));
    OK(store_create(c, key, &f));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight.rlim_max = before.rlim_max;
    OK(store_append(c, f, block, sizeof block));
    setrlimit(RLIMIT_FSIZE, &tight);
    enum err e = store_append(c, f, block, sizeof block);
    setrlimit(RLIMIT_FSIZE, &before);
    IS(E_NO_SPACE, e);
    assert_int_equal(err_status(e), 507);
    assert_int_equal(store_size(f), sizeof block); /* bytes that nobody counts are cut off */
    OK(store_append(c, f, "x", 1));                /* there is room again */
    OK(store_sync(c, f));
    store_close(f);
    int64_t size;
    int fd;
    OK(store_read(c, key, &fd, &size));
    assert_int_equal(size, sizeof block + 1);
    close(fd);
}

static void *write_many(void *arg)
{
    struct ctx c = engine_ctx(&here.e);
    (void)arg;
    for (int i = 0; i < 10; i++)
        put(&c, "content");
    ctx_release(&c);
    return NULL;
}

static void many_at_once(void **state)
{
    pthread_t threads[8];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(here_objects(&here), 80);
}

static void one_process_one_store(void **state)
{
    struct store_options o = {.data = str_of(here.e.dir)};
    struct store *other;
    (void)state;
    IS(E_CONFLICT, store_open(here.c, &o, &other));
    assert_non_null(strstr(here.c->msg, "in use"));
}

static void knows_its_directory(void **state)
{
    struct store_options o = {.data = str_of(here.e.dir)};
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/store-id", here.e.dir);
    store_free(TAKE(here.e.sv.store));
    FILE *f = fopen(path, "w");
    fputs("00000000-0000-4000-8000-000000000000\n", f);
    fclose(f);
    IS(E_CONFLICT, store_open(here.c, &o, &here.e.sv.store));
    unlink(path);
    OK(store_open(here.c, &o, &here.e.sv.store)); /* no blobs yet: a fresh store */
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(writes_and_reads),         T(keys_are_used_once),     T(refuses_strange_keys),
        T(goes_on_where_it_stopped), T(full_disk_is_an_answer), T(many_at_once),
        T(one_process_one_store),    T(knows_its_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
