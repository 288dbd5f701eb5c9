/*
 * The proxy cache's use cases: look at what the store has, let rule/fresh.h decide, ask, serve.
 *
 * A request never writes and never fetches by itself: questions run in registry/ask.c, blob fetches
 * in registry/flight.c, both shared by all who want the same. What is left here is the straight
 * line of one pull, its outcome for log and metrics, and the words of a refusal.
 */
#include "registry/proxy.h"

#include "base/log.h"
#include "blob/store.h"
#include "meta/blob.h"
#include "meta/referrer.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "registry/ask.h"
#include "registry/far.h"
#include "registry/ledger.h"
#include "registry/named.h"
#include "registry/readonly.h"
#include "registry/tally.h"
#include "rule/glob.h"
#include "rule/manifest.h"
#include "rule/regex.h"
#include "rule/settings.h"

#include <stdlib.h>
#include <unistd.h>

#define STEPS_MAX 8 /* of one pull's straight line; more is our bug */
#define CLOCK_SLACK_S 60
#define QUEUE_MAX_S 2 /* a wish to wait so long is heeded instead of passed on */

static int64_t number(struct str text, int64_t otherwise)
{
    int64_t n;
    return text.n && str_to_i64(text, &n) ? n : otherwise;
}

static const struct endpoint *upstream(const struct place *at)
{
    return &at->access->endpoint;
}

static struct conditions *conditions_of(struct ctx *c)
{
    return flights_conditions(c->sv->flights);
}

/* The project's filter (proxy_cache_filter_pattern) against the upstream's name of the repository.
 */
static enum err check_filter(struct ctx *c, const struct place *at)
{
    const struct project *p = &at->access->project;
    struct str pattern = p->proxy_cache_filter_pattern;
    bool regex = str_eq(p->proxy_cache_filter_kind, S("regex"));
    if (!pattern.n || (regex ? regex_match : glob_match)(pattern, at->repository))
        return E_OK;
    return fail(c, E_NAME_UNKNOWN, "repository %.*s is not offered by proxy project %.*s",
                STR(at->repository), STR(at->access->project.name));
}

/* The refusal in the upstream's own status and words. */
static enum err refuse(struct ctx *c, const struct place *at, struct fresh_answer a, int status,
                       int64_t retry_after_s, struct str words)
{
    c->retry_after = retry_after_s || a.err != E_TOO_MANY ? retry_after_s : 1;
    if (status && a.err != E_MANIFEST_UNKNOWN && a.err != E_BLOB_UNKNOWN)
        c->status = status;
    if (a.err == E_MANIFEST_UNKNOWN || a.err == E_BLOB_UNKNOWN)
        return fail(c, a.err, "%.*s: not found at upstream %.*s", STR(at->repository),
                    STR(upstream(at)->name));
    if (a.reason == FRESH_PAUSED_REASON)
        return fail(c, a.err, "upstream %.*s is %.*s", STR(upstream(at)->name), STR(words));
    return fail(c, a.err, "upstream %.*s: %s%s%.*s", STR(upstream(at)->name),
                fresh_reason_text(a.reason), words.n ? ": " : "", STR(words));
}

/* ---- manifests ---- */

struct pull { /* one manifest pull on its way */
    struct ctx *c;
    const struct place *at;
    struct str reference;
    bool head;
    const struct manifest_row *local; /* NULL = not cached */
    struct fresh_question q;
    struct condition condition; /* as looked at last */
    struct ask_answer said;     /* the last answer */
    bool asked, patient, queued;
    struct pulled_manifest *out;
};

static enum err give_row(struct pull *p, const struct manifest_row *row, enum outcome outcome)
{
    *p->out = (struct pulled_manifest){
        .digest = row->digest,
        .media_type = row->media_type,
        .payload = row->payload,
        .subject_digest = row->subject_digest,
        .size = (int64_t)row->payload.n,
        .outcome = outcome,
        .stale = outcome == OUTCOME_STALE,
    };
    if (!p->head && !p->at->background)
        tally_pull(row->repository_id, row->artifact_id, row->tag_id);
    return E_OK;
}

