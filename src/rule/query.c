/*
 * The q= and sort= languages of Harbor's API. Only the shape is judged here; which keys exist,
 * and of what type their values are, is the matter of the field table that runs the query. A key
 * given twice counts once, with the later value, as in Harbor.
 */
#include "rule/query.h"

#include "base/codec.h"

#define QUERY_TEXT_MAX 4096

/* 'text' and "text" stand for text. */
static struct str unquoted(struct str s)
{
    s = str_trim(s);
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return str_sub(s, 1, s.n - 2);
    return s;
}

static struct strs values_of(struct ctx *c, size_t n)
{
    return (struct strs){arena_alloc(&c->mem, (n ? n : 1) * sizeof(struct str)), 0};
}

static enum err bad_value(struct ctx *c, struct str term)
{
    return fail(c, E_BAD_REQUEST, "invalid value in the query term '%.*s'",
                STR(str_sub(term, 0, 100)));
}

/* min~max, either of which may be empty. */
static enum err parse_range(struct ctx *c, struct str term, struct str inner,
                            struct query_term *out)
{
    struct str rest = inner, low = str_cut(&rest, '~');
    if (str_find(inner, '~') < 0 || str_find(rest, '~') >= 0)
        return bad_value(c, term);
    out->op = Q_RANGE;
    out->values = values_of(c, 2);
    out->values.items[0] = unquoted(low);
    out->values.items[1] = unquoted(rest);
    out->values.count = 2;
    if (out->values.items[0].n == 0 && out->values.items[1].n == 0)
        return bad_value(c, term);
    return E_OK;
}

/* Words between blanks; a quoted word may hold blanks. */
static enum err parse_words(struct ctx *c, struct str term, struct str inner, enum query_op op,
                            struct query_term *out)
{
    out->op = op;
    out->values = values_of(c, inner.n);
    for (inner = str_trim(inner); inner.n; inner = str_trim(inner)) {
        bool quoted = inner.p[0] == '"' || inner.p[0] == '\'';
        char end = quoted ? inner.p[0] : ' ';
        struct str rest = str_sub(inner, quoted, SIZE_MAX);
        if (quoted && str_find(rest, end) < 0)
            return bad_value(c, term);
        out->values.items[out->values.count++] = str_cut(&rest, end);
        inner = rest;
    }
    return out->values.count ? E_OK : bad_value(c, term);
}

/* The brackets that open a value, what closes them and what they mean. */
static enum err parse_value(struct ctx *c, struct str term, struct str value,
                            struct query_term *out)
{
    static const char open[] = "[{(", close[] = "]})";
    int64_t kind = str_find(S("[{("), value.p[0]);
    if (kind >= 0 && (value.n < 2 || value.p[value.n - 1] != close[kind]))
        return bad_value(c, term);
    if (kind >= 0) {
        struct str inner = str_sub(value, 1, value.n - 2);
        if (open[kind] == '[')
            return parse_range(c, term, inner, out);
        return parse_words(c, term, inner, open[kind] == '{' ? Q_ANY : Q_ALL, out);
    }
    out->op = value.p[0] == '~' ? Q_FUZZY : Q_EQ;
    out->values = values_of(c, 1);
    bool marked = value.p[0] == '~' || value.p[0] == '\\'; /* "\~x" is the text "~x" */
    out->values.items[0] = str_sub(value, marked, SIZE_MAX);
    out->values.count = 1;
    if (out->op == Q_FUZZY && out->values.items[0].n == 0)
        return bad_value(c, term);
    return E_OK;
}

static struct query_term *slot(struct list_query *q, struct str key)
{
    for (size_t i = 0; i < q->term_count; i++)
        if (str_eq(q->terms[i].key, key))
            return &q->terms[i];
    return q->term_count < QUERY_TERMS_MAX ? &q->terms[q->term_count++] : NULL;
}

/* A database takes neither NUL nor broken UTF-8 for text. */
static enum err check_text(struct ctx *c, struct str text, const char *what)
{
    if (text.n > QUERY_TEXT_MAX)
        return fail(c, E_BAD_REQUEST, "%s has more than %d bytes", what, QUERY_TEXT_MAX);
    if (str_find(text, '\0') >= 0 || !utf8_valid(text))
        return fail(c, E_BAD_REQUEST, "%s is not UTF-8 text", what);
    return E_OK;
}

enum err query_parse(struct ctx *c, struct str q, struct list_query *out)
{
    struct list_query parsed = *out;
    TRY(check_text(c, q, "the query"));
    /* Harbor's portal escapes q once more than its URL */
    struct str decoded;
    if (percent_decode(&c->mem, q, true, &decoded))
        q = decoded;
    TRY(check_text(c, q, "the query"));
    parsed.term_count = 0;
    q = str_trim(q);
    for (bool more = q.n > 0; more;) {
        more = str_find(q, ',') >= 0;
        struct str term = str_trim(str_cut(&q, ',')), value = term;
        struct str key = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (key.n == 0 || value.n == 0)
            return fail(c, E_BAD_REQUEST, "the query term '%.*s' is not key=value",
                        STR(str_sub(term, 0, 100)));
        struct query_term *at = slot(&parsed, key);
        if (!at)
            return fail(c, E_BAD_REQUEST, "the query has more than %d terms", QUERY_TERMS_MAX);
        *at = (struct query_term){.key = key};
        TRY(parse_value(c, term, value, at));
    }
    *out = parsed;
    return E_OK;
}

enum err query_parse_sort(struct ctx *c, struct str sort, struct list_query *out)
{
    struct str columns[QUERY_SORTS_MAX];
    size_t n = 0;
    TRY(check_text(c, sort, "sort"));
    while (sort.n) {
        struct str column = str_trim(str_cut(&sort, ','));
        if (column.n == 0)
            continue;
        if (str_eq(column, S("-")))
            return fail(c, E_BAD_REQUEST, "sort names no column behind '-'");
        if (n == QUERY_SORTS_MAX)
            return fail(c, E_BAD_REQUEST, "sort has more than %d columns", QUERY_SORTS_MAX);
        columns[n++] = column;
    }
    for (size_t i = 0; i < n; i++)
        out->sort[i] = columns[i];
    out->sort_count = n;
    return E_OK;
}

/* The term moves behind the last one, where it stays until the query is gone. */
const struct query_term *query_take(struct list_query *q, const char *key)
{
    struct str wanted = str_of(key);
    for (size_t i = 0; i < q->term_count; i++) {
        if (!str_eq(q->terms[i].key, wanted))
            continue;
        struct query_term taken = q->terms[i];
        for (q->term_count--; i < q->term_count; i++)
            q->terms[i] = q->terms[i + 1];
        q->terms[q->term_count] = taken;
        return &q->terms[q->term_count];
    }
    return NULL;
}
