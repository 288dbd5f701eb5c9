/*
 * One question, many who wait.
 *
 * Questions are keyed by what they ask and for which project, so that the answer may move that
 * project's tag. The thread that asks also writes: a tag confirmed or moved, a manifest stored.
 * Whoever waits only reads the answer. An answer is complete before anybody is told, and the key
 * is free again at the same moment: a request that comes later asks anew.
 *
 * A store that cannot take a manifest is no reason to keep it from the clients (it is logged and
 * counted). Who may be asked at all, and what to do with the answer, is not decided here.
 */
#include "registry/ask.h"

#include "base/crypt.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "meta/artifact.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "registry/burn.h"
#include "registry/crew.h"
#include "registry/figures.h"
#include "registry/flight.h"
#include "registry/held.h"
#include "registry/ledger.h"
#include "registry/place.h"
#include "registry/push.h"
#include "registry/readonly.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define LANE_THREADS 64 /* that ask one upstream */
#define ALL_THREADS 256
#define HEAD_CACHED_MS 5000
#define HEAD_MS 15000

struct asks {
    struct services *sv;
    struct crew *crew;
    pthread_mutex_t lock;
    struct map table; /* key -> struct question under way */
};

struct question {
    struct asks *asks;
    struct ctx c; /* the answer's memory, until the last one has read it */
    struct str key;
    struct ask_want want; /* copied */
    bool fetch_after;     /* HEAD: when nobody waits any more, fetch what is new */
    pthread_cond_t told;
    int64_t asked_ms;
    int refs, waiting;
    bool done;
    struct ask_answer answer;
};

struct asks *asks_new(struct services *sv)
{
    struct asks *as = calloc(1, sizeof *as);
    if (!as)
        return NULL;
    as->sv = sv;
    pthread_mutex_init(&as->lock, NULL);
    as->crew = crew_new(LANE_THREADS, ALL_THREADS);
    if (!as->crew) {
        asks_free(as);
        return NULL;
    }
    return as;
}

void asks_free(struct asks *as)
{
    if (!as)
        return;
    crew_free(as->crew);
    map_release(&as->table);
    pthread_mutex_destroy(&as->lock);
    free(as);
}

/* ---- what the answer means ---- */

static enum fresh_heard heard_of(enum err err, const struct oci_status *st)
{
    if (st->http == 405)
        return HEARD_UNSURE;
    if (err == E_MANIFEST_UNKNOWN || err == E_BLOB_UNKNOWN)
        return HEARD_NOT_FOUND;
    if (err == E_TOO_MANY && st->http == 429)
        return st->pull_limit ? HEARD_PULL_LIMIT : HEARD_BUSY;
    if (err == E_DENIED || err == E_UNAUTHORIZED || err == E_FORBIDDEN)
        return HEARD_DENIED;
    return err == E_UPSTREAM_TIMEOUT ? HEARD_TIMEOUT : HEARD_BROKEN;
}

static enum err keep_tag(struct ctx *c, const struct manifest_row *row, struct str tag,
                         bool only_time)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    if (only_time)
        TRY(tag_checked(c, row->repository_id, tag));
    else
        TRY(tag_put(c, row->repository_id, tag, row->artifact_id, true));
    return tx_commit(&tx);
}

/* What the store has under the tag and under the digest that upstream named. */
static enum fresh_heard compare(struct ctx *c, const struct ask_want *w, struct str digest,
                                struct manifest_row *row)
{
    int64_t project = w->at->access->project.project_id;
    bool by_tag = str_find(w->ref, ':') < 0;
    CLEANUP(tx_end) struct tx tx = {0};
    if (tx_read(c, &tx) != E_OK)
        return HEARD_NEW;
    if (by_tag && manifest_by_tag(c, project, w->at->repository, w->ref, row) == E_OK &&
        row->state == STATE_ACTIVE && str_eq(row->digest, digest))
        return HEARD_SAME;
    if (manifest_by_digest(c, project, w->at->repository, digest, row) == E_OK &&
        row->state == STATE_ACTIVE)
        return HEARD_HERE;
    return HEARD_NEW;
}

