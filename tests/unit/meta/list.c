/* q=, sort= and paging over real rows; people, endpoints, quotas, small tables. */
#include "meta/engine.h"

#include "rule/rbac.h"

struct list_case {
    const char *q, *sort;
    int64_t page, page_size;
    enum err want;
    int64_t total;
    const char *names; /* of the page, comma list */
};

/* Users: admin, then ann (x@1), bob, Bobby, c_d. */
static const struct list_case cases[] = {
    {"", "", 1, 10, E_OK, 5, "admin,ann,bob,Bobby,c_d"},
    {"username=bob", "", 1, 10, E_OK, 1, "bob"},
    {"username=~bob", "", 1, 10, E_OK, 2, "bob,Bobby"},
    {"username=~c_", "", 1, 10, E_OK, 1, "c_d"},
    {"username=~%", "", 1, 10, E_OK, 0, ""},
    {"username={ann bob}", "-username", 1, 10, E_OK, 2, "bob,ann"},
    {"user_id=[2~3]", "", 1, 10, E_OK, 2, "ann,bob"},
    {"user_id=[4~]", "", 1, 10, E_OK, 2, "Bobby,c_d"},
    {"sysadmin_flag=true", "", 1, 10, E_OK, 1, "admin"},
    {"", "-user_id", 2, 2, E_OK, 5, "bob,ann"},
    {"", "username", 1, 3, E_OK, 5, "Bobby,admin,ann"},
    {"", "", 9, 10, E_OK, 5, ""},
    {"password_hash=x", "", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"nothing=x", "", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"", "password_hash", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"", "1;DROP TABLE account", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"user_id=x", "", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"user_id=~1", "", 1, 10, E_BAD_REQUEST, 0, NULL},
    {"username=' OR 1=1 --", "", 1, 10, E_OK, 0, ""},
};

static void run_case(struct ctx *c, const struct list_case *k)
{
    CLEANUP(buf_release) struct buf names = {0};
    CLEANUP(tx_end) struct tx tx = {0};
    struct list users;
    int64_t total = 0;
    struct list_query q = {.page = k->page, .page_size = k->page_size};
    OK(query_parse(c, str_of(k->q), &q));
    OK(query_parse_sort(c, str_of(k->sort), &q));
    q.page = k->page;
    q.page_size = k->page_size;
    OK(tx_read(c, &tx));
    IS(k->want, user_list(c, &q, &users, &total));
    if (k->want != E_OK)
        return;
    struct user *u = users.items;
    for (size_t i = 0; i < users.count; i++)
        buf_fmt(&names, "%s%.*s", i ? "," : "", STR(u[i].username));
    if (total != k->total || !str_eq(buf_view(&names), str_of(k->names)))
        print_error("q=%s sort=%s: %lld %.*s\n", k->q, k->sort, (long long)total,
                    STR(buf_view(&names)));
    assert_int_equal(total, k->total);
    assert_true(str_eq(buf_view(&names), str_of(k->names)));
}

TEST(lists)
{
    static const char *const names[] = {"ann", "bob", "Bobby", "c_d"};
    struct tx tx = {0};
    OK(tx_begin(&e->c, &tx));
    for (size_t i = 0; i < COUNT(names); i++) {
        struct user u = {.username = str_of(names[i]), .email = i ? NO_STR : S("x@1")};
        OK(user_insert(&e->c, &u));
        assert_int_equal(u.user_id, i + 2);
    }
    OK(tx_commit(&tx));
    for (size_t i = 0; i < COUNT(cases); i++)
        run_case(&e->c, &cases[i]);
}

TEST(users)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct user u = {.username = S("ann"), .email = S("a@b")}, got;
    struct principal p;
    OK(tx_begin(c, &tx));
    OK(user_insert(c, &u));
    OK(user_set_password(c, u.user_id, S("hash")));
    OK(user_set_sysadmin(c, u.user_id, true));
    OK(principal_user_by_name(c, S("ann"), &p));
    assert_true(p.kind == PRINCIPAL_USER && p.epoch == 3 && p.sysadmin && !p.disabled);
    assert_true(str_eq(p.secret_hash, S("hash")));
    IS(E_NOT_FOUND, principal_user_by_name(c, S("Ann"), &p));
    OK(user_delete(c, u.user_id));
    IS(E_NOT_FOUND, user_by_name(c, S("ann"), &got));
    OK(principal_by_id(c, PRINCIPAL_USER, u.user_id, &p));
    assert_true(p.disabled && !p.sysadmin && p.epoch == 4);
    struct user again = {.username = S("ann"), .email = S("a@b")};
    OK(user_insert(c, &again));
    assert_true(again.user_id > u.user_id);
    tx_end(&tx);
}

