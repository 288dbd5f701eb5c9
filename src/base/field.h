/*
 * One table per struct: it serves JSON in, JSON out, query strings, q= and sort= allow-lists, and
 * SQL rows. The wire type is the member's own C type, so they cannot disagree.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include "base/clock.h"
#include "base/json.h"

enum field_type {
    F_NONE,
    F_BOOL,
    F_I64,
    F_STR,
    F_TIME,
    F_JSON, /* finished JSON, passed through */
    F_STRS,
    F_I64S,
    F_OBJECT, /* a struct inside the struct */
    F_REF,    /* pointer to a struct; NULL is left out */
    F_LIST,   /* struct list of structs */
};

enum {
    F_REQ = 1,   /* must be given */
    F_RO = 2,    /* the server's: ignored when given */
    F_SORT = 4,  /* may stand in sort= and q= */
    F_OMIT = 8,  /* left out of the output when empty, zero or false */
    F_WO = 16,   /* never in the output (passwords) */
    F_NULL = 32, /* written as null when a text has no pointer or a time is 0 */
    F_ROW = 64,  /* lives in SQL rows only, not in JSON */
};

struct raw_json {
    struct str text; /* empty = null */
};

struct list {
    void *items;
    size_t count;
};

struct field {
    const char *name;
    size_t off;
    enum field_type type;
    unsigned flags;
    size_t max;              /* longest text in bytes, most items of a list; 0 = 1024 */
    const struct field *sub; /* of F_OBJECT, F_REF, F_LIST */
    size_t each;             /* size of the struct that sub describes */
};

/* clang-format off */
#define FIELD_TYPE(T, m)                                                                           \
    _Generic(((T *)0)->m,                                                                          \
        bool: F_BOOL, int64_t: F_I64, struct str: F_STR, struct timestamp: F_TIME,                 \
        struct raw_json: F_JSON, struct strs: F_STRS, struct i64s: F_I64S)
/* clang-format on */
#define FIELD_AS(T, m, wire, fl, mx)                                                               \
    {                                                                                              \
        .name = (wire), .off = offsetof(T, m), .type = FIELD_TYPE(T, m), .flags = (fl),            \
        .max = (mx)                                                                                \
    }
#define FIELD(T, m, fl, mx) FIELD_AS(T, m, #m, fl, mx)
#define FIELD_SUB(T, m, kind, fl, table, size)                                                     \
    {                                                                                              \
        .name = #m, .off = offsetof(T, m), .type = (kind), .flags = (fl), .sub = (table),          \
        .each = (size)                                                                             \
    }
#define FIELD_OBJECT(T, m, fl, table) FIELD_SUB(T, m, F_OBJECT, fl, table, sizeof(((T *)0)->m))
#define FIELD_REF(T, m, fl, table) FIELD_SUB(T, m, F_REF, fl, table, sizeof(*((T *)0)->m))
#define FIELD_LIST(T, m, fl, Item, table) FIELD_SUB(T, m, F_LIST, fl, table, sizeof(Item))
#define FIELDS_END                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

const struct field *field_by_name(const struct field *fields, struct str name);

/*
 * Fills obj from a JSON object. Unknown and read-only members are ignored, as Harbor does; null
 * is absent. E_BAD_REQUEST names the member that is missing, too long or of the wrong type.
 * *seen gets bit i for fields[i] present (PUT and PATCH need it); may be NULL. Texts are copied
 * into c->mem.
 */
enum err fields_decode(struct ctx *c, const struct field *fields, const json_t *object, void *obj,
                       uint64_t *seen);
/* The same from bytes: scan, parse, decode. */
enum err fields_from_json(struct ctx *c, const struct field *fields, struct str text, void *obj,
                          uint64_t *seen);
/* A value from a query string or an SQL text column, by the field's type. */
enum err field_from_text(struct ctx *c, const struct field *f, struct str text, void *obj);
bool field_seen(const struct field *fields, const char *name, uint64_t seen);

void fields_encode(struct json_out *j, struct arena *a, const struct field *fields,
                   const void *obj);
void fields_encode_list(struct json_out *j, struct arena *a, const struct field *fields,
                        const void *items, size_t count, size_t each);

#endif
