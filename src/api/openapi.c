/*
 * Our own operations as an OpenAPI 3.0 document, made from the rows and field tables that the
 * server runs on: it cannot be out of step. Schemas stand where they are used. Every row says
 * what it answers; what an answer always has is required in its schema.
 */
#include "api/cove.h"
#include "api/describe.h"

#include <string.h>

#define PREFIX "/api/cove/v1"

static void put_words(struct json_out *j, const char *key, const char *value)
{
    put_key(j, str_of(key));
    put_str(j, str_of(value));
}

static void put_schema(struct json_out *j, const struct field *fields, bool request);

static const char *type_of(const struct field *f)
{
    switch (f->type) {
    case F_BOOL: return "boolean";
    case F_I64: return "integer";
    case F_STR:
    case F_TIME: return "string";
    case F_STRS:
    case F_I64S:
    case F_LIST: return "array";
    case F_OBJECT:
    case F_REF:
    case F_JSON:
    case F_NONE: break;
    }
    return "object";
}

static void put_items(struct json_out *j, const struct field *f, bool request)
{
    put_key(j, S("items"));
    if (f->type == F_LIST) {
        put_schema(j, f->sub, request);
        return;
    }
    put_open(j, '{');
    put_words(j, "type", f->type == F_STRS ? "string" : "integer");
    put_close(j, '}');
}

static void put_value(struct json_out *j, const struct field *f, bool request)
{
    if ((f->type == F_OBJECT || f->type == F_REF) && f->sub) {
        put_schema(j, f->sub, request);
        return;
    }
    put_open(j, '{');
    if (f->type == F_JSON) { /* of another's making: anything */
        put_close(j, '}');
        return;
    }
    put_words(j, "type", type_of(f));
    if (f->type == F_I64)
        put_words(j, "format", "int64");
    if (f->type == F_TIME)
        put_words(j, "format", "date-time");
    if (request && f->type == F_STR && f->max) {
        put_key(j, S("maxLength"));
        put_i64(j, (int64_t)f->max);
    }
    if (!request && (f->flags & F_NULL)) {
        put_key(j, S("nullable"));
        put_bool(j, true);
    }
    if (f->type == F_LIST || f->type == F_STRS || f->type == F_I64S)
        put_items(j, f, request);
    put_close(j, '}');
}

static bool left_out(const struct field *f, bool request)
{
    return f->flags & (F_ROW | (request ? F_RO : F_WO));
}

/* Must a request have it; has every answer it? */
static bool always(const struct field *f, bool request)
{
    if (left_out(f, request))
        return false;
    return request ? f->flags & F_REQ : f->type != F_REF && !(f->flags & F_OMIT);
}

static void put_schema(struct json_out *j, const struct field *fields, bool request)
{
    bool required = false;
    put_open(j, '{');
    put_words(j, "type", "object");
    put_key(j, S("properties"));
    put_open(j, '{');
    for (const struct field *f = fields; f->name; f++) {
        if (left_out(f, request))
            continue;
        put_key(j, str_of(f->name));
        put_value(j, f, request);
        required = required || always(f, request);
    }
    put_close(j, '}');
    if (required) {
        put_key(j, S("required"));
        put_open(j, '[');
        for (const struct field *f = fields; f->name; f++)
            if (always(f, request))
                put_str(j, str_of(f->name));
        put_close(j, ']');
    }
    put_close(j, '}');
}

static void put_parameter(struct json_out *j, struct str name, const char *in, bool required,
                          const struct field *f, const char *type)
{
    put_open(j, '{');
    put_key(j, S("name"));
    put_str(j, name);
    put_words(j, "in", in);
    put_key(j, S("required"));
    put_bool(j, required);
    put_key(j, S("schema"));
    if (f) {
        put_value(j, f, true);
    } else {
        put_open(j, '{');
        put_words(j, "type", type);
        put_close(j, '}');
    }
    put_close(j, '}');
}

static void put_parameters(struct json_out *j, const struct route *row)
{
    struct str rest = str_of(row->path);
    put_key(j, S("parameters"));
    put_open(j, '[');
    while (rest.n) {
        struct str part = str_cut(&rest, '/');
        if (str_starts(part, S("{")))
            put_parameter(j, str_sub(part, 1, part.n - 2), "path", true, NULL, "string");
    }
    if (row->flags & ROUTE_LIST) {
        static const char *const words[] = {"q", "sort", "cursor"};
        for (size_t i = 0; i < COUNT(words); i++)
            put_parameter(j, str_of(words[i]), "query", false, NULL, "string");
    }
    if (row->flags & (ROUTE_LIST | ROUTE_PAGES)) {
        put_parameter(j, S("page"), "query", false, NULL, "integer");
        put_parameter(j, S("page_size"), "query", false, NULL, "integer");
    }
    for (const struct field *f = row->query.fields; f && f->name; f++)
        put_parameter(j, str_of(f->name), "query", f->flags & F_REQ, f, NULL);
    put_close(j, ']');
}

