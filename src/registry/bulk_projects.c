/*
 * Projects, many at once. Every one is looked at by itself: its rights, whether it may go or may
 * be public. A project that goes with what is in it is emptied repository by repository, so that a
 * job shows how far it is and may stop between any two; what was pushed after the plan was made
 * keeps its project.
 */
#include "registry/bulk.h"

#include "registry/access.h"
#include "registry/delete.h"
#include "registry/projects.h"

#include <inttypes.h>

struct look { /* a plan being made */
    const struct principal *who;
    enum bulk_action action;
    const struct bulk_change *change;
    struct bulk_plan *plan;
    struct project_access *going; /* those that go, with the place for all */
    size_t count;
};

static bool sees(const struct look *l, const struct project_access *a)
{
    return access_may(l->who, a, RES_PROJECT, ACT_READ) || bulk_may(l->who, a, l->action);
}

static void refuse(struct look *l, struct str name, struct str reason, struct str what)
{
    struct bulk_refusal *refused = l->plan->refused.items;
    refused[l->plan->refused.count++] = (struct bulk_refusal){name, reason, what};
}

static struct str right_of(enum bulk_action action)
{
    return action == BULK_QUOTA             ? S("quota:update")
           : action == BULK_DELETE_PROJECTS ? S("project:delete")
                                            : S("project:update");
}

/* Deleting: not what cove.yml declares, and what is in it only by those who may delete that. */
static bool may_go(struct ctx *c, struct look *l, const struct project_access *a, int64_t holds)
{
    struct str name = a->project.name;
    if (a->project.declared)
        refuse(l, name, S("declared"), NO_STR);
    else if (holds && !l->change->contents)
        refuse(l, name, S("not_empty"), str_fmt(&c->mem, "%" PRId64, holds));
    else if (holds && !bulk_may(l->who, a, BULK_DELETE_REPOSITORIES))
        refuse(l, name, S("forbidden"), S("repository:delete"));
    else
        return true;
    return false;
}

static bool may_be_shown(struct ctx *c, struct look *l, const struct project_access *a)
{
    struct project changed = a->project;
    changed.is_public = l->change->public;
    if (a->project.declared && changed.is_public != a->project.is_public)
        refuse(l, a->project.name, S("declared"), NO_STR);
    else if (project_check_exposure(c, &changed, &a->endpoint) != E_OK)
        refuse(l, a->project.name, S("exposed"), a->endpoint.name);
    else
        return true;
    c->msg[0] = 0; /* said in the plan */
    return false;
}

static void judge(struct ctx *c, struct look *l, const struct project_access *a,
                  const struct bulk_project *holds)
{
    const struct project *p = &a->project;
    struct bulk_plan *plan = l->plan;
    if (!bulk_may(l->who, a, l->action))
        return refuse(l, p->name, S("forbidden"), right_of(l->action));
    if (l->action == BULK_DELETE_PROJECTS && !may_go(c, l, a, holds->repositories))
        return;
    if (l->action == BULK_VISIBILITY && !may_be_shown(c, l, a))
        return;
    if (l->action == BULK_VISIBILITY)
        plan->same += p->is_public == l->change->public;
    if (l->action == BULK_QUOTA) {
        plan->same += p->storage_limit == l->change->storage_limit;
        plan->over += l->change->storage_limit >= 0 && p->storage_used > l->change->storage_limit;
    }
    plan->repositories += holds->repositories;
    plan->children += holds->artifacts;
    plan->tags += holds->tags;
    plan->worth.size += p->storage_used;
    l->going[l->count++] = *a;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct project_access *)a)->project.project_id;
    int64_t y = ((const struct project_access *)b)->project.project_id;
    return (x > y) - (x < y);
}

/* Those that are named and seen, each once, by id. */
static enum err find(struct ctx *c, const struct look *l, const struct strs *names,
                     struct project_access *out, size_t *count)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        enum err e = project_access_for(c, names->items[i], 0, l->who, &out[n]);
        if (e != E_OK && e != E_NOT_FOUND)
            return e;
        n += e == E_OK && sees(l, &out[n]);
    }
    c->msg[0] = 0; /* one that is not there is left out */
    qsort(out, n, sizeof *out, by_id);
    for (size_t i = 0; i < n; i++)
        if (!i || by_id(&out[i - 1], &out[i]) != 0)
            out[kept++] = out[i];
    *count = kept;
    return E_OK;
}

static void add_step(struct bulk_plan *plan, struct str step)
{
    plan->steps.items[plan->steps.count++] = step;
}

