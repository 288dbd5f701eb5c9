/*
 * The grammar is ambiguous for lazy readers: commas part challenges as well as the parameters of
 * one challenge, and a word is a scheme or the name of a parameter depending on what follows it.
 * Here a word with '=' behind it is a parameter of the challenge before, any other word begins a
 * challenge; a token68 may only stand directly behind its scheme. What does not fit is refused as a
 * whole, since a half-understood challenge decides where a credential goes.
 */
#include "peer/challenge.h"

#include <string.h>

#define HEADER_MAX ((size_t)8 << 10)

struct scan {
    struct ctx *c;
    const char *p, *end;
};

static enum err broken(struct scan *s, const char *why)
{
    return fail(s->c, E_UPSTREAM, "the upstream's WWW-Authenticate is broken: %s", why);
}

static bool token_char(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           (ch && strchr("!#$%&'*+-.^_`|~", ch));
}

static bool token68_char(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           (ch && strchr("-._~+/", ch));
}

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
}

static struct str word(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && token_char(*s->p))
        s->p++;
    return (struct str){start, (size_t)(s->p - start)};
}

static enum err quoted(struct scan *s, struct str *out)
{
    char *text = arena_alloc(&s->c->mem, (size_t)(s->end - s->p) + 1);
    size_t n = 0;
    for (s->p++; s->p < s->end; s->p++) {
        char ch = *s->p;
        if (ch == '"') {
            s->p++;
            *out = (struct str){text, n};
            return E_OK;
        }
        if (ch == '\\' && ++s->p == s->end)
            break;
        text[n++] = *s->p;
    }
    return broken(s, "a quoted text does not end");
}

static enum err value(struct scan *s, struct str *out)
{
    if (s->p < s->end && *s->p == '"')
        return quoted(s, out);
    *out = word(s);
    return out->n ? E_OK : broken(s, "a parameter without a value");
}

static enum err set(struct scan *s, struct challenge *to, struct str name, struct str text)
{
    const struct {
        const char *name;
        struct str *member;
    } known[] = {{"realm", &to->realm},
                 {"service", &to->service},
                 {"scope", &to->scope},
                 {"error", &to->error}};
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!str_eq_nocase(name, str_of(known[i].name)))
            continue;
        if (known[i].member->p)
            return broken(s, "a parameter stands twice");
        *known[i].member = text;
    }
    return E_OK;
}

/* name BWS "=" BWS value; *is_param false = there is no '=', nothing was consumed but the word. */
static enum err param(struct scan *s, struct challenge *to, struct str name, bool *is_param)
{
    const char *before = s->p;
    struct str text = NO_STR;
    skip_blanks(s);
    *is_param = s->p < s->end && *s->p == '=';
    if (!*is_param) {
        s->p = before;
        return E_OK;
    }
    if (!to)
        return broken(s, "a parameter without a scheme");
    s->p++;
    skip_blanks(s);
    TRY(value(s, &text));
    return set(s, to, name, text);
}

/* After a scheme: token68 and the end of the challenge, or nothing consumed. */
static void skip_token68(struct scan *s)
{
    const char *p = s->p;
    while (p < s->end && token68_char(*p))
        p++;
    bool some = p > s->p;
    while (p < s->end && *p == '=')
        p++;
    const char *after = p;
    while (p < s->end && (*p == ' ' || *p == '\t'))
        p++;
    if (some && (p == s->end || *p == ','))
        s->p = after;
}

static enum challenge_scheme scheme_of(struct str name)
{
    if (str_eq_nocase(name, S("bearer")))
        return CHALLENGE_BEARER;
    return str_eq_nocase(name, S("basic")) ? CHALLENGE_BASIC : CHALLENGE_OTHER;
}

static enum err element(struct scan *s, struct challenge *out, size_t *count)
{
    struct challenge *last = *count ? &out[*count - 1] : NULL;
    bool is_param;
    struct str name = word(s);
    if (name.n == 0)
        return broken(s, "an unexpected character");
    TRY(param(s, last, name, &is_param));
    if (is_param)
        return E_OK;
    if (*count == CHALLENGES_MAX)
        return broken(s, "too many challenges");
    last = &out[(*count)++];
    *last = (struct challenge){.scheme = scheme_of(name)};
    if (s->p == s->end || *s->p == ',')
        return E_OK;
    if (*s->p != ' ')
        return broken(s, "an unexpected character behind the scheme");
    skip_blanks(s);
    skip_token68(s);
    if (s->p == s->end || *s->p == ',' || *s->p == ' ' || *s->p == '\t')
        return E_OK;
    name = word(s);
    TRY(param(s, last, name, &is_param));
    return is_param ? E_OK : broken(s, "neither a parameter nor a token behind the scheme");
}

enum err challenge_parse(struct ctx *c, struct str header,
                         struct challenge out[static CHALLENGES_MAX], size_t *count_out)
{
    struct scan s = {c, header.p, header.p + header.n};
    size_t count = 0;
    if (header.n > HEADER_MAX)
        return broken(&s, "over 8 KiB");
    for (size_t i = 0; i < header.n; i++)
        if ((unsigned char)header.p[i] < ' ' || header.p[i] == 0x7f)
            if (header.p[i] != '\t')
                return broken(&s, "control characters");
    for (;;) {
        while (s.p < s.end && (*s.p == ',' || *s.p == ' ' || *s.p == '\t'))
            s.p++;
        if (s.p == s.end)
            break;
        TRY(element(&s, out, &count));
        skip_blanks(&s);
        if (s.p < s.end && *s.p != ',')
            return broken(&s, "no comma between two parts");
    }
    *count_out = count;
    return E_OK;
}
