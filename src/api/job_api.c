/*
 * Jobs as people see them: what runs, what ran, how far it is and what it could not do. Jobs of a
 * project are shown to whoever may change its repositories, those of the system to who may see its
 * jobs, and what is done to many projects to who asked for it. How long it still takes is reckoned
 * from what is done so far, and not said before anything is.
 */
#include "api/cove.h"

#include "api/harbor.h"
#include "meta/job.h"

#include <inttypes.h>

#define PAGE_MAX 100

const struct field job_query_fields[] = {
    FIELD(struct job_query, kind, 0, 64),
    FIELD(struct job_query, live, 0, 0),
    FIELD(struct job_query, cursor, 0, 0),
    FIELD(struct job_query, page_size, 0, 0),
    FIELDS_END,
};

struct job_view {
    struct job job;
    struct timestamp eta; /* 0 = not known */
};

#define JOB(member, fl) FIELD_AS(struct job_view, job.member, #member, fl, 0)
#define HEAD                                                                                       \
    JOB(id, 0), JOB(kind, 0), JOB(state, 0), JOB(project, F_OMIT), JOB(repository, F_OMIT),        \
        FIELD_AS(struct job_view, job.actor, "by", 0, 0), JOB(done, 0), JOB(total, 0),             \
        JOB(failed_count, 0), JOB(message, F_OMIT), JOB(stop, F_OMIT), JOB(created, 0),            \
        JOB(started, F_NULL), JOB(ended, F_NULL), FIELD(struct job_view, eta, F_NULL, 0),          \
        JOB(params, 0), JOB(result, 0)

const struct field job_line_fields[] = {HEAD, FIELDS_END};
const struct field job_view_fields[] = {HEAD, JOB(failed, 0), FIELDS_END};

static struct job_view view(const struct job *job, struct timestamp now)
{
    struct job_view v = {.job = *job};
    int64_t gone = now.us - job->started.us, left = job->total - job->done;
    if (str_eq(job->state, S("running")) && job->done > 0 && left > 0 && gone > 0)
        v.eta.us = now.us + (int64_t)((double)gone / (double)job->done * (double)left);
    return v;
}

static enum err find_job(struct call *r, struct job *out)
{
    int64_t id;
    TRY(call_param_i64(r, "id", &id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    enum err e = job_by_id(r->c, id, out);
    return e == E_NOT_FOUND ? fail(r->c, e, "job %" PRId64 " not found", id) : e;
}

enum err job_of_path(struct call *r, int64_t *project_id)
{
    struct job job;
    TRY(find_job(r, &job));
    const struct principal *p = &r->principal;
    bool robot = p->kind == PRINCIPAL_ROBOT; /* a name may have been somebody else's: ids are not */
    bool own = (robot || p->kind == PRINCIPAL_USER) && job.by_id && job.by_id == p->id &&
               job.by_robot == robot;
    *project_id = own ? FOUND_OWN : job.project_id;
    return E_OK;
}

/* Link to those before the last one, with the same question. */
static void next_link(struct call *r, const struct job_filter *f, const struct list *jobs)
{
    const struct job *job = jobs->items;
    if ((int64_t)jobs->count < f->n)
        return;
    reply_next(r, str_fmt(&r->c->mem, "%" PRId64, job[jobs->count - 1].id));
}

static enum err reply_jobs(struct call *r, int64_t project_id)
{
    struct ctx *c = r->c;
    struct job_query q = {.page_size = PAGE_MAX};
    struct list jobs;
    TRY(query_decode(r, &q));
    if (q.cursor < 0 || q.page_size < 1 || q.page_size > PAGE_MAX)
        return fail(c, E_BAD_REQUEST, "cursor is a number of ours, page_size 1 to %d", PAGE_MAX);
    struct job_filter f = {project_id, q.kind, q.live, q.cursor, q.page_size};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(job_list(c, &f, &jobs));
    struct timestamp now = tx.now;
    tx_end(&tx);
    const struct job *job = jobs.items;
    struct job_view *views = arena_alloc(&c->mem, (jobs.count + 1) * sizeof *views);
    for (size_t i = 0; i < jobs.count; i++)
        views[i] = view(&job[i], now);
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode_list(&j, &c->mem, job_line_fields, views, jobs.count, sizeof *views);
    next_link(r, &f, &jobs);
    return reply_json_text(r, 200, buf_view(&b));
}

enum err list_jobs(struct call *r)
{
    return reply_jobs(r, -1);
}

enum err list_project_jobs(struct call *r)
{
    return reply_jobs(r, r->access.project.project_id);
}

enum err get_job(struct call *r)
{
    struct job job;
    TRY(find_job(r, &job));
    struct job_view v = view(&job, clock_now());
    return reply_json(r, 200, job_view_fields, &v);
}

enum err stop_job(struct call *r)
{
    int64_t id;
    TRY(call_param_i64(r, "id", &id));
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_begin(r->c, &tx));
        enum err e = job_ask_stop(r->c, id);
        if (e == E_NOT_FOUND)
            return fail(r->c, e, "job %" PRId64 " not found", id);
        TRY(e);
        TRY(tx_commit(&tx));
    }
    return reply_empty(r, 202);
}

enum err queue_job(struct call *r, struct job *job)
{
    job->actor = r->c->actor;
    job->by_id = r->principal.id;
    job->by_robot = r->principal.kind == PRINCIPAL_ROBOT;
    return job_queue(r->c, job);
}

enum err reply_job(struct call *r, const struct job *job)
{
    struct job_view v = view(job, clock_now());
    call_header(r, "Location", "/api/cove/v1/jobs/%" PRId64, job->id);
    return reply_json(r, 202, job_view_fields, &v);
}