/* What is in the projects before the projects. */
static enum err make_steps(struct ctx *c, struct look *l)
{
    struct list inside = {0};
    int64_t *ids = arena_alloc(&c->mem, (l->count + 1) * sizeof *ids);
    for (size_t i = 0; i < l->count; i++)
        ids[i] = l->going[i].project.project_id;
    if (l->action == BULK_DELETE_PROJECTS)
        TRY(bulk_repositories_of(c, ids, l->count, &inside));
    const struct bulk_item *repo = inside.items;
    size_t at = 0;
    l->plan->steps.items =
        arena_alloc(&c->mem, (l->count + inside.count + 1) * sizeof *l->plan->steps.items);
    for (size_t i = 0; i < l->count; i++) {
        struct str name = l->going[i].project.name;
        for (; at < inside.count && repo[at].id == ids[i]; at++)
            add_step(l->plan, str_fmt(&c->mem, "%.*s/%.*s", STR(name), STR(repo[at].name)));
        add_step(l->plan, name);
    }
    return E_OK;
}

enum err bulk_look_at_projects(struct ctx *c, const struct principal *p, enum bulk_action action,
                               const struct bulk_change *change, const struct strs *names,
                               struct bulk_plan *out)
{
    struct look l = {p, action, change, out, NULL, 0};
    struct list held;
    size_t n = 0, at = 0;
    struct project_access *found = arena_alloc(&c->mem, (names->count + 1) * sizeof *found);
    l.going = arena_alloc(&c->mem, (names->count + 1) * sizeof *l.going);
    *out = (struct bulk_plan){0};
    out->refused.items = arena_alloc(&c->mem, (names->count + 1) * sizeof(struct bulk_refusal));
    TRY(find(c, &l, names, found, &n));
    int64_t *ids = arena_alloc(&c->mem, (n + 1) * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = found[i].project.project_id;
    TRY(bulk_projects_hold(c, ids, n, &held));
    const struct bulk_project *holds = held.items;
    for (size_t i = 0; i < n; i++) {
        while (at < held.count && holds[at].project_id < ids[i])
            at++;
        static const struct bulk_project nothing = {0};
        bool known = at < held.count && holds[at].project_id == ids[i];
        judge(c, &l, &found[i], known ? &holds[at] : &nothing);
    }
    out->asked = (int64_t)n;
    out->going = (int64_t)l.count;
    out->worth.freed = action == BULK_DELETE_PROJECTS ? out->worth.size : 0;
    return make_steps(c, &l);
}

/* ---- doing it ------------------------------------------------------------------------------- */

static enum err forbidden(struct ctx *c, struct str project, struct str right)
{
    return fail(c, E_FORBIDDEN, "%.*s: this needs the right %.*s", STR(project), STR(right));
}

static enum err remove_repository(struct ctx *c, const struct principal *p, struct str project,
                                  struct str repository)
{
    struct project_access a;
    struct principal who = *p;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(project_access_for(c, project, 0, p, &a));
    }
    if (a.project.declared)
        return fail(c, E_CONFLICT, "the project is declared in cove.yml");
    if (!bulk_may(p, &a, BULK_DELETE_PROJECTS))
        return forbidden(c, project, right_of(BULK_DELETE_PROJECTS));
    if (!bulk_may(p, &a, BULK_DELETE_REPOSITORIES))
        return forbidden(c, project, S("repository:delete"));
    struct place at = {
        .access = &a, .principal = &who, .repository = repository, .background = true};
    return delete_repository(c, &at);
}

static enum err change_project(struct ctx *c, const struct principal *p, enum bulk_action action,
                               const struct bulk_change *change, struct str name)
{
    struct project_access a;
    struct project now;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(project_access_for(c, name, 0, p, &a));
    TRY(project_by_id(c, a.project.project_id, &now));
    if (!bulk_may(p, &a, action))
        return forbidden(c, name, right_of(action));
    if (action == BULK_DELETE_PROJECTS) {
        TRY(project_remove(c, &now));
        return tx_commit(&tx);
    }
    if (action == BULK_QUOTA) {
        now.storage_limit = change->storage_limit;
    } else {
        if (now.declared && now.is_public != change->public)
            return fail(c, E_CONFLICT, "the project is declared in cove.yml");
        now.is_public = change->public;
        TRY(project_check_exposure(c, &now, &a.endpoint));
    }
    TRY(project_update(c, &now));
    return tx_commit(&tx);
}

enum err bulk_project_step(struct ctx *c, const struct principal *p, enum bulk_action action,
                           const struct bulk_change *change, struct str step)
{
    struct str rest = step;
    struct str project = str_cut(&rest, '/');
    enum err e = rest.n ? remove_repository(c, p, project, rest)
                        : change_project(c, p, action, change, project);
    return e == E_NOT_FOUND || e == E_NAME_UNKNOWN ? E_OK : e;
}
