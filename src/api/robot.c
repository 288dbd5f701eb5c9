/*
 * Robots: accounts of programs, of the system or of one project (Harbor's robot operations).
 *
 * Invariants: a robot is never given a pair that Harbor's lists do not hold; a project robot has
 * exactly one entry, for its own project; a robot never makes a robot that may more than itself;
 * the secret is made here, stored as a salted hash, and shown once. The name prefix is not stored.
 */
#include "api/harbor.h"

#include "base/crypt.h"
#include "meta/robot.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <inttypes.h>

#define DURATION_DEFAULT 30
#define DURATION_MAX 36500 /* days */
#define SECRET_SIZE 32

/* robot.secret_hash carries the secret of a reply that shows it once; empty otherwise. */
const struct field robot_view_fields[] = {
    FIELD(struct robot, id, F_RO, 0),
    FIELD(struct robot, name, 0, 0),
    FIELD(struct robot, description, 0, 0),
    FIELD_AS(struct robot, secret_hash, "secret", F_OMIT, 0),
    FIELD(struct robot, level, 0, 0),
    FIELD(struct robot, duration, 0, 0),
    FIELD(struct robot, editable, 0, 0),
    FIELD(struct robot, disable, 0, 0),
    FIELD(struct robot, expires_at, 0, 0),
    FIELD(struct robot, permissions, 0, 0),
    FIELD(struct robot, creator_type, 0, 0),
    FIELD(struct robot, creator_ref, 0, 0),
    FIELD(struct robot, creation_time, 0, 0),
    FIELD(struct robot, update_time, 0, 0),
    FIELDS_END,
};

const struct field robot_created_fields[] = {
    FIELD(struct robot, id, 0, 0),
    FIELD(struct robot, name, 0, 0),
    FIELD_AS(struct robot, secret_hash, "secret", 0, 0),
    FIELD(struct robot, creation_time, 0, 0),
    FIELD(struct robot, expires_at, 0, 0),
    FIELDS_END,
};

const struct field robot_access_fields[] = {
    FIELD(struct robot_access, resource, F_REQ, 64),
    FIELD(struct robot_access, action, F_REQ, 64),
    FIELD(struct robot_access, effect, F_OMIT, 16),
    FIELDS_END,
};

const struct field robot_permission_fields[] = {
    FIELD(struct robot_permission, kind, F_REQ, 16),
    FIELD(struct robot_permission, namespace, F_REQ, 255),
    FIELD_LIST(struct robot_permission, access, 0, struct robot_access, robot_access_fields),
    FIELDS_END,
};

#define ROBOT_PERMISSIONS                                                                          \
    FIELD_LIST(struct robot_req, permissions, 0, struct robot_permission, robot_permission_fields)

const struct field robot_create_fields[] = {
    FIELD(struct robot_req, name, 0, 255),
    FIELD(struct robot_req, description, 0, 1024),
    FIELD(struct robot_req, secret, 0, 256), /* taken and ignored, as Harbor does */
    FIELD(struct robot_req, level, 0, 16),
    FIELD(struct robot_req, disable, 0, 0),
    FIELD(struct robot_req, duration, 0, 0),
    ROBOT_PERMISSIONS,
    FIELDS_END,
};

const struct field robot_update_fields[] = {
    FIELD(struct robot_req, name, 0, 512),
    FIELD(struct robot_req, description, 0, 1024),
    FIELD(struct robot_req, level, 0, 16),
    FIELD(struct robot_req, disable, 0, 0),
    FIELD(struct robot_req, duration, 0, 0),
    ROBOT_PERMISSIONS,
    FIELDS_END,
};

const struct field robot_sec_fields[] = {
    FIELD(struct robot_req, secret, 0, 256),
    FIELDS_END,
};

struct str robot_full_name(struct call *r, struct str stored)
{
    return str_fmt(&r->c->mem, "%.*s%.*s", STR(r->c->sv->settings->robot_prefix), STR(stored));
}

static struct str new_secret(struct arena *a)
{
    for (;;) {
        struct str s = random_text(a, SECRET_SIZE);
        bool upper = false, lower = false, digit = false;
        for (size_t i = 0; i < s.n; i++) {
            upper |= s.p[i] >= 'A' && s.p[i] <= 'Z';
            lower |= s.p[i] >= 'a' && s.p[i] <= 'z';
            digit |= s.p[i] >= '0' && s.p[i] <= '9';
        }
        if (upper && lower && digit)
            return s;
    }
}

