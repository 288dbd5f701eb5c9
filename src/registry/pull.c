/*
 * What the store holds, and the way on to the proxy. For local content a manifest GET is the third
 * statement of the dispatcher's read transaction and nothing else: no write, no file. Pulls are
 * counted in memory (registry/tally.c).
 *
 * A manifest is hashed each time it is read; a broken one is refused, never served and never
 * called missing. A row whose object is gone is quarantined: 503 is the truth, 404 would make
 * clients believe that the image was deleted.
 */
#include "registry/pull.h"

#include "base/fd.h"
#include "base/log.h"
#include "blob/store.h"
#include "meta/artifact.h"
#include "meta/usage.h"
#include "registry/figures.h"
#include "registry/proxy.h"
#include "registry/tally.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <unistd.h>

#define LEASE_REST_S INT64_C(3600) /* a lease is extended when more than this of it is gone */

static bool is_proxy(const struct place *at)
{
    return at->access->project.registry_id != 0;
}

static enum err unknown_manifest(struct ctx *c, const struct place *at, struct str reference)
{
    bool by_digest = str_find(reference, ':') >= 0;
    return fail(c, E_MANIFEST_UNKNOWN, "artifact %.*s/%.*s%s%.*s not found",
                STR(at->access->project.name), STR(at->repository), by_digest ? "@" : ":",
                STR(reference));
}

static enum err find_manifest(struct ctx *c, const struct place *at, struct str reference,
                              struct manifest_row *out)
{
    int64_t project = at->access->project.project_id;
    if (str_find(reference, ':') >= 0) {
        struct digest d;
        TRY(digest_parse(c, reference, &d));
        return manifest_by_digest(c, project, at->repository, reference, out);
    }
    if (!name_is_tag(reference))
        return fail(c, E_MANIFEST_UNKNOWN, "invalid tag");
    return manifest_by_tag(c, project, at->repository, reference, out);
}

static enum err verify_manifest(struct ctx *c, const struct place *at,
                                const struct manifest_row *row)
{
    struct digest want, got;
    TRY(digest_parse(c, row->digest, &want));
    if (digest_of(want.alg, row->payload, &got) && digest_eq(&got, &want))
        return E_OK;
    log_error("registry", "manifest %.*s of %.*s/%.*s is broken in the database", STR(row->digest),
              STR(at->access->project.name), STR(at->repository));
    return fail(c, E_UNAVAILABLE, "the stored manifest %.*s is broken", STR(row->digest));
}

static void give_manifest(const struct manifest_row *row, struct pulled_manifest *out)
{
    *out = (struct pulled_manifest){.digest = row->digest,
                                    .media_type = row->media_type,
                                    .payload = row->payload,
                                    .subject_digest = row->subject_digest,
                                    .size = (int64_t)row->payload.n,
                                    .outcome = OUTCOME_LOCAL};
}

static enum err find_and_give(struct ctx *c, const struct place *at, struct str reference,
                              bool head, struct pulled_manifest *out)
{
    struct manifest_row row = {0};
    enum err e = find_manifest(c, at, reference, &row);
    bool here = e == E_OK && row.state == STATE_ACTIVE;
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    if (here)
        e = verify_manifest(c, at, &row);
    if (is_proxy(at)) {
        bool whole = here && e == E_OK;
        if (row.pinned && !whole) /* a pinned tag names its content, not what upstream says */
            reference = row.digest;
        tx_end(c->tx);
        return proxy_manifest(c, at, reference, head, whole ? &row : NULL, out);
    }
    if (!here)
        return unknown_manifest(c, at, reference);
    TRY(e);
    give_manifest(&row, out);
    if (!head)
        tally_pull(row.repository_id, row.artifact_id, row.tag_id);
    return E_OK;
}

enum err pull_manifest(struct ctx *c, const struct place *at, struct str reference, bool head,
                       struct pulled_manifest *out)
{
    if (!is_proxy(at) || at->background)
        return find_and_give(c, at, reference, head, out);
    int64_t begun = clock_mono_us();
    enum err e = find_and_give(c, at, reference, head, out);
    figures_pull(at, e == E_OK ? out->outcome : OUTCOME_REFUSED, !head, clock_mono_us() - begun);
    return e;
}

/* ---- blobs ------------------------------------------------------------------------------- */

static enum err unknown_blob(struct ctx *c, const struct digest *d)
{
    return fail(c, E_BLOB_UNKNOWN, "blob %s is unknown to the repository", d->text);
}

/* A client that may push trusts our 200 for the manifest that it will send later. */
static enum err keep_for_push(struct ctx *c, const struct place *at, const struct blob *blob)
{
    struct blob_lease lease;
    int64_t life = c->sv->settings->gc_lease_s;
    TRY(usage_lease(c, at->access->project.project_id, at->repository, blob->id, &lease));
    int64_t least = i64_max(life - LEASE_REST_S, life / 2);
    if (lease.lease_until.us - c->tx->now.us >= least * SECOND_US)
        return E_OK;
    tx_end(c->tx);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(blob_extend_lease(c, lease.repository_id, blob->id, life)); /* or GC was faster */
    return tx_commit(&tx);
}

/*
 * The object of a row that was ACTIVE a moment ago is not there or not whole. Either garbage
 * collection ran in between, then the row is gone too; or the store is damaged.
 */
