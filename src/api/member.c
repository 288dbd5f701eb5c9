/* Members of projects: Harbor's member operations. Users only; groups are not in this
   release and are refused (501) rather than ignored. */
#include "api/harbor.h"

#include "meta/member.h"

#include <inttypes.h>

const struct field member_view_fields[] = {
    FIELD(struct member, id, 0, 0),          FIELD(struct member, project_id, 0, 0),
    FIELD(struct member, entity_name, 0, 0), FIELD(struct member, role_name, 0, 0),
    FIELD(struct member, role_id, 0, 0),     FIELD(struct member, entity_id, 0, 0),
    FIELD(struct member, entity_type, 0, 0), FIELDS_END,
};

const struct field user_entity_fields[] = {
    FIELD(struct user_entity, user_id, 0, 0),
    FIELD(struct user_entity, username, 0, 255),
    FIELDS_END,
};

const struct field group_entity_fields[] = {
    FIELD(struct group_entity, id, 0, 0),
    FIELD(struct group_entity, group_name, 0, 255),
    FIELD(struct group_entity, group_type, 0, 0),
    FIELD(struct group_entity, ldap_group_dn, 0, 512),
    FIELDS_END,
};

const struct field member_req_fields[] = {
    FIELD(struct member_req, role_id, 0, 0),
    FIELD_REF(struct member_req, member_user, 0, user_entity_fields),
    FIELD_REF(struct member_req, member_group, 0, group_entity_fields),
    FIELDS_END,
};

const struct field role_req_fields[] = {
    FIELD(struct member_req, role_id, 0, 0),
    FIELDS_END,
};

const struct field member_query_fields[] = {
    FIELD(struct member_query, entityname, 0, 255),
    FIELDS_END,
};

static enum err check_role(struct ctx *c, int64_t role)
{
    if (role <= ROLE_NONE || role >= ROLE_COUNT)
        return fail(c, E_BAD_REQUEST, "role_id: expected 1 to %d", ROLE_COUNT - 1);
    return E_OK;
}

static enum err member_of_path(struct call *r, struct member *out)
{
    int64_t id;
    TRY(call_param_i64(r, "mid", &id));
    enum err e = member_by_id(r->c, r->access.project.project_id, id, out);
    if (e == E_NOT_FOUND)
        return fail(r->c, e, "project member %" PRId64 " not found", id);
    return e;
}

static void name_role(struct member *m)
{
    m->role_name = str_of(rbac_role_name((enum role)m->role_id));
}

enum err list_project_members(struct call *r)
{
    struct ctx *c = r->c;
    struct member_query q = {0};
    struct list members;
    int64_t total;
    TRY(query_decode(r, &q));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(member_list(c, r->access.project.project_id, q.entityname, &r->query, &members, &total));
    tx_end(&tx);
    for (size_t i = 0; i < members.count; i++)
        name_role((struct member *)members.items + i);
    return reply_list(r, member_view_fields, &members, sizeof(struct member), total);
}

static enum err user_named(struct ctx *c, const struct user_entity *who, struct user *out)
{
    enum err e =
        who->user_id > 0 ? user_by_id(c, who->user_id, out) : user_by_name(c, who->username, out);
    if (e == E_NOT_FOUND || (e == E_OK && out->deleted))
        return fail(c, E_NOT_FOUND, "user %.*s not found", STR(who->username));
    return e;
}

enum err create_project_member(struct call *r)
{
    struct ctx *c = r->c;
    const struct member_req *body = r->body;
    struct user u;
    if (body->member_group)
        return fail(c, E_NOT_IMPLEMENTED, "groups are not in this release");
    if (!body->member_user || (body->member_user->user_id <= 0 && !body->member_user->username.n))
        return fail(c, E_BAD_REQUEST, "member_user: expected user_id or username");
    TRY(check_role(c, body->role_id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(user_named(c, body->member_user, &u));
    struct member m = {.project_id = r->access.project.project_id,
                       .entity_id = u.user_id,
                       .entity_name = u.username,
                       .entity_type = S("u"),
                       .role_id = body->role_id};
    enum err e = member_insert(c, &m);
    if (e == E_CONFLICT)
        return fail(c, e, "user %.*s is a member of the project already", STR(u.username));
    TRY(e);
    TRY(tx_commit(&tx));
    return reply_located(r, "/projects/%" PRId64 "/members/%" PRId64, m.project_id, m.id);
}

enum err get_project_member(struct call *r)
{
    struct member m;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(member_of_path(r, &m));
    tx_end(&tx);
    name_role(&m);
    return reply_json(r, 200, member_view_fields, &m);
}

enum err update_project_member(struct call *r)
{
    struct ctx *c = r->c;
    const struct member_req *body = r->body;
    struct member m;
    TRY(check_role(c, body->role_id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(member_of_path(r, &m));
    TRY(member_set_role(c, m.project_id, m.id, body->role_id));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err delete_project_member(struct call *r)
{
    struct ctx *c = r->c;
    struct member m;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(member_of_path(r, &m));
    TRY(member_delete(c, m.project_id, m.id));
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}
