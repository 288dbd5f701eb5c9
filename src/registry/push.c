/*
 * Storing what arrived. Everything that makes a push visible is one transaction: the row that maps
 * digest to key, the link to the repository with its lease, the manifest with its references, the
 * tag, the project's usage and the event. Before it the bytes are durable, after it the client is
 * told; whatever breaks in between leaves an intent for the sweep and nothing that can be seen.
 *
 * Blobs are locked before they are looked at, so that garbage collection and a push never both
 * believe their own view (meta/blob.h). A transaction that lost a race is done again.
 */
#include "registry/push.h"

#include "base/log.h"
#include "base/metric.h"
#include "blob/upload.h"
#include "meta/repository.h"
#include "meta/store.h"
#include "meta/tag.h"
#include "meta/usage.h"
#include "registry/again.h"
#include "rule/manifest.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <stdlib.h>
#include <string.h>

static enum err may_store(struct ctx *c, const struct place *at, const struct origin_rule *rule)
{
    const struct project *p = &at->access->project;
    if (p->registry_id && !rule->into_proxy_project)
        return fail(c, E_DENIED, "can not push artifact to a proxy project: %.*s", STR(p->name));
    return E_OK;
}

static int64_t lease_of(struct ctx *c, const struct origin_rule *rule)
{
    return rule->leases ? c->sv->settings->gc_lease_s : 0;
}

/* ---- blobs ------------------------------------------------------------------------------- */

struct arrived {
    struct str key, digest;
    int64_t size;
    bool key_used; /* out */
};

static enum err commit_blob(struct ctx *c, const struct place *at, const struct origin_rule *rule,
                            struct arrived *a)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob blob;
    int64_t project = at->access->project.project_id, repository;
    bool held = false;
    TRY(tx_begin(c, &tx));
    TRY(repository_ensure(c, project, at->repository, &repository));
    TRY(blob_expect(c, a->digest, a->size, &blob)); /* the lock, then the look */
    bool expected = blob.state == STATE_EXPECTED;   /* its links cost nothing so far */
    if (!expected)
        TRY(usage_has_blob(c, project, blob.id, &held));
    TRY(blob_commit(c, repository, a->key, a->size, lease_of(c, rule), &blob, &a->key_used));
    a->key_used = a->key_used || str_eq(blob.phys_key, a->key); /* by a try whose end was lost */
    if (expected)
        TRY(usage_arrived(c, blob.id, project, a->size, !rule->skips_quota));
    else if (!held)
        TRY(project_charge(c, project, a->size, !rule->skips_quota));
    TRY(upload_settle(c, a->key));
    return tx_commit(&tx);
}

enum err push_blob(struct ctx *c, const struct place *at, enum origin origin, struct str key,
                   const struct digest *d, int64_t size)
{
    const struct origin_rule *rule = origin_rule(origin);
    struct arrived a = {.key = key, .digest = digest_str(d), .size = size};
    int64_t began = clock_mono_ms();
    enum err e = may_store(c, at, rule);
    if (e == E_OK)
        e = commit_blob(c, at, rule, &a);
    for (int tries = 1; again(e, tries, began); tries++)
        e = commit_blob(c, at, rule, &a);
    upload_settled(c, key);
    TRY(e);
    metric_add(M_blobs_stored, 1);
    if (!a.key_used && store_delete(c, key) != E_OK) /* the twin; its intent stands until swept */
        log_warn("registry", "a second copy of %s is left to the sweep: %s", d->text, c->msg);
    return E_OK;
}

