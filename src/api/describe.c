/*
 * Prints the tables that the server runs on. Nothing here is a second list: paths, guards,
 * parameters and models are read from the rows and field tables themselves. The one list is of the
 * names that the contract gives to our tables.
 */
#include "api/describe.h"

#include "api/harbor.h"

#include <string.h>

static const struct model {
    const char *name;
    const struct field *fields;
} models[] = {
    {"UserResp", user_resp_fields},
    {"UserSearchRespItem", user_found_fields},
    {"UserCreationReq", user_req_fields},
    {"UserProfile", user_profile_fields},
    {"UserSysAdminFlag", sysadmin_flag_fields},
    {"PasswordReq", password_req_fields},
    {"Permission", permission_fields},
    {"Permissions", permissions_fields},
    {"ProjectMetadata", metadata_fields},
    {"CVEAllowlistItem", cve_item_fields},
    {"CVEAllowlist", cve_allowlist_fields},
    {"ProjectReq", project_req_fields},
    {"Project", project_view_fields},
    {"ProjectDeletable", project_deletable_fields},
    {"ProjectSummary", project_summary_fields},
    {"ProjectSummaryQuota", summary_quota_fields},
    {"ResourceList", resource_list_fields},
    {"ProjectMemberEntity", member_view_fields},
    {"ProjectMember", member_req_fields},
    {"RoleRequest", role_req_fields},
    {"UserEntity", user_entity_fields},
    {"UserGroup", group_entity_fields},
    {"Robot", robot_view_fields},
    {"Robot", robot_update_fields},
    {"RobotCreate", robot_create_fields},
    {"RobotCreated", robot_created_fields},
    {"RobotSec", robot_sec_fields},
    {"RobotPermission", robot_permission_fields},
    {"Access", robot_access_fields},
    {"Registry", registry_view_fields},
    {"Registry", registry_create_fields},
    {"RegistryUpdate", registry_update_fields},
    {"RegistryPing", registry_ping_fields},
    {"RegistryCredential", registry_credential_fields},
    {"RegistryInfo", registry_info_fields},
    {"FilterStyle", filter_style_fields},
    {"RegistryProviderInfo", provider_info_fields},
    {"RegistryProviderEndpointPattern", provider_endpoint_fields},
    {"RegistryProviderCredentialPattern", provider_credential_fields},
    {"RegistryEndpoint", registry_endpoint_fields},
    {"Repository", repository_view_fields},
    {"Repository", repository_req_fields},
    {"Artifact", artifact_view_fields},
    {"Reference", reference_fields},
    {"Tag", tag_view_fields},
    {"NewTag", new_tag_fields},
    {"Accessory", accessory_fields},
    {"Quota", quota_fields},
    {"QuotaUpdateReq", quota_req_fields},
    {"Search", search_fields},
    {"SearchRepository", search_repository_fields},
    {"Statistic", statistic_fields},
    {"OverallHealthStatus", health_fields},
    {"ComponentHealthStatus", component_fields},
    {"Configurations", configurations_req_fields},
    {"ConfigurationsResponse", configurations_fields},
    {"BoolConfigItem", bool_item_fields},
    {"IntegerConfigItem", int_item_fields},
    {"StringConfigItem", str_item_fields},
    {"GeneralInfo", general_info_fields},
    {"SystemInfo", system_info_fields},
    {"Storage", storage_fields},
};

static const char *model_name(const struct field *fields)
{
    for (size_t i = 0; i < COUNT(models); i++)
        if (models[i].fields == fields)
            return models[i].name;
    return NULL;
}

bool route_at(size_t index, const char **prefix, const struct route **out)
{
    static const struct {
        const char *prefix;
        const struct route *rows;
    } arrays[] = {{"/v2", registry_routes},
                  {"/api/v2.0", harbor_routes},
                  {"/api/cove/v1", cove_routes},
                  {"", misc_routes}};
    for (size_t i = 0; i < COUNT(arrays); i++)
        for (const struct route *row = arrays[i].rows; row->path; row++)
            if (index-- == 0) {
                *prefix = arrays[i].prefix;
                *out = row;
                return true;
            }
    return false;
}

/* ---- who may ---- */

static const char *const kind_names[] = {
    [GUARD_UNSET] = "unset",   [GUARD_ANYONE] = "anyone",   [GUARD_LOGIN] = "login",
    [GUARD_SYSTEM] = "system", [GUARD_PROJECT] = "project", [GUARD_IN_BODY] = "body",
    [GUARD_FOUND] = "found",   [GUARD_SELF] = "self",       [GUARD_REGISTRY] = "registry",
};

