/*
 * q=, sort=, page: the only SQL text that is built at run time. What goes in as text are constant
 * strings of ours and names from field tables; what a client gave goes in as arguments.
 *
 * The list's own SELECT stands inside, so that names in q and sort are the names of its columns,
 * whatever they are computed from.
 */
#include "meta/list.h"

#include "base/codec.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define ORDER_MAX (QUERY_SORTS_MAX + 4)

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
    bool first = true;
    for (size_t i = 0; i < q->term_count; i++) {
        if (q->lenient && !sortable(fields, q->terms[i].key))
            continue;
        buf_str(&b->text, first ? S(" WHERE ") : S(" AND "));
        TRY(add_term(c, b, fields, &q->terms[i]));
        first = false;
    }
    return E_OK;
}

/* ---- order ---------------------------------------------------------------------------------- */

struct order {
    const struct field *fields[ORDER_MAX];
    bool down[ORDER_MAX];
    size_t count;
};

static void order_by(struct order *o, const struct field *f, bool down)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->fields[i] == f)
            return;
    assert(o->count < ORDER_MAX);
    o->fields[o->count] = f;
    o->down[o->count++] = down;
}

/* What sort= asks for, then what makes the order whole: "q.a, q.b DESC". */
static enum err read_order(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                           const struct field *fields, struct order *o)
{
    struct str rest = str_of(spec->default_sort);
    for (size_t i = 0; i < q->sort_count; i++) {
        struct str name = q->sort[i];
        bool down = str_starts(name, S("-"));
        const struct field *f = sortable(fields, down ? str_sub(name, 1, SIZE_MAX) : name);
        if (!f && q->lenient)
            continue;
        if (!f)
            return fail(c, E_BAD_REQUEST, "sort: unknown field %.*s", (int)size_min(name.n, 64),
                        name.p);
        order_by(o, f, down);
    }
    bool one_way = q->by_cursor && o->count;
    while (rest.n) {
        struct str name = str_trim(str_cut(&rest, ','));
        bool down = str_ends(name, S(" DESC"));
        if (str_starts(name, S("q.")))
            name = str_sub(name, 2, SIZE_MAX);
        if (down)
            name.n -= 5;
        const struct field *f = field_by_name(fields, name);
        assert(f);
        order_by(o, f, one_way ? o->down[0] : down);
    }
    return E_OK;
}

static void add_order(struct builder *b, const struct order *o)
{
    for (size_t i = 0; i < o->count; i++)
        buf_fmt(&b->text, "%s q.\"%s\"%s", i ? "," : " ORDER BY", o->fields[i]->name,
                o->down[i] ? " DESC" : "");
}

/* ---- cursors: the values of the order's columns in a row, percent-encoded, with commas ---- */

static struct str cursor_of(struct ctx *c, const struct order *o, const void *row)
{
    struct str out = NO_STR;
    for (size_t i = 0; i < o->count; i++) {
        const struct field *f = o->fields[i];
        const void *at = (const char *)row + f->off;
        struct str v = f->type == F_STR    ? percent_encode(&c->mem, *(const struct str *)at, "")
                       : f->type == F_BOOL ? str_fmt(&c->mem, "%d", *(const bool *)at)
                       : f->type == F_TIME
                           ? str_fmt(&c->mem, "%" PRId64, ((const struct timestamp *)at)->us)
                           : str_fmt(&c->mem, "%" PRId64, *(const int64_t *)at);
        out = str_fmt(&c->mem, "%.*s%s%.*s", STR(out), i ? "," : "", STR(v));
    }
    return out;
}

static enum err read_cursor(struct ctx *c, const struct order *o, struct str cursor,
                            struct arg out[ORDER_MAX])
{
    size_t n = 0;
    bool more = true;
    for (; more && n < o->count; n++) {
        int64_t comma = str_find(cursor, ',');
        struct str text = comma < 0 ? cursor : str_sub(cursor, 0, (size_t)comma);
        int64_t number = 0;
        more = comma >= 0;
        cursor = more ? str_sub(cursor, (size_t)comma + 1, SIZE_MAX) : NO_STR;
        if (o->fields[n]->type == F_STR) {
            struct str plain;
            if (!percent_decode(&c->mem, text, false, &plain))
                break;
            out[n] = A_S(plain.p ? plain : S(""));
        } else if (str_to_i64(text, &number)) {
            out[n] = A_I(number);
        } else {
            break;
        }
    }
    if (more || n != o->count)
        return fail(c, E_BAD_REQUEST, "cursor: not one of this list and sort");
    return E_OK;
}