static enum fresh_heard heard_of_head(struct question *q)
{
    struct ctx *c = &q->c;
    const struct ask_want *w = &q->want;
    struct manifest_row row = {0};
    struct str digest = q->answer.manifest.digest;
    if (!digest.n)
        return HEARD_UNSURE;
    enum fresh_heard heard = compare(c, w, digest, &row);
    bool by_tag = str_find(w->ref, ':') < 0;
    if (by_tag && heard != HEARD_SAME &&
        held_back(c, w->at, w->ref, digest, w->keep_time, &q->answer.held_until))
        return HEARD_HELD;
    bool write =
        by_tag && !read_only() && (heard == HEARD_HERE || (heard == HEARD_SAME && w->keep_time));
    if (write && keep_tag(c, &row, w->ref, heard == HEARD_SAME) != E_OK) {
        metric_add(M_cache_write_errors, 1);
        log_warn("proxy", "cannot note tag %.*s of %.*s: %s", STR(w->ref), STR(w->at->repository),
                 c->msg);
    }
    return heard;
}

/* A GET by digest brings what was asked for; one by tag may bring what is held back. */
static enum fresh_heard heard_of_get(struct question *q)
{
    const struct ask_want *w = &q->want;
    struct str digest = q->answer.manifest.digest;
    bool by_tag = w->kind == ASK_GET && str_find(w->ref, ':') < 0;
    if (by_tag && held_back(&q->c, w->at, w->ref, digest, w->keep_time, &q->answer.held_until))
        return HEARD_HELD;
    return HEARD_NEW;
}

/* Under its tag and the digest that upstream knows it by, which need not be a sha256. */
static enum err store_as(struct question *q, const struct oci_manifest *m, struct str tag)
{
    struct ctx *c = &q->c;
    const struct place *at = q->want.at;
    struct pushed_manifest pushed;
    struct manifest_row row = {0};
    bool plain = str_starts(m->digest, S("sha256:"));
    struct str ref = tag.n && plain ? tag : m->digest;
    TRY(push_manifest(c, at, ORIGIN_PROXY, ref, m->media_type, m->payload, &pushed));
    if (plain || !tag.n)
        return E_OK;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(manifest_by_digest(c, at->access->project.project_id, at->repository, m->digest, &row));
    tx_end(&tx);
    return keep_tag(c, &row, tag, false);
}

/* Stores what came. The client is served either way. */
static void store(struct question *q)
{
    const struct ask_want *w = &q->want;
    const struct oci_manifest *m = &q->answer.manifest;
    if (read_only())
        return;
    /* A HEAD by digest names no tag. */
    struct str tag = w->kind != ASK_HEAD ? w->tag : str_find(w->ref, ':') < 0 ? w->ref : NO_STR;
    if (store_as(q, m, tag) == E_OK)
        return;
    metric_add(M_cache_write_errors, 1);
    log_warn("proxy", "manifest %.*s of %.*s is passed on without being stored: %s", STR(m->digest),
             STR(w->at->repository), q->c.msg);
    q->c.msg[0] = 0;
}

/* ---- asking ---- */

static enum err ask_once(struct question *q, struct oci_status *st)
{
    const struct ask_want *w = &q->want;
    const struct endpoint *e = &w->at->access->endpoint;
    struct ask_answer *a = &q->answer;
    struct digest d;
    switch (w->kind) {
    case ASK_HEAD:
        return oci_head_manifest(&q->c, e, w->at->repository, w->ref,
                                 w->cached ? HEAD_CACHED_MS : HEAD_MS, &a->manifest, st);
    case ASK_GET: return oci_get_manifest(&q->c, e, w->at->repository, w->ref, &a->manifest, st);
    case ASK_HEAD_BLOB:
        TRY(digest_parse(&q->c, w->ref, &d));
        return oci_head_blob(&q->c, e, w->at->repository, &d, &a->size, st);
    }
    return E_INTERNAL;
}

/* Whoever asks for a digest a moment after another's fetch of it finds it in the store: the check
   stands here, behind the place in the table, so that no digest is fetched twice. */
