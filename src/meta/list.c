/*
 * q=, sort=, page: the only SQL text that is built at run time. What goes in as text are constant
 * strings of ours and names from field tables; what a client gave goes in as arguments.
 *
 * The list's own SELECT stands inside, so that names in q and sort are the names of its columns,
 * whatever they are computed from.
 */
#include "meta/list.h"

#include <string.h>

struct builder {
    struct buf text;
    struct arg *args;
    size_t count, cap;
    bool postgres;
};

static void builder_done(struct builder *b)
{
    buf_release(&b->text);
}

static enum err add_arg(struct ctx *c, struct builder *b, struct arg a)
{
    if (b->count == b->cap) {
        size_t cap = b->cap * 2 + 32;
        struct arg *more = arena_alloc(&c->mem, cap * sizeof *more);
        if (b->count)
            memcpy(more, b->args, b->count * sizeof *more);
        b->args = more;
        b->cap = cap;
    }
    b->args[b->count++] = a;
    return buf_fmt(&b->text, "$%zu", b->count) ? E_OK : fail(c, E_BAD_REQUEST, "q: too long");
}

static const struct field *sortable(const struct field *fields, struct str name)
{
    const struct field *f = field_by_name(fields, name);
    return f && (f->flags & F_SORT) ? f : NULL;
}

static enum err value_of(struct ctx *c, const struct field *f, struct str text, struct arg *out)
{
    struct field here = *f;
    union {
        bool b;
        int64_t i;
        struct timestamp t;
        struct str s;
    } v;
    here.off = 0;
    TRY(field_from_text(c, &here, text, &v));
    switch (f->type) {
    case F_BOOL: *out = A_B(v.b); return E_OK;
    case F_I64: *out = A_I(v.i); return E_OK;
    case F_TIME: *out = A_T(v.t); return E_OK;
    case F_STR: *out = A_S(v.s); return E_OK;
    case F_JSON:
    case F_STRS:
    case F_I64S:
    case F_OBJECT:
    case F_REF:
    case F_LIST:
    case F_NONE: break;
    }
    return fail(c, E_BAD_REQUEST, "q: %s cannot be asked for", f->name);
}

static enum err compare(struct ctx *c, struct builder *b, const struct field *f, const char *op,
                        struct str text)
{
    struct arg a;
    TRY(value_of(c, f, text, &a));
    buf_fmt(&b->text, "q.\"%s\" %s ", f->name, op);
    return add_arg(c, b, a);
}

static enum err fuzzy(struct ctx *c, struct builder *b, const struct field *f, struct str text)
{
    CLEANUP(buf_release) struct buf like = {0};
    if (f->type != F_STR)
        return fail(c, E_BAD_REQUEST, "q: %s is not a text", f->name);
    buf_char(&like, '%');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
            buf_char(&like, '\\');
        buf_char(&like, text.p[i]);
    }
    buf_char(&like, '%');
    buf_fmt(&b->text, "q.\"%s\" %s ", f->name, b->postgres ? "ILIKE" : "LIKE");
    TRY(add_arg(c, b, A_S(str_dup(&c->mem, buf_view(&like)))));
    buf_str(&b->text, S(" ESCAPE '\\'"));
    return E_OK;
}

static enum err range(struct ctx *c, struct builder *b, const struct field *f, struct strs v)
{
    bool low = v.count > 0 && v.items[0].n, high = v.count > 1 && v.items[1].n;
    if (low)
        TRY(compare(c, b, f, ">=", v.items[0]));
    if (low && high)
        buf_str(&b->text, S(" AND "));
    if (high)
        TRY(compare(c, b, f, "<=", v.items[1]));
    if (!low && !high)
        buf_str(&b->text, S("1 = 1"));
    return E_OK;
}

static enum err several(struct ctx *c, struct builder *b, const struct field *f, const char *word,
                        struct strs v)
{
    if (!v.count)
        return fail(c, E_BAD_REQUEST, "q: %s has no values", f->name);
    for (size_t i = 0; i < v.count; i++) {
        if (i)
            buf_str(&b->text, str_of(word));
        TRY(compare(c, b, f, "=", v.items[i]));
    }
    return E_OK;
}