struct str route_who(struct arena *a, const struct guard *g)
{
    const char *res = g->res ? rbac_resource_name(g->res) : "";
    const char *act = g->act ? rbac_action_name(g->act) : "";
    switch (g->kind) {
    case GUARD_ANYONE: return S("anyone");
    case GUARD_LOGIN: return S("whoever is logged in");
    case GUARD_SYSTEM: return str_fmt(a, "system %s:%s", res, act);
    case GUARD_PROJECT:
    case GUARD_REGISTRY:
        return g->act ? str_fmt(a, "project %s:%s", res, act) : S("whoever is logged in");
    case GUARD_IN_BODY:
    case GUARD_FOUND: return str_fmt(a, "project or system %s:%s", res, act);
    case GUARD_SELF: return str_fmt(a, "the user, or system %s:%s", res, act);
    case GUARD_UNSET: break;
    }
    return S("nobody");
}

struct who {
    bool everything, anonymous, sysadmin;
    enum role role; /* ROLE_NONE: logged in without a role */
};

static enum err who_is(struct ctx *c, struct str name, struct who *out)
{
    *out = (struct who){.everything = name.n == 0,
                        .anonymous = str_eq(name, S("anonymous")),
                        .sysadmin = str_eq(name, S("sysadmin"))};
    for (int role = ROLE_NONE + 1; role < ROLE_COUNT; role++)
        if (str_eq_nocase(name, str_of(rbac_role_name((enum role)role))))
            out->role = (enum role)role;
    if (out->everything || out->anonymous || out->sysadmin || out->role || str_eq(name, S("user")))
        return E_OK;
    return fail(c, E_BAD_REQUEST,
                "%.*s: expected anonymous, user, sysadmin, projectAdmin, maintainer, developer, "
                "guest or limitedGuest",
                STR(name));
}

/* In a private project where the principal has the role. */
static bool who_may(const struct who *who, const struct guard *g)
{
    if (who->everything || who->sysadmin)
        return true;
    switch (g->kind) {
    case GUARD_ANYONE: return true;
    case GUARD_LOGIN:
    case GUARD_SELF: return !who->anonymous;
    case GUARD_PROJECT:
    case GUARD_IN_BODY:
    case GUARD_FOUND: return who->role && rbac_role_may(who->role, g->res, g->act);
    case GUARD_REGISTRY:
        return g->act ? who->role && rbac_role_may(who->role, g->res, g->act) : !who->anonymous;
    case GUARD_SYSTEM:
    case GUARD_UNSET: break;
    }
    return false;
}

/* ---- routes ---- */

const char *route_method(enum http_method m)
{
    switch (m) {
    case HTTP_GET: return "GET";
    case HTTP_HEAD: return "HEAD";
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_PATCH: return "PATCH";
    case HTTP_DELETE: return "DELETE";
    case HTTP_OPTIONS: return "OPTIONS";
    case HTTP_OTHER: break;
    }
    return "?";
}

static void put_text(struct json_out *j, const char *key, const char *value)
{
    put_key(j, str_of(key));
    if (value)
        put_str(j, str_of(value));
    else
        put_null(j);
}

static const char *wire_type(const struct field *f)
{
    switch (f->type) {
    case F_BOOL: return "boolean";
    case F_I64: return "integer";
    case F_STR: return "string";
    case F_TIME: return "date-time";
    case F_STRS:
    case F_I64S:
    case F_LIST: return "array";
    case F_OBJECT:
    case F_REF:
    case F_JSON: return "object";
    case F_NONE: break;
    }
    return "?";
}

static void put_parameter(struct json_out *j, struct str name, const char *in, const char *type,
                          bool required)
{
    put_open(j, '{');
    put_key(j, S("name"));
    put_str(j, name);
    put_text(j, "in", in);
    put_text(j, "type", type);
    put_key(j, S("required"));
    put_bool(j, required);
    put_close(j, '}');
}

static void put_parameters(struct json_out *j, const struct route *row)
{
    put_key(j, S("parameters"));
    put_open(j, '[');
    struct str rest = str_of(row->path);
    while (rest.n) {
        struct str segment = str_cut(&rest, '/');
        if (str_starts(segment, S("{")))
            put_parameter(j, str_sub(segment, 1, segment.n - 2), "path", "string", true);
    }
    if (row->flags & ROUTE_LIST) {
        put_parameter(j, S("q"), "query", "string", false);
        put_parameter(j, S("sort"), "query", "string", false);
    }
    if (row->flags & (ROUTE_LIST | ROUTE_PAGES)) {
        put_parameter(j, S("page"), "query", "integer", false);
        put_parameter(j, S("page_size"), "query", "integer", false);
    }
    for (const struct field *f = row->query.fields; f && f->name; f++)
        put_parameter(j, str_of(f->name), "query", wire_type(f), f->flags & F_REQ);
    if (strstr(row->path, "{project_name_or_id}"))
        put_parameter(j, S("X-Is-Resource-Name"), "header", "boolean", false);
    if (row->flags & ROUTE_NAMED_LOCATION)
        put_parameter(j, S("X-Resource-Name-In-Location"), "header", "boolean", false);
    put_close(j, ']');
}