static enum err mount(struct ctx *c, const struct place *at, struct str digest,
                      int64_t from_project_id, struct str from_repository)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t from;
    struct blob blob;
    int64_t project = at->access->project.project_id, repository;
    bool held;
    TRY(tx_begin(c, &tx));
    TRY(repository_id(c, from_project_id, from_repository, &from));
    TRY(blob_in_repository(c, from_project_id, from_repository, digest, &blob));
    struct blob_need need = {.digest = digest, .size = blob.size};
    TRY(usage_lock_blob(c, blob.id)); /* two that link it count it once */
    TRY(blob_require(c, from, &need, 1, false));
    TRY(repository_ensure(c, project, at->repository, &repository));
    TRY(usage_has_blob(c, project, need.id, &held));
    TRY(blob_link(c, repository, need.id, lease_of(c, origin_rule(ORIGIN_USER))));
    if (!held)
        TRY(project_charge(c, project, blob.size, true));
    return tx_commit(&tx);
}

enum err push_mount(struct ctx *c, const struct place *at, const struct digest *d,
                    int64_t from_project_id, struct str from_repository)
{
    TRY(may_store(c, at, origin_rule(ORIGIN_USER)));
    int64_t began = clock_mono_ms();
    enum err e = mount(c, at, digest_str(d), from_project_id, from_repository);
    for (int tries = 1; again(e, tries, began); tries++)
        e = mount(c, at, digest_str(d), from_project_id, from_repository);
    if (e == E_NOT_FOUND || e == E_MANIFEST_BLOB_UNKNOWN)
        return fail(c, E_BLOB_UNKNOWN, "%s is not in the repository to mount from", d->text);
    return e;
}

/* ---- manifests --------------------------------------------------------------------------- */

struct manifest_push {
    const struct place *at;
    const struct origin_rule *rule;
    struct str tag; /* empty when pushed by digest */
    struct digest digest;
    struct str payload;
    struct manifest parsed;
    struct pushed_manifest *out;
    const struct blob_need *needs; /* what it names, once looked up */
    size_t need_count;
};

static enum err read_reference(struct ctx *c, struct str reference, struct str payload,
                               struct manifest_push *p)
{
    if (str_find(reference, ':') < 0) {
        if (!name_is_tag(reference))
            return fail(c, E_MANIFEST_INVALID, "invalid tag");
        p->tag = reference;
        return digest_of(DIGEST_SHA256, payload, &p->digest)
                   ? E_OK
                   : fail(c, E_INTERNAL, "hashing failed");
    }
    struct digest want;
    TRY(digest_parse(c, reference, &want));
    if (!digest_of(want.alg, payload, &p->digest))
        return fail(c, E_INTERNAL, "hashing failed");
    if (!digest_eq(&p->digest, &want))
        return fail(c, E_DIGEST_INVALID, "the manifest has digest %s, not %s", p->digest.text,
                    want.text);
    return E_OK;
}

static int by_digest(const void *a, const void *b)
{
    return str_cmp(((const struct blob_need *)a)->digest, ((const struct blob_need *)b)->digest);
}

/* The distinct blobs that must be here: foreign layers are somebody else's. There may be ten
   thousand, so equal ones are found by sorting. */
static enum err collect_needs(struct ctx *c, const struct manifest *m, struct blob_need **out,
                              size_t *count_out)
{
    struct blob_need *needs = arena_alloc(&c->mem, (m->layer_count + 1) * sizeof *needs);
    size_t all = 0, count = 0;
    if (!m->index && m->config.digest.n)
        needs[all++] = (struct blob_need){.digest = m->config.digest, .size = m->config.size};
    for (size_t i = 0; i < m->layer_count; i++)
        if (!m->layers[i].foreign)
            needs[all++] =
                (struct blob_need){.digest = m->layers[i].digest, .size = m->layers[i].size};
    qsort(needs, all, sizeof *needs, by_digest);
    for (size_t i = 0; i < all; i++) {
        bool known = count && str_eq(needs[count - 1].digest, needs[i].digest);
        if (known && needs[count - 1].size != needs[i].size)
            return fail(c, E_MANIFEST_INVALID,
                        "two descriptors of one digest have different sizes");
        if (!known)
            needs[count++] = needs[i];
    }
    *out = needs;
    *count_out = count;
    return E_OK;
}

