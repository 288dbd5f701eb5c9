/*
 * Matchers for names, by hand and in one pass: the patterns are small, and a name comes from a
 * stranger before anything else is known of the request. What a matcher accepts is safe in a URL
 * path, in a header and in a log line; nothing here decides whether the name exists.
 */
#include "rule/name.h"

#define NAME_MAX_BYTES 255
#define TAG_MAX_BYTES 128
#define PASSWORD_MIN 8
#define PASSWORD_MAX 256

static bool is_lower_or_digit(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

static bool is_upper(char ch)
{
    return ch >= 'A' && ch <= 'Z';
}

static bool is_word(char ch)
{
    return is_lower_or_digit(ch) || is_upper(ch) || ch == '_';
}

static bool is_separator(char ch)
{
    return ch == '.' || ch == '_' || ch == '-';
}

/* [a-z0-9]+([._-][a-z0-9]+)* : runs of letters and digits, single separators between them. */
static bool is_simple(struct str s)
{
    bool after_separator = true;
    for (size_t i = 0; i < s.n; i++) {
        if (is_lower_or_digit(s.p[i]))
            after_separator = false;
        else if (is_separator(s.p[i]) && !after_separator)
            after_separator = true;
        else
            return false;
    }
    return !after_separator;
}

bool name_is_project(struct str s)
{
    return s.n <= NAME_MAX_BYTES && is_simple(s);
}

bool name_is_robot(struct str s)
{
    return s.n <= NAME_MAX_BYTES && is_simple(s);
}

/* Length of the separator at the start of s: "." , "_", "__" or any number of "-"; else 0. */
static size_t separator(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == '-')
        n++;
    if (n)
        return n;
    if (s.n && s.p[0] == '.')
        return 1;
    while (n < s.n && n < 2 && s.p[n] == '_')
        n++;
    return n;
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool is_component(struct str s)
{
    for (;;) {
        size_t n = 0;
        while (n < s.n && is_lower_or_digit(s.p[n]))
            n++;
        if (n == 0)
            return false;
        s = str_sub(s, n, SIZE_MAX);
        if (s.n == 0)
            return true;
        n = separator(s);
        if (n == 0)
            return false;
        s = str_sub(s, n, SIZE_MAX);
    }
}

bool name_is_repository(struct str s)
{
    if (s.n == 0 || s.n > NAME_MAX_BYTES || s.p[s.n - 1] == '/')
        return false;
    while (s.n)
        if (!is_component(str_cut(&s, '/')))
            return false;
    return true;
}

bool name_is_tag(struct str s)
{
    if (s.n == 0 || s.n > TAG_MAX_BYTES || !is_word(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_word(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return true;
}

/* Harbor excludes , " ~ # % $ ; the colon as well, because Basic credentials end a name with it. */
bool name_is_user(struct str s)
{
    if (s.n == 0 || s.n > NAME_MAX_BYTES || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~' || str_find(S(",\"~#%$:/\\"), s.p[i]) >= 0)
            return false;
    return true;
}

enum err name_split(struct ctx *c, struct str full, struct str *project, struct str *path)
{
    if (full.n > NAME_MAX_BYTES)
        return fail(c, E_NAME_INVALID, "repository name has more than %d bytes", NAME_MAX_BYTES);
    struct str rest = full, first = str_cut(&rest, '/');
    if (rest.n == 0)
        return fail(c, E_NAME_INVALID, "repository name needs a project and a path: project/name");
    if (!name_is_project(first) || !name_is_repository(rest))
        return fail(c, E_NAME_INVALID, "invalid repository name");
    *project = first;
    *path = rest;
    return E_OK;
}

static bool is_host(struct str s)
{
    if (s.n == 0 || s.n > 253 || str_find(s, '.') < 0 || s.p[s.n - 1] == '.')
        return false;
    while (s.n) {
        struct str label = str_cut(&s, '.');
        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!is_word(label.p[i]) && label.p[i] != '-')
                return false;
    }
    return true;
}

bool name_is_email(struct str s)
{
    int64_t at = str_rfind(s, '@');
    if (at <= 0 || at > 64 || s.n > NAME_MAX_BYTES)
        return false;
    struct str user = str_sub(s, 0, (size_t)at);
    if (user.p[0] == '.' || user.p[user.n - 1] == '.' || str_contains(user, S("..")))
        return false;
    for (size_t i = 0; i < user.n; i++)
        if (!is_word(user.p[i]) && str_find(S(".!#$%&'*+/=?^`{|}~-"), user.p[i]) < 0)
            return false;
    return is_host(str_sub(s, (size_t)at + 1, SIZE_MAX));
}

enum err password_acceptable(struct ctx *c, struct str password)
{
    bool upper = false, lower = false, digit = false;
    for (size_t i = 0; i < password.n; i++) {
        char ch = password.p[i];
        upper = upper || is_upper(ch);
        lower = lower || (ch >= 'a' && ch <= 'z');
        digit = digit || (ch >= '0' && ch <= '9');
    }
    if (password.n < PASSWORD_MIN || password.n > PASSWORD_MAX || !upper || !lower || !digit)
        return fail(c, E_BAD_REQUEST,
                    "the password must have %d to 128 characters, with at least 1 upper case "
                    "letter, 1 lower case letter and 1 number",
                    PASSWORD_MIN);
    return E_OK;
}
