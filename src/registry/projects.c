/* The rules of a project's end and of what a public one may give away. */
#include "registry/projects.h"

#include "base/json.h"
#include "meta/robot.h"

struct str project_why_kept(const struct project *p)
{
    if (p->declared)
        return S("the project is declared in cove.yml");
    if (p->repo_count)
        return S("the project contains repositories, can not be deleted");
    return NO_STR;
}

/* Takes the entries of a project out of a robot's array; false when there are none. */
static bool drop_entries(json_t *array, struct str name)
{
    size_t before = json_array_size(array);
    for (size_t i = before; i-- > 0;) {
        const json_t *entry = json_array_get(array, i);
        struct str kind, space;
        if (json_get_str(entry, "kind", &kind) && str_eq(kind, S("project")) &&
            json_get_str(entry, "namespace", &space) && str_eq(space, name))
            json_array_remove(array, i);
    }
    return json_array_size(array) != before;
}

static enum err forget(struct ctx *c, struct robot *robot, struct str name)
{
    CLEANUP(json_done) json_t *all = NULL;
    if (!robot->permissions.text.n)
        return E_OK;
    TRY(json_parse(c, robot->permissions.text, &all));
    if (!drop_entries(all, name))
        return E_OK;
    TRY(json_text(c, all, &robot->permissions.text));
    return robot_update(c, robot);
}

static enum err robots_forget(struct ctx *c, struct str name)
{
    struct list_query q = {.page = 1, .page_size = 100};
    int64_t total = 0;
    do {
        struct list page;
        TRY(robot_list(c, 0, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++)
            TRY(forget(c, (struct robot *)page.items + i, name));
    } while (q.page++ * 100 < total);
    return E_OK;
}

enum err project_remove(struct ctx *c, const struct project *p)
{
    struct str why = project_why_kept(p);
    if (why.n)
        return fail(c, p->declared ? E_CONFLICT : E_PRECONDITION, "%.*s", STR(why));
    TRY(robots_forget(c, p->name));
    enum err e = project_delete(c, p->project_id);
    if (e == E_PRECONDITION)
        return fail(c, e, "the project contains repositories, can not be deleted");
    return e;
}

enum err project_check_exposure(struct ctx *c, const struct project *p, const struct endpoint *e)
{
    bool credential = e->access_key.n || e->access_secret.n;
    if (!p->registry_id || !p->is_public || !credential ||
        str_eq(p->public_with_credentials, S("true")))
        return E_OK;
    return fail(c, E_PRECONDITION,
                "project %.*s would give everybody what the credential of registry %.*s can read; "
                "a system admin may allow it by setting its metadata public_with_credentials to "
                "true",
                STR(p->name), STR(e->name));
}