static enum err add_term(struct ctx *c, struct builder *b, const struct field *fields,
                         const struct query_term *t)
{
    const struct field *f = sortable(fields, t->key);
    if (!f)
        return fail(c, E_BAD_REQUEST, "q: unknown field %.*s", (int)size_min(t->key.n, 64),
                    t->key.p);
    enum err e = E_OK;
    buf_char(&b->text, '(');
    switch (t->op) {
    case Q_EQ: e = several(c, b, f, " AND ", t->values); break;
    case Q_FUZZY: e = fuzzy(c, b, f, t->values.count ? t->values.items[0] : NO_STR); break;
    case Q_RANGE: e = range(c, b, f, t->values); break;
    case Q_ANY: e = several(c, b, f, " OR ", t->values); break;
    case Q_ALL: e = several(c, b, f, " AND ", t->values); break;
    }
    buf_char(&b->text, ')');
    return e;
}

static enum err add_source(struct ctx *c, struct builder *b, const struct list_spec *spec,
                           const struct list_query *q, const struct field *fields)
{
    buf_fmt(&b->text, " FROM (SELECT %s FROM %s WHERE %s) q", spec->columns, spec->from,
            spec->where ? spec->where : "1 = 1");
    for (size_t i = 0; i < q->term_count; i++) {
        buf_str(&b->text, i ? S(" AND ") : S(" WHERE "));
        TRY(add_term(c, b, fields, &q->terms[i]));
    }
    return E_OK;
}

static enum err add_order(struct ctx *c, struct builder *b, const struct list_spec *spec,
                          const struct list_query *q, const struct field *fields)
{
    buf_str(&b->text, S(" ORDER BY "));
    for (size_t i = 0; i < q->sort_count; i++) {
        struct str name = q->sort[i];
        bool down = str_starts(name, S("-"));
        const struct field *f = sortable(fields, down ? str_sub(name, 1, SIZE_MAX) : name);
        if (!f)
            return fail(c, E_BAD_REQUEST, "sort: unknown field %.*s", (int)size_min(name.n, 64),
                        name.p);
        buf_fmt(&b->text, "q.\"%s\" %s, ", f->name, down ? "DESC" : "ASC");
    }
    buf_str(&b->text, str_of(spec->default_sort));
    return E_OK;
}

static struct sql sql_of(struct ctx *c, const struct builder *b)
{
    const char *text = str_c(&c->mem, buf_view(&b->text));
    return (struct sql){text, text};
}

static enum err begin_text(struct ctx *c, struct builder *b, const struct list_spec *spec,
                           const char *head)
{
    b->postgres = db_is_postgres(c->sv->db);
    b->cap = spec->arg_count + 32;
    b->args = arena_alloc(&c->mem, b->cap * sizeof *b->args);
    b->count = spec->arg_count;
    if (b->count)
        memcpy(b->args, spec->args, b->count * sizeof *b->args);
    buf_str(&b->text, str_of(head));
    return E_OK;
}

static enum err count_rows(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                           const struct field *fields, int64_t *total)
{
    CLEANUP(builder_done) struct builder b = {0};
    TRY(begin_text(c, &b, spec, "SELECT count(*)"));
    TRY(add_source(c, &b, spec, q, fields));
    struct sql s = sql_of(c, &b);
    return sql_i64(c, &s, b.args, b.count, total);
}

enum err list_rows(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                   const struct field *fields, size_t each, struct list *out, int64_t *total)
{
    static const struct list_query all = {0};
    CLEANUP(builder_done) struct builder b = {0};
    struct list rows;
    int64_t count = -1;
    bool paged = q != NULL;
    if (!q)
        q = &all;
    TRY(begin_text(c, &b, spec, "SELECT *"));
    TRY(add_source(c, &b, spec, q, fields));
    TRY(add_order(c, &b, spec, q, fields));
    if (total)
        TRY(count_rows(c, spec, q, fields, &count));
    if (paged) {
        int64_t size = q->page_size > 0 ? q->page_size : 10, page = i64_max(q->page, 1), skip;
        if (__builtin_mul_overflow(page - 1, size, &skip))
            return fail(c, E_BAD_REQUEST, "page: too large");
        buf_str(&b.text, S(" LIMIT "));
        TRY(add_arg(c, &b, A_I(size)));
        buf_str(&b.text, S(" OFFSET "));
        TRY(add_arg(c, &b, A_I(skip)));
    }
    struct sql s = sql_of(c, &b);
    TRY(sql_rows(c, &s, b.args, b.count, fields, each, &rows));
    *out = rows;
    if (total)
        *total = count;
    return E_OK;
}
