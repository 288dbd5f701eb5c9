/* Deletions and changes of many (registry/bulk.h): the plan again, then step by step. Whoever asked
   for it is asked for again, too: a right that was taken ends what it allowed. */
#include "jobs/kinds.h"

#include "registry/bulk.h"

#define CTX_STEPS 200 /* after so many steps their memory is given back, and rights looked at */
#define CTX_PROJECTS 1

struct bulk_params {
    struct str action;
    struct strs items;
    bool by_robot;
    int64_t by_id;
    struct bulk_change change;
};

#define CHANGE(member) FIELD_AS(struct bulk_params, change.member, #member, 0, 0)
static const struct field bulk_params_fields[] = {
    FIELD(struct bulk_params, action, F_REQ, 32),
    FIELD(struct bulk_params, items, F_REQ, BULK_MAX),
    FIELD(struct bulk_params, by_robot, 0, 0),
    FIELD(struct bulk_params, by_id, F_REQ, 0),
    CHANGE(contents),
    CHANGE(storage_limit),
    CHANGE(public),
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

static bool of_projects(const struct work *w)
{
    return w->action >= BULK_DELETE_PROJECTS;
}

/* Who asked, as they are now, and the project as they see it. */
static enum err look_who(struct ctx *c, int64_t project_id, const struct work *w,
                         struct principal *who, struct project_access *access)
{
    enum principal_kind kind = w->params.by_robot ? PRINCIPAL_ROBOT : PRINCIPAL_USER;
    enum err e = principal_by_id(c, kind, w->params.by_id, who);
    if (e == E_NOT_FOUND || (e == E_OK && who->disabled))
        return fail(c, E_FORBIDDEN, "whoever asked for it has no account any more");
    TRY(e);
    if (of_projects(w))
        return E_OK;
    TRY(project_access_for(c, NO_STR, project_id, who, access));
    return bulk_may(who, access, w->action)
               ? E_OK
               : fail(c, E_FORBIDDEN, "whoever asked for it has no right to it any more");
}

static enum err prepare(struct ctx *c, struct job_run *r, struct work *w)
{
    const struct job *job = job_of(r);
    TRY(fields_from_json(c, bulk_params_fields, job->params.text, &w->params, NULL));
    if (!bulk_action_named(w->params.action, &w->action))
        return fail(c, E_BAD_REQUEST, "no such action");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(look_who(c, job->project_id, w, &w->principal, &w->access));
    if (of_projects(w))
        return bulk_look_at_projects(c, &w->principal, w->action, &w->params.change,
                                     &w->params.items, &w->plan);
    w->at = (struct place){.access = &w->access,
                           .principal = &w->principal,
                           .repository = job->repository,
                           .background = true};
    return bulk_look(c, &w->at, w->action, &w->params.items, &w->plan);
}

static const char *why(struct ctx *c, const struct bulk_refusal *x)
{
    static const struct {
        const char *reason, *text;
    } texts[] = {
        {"contained", "an index contains it: "},
        {"immutable", "it has an immutable tag"},
        {"forbidden", "this needs the right "},
        {"declared", "the project is declared in cove.yml"},
        {"not_empty", "the project contains repositories: "},
        {"exposed", "everybody could read what the credential of its upstream can: "},
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (str_eq(x->reason, str_of(texts[i].reason)))
            return str_c(&c->mem, str_fmt(&c->mem, "%s%.*s", texts[i].text, STR(x->what)));
    return "it may not";
}

static void tell_refusals(struct ctx *c, struct job_run *r, const struct bulk_plan *plan)
{
    const struct bulk_refusal *x = plan->refused.items;
    for (size_t i = 0; i < plan->refused.count; i++)
        job_failed(r, x[i].item, why(c, &x[i]));
}

/* Returns how many. */
static size_t next_steps(struct ctx *c, struct job_run *r, const struct work *w,
                         const struct principal *who, const struct strs *steps)
{
    struct list failed;
    if (of_projects(w)) {
        if (bulk_project_step(c, who, w->action, &w->params.change, steps->items[0]) != E_OK)
            job_failed(r, steps->items[0], c->msg);
        return 1;
    }
    size_t n = bulk_steps(c, &w->at, w->action, steps, &failed);
    const struct bulk_failure *f = failed.items;
    for (size_t i = 0; i < failed.count; i++)
        job_failed(r, f[i].item, str_c(&c->mem, f[i].reason));
    return n;
}

static enum err look_again(struct ctx *c, struct job_run *r, const struct work *w,
                           struct principal *who)
{
    struct project_access access;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return look_who(c, job_of(r)->project_id, w, who, &access);
}

/* Some steps, with memory of their own. */
static enum err some_steps(struct ctx *outer, struct job_run *r, const struct work *w, size_t *at)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = outer->sv, .actor = outer->actor};
    struct principal who = {0};
    const struct strs *steps = &w->plan.steps;
    size_t end = size_min(steps->count, *at + (of_projects(w) ? CTX_PROJECTS : CTX_STEPS));
    enum err seen = look_again(&c, r, w, &who);
    if (seen != E_OK)
        return fail(outer, seen, "%s", c.msg);
    while (*at < end && !job_stopping(r)) {
        struct strs next = {&steps->items[*at], end - *at};
        *at += next_steps(&c, r, w, &who, &next);
        job_done(r, (int64_t)*at);
    }
    return E_OK;
}

enum err bulk_job(struct ctx *c, struct job_run *r)
{
    struct work w = {0};
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    TRY(prepare(c, r, &w));
    job_total(r, (int64_t)w.plan.steps.count);
    tell_refusals(c, r, &w.plan);
    size_t at = 0;
    while (at < w.plan.steps.count && !job_stopping(r))
        TRY(some_steps(c, r, &w, &at));
    put_open(&j, '{');
    put_key(&j, S("freed"));
    put_i64(&j, at == w.plan.steps.count ? w.plan.worth.freed : 0);
    put_key(&j, S("refused"));
    put_i64(&j, (int64_t)w.plan.refused.count);
    put_close(&j, '}');
    job_result(r, buf_view(&b));
    return E_OK;
}
