/* Push, pull, delete, garbage collection and fsck, together on a real store. */
#include "store_here.h"

#include "blob/upload.h"
#include "registry/delete.h"
#include "registry/fsck.h"
#include "registry/gc.h"
#include "registry/push.h"
#include "registry/tally.h"
#include "rule/manifest.h"

static struct here here;
static struct place other; /* another repository of the same project */

static int open_here(void **state)
{
    (void)state;
    here_open(&here);
    other = here.place;
    other.repository = S("other");
    return 0;
}

static int close_here(void **state)
{
    (void)state;
    here_close(&here);
    return 0;
}

static struct digest push_text(const struct place *at, const char *text)
{
    struct digest d;
    struct str key;
    struct store_file *f;
    assert_true(digest_of(DIGEST_SHA256, str_of(text), &d));
    OK(store_key(here.c, &key));
    OK(store_create(here.c, key, &f));
    OK(store_append(here.c, f, text, strlen(text)));
    OK(store_sync(here.c, f));
    store_close(f);
    OK(push_blob(here.c, at, ORIGIN_USER, key, &d, (int64_t)strlen(text)));
    return d;
}

static struct str image(const char *config, int64_t config_size, const char *layer,
                        int64_t layer_size)
{
    return str_fmt(&here.c->mem,
                   "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":{"
                   "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                   "\"size\":%lld},\"layers\":[{\"mediaType\":"
                   "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%lld}]}",
                   config, (long long)config_size, layer, (long long)layer_size);
}

static struct str push_image(const struct place *at, const char *tag, const char *config,
                             const char *layer)
{
    struct digest c = push_text(at, config), l = push_text(at, layer);
    struct pushed_manifest m;
    OK(push_manifest(here.c, at, ORIGIN_USER, str_of(tag), S(MEDIA_OCI_MANIFEST),
                     image(c.text, (int64_t)strlen(config), l.text, (int64_t)strlen(layer)), &m));
    return m.digest;
}

static enum err pull(const struct place *at, struct str reference, struct pulled_manifest *m)
{
    CLEANUP(tx_end) struct tx tx = {0};
    OK(tx_read(here.c, &tx));
    return pull_manifest(here.c, at, reference, false, m);
}

static enum err pull_bytes(const struct place *at, const struct digest *d)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct pulled_blob b;
    OK(tx_read(here.c, &tx));
    TRY(pull_blob(here.c, at, d, false, 0, &b));
    assert_int_equal(b.body.kind, BODY_BYTES); /* small ones are read at once */
    struct digest got;
    assert_true(digest_of(DIGEST_SHA256, b.body.bytes, &got));
    assert_true(digest_eq(&got, d));
    return E_OK;
}

static int64_t used(void)
{
    here_project(&here);
    return here.access.project.storage_used;
}

static int fsck(void)
{
    struct fsck_report r;
    OK(fsck_run(here.c, true, NULL, NULL, &r));
    return r.exit_code;
}

static struct gc_report gc(void)
{
    struct gc_report r;
    OK(gc_run(here.c, 0, NULL, &r));
    return r;
}

static void pushed_and_pulled(void **state)
{
    struct pulled_manifest m;
    struct digest layer;
    (void)state;
    struct str digest = push_image(&here.place, "v1", "{}", "layer");
    OK(pull(&here.place, S("v1"), &m));
    assert_true(str_eq(m.digest, digest));
    OK(pull(&here.place, digest, &m));
    assert_true(str_eq(m.media_type, S(MEDIA_OCI_MANIFEST)));
    digest_of(DIGEST_SHA256, S("layer"), &layer);
    OK(pull_bytes(&here.place, &layer));
    IS(E_BLOB_UNKNOWN, pull_bytes(&other, &layer)); /* access by link */
    IS(E_MANIFEST_UNKNOWN, pull(&other, digest, &m));
    IS(E_MANIFEST_UNKNOWN, pull(&here.place, S("v2"), &m));
    assert_int_equal(fsck(), 0);
}

static void same_blob_twice(void **state)
{
    (void)state;
    push_text(&here.place, "content");
    int64_t before = used();
    push_text(&here.place, "content");
    push_text(&other, "content"); /* shared by the repositories of one project */
    assert_int_equal(used(), before);
    assert_int_equal(before, 7);
    assert_int_equal(here_objects(&here), 1); /* the twins are gone at once */
    assert_int_equal(fsck(), 0);
}

