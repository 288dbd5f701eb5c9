/*
 * Taking things out of repositories. Rows go, in one transaction with the space that the project
 * gets back; bytes go when garbage collection has looked twice. What a push may still count on,
 * because its lease runs, stays linked until the lease is over.
 */
#include "registry/delete.h"

#include "meta/bulk.h"
#include "meta/removal.h"
#include "meta/repository.h"
#include "meta/store.h"
#include "meta/tag.h"
#include "meta/usage.h"
#include "registry/again.h"

static struct str payload_of(struct ctx *c, const struct place *at, struct str what)
{
    CLEANUP(buf_release) struct buf text = {.max = 8192};
    struct json_out j = {.out = &text};
    put_open(&j, '{');
    put_key(&j, S("repository"));
    put_str(&j, at->repository);
    put_key(&j, S("reference"));
    put_str(&j, what);
    put_close(&j, '}');
    return str_dup(&c->mem, buf_view(&text));
}

static enum err tell(struct ctx *c, const struct place *at, const char *kind, struct str what)
{
    return event_emit(c, kind, at->access->project.project_id, payload_of(c, at, what));
}

static enum err find_repository(struct ctx *c, const struct place *at, int64_t *out)
{
    enum err e = repository_id(c, at->access->project.project_id, at->repository, out);
    if (e == E_NOT_FOUND)
        return fail(c, E_NAME_UNKNOWN, "repository %.*s/%.*s not found",
                    STR(at->access->project.name), STR(at->repository));
    return e;
}

static enum err try_delete_tags(struct ctx *c, const struct place *at, const struct strs *names,
                                size_t *gone)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct list found;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    TRY(tag_delete(c, repo, names, &found));
    const struct tag *t = found.items;
    struct strs lines = {arena_alloc(&c->mem, (found.count + 1) * sizeof(struct str)), 0};
    for (size_t i = 0; i < found.count; i++)
        lines.items[lines.count++] = payload_of(c, at, t[i].name);
    TRY(event_emit_all(c, "DELETE_TAG", at->access->project.project_id, &lines));
    *gone = found.count;
    return tx_commit(&tx);
}

static size_t index_of(const struct strs *digests, struct str digest)
{
    size_t i = 0;
    while (i < digests->count && !str_eq(digests->items[i], digest))
        i++;
    return i;
}

/* Ids in the order of the digests; 0 where there is none. */
static enum err ids_of(struct ctx *c, int64_t repo, const struct strs *digests, struct i64s *out)
{
    struct list found;
    TRY(bulk_by_digest(c, repo, digests, &found));
    const struct bulk_item *item = found.items;
    *out =
        (struct i64s){arena_alloc(&c->mem, (digests->count + 1) * sizeof(int64_t)), digests->count};
    for (size_t i = 0; i < found.count; i++) {
        size_t at = index_of(digests, item[i].name);
        if (at < digests->count)
            out->items[at] = item[i].id;
    }
    return E_OK;
}

/* One line for each that was asked for and is gone by itself. */
static enum err tell_gone(struct ctx *c, const struct place *at, const struct list *gone)
{
    const struct removed *r = gone->items;
    struct strs lines = {arena_alloc(&c->mem, (gone->count + 1) * sizeof(struct str)), 0};
    for (size_t i = 0; i < gone->count; i++)
        if (r[i].fate == E_OK && !r[i].with)
            lines.items[lines.count++] = payload_of(c, at, r[i].digest);
    return event_emit_all(c, "DELETE_ARTIFACT", at->access->project.project_id, &lines);
}

static enum err try_delete_manifests(struct ctx *c, const struct place *at,
                                     const struct strs *digests, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct i64s ids;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    TRY(ids_of(c, repo, digests, &ids));
    TRY(artifacts_remove(c, at->access->project.project_id, &ids, out));
    TRY(tell_gone(c, at, out));
    return tx_commit(&tx);
}