/* Rows behind the place. One way for all columns: a comparison of rows, which an index serves. */
static enum err add_behind(struct ctx *c, struct builder *b, const struct order *o,
                           const struct arg *at)
{
    bool one_way = true;
    for (size_t i = 1; i < o->count; i++)
        one_way = one_way && o->down[i] == o->down[0];
    for (size_t i = 0; one_way && i < o->count; i++)
        buf_fmt(&b->text, "%sq.\"%s\"", i ? ", " : "(", o->fields[i]->name);
    for (size_t i = 0; one_way && i < o->count; i++) {
        buf_str(&b->text, i ? S(", ") : o->down[0] ? S(") < (") : S(") > ("));
        TRY(add_arg(c, b, at[i]));
    }
    for (size_t i = 0; !one_way && i < o->count; i++) {
        buf_str(&b->text, i ? S(" OR (") : S("(("));
        for (size_t k = 0; k <= i; k++) {
            const char *op = k < i ? "=" : o->down[k] ? "<" : ">";
            buf_fmt(&b->text, "%sq.\"%s\" %s ", k ? " AND " : "", o->fields[k]->name, op);
            TRY(add_arg(c, b, at[k]));
        }
        buf_char(&b->text, ')');
    }
    buf_char(&b->text, ')');
    return E_OK;
}

/* A text that did not fit is never run: it might say something else. */
static enum err sql_of(struct ctx *c, const struct builder *b, struct sql *out)
{
    if (b->text.full)
        return fail(c, E_BAD_REQUEST, "q: too long");
    const char *text = str_c(&c->mem, buf_view(&b->text));
    *out = (struct sql){text, text};
    return E_OK;
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
    if (q->by_cursor && q->cursor.n) {
        *total = -1;
        return E_OK;
    }
    TRY(begin_text(c, &b, spec, "SELECT count(*)"));
    if (q->by_cursor)
        buf_str(&b.text, S(" FROM (SELECT 1"));
    TRY(add_source(c, &b, spec, q, fields));
    if (q->by_cursor) {
        buf_str(&b.text, S(" LIMIT "));
        TRY(add_arg(c, &b, A_I(LIST_COUNT_MAX + 1)));
        buf_str(&b.text, S(") AS counted"));
    }
    struct sql s;
    TRY(sql_of(c, &b, &s));
    return sql_i64(c, &s, b.args, b.count, total);
}

static enum err add_page(struct ctx *c, struct builder *b, const struct list_query *q)
{
    int64_t size = q->page_size > 0 ? q->page_size : 10, page = i64_max(q->page, 1), skip;
    if (__builtin_mul_overflow(page - 1, size, &skip))
        return fail(c, E_BAD_REQUEST, "page: too large");
    buf_str(&b->text, S(" LIMIT "));
    TRY(add_arg(c, b, A_I(size)));
    if (q->by_cursor && q->cursor.n)
        return E_OK;
    buf_str(&b->text, S(" OFFSET "));
    return add_arg(c, b, A_I(skip));
}

enum err list_rows(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                   const struct field *fields, size_t each, struct list *out, int64_t *total)
{
    static const struct list_query all = {0};
    CLEANUP(builder_done) struct builder b = {0};
    struct order order = {0};
    struct arg at[ORDER_MAX];
    struct list rows;
    int64_t count = -1;
    bool paged = q != NULL;
    if (!q)
        q = &all;
    TRY(begin_text(c, &b, spec, "SELECT *"));
    TRY(add_source(c, &b, spec, q, fields));
    TRY(read_order(c, spec, q, fields, &order));
    if (q->by_cursor && q->cursor.n) {
        TRY(read_cursor(c, &order, q->cursor, at));
        buf_str(&b.text, q->term_count ? S(" AND ") : S(" WHERE "));
        TRY(add_behind(c, &b, &order, at));
    }
    add_order(&b, &order);
    if (total)
        TRY(count_rows(c, spec, q, fields, &count));
    if (paged)
        TRY(add_page(c, &b, q));
    struct sql s;
    TRY(sql_of(c, &b, &s));
    TRY(sql_rows(c, &s, b.args, b.count, fields, each, &rows));
    if (q->by_cursor && q->next && rows.count && (int64_t)rows.count == q->page_size)
        *q->next = cursor_of(c, &order, (const char *)rows.items + (rows.count - 1) * each);
    *out = rows;
    if (total)
        *total = count;
    return E_OK;
}