static enum err find_row(struct pull *p, struct str digest, struct manifest_row *row)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(p->c, &tx));
    return manifest_by_digest(p->c, p->at->access->project.project_id, p->at->repository, digest,
                              row);
}

/* From the cache. After a HEAD it is the row of the digest that upstream named, whatever the tag
   was when this request looked first. *gone: it has left the store meanwhile. */
static enum err serve(struct pull *p, struct fresh_answer a, bool *gone)
{
    enum outcome outcome = p->asked ? OUTCOME_REVALIDATED : OUTCOME_HIT;
    if (a.verdict == FRESH_STALE)
        return give_row(p, p->local, OUTCOME_STALE);
    if (!p->asked || p->q.heard == HEARD_NOTHING || p->q.heard == HEARD_HELD ||
        (p->local && str_eq(p->local->digest, p->said.manifest.digest)))
        return give_row(p, p->local, outcome);
    struct manifest_row row = {0};
    *gone = find_row(p, p->said.manifest.digest, &row) != E_OK || row.state != STATE_ACTIVE;
    if (*gone)
        return E_OK;
    if (p->local && !row.tag_id)
        row.tag_id = p->local->tag_id;
    return give_row(p, &row, outcome);
}

static enum err ask_head(struct pull *p)
{
    const struct project *project = &p->at->access->project;
    int64_t budget = number(project->proxy_budget_ms, p->c->sv->settings->proxy_budget_ms);
    struct ask_want w = {
        .kind = ASK_HEAD,
        .at = p->at,
        .ref = p->reference,
        .budget_ms = p->q.cached && !p->patient ? i64_max(1, budget) : 0,
        .keep_time = p->q.window_s > 0 || p->q.max_stale_s >= 0,
        .cached = p->q.cached,
    };
    p->asked = true;
    enum err known =
        condition_absent(conditions_of(p->c), upstream(p->at), p->at->repository, p->reference);
    if (known != E_OK) {
        p->said = (struct ask_answer){.err = known, .status = 502};
        p->q.heard = known == E_DENIED ? HEARD_DENIED : HEARD_NOT_FOUND;
        return E_OK;
    }
    TRY(ask(p->c, &w, &p->said));
    p->q.heard = p->said.heard;
    p->patient = true; /* asked again after the budget, the copy is too old to be served */
    if (!p->said.joined)
        condition_absent_note(conditions_of(p->c), upstream(p->at), p->at->repository, p->reference,
                              p->said.err);
    if (!p->q.by_digest && p->said.err == E_OK) {
        int64_t id = project->project_id;
        if (p->q.heard == HEARD_NEW && p->head)
            named_note(id, p->at->repository, p->reference, p->said.manifest.digest);
        else
            named_forget(id, p->at->repository, p->reference);
    }
    return E_OK;
}

static void give_answer(struct pull *p)
{
    const struct oci_manifest *m = &p->said.manifest;
    *p->out = (struct pulled_manifest){
        .digest = m->digest,
        .media_type = m->media_type,
        .payload = m->payload,
        .size = m->size,
        .outcome = p->said.joined ? OUTCOME_COALESCED : OUTCOME_MISS,
    };
}

/* The tag's row, for the count of its pulls; 0 = none. */
static int64_t tag_id(struct pull *p, int64_t repository_id, struct str tag)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct tag t = {0};
    if (!tag.n || tx_read(p->c, &tx) != E_OK || tag_by_name(p->c, repository_id, tag, &t) != E_OK)
        return 0;
    return t.id;
}

static enum err move_tag(struct ctx *c, const struct manifest_row *row, struct str tag)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct tag now;
    TRY(tx_begin(c, &tx));
    if (tag_by_name(c, row->repository_id, tag, &now) == E_OK &&
        now.artifact_id == row->artifact_id)
        return E_OK;
    TRY(tag_put(c, row->repository_id, tag, row->artifact_id, true));
    return tx_commit(&tx);
}

/* The manifest is stored by now (or cannot be); the pull is counted under its row. A tag whose
   fetch was another's gets its row here. */
