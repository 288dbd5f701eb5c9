/* Only rel is looked at; anchors and other parameters are skipped with their quotes respected. */
#include "peer/linkheader.h"

static void skip_blanks(struct str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = str_sub(*s, 1, s->n);
}

/* One value: quoted (without its quotes; escapes are left alone) or up to ';', ',' or a blank. */
static bool value(struct str *s, struct str *out)
{
    size_t n = 0;
    if (s->n && s->p[0] == '"') {
        for (n = 1; n < s->n && s->p[n] != '"'; n++)
            if (s->p[n] == '\\')
                n++;
        if (n >= s->n)
            return false;
        *out = str_sub(*s, 1, n - 1);
        *s = str_sub(*s, n + 1, s->n);
        return true;
    }
    while (n < s->n && s->p[n] != ';' && s->p[n] != ',' && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    *out = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool names_next(struct str rel)
{
    while (rel.n)
        if (str_eq_nocase(str_cut(&rel, ' '), S("next")))
            return true;
    return false;
}

/* ";" name ["=" value]; *next_out is set when it is rel with "next". */
static bool param(struct str *s, bool *next_out)
{
    size_t n = 0;
    struct str text = NO_STR;
    skip_blanks(s);
    while (n < s->n && s->p[n] != '=' && s->p[n] != ';' && s->p[n] != ',' && s->p[n] != ' ')
        n++;
    struct str name = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    skip_blanks(s);
    if (s->n && s->p[0] == '=') {
        *s = str_sub(*s, 1, s->n);
        skip_blanks(s);
        if (!value(s, &text))
            return false;
    }
    *next_out |= str_eq_nocase(name, S("rel")) && names_next(text);
    skip_blanks(s);
    return true;
}

bool link_next(struct str header, struct str *out)
{
    struct str s = header;
    for (;;) {
        while (s.n && (s.p[0] == ',' || s.p[0] == ' ' || s.p[0] == '\t'))
            s = str_sub(s, 1, s.n);
        int64_t close = str_find(s, '>');
        if (s.n == 0 || s.p[0] != '<' || close < 0)
            return false;
        struct str target = str_sub(s, 1, (size_t)close - 1);
        bool next = false;
        s = str_sub(s, (size_t)close + 1, s.n);
        skip_blanks(&s);
        while (s.n && s.p[0] == ';') {
            s = str_sub(s, 1, s.n);
            if (!param(&s, &next))
                return false;
        }
        if (next && target.n) {
            *out = target;
            return true;
        }
        if (s.n && s.p[0] != ',')
            return false;
    }
}
