/*
 * Upstream registries: Harbor's registry operations and the two lists of adapters.
 *
 * A secret never leaves: replies say "*****". A changed URL without a new secret drops the stored
 * one, so that nobody can have it sent to a host of their choice; for the same reason a ping of a
 * stored registry uses the stored URL and TLS settings whatever the body says. The health check
 * runs outside of any transaction.
 */
#include "api/harbor.h"

#include "peer/oci.h"
#include "peer/vendor.h"
#include "registry/projects.h"

#include <inttypes.h>

#define SECRET_MASK "*****"

const struct field registry_credential_fields[] = {
    FIELD(struct registry_credential, type, F_OMIT, 16),
    FIELD(struct registry_credential, access_key, F_OMIT, 255),
    FIELD(struct registry_credential, access_secret, F_OMIT, 8192),
    FIELDS_END,
};

const struct field registry_view_fields[] = {
    FIELD(struct registry_view, id, 0, 0),
    FIELD(struct registry_view, url, 0, 0),
    FIELD(struct registry_view, name, 0, 0),
    FIELD_REF(struct registry_view, credential, 0, registry_credential_fields),
    FIELD(struct registry_view, type, 0, 0),
    FIELD(struct registry_view, insecure, 0, 0),
    FIELD(struct registry_view, ca_certificate, F_OMIT, 0),
    FIELD(struct registry_view, description, 0, 0),
    FIELD(struct registry_view, status, 0, 0),
    FIELD(struct registry_view, creation_time, 0, 0),
    FIELD(struct registry_view, update_time, 0, 0),
    FIELDS_END,
};

#define REQ(member, max) FIELD(struct registry_req, member, 0, max)
#define CREDENTIAL(member, wire, max) FIELD_AS(struct registry_req, credential.member, wire, 0, max)

const struct field registry_create_fields[] = {
    REQ(name, 64),
    REQ(description, 1024),
    REQ(type, 64),
    REQ(url, 1024),
    REQ(insecure, 0),
    REQ(ca_certificate, 65536),
    FIELD_OBJECT(struct registry_req, credential, 0, registry_credential_fields),
    FIELDS_END,
};

const struct field registry_update_fields[] = {
    REQ(name, 64),
    REQ(description, 1024),
    REQ(url, 1024),
    CREDENTIAL(type, "credential_type", 16),
    CREDENTIAL(access_key, "access_key", 255),
    CREDENTIAL(access_secret, "access_secret", 8192),
    REQ(insecure, 0),
    REQ(ca_certificate, 65536),
    FIELDS_END,
};

const struct field registry_ping_fields[] = {
    REQ(id, 0),
    REQ(type, 64),
    REQ(url, 1024),
    CREDENTIAL(type, "credential_type", 16),
    CREDENTIAL(access_key, "access_key", 255),
    CREDENTIAL(access_secret, "access_secret", 8192),
    REQ(insecure, 0),
    REQ(ca_certificate, 65536),
    FIELDS_END,
};

const struct field registry_query_fields[] = {
    FIELD(struct registry_query, name, 0, 64),
    FIELDS_END,
};

struct filter_style {
    struct str type, style;
    struct strs values;
};

const struct field filter_style_fields[] = {
    FIELD(struct filter_style, type, 0, 0),
    FIELD(struct filter_style, style, 0, 0),
    FIELD(struct filter_style, values, F_OMIT, 0),
    FIELDS_END,
};

struct registry_info {
    struct str type, description;
    struct list supported_resource_filters; /* of filter_style */
    struct strs supported_triggers;
    bool supported_copy_by_chunk;
};

const struct field registry_info_fields[] = {
    FIELD(struct registry_info, type, 0, 0),
    FIELD(struct registry_info, description, 0, 0),
    FIELD_LIST(struct registry_info, supported_resource_filters, 0, struct filter_style,
               filter_style_fields),
    FIELD(struct registry_info, supported_triggers, 0, 0),
    FIELD(struct registry_info, supported_copy_by_chunk, 0, 0),
    FIELDS_END,
};

struct registry_endpoint {
    struct str key, value;
};

const struct field registry_endpoint_fields[] = {
    FIELD(struct registry_endpoint, key, 0, 0),
    FIELD(struct registry_endpoint, value, 0, 0),
    FIELDS_END,
};

struct endpoint_pattern {
    struct str endpoint_type;
    struct list endpoints; /* of registry_endpoint */
};