static void settle_fetched(struct pull *p, struct str tag)
{
    struct manifest_row row = {0};
    if (find_row(p, p->said.manifest.digest, &row) != E_OK || row.state != STATE_ACTIVE)
        return; /* passed on without being stored; the reason is in the log */
    p->out->subject_digest = row.subject_digest;
    if (tag.n && p->said.joined && !read_only() && move_tag(p->c, &row, tag) != E_OK)
        log_warn("proxy", "cannot move tag %.*s: %s", STR(tag), p->c->msg); /* the next pull does */
    if (!p->at->background)
        tally_pull(row.repository_id, row.artifact_id, tag_id(p, row.repository_id, tag));
}

static enum err ask_get(struct pull *p, struct str ref, struct str tag)
{
    ref = str_dup(&p->c->mem, ref); /* it may be of the answer that is replaced here */
    struct ask_want w = {.kind = ASK_GET, .at = p->at, .ref = ref, .tag = tag};
    enum err known = condition_absent(conditions_of(p->c), upstream(p->at), p->at->repository, ref);
    if (known != E_OK) {
        p->said = (struct ask_answer){.err = known, .status = 502};
        p->q.heard = known == E_DENIED ? HEARD_DENIED : HEARD_NOT_FOUND;
        return E_OK;
    }
    TRY(ask(p->c, &w, &p->said));
    if (p->said.err != E_OK && !p->said.joined)
        condition_absent_note(conditions_of(p->c), upstream(p->at), p->at->repository, ref,
                              p->said.err);
    p->q.heard = p->said.heard;
    return E_OK;
}

/* GET by digest, by tag only when the HEAD did not name one or what it named is gone already (the
   tag moved in this moment, or the header lied). A digest that a HEAD named for a tag just now is
   stored under that tag too. */
static enum err fetch(struct pull *p, bool *given)
{
    bool named = !p->q.by_digest && p->asked && p->said.manifest.digest.n;
    struct str tag = p->q.by_digest ? named_take(&p->c->mem, p->at->access->project.project_id,
                                                 p->at->repository, p->reference)
                                    : p->reference;
    TRY(ask_get(p, named ? p->said.manifest.digest : p->reference, tag));
    if (named && p->said.err == E_MANIFEST_UNKNOWN)
        TRY(ask_get(p, p->reference, tag));
    if (p->said.err != E_OK || p->said.heard == HEARD_HELD)
        return E_OK;
    give_answer(p);
    settle_fetched(p, tag);
    *given = true;
    return E_OK;
}

/* May the next question be put? Looked at only when one would follow. */
static struct fresh_answer look(struct pull *p, enum condition_use use)
{
    if (p->c->sv->settings->proxy_offline)
        p->q.endpoint = ENDPOINT_OFFLINE;
    else {
        condition_look(conditions_of(p->c), upstream(p->at), use, &p->condition);
        p->q.endpoint = p->condition.state;
    }
    return fresh_decide(&p->q);
}

/* A short wish of the upstream to wait is heeded once, so that clients (dockerd above all) do not
   turn away from us. */
static bool queue(struct pull *p, struct fresh_answer a)
{
    int64_t wait = p->said.heard == HEARD_BUSY ? p->said.retry_after_s : p->condition.retry_after_s;
    if (p->queued || a.reason != FRESH_BUSY_REASON || wait < 1 || wait > QUEUE_MAX_S)
        return false;
    usleep((useconds_t)(wait * 1000000 + 50000));
    p->queued = true;
    p->asked = false;
    p->q.heard = HEARD_NOTHING;
    p->said = (struct ask_answer){0};
    return true;
}

static enum err refuse_pull(struct pull *p, struct fresh_answer a)
{
    if (a.reason == FRESH_HELD_REASON) {
        struct ctx *c = p->c;
        return fail(c, E_DENIED, "tag %.*s of %.*s is new upstream and held back until %.*s",
                    STR(p->reference), STR(p->at->repository),
                    STR(time_text(&c->mem, p->said.held_until)));
    }
    if (p->q.endpoint != ENDPOINT_OPEN && p->said.err == E_OK)
        return refuse(p->c, p->at, a, p->condition.status, p->condition.retry_after_s,
                      str_of(p->condition.reason));
    return refuse(p->c, p->at, a, p->said.status, p->said.retry_after_s, p->said.reason);
}

