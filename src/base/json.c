/*
 * The scan is a small automaton over the bytes with a stack of brackets; it bounds what jansson
 * is asked to build (4 MiB of "{}," would cost it 300 MiB). Grammar beyond nesting, strings and
 * counts is jansson's business.
 */
#include "base/json.h"

#include "base/codec.h"

#include <stdlib.h>
#include <string.h>

#define LEXER_ROOM ((size_t)64 << 10)

/* Bytes that mean something outside of a string. */
static const bool is_mark[256] = {['"'] = true, ['{'] = true, ['}'] = true, ['['] = true,
                                  [']'] = true, [','] = true, [':'] = true};

static bool skip_string(struct str s, size_t *at)
{
    for (size_t i = *at + 1; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            *at = i;
            return true;
        }
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

/* jansson's lexer goes on without the bytes that it has no memory for, and may stop the process by
   an assertion then: it is not begun when there is too little for the longest token. */
static bool room_for_lexer(size_t n)
{
    void *volatile p = malloc(size_min(2 * size_min(n, LEXER_ROOM), LEXER_ROOM) + 1024);
    bool there = p != NULL;
    free(p);
    return there;
}

enum err json_build(struct ctx *c, struct str text, json_t **out)
{
    json_error_t why;
    if (!room_for_lexer(text.n))
        return fail(c, E_UNAVAILABLE, "out of memory");
    json_t *v =
        json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!v)
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
static size_t plain_run(struct str s)
{
    size_t i = 0;
    while (i < s.n && plain_char[(unsigned char)s.p[i]])
        i++;
    return i;
}

static void quoted(struct buf *out, struct str s)
{
    buf_char(out, '"');
    size_t plain = plain_run(s);
    buf_add(out, s.p, plain);
    if (plain == s.n) {
        buf_char(out, '"');
        return;
    }
    s = str_sub(s, plain, s.n);
    bool clean = utf8_valid(s);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '"' || ch == '\\')
            buf_fmt(out, "\\%c", ch);
        else if (ch < 0x20 || ch == 0x7f)
            buf_fmt(out, "\\u%04x", ch);
        else if (ch >= 0x80 && !clean)
            buf_str(out, S("\xEF\xBF\xBD"));
        else
            buf_char(out, (char)ch);
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