static bool is_stored(struct question *q)
{
    const struct ask_want *w = &q->want;
    struct ctx *c = &q->c;
    struct manifest_row row = {0};
    if (w->kind != ASK_GET || str_find(w->ref, ':') < 0)
        return false;
    CLEANUP(tx_end) struct tx tx = {0};
    if (tx_read(c, &tx) != E_OK ||
        manifest_by_digest(c, w->at->access->project.project_id, w->at->repository, w->ref, &row) !=
            E_OK ||
        row.state != STATE_ACTIVE)
        return false;
    struct digest want, have;
    if (digest_parse(c, w->ref, &want) != E_OK || !digest_of(want.alg, row.payload, &have) ||
        !digest_eq(&want, &have))
        return false;
    q->answer = (struct ask_answer){
        .heard = HEARD_HERE,
        .manifest = {row.digest, row.media_type, (int64_t)row.payload.n, row.payload},
        .joined = true,
    };
    return true;
}

/* A question that somebody depends on is repeated when the upstream stumbles (not when it is
   slow, and not when it says no). */
static enum err ask_upstream(struct question *q, struct oci_status *st)
{
    static const int64_t pauses_ms[] = {100, 400};
    const struct endpoint *e = &q->want.at->access->endpoint;
    struct conditions *conditions = flights_conditions(q->c.sv->flights);
    for (size_t try = 0;; try++) {
        *st = (struct oci_status){.limit = -1, .remaining = -1};
        q->answer.size = -1;
        enum err err = ask_once(q, st);
        condition_note(conditions, e, err, st);
        ledger_note(&q->c, e, st);
        if (err == E_OK && q->want.kind == ASK_GET) {
            burn_note(q->want.at);
            figures_counted(q->want.at);
        }
        if (err != E_UPSTREAM || q->want.cached || try >= COUNT(pauses_ms) || st->http == 405)
            return err;
        uint32_t r;
        random_fill(&r, sizeof r);
        int64_t pause = pauses_ms[try] / 2 + (int64_t)(r % (uint64_t)pauses_ms[try]);
        usleep((useconds_t)pause * 1000);
    }
}

static void question_unref(struct question *q)
{
    pthread_mutex_lock(&q->asks->lock);
    int left = --q->refs;
    pthread_mutex_unlock(&q->asks->lock);
    if (left)
        return;
    pthread_cond_destroy(&q->told);
    ctx_release(&q->c);
    free(q);
}

static struct question *begin(struct asks *as, const struct ask_want *w, struct str key);

/* Everybody went away with the cached tag while upstream took its time; it has moved: fetch it, so
   that the next one gets it. */
static void fetch_behind(struct question *q)
{
    struct condition now;
    const struct endpoint *e = &q->want.at->access->endpoint;
    condition_look(flights_conditions(q->c.sv->flights), e, USE_GET, &now);
    if (now.state != ENDPOINT_OPEN)
        return;
    struct ask_want get = {
        .kind = ASK_GET, .at = q->want.at, .ref = q->answer.manifest.digest, .tag = q->want.ref};
    struct str key =
        str_fmt(&q->c.mem, "g%lld %.*s@%.*s", (long long)q->want.at->access->project.project_id,
                STR(q->want.at->repository), STR(get.ref));
    pthread_mutex_lock(&q->asks->lock);
    struct question *next = map_get(&q->asks->table, key) ? NULL : begin(q->asks, &get, key);
    pthread_mutex_unlock(&q->asks->lock);
    if (next)
        question_unref(next);
}

/* Asks, and notes what the answer means and what must be kept of it. *came: with a manifest. */
static void find_answer(struct question *q, bool *came)
{
    struct oci_status st;
    struct ask_answer *a = &q->answer;
    enum err err = ask_upstream(q, &st);
    a->err = err;
    a->status = condition_status(err, &st);
    a->retry_after_s = st.retry_after_s ? st.retry_after_s : q->c.retry_after;
    a->reason = st.reason.n ? st.reason : str_dup(&q->c.mem, str_of(q->c.msg));
    if (err != E_OK)
        a->heard = heard_of(err, &st);
    else if (q->want.kind == ASK_HEAD)
        a->heard = heard_of_head(q);
    else
        a->heard = heard_of_get(q);
    /* A HEAD that only a GET could answer has brought the manifest. */
    *came = err == E_OK && a->manifest.payload.n;
    if (*came && a->heard == HEARD_NEW)
        store(q);
}

