/*
 * What the handlers of Harbor's API share: query parameters by table, terms of q=, Location, and
 * the finders of rows that exist only from a later release on.
 *
 * Harbor's generated validation answers 422 for a query value that is missing or malformed, and
 * so do we; 400 is for bodies and for what the handler itself finds wrong.
 */
#include "api/harbor.h"

#include "meta/store.h"

#include <inttypes.h>
#include <stdarg.h>

enum err query_decode(struct call *r, void *out)
{
    struct ctx *c = r->c;
    for (const struct field *f = r->route->query.fields; f && f->name; f++) {
        struct str text;
        enum err e = http_query(c, r->http, f->name, &text);
        if (e == E_NOT_FOUND) {
            if (f->flags & F_REQ)
                return fail(c, E_UNPROCESSABLE, "%s in query is required", f->name);
            continue;
        }
        TRY(e);
        if (field_from_text(c, f, text, out) != E_OK)
            return fail(c, E_UNPROCESSABLE, "%s in query has a malformed value", f->name);
    }
    return E_OK;
}

const struct query_term *query_peek(const struct list_query *q, const char *key)
{
    for (size_t i = 0; i < q->term_count; i++)
        if (str_eq_nocase(q->terms[i].key, str_of(key)))
            return &q->terms[i];
    return NULL;
}

bool query_add(struct call *r, const char *key, enum query_op op, struct str value)
{
    struct list_query *q = &r->query;
    if (q->term_count == QUERY_TERMS_MAX)
        return false;
    struct str *values = arena_alloc(&r->c->mem, sizeof *values);
    values[0] = value;
    q->terms[q->term_count++] =
        (struct query_term){.key = str_of(key), .op = op, .values = {values, 1}};
    return true;
}

enum err reply_located(struct call *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str path = str_vfmt(&r->c->mem, fmt, ap);
    va_end(ap);
    reply_header(&r->reply, S("Location"), str_fmt(&r->c->mem, API_BASE "%.*s", STR(path)));
    return reply_empty(r, 201);
}

bool header_true(const struct call *r, const char *name)
{
    return str_eq_nocase(str_trim(http_header(r->http, name)), S("true"));
}

enum err project_id_named(struct call *r, struct str name, int64_t *id_out)
{
    struct ctx *c = r->c;
    struct project p;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err e = project_by_name(c, name, &p);
    if (e == E_NOT_FOUND && r->principal.sysadmin)
        return fail(c, E_NOT_FOUND, "project %.*s not found", STR(name));
    if (e == E_NOT_FOUND)
        return fail(c, E_FORBIDDEN, "no rights in project %.*s", STR(name));
    TRY(e);
    *id_out = p.project_id;
    return E_OK;
}

/* ---- who a body belongs to ------------------------------------------------------------------ */

const struct field label_place_fields[] = {
    FIELD_AS(struct place_req, scope_name, "scope", 0, 16),
    FIELD(struct place_req, project_id, 0, 0),
    FIELDS_END,
};

static const struct field scope_fields[] = {
    FIELD(struct scope_req, level, 0, 32),
    FIELD(struct scope_req, ref, 0, 0),
    FIELDS_END,
};

const struct field retention_place_fields[] = {
    FIELD_REF(struct place_req, scope, 0, scope_fields),
    FIELDS_END,
};

const struct field export_place_fields[] = {
    FIELD(struct place_req, projects, 0, 100),
    FIELDS_END,
};

enum err label_of_body(struct call *r, int64_t *project_id)
{
    const struct place_req *body = r->body;
    if (!str_eq(body->scope_name, S("g")) && !str_eq(body->scope_name, S("p")))
        return fail(r->c, E_BAD_REQUEST, "scope: expected g or p");
    if (str_eq(body->scope_name, S("p")) && body->project_id <= 0)
        return fail(r->c, E_BAD_REQUEST, "project_id: required with scope p");
    *project_id = str_eq(body->scope_name, S("p")) ? body->project_id : 0;
    return E_OK;
}