/* ---- whose robot ---- */

static enum err project_of_permissions(struct call *r, const struct robot_req *body,
                                       struct str *name)
{
    const struct robot_permission *p = body->permissions.items;
    if (body->permissions.count != 1 || !str_eq(p->kind, S("project")) ||
        str_eq(p->namespace, S("*")))
        return fail(r->c, E_BAD_REQUEST,
                    "permissions: a project robot has exactly one entry, of its project");
    *name = p->namespace;
    return E_OK;
}

enum err robot_of_body(struct call *r, int64_t *project_id)
{
    const struct robot_req *body = r->body;
    struct str name;
    if (str_eq(body->level, S("system"))) {
        *project_id = 0;
        return E_OK;
    }
    if (!str_eq(body->level, S("project")))
        return fail(r->c, E_BAD_REQUEST, "level: expected system or project");
    TRY(project_of_permissions(r, body, &name));
    return project_id_named(r, name, project_id);
}

/* q=Level=project,ProjectID=7; without Level the system's robots. */
enum err robot_of_query(struct call *r, int64_t *project_id)
{
    const struct query_term *level = query_peek(&r->query, "level");
    const struct query_term *project = query_peek(&r->query, "projectid");
    if (!project)
        project = query_peek(&r->query, "project_id");
    *project_id = 0;
    if (!level || str_eq(level->values.items[0], S("system")))
        return E_OK;
    if (level->op != Q_EQ || !str_eq(level->values.items[0], S("project")))
        return fail(r->c, E_BAD_REQUEST, "Level: expected system or project");
    if (!project || project->op != Q_EQ || !str_to_i64(project->values.items[0], project_id) ||
        *project_id <= 0)
        return fail(r->c, E_BAD_REQUEST, "ProjectID: required when Level is project");
    return E_OK;
}

static enum err robot_row(struct call *r, struct robot *out)
{
    int64_t id;
    TRY(call_param_i64(r, "robot_id", &id));
    enum err e = robot_by_id(r->c, id, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "robot %" PRId64 " not found", id);
    return e;
}

enum err robot_of_path(struct call *r, int64_t *project_id)
{
    struct robot robot;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(robot_row(r, &robot));
    *project_id = robot.project_id;
    return E_OK;
}

/* ---- what it may ---- */

static enum err check_pair(struct ctx *c, bool system, const struct robot_access *a)
{
    enum resource res = rbac_resource(a->resource);
    enum action act = rbac_action(a->action);
    if (res == RES_NONE || act == ACT_NONE || !rbac_robot_pair(system, res, act))
        return fail(c, E_BAD_REQUEST, "a robot can not be given %.*s:%.*s", STR(a->resource),
                    STR(a->action));
    if (a->effect.n && !str_eq(a->effect, S("allow")))
        return fail(c, E_BAD_REQUEST, "effect: expected allow");
    return E_OK;
}

static enum err check_permission(struct call *r, const struct robot_permission *p)
{
    struct ctx *c = r->c;
    bool system = str_eq(p->kind, S("system"));
    int64_t id;
    if (!system && !str_eq(p->kind, S("project")))
        return fail(c, E_BAD_REQUEST, "kind: expected system or project");
    if (system && !str_eq(p->namespace, S("/")))
        return fail(c, E_BAD_REQUEST, "namespace: expected / for kind system");
    if (!p->access.count)
        return fail(c, E_BAD_REQUEST, "access: at least one entry is needed");
    for (size_t i = 0; i < p->access.count; i++)
        TRY(check_pair(c, system, (const struct robot_access *)p->access.items + i));
    if (!system && !str_eq(p->namespace, S("*")))
        TRY(project_id_named(r, p->namespace, &id));
    return E_OK;
}

static bool grants(const struct list *permissions, const struct robot_permission *p,
                   const struct robot_access *a)
{
    for (size_t i = 0; i < permissions->count; i++) {
        const struct robot_permission *own =
            (const struct robot_permission *)permissions->items + i;
        if (!str_eq(own->kind, p->kind) ||
            !(str_eq(own->namespace, p->namespace) || str_eq(own->namespace, S("*"))))
            continue;
        for (size_t k = 0; k < own->access.count; k++) {
            const struct robot_access *x = (const struct robot_access *)own->access.items + k;
            if (str_eq(x->resource, a->resource) && str_eq(x->action, a->action))
                return true;
        }
    }
    return false;
}

