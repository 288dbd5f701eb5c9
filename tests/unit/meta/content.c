/* Manifests, tags, blobs: what a push writes and what a delete takes. */
#include "meta/engine.h"

#include "meta/usage.h"

static int64_t repository(struct ctx *c)
{
    int64_t id;
    OK(repository_ensure(c, 1, S("a/b"), &id));
    return id;
}

static struct artifact put(struct ctx *c, int64_t repo, int64_t number, const int64_t *blobs,
                           size_t blob_count, const struct artifact_child *children, size_t count)
{
    bool created;
    struct artifact a = {.repository_id = repo,
                         .digest = digest_no(c, number),
                         .media_type = S("application/vnd.oci.image.manifest.v1+json"),
                         .payload = S("{}"),
                         .size = 2};
    OK(artifact_put(c, &a, blobs, blob_count, children, count, &created));
    assert_true(created);
    return a;
}

TEST(an_index_comes_before_its_children)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct manifest_row m;
    struct list refs, list;
    int64_t total;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct str urls[] = {S("https://a/\"b"), S("https://c")};
    struct artifact_child children[] = {
        {.digest = digest_no(c, 2), .size = 9, .platform = {S("{\"os\":\"linux\"}")}},
        {.digest = digest_no(c, 1), .size = 8, .urls = {urls, 2}},
        {.digest = digest_no(c, 2), .size = 9, .platform = {S("{\"os\":\"other\"}")}},
    };
    struct artifact index = put(c, repo, 3, NULL, 0, children, 3);
    OK(manifest_by_digest(c, 1, S("a/b"), digest_no(c, 1), &m));
    assert_int_equal(m.state, STATE_EXPECTED);
    assert_null(m.payload.p);
    struct artifact child = put(c, repo, 1, NULL, 0, NULL, 0);
    assert_int_equal(child.id, m.artifact_id);
    OK(manifest_by_digest(c, 1, S("a/b"), digest_no(c, 1), &m));
    assert_int_equal(m.state, STATE_ACTIVE);
    assert_true(str_eq(m.payload, S("{}")));
    OK(artifact_children(c, index.id, &refs));
    struct artifact_ref *r = refs.items;
    assert_int_equal(refs.count, 3);
    assert_true(str_eq(r[0].child_digest, digest_no(c, 2)));
    assert_true(str_eq(r[0].platform.text, S("{\"os\":\"linux\"}")));
    assert_int_equal(r[1].urls.count, 2);
    assert_true(str_eq(r[1].urls.items[0], S("https://a/\"b")));
    assert_int_equal(r[1].child_id, child.id);
    OK(artifact_list(c, repo, true, NULL, &list, &total));
    assert_int_equal(total, 1);
    OK(artifact_list(c, repo, false, NULL, &list, &total));
    assert_int_equal(total, 2);
    IS(E_PRECONDITION, remove_one(c, child.id));
    tx_end(&tx);
}

TEST(putting_again_changes_nothing)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    bool created;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct artifact first = put(c, repo, 1, NULL, 0, NULL, 0), again = first;
    again.id = 0;
    OK(artifact_put(c, &again, NULL, 0, NULL, 0, &created));
    assert_false(created);
    assert_int_equal(again.id, first.id);
    OK(tx_commit(&tx));
}