static void put_route(struct json_out *j, struct arena *a, const char *prefix,
                      const struct route *row)
{
    const struct guard *g = &row->guard;
    put_open(j, '{');
    put_text(j, "method", route_method(row->method));
    put_key(j, S("path"));
    put_str(j, str_fmt(a, "%s%s", prefix, row->path));
    put_text(j, "operation", row->operation);
    put_text(j, "guard", kind_names[g->kind]);
    put_text(j, "resource", g->res ? rbac_resource_name(g->res) : NULL);
    put_text(j, "action", g->act ? rbac_action_name(g->act) : NULL);
    put_key(j, S("who"));
    put_str(j, route_who(a, g));
    put_key(j, S("later"));
    put_bool(j, !row->run);
    put_text(j, "body", row->body.fields ? model_name(row->body.fields) : NULL);
    put_parameters(j, row);
    /* What each role may in a private project, and everybody in a public one: for tests. */
    bool by_project = g->res && g->act && g->kind != GUARD_SYSTEM && g->kind != GUARD_SELF;
    put_key(j, S("roles"));
    put_open(j, '[');
    for (int role = ROLE_NONE + 1; by_project && role < ROLE_COUNT; role++)
        if (rbac_role_may((enum role)role, g->res, g->act))
            put_str(j, str_of(rbac_role_name((enum role)role)));
    if (by_project && rbac_public_may(g->res, g->act))
        put_str(j, S("public"));
    if (g->act && rbac_robot_pair(false, g->res, g->act))
        put_str(j, S("projectRobot"));
    if (g->act && rbac_robot_pair(true, g->res, g->act))
        put_str(j, S("systemRobot"));
    put_close(j, ']');
    put_close(j, '}');
}

enum err routes_print(struct ctx *c, struct str who_name, bool json, struct buf *out)
{
    struct json_out j = {.out = out};
    const char *prefix;
    const struct route *row;
    struct who who;
    TRY(who_is(c, who_name, &who));
    if (json)
        put_open(&j, '[');
    for (size_t i = 0; route_at(i, &prefix, &row); i++) {
        if (!who_may(&who, &row->guard))
            continue;
        if (json) {
            put_route(&j, &c->mem, prefix, row);
            continue;
        }
        struct str words = route_who(&c->mem, &row->guard);
        buf_fmt(out, "%-7s %s%s\n        %s: %.*s%s\n", route_method(row->method), prefix,
                row->path, row->operation, STR(words), row->run ? "" : " (later)");
    }
    if (json) {
        put_close(&j, ']');
        buf_char(out, '\n');
    }
    return out->full ? fail(c, E_TOO_LARGE, "the routes do not fit") : E_OK;
}

/* ---- models ---- */

static void put_field(struct json_out *j, const struct field *f)
{
    put_open(j, '{');
    put_text(j, "name", f->name);
    put_text(j, "type", wire_type(f));
    if (f->type == F_STRS)
        put_text(j, "items", "string");
    if (f->type == F_I64S)
        put_text(j, "items", "integer");
    if (f->sub)
        put_text(j, f->type == F_LIST ? "items" : "model", model_name(f->sub));
    put_key(j, S("required"));
    put_bool(j, f->flags & F_REQ);
    put_close(j, '}');
}

enum err schema_print(struct ctx *c, struct buf *out)
{
    struct json_out j = {.out = out};
    put_open(&j, '[');
    for (size_t i = 0; i < COUNT(models); i++) {
        put_open(&j, '{');
        put_text(&j, "model", models[i].name);
        put_key(&j, S("fields"));
        put_open(&j, '[');
        for (const struct field *f = models[i].fields; f->name; f++)
            if (!(f->flags & F_ROW))
                put_field(&j, f);
        put_close(&j, ']');
        put_close(&j, '}');
    }
    put_close(&j, ']');
    buf_char(out, '\n');
    return out->full ? fail(c, E_TOO_LARGE, "the models do not fit") : E_OK;
}
