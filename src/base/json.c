/*
 * The scan is a small automaton over the bytes with a stack of brackets; it bounds what jansson
 * is asked to build (4 MiB of "{}," would cost it 300 MiB). Grammar beyond nesting, strings and
 * counts is jansson's business.
 *
 * Its lexer cannot bear to be refused memory: it loses the byte that did not fit and goes on, to an
 * assertion or past the end of a token. So it is never told: jansson's memory is ours, and a
 * refusal inside of a parse ends that parse at once, with all that it had taken.
 */
#include "base/json.h"

#include "base/codec.h"
#include "base/heap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that mean something outside of a string. */
static const bool is_mark[256] = {['"'] = true, ['{'] = true, ['}'] = true, ['['] = true,
                                  [']'] = true, [','] = true, [':'] = true};

/* From the first quote of a string to its last; each byte is looked at once for either mark. */
static bool skip_string(struct str s, size_t *at)
{
    const char *end = s.p + s.n, *quote = NULL;
    for (const char *p = s.p + *at + 1; p < end;) {
        if (!quote || quote < p)
            quote = memchr(p, '"', (size_t)(end - p));
        if (!quote)
            return false;
        const char *escape = memchr(p, '\\', (size_t)(quote - p));
        if (!escape) {
            *at = (size_t)(quote - s.p);
            return true;
        }
        p = escape + 2;
    }
    return false;
}

/* Where the automaton is: the brackets that are open, and what each has held so far. */
struct scan {
    struct ctx *c;
    const struct json_limits *limits;
    size_t depth, values;
    char close[JSON_DEPTH_MAX];
    size_t held[JSON_DEPTH_MAX];
    bool key; /* a string here is a member's name */
};

/* Its bracket stands for the first entry, each comma for one more. */
static enum err count_value(struct scan *s)
{
    if (++s->values > JSON_VALUES_MAX)
        return fail(s->c, E_BAD_REQUEST, "JSON has more than %d values", JSON_VALUES_MAX);
    if (s->depth && ++s->held[s->depth - 1] > s->limits->entries)
        return fail(s->c, E_BAD_REQUEST, "JSON has an object or a list of more than %zu entries",
                    s->limits->entries);
    return E_OK;
}

static enum err open_bracket(struct scan *s, char ch)
{
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s->c, E_BAD_REQUEST, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
    s->close[s->depth] = ch == '{' ? '}' : ']';
    s->held[s->depth++] = 0;
    s->key = ch == '{';
    return count_value(s);
}

static void note_name(struct scan *s, struct str name)
{
    const struct json_limits *l = s->limits;
    for (size_t i = 0; i < l->name_count; i++)
        if (str_eq(name, str_of(l->names[i])) || str_find(name, '\\') >= 0)
            *l->seen |= 1u << i;
}

static enum err step(struct scan *s, struct str text, size_t *at)
{
    char ch = text.p[*at];
    size_t from = *at + 1;
    switch (ch) {
    case '"':
        if (!skip_string(text, at))
            return fail(s->c, E_BAD_REQUEST, "malformed JSON: a string has no end");
        if (s->depth == 1 && s->key && s->limits->name_count)
            note_name(s, str_sub(text, from, *at - from));
        return E_OK;
    case '{':
    case '[': return open_bracket(s, ch);
    case '}':
    case ']':
        if (!s->depth || s->close[--s->depth] != ch)
            return fail(s->c, E_BAD_REQUEST, "malformed JSON: brackets do not match");
        s->key = false;
        return E_OK;
    case ',': s->key = s->depth && s->close[s->depth - 1] == '}'; return count_value(s);
    case ':': s->key = false; return E_OK;
    default: return E_OK;
    }
}

enum err json_scan(struct ctx *c, struct str text, const struct json_limits *limits)
{
    static const struct json_limits plain = {.entries = JSON_VALUES_MAX};
    struct scan s = {.c = c, .limits = limits ? limits : &plain, .values = 1};
    if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
        return fail(c, E_BAD_REQUEST, "JSON must not begin with a byte order mark");
    if (!utf8_valid(text))
        return fail(c, E_BAD_REQUEST, "JSON must be valid UTF-8");
    for (size_t i = 0; i < text.n; i++)
        if (is_mark[(unsigned char)text.p[i]])
            TRY(step(&s, text, &i));
    if (s.depth)
        return fail(c, E_BAD_REQUEST, "malformed JSON: it ends early");
    return E_OK;
}

/* In front of what jansson was given: its neighbours of the same parse. */
struct block {
    _Alignas(16) struct block *prev;
    struct block *next;
};

struct parse {
    jmp_buf refused;
    struct block *first;
};

static _Thread_local struct parse *under_way;

static void *block_new(size_t n)
{
    struct block *b = n <= SIZE_MAX - sizeof *b ? malloc(sizeof *b + n) : NULL;
    if (!b) {
        heap_refuse();
        if (under_way)
            longjmp(under_way->refused, 1);
        return NULL;
    }
    *b = (struct block){0};
    if (under_way) {
        b->next = under_way->first;
        if (b->next)
            b->next->prev = b;
        under_way->first = b;
    }
    return b + 1;
}

static void block_free(void *p)
{
    if (!p)
        return;
    struct block *b = (struct block *)p - 1;
    if (b->next)
        b->next->prev = b->prev;
    if (b->prev)
        b->prev->next = b->next;
    else if (under_way && under_way->first == b)
        under_way->first = b->next;
    free(b);
}

static void take_over(void)
{
    json_set_alloc_funcs(block_new, block_free);
}