static enum err require_blobs(struct ctx *c, struct manifest_push *p, int64_t repository,
                              int64_t **ids_out, size_t *count_out, int64_t *bytes)
{
    struct blob_need *needs = NULL;
    size_t count = 0;
    TRY(collect_needs(c, &p->parsed, &needs, &count));
    TRY(blob_require(c, repository, needs, count, p->rule->missing_blobs));
    int64_t *ids = arena_alloc(&c->mem, (count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = needs[i].id;
        if (!add_i64(*bytes, needs[i].size, bytes))
            return fail(c, E_MANIFEST_INVALID, "the sizes of the manifest's blobs overflow");
    }
    p->needs = needs;
    p->need_count = count;
    *ids_out = ids;
    *count_out = count;
    return E_OK;
}

/* Children by digest. Those that are not here become EXPECTED, unless Harbor's ways are asked. */
static enum err collect_children(struct ctx *c, const struct manifest_push *p, int64_t repository,
                                 struct artifact_child **out, int64_t *bytes)
{
    const struct manifest *m = &p->parsed;
    bool sparse = p->rule->missing_blobs || !str_eq(c->sv->settings->registry_compat, S("harbor"));
    struct artifact_child *children = arena_alloc(&c->mem, (m->child_count + 1) * sizeof *children);
    for (size_t i = 0; i < m->child_count; i++) {
        const struct descriptor *d = &m->children[i];
        struct artifact child;
        enum err e = artifact_by_reference(c, repository, d->digest, &child);
        bool here = e == E_OK && child.state == STATE_ACTIVE;
        if (e != E_OK && e != E_NOT_FOUND)
            return e;
        if (!here && !sparse)
            return fail(c, E_MANIFEST_BLOB_UNKNOWN, "manifest %.*s is unknown to the repository",
                        STR(d->digest));
        if (!add_i64(*bytes, here ? child.size : d->size, bytes))
            return fail(c, E_MANIFEST_INVALID, "the sizes of the index's manifests overflow");
        children[i] = (struct artifact_child){.digest = d->digest,
                                              .media_type = d->media_type,
                                              .size = d->size,
                                              .platform = d->platform,
                                              .annotations = d->annotations,
                                              .urls = d->urls};
    }
    *out = children;
    return E_OK;
}

static enum err put_artifact(struct ctx *c, struct manifest_push *p, int64_t repository,
                             int64_t *id_out, bool *created)
{
    const struct manifest *m = &p->parsed;
    int64_t project = p->at->access->project.project_id, *ids = NULL;
    struct artifact_child *children = NULL;
    size_t count = 0;
    struct artifact a = {.repository_id = repository,
                         .project_id = project,
                         .digest = digest_str(&p->digest),
                         .media_type = m->media_type,
                         .artifact_type = m->artifact_type,
                         .config_media_type = m->config.media_type,
                         .subject_digest = m->subject_digest,
                         .type = m->type,
                         .state = STATE_ACTIVE,
                         .size = (int64_t)p->payload.n,
                         .payload = p->payload,
                         .annotations = m->annotations};
    TRY(require_blobs(c, p, repository, &ids, &count, &a.size));
    TRY(collect_children(c, p, repository, &children, &a.size));
    TRY(artifact_put(c, &a, ids, count, children, m->child_count, created));
    *id_out = a.id;
    return E_OK;
}

/* The event that webhooks, replication and audit read. */
enum err push_tell(struct ctx *c, const struct place *at, struct str digest, struct str tag)
{
    CLEANUP(buf_release) struct buf text = {.max = 8192};
    struct json_out j = {.out = &text};
    put_open(&j, '{');
    put_key(&j, S("repository"));
    put_str(&j, at->repository);
    put_key(&j, S("digest"));
    put_str(&j, digest);
    put_key(&j, S("tag"));
    put_str(&j, tag);
    put_close(&j, '}');
    return event_emit(c, "PUSH_ARTIFACT", at->access->project.project_id, buf_view(&text));
}

/* What is here already is not stored again: its references hold its blobs, only the tag moves. */
static enum err commit_manifest(struct ctx *c, struct manifest_push *p)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repository;
    struct artifact known;
    p->need_count = 0;
    struct str digest = digest_str(&p->digest);
    struct pushed_manifest *out = p->out;
    TRY(tx_begin(c, &tx));
    TRY(repository_ensure(c, p->at->access->project.project_id, p->at->repository, &repository));
    enum err e = artifact_by_reference(c, repository, digest, &known);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    out->created = false;
    out->artifact_id = known.id;
    if (e == E_NOT_FOUND || known.state != STATE_ACTIVE)
        TRY(put_artifact(c, p, repository, &out->artifact_id, &out->created));
    e = p->tag.n ? tag_put(c, repository, p->tag, out->artifact_id, p->rule->upstream_move) : E_OK;
    if (e == E_PRECONDITION && !out->created) /* it was being deleted while we looked */
        return fail(c, E_CONFLICT, "the manifest was deleted at the same moment");
    TRY(e);
    TRY(push_tell(c, p->at, digest, p->tag));
    for (size_t i = 0; i < p->need_count; i++)
        if (p->needs[i].linked)
            TRY(usage_linked(c, p->at->access->project.project_id, p->needs[i].id));
    if (out->created)
        TRY(usage_charge_manifest(c, p->at->access->project.project_id, digest,
                                  (int64_t)p->payload.n, 1, !p->rule->skips_quota));
    return tx_commit(&tx);
}

