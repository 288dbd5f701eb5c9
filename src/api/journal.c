/*
 * The journal of tags by API: what moved, when and by whom; where a tag was at a time; pointing it
 * back. The names of those who moved tags are shown to whoever may read the project's log.
 *
 * Lists run backwards in time from a cursor, which is the last line's id, because a page number
 * means nothing in a list that grows at its head.
 */
#include "api/cove.h"
#include "base/codec.h"
#include "meta/artifact.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "registry/point.h"
#include "rule/hold.h"

#define PAGE_MAX 100
#define REASON_MAX 512

#define ASKED(member, flags, max) FIELD(struct moves_query, member, flags, max)

const struct field moves_query_fields[] = {
    ASKED(tag, 0, 128), ASKED(at, 0, 0), ASKED(cursor, 0, 0), ASKED(page_size, 0, 0), FIELDS_END,
};
const struct field all_moves_query_fields[] = {
    ASKED(since, 0, 0),  ASKED(upstream, 0, 0),  ASKED(project, 0, 255),
    ASKED(cursor, 0, 0), ASKED(page_size, 0, 0), FIELDS_END,
};
const struct field resolve_query_fields[] = {ASKED(at, 0, 0), FIELDS_END};

const struct field point_fields[] = {
    FIELD(struct point, digest, F_REQ, 256),
    FIELD(struct point, reason, F_REQ, REASON_MAX),
    FIELD(struct point, expect, F_REQ, 256),
    FIELDS_END,
};
const struct field release_query_fields[] = {
    FIELD(struct point, reason, 0, REASON_MAX),
    FIELDS_END,
};

const struct field move_fields[] = {
    FIELD(struct tag_move, id, 0, 0),
    FIELD_AS(struct tag_move, project_name, "project", F_OMIT, 0),
    FIELD_AS(struct tag_move, repository_name, "repository", F_OMIT, 0),
    FIELD_AS(struct tag_move, name, "tag", 0, 0),
    FIELD(struct tag_move, kind, 0, 0),
    FIELD(struct tag_move, at, 0, 0),
    FIELD_AS(struct tag_move, actor, "who", F_OMIT, 0),
    FIELD(struct tag_move, upstream, 0, 0),
    FIELD(struct tag_move, old_digest, 0, 0),
    FIELD(struct tag_move, new_digest, 0, 0),
    FIELD(struct tag_move, reason, F_OMIT, 0),
    FIELDS_END,
};

struct held {
    struct str digest;
    struct timestamp first_seen, until;
};

static const struct field held_fields[] = {
    FIELD(struct held, digest, 0, 0),
    FIELD(struct held, first_seen, 0, 0),
    FIELD(struct held, until, 0, 0),
    FIELDS_END,
};

struct tag_state {
    struct str tag, digest;
    struct timestamp since;
    bool stored, pinned;
    struct held *held;
};

const struct field tag_state_fields[] = {
    FIELD(struct tag_state, tag, 0, 0),
    FIELD(struct tag_state, digest, 0, 0),
    FIELD(struct tag_state, since, F_NULL, 0),
    FIELD(struct tag_state, stored, 0, 0),
    FIELD(struct tag_state, pinned, 0, 0),
    FIELD_REF(struct tag_state, held, 0, held_fields),
    FIELDS_END,
};

/* ---- queries -------------------------------------------------------------------------------- */

static enum err read_time(struct call *r, const char *name, struct timestamp *out)
{
    struct str text;
    TRY(call_query(r, name, &text));
    *out = (struct timestamp){0};
    if (text.n && !time_parse(text, out))
        return fail(r->c, E_BAD_REQUEST, "%s must be a time such as 2026-11-24T08:00:00Z", name);
    return E_OK;
}

static enum err read_query(struct call *r, struct moves_query *q)
{
    *q = (struct moves_query){0};
    TRY(call_query(r, "tag", &q->tag));
    TRY(call_query(r, "project", &q->project));
    TRY(call_query_bool(r, "upstream", false, &q->upstream));
    TRY(call_query_i64(r, "cursor", 0, &q->cursor));
    TRY(call_query_i64(r, "page_size", PAGE_MAX, &q->page_size));
    TRY(read_time(r, "at", &q->at));
    TRY(read_time(r, "since", &q->since));
    if (q->cursor < 0 || q->page_size < 1 || q->page_size > PAGE_MAX)
        return fail(r->c, E_BAD_REQUEST, "cursor is a number of ours, page_size 1 to %d", PAGE_MAX);
    return E_OK;
}

static enum err find_repository(struct call *r, struct repository *out)
{
    const struct project *p = &r->access.project;
    enum err e = repository_by_name(r->c, p->project_id, r->place.repository, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "repository %.*s/%.*s not found", STR(p->name),
                    STR(r->place.repository));
    return e;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void hide_actors(struct list *moves)
{
    struct tag_move *m = moves->items;
    for (size_t i = 0; i < moves->count; i++)
        m[i].actor = NO_STR;
}

/* Link to the lines before the last one, with the same question. */
static void next_link(struct call *r, const struct list *moves, int64_t page_size)
{
    const struct tag_move *m = moves->items;
    if ((int64_t)moves->count < page_size)
        return;
    reply_next(r, str_fmt(&r->c->mem, "%lld", (long long)m[moves->count - 1].id));
}

static enum err reply_moves(struct call *r, struct list *moves, int64_t page_size)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode_list(&j, &r->c->mem, move_fields, moves->items, moves->count,
                       sizeof(struct tag_move));
    next_link(r, moves, page_size);
    return reply_json_text(r, 200, buf_view(&b));
}