TEST(deleting_an_index_takes_its_orphans)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct artifact a;
    struct tag t;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct artifact_child two[] = {{.digest = digest_no(c, 1)}, {.digest = digest_no(c, 2)}};
    struct artifact tagged = put(c, repo, 1, NULL, 0, NULL, 0);
    put(c, repo, 2, NULL, 0, NULL, 0);
    OK(tag_put(c, repo, S("child"), tagged.id, false));
    struct artifact inner = put(c, repo, 3, NULL, 0, two, 2);
    struct artifact_child one[] = {{.digest = inner.digest}, {.digest = digest_no(c, 99)}};
    struct artifact outer = put(c, repo, 4, NULL, 0, one, 2);
    OK(tag_put(c, repo, S("outer"), outer.id, false));
    OK(remove_one(c, outer.id));
    IS(E_NOT_FOUND, artifact_by_reference(c, repo, inner.digest, &a));
    IS(E_NOT_FOUND, artifact_by_reference(c, repo, digest_no(c, 2), &a));
    IS(E_NOT_FOUND, tag_by_name(c, repo, S("outer"), &t));
    OK(artifact_by_reference(c, repo, S("child"), &a));
    assert_int_equal(a.id, tagged.id);
    assert_int_equal(a.parents, 0);
    assert_true(str_eq(a.repository_name, S("library/a/b")));
    OK(tx_commit(&tx));
}

TEST(a_set_goes_at_once)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct artifact a;
    struct list out;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct artifact part = put(c, repo, 1, NULL, 0, NULL, 0);
    struct artifact named = put(c, repo, 2, NULL, 0, NULL, 0);
    struct artifact held = put(c, repo, 3, NULL, 0, NULL, 0);
    struct artifact alone = put(c, repo, 4, NULL, 0, NULL, 0);
    OK(tag_put(c, repo, S("named"), named.id, false));
    struct artifact_child two[] = {{.digest = part.digest}, {.digest = named.digest}};
    struct artifact index = put(c, repo, 5, NULL, 0, two, 2);
    struct artifact_child one[] = {{.digest = held.digest}};
    struct artifact stays = put(c, repo, 6, NULL, 0, one, 1);
    int64_t ids[] = {index.id, part.id, named.id, held.id, 0, alone.id};
    static const struct {
        enum err fate;
        bool with;
    } want[] = {
        {E_OK, false},           /* an index that goes */
        {E_OK, true},            /* a part of it */
        {E_OK, false},           /* another that has a tag: it goes by itself */
        {E_PRECONDITION, false}, /* a part of an index that stays */
        {E_NOT_FOUND, false},
        {E_OK, false},
    };
    OK(artifacts_remove(c, 1, &(struct i64s){ids, COUNT(ids)}, &out));
    const struct removed *r = out.items;
    assert_int_equal(out.count, COUNT(ids));
    for (size_t i = 0; i < COUNT(ids); i++) {
        assert_true(r[i].id == ids[i] && r[i].fate == want[i].fate);
        if (r[i].fate == E_OK)
            assert_int_equal(r[i].with, want[i].with);
    }
    OK(artifact_by_reference(c, repo, held.digest, &a));
    OK(artifact_by_reference(c, repo, stays.digest, &a));
    IS(E_NOT_FOUND, artifact_by_reference(c, repo, part.digest, &a));
    OK(tx_commit(&tx));
}

TEST(a_set_is_cut_where_its_blobs_become_many)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list out;
    int64_t blobs[600], ids[4];
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    for (int64_t i = 0; i < (int64_t)COUNT(blobs); i++)
        blobs[i] = put_blob(c, repo, digest_no(c, 1000 + i), 1, 0).id;
    for (int64_t i = 0; i < (int64_t)COUNT(ids); i++)
        ids[i] = put(c, repo, 10 + i, blobs, i == 2 ? 10 : COUNT(blobs), NULL, 0).id;
    struct i64s all = {ids, COUNT(ids)}, rest = {ids + 1, COUNT(ids) - 1};
    OK(artifacts_remove(c, 1, &all, &out));
    assert_int_equal(out.count, 1);
    OK(artifacts_remove(c, 1, &rest, &out));
    assert_int_equal(out.count, 2);
    tx_end(&tx);
}

