/*
 * Is what the store promises true? Runs beside the server: each question is a short transaction
 * of its own, and a finding that a change under way could explain is looked at twice before it is
 * said. What is safe to repair is repaired (usage, references, the state of a blob whose bytes are
 * gone); everything else is named for a person.
 *
 * The checks carry the numbers K1 to K8 in their lines.
 */
#include "registry/fsck.h"

#include "base/fd.h"
#include "base/log.h"
#include "blob/store.h"
#include "meta/audit.h"
#include "meta/project.h"
#include "meta/usage.h"
#include "registry/gc.h"
#include "rule/manifest.h"

#include <stdio.h>
#include <string.h>

#define PAGE 200
#define SAMPLE 100 /* a quick run hashes every hundredth object */
#define NAMED_MAX 20

struct check {
    struct ctx *c; /* of the page under way */
    struct services *sv;
    bool full;
    progress_fn *say;
    void *arg;
    struct fsck_report r;
};

/* Pages are read in a transaction; what is done with them is not. */
typedef enum err page_fn(struct check *k, int64_t *after, size_t *count);

static enum err pages(struct check *k, page_fn *page)
{
    struct ctx *outer = k->c;
    int64_t after = 0;
    size_t count = 1;
    enum err e = E_OK;
    while (e == E_OK && count) {
        struct ctx c = {.sv = k->sv, .actor = outer->actor};
        k->c = &c;
        count = 0;
        e = gc_stopping() ? fail(&c, E_UNAVAILABLE, "stopped: the server ends")
                          : page(k, &after, &count);
        if (e != E_OK)
            memcpy(outer->msg, c.msg, sizeof outer->msg);
        k->c = outer;
        ctx_release(&c);
    }
    return e;
}

/* ---- K2, K3: objects of rows ------------------------------------------------------------- */

/* The row as it is now; gone or changed means that the finding was a change under way. */
static enum err same_now(struct check *k, const struct blob *b, bool *same)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob now;
    TRY(tx_read(k->c, &tx));
    enum err e = blob_by_digest(k->c, b->digest, &now);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    *same = e == E_OK && now.id == b->id && str_eq(now.phys_key, b->phys_key) &&
            (now.state == STATE_ACTIVE || now.state == STATE_CONDEMNED);
    return E_OK;
}

static enum err bytes_are_right(struct check *k, const struct blob *b, bool hash, const char **why)
{
    CLEANUP(fd_done) int fd = -1;
    int64_t size;
    *why = NULL;
    if (store_read(k->c, b->phys_key, &fd, &size) != E_OK)
        *why = "the object is missing";
    else if (size != b->size)
        *why = "the object has another size";
    if (*why || !hash)
        return E_OK;
    struct digest want, got;
    struct hasher *h = NULL;
    TRY(digest_parse(k->c, b->digest, &want));
    if (store_hash(k->c, fd, size, want.alg, &h) != E_OK)
        *why = "the object cannot be read";
    else if (!hasher_end(h, &got) || !digest_eq(&got, &want))
        *why = "the object has other content";
    hasher_free(h);
    return E_OK;
}

static enum err damaged(struct check *k, const struct blob *b, const char *why)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct strs users;
    bool original;
    TRY(tx_begin(k->c, &tx));
    if (b->state != STATE_QUARANTINED)
        TRY(blob_quarantine(k->c, b->id));
    TRY(audit_is_original(k->c, b->id, &original));
    TRY(audit_users(k->c, b->id, NAMED_MAX, &users));
    TRY(tx_commit(&tx));
    k->r.findings++;
    if (original)
        k->r.lost++;
    else
        k->r.repaired++; /* its upstream still has it, or nobody asks for it */
    progress_line(k->say, k->arg, "K2 blob %.*s: %s; quarantined%s", STR(b->digest), why,
                  original ? ", LOST" : ", to be fetched again when it is pulled");
    for (size_t i = 0; i < users.count; i++)
        progress_line(k->say, k->arg, "   needed by %.*s", STR(users.items[i]));
    return E_OK;
}

static enum err check_blob(struct check *k, const struct blob *b)
{
    const char *why;
    bool same = true;
    k->r.blobs++;
    if (b->state == STATE_QUARANTINED)
        return damaged(k, b, "quarantined earlier");
    if (b->state != STATE_ACTIVE && b->state != STATE_CONDEMNED)
        return E_OK;
    TRY(bytes_are_right(k, b, k->full || b->id % SAMPLE == 0, &why));
    if (why)
        TRY(same_now(k, b, &same));
    return why && same ? damaged(k, b, why) : E_OK;
}

