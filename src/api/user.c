/*
 * Users of the local directory: Harbor's user operations (reference: the contract's tag "user").
 *
 * Passwords are hashed outside of any transaction: argon2id takes some 18 ms and the writer's
 * connection must not wait for it. A change of password, of the administrator flag and deletion
 * bump the user's epoch in meta, which ends sessions and tokens.
 */
#include "api/harbor.h"

#include "base/crypt.h"
#include "meta/member.h"
#include "registry/access.h"
#include "rule/name.h"

#include <inttypes.h>
#include <string.h>

#define ADMIN_ID 1

const struct field user_resp_fields[] = {
    FIELD(struct user, user_id, 0, 0),
    FIELD(struct user, username, 0, 0),
    FIELD(struct user, email, 0, 0),
    FIELD(struct user, realname, 0, 0),
    FIELD(struct user, comment, 0, 0),
    FIELD(struct user, sysadmin_flag, 0, 0),
    FIELD(struct user, admin_role_in_auth, 0, 0),
    FIELD(struct user, creation_time, 0, 0),
    FIELD(struct user, update_time, 0, 0),
    FIELDS_END,
};

const struct field user_found_fields[] = {
    FIELD(struct user, user_id, 0, 0),
    FIELD(struct user, username, 0, 0),
    FIELDS_END,
};

const struct field user_req_fields[] = {
    FIELD(struct user_req, username, 0, 255), FIELD(struct user_req, email, 0, 255),
    FIELD(struct user_req, realname, 0, 255), FIELD(struct user_req, comment, 0, 1024),
    FIELD(struct user_req, password, 0, 256), FIELDS_END,
};

const struct field user_profile_fields[] = {
    FIELD(struct user_req, email, 0, 255),
    FIELD(struct user_req, realname, 0, 255),
    FIELD(struct user_req, comment, 0, 1024),
    FIELDS_END,
};

const struct field sysadmin_flag_fields[] = {
    FIELD(struct user, sysadmin_flag, 0, 0),
    FIELDS_END,
};

const struct field password_req_fields[] = {
    FIELD(struct password_req, old_password, 0, 256),
    FIELD(struct password_req, new_password, 0, 256),
    FIELDS_END,
};

const struct field user_query_fields[] = {
    FIELD(struct user_query, username, F_REQ, 255),
    FIELDS_END,
};

const struct field permission_query_fields[] = {
    FIELD(struct permission_query, scope, 0, 512),
    FIELD(struct permission_query, relative, 0, 0),
    FIELDS_END,
};

const struct field permission_fields[] = {
    FIELD(struct permission, resource, 0, 0),
    FIELD(struct permission, action, 0, 0),
    FIELDS_END,
};

struct permissions {
    struct list system, project; /* of permission */
};

const struct field permissions_fields[] = {
    FIELD_LIST(struct permissions, system, 0, struct permission, permission_fields),
    FIELD_LIST(struct permissions, project, 0, struct permission, permission_fields),
    FIELDS_END,
};

static enum err user_of_path(struct call *r, struct user *out)
{
    int64_t id;
    TRY(call_param_i64(r, "user_id", &id));
    enum err e = user_by_id(r->c, id, out);
    if (e == E_NOT_FOUND || (e == E_OK && out->deleted))
        return fail(r->c, E_NOT_FOUND, "user %" PRId64 " not found", id);
    return e;
}

static enum err check_profile(struct ctx *c, const struct user *u)
{
    if (u->email.n == 0)
        return fail(c, E_BAD_REQUEST, "email can't be empty");
    if (!name_is_email(u->email))
        return fail(c, E_BAD_REQUEST, "email with illegal format");
    if (u->realname.n < 1 || u->realname.n > 255)
        return fail(c, E_BAD_REQUEST, "realname with illegal length");
    for (size_t i = 0; i < u->realname.n; i++)
        if (strchr(",\"~#%$", u->realname.p[i]))
            return fail(c, E_BAD_REQUEST, "realname contains illegal characters");
    return E_OK;
}

enum err list_users(struct call *r)
{
    struct ctx *c = r->c;
    struct list users;
    int64_t total;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(user_list(c, &r->query, &users, &total));
    tx_end(&tx);
    return reply_list(r, user_resp_fields, &users, sizeof(struct user), total);
}

enum err create_user(struct call *r)
{
    struct ctx *c = r->c;
    const struct user_req *body = r->body;
    struct user u = {.username = body->username,
                     .email = body->email,
                     .realname = body->realname,
                     .comment = body->comment};
    if (!name_is_user(u.username))
        return fail(c, E_BAD_REQUEST, "username is empty, too long, or has illegal characters");
    TRY(check_profile(c, &u));
    TRY(password_acceptable(c, body->password));
    TRY(password_hash(c, body->password, &u.password_hash));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    enum err e = user_insert(c, &u);
    if (e == E_CONFLICT)
        return fail(c, e, "user %.*s or this e-mail address already exists", STR(u.username));
    TRY(e);
    TRY(tx_commit(&tx));
    return reply_located(r, "/users/%" PRId64, u.user_id);
}

