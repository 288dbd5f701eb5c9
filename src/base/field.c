/* Field tables at work: JSON to struct and back. Rows are filled in meta/, by the same tables. */
#include "base/field.h"

#include <assert.h>
#include <string.h>

const struct field *field_by_name(const struct field *fields, struct str name)
{
    for (const struct field *f = fields; f->name; f++)
        if (str_eq(name, str_of(f->name)))
            return f;
    return NULL;
}

static enum err wrong_type(struct ctx *c, const struct field *f, const char *want)
{
    return fail(c, E_BAD_REQUEST, "%s: expected %s", f->name, want);
}

static enum err decode_text(struct ctx *c, const struct field *f, const json_t *v, struct str *out)
{
    if (!json_is_string(v))
        return wrong_type(c, f, "a string");
    size_t n = json_string_length(v), max = f->max ? f->max : 1024;
    if (n > max)
        return fail(c, E_BAD_REQUEST, "%s: longer than %zu bytes", f->name, max);
    if (memchr(json_string_value(v), 0, n))
        return fail(c, E_BAD_REQUEST, "%s: must not contain NUL", f->name);
    *out = str_dup(&c->mem, (struct str){json_string_value(v), n});
    return E_OK;
}

static enum err check_array(struct ctx *c, const struct field *f, const json_t *v)
{
    size_t max = f->max ? f->max : 1024;
    if (!json_is_array(v))
        return wrong_type(c, f, "an array");
    if (json_array_size(v) > max)
        return fail(c, E_BAD_REQUEST, "%s: more than %zu items", f->name, max);
    return E_OK;
}

static enum err decode_strs(struct ctx *c, const struct field *f, const json_t *v, struct strs *out)
{
    TRY(check_array(c, f, v));
    out->count = json_array_size(v);
    out->items = arena_alloc(&c->mem, out->count * sizeof *out->items);
    struct field item = {.name = f->name, .max = 1024};
    for (size_t i = 0; i < out->count; i++)
        TRY(decode_text(c, &item, json_array_get(v, i), &out->items[i]));
    return E_OK;
}

static enum err decode_i64s(struct ctx *c, const struct field *f, const json_t *v, struct i64s *out)
{
    TRY(check_array(c, f, v));
    out->count = json_array_size(v);
    out->items = arena_alloc(&c->mem, out->count * sizeof *out->items);
    for (size_t i = 0; i < out->count; i++) {
        if (!json_is_integer(json_array_get(v, i)))
            return wrong_type(c, f, "an array of whole numbers");
        out->items[i] = (int64_t)json_integer_value(json_array_get(v, i));
    }
    return E_OK;
}

static enum err decode_list(struct ctx *c, const struct field *f, const json_t *v, struct list *out)
{
    TRY(check_array(c, f, v));
    out->count = json_array_size(v);
    out->items = arena_alloc(&c->mem, out->count * f->each);
    for (size_t i = 0; i < out->count; i++)
        TRY(fields_decode(c, f->sub, json_array_get(v, i), (char *)out->items + i * f->each, NULL));
    return E_OK;
}

static enum err decode_value(struct ctx *c, const struct field *f, const json_t *v, void *at)
{
    switch (f->type) {
    case F_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(c, f, "true or false");
        *(bool *)at = json_is_true(v);
        return E_OK;
    case F_I64:
        if (!json_is_integer(v))
            return wrong_type(c, f, "a whole number");
        *(int64_t *)at = (int64_t)json_integer_value(v);
        return E_OK;
    case F_STR: return decode_text(c, f, v, at);
    case F_TIME:
        if (!json_is_string(v) ||
            !time_parse((struct str){json_string_value(v), json_string_length(v)}, at))
            return wrong_type(c, f, "a time");
        return E_OK;
    case F_JSON: return json_text(c, v, &((struct raw_json *)at)->text);
    case F_STRS: return decode_strs(c, f, v, at);
    case F_I64S: return decode_i64s(c, f, v, at);
    case F_OBJECT: return fields_decode(c, f->sub, v, at, NULL);
    case F_REF: {
        void *obj = arena_alloc(&c->mem, f->each);
        TRY(fields_decode(c, f->sub, v, obj, NULL));
        *(void **)at = obj;
        return E_OK;
    }
    case F_LIST: return decode_list(c, f, v, at);
    case F_NONE: break;
    }
    return fail(c, E_INTERNAL, "%s: field without a type", f->name);
}

enum err fields_decode(struct ctx *c, const struct field *fields, const json_t *object, void *obj,
                       uint64_t *seen)
{
    uint64_t bits = 0;
    if (!json_is_object(object))
        return fail(c, E_BAD_REQUEST, "expected a JSON object");
    for (const struct field *f = fields; f->name; f++) {
        assert(f - fields < 64);
        if (f->flags & (F_RO | F_ROW))
            continue;
        const json_t *v = json_object_get(object, f->name);
        if (!v || json_is_null(v)) {
            if (f->flags & F_REQ)
                return fail(c, E_BAD_REQUEST, "%s: required", f->name);
            continue;
        }
        TRY(decode_value(c, f, v, (char *)obj + f->off));
        bits |= UINT64_C(1) << (f - fields);
    }
    if (seen)
        *seen = bits;
    return E_OK;
}

