/*
 * Harbor's /configurations, as far as there is something behind a key. Settings belong to the file
 * or the environment that gave them and are shown as not editable; what can be changed here is
 * read-only mode.
 */
#include "api/harbor.h"

#include "registry/readonly.h"
#include "rule/settings.h"

struct bool_item {
    bool value, editable;
};
struct int_item {
    int64_t value;
    bool editable;
};
struct str_item {
    struct str value;
    bool editable;
};

#define ITEM(T) FIELD(struct T, value, 0, 0), FIELD(struct T, editable, 0, 0), FIELDS_END
const struct field bool_item_fields[] = {ITEM(bool_item)};
const struct field int_item_fields[] = {ITEM(int_item)};
const struct field str_item_fields[] = {ITEM(str_item)};

struct configurations {
    struct str_item auth_mode, project_creation_restriction, robot_name_prefix;
    struct bool_item notification_enable, primary_auth_mode, quota_per_project_enable, read_only,
        self_registration;
    struct int_item session_timeout, storage_per_project, token_expiration;
};

#define SHOWN(T, name) FIELD_OBJECT(struct configurations, name, 0, T##_item_fields)
const struct field configurations_fields[] = {
    SHOWN(str, auth_mode),
    SHOWN(bool, notification_enable),
    SHOWN(bool, primary_auth_mode),
    SHOWN(str, project_creation_restriction),
    SHOWN(bool, quota_per_project_enable),
    SHOWN(bool, read_only),
    SHOWN(str, robot_name_prefix),
    SHOWN(bool, self_registration),
    SHOWN(int, session_timeout),
    SHOWN(int, storage_per_project),
    SHOWN(int, token_expiration),
    FIELDS_END,
};

#define GIVEN(name, max) FIELD(struct configurations_req, name, 0, max)
const struct field configurations_req_fields[] = {
    GIVEN(auth_mode, 64),
    GIVEN(notification_enable, 0),
    GIVEN(primary_auth_mode, 0),
    GIVEN(project_creation_restriction, 64),
    GIVEN(quota_per_project_enable, 0),
    GIVEN(read_only, 0),
    GIVEN(robot_name_prefix, 64),
    GIVEN(self_registration, 0),
    GIVEN(session_timeout, 0),
    GIVEN(storage_per_project, 0),
    GIVEN(token_expiration, 0),
    FIELDS_END,
};

/* As they are; times in minutes, as Harbor has them. */
static struct configurations_req values_now(const struct settings *s)
{
    return (struct configurations_req){
        .auth_mode = S("db_auth"),
        .quota_per_project_enable = true,
        .project_creation_restriction = s->project_creation,
        .robot_name_prefix = s->robot_prefix,
        .read_only = read_only(),
        .self_registration = s->self_registration,
        .session_timeout = s->session_timeout_s / 60,
        .storage_per_project = s->storage_per_project,
        .token_expiration = s->token_expiry_s / 60,
    };
}

enum err get_configurations(struct call *r)
{
    struct configurations_req v = values_now(r->c->sv->settings);
    struct configurations all = {
        .auth_mode = {v.auth_mode, false},
        .notification_enable = {v.notification_enable, false},
        .primary_auth_mode = {v.primary_auth_mode, false},
        .project_creation_restriction = {v.project_creation_restriction, false},
        .quota_per_project_enable = {v.quota_per_project_enable, false},
        .read_only = {v.read_only, true},
        .robot_name_prefix = {v.robot_name_prefix, false},
        .self_registration = {v.self_registration, false},
        .session_timeout = {v.session_timeout, false},
        .storage_per_project = {v.storage_per_project, false},
        .token_expiration = {v.token_expiration, false},
    };
    return reply_json(r, 200, configurations_fields, &all);
}

/* Is the member the same in both? */
static bool same(const struct field *f, const void *a, const void *b)
{
    const char *x = (const char *)a + f->off, *y = (const char *)b + f->off;
    if (f->type == F_STR)
        return str_eq(*(const struct str *)(const void *)x, *(const struct str *)(const void *)y);
    if (f->type == F_BOOL)
        return *(const bool *)(const void *)x == *(const bool *)(const void *)y;
    return *(const int64_t *)(const void *)x == *(const int64_t *)(const void *)y;
}

/* A whole configuration may come back as it was read; what differs must be read_only alone. */
enum err update_configurations(struct call *r)
{
    const struct configurations_req *body = r->body;
    struct configurations_req now = values_now(r->c->sv->settings);
    bool given = false;
    for (const struct field *f = configurations_req_fields; f->name; f++) {
        bool is_switch = str_eq(str_of(f->name), S("read_only"));
        if (!field_seen(configurations_req_fields, f->name, r->seen))
            continue;
        given = given || is_switch;
        if (!is_switch && !same(f, body, &now))
            return fail(r->c, E_CONFLICT, "%s is a setting of the server: change it there",
                        f->name);
    }
    if (given)
        TRY(read_only_set(r->c, body->read_only));
    return reply_empty(r, 200);
}
