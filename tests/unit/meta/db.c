/* Statements on both engines, transactions, first rows, the three statements of a pull. */
#include "meta/engine.h"

#include "meta/audit.h"
#include "meta/usage.h"

/* Names one function of each file, so that the linker takes all of them from the library. */
static const void *const all_files[] = {
    (const void *)artifact_put,  (const void *)blob_commit,       (const void *)gc_forget,
    (const void *)endpoint_list, (const void *)member_list,       (const void *)principal_by_id,
    (const void *)project_list,  (const void *)repository_shrink, (const void *)robot_list,
    (const void *)value_set,     (const void *)tag_put,           (const void *)upload_insert,
    (const void *)usage_sum,     (const void *)user_list,         (const void *)audit_projects,
};

TEST(every_statement_prepares)
{
    for (size_t i = 0; i < COUNT(all_files); i++)
        assert_non_null(all_files[i]);
    OK(db_prepare_all(&e->c));
}

TEST(first_rows)
{
    struct user admin;
    struct project library;
    struct tx tx = {0};
    OK(tx_read(&e->c, &tx));
    OK(user_by_id(&e->c, 1, &admin));
    assert_true(str_eq(admin.username, S("admin")) && admin.sysadmin_flag);
    OK(project_by_id(&e->c, 1, &library));
    assert_true(str_eq(library.name, S("library")) && library.is_public);
    assert_true(str_eq(library.owner_name, S("admin")));
    assert_null(library.severity.p);
    tx_end(&tx);
    OK(db_ping(&e->c));
    OK(db_check(&e->c));
}

TEST(rolls_back)
{
    struct str v;
    struct tx tx = {0};
    OK(tx_begin(&e->c, &tx));
    OK(value_set(&e->c, S("k"), S("v")));
    tx_end(&tx);
    OK(tx_begin(&e->c, &tx));
    IS(E_NOT_FOUND, value_get(&e->c, S("k"), &v));
    OK(value_set(&e->c, S("k"), S("w")));
    OK(tx_commit(&tx));
    OK(tx_read(&e->c, &tx));
    OK(value_get(&e->c, S("k"), &v));
    assert_true(str_eq(v, S("w")));
    tx_end(&tx);
}

TEST(reopens)
{
    struct str v, id = str_dup(&e->c.mem, e->sv.db ? S("") : S("")), again;
    struct tx tx = {0};
    OK(store_id(&e->c, &id));
    id = str_dup(&e->c.mem, id);
    OK(tx_begin(&e->c, &tx));
    OK(value_set(&e->c, S("k"), S("v")));
    OK(tx_commit(&tx));
    db_free(e->sv.db);
    engine_reopen(e);
    OK(tx_read(&e->c, &tx));
    OK(value_get(&e->c, S("k"), &v));
    tx_end(&tx);
    OK(store_id(&e->c, &again));
    assert_true(str_eq(id, again) && id.n == 36);
}

TEST(a_pull_is_three_statements)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    int64_t repo;
    bool created;
    struct principal p;
    struct project_access access;
    struct manifest_row m;
    OK(tx_begin(c, &tx));
    OK(repository_ensure(c, 1, S("nginx"), &repo));
    struct blob b = put_blob(c, repo, digest_no(c, 7), 100, 60);
    struct artifact a = {.repository_id = repo,
                         .digest = digest_no(c, 8),
                         .media_type = S("application/vnd.oci.image.manifest.v1+json"),
                         .payload = S("{\"a\":1}"),
                         .size = 107};
    OK(artifact_put(c, &a, &b.id, 1, NULL, 0, &created));
    assert_true(created);
    OK(tag_put(c, repo, S("latest"), a.id, false));
    OK(tx_commit(&tx));

    OK(tx_read(c, &tx));
    OK(principal_user_by_name(c, S("admin"), &p));
    OK(project_access_for(c, S("library"), 0, &p, &access));
    OK(manifest_by_tag(c, access.project.project_id, S("nginx"), S("latest"), &m));
    assert_int_equal(tx.statements, 3);
    assert_int_equal(access.roles.count, 1);
    assert_int_equal(access.roles.items[0], 1);
    assert_int_equal(access.endpoint.id, 0);
    assert_true(str_eq(m.payload, S("{\"a\":1}")));
    assert_int_equal(m.state, STATE_ACTIVE);
    tx_end(&tx);
}

TEST(clock_of_the_database)
{
    struct tx tx = {0};
    int64_t before = clock_now().us;
    OK(tx_read(&e->c, &tx));
    assert_true(tx.now.us > before - 60 * SECOND_US && tx.now.us < before + 60 * SECOND_US);
    tx_end(&tx);
}

static void one_process(void **state)
{
    struct engine e;
    struct db *second = NULL;
    (void)state;
    engine_open(&e, false);
    struct db_options o = {.data = str_of(e.dir)};
    IS(E_CONFLICT, db_open(&e.c, &o, &second));
    engine_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(every_statement_prepares),
        RUN(first_rows),
        RUN(rolls_back),
        RUN(reopens),
        RUN(a_pull_is_three_statements),
        RUN(clock_of_the_database),
        cmocka_unit_test(one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