static void put_content_open(struct json_out *j)
{
    put_key(j, S("content"));
    put_open(j, '{');
    put_key(j, S("application/json"));
    put_open(j, '{');
    put_key(j, S("schema"));
}

static void put_content_close(struct json_out *j)
{
    put_close(j, '}');
    put_close(j, '}');
}

static void put_answer(struct json_out *j, const struct reply_spec *reply)
{
    if (reply->kind == REPLY_ONE) {
        put_schema(j, reply->fields, false);
        return;
    }
    put_open(j, '{');
    if (reply->kind == REPLY_LIST) {
        put_words(j, "type", "array");
        put_key(j, S("items"));
        put_schema(j, reply->fields, false);
    } else if (reply->kind == REPLY_EITHER) {
        put_key(j, S("oneOf"));
        put_open(j, '[');
        put_schema(j, reply->fields, false);
        put_schema(j, reply->other, false);
        put_close(j, ']');
    } else {
        put_words(j, "type", "object");
    }
    put_close(j, '}');
}

static void put_responses(struct json_out *j, const struct route *row)
{
    put_key(j, S("responses"));
    put_open(j, '{');
    put_key(j, S("2XX"));
    put_open(j, '{');
    put_words(j, "description", "done, or begun");
    if (row->reply.kind != REPLY_NOTHING) {
        put_content_open(j);
        put_answer(j, &row->reply);
        put_content_close(j);
    }
    put_close(j, '}');
    put_key(j, S("default"));
    put_open(j, '{');
    put_words(j, "$ref", "#/components/responses/Error");
    put_close(j, '}');
    put_close(j, '}');
}

static void put_operation(struct json_out *j, struct arena *a, const struct route *row)
{
    char method[16] = "";
    const char *name = route_method(row->method);
    for (size_t i = 0; name[i] && i + 1 < sizeof method; i++)
        method[i] = (char)(name[i] | 0x20);
    put_key(j, str_of(method));
    put_open(j, '{');
    put_words(j, "operationId", row->operation);
    put_key(j, S("description"));
    put_str(j, str_fmt(a, "Who may: %.*s", STR(route_who(a, &row->guard))));
    if (row->guard.kind == GUARD_ANYONE) {
        put_key(j, S("security"));
        put_open(j, '[');
        put_close(j, ']');
    }
    put_parameters(j, row);
    if (row->body.fields) {
        put_key(j, S("requestBody"));
        put_open(j, '{');
        put_key(j, S("required"));
        put_bool(j, true);
        put_content_open(j);
        put_schema(j, row->body.fields, true);
        put_content_close(j);
        put_close(j, '}');
    }
    put_responses(j, row);
    put_close(j, '}');
}

/* Rows of one path stand together, at the place of the first. */
static void put_paths(struct json_out *j, struct arena *a)
{
    put_key(j, S("paths"));
    put_open(j, '{');
    for (const struct route *row = cove_routes; row->path; row++) {
        bool seen = false;
        for (const struct route *r = cove_routes; r < row; r++)
            seen = seen || strcmp(r->path, row->path) == 0;
        if (seen)
            continue;
        put_key(j, str_of(row->path));
        put_open(j, '{');
        for (const struct route *r = row; r->path; r++)
            if (strcmp(r->path, row->path) == 0)
                put_operation(j, a, r);
        put_close(j, '}');
    }
    put_close(j, '}');
}

static const char components[] =
    "{\"securitySchemes\":{\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},\"session\":{"
    "\"type\":"
    "\"apiKey\",\"in\":\"cookie\",\"name\":\"sid\"}},\"responses\":{\"Error\":{\"description\":"
    "\"the reason\",\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\","
    "\"properties\":{\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
    "\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}}}}}}}}";

enum err openapi_print(struct ctx *c, struct buf *out)
{
    struct json_out j = {.out = out};
    put_open(&j, '{');
    put_words(&j, "openapi", "3.0.3");
    put_key(&j, S("info"));
    put_open(&j, '{');
    put_words(&j, "title", "Cove's own operations, beside Harbor's API");
    put_words(&j, "version", COVE_VERSION);
    put_close(&j, '}');
    put_key(&j, S("servers"));
    put_raw(&j, S("[{\"url\":\"" PREFIX "\"}]"));
    put_key(&j, S("security"));
    put_raw(&j, S("[{\"basic\":[]},{\"session\":[]}]"));
    put_paths(&j, &c->mem);
    put_key(&j, S("components"));
    put_raw(&j, str_of(components));
    put_close(&j, '}');
    buf_char(out, '\n');
    return out->full ? fail(c, E_TOO_LARGE, "the description does not fit") : E_OK;
}

enum err get_openapi(struct call *r)
{
    CLEANUP(buf_release) struct buf b = {0};
    TRY(openapi_print(r->c, &b));
    return reply_json_text(r, 200, str_dup(&r->c->mem, buf_view(&b)));
}