TEST(robots)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct principal p;
    struct list list;
    int64_t total;
    struct robot r = {.name = S("library+ci"),
                      .secret_hash = S("s$h"),
                      .project_id = 1,
                      .level = S("project"),
                      .duration = 30,
                      .permissions = {S("[{\"kind\":\"project\",\"namespace\":\"library\"}]")},
                      .editable = true};
    OK(tx_begin(c, &tx));
    r.expires_at = tx.now.us / SECOND_US + 5;
    OK(robot_insert(c, &r));
    OK(principal_robot_by_name(c, S("library+ci"), &p));
    assert_true(!p.disabled && p.project_id == 1 && p.permissions.text.n);
    r.expires_at = tx.now.us / SECOND_US - 1;
    OK(robot_update(c, &r));
    OK(principal_robot_by_name(c, S("library+ci"), &p));
    assert_true(p.disabled && p.epoch == 2);
    OK(robot_list(c, 1, NULL, &list, &total));
    assert_int_equal(total, 1);
    OK(robot_list(c, 0, NULL, &list, &total));
    assert_int_equal(total, 0);
    OK(robot_list(c, -1, NULL, &list, &total));
    assert_int_equal(total, 1);
    OK(robot_delete(c, r.id));
    IS(E_NOT_FOUND, principal_by_id(c, PRINCIPAL_ROBOT, r.id, &p));
    tx_end(&tx);
}

static struct endpoint add_hub(struct ctx *c)
{
    struct endpoint hub = {.name = S("hub"),
                           .type = S("docker-hub"),
                           .url = S("https://hub.docker.com"),
                           .access_key = S("me"),
                           .access_secret = S("secret")};
    OK(endpoint_insert(c, &hub));
    return hub;
}

TEST(secrets_are_sealed)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct endpoint got;
    int64_t plain;
    struct sql raw = SQL("SELECT count(*) FROM endpoint WHERE access_secret = $1");
    OK(tx_begin(c, &tx));
    struct endpoint hub = add_hub(c);
    OK(endpoint_by_id(c, hub.id, &got));
    assert_true(str_eq(got.access_secret, S("secret")));
    OK(sql_i64(c, &raw, ARGS(A_BYTES(S("secret"))), &plain));
    assert_int_equal(plain, 0);
    OK(endpoint_update(c, &got));
    got.access_secret = S("other");
    OK(endpoint_update(c, &got));
    OK(endpoint_by_name(c, S("hub"), &got));
    assert_true(got.epoch == 2 && str_eq(got.access_secret, S("other")));
    tx_end(&tx);
}

TEST(access_in_one_row)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct project_access access;
    struct user ann = {.username = S("ann")};
    struct principal nobody = {0}, who;
    struct list_query q = {.page_size = 5};
    struct list list;
    int64_t total;
    OK(tx_begin(c, &tx));
    OK(user_insert(c, &ann));
    struct endpoint hub = add_hub(c);
    struct project p = {.name = S("dockerhub"),
                        .owner_id = ann.user_id,
                        .registry_id = hub.id,
                        .proxy_ns = S("docker.io,registry-1.docker.io"),
                        .severity = S("high"),
                        .storage_limit = -1};
    OK(project_insert(c, &p));
    assert_int_equal(p.project_id, 2);
    struct member m = {
        .project_id = 2, .entity_type = S("u"), .entity_id = ann.user_id, .role_id = ROLE_GUEST};
    OK(member_insert(c, &m));
    OK(principal_user_by_name(c, S("ann"), &who));
    OK(project_access_for_ns(c, S("docker.io"), &who, &access));
    assert_int_equal(access.project.project_id, 2);
    assert_true(access.roles.count == 1 && access.roles.items[0] == ROLE_GUEST);
    assert_true(str_eq(access.endpoint.access_secret, S("secret")));
    assert_true(str_eq(access.endpoint.url, hub.url));
    assert_true(str_eq(access.project.severity, S("high")) && !access.project.auto_scan.p);
    IS(E_NOT_FOUND, project_access_for_ns(c, S("docker"), &who, &access));
    IS(E_NOT_FOUND, project_access_for_ns(c, S("docker.io,registry-1.docker.io"), &who, &access));
    OK(project_access_for(c, NO_STR, 2, &nobody, &access));
    assert_int_equal(access.roles.count, 0);
    IS(E_PRECONDITION, endpoint_delete(c, hub.id));
    OK(project_list(c, &(struct project_filter){.principal = &who, .is_public = -1}, &q, &list,
                    &total));
    assert_int_equal(total, 2);
    OK(project_list(c, &(struct project_filter){.principal = &nobody, .is_public = -1}, &q, &list,
                    &total));
    assert_int_equal(total, 1);
    OK(project_list(c, &(struct project_filter){.name = S("hub"), .is_public = 0}, &q, &list,
                    &total));
    assert_int_equal(total, 1);
    struct project *listed = list.items;
    assert_true(str_eq(listed->owner_name, S("ann")));
    tx_end(&tx);
}