/* One step of the line; *done when the reply is in p->out. */
static enum err step(struct pull *p, struct fresh_answer *a, bool *done)
{
    bool gone = false;
    switch (a->verdict) {
    case FRESH_SERVE:
    case FRESH_STALE:
        TRY(serve(p, *a, &gone));
        *done = !gone;
        if (gone)
            p->q.heard = HEARD_NEW;
        break;
    case FRESH_REVALIDATE:
        TRY(ask_head(p));
        *done = p->q.heard == HEARD_NEW && (p->head || p->said.manifest.payload.n);
        if (*done)
            give_answer(p);
        if (*done && !p->head)
            settle_fetched(p, p->q.by_digest ? NO_STR : p->reference);
        break;
    case FRESH_FETCH:
        if (p->head && p->q.by_digest && !p->asked) {
            TRY(ask_head(p));
            *done = p->q.heard == HEARD_NEW;
            if (*done)
                give_answer(p);
            break;
        }
        if (p->asked) { /* the HEAD may have told that the limit is reached */
            *a = look(p, USE_GET);
            if (a->verdict != FRESH_FETCH)
                return E_OK;
        }
        TRY(fetch(p, done));
        break;
    case FRESH_REFUSE:
        if (!queue(p, *a))
            return refuse_pull(p, *a);
        *a = look(p, USE_HEAD);
        return E_OK;
    }
    *a = *done ? *a : fresh_decide(&p->q);
    return E_OK;
}

/* Seconds since upstream confirmed the tag. A time in the future (the clock was set back) counts as
   just past the window: such a tag is asked for, not believed until the clock has caught up. */
static int64_t age_of(struct timestamp checked_at, int64_t window_s)
{
    int64_t age_s = (clock_now().us - checked_at.us) / SECOND_US;
    return age_s >= -CLOCK_SLACK_S ? i64_max(0, age_s) : i64_max(0, window_s);
}

enum err proxy_manifest(struct ctx *c, const struct place *at, struct str reference, bool head,
                        const struct manifest_row *local, struct pulled_manifest *out)
{
    const struct project *project = &at->access->project;
    struct pull p = {
        .c = c, .at = at, .reference = reference, .head = head, .local = local, .out = out};
    TRY(check_filter(c, at));
    p.q = (struct fresh_question){
        .by_digest = str_find(reference, ':') >= 0,
        .cached = local != NULL,
        .pinned = local && local->pinned,
        .age_s = -1,
        .window_s = number(project->proxy_window_s, c->sv->settings->proxy_window_s),
        .max_stale_s = number(project->proxy_max_stale_s, -1),
        .keep_gone = str_eq(project->proxy_cache_local_on_not_found, S("true")),
    };
    if (local && local->checked_at.us > 0)
        p.q.age_s = age_of(local->checked_at, p.q.window_s);
    c->msg[0] = 0;
    struct fresh_answer a = fresh_decide(&p.q);
    if (a.verdict != FRESH_SERVE)
        a = look(&p, USE_HEAD);
    bool done = false;
    for (int i = 0; i < STEPS_MAX && !done; i++)
        TRY(step(&p, &a, &done));
    return done ? E_OK
                : fail(c, E_UPSTREAM, "upstream %.*s gives no steady answer",
                       STR(upstream(at)->name));
}

/* ---- blobs ---- */

static struct fresh_answer trouble(enum fresh_heard heard, enum err err)
{
    struct fresh_question q = {.by_digest = true, .max_stale_s = -1, .heard = heard};
    struct fresh_answer a = fresh_decide(&q);
    if (err == E_BLOB_UNKNOWN || a.err == E_MANIFEST_UNKNOWN)
        a.err = E_BLOB_UNKNOWN;
    return a;
}

/* Is the upstream to be asked for content at all? */
static enum err may_ask(struct ctx *c, const struct place *at)
{
    struct fresh_question q = {.by_digest = true, .max_stale_s = -1};
    struct condition now = {.state = ENDPOINT_OFFLINE};
    if (!c->sv->settings->proxy_offline)
        condition_look(conditions_of(c), upstream(at), USE_CONTENT, &now);
    q.endpoint = now.state;
    struct fresh_answer a = fresh_decide(&q);
    if (a.verdict != FRESH_REFUSE)
        return E_OK;
    return refuse(c, at, a, now.status, now.retry_after_s, str_of(now.reason));
}