TEST(referrers_are_found_before_their_subject)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list found;
    bool created;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    for (int64_t i = 0; i < 3; i++) {
        struct artifact a = {.repository_id = repo,
                             .digest = digest_no(c, 10 + i),
                             .media_type = S("m"),
                             .artifact_type = i ? S("sbom") : S("signature"),
                             .subject_digest = digest_no(c, 1),
                             .annotations = {S("{\"k\":\"v\"}")},
                             .payload = S("{}")};
        OK(artifact_put(c, &a, NULL, 0, NULL, 0, &created));
    }
    OK(artifact_referrers(c, repo, digest_no(c, 1), NO_STR, &found));
    assert_int_equal(found.count, 3);
    OK(artifact_referrers(c, repo, digest_no(c, 1), S("sbom"), &found));
    assert_int_equal(found.count, 2);
    assert_true(str_eq(((struct artifact *)found.items)->payload, S("{}")));
    assert_true(str_eq(((struct artifact *)found.items)->annotations.text, S("{\"k\":\"v\"}")));
    OK(artifact_referrers(c, repo, digest_no(c, 2), NO_STR, &found));
    assert_int_equal(found.count, 0);
    tx_end(&tx);
}

static const struct field move_fields[] = {
    FIELD(struct tag_move, old_digest, 0, 0),
    FIELD(struct tag_move, new_digest, 0, 0),
    FIELD(struct tag_move, actor, 0, 0),
    FIELD(struct tag_move, upstream, 0, 0),
    FIELDS_END,
};

TEST(tags_keep_a_journal)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct list moves, list;
    struct tag t;
    struct strs names;
    struct sql all = SQL("SELECT old_digest, new_digest, actor, upstream FROM tag_journal ORDER BY "
                         "id");
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct artifact a = put(c, repo, 1, NULL, 0, NULL, 0), b = put(c, repo, 2, NULL, 0, NULL, 0);
    OK(tag_put(c, repo, S("v1"), a.id, false));
    OK(tag_put(c, repo, S("v1"), a.id, false));
    OK(tag_put(c, repo, S("v1"), b.id, true));
    OK(tag_by_name(c, repo, S("v1"), &t));
    assert_int_equal(t.artifact_id, b.id);
    assert_int_equal(t.version, 2);
    assert_int_equal(t.checked_at.us, tx.now.us);
    OK(tag_put(c, repo, S("V1"), a.id, false));
    OK(tag_names(c, repo, NO_STR, 10, &names));
    assert_int_equal(names.count, 2);
    assert_true(str_eq(names.items[0], S("V1")));
    OK(tag_names(c, repo, S("V1"), 10, &names));
    assert_int_equal(names.count, 1);
    struct str both[] = {S("V1"), S("absent")};
    OK(tag_delete(c, repo, &(struct strs){both, 2}, &list));
    assert_int_equal(list.count, 1);
    OK(tag_delete(c, repo, &(struct strs){both, 2}, &list));
    assert_int_equal(list.count, 0);
    OK(remove_one(c, b.id));
    OK(sql_rows(c, &all, NO_ARGS, move_fields, sizeof(struct tag_move), &moves));
    struct tag_move *m = moves.items;
    assert_int_equal(moves.count, 5);
    assert_true(!m[0].old_digest.n && str_eq(m[0].new_digest, a.digest) && !m[0].upstream);
    assert_true(str_eq(m[1].old_digest, a.digest) && str_eq(m[1].new_digest, b.digest));
    assert_true(m[1].upstream && str_eq(m[1].actor, S("tester")));
    assert_true(str_eq(m[4].old_digest, b.digest) && !m[4].new_digest.n);
    OK(tx_commit(&tx));
}

TEST(a_blob_is_read_through_its_repository_alone)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct blob b;
    int64_t other;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    OK(repository_ensure(c, 1, S("other"), &other));
    struct blob made = put_blob(c, repo, digest_no(c, 1), 10, 60);
    OK(blob_in_repository(c, 1, S("a/b"), digest_no(c, 1), &b));
    assert_true(b.id == made.id && b.size == 10 && b.phys_key.n);
    IS(E_NOT_FOUND, blob_in_repository(c, 1, S("other"), digest_no(c, 1), &b));
    OK(blob_link(c, other, made.id, 60));
    OK(blob_in_repository(c, 1, S("other"), digest_no(c, 1), &b));
    OK(blob_unlink(c, repo, made.id));
    IS(E_NOT_FOUND, blob_unlink(c, repo, made.id));
    IS(E_NOT_FOUND, blob_in_repository(c, 1, S("a/b"), digest_no(c, 1), &b));
    IS(E_NOT_FOUND, blob_extend_lease(c, repo, made.id, 60));
    OK(blob_extend_lease(c, other, made.id, 60));
    tx_end(&tx);
}

