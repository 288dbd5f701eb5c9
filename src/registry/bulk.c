/*
 * The plan is made from rows as they are now, by rule/removal; a step that meets another world
 * says so then. So a plan is made twice, for the preview and by the job, and nothing of the first
 * is believed by the second but the names.
 */
#include "registry/bulk.h"

#include "meta/artifact.h"
#include "meta/removal.h"
#include "meta/repository.h"
#include "registry/access.h"
#include "registry/delete.h"
#include "rule/removal.h"

#include <stdlib.h>

#define FAMILY_MAX 50000

static const struct {
    const char *name;
    enum resource res;
    enum action act;
} actions[] = {
    [BULK_DELETE] = {"delete", RES_ARTIFACT, ACT_DELETE},
    [BULK_UNTAG] = {"untag", RES_TAG, ACT_DELETE},
    [BULK_DELETE_REPOSITORIES] = {"delete_repositories", RES_REPOSITORY, ACT_DELETE},
    [BULK_DELETE_PROJECTS] = {"delete_projects", RES_PROJECT, ACT_DELETE},
    [BULK_QUOTA] = {"quota", RES_QUOTA, ACT_UPDATE},
    [BULK_VISIBILITY] = {"visibility", RES_PROJECT, ACT_UPDATE},
};

const char *bulk_action_name(enum bulk_action a)
{
    return actions[a].name;
}

bool bulk_may(const struct principal *p, const struct project_access *project, enum bulk_action a)
{
    return access_may(p, a == BULK_QUOTA ? NULL : project, actions[a].res, actions[a].act);
}

bool bulk_action_named(struct str name, enum bulk_action *out)
{
    for (size_t i = 0; i < COUNT(actions); i++)
        if (str_eq(name, str_of(actions[i].name))) {
            *out = (enum bulk_action)i;
            return true;
        }
    return false;
}

static enum err find_repository(struct ctx *c, const struct place *at, struct repository *out)
{
    enum err e = repository_by_name(c, at->access->project.project_id, at->repository, out);
    return e == E_NOT_FOUND ? fail(c, e, "repository %.*s/%.*s not found",
                                   STR(at->access->project.name), STR(at->repository))
                            : e;
}

static int64_t *ids_of(struct ctx *c, const struct list *items)
{
    const struct bulk_item *item = items->items;
    int64_t *ids = arena_alloc(&c->mem, (items->count + 1) * sizeof *ids);
    for (size_t i = 0; i < items->count; i++)
        ids[i] = item[i].id;
    return ids;
}

static struct strs names_of(struct ctx *c, const struct list *items)
{
    const struct bulk_item *item = items->items;
    struct strs names = {arena_alloc(&c->mem, (items->count + 1) * sizeof(struct str)),
                         items->count};
    for (size_t i = 0; i < items->count; i++)
        names.items[i] = item[i].name;
    return names;
}

/* ---- artifacts ------------------------------------------------------------------------------ */

static int by_digest(const void *a, const void *b)
{
    return str_cmp((*(const struct bulk_node *const *)a)->digest,
                   (*(const struct bulk_node *const *)b)->digest);
}