const struct field provider_endpoint_fields[] = {
    FIELD(struct endpoint_pattern, endpoint_type, 0, 0),
    FIELD_LIST(struct endpoint_pattern, endpoints, 0, struct registry_endpoint,
               registry_endpoint_fields),
    FIELDS_END,
};

struct credential_pattern {
    struct str access_key_type, access_key_data, access_secret_type, access_secret_data;
};

const struct field provider_credential_fields[] = {
    FIELD(struct credential_pattern, access_key_type, 0, 0),
    FIELD(struct credential_pattern, access_key_data, 0, 0),
    FIELD(struct credential_pattern, access_secret_type, 0, 0),
    FIELD(struct credential_pattern, access_secret_data, 0, 0),
    FIELDS_END,
};

struct provider_info {
    struct endpoint_pattern endpoint_pattern;
    struct credential_pattern credential_pattern;
};

const struct field provider_info_fields[] = {
    FIELD_OBJECT(struct provider_info, endpoint_pattern, 0, provider_endpoint_fields),
    FIELD_OBJECT(struct provider_info, credential_pattern, 0, provider_credential_fields),
    FIELDS_END,
};

/* ---- shared ---- */

void registry_view_of(struct arena *a, const struct endpoint *e, struct registry_view *out)
{
    *out = (struct registry_view){
        .id = e->id,
        .name = e->name,
        .description = e->description,
        .type = e->type,
        .url = e->url,
        .ca_certificate = e->ca_certificate,
        .status = e->status,
        .insecure = e->insecure,
        .creation_time = e->creation_time,
        .update_time = e->update_time,
    };
    if (!e->access_key.n && !e->access_secret.n)
        return;
    out->credential = arena_alloc(a, sizeof *out->credential);
    out->credential->type = e->credential_type.n ? e->credential_type : S("basic");
    out->credential->access_key = e->access_key;
    if (e->access_secret.n)
        out->credential->access_secret = S(SECRET_MASK);
}

static enum err endpoint_of(struct ctx *c, int64_t id, struct endpoint *out)
{
    enum err e = endpoint_by_id(c, id, out);
    if (e == E_NOT_FOUND)
        return fail(c, e, "registry %" PRId64 " not found", id);
    return e;
}

static enum err endpoint_of_path(struct call *r, struct endpoint *out)
{
    int64_t id;
    TRY(call_param_i64(r, "id", &id));
    return endpoint_of(r->c, id, out);
}