TEST(expected_blobs_fill)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct blob b, known;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob_need needs[] = {{.digest = digest_no(c, 2), .size = 5},
                                {.digest = digest_no(c, 1), .size = 4},
                                {.digest = digest_no(c, 2), .size = 5}};
    OK(blob_require(c, repo, needs, 3, true));
    assert_int_equal(needs[0].id, needs[2].id);
    IS(E_NOT_FOUND, blob_in_repository(c, 1, S("a/b"), digest_no(c, 1), &b));
    OK(blob_known(c, 1, S("a/b"), digest_no(c, 1), &known));
    assert_true(known.state == STATE_EXPECTED && known.size == 4 && !known.phys_key.n);
    b = put_blob(c, repo, digest_no(c, 1), 4, 0);
    assert_int_equal(b.id, known.id);
    OK(blob_in_repository(c, 1, S("a/b"), digest_no(c, 1), &b));
    tx_end(&tx);
}

TEST(a_push_needs_linked_blobs)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    int64_t other;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    OK(repository_ensure(c, 1, S("other"), &other));
    struct blob made = put_blob(c, repo, digest_no(c, 1), 10, 60);
    struct blob_need one = {.digest = digest_no(c, 1), .size = 10},
                     none = {.digest = digest_no(c, 2)};
    OK(blob_require(c, repo, &one, 1, false));
    assert_int_equal(one.id, made.id);
    IS(E_MANIFEST_BLOB_UNKNOWN, blob_require(c, other, &one, 1, false));
    IS(E_MANIFEST_BLOB_UNKNOWN, blob_require(c, repo, &none, 1, false));
    assert_non_null(strstr(c->msg, none.digest.p));
    OK(blob_require(c, repo, NULL, 0, false));
    one.size = 11;
    IS(E_MANIFEST_INVALID, blob_require(c, repo, &one, 1, false));
    tx_end(&tx);
}

TEST(a_key_is_taken_once)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct blob b;
    struct strs old;
    bool used, there;
    struct str keys[] = {S("data/aa/1"), S("data/aa/2"), S("data/aa/3")};
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    OK(intent_add(c, keys, 3));
    OK(blob_expect(c, digest_no(c, 1), 3, &b));
    OK(blob_commit(c, repo, keys[0], 3, 60, &b, &used));
    assert_true(used);
    OK(intent_exists(c, keys[0], &there));
    assert_false(there);
    OK(blob_expect(c, digest_no(c, 1), 3, &b));
    OK(blob_commit(c, repo, keys[1], 3, 60, &b, &used));
    assert_false(used);
    assert_true(str_eq(b.phys_key, keys[0]));
    OK(intent_list(c, (struct timestamp){tx.now.us + 1}, 10, &old));
    assert_int_equal(old.count, 2);
    OK(blob_expect(c, digest_no(c, 2), 3, &b));
    IS(E_UNAVAILABLE, blob_commit(c, repo, keys[2], 3, 60, &b, &used));
    tx_end(&tx);
}

TEST(quarantined_bytes_are_replaced)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct blob b;
    bool there;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob lost = put_blob(c, repo, digest_no(c, 1), 3, 60);
    OK(blob_quarantine(c, lost.id));
    IS(E_NOT_FOUND, blob_in_repository(c, 1, S("a/b"), digest_no(c, 1), &b));
    struct blob again = put_blob(c, repo, digest_no(c, 1), 3, 60);
    assert_int_equal(again.id, lost.id);
    assert_false(str_eq(again.phys_key, lost.phys_key));
    OK(intent_exists(c, lost.phys_key, &there));
    assert_true(there);
    tx_end(&tx);
}

