/*
 * Compiles to a small program (Thompson's construction) and runs all its threads at once, one byte
 * of the text at a time, so no pattern can make a match take long. What a class holds is read
 * from the pattern each time: nothing is allocated and a program has a known size.
 */
#include "rule/regex.h"

#include <string.h>

enum op { OP_CHAR, OP_ANY, OP_CLASS, OP_ESCAPE, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_FINISH, OP_END };

struct step {
    uint8_t op, ch;
    uint16_t x, y; /* SPLIT, JUMP: where to; CLASS: the pattern from x to y */
};

#define STEPS (3 * REGEX_PATTERN_MAX + 8)

struct program {
    struct str pattern;
    size_t at, count, depth;
    const char *wrong;
    struct step steps[STEPS];
};

static void refuse(struct program *p, const char *why)
{
    if (!p->wrong)
        p->wrong = why;
}

static bool more(const struct program *p)
{
    return !p->wrong && p->at < p->pattern.n;
}

static char peek(const struct program *p)
{
    return p->at < p->pattern.n ? p->pattern.p[p->at] : '\0';
}

static struct step *emit(struct program *p, enum op op)
{
    if (p->count + 1 >= STEPS) {
        refuse(p, "the expression is too large");
        p->count = 0;
    }
    struct step *s = &p->steps[p->count++];
    *s = (struct step){.op = (uint8_t)op};
    return s;
}

/* Makes room for one step before the steps from `from` on; what they point at moves along. */
static void insert(struct program *p, size_t from, enum op op)
{
    emit(p, op);
    if (p->wrong)
        return;
    memmove(&p->steps[from + 1], &p->steps[from], (p->count - 1 - from) * sizeof(struct step));
    p->steps[from] = (struct step){.op = (uint8_t)op};
    for (size_t i = from + 1; i < p->count; i++) {
        struct step *s = &p->steps[i];
        bool jumps = s->op == OP_SPLIT || s->op == OP_JUMP;
        s->x = (uint16_t)(s->x + (jumps && s->x >= from));
        s->y = (uint16_t)(s->y + (s->op == OP_SPLIT && s->y >= from));
    }
}

/* ---- single characters -------------------------------------------------------------------- */

static bool in_kind(char kind, char c)
{
    bool digit = c >= '0' && c <= '9';
    bool word = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    bool space = c == ' ' || (c >= '\t' && c <= '\r');
    switch (kind) {
    case 'd': return digit;
    case 'D': return !digit;
    case 'w': return word;
    case 'W': return !word;
    case 's': return space;
    default: return !space;
    }
}

static bool is_kind(char c)
{
    return c && strchr("dDwWsS", c);
}

static bool is_letter_or_digit(char c)
{
    return in_kind('w', c) && c != '_';
}

/* Walks a class from behind '[' to behind ']': does it hold c? False in *good: it is malformed. */
static bool class_holds(struct str s, size_t *at, char c, bool *good)
{
    bool negated = *at < s.n && s.p[*at] == '^', found = false, first = true;
    *at += negated;
    for (*good = false; *at < s.n; first = false) {
        char low = s.p[(*at)++];
        if (low == ']' && !first) {
            *good = true;
            return found != negated;
        }
        if (low == '[' && *at < s.n && s.p[*at] == ':')
            return false; /* [:alpha:] is not known here */
        if (low == '\\') {
            if (*at >= s.n)
                return false;
            low = s.p[(*at)++];
            if (is_kind(low)) {
                found |= in_kind(low, c);
                continue;
            }
            if (is_letter_or_digit(low))
                return false;
        }
        char high = low;
        if (*at + 1 < s.n && s.p[*at] == '-' && s.p[*at + 1] != ']') {
            high = s.p[*at + 1];
            *at += 2;
            if (high == '\\' && *at < s.n)
                high = s.p[(*at)++];
            if ((unsigned char)high < (unsigned char)low)
                return false;
        }
        found |= (unsigned char)c >= (unsigned char)low && (unsigned char)c <= (unsigned char)high;
    }
    return false;
}

static void compile_class(struct program *p)
{
    bool good;
    size_t from = ++p->at;
    (void)class_holds(p->pattern, &p->at, 'a', &good);
    if (!good)
        refuse(p, "a class [...] is malformed");
    struct step *s = emit(p, OP_CLASS);
    s->x = (uint16_t)from;
    s->y = (uint16_t)p->at;
}

static void compile_escape(struct program *p)
{
    p->at++;
    char c = peek(p);
    if (p->at >= p->pattern.n)
        refuse(p, "the expression ends with a backslash");
    else if (is_letter_or_digit(c) && !is_kind(c))
        refuse(p, "the expression has an escape that is not known here");
    emit(p, is_kind(c) ? OP_ESCAPE : OP_CHAR)->ch = (uint8_t)c;
    p->at++;
}

/* ---- the grammar -------------------------------------------------------------------------- */

static void compile_choice(struct program *p);

static void compile_group(struct program *p)
{
    p->at++;
    if (peek(p) == '?') {
        bool plain = p->at + 1 < p->pattern.n && p->pattern.p[p->at + 1] == ':';
        if (!plain)
            refuse(p, "the expression has a group (?...) that is not known here");
        p->at += 2;
    }
    if (++p->depth > REGEX_NESTING_MAX)
        refuse(p, "groups are nested too deep");
    if (!p->wrong)
        compile_choice(p);
    p->depth--;
    if (!p->wrong && peek(p) != ')')
        refuse(p, "a group (...) has no end");
    p->at++;
}