enum err list_moves(struct call *r)
{
    struct repository repo;
    struct moves_query q;
    struct list moves;
    TRY(read_query(r, &q));
    TRY(find_repository(r, &repo));
    TRY(tag_moves(r->c, repo.id, q.tag, q.cursor, q.at, q.page_size, &moves));
    if (!call_may(r, RES_LOG, ACT_LIST))
        hide_actors(&moves);
    return reply_moves(r, &moves, q.page_size);
}

enum err list_all_moves(struct call *r)
{
    struct moves_query q;
    struct list moves;
    struct project p = {0};
    TRY(read_query(r, &q));
    if (q.project.n) {
        enum err e = project_by_name(r->c, q.project, &p);
        if (e == E_NOT_FOUND) /* as one that the caller does not see */
            p.project_id = -1;
        else
            TRY(e);
    }
    struct tag_moves_filter f = {
        .principal = &r->principal,
        .project_id = p.project_id,
        .since = q.since,
        .upstream = q.upstream,
        .before = q.cursor,
        .n = q.page_size,
    };
    TRY(tag_moves_of_all(r->c, &f, &moves));
    if (!r->principal.sysadmin)
        hide_actors(&moves);
    return reply_moves(r, &moves, q.page_size);
}

/* ---- one tag -------------------------------------------------------------------------------- */

static enum err no_such_tag(struct call *r, struct str tag, const char *when)
{
    return fail(r->c, E_NOT_FOUND, "tag %.*s of %.*s/%.*s not found%s", STR(tag),
                STR(r->access.project.name), STR(r->place.repository), when);
}

/* The digest that waits, when one does. */
static enum err read_held(struct call *r, int64_t repository_id, struct str tag, struct held **out)
{
    struct tag_seen seen;
    int64_t us;
    struct str hours = r->access.project.proxy_hold_hours;
    enum err e = tag_seen_get(r->c, repository_id, tag, &seen);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    if (!str_eq(seen.decision, str_of(hold_text(HOLD_WAIT))) || !hold_hours(hours, &us))
        return E_OK;
    *out = arena_alloc(&r->c->mem, sizeof **out);
    **out = (struct held){
        .digest = seen.digest,
        .first_seen = seen.first_seen,
        .until = {seen.first_seen.us + us},
    };
    return E_OK;
}

static enum err resolve_now(struct call *r, const struct repository *repo, struct str tag,
                            struct tag_state *s)
{
    struct manifest_row row = {0};
    enum err e = manifest_by_tag(r->c, repo->project_id, repo->name, tag, &row);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    if (e == E_OK) {
        s->digest = row.digest;
        s->since = row.pushed_at;
        s->stored = row.state == STATE_ACTIVE;
        s->pinned = row.pinned;
    }
    TRY(read_held(r, repo->id, tag, &s->held));
    return s->digest.n || s->held ? E_OK : no_such_tag(r, tag, "");
}

static enum err resolve_then(struct call *r, const struct repository *repo, struct str tag,
                             struct timestamp at, struct tag_state *s)
{
    struct tag_move m;
    struct manifest_row row = {0};
    enum err e = tag_move_at(r->c, repo->id, tag, at, &m);
    if (e == E_NOT_FOUND || (e == E_OK && !m.new_digest.n))
        return no_such_tag(r, tag, " at that time");
    TRY(e);
    s->digest = m.new_digest;
    s->since = m.at;
    e = manifest_by_digest(r->c, repo->project_id, repo->name, m.new_digest, &row);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    s->stored = e == E_OK && row.state == STATE_ACTIVE;
    return E_OK;
}

enum err resolve_tag(struct call *r)
{
    struct repository repo;
    struct tag_state s = {.tag = call_param(r, "tag"), .digest = S("")};
    struct timestamp at;
    TRY(read_time(r, "at", &at));
    TRY(find_repository(r, &repo));
    if (at.us)
        TRY(resolve_then(r, &repo, s.tag, at, &s));
    else
        TRY(resolve_now(r, &repo, s.tag, &s));
    return reply_json(r, 200, tag_state_fields, &s);
}

enum err point(struct call *r)
{
    const struct point *p = r->body;
    struct str tag = call_param(r, "tag");
    if (!str_trim(p->reason).n)
        return fail(r->c, E_BAD_REQUEST, "say why: reason is empty");
    TRY(point_tag(r->c, &r->place, tag, p->digest, p->expect, p->reason));
    struct tag_state s = {.tag = tag,
                          .digest = p->digest,
                          .since = clock_now(),
                          .stored = true,
                          .pinned = r->access.project.registry_id != 0};
    return reply_json(r, 200, tag_state_fields, &s);
}

enum err release(struct call *r)
{
    struct str reason;
    TRY(call_query(r, "reason", &reason));
    TRY(point_release(r->c, &r->place, call_param(r, "tag"), reason));
    return reply_empty(r, 200);
}