enum err search_users(struct call *r)
{
    struct ctx *c = r->c;
    struct user_query q = {0};
    struct list users;
    int64_t total;
    TRY(query_decode(r, &q));
    if (q.username.n && !query_add(r, "username", Q_FUZZY, q.username))
        return fail(c, E_BAD_REQUEST, "too many terms in q");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(user_list(c, &r->query, &users, &total));
    tx_end(&tx);
    return reply_list(r, user_found_fields, &users, sizeof(struct user), total);
}

enum err get_user(struct call *r)
{
    struct user u;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(user_of_path(r, &u));
    tx_end(&tx);
    return reply_json(r, 200, user_resp_fields, &u);
}

enum err get_current_user(struct call *r)
{
    struct user u;
    if (r->principal.kind != PRINCIPAL_USER)
        return fail(r->c, E_PRECONDITION, "a robot is not a user");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(user_by_id(r->c, r->principal.id, &u));
    tx_end(&tx);
    return reply_json(r, 200, user_resp_fields, &u);
}

enum err update_user_profile(struct call *r)
{
    struct ctx *c = r->c;
    const struct user_req *body = r->body;
    struct user u;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(user_of_path(r, &u));
    u.email = body->email;
    u.realname = body->realname;
    u.comment = body->comment;
    TRY(check_profile(c, &u));
    enum err e = user_update_profile(c, &u);
    if (e == E_CONFLICT)
        return fail(c, e, "this e-mail address already belongs to a user");
    TRY(e);
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err delete_user(struct call *r)
{
    struct ctx *c = r->c;
    struct user u;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(user_of_path(r, &u));
    bool self = r->principal.kind == PRINCIPAL_USER && r->principal.id == u.user_id;
    if (u.user_id == ADMIN_ID || self)
        return fail(c, E_FORBIDDEN, "user with ID %" PRId64 " can not be deleted", u.user_id);
    TRY(user_delete(c, u.user_id));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err set_user_sysadmin(struct call *r)
{
    struct ctx *c = r->c;
    const struct user *body = r->body;
    struct user u;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(user_of_path(r, &u));
    if (u.user_id == ADMIN_ID && !body->sysadmin_flag)
        return fail(c, E_FORBIDDEN, "user %.*s stays a system admin", STR(u.username));
    if (r->principal.kind == PRINCIPAL_ROBOT && body->sysadmin_flag)
        return fail(c, E_FORBIDDEN, "a robot can not make system admins");
    TRY(user_set_sysadmin(c, u.user_id, body->sysadmin_flag));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

/* Whoever changes the own password must know the old one, system admins too. */
enum err update_user_password(struct call *r)
{
    struct ctx *c = r->c;
    const struct password_req *body = r->body;
    struct user u;
    struct str hash;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(user_of_path(r, &u));
    tx_end(&tx);
    bool self = r->principal.kind == PRINCIPAL_USER && r->principal.id == u.user_id;
    if (r->principal.kind == PRINCIPAL_ROBOT && u.sysadmin_flag)
        return fail(c, E_FORBIDDEN, "a robot can not set the password of a system admin");
    if (self && !password_verify(u.password_hash, body->old_password))
        return fail(c, E_FORBIDDEN, "current password is incorrect");
    TRY(password_acceptable(c, body->new_password));
    if (password_verify(u.password_hash, body->new_password))
        return fail(c, E_BAD_REQUEST, "the new password can not be same with the old one");
    TRY(password_hash(c, body->new_password, &hash));
    CLEANUP(tx_end) struct tx change = {0};
    TRY(tx_begin(c, &change));
    TRY(user_set_password(c, u.user_id, hash));
    TRY(tx_commit(&change));
    return reply_empty(r, 200);
}

/* ---- permissions ---------------------------------------------------------------------------- */

#define PAIRS_MAX (RES_COUNT * ACT_COUNT)

static void add_pair(struct list *l, struct str resource, enum action act)
{
    struct permission *p = (struct permission *)l->items + l->count++;
    p->resource = resource;
    p->action = str_of(rbac_action_name(act));
}

/* A pair that means something inside a project: some role has it, or a robot may. */
static bool project_pair(enum resource res, enum action act)
{
    for (int role = ROLE_PROJECT_ADMIN; role < ROLE_COUNT; role++)
        if (rbac_role_may((enum role)role, res, act))
            return true;
    return rbac_public_may(res, act);
}

/* Harbor's names: "/project/7/repository", relative "repository"; the project itself "/project/7"
   or ".". */
static struct str resource_text(struct call *r, int64_t project_id, enum resource res,
                                bool relative)
{
    struct str name = str_of(rbac_resource_name(res));
    if (relative)
        return res == RES_PROJECT ? S(".") : name;
    if (res == RES_PROJECT)
        return str_fmt(&r->c->mem, "/project/%" PRId64, project_id);
    return str_fmt(&r->c->mem, "/project/%" PRId64 "/%.*s", project_id, STR(name));
}

static void pairs_in_project(struct call *r, const struct project_access *in, bool relative,
                             struct list *out)
{
    for (int res = RES_NONE + 1; res < RES_COUNT; res++)
        for (int act = ACT_NONE + 1; act < ACT_COUNT; act++)
            if (project_pair((enum resource)res, (enum action)act) &&
                access_may(&r->principal, in, (enum resource)res, (enum action)act))
                add_pair(out,
                         resource_text(r, in->project.project_id, (enum resource)res, relative),
                         (enum action)act);
}

/* A pair that means something beside the projects: a robot may have it, or it is of the settings.
 */
static bool system_pair(enum resource res, enum action act)
{
    return rbac_robot_pair(true, res, act) ||
           (res == RES_CONFIGURATION && (act == ACT_READ || act == ACT_UPDATE));
}

static void pairs_in_system(struct call *r, bool relative, struct list *out)
{
    for (int res = RES_NONE + 1; res < RES_COUNT; res++)
        for (int act = ACT_NONE + 1; act < ACT_COUNT; act++)
            if (system_pair((enum resource)res, (enum action)act) &&
                access_may(&r->principal, NULL, (enum resource)res, (enum action)act)) {
                struct str name = str_of(rbac_resource_name((enum resource)res));
                if (!relative)
                    name = str_fmt(&r->c->mem, "/system/%.*s", STR(name));
                add_pair(out, name, (enum action)act);
            }
}

enum err get_current_permissions(struct call *r)
{
    struct ctx *c = r->c;
    struct permission_query q = {0};
    struct list pairs = {.items = arena_array(&c->mem, PAIRS_MAX, sizeof(struct permission))};
    TRY(query_decode(r, &q));
    struct str scope = q.scope;
    if (str_eq(scope, S("/system")) || scope.n == 0) {
        pairs_in_system(r, q.relative, &pairs);
    } else if (str_starts(scope, S("/project/"))) {
        int64_t id;
        struct project_access in;
        struct str rest = str_sub(scope, 9, scope.n);
        struct str head = str_cut(&rest, '/');
        if (!str_to_i64(head, &id) || id <= 0)
            return fail(c, E_BAD_REQUEST, "scope: expected /project/ID");
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        enum err e = project_access_for(c, NO_STR, id, &r->principal, &in);
        tx_end(&tx);
        if (e == E_OK)
            pairs_in_project(r, &in, q.relative, &pairs);
        else if (e != E_NOT_FOUND) /* an unknown project gives nobody any right */
            return e;
    } else {
        return fail(c, E_BAD_REQUEST, "scope: expected /project/ID or /system");
    }
    return reply_list(r, permission_fields, &pairs, sizeof(struct permission),
                      (int64_t)pairs.count);
}

/* Is the principal project admin anywhere? Pages over the projects that it sees. */
static enum err admin_of_any(struct call *r, bool *out)
{
    struct ctx *c = r->c;
    struct project_filter f = {.principal = &r->principal, .is_public = -1};
    struct list_query q = {.page = 1, .page_size = 100};
    int64_t total = 0;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    do {
        struct list page;
        TRY(project_list(c, &f, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++) {
            const struct project *p = (const struct project *)page.items + i;
            struct project_access in;
            TRY(project_access_for(c, NO_STR, p->project_id, &r->principal, &in));
            for (size_t k = 0; k < in.roles.count; k++)
                if (in.roles.items[k] == ROLE_PROJECT_ADMIN) {
                    *out = true;
                    return E_OK;
                }
        }
    } while (q.page++ * 100 < total);
    *out = false;
    return E_OK;
}

/* What a robot may be given: all of it to system admins, the project's part to project admins. */
enum err get_permissions(struct call *r)
{
    struct ctx *c = r->c;
    bool admin = r->principal.sysadmin;
    struct permissions all = {
        .system.items = arena_array(&c->mem, PAIRS_MAX, sizeof(struct permission)),
        .project.items = arena_array(&c->mem, PAIRS_MAX, sizeof(struct permission)),
    };
    if (!admin && r->principal.kind == PRINCIPAL_USER)
        TRY(admin_of_any(r, &admin));
    if (!admin)
        return fail(c, E_FORBIDDEN, "only system admins and project admins may list permissions");
    for (int res = RES_NONE + 1; res < RES_COUNT; res++)
        for (int act = ACT_NONE + 1; act < ACT_COUNT; act++) {
            struct str name = str_of(rbac_resource_name((enum resource)res));
            if (r->principal.sysadmin &&
                rbac_robot_pair(true, (enum resource)res, (enum action)act))
                add_pair(&all.system, name, (enum action)act);
            if (rbac_robot_pair(false, (enum resource)res, (enum action)act))
                add_pair(&all.project, name, (enum action)act);
        }
    return reply_json(r, 200, permissions_fields, &all);
}
