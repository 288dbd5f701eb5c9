/*
 * The whole of "may they". Registry tokens narrow the answer elsewhere (api/token.c); nothing
 * widens it. Robots hold pairs of Harbor's resource and action names in JSON, as they were made.
 */
#include "registry/access.h"

/* One entry of a robot: {kind, namespace, access:[{resource, action}]}. */
static bool entry_applies(const json_t *entry, const struct principal *p,
                          const struct project_access *project)
{
    struct str kind, space;
    if (!json_get_str(entry, "kind", &kind) || !json_get_str(entry, "namespace", &space))
        return false;
    if (!project)
        return str_eq(kind, S("system"));
    if (!str_eq(kind, S("project")))
        return false;
    if (p->project_id) /* a project's robot: its own project alone, whatever the text says */
        return p->project_id == project->project.project_id;
    return str_eq(space, S("*")) || str_eq(space, project->project.name);
}

static bool pair_matches(const json_t *pair, enum resource res, enum action act)
{
    struct str r, a;
    if (!json_get_str(pair, "resource", &r) || !json_get_str(pair, "action", &a))
        return false;
    return (str_eq(r, S("*")) || rbac_resource(r) == res) &&
           (str_eq(a, S("*")) || rbac_action(a) == act);
}

static bool robot_may(const struct principal *p, const struct project_access *project,
                      enum resource res, enum action act)
{
    struct ctx scratch = {0};
    json_t *root = NULL;
    bool may = false;
    if (p->permissions.text.n && json_parse(&scratch, p->permissions.text, &root) == E_OK) {
        size_t i, k;
        json_t *entry, *pair;
        json_array_foreach(root, i, entry)
        {
            if (!entry_applies(entry, p, project))
                continue;
            json_array_foreach(json_object_get(entry, "access"), k, pair)
            {
                may = may || pair_matches(pair, res, act);
            }
        }
    }
    json_decref(root);
    arena_release(&scratch.mem); /* and not what the thread knows: no memory is no refusal */
    return may && rbac_robot_pair(!project, res, act);
}

static bool user_may(const struct project_access *project, enum resource res, enum action act)
{
    for (size_t i = 0; i < project->roles.count; i++)
        if (rbac_role_may((enum role)project->roles.items[i], res, act))
            return true;
    return false;
}

bool access_may(const struct principal *p, const struct project_access *project, enum resource res,
                enum action act)
{
    if (p->disabled || res == RES_NONE || act == ACT_NONE)
        return false;
    if (p->kind == PRINCIPAL_USER && p->sysadmin)
        return true;
    if (project && project->project.is_public && rbac_public_may(res, act))
        return true;
    if (p->kind == PRINCIPAL_ROBOT)
        return robot_may(p, project, res, act);
    return p->kind == PRINCIPAL_USER && project && user_may(project, res, act);
}
