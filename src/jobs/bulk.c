/* Deletions of many (registry/bulk.h): the plan again, then step by step. */
#include "jobs/kinds.h"

#include "registry/bulk.h"

#define CTX_STEPS 200 /* after so many steps their memory is given back */

struct bulk_params {
    struct str action;
    struct strs items;
};

static const struct field bulk_params_fields[] = {
    FIELD(struct bulk_params, action, F_REQ, 32),
    FIELD(struct bulk_params, items, F_REQ, BULK_MAX),
    FIELDS_END,
};

struct work {
    struct bulk_params params;
    enum bulk_action action;
    struct project_access access;
    struct principal principal;
    struct place at;
    struct bulk_plan plan;
};

static enum err prepare(struct ctx *c, struct job_run *r, struct work *w)
{
    const struct job *job = job_of(r);
    TRY(fields_from_json(c, bulk_params_fields, job->params.text, &w->params, NULL));
    if (!bulk_action_named(w->params.action, &w->action))
        return fail(c, E_BAD_REQUEST, "no such action");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(project_access_for(c, NO_STR, job->project_id, NULL, &w->access));
    w->principal = (struct principal){.name = job->actor};
    w->at = (struct place){.access = &w->access,
                           .principal = &w->principal,
                           .repository = job->repository,
                           .background = true};
    return bulk_look(c, &w->at, w->action, &w->params.items, &w->plan);
}

static void tell_refusals(struct ctx *c, struct job_run *r, const struct bulk_plan *plan)
{
    const struct bulk_refusal *x = plan->refused.items;
    for (size_t i = 0; i < plan->refused.count; i++)
        job_failed(
            r, x[i].item,
            str_eq(x[i].reason, S("contained"))
                ? str_c(&c->mem, str_fmt(&c->mem, "an index contains it: %.*s", STR(x[i].what)))
                : "it has an immutable tag");
}

/* Some steps, with memory of their own. */
static size_t some_steps(struct ctx *outer, struct job_run *r, const struct work *w, size_t from)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = outer->sv, .actor = outer->actor};
    size_t at = from;
    for (; at < w->plan.steps.count && at - from < CTX_STEPS && !job_stopping(r); at++) {
        enum err e = bulk_step(&c, &w->at, w->action, w->plan.steps.items[at]);
        if (e != E_OK)
            job_failed(r, w->plan.steps.items[at], c.msg);
        job_done(r, (int64_t)at + 1);
    }
    return at;
}

enum err bulk_job(struct ctx *c, struct job_run *r)
{
    struct work w = {0};
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    TRY(prepare(c, r, &w));
    job_total(r, (int64_t)w.plan.steps.count);
    tell_refusals(c, r, &w.plan);
    size_t at = 0, before;
    do {
        before = at;
        at = some_steps(c, r, &w, at);
    } while (at > before);
    put_open(&j, '{');
    put_key(&j, S("freed"));
    put_i64(&j, at == w.plan.steps.count ? w.plan.worth.freed : 0);
    put_key(&j, S("refused"));
    put_i64(&j, (int64_t)w.plan.refused.count);
    put_close(&j, '}');
    job_result(r, buf_view(&b));
    return E_OK;
}