enum err label_of_path(struct call *r, int64_t *project_id)
{
    (void)project_id; /* no label can exist before labels can be made */
    int64_t id;
    TRY(call_param_i64(r, "label_id", &id));
    return fail(r->c, E_NOT_FOUND, "label %" PRId64 " not found", id);
}

enum err retention_of_body(struct call *r, int64_t *project_id)
{
    const struct place_req *body = r->body;
    if (!body->scope || !str_eq(body->scope->level, S("project")) || body->scope->ref <= 0)
        return fail(r->c, E_BAD_REQUEST, "scope: expected level project and the project's id");
    *project_id = body->scope->ref;
    return E_OK;
}

enum err export_of_body(struct call *r, int64_t *project_id)
{
    const struct place_req *body = r->body;
    if (body->projects.count != 1 || body->projects.items[0] <= 0)
        return fail(r->c, E_BAD_REQUEST, "projects: expected the id of one project");
    *project_id = body->projects.items[0];
    return E_OK;
}

/* ---- retention: recorded and shown; the rules are run from a later release on ---------------- */

static enum err read_retention(struct call *r, int64_t *id, json_t **doc)
{
    struct ctx *c = r->c;
    struct str policy;
    TRY(call_param_i64(r, "id", id));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err e = retention_by_id(c, *id, &policy);
    if (e == E_NOT_FOUND)
        return fail(c, e, "retention policy %" PRId64 " not found", *id);
    TRY(e);
    return json_parse(c, policy, doc);
}

enum err retention_of_path(struct call *r, int64_t *project_id)
{
    struct ctx *c = r->c;
    int64_t id;
    CLEANUP(json_done) json_t *doc = NULL;
    TRY(read_retention(r, &id, &doc));
    if (!json_get_i64(json_object_get(doc, "scope"), "ref", project_id))
        return fail(c, E_INTERNAL, "retention policy %" PRId64 " has no scope", id);
    return E_OK;
}

enum err get_retention(struct call *r)
{
    struct ctx *c = r->c;
    int64_t id;
    CLEANUP(json_done) json_t *doc = NULL;
    TRY(read_retention(r, &id, &doc));
    if (json_object_set_new(doc, "id", json_integer(id)) != 0)
        return fail(c, E_UNAVAILABLE, "out of memory");
    struct str reply;
    TRY(json_text(c, doc, &reply));
    return reply_text(r, 200, S("application/json"), reply);
}

/* A template with one parameter, and one without. */
#define TEMPLATE(name, text, params)                                                               \
    "{\"rule_template\":\"" name "\",\"display_text\":\"" text                                     \
    "\",\"action\":\"retain\",\"params\":[" params "]}"
#define PARAM(unit) "{\"type\":\"int\",\"unit\":\"" unit "\",\"required\":true}"
#define SELECTORS(text, decorations)                                                               \
    "[{\"display_text\":\"" text "\",\"kind\":\"doublestar\",\"decorations\":[" decorations "]}]"

/* clang-format off */
static const char retention_metadata[] =
    "{\"templates\":["
    TEMPLATE("latestPushedK", "the most recently pushed # artifacts", PARAM("COUNT")) ","
    TEMPLATE("latestPulledN", "the most recently pulled # artifacts", PARAM("COUNT")) ","
    TEMPLATE("nDaysSinceLastPush", "pushed within the last # days", PARAM("DAYS")) ","
    TEMPLATE("nDaysSinceLastPull", "pulled within the last # days", PARAM("DAYS")) ","
    TEMPLATE("always", "always", "")
    "],\"scope_selectors\":" SELECTORS("Repositories", "\"repoMatches\",\"repoExcludes\"")
    ",\"tag_selectors\":" SELECTORS("Tags", "\"matches\",\"excludes\"") "}";
/* clang-format on */

enum err get_retention_metadata(struct call *r)
{
    return reply_text(r, 200, S("application/json"), str_of(retention_metadata));
}