TEST(a_repository_goes_whole)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct repository r;
    struct project p;
    struct list due;
    struct strs names;
    bool gone;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    struct artifact child = put(c, repo, 1, &b.id, 1, NULL, 0);
    struct artifact_child one[] = {{.digest = child.digest}};
    struct artifact index = put(c, repo, 2, NULL, 0, one, 1);
    OK(tag_put(c, repo, S("x"), index.id, false));
    OK(repository_catalog(c, NULL, NO_STR, 10, &names));
    assert_int_equal(names.count, 1);
    assert_true(str_eq(names.items[0], S("library/a/b")));
    OK(repository_by_name(c, 1, S("a/b"), &r));
    assert_int_equal(r.artifact_count, 1);
    OK(project_by_id(c, 1, &p));
    assert_int_equal(p.repo_count, 1);
    IS(E_PRECONDITION, project_delete(c, 1));
    OK(repository_shrink(c, repo, 2, &gone));
    assert_true(gone);
    IS(E_NOT_FOUND, repository_shrink(c, repo, 2, &gone));
    IS(E_NOT_FOUND, repository_by_name(c, 1, S("a/b"), &r));
    OK(gc_candidates(c, c->tx->now, 0, 10, &due));
    assert_int_equal(due.count, 1);
    OK(project_delete(c, 1));
    tx_end(&tx);
}

TEST(a_large_repository_goes_piece_by_piece)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct repository r;
    struct list due;
    bool gone;
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    struct artifact child = put(c, repo, 1, &b.id, 1, NULL, 0);
    struct artifact_child one[] = {{.digest = child.digest}};
    struct artifact index = put(c, repo, 2, NULL, 0, one, 1);
    OK(tag_put(c, repo, S("x"), index.id, false));
    OK(repository_shrink(c, repo, 1, &gone));
    assert_false(gone);
    struct artifact it;
    IS(E_NOT_FOUND, artifact_by_reference(c, repo, index.digest, &it));
    OK(artifact_by_reference(c, repo, child.digest, &child)); /* it is for the next step */
    OK(repository_by_name(c, 1, S("a/b"), &r));
    OK(repository_shrink(c, repo, 1, &gone));
    assert_true(gone);
    IS(E_NOT_FOUND, repository_by_name(c, 1, S("a/b"), &r));
    OK(gc_candidates(c, c->tx->now, 0, 10, &due));
    assert_int_equal(due.count, 1);
    tx_end(&tx);
}

TEST(the_database_itself_refuses_dangling_rows)
{
    struct ctx *c = &e->c;
    struct tx tx = {0};
    struct sql drop = SQL("DELETE FROM blob WHERE digest = $1");
    OK(tx_begin(c, &tx));
    int64_t repo = repository(c);
    struct blob b = put_blob(c, repo, digest_no(c, 1), 10, 0);
    put(c, repo, 1, &b.id, 1, NULL, 0);
    IS(E_PRECONDITION, sql_run(c, &drop, ARGS(A_S(digest_no(c, 1))), NULL));
    tx_end(&tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_index_comes_before_its_children),
        RUN(putting_again_changes_nothing),
        RUN(deleting_an_index_takes_its_orphans),
        RUN(a_set_goes_at_once),
        RUN(a_set_is_cut_where_its_blobs_become_many),
        RUN(referrers_are_found_before_their_subject),
        RUN(tags_keep_a_journal),
        RUN(a_blob_is_read_through_its_repository_alone),
        RUN(expected_blobs_fill),
        RUN(a_push_needs_linked_blobs),
        RUN(a_key_is_taken_once),
        RUN(quarantined_bytes_are_replaced),
        RUN(a_repository_goes_whole),
        RUN(a_large_repository_goes_piece_by_piece),
        RUN(the_database_itself_refuses_dangling_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