static enum err decode_permissions(struct ctx *c, struct str json, struct list *out)
{
    static const struct field fields[] = {ROBOT_PERMISSIONS, FIELDS_END};
    struct robot_req all = {0};
    struct str object = str_fmt(&c->mem, "{\"permissions\":%.*s}", STR(json.n ? json : S("[]")));
    TRY(fields_from_json(c, fields, object, &all, NULL));
    *out = all.permissions;
    return E_OK;
}

/* A robot gives no more than it has. */
static enum err check_subset(struct call *r, const struct list *permissions)
{
    struct ctx *c = r->c;
    struct list own;
    if (r->principal.kind != PRINCIPAL_ROBOT)
        return E_OK;
    TRY(decode_permissions(c, r->principal.permissions.text, &own));
    for (size_t i = 0; i < permissions->count; i++) {
        const struct robot_permission *p = (const struct robot_permission *)permissions->items + i;
        for (size_t k = 0; k < p->access.count; k++) {
            const struct robot_access *a = (const struct robot_access *)p->access.items + k;
            if (!grants(&own, p, a))
                return fail(c, E_FORBIDDEN, "a robot can not give %.*s:%.*s that it does not have",
                            STR(a->resource), STR(a->action));
        }
    }
    return E_OK;
}

static enum err check_permissions(struct call *r, const struct robot_req *body)
{
    if (!body->permissions.count)
        return fail(r->c, E_BAD_REQUEST, "permissions: at least one entry is needed");
    for (size_t i = 0; i < body->permissions.count; i++)
        TRY(check_permission(r, (const struct robot_permission *)body->permissions.items + i));
    return check_subset(r, &body->permissions);
}

static enum err encode_permissions(struct ctx *c, const struct list *l, struct raw_json *out)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    fields_encode_list(&j, &c->mem, robot_permission_fields, l->items, l->count,
                       sizeof(struct robot_permission));
    if (b.full)
        return fail(c, E_TOO_LARGE, "permissions: too large");
    out->text = str_dup(&c->mem, buf_view(&b));
    return E_OK;
}

static enum err check_duration(struct ctx *c, int64_t days)
{
    if (days != -1 && (days < 1 || days > DURATION_MAX))
        return fail(c, E_BAD_REQUEST, "duration: expected -1 or 1 to %d days", DURATION_MAX);
    return E_OK;
}

static int64_t expiry(struct timestamp from, int64_t days)
{
    return days == -1 ? -1 : from.us / SECOND_US + days * 86400;
}

/* ---- operations ---- */

static void show(struct call *r, struct robot *robot)
{
    robot->name = robot_full_name(r, robot->name);
    robot->secret_hash = NO_STR;
}

enum err list_robots(struct call *r)
{
    struct ctx *c = r->c;
    struct list robots;
    int64_t project_id, total;
    TRY(robot_of_query(r, &project_id));
    static const char *const served[] = {"Level", "level", "ProjectID", "project_id"};
    for (size_t i = 0; i < COUNT(served); i++)
        (void)query_take(&r->query, served[i]); /* they were read above */
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(robot_list(c, project_id, &r->query, &robots, &total));
    tx_end(&tx);
    for (size_t i = 0; i < robots.count; i++)
        show(r, (struct robot *)robots.items + i);
    return reply_list(r, robot_view_fields, &robots, sizeof(struct robot), total);
}

enum err get_robot(struct call *r)
{
    struct robot robot;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(robot_row(r, &robot));
    tx_end(&tx);
    show(r, &robot);
    return reply_json(r, 200, robot_view_fields, &robot);
}

static enum err prepare(struct call *r, const struct robot_req *body, struct robot *out)
{
    struct ctx *c = r->c;
    bool project = str_eq(body->level, S("project"));
    out->name = body->name;
    out->duration =
        field_seen(robot_create_fields, "duration", r->seen) ? body->duration : DURATION_DEFAULT;
    if (!name_is_robot(body->name))
        return fail(c, E_BAD_REQUEST,
                    "robot name: expected lower case letters and digits, with single . _ - "
                    "between them");
    TRY(check_duration(c, out->duration));
    TRY(check_permissions(r, body));
    TRY(encode_permissions(c, &body->permissions, &out->permissions));
    if (project) {
        const struct robot_permission *p = body->permissions.items;
        TRY(project_id_named(r, p->namespace, &out->project_id));
        out->name = str_fmt(&c->mem, "%.*s+%.*s", STR(p->namespace), STR(body->name));
    }
    return E_OK;
}