/* What the upstream lately and repeatedly did not have is not asked for in this moment. */
static enum err not_absent(struct ctx *c, const struct place *at, const struct digest *d)
{
    enum err known =
        condition_absent(conditions_of(c), upstream(at), at->repository, digest_str(d));
    if (known == E_OK)
        return E_OK;
    return refuse(c, at, trouble(known == E_DENIED ? HEARD_DENIED : HEARD_NOT_FOUND, known), 502, 0,
                  NO_STR);
}

/* The upstream's word on a blob: 200 with its size, or a refusal. */
static enum err ask_blob(struct ctx *c, const struct place *at, const struct digest *d,
                         int64_t *size)
{
    struct ask_want w = {.kind = ASK_HEAD_BLOB, .at = at, .ref = digest_str(d)};
    struct ask_answer said;
    TRY(not_absent(c, at, d));
    TRY(ask(c, &w, &said));
    if (said.err == E_OK) {
        *size = said.size;
        return E_OK;
    }
    if (!said.joined)
        condition_absent_note(conditions_of(c), upstream(at), at->repository, w.ref, said.err);
    return refuse(c, at, trouble(said.heard, said.err), said.status, said.retry_after_s,
                  said.reason);
}

/* The size that this repository's own manifest gives the blob; -1 = none does. The row of a blob
   that never came holds what the first one said who named it, which may be anybody's lie. */
static int64_t named_size(struct ctx *c, const struct place *at, const struct digest *d)
{
    struct manifest_row row = {0};
    struct manifest m;
    struct str digest = digest_str(d);
    if (manifest_by_blob(c, at->access->project.project_id, at->repository, digest, &row) != E_OK ||
        manifest_parse(c, row.payload, row.media_type, &m) != E_OK)
        return -1;
    if (str_eq(m.config.digest, digest))
        return m.config.size;
    for (size_t i = 0; i < m.layer_count; i++)
        if (str_eq(m.layers[i].digest, digest))
            return m.layers[i].size;
    return -1;
}

/* Does a stored manifest of this repository name the blob? Then its size is known, too. */
static bool is_known(struct ctx *c, const struct place *at, const struct digest *d, int64_t *size)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob b;
    if (tx_read(c, &tx) != E_OK ||
        blob_known(c, at->access->project.project_id, at->repository, digest_str(d), &b) != E_OK)
        return false;
    *size = b.state == STATE_EXPECTED ? named_size(c, at, d) : b.size;
    return true;
}

/* How many blobs the project fetches at once; 0: as many as it likes. */
static int64_t line_of(const struct place *at)
{
    return i64_max(0, number(at->access->project.max_upstream_conn, 0));
}

/* The body that follows the flight, or runs ahead of it. */
static enum err follow(struct ctx *c, const struct place *at, struct flight *f, int64_t from,
                       struct source **out)
{
    TRY(flight_source(c, f, from, out));
    int64_t size = flight_size(f), have = flight_have(f);
    bool far = size > 0 && from - have > FLIGHT_FAR && from < size - FLIGHT_TAIL &&
               !str_eq(c->sv->settings->proxy_range, S("wait")) &&
               line_of(at) == 0 && /* it would be one more */
               !upstream(at)->halt.n;
    if (far)
        return far_source(c, f, at, from, size, *out, out);
    return E_OK;
}

