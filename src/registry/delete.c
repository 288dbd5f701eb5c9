/*
 * Taking things out of repositories. Rows go, in one transaction with the space that the project
 * gets back; bytes go when garbage collection has looked twice. What a push may still count on,
 * because its lease runs, stays linked until the lease is over.
 */
#include "registry/delete.h"

#include "meta/repository.h"
#include "meta/store.h"
#include "meta/tag.h"
#include "meta/usage.h"
#include "registry/again.h"

#define ARTIFACTS_AT_ONCE 100 /* of a repository that is deleted, in one transaction */

static enum err tell(struct ctx *c, const struct place *at, const char *kind, struct str what)
{
    CLEANUP(buf_release) struct buf text = {.max = 8192};
    struct json_out j = {.out = &text};
    put_open(&j, '{');
    put_key(&j, S("repository"));
    put_str(&j, at->repository);
    put_key(&j, S("reference"));
    put_str(&j, what);
    put_close(&j, '}');
    return event_emit(c, kind, at->access->project.project_id, buf_view(&text));
}

static enum err find_repository(struct ctx *c, const struct place *at, int64_t *out)
{
    enum err e = repository_id(c, at->access->project.project_id, at->repository, out);
    if (e == E_NOT_FOUND)
        return fail(c, E_NAME_UNKNOWN, "repository %.*s/%.*s not found",
                    STR(at->access->project.name), STR(at->repository));
    return e;
}

static enum err try_delete_tag(struct ctx *c, const struct place *at, struct str tag)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    enum err e = tag_delete(c, repo, tag);
    if (e == E_NOT_FOUND)
        return fail(c, E_MANIFEST_UNKNOWN, "tag %.*s of %.*s/%.*s not found", STR(tag),
                    STR(at->access->project.name), STR(at->repository));
    TRY(e);
    TRY(tell(c, at, "DELETE_TAG", tag));
    return tx_commit(&tx);
}

static enum err try_delete_manifest(struct ctx *c, const struct place *at, struct str digest)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct artifact a;
    struct manifest_row row;
    struct i64s blobs;
    int64_t project = at->access->project.project_id;
    TRY(tx_begin(c, &tx));
    TRY(find_repository(c, at, &repo));
    enum err e = artifact_by_reference(c, repo, digest, &a);
    if (e == E_NOT_FOUND || (e == E_OK && a.state == STATE_EXPECTED))
        return fail(c, E_MANIFEST_UNKNOWN, "artifact %.*s/%.*s@%.*s not found",
                    STR(at->access->project.name), STR(at->repository), STR(digest));
    TRY(e);
    TRY(manifest_by_digest(c, project, at->repository, a.digest, &row));
    TRY(usage_artifact_blobs(c, a.id, &blobs));
    TRY(artifact_delete(c, a.id));
    TRY(usage_end_links(c, &blobs));
    TRY(usage_charge_manifest(c, project, a.digest, (int64_t)row.payload.n, -1, false));
    TRY(tell(c, at, "DELETE_ARTIFACT", a.digest));
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
    enum err e = repository_shrink(c, repo, ARTIFACTS_AT_ONCE, gone);
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

enum err delete_tag(struct ctx *c, const struct place *at, struct str tag)
{
    int64_t began = clock_mono_ms();
    enum err e = try_delete_tag(c, at, tag);
    for (int tries = 1; again(e, tries, began); tries++)
        e = try_delete_tag(c, at, tag);
    return e;
}

enum err delete_manifest(struct ctx *c, const struct place *at, struct str digest)
{
    int64_t began = clock_mono_ms();
    enum err e = try_delete_manifest(c, at, digest);
    for (int tries = 1; again(e, tries, began); tries++)
        e = try_delete_manifest(c, at, digest);
    return e;
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