static enum err missing_object(struct ctx *c, const struct place *at, const struct digest *d,
                               const struct blob *was)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob now;
    tx_end(c->tx);
    TRY(tx_begin(c, &tx));
    enum err e =
        blob_in_repository(c, at->access->project.project_id, at->repository, digest_str(d), &now);
    if (e == E_NOT_FOUND)
        return is_proxy(at) ? E_NOT_FOUND : unknown_blob(c, d);
    TRY(e);
    if (now.id == was->id && str_eq(now.phys_key, was->phys_key)) {
        log_error("registry", "blob %s is quarantined: object %.*s is missing or cut", d->text,
                  STR(was->phys_key));
        TRY(blob_quarantine(c, now.id));
        TRY(tx_commit(&tx));
    }
    return fail(c, E_UNAVAILABLE, "the object of blob %s is missing from the store", d->text);
}

static enum err wrong_size(struct ctx *c, const struct blob *blob, int64_t size)
{
    return fail(c, E_UNAVAILABLE, "the object is %lld bytes long, not %lld", (long long)size,
                (long long)blob->size);
}

/* A small one is read by one call: one byte more than there should be tells its size too. What
   cannot be read is not cut: the sender meets the same error and resets the connection. */
static enum err read_object(struct ctx *c, const struct blob *blob, struct pulled_blob *out)
{
    CLEANUP(fd_done) int fd = -1;
    TRY(store_read(c, blob->phys_key, &fd, NULL));
    size_t n = (size_t)blob->size;
    char *bytes = arena_raw(&c->mem, n + 1);
    int64_t got = pread(fd, bytes, n + 1, 0);
    if (got < blob->size) /* interrupted, cut or broken */
        got = fd_pread_all(fd, bytes, n + 1, 0);
    if (got < 0)
        out->body = (struct body){.kind = BODY_FILE, .fd = fd_take(&fd), .end = blob->size};
    else if (got != blob->size)
        return wrong_size(c, blob, got);
    else
        out->body = (struct body){.kind = BODY_BYTES, .bytes = {bytes, n}, .fd = -1};
    return E_OK;
}

static enum err open_object(struct ctx *c, const struct blob *blob, struct pulled_blob *out)
{
    int fd;
    int64_t size;
    if (blob->size <= SMALL_BODY)
        return read_object(c, blob, out);
    TRY(store_read(c, blob->phys_key, &fd, &size));
    if (size != blob->size) {
        fd_done(&fd);
        return wrong_size(c, blob, size);
    }
    out->body = (struct body){.kind = BODY_FILE, .fd = fd, .end = size};
    return E_OK;
}

/* The blob as the store has it; E_NOT_FOUND lets a proxy project go on to its upstream. */
static enum err local_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                           struct pulled_blob *out)
{
    struct blob blob;
    TRY(blob_in_repository(c, at->access->project.project_id, at->repository, digest_str(d),
                           &blob));
    struct pulled_blob b = {.digest = str_dup(&c->mem, digest_str(d)),
                            .size = blob.size,
                            .outcome = is_proxy(at) ? OUTCOME_HIT : OUTCOME_LOCAL,
                            .body = {.kind = BODY_NONE, .fd = -1}};
    if (!head && open_object(c, &blob, &b) != E_OK)
        return missing_object(c, at, d, &blob);
    if (!is_proxy(at) && at->may_push) {
        enum err e = keep_for_push(c, at, &blob);
        if (e != E_OK) {
            fd_done(&b.body.fd);
            return e;
        }
    }
    *out = b;
    return E_OK;
}

/*
 * A blob whose bytes were lost is not gone: 404 would make clients believe so. Except to the HEAD
 * of one who may push: it asks what to upload, and the upload is what heals the blob.
 */
static enum err absent_blob(struct ctx *c, const struct place *at, const struct digest *d,
                            bool head)
{
    struct blob blob;
    if ((head && at->may_push) || !c->tx)
        return unknown_blob(c, d);
    enum err e =
        blob_known(c, at->access->project.project_id, at->repository, digest_str(d), &blob);
    if (e == E_OK && blob.state == STATE_QUARANTINED)
        return fail(c, E_UNAVAILABLE, "the object of blob %s was lost", d->text);
    return e == E_OK || e == E_NOT_FOUND ? unknown_blob(c, d) : e;
}

static enum err find_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                          int64_t from, struct pulled_blob *out)
{
    enum err e = local_blob(c, at, d, head, out);
    if (is_proxy(at) && (e == E_NOT_FOUND || e == E_UNAVAILABLE)) {
        if (c->tx)
            tx_end(c->tx);
        return proxy_blob(c, at, d, head, from, out);
    }
    return e == E_NOT_FOUND ? absent_blob(c, at, d, head) : e;
}

enum err pull_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                   int64_t from, struct pulled_blob *out)
{
    if (!is_proxy(at) || at->background)
        return find_blob(c, at, d, head, from, out);
    int64_t begun = clock_mono_us();
    enum err e = find_blob(c, at, d, head, from, out);
    figures_pull(at, e == E_OK ? out->outcome : OUTCOME_REFUSED, false, clock_mono_us() - begun);
    return e;
}