enum err push_manifest(struct ctx *c, const struct place *at, enum origin origin,
                       struct str reference, struct str content_type, struct str payload,
                       struct pushed_manifest *out)
{
    struct manifest_push p = {.at = at, .rule = origin_rule(origin), .payload = payload};
    struct pushed_manifest pushed = {0};
    p.out = &pushed;
    TRY(may_store(c, at, p.rule));
    if (payload.n > MANIFEST_MAX)
        return fail(c, E_TOO_LARGE, "the manifest is larger than 4 MiB");
    TRY(read_reference(c, reference, payload, &p));
    TRY(manifest_parse(c, payload, content_type, &p.parsed));
    int64_t began = clock_mono_ms();
    enum err e = commit_manifest(c, &p);
    for (int tries = 1; again(e, tries, began); tries++)
        e = commit_manifest(c, &p);
    TRY(e);
    pushed.digest = str_dup(&c->mem, digest_str(&p.digest));
    pushed.subject_digest = p.parsed.subject_digest;
    *out = pushed;
    return E_OK;
}

static enum err move_tag(struct ctx *c, const struct place *at, struct str digest, struct str tag)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    struct artifact a;
    TRY(tx_begin(c, &tx));
    TRY(repository_id(c, at->access->project.project_id, at->repository, &repo));
    TRY(artifact_by_reference(c, repo, digest, &a));
    if (a.state != STATE_ACTIVE)
        return E_NOT_FOUND;
    TRY(tag_put(c, repo, tag, a.id, false));
    TRY(push_tell(c, at, a.digest, tag));
    return tx_commit(&tx);
}

enum err push_tag(struct ctx *c, const struct place *at, struct str digest, struct str tag)
{
    if (!name_is_tag(tag))
        return fail(c, E_BAD_REQUEST, "invalid tag");
    int64_t began = clock_mono_ms();
    enum err e = move_tag(c, at, digest, tag);
    for (int tries = 1; again(e, tries, began); tries++)
        e = move_tag(c, at, digest, tag);
    if (e == E_NOT_FOUND)
        return fail(c, E_MANIFEST_UNKNOWN, "artifact %.*s/%.*s@%.*s not found",
                    STR(at->access->project.name), STR(at->repository), STR(digest));
    return e;
}