static struct str without_slash(struct str url)
{
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

static enum err check_endpoint(struct ctx *c, struct endpoint *e)
{
    const struct vendor *v = vendor_by_type(e->type);
    if (!v || !v->listed)
        return fail(c, E_BAD_REQUEST, "unsupported registry type %.*s", STR(e->type));
    if (!e->url.n && v->fixed_url)
        e->url = str_of(v->fixed_url);
    e->url = without_slash(e->url);
    if (!e->url.n)
        return fail(c, E_BAD_REQUEST, "url: required");
    if (e->credential_type.n && !str_eq(e->credential_type, S("basic")))
        return fail(c, E_BAD_REQUEST, "credential type: expected basic");
    struct client_target target = {.base_url = e->url, .insecure = e->insecure};
    enum err got = client_check_url(c, c->sv->client, &target, e->url);
    return got == E_DENIED ? E_BAD_REQUEST : got; /* a fault of the body, not of the caller */
}

/* Harbor's health check: 400 with the reason, whatever went wrong. The refusal of the outbound
   policy keeps its words, which name the key that would allow the address. */
static enum err check_health(struct ctx *c, const struct endpoint *e)
{
    struct oci_status st = {0};
    enum err got = oci_ping(c, e, &st);
    bool anonymous = !e->access_key.n && !e->access_secret.n;
    if (got == E_OK || (anonymous && (st.http == 401 || st.http == 403)))
        return E_OK;
    struct str why = str_dup(&c->mem, str_of(c->msg));
    c->status = 0;
    return fail(c, E_BAD_REQUEST, "the registry is unhealthy: %.*s", STR(why));
}

/* ---- operations ---- */

enum err list_registries(struct call *r)
{
    struct ctx *c = r->c;
    struct registry_query q = {0};
    struct list rows;
    int64_t total;
    TRY(query_decode(r, &q));
    if (q.name.n && !query_add(r, "name", Q_FUZZY, q.name))
        return fail(c, E_BAD_REQUEST, "too many terms in q");
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(endpoint_list(c, &r->query, &rows, &total));
    tx_end(&tx);
    struct registry_view *views = arena_array(&c->mem, rows.count + 1, sizeof *views);
    for (size_t i = 0; i < rows.count; i++)
        registry_view_of(&c->mem, (const struct endpoint *)rows.items + i, &views[i]);
    struct list out = {views, rows.count};
    return reply_list(r, registry_view_fields, &out, sizeof *views, total);
}

enum err get_registry(struct call *r)
{
    struct endpoint e;
    struct registry_view view;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(endpoint_of_path(r, &e));
    tx_end(&tx);
    registry_view_of(&r->c->mem, &e, &view);
    return reply_json(r, 200, registry_view_fields, &view);
}

enum err create_registry(struct call *r)
{
    struct ctx *c = r->c;
    const struct registry_req *body = r->body;
    struct endpoint e = {
        .name = body->name,
        .description = body->description,
        .type = body->type,
        .url = body->url,
        .insecure = body->insecure,
        .ca_certificate = body->ca_certificate,
        .credential_type = body->credential.type,
        .access_key = body->credential.access_key,
        .access_secret = body->credential.access_secret,
        .status = S("healthy"),
    };
    if (!e.name.n)
        return fail(c, E_BAD_REQUEST, "name: required, at most 64 bytes");
    TRY(check_endpoint(c, &e));
    TRY(check_health(c, &e));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    enum err got = endpoint_insert(c, &e);
    if (got == E_CONFLICT)
        return fail(c, got, "registry %.*s already exists", STR(e.name));
    TRY(got);
    TRY(tx_commit(&tx));
    return reply_located(r, "/registries/%" PRId64, e.id);
}

static enum err check_not_declared(struct ctx *c, const struct endpoint *e)
{
    if (e->declared)
        return fail(c, E_CONFLICT, "registry %.*s is declared in cove.yml: change it there",
                    STR(e->name));
    return E_OK;
}

static bool given(const struct call *r, const char *name)
{
    return field_seen(r->route->body.fields, name, r->seen);
}

/* What the body overrides; the secret goes when the URL changes and no new one comes. */
static void override_endpoint(const struct call *r, const struct registry_req *body, bool address,
                              struct endpoint *e)
{
    bool secret =
        given(r, "access_secret") && !str_eq(body->credential.access_secret, S(SECRET_MASK));
    if (address && given(r, "url") && !str_eq(without_slash(body->url), e->url)) {
        e->url = body->url;
        if (!secret)
            e->access_secret = NO_STR;
    }
    if (address && given(r, "insecure"))
        e->insecure = body->insecure;
    if (address && given(r, "ca_certificate"))
        e->ca_certificate = body->ca_certificate;
    if (given(r, "credential_type"))
        e->credential_type = body->credential.type;
    if (given(r, "access_key"))
        e->access_key = body->credential.access_key;
    if (secret)
        e->access_secret = body->credential.access_secret;
}

/* A credential must not appear behind a public proxy project that was not meant for one. */
static enum err check_projects(struct call *r, const struct endpoint *e)
{
    struct ctx *c = r->c;
    struct principal all = {.kind = PRINCIPAL_USER, .sysadmin = true};
    struct project_filter f = {.principal = &all, .is_public = 1};
    struct str id = str_fmt(&c->mem, "%" PRId64, e->id);
    struct list_query q = {.page = 1, .page_size = 100, .term_count = 1};
    q.terms[0] = (struct query_term){.key = S("registry_id"), .op = Q_EQ, .values = {&id, 1}};
    int64_t total = 0;
    do {
        struct list page;
        TRY(project_list(c, &f, &q, &page, &total));
        for (size_t i = 0; i < page.count; i++)
            TRY(project_check_exposure(c, (const struct project *)page.items + i, e));
    } while (q.page++ * 100 < total);
    return E_OK;
}

enum err update_registry(struct call *r)
{
    struct ctx *c = r->c;
    const struct registry_req *body = r->body;
    struct endpoint e;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(endpoint_of_path(r, &e));
    tx_end(&tx);
    TRY(check_not_declared(c, &e));
    if (given(r, "name") && !body->name.n)
        return fail(c, E_BAD_REQUEST, "name: must not be empty");
    if (given(r, "name"))
        e.name = body->name;
    if (given(r, "description"))
        e.description = body->description;
    override_endpoint(r, body, true, &e);
    e.epoch++; /* what is pooled or cached for the old settings is void */
    TRY(check_endpoint(c, &e));
    TRY(check_health(c, &e));
    e.status = S("healthy");
    CLEANUP(tx_end) struct tx change = {0};
    TRY(tx_begin(c, &change));
    TRY(check_projects(r, &e));
    enum err got = endpoint_update(c, &e);
    if (got == E_CONFLICT)
        return fail(c, got, "registry %.*s already exists", STR(e.name));
    TRY(got);
    TRY(tx_commit(&change));
    return reply_empty(r, 200);
}

enum err delete_registry(struct call *r)
{
    struct ctx *c = r->c;
    struct endpoint e;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(endpoint_of_path(r, &e));
    TRY(check_not_declared(c, &e));
    enum err got = endpoint_delete(c, e.id);
    if (got == E_PRECONDITION)
        return fail(c, got, "registry %.*s is used by a proxy cache project", STR(e.name));
    TRY(got);
    TRY(tx_commit(&tx));
    return reply_empty(r, 200);
}

enum err registry_of_ping(struct call *r, struct endpoint *out, bool *stored_out)
{
    struct ctx *c = r->c;
    const struct registry_req *body = r->body;
    struct endpoint e = {0};
    bool stored = given(r, "id");
    if (stored) {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(endpoint_of(c, body->id, &e));
    } else {
        if (!given(r, "type") || !given(r, "url"))
            return fail(c, E_BAD_REQUEST, "type and url are required");
        e.type = body->type;
    }
    override_endpoint(r, body, !stored, &e);
    if (stored && given(r, "access_secret"))
        e.epoch = -1; /* not the pool of the stored credential */
    if (!stored)
        TRY(check_endpoint(c, &e));
    *stored_out = stored && e.epoch >= 0;
    *out = e;
    return E_OK;
}

enum err ping_registry(struct call *r)
{
    struct endpoint e;
    bool stored;
    TRY(registry_of_ping(r, &e, &stored));
    TRY(check_health(r->c, &e));
    return reply_empty(r, 200);
}

/* ---- adapters ---- */

static struct strs words(struct arena *a, const char *const *list, size_t n)
{
    struct strs out = {arena_array(a, n, sizeof *out.items), n};
    for (size_t i = 0; i < n; i++)
        out.items[i] = str_of(list[i]);
    return out;
}

enum err get_registry_info(struct call *r)
{
    static const char *const triggers[] = {"manual", "scheduled", "event_based"};
    static const char *const kinds[] = {"image", "artifact"}, *const none[] = {""};
    struct ctx *c = r->c;
    int64_t id;
    struct endpoint e = {.type = S("harbor")};
    TRY(call_param_i64(r, "id", &id));
    if (id != 0) { /* 0 is this installation */
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(endpoint_of(c, id, &e));
    }
    bool harbor = str_eq(e.type, S("harbor"));
    struct filter_style filters[] = {
        {S("name"), S("input"), {0}},
        {S("tag"), S("input"), {0}},
        {S("label"), S("list"), words(&c->mem, none, 0)},
        {S("resource"), S("radio"), words(&c->mem, kinds, COUNT(kinds))},
    };
    struct registry_info info = {
        .type = e.type,
        .supported_resource_filters = {filters, harbor ? COUNT(filters) : 2},
        .supported_triggers = words(&c->mem, triggers, id == 0 ? 3 : 2),
        .supported_copy_by_chunk = harbor,
    };
    return reply_json(r, 200, registry_info_fields, &info);
}

enum err list_registry_provider_types(struct call *r)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '[');
    for (size_t i = 0; i < vendor_count; i++)
        if (vendors[i].listed)
            put_str(&j, str_of(vendors[i].type));
    put_close(&j, ']');
    return reply_text(r, 200, S("application/json"), str_dup(&r->c->mem, buf_view(&b)));
}

enum err list_registry_provider_infos(struct call *r)
{
    struct ctx *c = r->c;
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendors[i];
        if (!v->listed)
            continue;
        struct registry_endpoint fixed = {str_of(v->label), str_of(v->fixed_url)};
        struct provider_info info = {
            .endpoint_pattern = {.endpoint_type = v->fixed_url ? S("EndpointPatternTypeFix")
                                                               : S("EndpointPatternTypeStandard"),
                                 .endpoints = {&fixed, v->fixed_url ? 1 : 0}},
            .credential_pattern = {.access_key_type = S("AccessKeyTypeStandard"),
                                   .access_secret_type = S("AccessSecretTypePass")},
        };
        put_key(&j, str_of(v->type));
        fields_encode(&j, &c->mem, provider_info_fields, &info);
    }
    put_close(&j, '}');
    return reply_text(r, 200, S("application/json"), str_dup(&c->mem, buf_view(&b)));
}