static enum err blob_rows(struct check *k, int64_t *after, size_t *count)
{
    struct list rows;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(k->c, &tx));
        TRY(blob_page(k->c, *after, PAGE, &rows));
    }
    const struct blob *b = rows.items;
    for (size_t i = 0; i < rows.count; i++) {
        TRY(check_blob(k, &b[i]));
        *after = b[i].id;
    }
    *count = rows.count;
    return E_OK;
}

/* ---- K4: rows of objects ----------------------------------------------------------------- */

static enum err knows(struct check *k, struct str key, bool *known)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(k->c, &tx));
    return audit_knows_key(k->c, key, known);
}

static enum err check_object(struct ctx *c, struct str key, int64_t size, void *arg)
{
    struct check *k = arg;
    struct ctx mine = {.sv = c->sv, .actor = c->actor};
    struct ctx *outer = k->c;
    bool known = true, there = false;
    k->c = &mine;
    enum err e = knows(k, key, &known);
    if (e == E_OK && !known)
        e = store_has(&mine, key, &there);
    if (e == E_OK && !known && there) {
        k->r.findings++;
        progress_line(k->say, k->arg, "K4 object %.*s (%lld bytes) belongs to no row", STR(key),
                      (long long)size);
    }
    if (e != E_OK)
        memcpy(c->msg, mine.msg, sizeof c->msg);
    k->c = outer;
    ctx_release(&mine);
    return e;
}

/* ---- K5, K6: manifests ------------------------------------------------------------------- */

static bool among(const struct strs *all, struct str s)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(all->items[i], s))
            return true;
    return false;
}

static enum err mend_ref(struct check *k, const struct audit_artifact *a,
                         const struct descriptor *d)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob blob;
    k->r.findings++;
    TRY(tx_begin(k->c, &tx));
    enum err e = blob_by_digest(k->c, d->digest, &blob);
    if (e == E_NOT_FOUND && a->registry_id)
        e = blob_expect(k->c, d->digest, d->size, &blob);
    if (e == E_NOT_FOUND) {
        k->r.lost++;
        progress_line(k->say, k->arg, "K5 manifest %.*s needs blob %.*s, which is LOST",
                      STR(a->digest), STR(d->digest));
        return E_OK;
    }
    TRY(e);
    TRY(audit_add_blob_ref(k->c, a->id, blob.id));
    TRY(tx_commit(&tx));
    k->r.repaired++;
    progress_line(k->say, k->arg, "K5 manifest %.*s: reference to %.*s was missing, made again",
                  STR(a->digest), STR(d->digest));
    return E_OK;
}

static enum err mend_subject(struct check *k, const struct audit_artifact *a, struct str subject)
{
    CLEANUP(tx_end) struct tx tx = {0};
    k->r.findings++;
    TRY(tx_begin(k->c, &tx));
    TRY(audit_set_subject(k->c, a->id, subject));
    TRY(tx_commit(&tx));
    k->r.repaired++;
    progress_line(k->say, k->arg, "K6 manifest %.*s: subject was wrong, set again", STR(a->digest));
    return E_OK;
}

static enum err check_refs(struct check *k, const struct audit_artifact *a,
                           const struct manifest *m, const struct strs *blobs,
                           const struct strs *children)
{
    if (!m->index && m->config.digest.n && !among(blobs, m->config.digest))
        TRY(mend_ref(k, a, &m->config));
    for (size_t i = 0; i < m->layer_count; i++)
        if (!m->layers[i].foreign && !among(blobs, m->layers[i].digest))
            TRY(mend_ref(k, a, &m->layers[i]));
    for (size_t i = 0; i < m->child_count; i++) {
        if (among(children, m->children[i].digest))
            continue;
        k->r.findings++;
        progress_line(k->say, k->arg, "K5 index %.*s: reference to %.*s is missing", STR(a->digest),
                      STR(m->children[i].digest));
    }
    return str_eq(m->subject_digest, a->subject_digest) ? E_OK
                                                        : mend_subject(k, a, m->subject_digest);
}

static enum err check_manifest(struct check *k, const struct audit_artifact *a)
{
    struct digest want, got;
    struct manifest m;
    struct strs blobs, children;
    k->r.manifests++;
    TRY(digest_parse(k->c, a->digest, &want));
    if (!digest_of(want.alg, a->payload, &got) || !digest_eq(&got, &want)) {
        k->r.findings++;
        k->r.lost += a->registry_id ? 0 : 1;
        progress_line(k->say, k->arg, "K5 manifest %.*s: its bytes are broken%s", STR(a->digest),
                      a->registry_id ? "" : ", LOST");
        return E_OK;
    }
    if (manifest_parse(k->c, a->payload, a->media_type, &m) != E_OK) {
        k->r.findings++;
        progress_line(k->say, k->arg, "K5 manifest %.*s does not parse: %s", STR(a->digest),
                      k->c->msg);
        return E_OK;
    }
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(k->c, &tx));
        TRY(audit_blob_refs(k->c, a->id, &blobs));
        TRY(audit_child_refs(k->c, a->id, &children));
        struct artifact now; /* deleted meanwhile: its references went with it */
        enum err e = artifact_by_reference(k->c, a->repository_id, a->digest, &now);
        if (e == E_NOT_FOUND || (e == E_OK && now.id != a->id))
            return E_OK;
        TRY(e);
    }
    return check_refs(k, a, &m, &blobs, &children);
}

