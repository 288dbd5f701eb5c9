/*
 * One row per tag holds the digest that upstream named last, since when, and what was decided. It
 * is written when one of the three changes, so a tag that waits costs its pulls a read. The rows
 * outlive the wait: they are swept half a year after they were made.
 */
#include "registry/held.h"

#include "base/log.h"
#include "meta/artifact.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "rule/hold.h"

struct look {
    const struct place *at;
    struct str tag, digest;
    struct hold_question q;
    struct str served; /* the tag's digest here; empty = a new tag */
    struct tag_seen seen;
    enum hold_verdict verdict;
    int64_t repository_id; /* 0 = no such repository yet */
};

/* Reads what is known and decides; a digest that is not known is seen now. */
static enum err decide(struct ctx *c, struct look *l)
{
    int64_t project = l->at->access->project.project_id;
    struct manifest_row row = {0};
    int64_t repo = 0;
    enum err e = repository_id(c, project, l->at->repository, &repo);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    l->repository_id = repo;
    e = manifest_by_tag(c, project, l->at->repository, l->tag, &row);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    l->served = row.digest;
    l->q.known = row.digest.n > 0;
    e = tag_seen_get(c, repo, l->tag, &l->seen);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    if (e == E_NOT_FOUND || !str_eq(l->seen.digest, l->digest))
        l->seen = (struct tag_seen){.digest = l->digest, .first_seen = c->tx->now};
    else if (str_eq(l->seen.decision, str_of(hold_text(HOLD_WAIT))))
        l->q.known = true; /* what was served has left the cache: still no new tag */
    l->q.seen_us = l->seen.first_seen.us;
    l->q.now_us = c->tx->now.us;
    l->verdict = hold_decide(&l->q);
    return E_OK;
}

static enum err note(struct ctx *c, struct look *l, bool keep_time)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(decide(c, l)); /* again: another may have been here */
    struct str verdict = str_of(hold_text(l->verdict));
    if (!l->repository_id)
        TRY(repository_ensure(c, l->at->access->project.project_id, l->at->repository,
                              &l->repository_id));
    if (!str_eq(l->seen.decision, verdict)) {
        struct str until =
            time_text(&c->mem, (struct timestamp){l->seen.first_seen.us + l->q.hold_us});
        l->seen.repository_id = l->repository_id;
        l->seen.name = l->tag;
        l->seen.decision = verdict;
        TRY(tag_seen_put(c, &l->seen));
        TRY(tag_note(c, &(struct tag_move){
                            .repository_id = l->repository_id,
                            .name = l->tag,
                            .old_digest = l->served,
                            .new_digest = l->digest,
                            .actor = c->actor,
                            .upstream = true,
                            .kind = verdict,
                            .reason = l->verdict == HOLD_WAIT
                                          ? str_fmt(&c->mem, "held back until %.*s", STR(until))
                                      : l->verdict == HOLD_EXCEPTED ? S("proxy_hold_except")
                                      : l->verdict == HOLD_NEW      ? S("new tags pass")
                                                                    : S("old enough"),
                        }));
    }
    if (keep_time && l->verdict == HOLD_WAIT && l->served.n)
        TRY(tag_checked(c, l->repository_id, l->tag));
    return tx_commit(&tx);
}

static enum err look_up(struct ctx *c, struct look *l)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return decide(c, l);
}

bool held_back(struct ctx *c, const struct place *at, struct str tag, struct str digest,
               bool keep_time, struct timestamp *until)
{
    const struct project *p = &at->access->project;
    struct look l = {.at = at, .tag = tag, .digest = digest};
    if (!p->proxy_hold_hours.n || !hold_hours(p->proxy_hold_hours, &l.q.hold_us) || !l.q.hold_us)
        return false;
    l.q.excepted = hold_excepted(p->proxy_hold_except, at->repository, tag);
    l.q.new_waits = str_eq(p->proxy_hold_new, S("wait"));
    enum err e = look_up(c, &l);
    if (e == E_OK && str_eq(l.served, digest))
        return false;
    if (e == E_OK && (keep_time || !str_eq(l.seen.decision, str_of(hold_text(l.verdict)))))
        e = note(c, &l, keep_time);
    if (e != E_OK) {
        log_warn("proxy", "tag %.*s of %.*s stays as it is, its new digest cannot be noted: %s",
                 STR(tag), STR(at->repository), c->msg);
        c->msg[0] = 0;
        *until = clock_now();
        return true;
    }
    *until = (struct timestamp){l.seen.first_seen.us + l.q.hold_us};
    return !hold_passes(l.verdict);
}