enum err create_robot(struct call *r)
{
    struct ctx *c = r->c;
    const struct robot_req *body = r->body;
    bool by_robot = r->principal.kind == PRINCIPAL_ROBOT;
    struct robot robot = {.description = body->description,
                          .level = body->level,
                          .disable = body->disable,
                          .editable = true,
                          .creator_type = by_robot ? S("robot") : S("local"),
                          .creator_ref = r->principal.id};
    TRY(prepare(r, body, &robot));
    struct str secret = new_secret(&c->mem);
    robot.secret_hash = generated_hash(&c->mem, secret);
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    robot.expires_at = expiry(tx.now, robot.duration);
    enum err e = robot_insert(c, &robot);
    if (e == E_CONFLICT)
        return fail(c, e, "robot %.*s already exists", STR(robot.name));
    TRY(e);
    TRY(tx_commit(&tx));
    robot.name = robot_full_name(r, robot.name);
    robot.secret_hash = secret;
    reply_header(&r->reply, S("Location"), str_fmt(&c->mem, API_BASE "/robots/%" PRId64, robot.id));
    return reply_json(r, 201, robot_created_fields, &robot);
}

static enum err apply_update(struct call *r, const struct robot_req *body, struct robot *robot)
{
    struct ctx *c = r->c;
    struct str full = robot_full_name(r, robot->name), own;
    bool named = body->name.n && !str_eq(body->name, full) && !str_eq(body->name, robot->name);
    bool levelled = body->level.n && !str_eq(body->level, robot->level);
    if (named || levelled)
        return fail(c, E_BAD_REQUEST, "the name and the level of a robot can not be changed");
    if (!robot->editable)
        return fail(c, E_BAD_REQUEST, "robot %.*s is not editable", STR(full));
    if (field_seen(robot_update_fields, "description", r->seen))
        robot->description = body->description;
    if (field_seen(robot_update_fields, "disable", r->seen))
        robot->disable = body->disable;
    if (field_seen(robot_update_fields, "duration", r->seen)) {
        TRY(check_duration(c, body->duration));
        if (body->duration != robot->duration)
            robot->expires_at = expiry(robot->creation_time, body->duration);
        robot->duration = body->duration;
    }
    if (!field_seen(robot_update_fields, "permissions", r->seen))
        return E_OK;
    if (robot->project_id) {
        TRY(project_of_permissions(r, body, &own));
        int64_t plus = str_rfind(robot->name, '+');
        if (!str_eq(own, str_sub(robot->name, 0, plus < 0 ? 0 : (size_t)plus)))
            return fail(c, E_BAD_REQUEST, "permissions: a project robot stays in its project");
    }
    TRY(check_permissions(r, body));
    return encode_permissions(c, &body->permissions, &robot->permissions);
}

enum err update_robot(struct call *r)
{
    struct ctx *c = r->c;
    struct robot robot;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(robot_row(r, &robot));
    tx_end(&tx);
    TRY(apply_update(r, r->body, &robot));
    CLEANUP(tx_end) struct tx change = {0};
    TRY(tx_begin(c, &change));
    TRY(robot_update(c, &robot));
    TRY(tx_commit(&change));
    return reply_empty(r, 200);
}

/* PATCH: a secret of one's own is checked like a password and not shown again; without one a new
   secret is made and shown. */
enum err refresh_robot_secret(struct call *r)
{
    struct ctx *c = r->c;
    const struct robot_req *body = r->body;
    struct robot_req answer = {.secret = S("")};
    struct str secret = body->secret;
    struct robot robot;
    if (secret.n) {
        TRY(password_acceptable(c, secret));
    } else {
        secret = new_secret(&c->mem);
        answer.secret = secret;
    }
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(robot_row(r, &robot));
    TRY(robot_set_secret(c, robot.id, generated_hash(&c->mem, secret)));
    TRY(tx_commit(&tx));
    return reply_json(r, 200, robot_sec_fields, &answer);
}

enum err delete_robot(struct call *r)
{
    struct ctx *c = r->c;
    struct robot robot;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(robot_row(r, &robot));
    TRY(robot_delete(c, robot.id));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}