static void run(void *arg)
{
    struct question *q = arg;
    struct asks *as = q->asks;
    bool came = false;
    if (!is_stored(q))
        find_answer(q, &came);
    pthread_mutex_lock(&as->lock);
    (void)map_remove(&as->table, q->key);
    q->done = true;
    bool alone = q->waiting == 0;
    pthread_cond_broadcast(&q->told);
    pthread_mutex_unlock(&as->lock);
    if (alone && q->fetch_after && q->answer.heard == HEARD_NEW && !came)
        fetch_behind(q);
    question_unref(q);
}

/* A new question with two references: the thread's and the caller's. Under as->lock. */
static struct question *begin(struct asks *as, const struct ask_want *w, struct str key)
{
    struct question *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->asks = as;
    q->c = (struct ctx){.sv = as->sv, .actor = S("proxy")};
    q->key = str_dup(&q->c.mem, key);
    q->want = *w;
    q->want.at = place_copy(&q->c.mem, w->at);
    if (q->want.at->principal->name.n) /* whose pull it was that saw what upstream says */
        q->c.actor = q->want.at->principal->name;
    q->want.ref = str_dup(&q->c.mem, w->ref);
    q->want.tag = str_dup(&q->c.mem, w->tag);
    q->fetch_after = w->kind == ASK_HEAD && w->budget_ms > 0 && str_find(w->ref, ':') < 0;
    q->refs = 2;
    q->asked_ms = clock_mono_ms();
    clock_cond_init(&q->told);
    if (map_set(&as->table, q->key, q)) {
        if (crew_run(as->crew, w->at->access->endpoint.id, run, q))
            return q;
        (void)map_remove(&as->table, q->key);
    }
    pthread_cond_destroy(&q->told);
    ctx_release(&q->c);
    free(q);
    return NULL;
}

/* Waits for the answer, at most until budget_ms after it was asked: who comes later to a slow
   upstream waits less. Under as->lock. */
static bool await(struct asks *as, struct question *q, int64_t budget_ms)
{
    if (budget_ms > 0)
        budget_ms = i64_max(1, q->asked_ms + budget_ms - clock_mono_ms());
    struct timespec until = clock_deadline(budget_ms);
    int rc = 0;
    q->waiting++;
    while (!q->done && rc == 0)
        rc = budget_ms > 0 ? pthread_cond_timedwait(&q->told, &as->lock, &until)
                           : pthread_cond_wait(&q->told, &as->lock);
    q->waiting--;
    return q->done;
}

static void copy_answer(struct ctx *c, const struct ask_answer *a, struct ask_answer *out)
{
    *out = *a;
    out->manifest.digest = str_dup(&c->mem, a->manifest.digest);
    out->manifest.media_type = str_dup(&c->mem, a->manifest.media_type);
    out->manifest.payload = str_dup(&c->mem, a->manifest.payload);
    out->reason = str_dup(&c->mem, a->reason);
}

enum err ask(struct ctx *c, const struct ask_want *w, struct ask_answer *out)
{
    struct asks *as = flights_asks(c->sv->flights);
    static const char letters[] = {[ASK_HEAD] = 'h', [ASK_GET] = 'g', [ASK_HEAD_BLOB] = 'b'};
    struct str key =
        str_fmt(&c->mem, "%c%lld %.*s@%.*s", letters[w->kind],
                (long long)w->at->access->project.project_id, STR(w->at->repository), STR(w->ref));
    pthread_mutex_lock(&as->lock);
    struct question *q = map_get(&as->table, key);
    bool joined = q != NULL;
    if (q)
        q->refs++;
    else
        q = begin(as, w, key);
    bool done = q && await(as, q, w->budget_ms);
    pthread_mutex_unlock(&as->lock);
    if (!q) {
        c->retry_after = 5;
        return fail(c, E_UNAVAILABLE, "too many questions to upstreams are under way");
    }
    if (done)
        copy_answer(c, &q->answer, out);
    else
        *out = (struct ask_answer){.heard = HEARD_OVER_BUDGET, .err = E_UPSTREAM_TIMEOUT};
    out->joined = joined || out->joined;
    question_unref(q);
    return E_OK;
}