TEST(members)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list list;
    int64_t total, counts[6];
    struct user ann = {.username = S("ann")};
    OK(tx_begin(c, &tx));
    OK(user_insert(c, &ann));
    struct member m = {.project_id = 1,
                       .entity_type = S("u"),
                       .entity_id = ann.user_id,
                       .role_id = ROLE_DEVELOPER},
                  got;
    OK(member_insert(c, &m));
    OK(member_list(c, 1, S("an"), NULL, &list, &total));
    assert_int_equal(total, 1);
    struct member *found = list.items;
    assert_true(str_eq(found->entity_name, S("ann")) && str_eq(found->role_name, S("developer")));
    IS(E_NOT_FOUND, member_by_id(c, 2, m.id, &got));
    OK(member_counts(c, 1, counts));
    assert_true(counts[ROLE_PROJECT_ADMIN] == 1 && counts[ROLE_DEVELOPER] == 1);
    OK(member_set_role(c, 1, m.id, ROLE_MAINTAINER));
    OK(member_delete(c, 1, m.id));
    IS(E_NOT_FOUND, member_delete(c, 1, m.id));
    tx_end(&tx);
}

TEST(quotas)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct project p;
    OK(tx_begin(c, &tx));
    OK(project_by_id(c, 1, &p));
    p.storage_limit = 3 << 20;
    OK(project_update(c, &p));
    OK(project_charge(c, 1, 2 << 20, true));
    IS(E_DENIED, project_charge(c, 1, (1 << 20) + 1, true));
    assert_string_equal(c->msg,
                        "adding 1.0 MiB of storage resource, which when updated to current usage "
                        "of 2.0 MiB will exceed the configured upper limit of 3.0 MiB.");
    OK(project_charge(c, 1, 1 << 20, true));
    OK(project_charge(c, 1, 1, false));
    OK(project_charge(c, 1, -(5 << 20), true));
    OK(project_by_id(c, 1, &p));
    assert_int_equal(p.storage_used, 0);
    tx_end(&tx);
}

TEST(small_tables)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct jwt_key keys[2], before;
    size_t count;
    struct session s = {.id = S("cookie"), .user_id = 1, .epoch = 1, .csrf = S("x")}, got;
    int64_t id;
    struct str policy;
    OK(tx_begin(c, &tx));
    OK(keyring_rotate(c));
    OK(keyring_load(c, keys, &count));
    assert_in_range(count, 1, 2); /* a store that can seal begins with one */
    before = keys[0];
    tx.now.us++;
    OK(keyring_rotate(c));
    tx.now.us++;
    OK(keyring_rotate(c));
    OK(keyring_load(c, keys, &count));
    assert_int_equal(count, 2);
    assert_false(str_eq(keys[0].kid, before.kid) || str_eq(keys[1].kid, before.kid));
    OK(session_insert(c, &s, 60));
    OK(session_by_id(c, S("cookie"), &got));
    assert_true(got.user_id == 1 && str_eq(got.csrf, S("x")));
    OK(session_touch(c, S("cookie"), -1));
    IS(E_NOT_FOUND, session_by_id(c, S("cookie"), &got));
    OK(session_sweep(c));
    OK(event_emit(c, "PUSH_ARTIFACT", 1, S("{}")));
    OK(retention_insert(c, 1, S("{\"a\":1}"), &id));
    OK(retention_by_id(c, id, &policy));
    assert_true(str_eq(policy, S("{\"a\":1}")));
    tx_end(&tx);
}

TEST(uploads)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list gone;
    struct upload got,
        u = {.id = S("u1"),
             .kind = UPLOAD_USER,
             .repository_id = 1,
             .phys_key = S("k1"),
             .actor = S("ann")},
        f = {.id = S("f1"), .kind = UPLOAD_FLIGHT, .phys_key = S("k2"), .size = -1};
    OK(tx_begin(c, &tx));
    f.digest = digest_no(c, 1);
    OK(upload_insert(c, &u, 60));
    OK(upload_insert(c, &f, 60));
    OK(upload_by_id(c, S("u1"), &got));
    assert_true(str_eq(got.actor, S("ann")) && str_eq(got.phys_key, S("k1")));
    OK(upload_flight(c, f.digest, &got));
    assert_true(str_eq(got.id, S("f1")) && got.size == -1);
    OK(upload_extend(c, S("u1"), -5));
    IS(E_NOT_FOUND, upload_by_id(c, S("u1"), &got));
    OK(upload_expired(c, 10, &gone));
    assert_int_equal(gone.count, 1);
    OK(upload_delete(c, S("u1")));
    IS(E_NOT_FOUND, upload_delete(c, S("u1")));
    tx_end(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(lists),
        RUN(users),
        RUN(robots),
        RUN(secrets_are_sealed),
        RUN(access_in_one_row),
        RUN(members),
        RUN(quotas),
        RUN(small_tables),
        RUN(uploads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