/* NULL: malformed, or memory was refused. */
static json_t *load(struct parse *p, struct str text, json_error_t *why)
{
    if (setjmp(p->refused) == 0) {
        under_way = p;
        json_t *v = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, why);
        under_way = NULL;
        return v;
    }
    while (p->first)
        block_free(p->first + 1);
    under_way = NULL;
    return NULL;
}

enum err json_build(struct ctx *c, struct str text, json_t **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct parse p = {.first = NULL};
    json_error_t why = {.line = 0};
    pthread_once(&once, take_over);
    json_t *v = load(&p, text.n ? text : S(""), &why);
    if (!v) /* fail() knows it when memory was what was missing */
        return fail(c, E_BAD_REQUEST, "malformed JSON: %s (line %d)", why.text, why.line);
    *out = v;
    return E_OK;
}

enum err json_parse(struct ctx *c, struct str text, json_t **out)
{
    TRY(json_scan(c, text, NULL));
    return json_build(c, text, out);
}

void json_done(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

bool json_get_str(const json_t *object, const char *key, struct str *out)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_string(v))
        return false;
    *out = (struct str){json_string_value(v), json_string_length(v)};
    return true;
}

bool json_get_i64(const json_t *object, const char *key, int64_t *out)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v))
        return false;
    *out = (int64_t)json_integer_value(v);
    return true;
}

static void comma(struct json_out *j)
{
    if (j->comma)
        buf_char(j->out, ',');
    j->comma = true;
}

void put_open(struct json_out *j, char bracket)
{
    comma(j);
    buf_char(j->out, bracket);
    j->comma = false;
}

void put_close(struct json_out *j, char bracket)
{
    buf_char(j->out, bracket);
    j->comma = true;
}

/* Characters that stand for themselves. */
static const bool plain_char[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

/* How many of them come before the first other one; mostly all. */
static size_t plain_run(struct str s, bool utf8)
{
    size_t i = 0;
    while (i < s.n && (plain_char[(unsigned char)s.p[i]] || (utf8 && (s.p[i] & 0x80))))
        i++;
    return i;
}

static void escaped(struct buf *out, unsigned char ch)
{
    static const char letters[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                      ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    if (ch >= 0x80)
        buf_str(out, S("\xEF\xBF\xBD"));
    else if (letters[ch])
        buf_add(out, (const char[]){'\\', letters[ch]}, 2);
    else
        buf_add(out, (const char[]){'\\', 'u', '0', '0', hex[ch >> 4], hex[ch & 15]}, 6);
}

static void quoted(struct buf *out, struct str s)
{
    buf_char(out, '"');
    size_t plain = plain_run(s, false);
    bool utf8 = plain < s.n && utf8_valid(s);
    if (utf8)
        plain += plain_run(str_sub(s, plain, s.n), true);
    for (;;) {
        buf_add(out, s.p, plain);
        if (plain == s.n)
            break;
        escaped(out, (unsigned char)s.p[plain]);
        s = str_sub(s, plain + 1, s.n);
        plain = plain_run(s, utf8);
    }
    buf_char(out, '"');
}

void put_key(struct json_out *j, struct str key)
{
    comma(j);
    quoted(j->out, key);
    buf_char(j->out, ':');
    j->comma = false;
}

void put_str(struct json_out *j, struct str s)
{
    comma(j);
    quoted(j->out, s);
}

void put_i64(struct json_out *j, int64_t v)
{
    comma(j);
    buf_i64(j->out, v);
}

void put_bool(struct json_out *j, bool v)
{
    comma(j);
    buf_str(j->out, v ? S("true") : S("false"));
}

void put_null(struct json_out *j)
{
    comma(j);
    buf_str(j->out, S("null"));
}

void put_raw(struct json_out *j, struct str json)
{
    comma(j);
    buf_str(j->out, json);
}

static void put_object(struct json_out *j, const json_t *object)
{
    json_t *v = (json_t *)(uintptr_t)object; /* it is only read */
    put_open(j, '{');
    for (void *at = json_object_iter(v); at; at = json_object_iter_next(v, at)) {
        put_key(j, str_of(json_object_iter_key(at)));
        put_json(j, json_object_iter_value(at));
    }
    put_close(j, '}');
}

static void put_array(struct json_out *j, const json_t *v)
{
    put_open(j, '[');
    for (size_t i = 0; i < json_array_size(v); i++)
        put_json(j, json_array_get(v, i));
    put_close(j, ']');
}

static void put_real(struct json_out *j, const json_t *v)
{
    char text[64];
    size_t n = json_dumpb(v, text, sizeof text, JSON_ENCODE_ANY);
    if (n == 0 || n > sizeof text)
        j->out->full = true;
    else
        put_raw(j, (struct str){text, n});
}

void put_json(struct json_out *j, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: put_object(j, v); break;
    case JSON_ARRAY: put_array(j, v); break;
    case JSON_STRING: put_str(j, (struct str){json_string_value(v), json_string_length(v)}); break;
    case JSON_INTEGER: put_i64(j, (int64_t)json_integer_value(v)); break;
    case JSON_REAL: put_real(j, v); break;
    case JSON_TRUE:
    case JSON_FALSE: put_bool(j, json_is_true(v)); break;
    case JSON_NULL: put_null(j); break;
    }
}

enum err json_text(struct ctx *c, const json_t *v, struct str *out)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_json(&j, v);
    char *p = b.full ? NULL : arena_try(&c->mem, b.n);
    if (!p)
        return fail(c, E_TOO_LARGE, "JSON is too large");
    memcpy(p, b.p, b.n);
    *out = (struct str){p, b.n};
    return E_OK;
}