/* stored: it only has to be linked, so it stands in no line. */
static enum err fly(struct ctx *c, const struct place *at, const struct digest *d, int64_t size,
                    bool stored, int64_t from, struct pulled_blob *out)
{
    struct flight_want w = {
        .at = at,
        .digest = d,
        .size = size,
        .limit = i64_max(0, number(at->access->project.proxy_speed_kb, 0)) * 128,
        .most = stored ? 0 : line_of(at),
    };
    struct flight *f;
    struct flight_stored here;
    bool led;
    enum err err = flight_join(c, &w, &f, &here, &led);
    if (err != E_OK) {
        condition_absent_note(conditions_of(c), upstream(at), at->repository, digest_str(d),
                              led ? err : E_OK);
        return err;
    }
    if (here.fd >= 0) {
        *out = (struct pulled_blob){
            .digest = str_dup(&c->mem, digest_str(d)),
            .size = here.size,
            .outcome = OUTCOME_HIT,
            .body = {.kind = BODY_FILE, .fd = here.fd, .end = here.size},
        };
        return E_OK;
    }
    struct source *source = NULL;
    /* An empty body is complete with its head: nothing of it can be held back. */
    if (flight_size(f) == 0 || (from > 0 && str_eq(c->sv->settings->proxy_range, S("wait"))))
        err = flight_settle(c, f);
    if (err == E_OK)
        err = follow(c, at, f, from, &source);
    if (err == E_OK) {
        int64_t end = flight_size(f);
        *out = (struct pulled_blob){
            .digest = str_dup(&c->mem, digest_str(d)),
            .size = end,
            .outcome = led ? OUTCOME_MISS : OUTCOME_COALESCED,
            .filling = true,
            .body = {.kind = BODY_SOURCE, .fd = -1, .source = source, .end = end},
        };
    }
    flight_release(f);
    return err;
}

enum err proxy_blob(struct ctx *c, const struct place *at, const struct digest *d, bool head,
                    int64_t from, struct pulled_blob *out)
{
    int64_t size = -1;
    bool stored = false;
    TRY(check_filter(c, at));
    c->msg[0] = 0;
    bool known = is_known(c, at, d, &size);
    if (head || !known) {
        TRY(may_ask(c, at));
        int64_t said = -1;
        TRY(ask_blob(c, at, d, &said));
        size = size >= 0 ? size : said; /* a descriptor is worth more than a header */
    } else if (!flight_flying(c->sv->flights, d)) {
        /* What another repository of the store holds is linked even when upstream is away. */
        CLEANUP(tx_end) struct tx tx = {0};
        struct blob b;
        stored = tx_read(c, &tx) == E_OK && blob_by_digest(c, digest_str(d), &b) == E_OK &&
                 b.state == STATE_ACTIVE;
        tx_end(&tx);
        if (!stored) {
            TRY(may_ask(c, at));
            TRY(not_absent(c, at, d));
        }
    }
    if (!head)
        return fly(c, at, d, size, stored, from, out);
    *out = (struct pulled_blob){
        .digest = str_dup(&c->mem, digest_str(d)),
        .size = size,
        .outcome = OUTCOME_MISS,
        .body = {.kind = BODY_NONE, .fd = -1},
    };
    return E_OK;
}

enum err proxy_blob_settle(struct ctx *c, struct pulled_blob *b)
{
    if (!b->filling || b->body.kind != BODY_SOURCE)
        return E_OK;
    TRY(source_settle(c, b->body.source));
    b->filling = false;
    return E_OK;
}

/* ---- tags and referrers ---- */

static enum err local_tags(struct ctx *c, const struct place *at, struct str last, int64_t n,
                           struct strs *out, bool *exists)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    *out = (struct strs){0};
    TRY(tx_read(c, &tx));
    enum err err = repository_id(c, at->access->project.project_id, at->repository, &repo);
    *exists = err == E_OK;
    if (err == E_NOT_FOUND)
        return E_OK;
    TRY(err);
    return tag_names(c, repo, last, n, out);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted union after `last`, cut at n. */
static enum err unite(struct ctx *c, const struct strs *ours, const struct strs *theirs,
                      struct str last, int64_t n, struct strs *out, bool *more)
{
    struct str *all = arena_array(&c->mem, ours->count + theirs->count + 1, sizeof *all);
    if (!all)
        return fail(c, E_UPSTREAM, "the upstream lists too many tags");
    size_t count = 0;
    for (size_t i = 0; i < ours->count; i++)
        all[count++] = ours->items[i];
    for (size_t i = 0; i < theirs->count; i++)
        if (!last.n || str_cmp(theirs->items[i], last) > 0)
            all[count++] = theirs->items[i];
    qsort(all, count, sizeof *all, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!kept || !str_eq(all[kept - 1], all[i]))
            all[kept++] = all[i];
    *more = (int64_t)kept > n;
    *out = (struct strs){all, *more ? (size_t)n : kept};
    return E_OK;
}