static enum err try_delete_blob(struct ctx *c, const struct place *at, const struct digest *d)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct blob blob;
    bool needed, held;
    int64_t project = at->access->project.project_id;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    enum err e = blob_in_repository(c, project, at->repository, digest_str(d), &blob);
    if (e == E_NOT_FOUND)
        return fail(c, E_BLOB_UNKNOWN, "blob %s is unknown to the repository", d->text);
    TRY(e);
    struct blob_need need = {.digest = blob.digest, .size = blob.size};
    TRY(usage_lock_blob(c, blob.id));            /* two that unlink it refund it once */
    TRY(blob_require(c, repo, &need, 1, false)); /* the lock, then the look */
    TRY(usage_in_manifest(c, repo, blob.id, &needed));
    if (needed)
        return fail(c, E_METHOD_NOT_ALLOWED, "a manifest of the repository references %s", d->text);
    TRY(blob_unlink(c, repo, blob.id));
    TRY(usage_has_blob(c, project, blob.id, &held));
    if (!held)
        TRY(project_charge(c, project, -blob.size, false));
    return tx_commit(&tx);
}

static enum err shrink(struct ctx *c, const struct place *at, bool *gone)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    enum err e = repository_shrink(c, repo, DELETE_AT_ONCE, gone);
    if (e == E_PRECONDITION) /* an index came for what was about to go */
        return fail(c, E_CONFLICT, "the repository changed at the same moment");
    TRY(e);
    if (*gone)
        TRY(tell(c, at, "DELETE_REPOSITORY", at->repository));
    return tx_commit(&tx);
}

/* A large one goes in transactions that are short: others write meanwhile. One that is left half
   empty is deleted by whoever asks again. */
static enum err try_delete_repository(struct ctx *outer, const struct place *at, bool *gone)
{
    CLEANUP(ctx_release)
    struct ctx c = {.sv = outer->sv, .request_id = outer->request_id, .actor = outer->actor};
    enum err e = shrink(&c, at, gone);
    return e == E_OK ? E_OK : fail(outer, e, "%s", c.msg);
}

/* ---- made again when they met another change --------------------------------------------- */

enum err delete_tags(struct ctx *c, const struct place *at, const struct strs *names, size_t *gone)
{
    int64_t began = clock_mono_ms();
    enum err e = try_delete_tags(c, at, names, gone);
    for (int tries = 1; again(e, tries, began); tries++)
        e = try_delete_tags(c, at, names, gone);
    return e;
}

enum err delete_tag(struct ctx *c, const struct place *at, struct str tag)
{
    size_t gone;
    TRY(delete_tags(c, at, &(struct strs){&tag, 1}, &gone));
    return gone ? E_OK
                : fail(c, E_MANIFEST_UNKNOWN, "tag %.*s of %.*s/%.*s not found", STR(tag),
                       STR(at->access->project.name), STR(at->repository));
}

enum err delete_manifests(struct ctx *c, const struct place *at, const struct strs *digests,
                          struct list *out)
{
    int64_t began = clock_mono_ms();
    struct strs set = {digests->items, size_min(digests->count, DELETE_AT_ONCE)};
    enum err e = try_delete_manifests(c, at, &set, out);
    for (int tries = 1; again(e, tries, began); tries++)
        e = try_delete_manifests(c, at, &set, out);
    return e;
}

enum err delete_manifest(struct ctx *c, const struct place *at, struct str digest)
{
    struct list out;
    TRY(delete_manifests(c, at, &(struct strs){&digest, 1}, &out));
    const struct removed *r = out.items;
    if (r->fate == E_NOT_FOUND)
        return fail(c, E_MANIFEST_UNKNOWN, "artifact %.*s/%.*s@%.*s not found",
                    STR(at->access->project.name), STR(at->repository), STR(digest));
    return r->fate == E_OK ? E_OK : fail(c, r->fate, DELETE_CONTAINED, STR(digest));
}

enum err delete_blob(struct ctx *c, const struct place *at, const struct digest *d)
{
    int64_t began = clock_mono_ms();
    enum err e = try_delete_blob(c, at, d);
    for (int tries = 1; again(e, tries, began); tries++)
        e = try_delete_blob(c, at, d);
    return e;
}

enum err delete_repository(struct ctx *c, const struct place *at)
{
    enum err e = E_OK;
    for (bool gone = false; e == E_OK && !gone;) {
        int64_t began = clock_mono_ms();
        e = try_delete_repository(c, at, &gone);
        for (int tries = 1; again(e, tries, began); tries++)
            e = try_delete_repository(c, at, &gone);
    }
    return e;
}
