/*
 * A tag is moved by one transaction that compares before it writes, so that two who undo at the
 * same moment do not undo each other. What the tag is to name must be here first: in a proxy
 * project that may take a pull of upstream, made as any other and before the transaction.
 */
#include "registry/point.h"

#include "meta/artifact.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "registry/again.h"
#include "registry/push.h"
#include "rule/name.h"

static enum err unknown(struct ctx *c, const struct place *at, const char *what, struct str ref)
{
    return fail(c, E_MANIFEST_UNKNOWN, "%s %.*s of %.*s/%.*s not found", what, STR(ref),
                STR(at->access->project.name), STR(at->repository));
}

static enum err fetch(struct ctx *c, const struct place *at, struct str digest)
{
    struct place quiet = *at;
    struct pulled_manifest m;
    CLEANUP(tx_end) struct tx tx = {0};
    quiet.background = true;
    TRY(tx_read(c, &tx));
    return pull_manifest(c, &quiet, digest, false, &m);
}

static enum err move(struct ctx *c, const struct place *at, struct str tag, struct str digest,
                     struct str expect, struct str reason)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct artifact a;
    TRY(tx_begin(c, &tx));
    enum err e = repository_id(c, at->access->project.project_id, at->repository, &repo);
    if (e == E_OK)
        e = artifact_by_reference(c, repo, digest, &a);
    if (e == E_NOT_FOUND || (e == E_OK && a.state != STATE_ACTIVE))
        return unknown(c, at, "artifact", digest);
    TRY(e);
    TRY(tag_point(c, repo, tag, a.id, expect, at->access->project.registry_id != 0, reason));
    TRY(push_tell(c, at, a.digest, tag));
    return tx_commit(&tx);
}

enum err point_tag(struct ctx *c, const struct place *at, struct str tag, struct str digest,
                   struct str expect, struct str reason)
{
    struct digest d;
    if (!name_is_tag(tag))
        return fail(c, E_BAD_REQUEST, "invalid tag");
    TRY(digest_parse(c, digest, &d));
    if (at->access->project.registry_id)
        TRY(fetch(c, at, digest));
    int64_t began = clock_mono_ms();
    enum err e = move(c, at, tag, digest, expect, reason);
    for (int tries = 1; again(e, tries, began); tries++)
        e = move(c, at, tag, digest, expect, reason);
    if (e == E_PRECONDITION)
        c->status = 409;
    return e;
}

enum err point_release(struct ctx *c, const struct place *at, struct str tag, struct str reason)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    TRY(tx_begin(c, &tx));
    enum err e = repository_id(c, at->access->project.project_id, at->repository, &repo);
    if (e == E_OK)
        e = tag_unpin(c, repo, tag, reason);
    if (e == E_NOT_FOUND)
        return unknown(c, at, "pointed tag", tag);
    TRY(e);
    return tx_commit(&tx);
}
