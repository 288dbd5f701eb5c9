/*
 * The scan is a small automaton over the bytes with a stack of brackets; it bounds what jansson
 * is asked to build (4 MiB of "{}," would cost it 300 MiB). Grammar beyond nesting, strings and
 * counts is jansson's business.
 */
#include "base/json.h"

#include "base/codec.h"

#include <string.h>

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

enum err json_scan(struct ctx *c, struct str text)
{
    char stack[JSON_DEPTH_MAX];
    size_t depth = 0, values = 1;
    if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
        return fail(c, E_BAD_REQUEST, "JSON must not begin with a byte order mark");
    if (!utf8_valid(text))
        return fail(c, E_BAD_REQUEST, "JSON must be valid UTF-8");
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];
        if (ch == '"') {
            if (!skip_string(text, &i))
                return fail(c, E_BAD_REQUEST, "malformed JSON: a string has no end");
        } else if (ch == '{' || ch == '[') {
            if (depth == JSON_DEPTH_MAX)
                return fail(c, E_BAD_REQUEST, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
            stack[depth++] = ch == '{' ? '}' : ']';
            values++;
        } else if (ch == '}' || ch == ']') {
            if (!depth || stack[--depth] != ch)
                return fail(c, E_BAD_REQUEST, "malformed JSON: brackets do not match");
        } else if (ch == ',') {
            values++;
        }
        if (values > JSON_VALUES_MAX)
            return fail(c, E_BAD_REQUEST, "JSON has more than %d values", JSON_VALUES_MAX);
    }
    if (depth)
        return fail(c, E_BAD_REQUEST, "malformed JSON: it ends early");
    return E_OK;
}

enum err json_parse(struct ctx *c, struct str text, json_t **out)
{
    json_error_t why;
    TRY(json_scan(c, text));
    json_t *v =
        json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!v)
        return fail(c, E_BAD_REQUEST, "malformed JSON: %s (line %d)", why.text, why.line);
    *out = v;
    return E_OK;
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

/* How many characters stand for themselves before the first that does not; mostly all. */
static size_t plain_run(struct str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\\')
        i++;
    return i;
}

static void quoted(struct buf *out, struct str s)
{
    buf_char(out, '"');
    size_t plain = plain_run(s);
    buf_add(out, s.p, plain);
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
    buf_fmt(j->out, "%lld", (long long)v);
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