static void manifest_needs_its_blobs(void **state)
{
    struct pushed_manifest m;
    struct digest layer = push_text(&here.place, "layer"), config;
    (void)state;
    digest_of(DIGEST_SHA256, S("{}"), &config);
    struct str text = image(config.text, 2, layer.text, 5);
    IS(E_MANIFEST_BLOB_UNKNOWN,
       push_manifest(here.c, &here.place, ORIGIN_USER, S("v1"), NO_STR, text, &m));
    assert_non_null(strstr(here.c->msg, config.text));
    push_text(&other, "{}"); /* here, but not in this repository */
    IS(E_MANIFEST_BLOB_UNKNOWN,
       push_manifest(here.c, &here.place, ORIGIN_USER, S("v1"), NO_STR, text, &m));
    push_text(&here.place, "{}");
    IS(E_MANIFEST_INVALID, push_manifest(here.c, &here.place, ORIGIN_USER, S("v1"), NO_STR,
                                         image(config.text, 3, layer.text, 5), &m));
    OK(push_manifest(here.c, &here.place, ORIGIN_USER, S("v1"), NO_STR, text, &m));
    assert_true(m.created);
    OK(push_manifest(here.c, &here.place, ORIGIN_USER, S("v2"), NO_STR, text, &m));
    assert_false(m.created); /* another tag only */
    IS(E_DIGEST_INVALID,
       push_manifest(here.c, &here.place, ORIGIN_USER, digest_no(here.c, 1), NO_STR, text, &m));
}

static struct str sparse_index(const char *child)
{
    return str_fmt(&here.c->mem,
                   "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[{"
                   "\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":7}]}",
                   child);
}

static void index_with_absent_children(void **state)
{
    struct pushed_manifest m;
    struct pulled_manifest p;
    (void)state;
    struct str child = digest_no(here.c, 7), text = sparse_index(str_c(&here.c->mem, child));
    here.settings.registry_compat = S("harbor");
    IS(E_MANIFEST_BLOB_UNKNOWN,
       push_manifest(here.c, &here.place, ORIGIN_USER, S("i"), NO_STR, text, &m));
    here.settings.registry_compat = S("oci");
    OK(push_manifest(here.c, &here.place, ORIGIN_USER, S("i"), NO_STR, text, &m));
    IS(E_MANIFEST_UNKNOWN, pull(&here.place, child, &p));
    IS(E_MANIFEST_UNKNOWN, delete_manifest(here.c, &here.place, child));
    assert_int_equal(fsck(), 0);
}

static void mounted(void **state)
{
    struct digest d = push_text(&here.place, "content"), none;
    (void)state;
    OK(push_mount(here.c, &other, &d, 1, S("app")));
    OK(pull_bytes(&other, &d));
    assert_int_equal(used(), 7);
    digest_of(DIGEST_SHA256, S("none"), &none);
    IS(E_BLOB_UNKNOWN, push_mount(here.c, &other, &none, 1, S("app")));
    IS(E_BLOB_UNKNOWN, push_mount(here.c, &other, &d, 1, S("no-such-repository")));
}

static void set_limit(int64_t limit)
{
    struct tx tx = {0};
    here_project(&here);
    here.access.project.storage_limit = limit;
    OK(tx_begin(here.c, &tx));
    OK(project_update(here.c, &here.access.project));
    OK(tx_commit(&tx));
}

static void quota(void **state)
{
    struct digest d;
    struct str key;
    struct store_file *f;
    (void)state;
    set_limit(10);
    push_text(&here.place, "1234567");
    digest_of(DIGEST_SHA256, S("abcdefgh"), &d);
    OK(store_key(here.c, &key));
    OK(store_create(here.c, key, &f));
    OK(store_append(here.c, f, "abcdefgh", 8));
    OK(store_sync(here.c, f));
    store_close(f);
    IS(E_DENIED, push_blob(here.c, &here.place, ORIGIN_USER, key, &d, 8));
    assert_non_null(strstr(here.c->msg, "will exceed the configured upper limit"));
    assert_int_equal(used(), 7);
    push_text(&other, "1234567"); /* costs nothing, so it fits */
    assert_int_equal(fsck(), 0);
}

/* Deleted, its lease over: collected. Referenced or leased: never. */
static void collected_only_when_unused(void **state)
{
    struct pulled_manifest m;
    struct digest shared, layer;
    (void)state;
    here.settings.gc_lease_s = 1;
    struct str one = push_image(&here.place, "v1", "{}", "first");
    push_image(&here.place, "v2", "{}", "second");
    digest_of(DIGEST_SHA256, S("{}"), &shared);
    digest_of(DIGEST_SHA256, S("first"), &layer);
    OK(delete_manifest(here.c, &here.place, one));
    IS(E_MANIFEST_UNKNOWN, pull(&here.place, S("v1"), &m));
    assert_int_equal(gc().deleted, 0); /* the lease runs */
    usleep(1100000);
    assert_int_equal(gc().deleted, 1);
    IS(E_BLOB_UNKNOWN, pull_bytes(&here.place, &layer));
    OK(pull_bytes(&here.place, &shared));
    OK(pull(&here.place, S("v2"), &m));
    assert_int_equal(here_objects(&here), 2);
    assert_int_equal(fsck(), 0);     /* the usage too */
    push_text(&here.place, "first"); /* a new key, a new life */
    OK(pull_bytes(&here.place, &layer));
}

