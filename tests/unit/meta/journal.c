/* The journal of tags, pins, what upstream named last, and who used a pull limit. */
#include "meta/engine.h"

#include "meta/artifact.h"
#include "meta/upstream_use.h"

static struct artifact put(struct ctx *c, int64_t repo, int64_t number)
{
    bool created;
    struct artifact a = {.repository_id = repo,
                         .digest = digest_no(c, number),
                         .media_type = S("application/vnd.oci.image.manifest.v1+json"),
                         .payload = S("{}"),
                         .size = 2};
    OK(artifact_put(c, &a, NULL, 0, NULL, 0, &created));
    return a;
}

TEST(a_pinned_tag_stays_until_it_is_released)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct tag t;
    struct tag_move m;
    struct list moves;
    int64_t repo;
    OK(tx_begin(c, &tx));
    OK(repository_ensure(c, 1, S("a/b"), &repo));
    struct artifact a = put(c, repo, 1), b = put(c, repo, 2);
    OK(tag_put(c, repo, S("v1"), a.id, true));
    IS(E_NOT_FOUND, tag_unpin(c, repo, S("v1"), S("not pinned")));
    OK(tag_point(c, repo, S("v1"), b.id, a.digest, true, S("why")));
    OK(tag_put(c, repo, S("v1"), a.id, true)); /* upstream says so, in vain */
    OK(tag_by_name(c, repo, S("v1"), &t));
    assert_true(t.pinned && t.artifact_id == b.id);
    OK(tag_unpin(c, repo, S("v1"), S("enough")));
    OK(tag_put(c, repo, S("v1"), a.id, true));
    OK(tag_by_name(c, repo, S("v1"), &t));
    assert_true(!t.pinned && t.artifact_id == a.id);
    OK(tag_point(c, repo, S("v2"), b.id, S(""), false, NO_STR)); /* a tag that was not there */
    OK(tag_moves(c, repo, S("v1"), 0, (struct timestamp){0}, 10, &moves));
    const struct tag_move *all = moves.items;
    static const char *const kinds[] = {"move", "unpin", "point", "move"};
    assert_int_equal(moves.count, COUNT(kinds));
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_true(str_eq(all[i].kind, str_of(kinds[i])));
    assert_true(str_eq(all[2].reason, S("why")) && str_eq(all[2].old_digest, a.digest));
    OK(tag_moves(c, repo, NO_STR, all[0].id, (struct timestamp){0}, 2, &moves));
    assert_int_equal(moves.count, 2);
    OK(tag_move_at(c, repo, S("v1"), tx.now, &m)); /* decisions are no moves */
    assert_true(m.id == all[0].id && str_eq(m.new_digest, a.digest));
    IS(E_NOT_FOUND, tag_move_at(c, repo, S("v1"), (struct timestamp){1}, &m));
    struct tag_moves_filter upstream = {.upstream = true, .n = 10};
    OK(tag_moves_of_all(c, &upstream, &moves));
    assert_int_equal(moves.count, 2);
    struct principal nobody = {.kind = PRINCIPAL_USER, .id = 99};
    upstream.principal = &nobody; /* library is public */
    OK(tag_moves_of_all(c, &upstream, &moves));
    assert_int_equal(moves.count, 2);
    OK(tx_commit(&tx));

    OK(tx_begin(c, &tx)); /* a stale undo changes nothing */
    IS(E_PRECONDITION, tag_point(c, repo, S("v1"), b.id, b.digest, true, S("late")));
    assert_non_null(strstr(c->msg, "is at sha256:"));
    tx_end(&tx);
}

TEST(what_upstream_named_last)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct tag_seen s;
    int64_t repo;
    OK(tx_begin(c, &tx));
    OK(repository_ensure(c, 1, S("a/b"), &repo));
    IS(E_NOT_FOUND, tag_seen_get(c, repo, S("v1"), &s));
    s = (struct tag_seen){repo, S("v1"), S("sha256:1"), S("held"), {5}};
    OK(tag_seen_put(c, &s));
    s.digest = S("sha256:2");
    s.first_seen = tx.now;
    OK(tag_seen_put(c, &s));
    OK(tag_seen_sweep(c));
    OK(tag_seen_get(c, repo, S("v1"), &s));
    assert_true(str_eq(s.digest, S("sha256:2")) && str_eq(s.decision, S("held")));
    s.first_seen.us = 5;
    OK(tag_seen_put(c, &s));
    OK(tag_seen_sweep(c));
    IS(E_NOT_FOUND, tag_seen_get(c, repo, S("v1"), &s));
    OK(tag_seen_put(c, &s));
    bool gone;
    OK(repository_shrink(c, repo, 10, &gone)); /* the row goes with it */
    assert_true(gone);
    OK(tx_commit(&tx));
}

TEST(uses_add_up_and_samples_replace)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list rows;
    struct endpoint hub = {.name = S("hub"), .type = S("docker-hub"), .url = S("https://hub")};
    OK(tx_begin(c, &tx));
    OK(endpoint_insert(c, &hub));
    struct upstream_use u = {.endpoint_id = hub.id,
                             .at = tx.now,
                             .project_id = 1,
                             .repository = S("a/b"),
                             .principal = S("admin"),
                             .pulls = 2,
                             .remaining = -1,
                             .limit_pulls = -1};
    OK(upstream_use_add(c, &u));
    OK(upstream_use_add(c, &u));
    u.principal = S("robot");
    u.pulls = 1;
    OK(upstream_use_add(c, &u));
    struct timestamp hour_ago = {tx.now.us - 3600 * SECOND_US};
    for (int hours = 0; hours < 2; hours++) {
        OK(upstream_use_consumers(c, hub.id, hours, hour_ago, 10, &rows));
        const struct upstream_use *got = rows.items;
        assert_int_equal(rows.count, 2);
        assert_true(got[0].pulls == 4 && str_eq(got[0].principal, S("admin")));
        assert_true(got[1].pulls == 1 && str_eq(got[1].project_name, S("library")));
    }
    u = (struct upstream_use){
        .endpoint_id = hub.id, .at = tx.now, .principal = S("x"), .remaining = 9};
    OK(upstream_use_add(c, &u));
    u.remaining = 8;
    OK(upstream_use_add(c, &u));
    u.at = (struct timestamp){tx.now.us - 2 * 86400 * SECOND_US}; /* the minute is over, the hour
                                                                     is not */
    OK(upstream_use_add(c, &u));
    u.endpoint_id = 999; /* deleted meanwhile: nothing is written */
    OK(upstream_use_add(c, &u));
    OK(upstream_use_sweep(c));
    OK(upstream_use_samples(c, hub.id, S("x"), false, (struct timestamp){0}, tx.now, 10, &rows));
    assert_int_equal(rows.count, 1);
    assert_int_equal(((struct upstream_use *)rows.items)->remaining, 8);
    OK(upstream_use_samples(c, hub.id, S("x"), true, (struct timestamp){0}, tx.now, 10, &rows));
    assert_int_equal(rows.count, 2);
    OK(tx_commit(&tx));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_pinned_tag_stays_until_it_is_released),
        RUN(what_upstream_named_last),
        RUN(uses_add_up_and_samples_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