enum err fields_from_json(struct ctx *c, const struct field *fields, struct str text, void *obj,
                          uint64_t *seen)
{
    CLEANUP(json_done) json_t *v = NULL;
    TRY(json_parse(c, text, &v));
    return fields_decode(c, fields, v, obj, seen);
}

enum err field_from_text(struct ctx *c, const struct field *f, struct str text, void *obj)
{
    void *at = (char *)obj + f->off;
    switch (f->type) {
    case F_BOOL: return str_to_bool(text, at) ? E_OK : wrong_type(c, f, "true or false");
    case F_I64: return str_to_i64(text, at) ? E_OK : wrong_type(c, f, "a whole number");
    case F_TIME: return time_parse(text, at) ? E_OK : wrong_type(c, f, "a time");
    case F_STR:
        if (text.n > (f->max ? f->max : 1024))
            return fail(c, E_BAD_REQUEST, "%s: too long", f->name);
        *(struct str *)at = str_dup(&c->mem, text);
        return E_OK;
    case F_JSON:
    case F_STRS:
    case F_I64S:
    case F_OBJECT:
    case F_REF:
    case F_LIST:
    case F_NONE: break;
    }
    return fail(c, E_BAD_REQUEST, "%s: cannot stand in a query", f->name);
}

bool field_seen(const struct field *fields, const char *name, uint64_t seen)
{
    const struct field *f = field_by_name(fields, str_of(name));
    assert(f);
    return seen >> (f - fields) & 1;
}

static bool is_empty(const struct field *f, const void *at)
{
    switch (f->type) {
    case F_BOOL: return !*(const bool *)at;
    case F_I64: return *(const int64_t *)at == 0;
    case F_STR: return ((const struct str *)at)->n == 0;
    case F_TIME: return ((const struct timestamp *)at)->us == 0;
    case F_JSON: return ((const struct raw_json *)at)->text.n == 0;
    case F_STRS: return ((const struct strs *)at)->count == 0;
    case F_I64S: return ((const struct i64s *)at)->count == 0;
    case F_LIST: return ((const struct list *)at)->count == 0;
    case F_REF: return *(void *const *)at == NULL;
    case F_OBJECT:
    case F_NONE: break;
    }
    return false;
}

static void encode_value(struct json_out *j, struct arena *a, const struct field *f, const void *at)
{
    switch (f->type) {
    case F_BOOL: put_bool(j, *(const bool *)at); break;
    case F_I64: put_i64(j, *(const int64_t *)at); break;
    case F_STR: put_str(j, *(const struct str *)at); break;
    case F_TIME: put_str(j, time_text(a, *(const struct timestamp *)at)); break;
    case F_JSON: {
        struct str text = ((const struct raw_json *)at)->text;
        put_raw(j, text.n ? text : S("null"));
        break;
    }
    case F_STRS: {
        const struct strs *l = at;
        put_open(j, '[');
        for (size_t i = 0; i < l->count; i++)
            put_str(j, l->items[i]);
        put_close(j, ']');
        break;
    }
    case F_I64S: {
        const struct i64s *l = at;
        put_open(j, '[');
        for (size_t i = 0; i < l->count; i++)
            put_i64(j, l->items[i]);
        put_close(j, ']');
        break;
    }
    case F_OBJECT: fields_encode(j, a, f->sub, at); break;
    case F_REF: fields_encode(j, a, f->sub, *(void *const *)at); break;
    case F_LIST: {
        const struct list *l = at;
        fields_encode_list(j, a, f->sub, l->items, l->count, f->each);
        break;
    }
    case F_NONE: break;
    }
}

void fields_encode(struct json_out *j, struct arena *a, const struct field *fields, const void *obj)
{
    put_open(j, '{');
    for (const struct field *f = fields; f->name; f++) {
        const void *at = (const char *)obj + f->off;
        bool empty = is_empty(f, at);
        if ((f->flags & (F_WO | F_ROW)) || (f->type == F_REF && empty) ||
            ((f->flags & F_OMIT) && empty))
            continue;
        put_key(j, str_of(f->name));
        if ((f->flags & F_NULL) && empty)
            put_null(j);
        else
            encode_value(j, a, f, at);
    }
    put_close(j, '}');
}

void fields_encode_list(struct json_out *j, struct arena *a, const struct field *fields,
                        const void *items, size_t count, size_t each)
{
    put_open(j, '[');
    for (size_t i = 0; i < count; i++)
        fields_encode(j, a, fields, (const char *)items + i * each);
    put_close(j, ']');
}