static void head_of_a_pusher_keeps_a_blob(void **state)
{
    struct digest d;
    (void)state;
    here.settings.gc_lease_s = 1;
    d = push_text(&here.place, "content");
    usleep(1100000);
    here.settings.gc_lease_s = 86400;
    OK(pull_bytes(&here.place, &d));
    assert_int_equal(gc().deleted, 0);
    OK(pull_bytes(&here.place, &d));
}

static void blobs_deleted_by_hand(void **state)
{
    struct digest d = push_text(&here.place, "content"), layer;
    (void)state;
    OK(delete_blob(here.c, &here.place, &d));
    IS(E_BLOB_UNKNOWN, pull_bytes(&here.place, &d));
    IS(E_BLOB_UNKNOWN, delete_blob(here.c, &here.place, &d));
    assert_int_equal(used(), 0);
    push_image(&here.place, "v1", "{}", "layer");
    digest_of(DIGEST_SHA256, S("layer"), &layer);
    IS(E_METHOD_NOT_ALLOWED, delete_blob(here.c, &here.place, &layer));
    assert_int_equal(gc().deleted, 1);
    assert_int_equal(fsck(), 0);
}

static void tags_and_repositories_deleted(void **state)
{
    struct pulled_manifest m;
    (void)state;
    struct str digest = push_image(&here.place, "v1", "{}", "layer");
    OK(push_tag(here.c, &here.place, digest, S("v2")));
    OK(delete_tag(here.c, &here.place, S("v1")));
    IS(E_MANIFEST_UNKNOWN, delete_tag(here.c, &here.place, S("v1")));
    OK(pull(&here.place, S("v2"), &m));
    OK(delete_repository(here.c, &here.place));
    IS(E_MANIFEST_UNKNOWN, pull(&here.place, digest, &m));
    IS(E_NAME_UNKNOWN, delete_repository(here.c, &here.place));
    assert_int_equal(used(), 0);
    assert_int_equal(gc().deleted, 2);
    assert_int_equal(here_objects(&here), 0);
}

static void missing_object_is_never_404(void **state)
{
    struct digest layer;
    struct blob b;
    struct tx tx = {0};
    (void)state;
    push_image(&here.place, "v1", "{}", "layer");
    digest_of(DIGEST_SHA256, S("layer"), &layer);
    OK(tx_read(here.c, &tx));
    OK(blob_by_digest(here.c, digest_str(&layer), &b));
    tx_end(&tx);
    OK(store_delete(here.c, b.phys_key)); /* as a broken disk would */
    IS(E_UNAVAILABLE, pull_bytes(&here.place, &layer));
    assert_int_equal(fsck(), 3);     /* data lost */
    push_text(&here.place, "layer"); /* pushed again, whole again */
    OK(pull_bytes(&here.place, &layer));
    assert_int_equal(fsck(), 0);
}

static void stray_and_damaged_objects(void **state)
{
    char path[256];
    struct digest d = push_text(&here.place, "content");
    struct blob b;
    struct tx tx = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/data/00", here.e.dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/data/00/01ARZ3NDEKTSV4RRFFQ69G5FAV", here.e.dir);
    fclose(fopen(path, "w"));
    assert_int_equal(fsck(), 2);
    unlink(path);
    assert_int_equal(fsck(), 0);
    OK(tx_read(here.c, &tx));
    OK(blob_by_digest(here.c, digest_str(&d), &b));
    tx_end(&tx);
    snprintf(path, sizeof path, "%s/%.*s", here.e.dir, STR(b.phys_key));
    FILE *f = fopen(path, "r+");
    fputc('X', f);
    fclose(f);
    assert_int_equal(fsck(), 3); /* the size is right, the content is not */
}

static void pulls_are_counted(void **state)
{
    struct pulled_manifest m;
    struct repository repo;
    struct tx tx = {0};
    (void)state;
    OK(tally_flush(here.c)); /* of earlier tests: their rows are another database's */
    push_image(&here.place, "v1", "{}", "layer");
    for (int i = 0; i < 5; i++)
        OK(pull(&here.place, S("v1"), &m));
    OK(tally_flush(here.c));
    OK(tx_read(here.c, &tx));
    OK(repository_by_name(here.c, 1, S("app"), &repo));
    tx_end(&tx);
    assert_int_equal(repo.pull_count, 5);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pushed_and_pulled),
        T(same_blob_twice),
        T(manifest_needs_its_blobs),
        T(index_with_absent_children),
        T(mounted),
        T(quota),
        T(collected_only_when_unused),
        T(head_of_a_pusher_keeps_a_blob),
        T(blobs_deleted_by_hand),
        T(tags_and_repositories_deleted),
        T(missing_object_is_never_404),
        T(stray_and_damaged_objects),
        T(pulls_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