/* Nodes come in the order of their ids. */
static size_t place_of(const struct list *nodes, int64_t id)
{
    const struct bulk_node *n = nodes->items;
    size_t low = 0, high = nodes->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (n[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < nodes->count && n[low].id == id ? low : REMOVAL_NONE;
}

static void link_subjects(struct ctx *c, const struct list *nodes, struct removal_node *out)
{
    const struct bulk_node *n = nodes->items;
    const struct bulk_node **sorted = arena_alloc(&c->mem, (nodes->count + 1) * sizeof(void *));
    for (size_t i = 0; i < nodes->count; i++)
        sorted[i] = &n[i];
    qsort(sorted, nodes->count, sizeof(void *), by_digest);
    for (size_t i = 0; i < nodes->count; i++) {
        struct bulk_node want = {.digest = n[i].subject_digest};
        const struct bulk_node *key = &want;
        const struct bulk_node **found =
            want.digest.n ? bsearch(&key, sorted, nodes->count, sizeof(void *), by_digest) : NULL;
        out[i].subject = found ? (size_t)(*found - n) : REMOVAL_NONE;
    }
}

struct family {
    struct list nodes, edges;
    struct removal_node *fates;
    size_t *order, steps;
};

static enum err plan_family(struct ctx *c, const struct list *asked, struct family *f)
{
    int64_t *ids = ids_of(c, asked);
    TRY(bulk_family(c, ids, asked->count, FAMILY_MAX, &f->nodes, &f->edges));
    if (f->nodes.count == FAMILY_MAX)
        return fail(c, E_TOO_LARGE, "more than %d artifacts hang together: ask for fewer",
                    FAMILY_MAX);
    const struct bulk_node *n = f->nodes.items;
    const struct bulk_edge *e = f->edges.items;
    f->fates = arena_alloc(&c->mem, (f->nodes.count + 1) * sizeof *f->fates);
    f->order = arena_alloc(&c->mem, (f->nodes.count + 1) * sizeof *f->order);
    struct removal_edge *edges = arena_alloc(&c->mem, (f->edges.count + 1) * sizeof *edges);
    for (size_t i = 0; i < f->nodes.count; i++)
        f->fates[i] = (struct removal_node){.id = n[i].id, .tagged = n[i].tags > 0};
    for (size_t i = 0; i < asked->count; i++) {
        size_t at = place_of(&f->nodes, ids[i]);
        if (at != REMOVAL_NONE)
            f->fates[at].asked = true;
    }
    link_subjects(c, &f->nodes, f->fates);
    for (size_t i = 0; i < f->edges.count; i++)
        edges[i] = (struct removal_edge){place_of(&f->nodes, e[i].parent_id),
                                         place_of(&f->nodes, e[i].child_id)};
    f->steps = removal_plan(&c->mem, f->fates, f->nodes.count, edges, f->edges.count, f->order);
    return E_OK;
}

/* The first index that stays and contains it. */
static struct str holder_of(const struct family *f, int64_t id)
{
    const struct bulk_edge *e = f->edges.items;
    for (size_t i = 0; i < f->edges.count; i++) {
        size_t parent = place_of(&f->nodes, e[i].parent_id);
        enum removal_fate fate = parent == REMOVAL_NONE ? REMOVAL_STAYS : f->fates[parent].fate;
        if (e[i].child_id == id && fate != REMOVAL_GOES && fate != REMOVAL_CHILD)
            return e[i].parent_digest;
    }
    return S("");
}

static void count_fates(struct ctx *c, const struct family *f, struct bulk_plan *out,
                        struct i64s *going)
{
    const struct bulk_node *n = f->nodes.items;
    struct bulk_refusal *refused = arena_alloc(&c->mem, (f->nodes.count + 1) * sizeof *refused);
    going->items = arena_alloc(&c->mem, (f->nodes.count + 1) * sizeof *going->items);
    going->count = 0;
    out->refused = (struct list){refused, 0};
    for (size_t i = 0; i < f->nodes.count; i++) {
        bool here = n[i].state != STATE_EXPECTED;
        switch (f->fates[i].fate) {
        case REMOVAL_STAYS: continue;
        case REMOVAL_CONTAINED:
            refused[out->refused.count++] =
                (struct bulk_refusal){n[i].digest, S("contained"), holder_of(f, n[i].id)};
            continue;
        case REMOVAL_IMMUTABLE:
            refused[out->refused.count++] =
                (struct bulk_refusal){n[i].digest, S("immutable"), S("")};
            continue;
        case REMOVAL_GOES: out->going++; break;
        case REMOVAL_CHILD: out->children += here; break;
        case REMOVAL_ATTACHED: out->attached++; break;
        }
        out->tags += n[i].tags;
        going->items[going->count++] = n[i].id;
    }
}

static enum err look_at_artifacts(struct ctx *c, const struct place *at, const struct strs *items,
                                  struct bulk_plan *out)
{
    struct repository repo;
    struct list asked;
    struct family f;
    struct i64s going;
    TRY(find_repository(c, at, &repo));
    TRY(bulk_by_digest(c, repo.id, items, &asked));
    TRY(plan_family(c, &asked, &f));
    out->asked = (int64_t)asked.count;
    count_fates(c, &f, out, &going);
    const struct bulk_node *n = f.nodes.items;
    out->steps.items = arena_alloc(&c->mem, (f.steps + 1) * sizeof *out->steps.items);
    for (size_t i = 0; i < f.steps; i++)
        out->steps.items[out->steps.count++] = n[f.order[i]].digest;
    return bulk_worth_of(c, repo.project_id, going.items, going.count, &out->worth);
}

/* ---- tags and repositories ------------------------------------------------------------------ */

static enum err look_at_tags(struct ctx *c, const struct place *at, const struct strs *items,
                             struct bulk_plan *out)
{
    struct repository repo;
    struct list tags;
    TRY(find_repository(c, at, &repo));
    TRY(bulk_tags(c, repo.id, NULL, 0, items, &tags));
    out->steps = names_of(c, &tags);
    out->asked = out->going = out->tags = (int64_t)tags.count;
    return E_OK;
}

static enum err look_at_repositories(struct ctx *c, const struct place *at,
                                     const struct strs *items, struct bulk_plan *out)
{
    struct list found;
    int64_t project = at->access->project.project_id;
    TRY(bulk_repositories(c, project, items, &found));
    out->steps = names_of(c, &found);
    out->asked = out->going = (int64_t)found.count;
    return bulk_worth_of_repositories(c, project, ids_of(c, &found), found.count, &out->worth,
                                      &out->children, &out->tags);
}

enum err bulk_look(struct ctx *c, const struct place *at, enum bulk_action action,
                   const struct strs *items, struct bulk_plan *out)
{
    *out = (struct bulk_plan){0};
    switch (action) {
    case BULK_DELETE: return look_at_artifacts(c, at, items, out);
    case BULK_UNTAG: return look_at_tags(c, at, items, out);
    case BULK_DELETE_REPOSITORIES: return look_at_repositories(c, at, items, out);
    case BULK_DELETE_PROJECTS:
    case BULK_QUOTA:
    case BULK_VISIBILITY: break;
    }
    return fail(c, E_BAD_REQUEST, "no such action");
}

/* ---- doing it ------------------------------------------------------------------------------- */

static enum err one_step(struct ctx *c, const struct place *at, enum bulk_action action,
                         struct str step)
{
    struct place there = *at;
    enum err e = E_OK;
    switch (action) {
    case BULK_DELETE: e = delete_manifest(c, at, step); break;
    case BULK_UNTAG: e = delete_tag(c, at, step); break;
    case BULK_DELETE_REPOSITORIES:
        there.repository = step;
        e = delete_repository(c, &there);
        break;
    case BULK_DELETE_PROJECTS:
    case BULK_QUOTA:
    case BULK_VISIBILITY: return fail(c, E_BAD_REQUEST, "not an action inside a project");
    }
    return e == E_MANIFEST_UNKNOWN || e == E_NAME_UNKNOWN ? E_OK : e;
}

static void add_failure(struct ctx *c, struct str item, struct str reason, struct list *failed)
{
    struct bulk_failure *f = failed->items;
    f[failed->count++] = (struct bulk_failure){item, str_dup(&c->mem, reason)};
}

/* Artifacts in one transaction; of those that an index came for meanwhile it is told. */
static enum err delete_set(struct ctx *c, const struct place *at, const struct strs *steps,
                           size_t *taken, struct list *failed)
{
    struct list out;
    TRY(delete_manifests(c, at, steps, &out));
    const struct removed *r = out.items;
    for (size_t i = 0; i < out.count; i++)
        if (r[i].fate != E_OK && r[i].fate != E_NOT_FOUND)
            add_failure(c, r[i].digest, str_fmt(&c->mem, DELETE_CONTAINED, STR(r[i].digest)),
                        failed);
    *taken = out.count;
    return E_OK;
}

static enum err set_of_steps(struct ctx *c, const struct place *at, enum bulk_action action,
                             const struct strs *steps, size_t *taken, struct list *failed)
{
    size_t gone;
    *taken = steps->count;
    enum err e = action == BULK_DELETE ? delete_set(c, at, steps, taken, failed)
                                       : delete_tags(c, at, steps, &gone);
    return e == E_NAME_UNKNOWN ? E_OK : e;
}

size_t bulk_steps(struct ctx *c, const struct place *at, enum bulk_action action,
                  const struct strs *steps, struct list *failed)
{
    bool sets = action == BULK_DELETE || action == BULK_UNTAG;
    struct strs set = {steps->items, size_min(steps->count, sets ? DELETE_AT_ONCE : 1)};
    size_t taken, n = set.count;
    *failed = (struct list){arena_alloc(&c->mem, n * sizeof(struct bulk_failure)), 0};
    if (sets && set_of_steps(c, at, action, &set, &taken, failed) == E_OK)
        return taken;
    for (size_t i = 0; i < n; i++)
        if (one_step(c, at, action, set.items[i]) != E_OK)
            add_failure(c, set.items[i], str_of(c->msg), failed);
    return n;
}