enum err proxy_tags(struct ctx *c, const struct place *at, struct str last, int64_t n,
                    struct strs *out, bool *more)
{
    struct strs ours, theirs = {0};
    struct oci_status st = {.limit = -1, .remaining = -1};
    bool exists;
    n = n < 0 ? INT64_C(1) << 20 : n;
    TRY(check_filter(c, at));
    TRY(local_tags(c, at, last, n + 1, &ours, &exists));
    enum err err = may_ask(c, at);
    if (err == E_OK) {
        err = oci_tags(c, upstream(at), at->repository, &theirs, &st);
        condition_note(conditions_of(c), upstream(at), err, &st);
        ledger_note(c, upstream(at), &st);
        if (err != E_OK && !exists) {
            bool gone = err == E_NAME_UNKNOWN || err == E_NOT_FOUND || err == E_MANIFEST_UNKNOWN;
            if (gone)
                return fail(c, E_NAME_UNKNOWN, "repository %.*s is not known to upstream %.*s",
                            STR(at->repository), STR(upstream(at)->name));
            c->status = condition_status(err, &st);
            c->retry_after = st.retry_after_s;
            return err == E_DENIED ? E_UPSTREAM : err;
        }
    }
    if (err != E_OK && !exists)
        return err;
    if (err != E_OK) { /* ours alone */
        log_info("proxy", "tags of %.*s without upstream: %s", STR(at->repository), c->msg);
        theirs = (struct strs){0};
        c->status = 0;
        c->retry_after = 0;
    }
    return unite(c, &ours, &theirs, last, n, out, more);
}

/* What upstream said last. Written only when it says something else than the time before. */
static enum err keep_referrers(struct ctx *c, const struct referrer_key *key, struct str index)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct str known;
    if (index.n > REFERRER_INDEX_MAX || read_only())
        return E_OK;
    TRY(tx_read(c, &tx));
    enum err err = referrer_index_get(c, key, &known);
    if (err != E_NOT_FOUND && (err != E_OK || str_eq(known, index)))
        return err;
    tx_end(&tx);
    TRY(tx_begin(c, &tx));
    TRY(referrer_index_put(c, key, index));
    return tx_commit(&tx);
}

static enum err last_referrers(struct ctx *c, const struct referrer_key *key, struct str *index_out,
                               bool *found)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err err = referrer_index_get(c, key, index_out);
    *found = err == E_OK;
    return err == E_NOT_FOUND ? E_OK : err;
}

enum err proxy_referrers(struct ctx *c, const struct place *at, struct str digest,
                         struct str artifact_type, struct str *index_out, bool *found)
{
    const struct referrer_key key = {at->access->project.project_id, at->repository, digest,
                                     artifact_type};
    struct oci_status st = {.limit = -1, .remaining = -1};
    struct condition now = {.state = ENDPOINT_OFFLINE};
    *found = false;
    TRY(check_filter(c, at));
    if (str_eq(at->access->project.proxy_referrer_api, S("false")))
        return E_OK;
    if (!c->sv->settings->proxy_offline)
        condition_look(conditions_of(c), upstream(at), USE_CONTENT, &now);
    if (now.state != ENDPOINT_OPEN)
        return last_referrers(c, &key, index_out, found);
    enum err err =
        oci_referrers(c, upstream(at), at->repository, digest, artifact_type, index_out, &st);
    condition_note(conditions_of(c), upstream(at), err, &st);
    ledger_note(c, upstream(at), &st);
    *found = err == E_OK;
    if (*found && keep_referrers(c, &key, *index_out) != E_OK)
        log_warn("proxy", "referrers of %.*s are not kept: %s", STR(digest), c->msg);
    if (err != E_OK) /* most upstreams have no such API: the store answers */
        log_debug("proxy", "referrers of %.*s at %.*s: %s", STR(digest), STR(upstream(at)->name),
                  c->msg);
    bool away = err == E_UPSTREAM || err == E_UPSTREAM_TIMEOUT || err == E_TOO_MANY;
    return away ? last_referrers(c, &key, index_out, found) : E_OK;
}
