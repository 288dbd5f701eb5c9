/* Upload sessions: one request at a time, any restart in between, nothing believed unproven. */
#include "blob/upload.h"
#include "store_here.h"

#include "registry/push.h"

static struct here here;
static int64_t repo;

static int open_here(void **state)
{
    struct tx tx = {0};
    (void)state;
    here_open(&here);
    OK(tx_begin(here.c, &tx));
    OK(repository_ensure(here.c, 1, S("app"), &repo));
    OK(tx_commit(&tx));
    return 0;
}

static int close_here(void **state)
{
    (void)state;
    here_close(&here);
    return 0;
}

static struct digest digest(enum digest_alg alg, const char *text)
{
    struct digest d;
    assert_true(digest_of(alg, str_of(text), &d));
    return d;
}

static struct upload_session *go_on(struct str id)
{
    struct upload_session *s = NULL;
    OK(upload_open(here.c, id, repo, &s));
    return s;
}

static void add(struct upload_session *s, const char *text)
{
    OK(upload_write(here.c, s, text, strlen(text)));
}

static void commit(struct str key, const struct digest *d, int64_t size)
{
    OK(push_blob(here.c, &here.place, ORIGIN_USER, key, d, size));
}

static void in_pieces(void **state)
{
    struct str id, key;
    int64_t size;
    struct digest d = digest(DIGEST_SHA256, "onetwothree");
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    struct upload_session *s = go_on(id);
    add(s, "one");
    upload_park(here.c, s);
    s = go_on(id);
    assert_int_equal(upload_offset(s), 3);
    add(s, "two");
    upload_park(here.c, s);
    here_restart(&here); /* the running hash is gone, the file is not */
    s = go_on(id);
    assert_int_equal(upload_offset(s), 6);
    add(s, "three");
    OK(upload_finish(here.c, s, &d, &key, &size));
    assert_int_equal(size, 11);
    /* until the key is committed nobody reaches the file */
    IS(E_CONFLICT, upload_open(here.c, id, repo, &s));
    commit(key, &d, size);
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, id, repo, &s));
}

static void after_a_power_cut(void **state)
{
    char path[128];
    struct str id;
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    struct upload_session *s = go_on(id);
    add(s, "one");
    upload_park(here.c, s);
    snprintf(path, sizeof path, "%s/boot", here.e.dir);
    FILE *f = fopen(path, "w");
    fputs("another boot 0", f);
    fclose(f);
    here_restart(&here);
    s = go_on(id);
    assert_int_equal(upload_offset(s), 0); /* the bytes were never synced */
    add(s, "two");
    upload_park(here.c, s);
    s = go_on(id);
    assert_int_equal(upload_offset(s), 3);
    upload_park(here.c, s);
}

static void other_algorithm_at_the_end(void **state)
{
    struct str id, key;
    int64_t size;
    struct digest d = digest(DIGEST_SHA512, "content");
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    struct upload_session *s = go_on(id);
    add(s, "content");
    OK(upload_finish(here.c, s, &d, &key, &size));
    commit(key, &d, size);
}

static void empty_blob(void **state)
{
    struct str id, key;
    int64_t size;
    struct digest d = digest(DIGEST_SHA256, "");
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    OK(upload_finish(here.c, go_on(id), &d, &key, &size));
    assert_int_equal(size, 0);
    commit(key, &d, size);
}

static void wrong_digest_ends_it(void **state)
{
    struct str id, key;
    int64_t size;
    struct digest d = digest(DIGEST_SHA256, "something else");
    struct upload_session *s;
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    s = go_on(id);
    add(s, "content");
    IS(E_DIGEST_INVALID, upload_finish(here.c, s, &d, &key, &size));
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, id, repo, &s));
    assert_int_equal(here_objects(&here), 0);
}

static void one_request_at_a_time(void **state)
{
    struct str id;
    struct upload_session *s, *t;
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    s = go_on(id);
    IS(E_CONFLICT, upload_open(here.c, id, repo, &t));
    IS(E_CONFLICT, upload_cancel(here.c, id, repo));
    upload_park(here.c, s);
    upload_park(here.c, go_on(id));
}

static void only_its_owner(void **state)
{
    struct str id;
    struct upload_session *s;
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    here.c->actor = S("somebody else");
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, id, repo, &s));
    IS(E_UPLOAD_UNKNOWN, upload_cancel(here.c, id, repo));
    here.c->actor = S("tester");
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, id, repo + 1, &s));
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, S("no-such-session"), repo, &s));
    upload_park(here.c, go_on(id));
}

static void cancelled(void **state)
{
    struct str id;
    struct upload_session *s;
    (void)state;
    OK(upload_begin(here.c, repo, &id));
    s = go_on(id);
    add(s, "content");
    upload_park(here.c, s);
    assert_int_equal(here_objects(&here), 1);
    OK(upload_cancel(here.c, id, repo));
    assert_int_equal(here_objects(&here), 0);
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, id, repo, &s));
}

static void swept_when_its_life_is_over(void **state)
{
    struct str old, fresh, held;
    struct upload_session *s;
    (void)state;
    here.settings.upload_expiry_s = 0;
    OK(upload_begin(here.c, repo, &old));
    OK(upload_begin(here.c, repo, &held));
    here.settings.upload_expiry_s = 1000;
    OK(upload_begin(here.c, repo, &fresh));
    s = go_on(fresh);
    add(s, "content");
    upload_park(here.c, s);
    usleep(2000);
    OK(upload_sweep(here.c));
    IS(E_UPLOAD_UNKNOWN, upload_open(here.c, old, repo, &s));
    upload_park(here.c, go_on(fresh));
    assert_int_equal(here_objects(&here), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_pieces),
        T(after_a_power_cut),
        T(other_algorithm_at_the_end),
        T(empty_blob),
        T(wrong_digest_ends_it),
        T(one_request_at_a_time),
        T(only_its_owner),
        T(cancelled),
        T(swept_when_its_life_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