static enum err manifest_rows(struct check *k, int64_t *after, size_t *count)
{
    struct list rows;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(k->c, &tx));
        TRY(audit_artifacts(k->c, *after, 20, &rows));
    }
    const struct audit_artifact *a = rows.items;
    for (size_t i = 0; i < rows.count; i++) {
        if (a[i].state == STATE_ACTIVE)
            TRY(check_manifest(k, &a[i]));
        *after = a[i].id;
    }
    *count = rows.count;
    return E_OK;
}

/* ---- K1, K6, K7, K8 ---------------------------------------------------------------------- */

static void name_all(struct check *k, const char *what, const struct strs *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        progress_line(k->say, k->arg, "%s: %.*s", what, STR(lines->items[i]));
    k->r.findings += (int64_t)lines->count;
}

static enum err check_database(struct check *k)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct strs tags, refs;
    int64_t deleting, uploads;
    if (db_check(k->c) != E_OK) {
        k->r.findings++;
        progress_line(k->say, k->arg, "K1 %s", k->c->msg);
    }
    TRY(tx_read(k->c, &tx));
    TRY(audit_bad_tags(k->c, NAMED_MAX, &tags));
    name_all(k, "K6 tag without its manifest", &tags);
    TRY(audit_bad_refs(k->c, NAMED_MAX, &refs));
    name_all(k, "K2 reference to a blob that is not here", &refs);
    TRY(audit_overdue(k->c, &deleting, &uploads));
    if (deleting)
        progress_line(k->say, k->arg, "K8 %lld deletions wait for the next garbage collection",
                      (long long)deleting);
    if (uploads)
        progress_line(k->say, k->arg, "K8 %lld uploads wait for the next sweep",
                      (long long)uploads);
    return E_OK;
}

static enum err project_ids(struct check *k, struct i64s *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(k->c, &tx));
    return audit_projects(k->c, out);
}

/* Of one moment: a push that goes on meanwhile waits for nothing. */
static enum err usage_right(struct check *k, int64_t project, bool *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct project p;
    int64_t sum;
    TRY(tx_read(k->c, &tx));
    enum err e = project_by_id(k->c, project, &p);
    *out = e == E_NOT_FOUND;
    if (*out)
        return E_OK;
    TRY(e);
    TRY(usage_sum(k->c, project, &sum));
    *out = p.storage_used == sum;
    return E_OK;
}

static enum err set_usage(struct check *k, int64_t project, int64_t *was, int64_t *now)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(k->c, &tx));
    TRY(usage_recount(k->c, project, was, now));
    return tx_commit(&tx);
}

static enum err check_usage(struct check *k)
{
    struct i64s ids;
    TRY(project_ids(k, &ids));
    for (size_t i = 0; i < ids.count; i++) {
        bool right;
        int64_t was = 0, now = 0;
        TRY(usage_right(k, ids.items[i], &right));
        if (!right)
            TRY(set_usage(k, ids.items[i], &was, &now));
        if (was == now)
            continue;
        k->r.findings++;
        k->r.repaired++;
        progress_line(k->say, k->arg,
                      "K7 project %lld used %lld bytes by its row, %lld in truth; set",
                      (long long)ids.items[i], (long long)was, (long long)now);
    }
    return E_OK;
}

enum err fsck_run(struct ctx *c, bool full, progress_fn *say, void *arg, struct fsck_report *out)
{
    struct check k = {.c = c, .sv = c->sv, .full = full, .say = say, .arg = arg};
    TRY(check_database(&k));
    TRY(pages(&k, blob_rows));
    TRY(pages(&k, manifest_rows));
    if (full)
        TRY(store_walk(c, check_object, &k));
    TRY(check_usage(&k));
    if (k.r.lost)
        k.r.exit_code = 3;
    else if (k.r.findings > k.r.repaired)
        k.r.exit_code = 2;
    else
        k.r.exit_code = k.r.repaired ? 1 : 0;
    progress_line(k.say, k.arg,
                  "%lld blobs, %lld manifests: %lld findings, %lld repaired, %lld lost",
                  (long long)k.r.blobs, (long long)k.r.manifests, (long long)k.r.findings,
                  (long long)k.r.repaired, (long long)k.r.lost);
    *out = k.r;
    return E_OK;
}