static void compile_atom(struct program *p)
{
    char c = peek(p);
    switch (c) {
    case '(': compile_group(p); return;
    case '[': compile_class(p); return;
    case '\\': compile_escape(p); return;
    case '*':
    case '+':
    case '?': refuse(p, "a repetition has nothing to repeat"); return;
    case '{': refuse(p, "counts {n,m} are not taken"); return;
    case '.': emit(p, OP_ANY); break;
    case '^': emit(p, OP_BEGIN); break;
    case '$': emit(p, OP_FINISH); break;
    default: emit(p, OP_CHAR)->ch = (uint8_t)c; break;
    }
    p->at++;
}

/* The steps from `from` on, repeated as the sign says. */
static void repeat(struct program *p, size_t from, char sign)
{
    if (sign == '+') {
        struct step *s = emit(p, OP_SPLIT);
        s->x = (uint16_t)from;
        s->y = (uint16_t)p->count;
        return;
    }
    insert(p, from, OP_SPLIT);
    if (sign == '*')
        emit(p, OP_JUMP)->x = (uint16_t)from;
    if (p->wrong)
        return;
    p->steps[from].x = (uint16_t)(from + 1);
    p->steps[from].y = (uint16_t)p->count;
}

static void compile_sequence(struct program *p)
{
    while (more(p) && peek(p) != '|' && peek(p) != ')') {
        size_t from = p->count;
        compile_atom(p);
        char sign = peek(p);
        if (p->wrong || !sign || !strchr("*+?", sign))
            continue;
        repeat(p, from, sign);
        p->at++;
        if (peek(p) == '?') /* lazy: the whole text decides, not who is greedy */
            p->at++;
        if (peek(p) && strchr("*+?", peek(p)))
            refuse(p, "a repetition of a repetition");
    }
}

static void compile_choice(struct program *p)
{
    size_t from = p->count;
    compile_sequence(p);
    while (more(p) && peek(p) == '|') {
        p->at++;
        insert(p, from, OP_SPLIT);
        size_t jump = p->count;
        emit(p, OP_JUMP);
        if (p->wrong)
            return;
        p->steps[from].x = (uint16_t)(from + 1);
        p->steps[from].y = (uint16_t)p->count;
        compile_sequence(p); /* later ones are tried with this one: (a|(b|c)) grows to the left */
        if (!p->wrong)
            p->steps[jump].x = (uint16_t)p->count;
    }
}

static void compile(struct program *p, struct str pattern)
{
    p->pattern = pattern;
    p->at = p->count = p->depth = 0;
    p->wrong = NULL;
    if (pattern.n > REGEX_PATTERN_MAX)
        refuse(p, "the expression is longer than 1024 bytes");
    else
        compile_choice(p);
    if (more(p))
        refuse(p, "a ) has no group");
    emit(p, OP_END);
}

/* ---- running ------------------------------------------------------------------------------ */

struct places {
    size_t count;
    uint16_t at[STEPS];
};

struct machine {
    struct program p;
    uint32_t round, seen[STEPS];
    struct places now, then;
    uint16_t stack[2 * STEPS];
};

/* Enters a place and all that is reached from it without reading. */
static void enter(struct machine *m, struct places *to, size_t place, bool begin, bool finish)
{
    size_t depth = 0;
    m->stack[depth++] = (uint16_t)place;
    while (depth) {
        uint16_t at = m->stack[--depth];
        if (m->seen[at] == m->round)
            continue;
        m->seen[at] = m->round;
        const struct step *s = &m->p.steps[at];
        if (s->op == OP_JUMP || s->op == OP_SPLIT)
            m->stack[depth++] = s->x;
        if (s->op == OP_SPLIT)
            m->stack[depth++] = s->y;
        if ((s->op == OP_BEGIN && begin) || (s->op == OP_FINISH && finish))
            m->stack[depth++] = (uint16_t)(at + 1);
        if (s->op <= OP_ESCAPE || s->op == OP_END)
            to->at[to->count++] = at;
    }
}

static bool takes(const struct program *p, const struct step *s, char c)
{
    bool good;
    size_t at = s->x;
    switch ((enum op)s->op) {
    case OP_CHAR: return (char)s->ch == c;
    case OP_ANY: return c != '\n';
    case OP_ESCAPE: return in_kind((char)s->ch, c);
    case OP_CLASS: return class_holds(p->pattern, &at, c, &good);
    case OP_SPLIT:
    case OP_JUMP:
    case OP_BEGIN:
    case OP_FINISH:
    case OP_END: break;
    }
    return false;
}

static bool run(struct machine *m, struct str text)
{
    m->round = 1;
    enter(m, &m->now, 0, true, text.n == 0);
    for (size_t i = 0; i < text.n && m->now.count; i++) {
        m->round++;
        m->then.count = 0;
        for (size_t k = 0; k < m->now.count; k++) {
            size_t at = m->now.at[k];
            if (takes(&m->p, &m->p.steps[at], text.p[i]))
                enter(m, &m->then, at + 1, false, i + 1 == text.n);
        }
        m->now.count = m->then.count;
        memcpy(m->now.at, m->then.at, m->then.count * sizeof m->then.at[0]);
    }
    for (size_t k = 0; k < m->now.count; k++)
        if (m->p.steps[m->now.at[k]].op == OP_END)
            return true;
    return false;
}

bool regex_match(struct str pattern, struct str text)
{
    struct machine m; /* 60 KiB of a worker's 256 */
    compile(&m.p, pattern);
    if (m.p.wrong)
        return false;
    memset(m.seen, 0, sizeof m.seen);
    m.now.count = m.then.count = 0;
    return run(&m, text);
}

const char *regex_check(struct str pattern)
{
    struct program p;
    compile(&p, pattern);
    return p.wrong;
}
