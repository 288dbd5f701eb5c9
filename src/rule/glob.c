/*
 * A pattern becomes a program for a machine that keeps the set of all places where it can be
 * (Thompson's construction): no backtracking, so no pattern of a stranger costs more than its
 * length times that of the text. Alternatives are branches in the program and are never
 * multiplied out. The program lives on the stack.
 */
#include "rule/glob.h"

#include <string.h>

#define OPS_MAX (2 * GLOB_PATTERN_MAX + 8)

enum glob_op {
    OP_END,
    OP_CHAR,  /* this character */
    OP_ONE,   /* any character but '/' */
    OP_CLASS, /* one of a set */
    OP_STAR,  /* any number of characters but '/' */
    OP_DEEP,  /* any number of characters */
    OP_FORK,  /* goes on at the next op and at `to` */
    OP_JUMP,  /* goes on at `to` */
};

struct op {
    unsigned char kind;
    uint16_t to, end; /* a place in the program; of OP_CLASS: from and behind, in the pattern */
    uint32_t ch;
};

struct program {
    struct str pattern;
    size_t at, count; /* read position in the pattern; ops made */
    const char *wrong;
    struct op ops[OPS_MAX];
};

/* The character at *at, which moves behind it. Bytes that are not UTF-8 stand for themselves. */
static uint32_t next_char(struct str s, size_t *at)
{
    unsigned char first = (unsigned char)s.p[(*at)++];
    size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
    if (more == 0 || more > s.n - *at)
        return first;
    uint32_t ch = first & (0x3FU >> more);
    for (size_t i = 0; i < more; i++) {
        unsigned char byte = (unsigned char)s.p[*at + i];
        if ((byte & 0xC0) != 0x80)
            return first;
        ch = ch << 6 | (byte & 0x3F);
    }
    *at += more;
    return ch;
}

static void refuse(struct program *p, const char *why)
{
    if (!p->wrong)
        p->wrong = why;
    p->at = p->pattern.n;
}

static struct op *emit(struct program *p, enum glob_op kind)
{
    struct op *op = &p->ops[p->count];
    if (p->count == OPS_MAX - 1)
        refuse(p, "the pattern is too complex");
    else
        p->count++;
    *op = (struct op){.kind = (unsigned char)kind};
    return op;
}

static bool ended(const struct program *p)
{
    return p->at >= p->pattern.n;
}

static char peek(const struct program *p, size_t ahead)
{
    return p->at + ahead < p->pattern.n ? p->pattern.p[p->at + ahead] : '\0';
}

/* One character of a class, with its backslash taken off; false when there is none. */
static bool class_char(struct str s, size_t *at, uint32_t *out)
{
    if (*at < s.n && s.p[*at] == '\\')
        ++*at;
    else if (*at < s.n && (s.p[*at] == '-' || s.p[*at] == ']'))
        return false;
    if (*at >= s.n)
        return false;
    *out = next_char(s, at);
    return true;
}

/* Reads a class from behind '[' to behind ']' and tells whether ch is in it. */
static bool class_read(struct str s, size_t *at, uint32_t ch, bool *holds)
{
    bool negated = *at < s.n && (s.p[*at] == '^' || s.p[*at] == '!'), found = false;
    *at += negated;
    do {
        uint32_t low, high;
        if (!class_char(s, at, &low))
            return false;
        high = low;
        if (*at < s.n && s.p[*at] == '-') {
            ++*at;
            if (!class_char(s, at, &high) || high < low)
                return false;
        }
        found = found || (ch >= low && ch <= high);
    } while (*at < s.n && s.p[*at] != ']');
    *holds = found != negated;
    return (*at)++ < s.n;
}

static void compile_class(struct program *p)
{
    bool unused;
    size_t at = ++p->at;
    if (!class_read(p->pattern, &p->at, 0, &unused)) {
        refuse(p, "a character class [...] is malformed");
        return;
    }
    struct op *op = emit(p, OP_CLASS);
    op->to = (uint16_t)at;
    op->end = (uint16_t)p->at;
}

/* "**" that is a whole component: with a '/' behind it, it may stand for no component at all. */
static bool compile_deep(struct program *p, size_t depth)
{
    char behind = peek(p, 2);
    bool last = p->at + 2 >= p->pattern.n || (depth && (behind == ',' || behind == '}'));
    if (peek(p, 1) != '*' || (!last && behind != '/'))
        return false;
    p->at += last ? 2 : 3;
    if (last) {
        emit(p, OP_DEEP);
        return true;
    }
    struct op *fork = emit(p, OP_FORK);
    emit(p, OP_DEEP);
    emit(p, OP_CHAR)->ch = '/';
    fork->to = (uint16_t)p->count;
    return true;
}

/* Plain text and wildcards up to the end or to what ends an alternative. */
static void compile_one(struct program *p, bool at_start, size_t depth)
{
    char ch = p->pattern.p[p->at];
    if (ch == '*' && at_start && compile_deep(p, depth))
        return;
    if (ch == '*') {
        emit(p, OP_STAR);
        while (peek(p, 0) == '*')
            p->at++;
    } else if (ch == '?') {
        emit(p, OP_ONE);
        p->at++;
    } else if (ch == '[') {
        compile_class(p);
    } else if (ch == '\\' && p->at + 1 >= p->pattern.n) {
        refuse(p, "the pattern ends with a backslash");
    } else {
        p->at += ch == '\\';
        uint32_t c = next_char(p->pattern, &p->at);
        emit(p, OP_CHAR)->ch = c;
    }
}

static void compile_alternatives(struct program *p, bool at_start, size_t depth);

static void compile_sequence(struct program *p, bool at_start, size_t depth)
{
    while (!ended(p)) {
        char ch = peek(p, 0);
        if (depth && (ch == ',' || ch == '}'))
            return;
        if (ch == '{') {
            compile_alternatives(p, at_start, depth + 1);
            at_start = false;
            continue;
        }
        compile_one(p, at_start, depth);
        at_start = !ended(p) && p->pattern.p[p->at - 1] == '/';
    }
}

/* The jumps from the ends of the branches are chained through `to` until the end is known. */
static void compile_alternatives(struct program *p, bool at_start, size_t depth)
{
    uint16_t chain = 0;
    bool more = true;
    if (depth > GLOB_NESTING_MAX)
        refuse(p, "alternatives {...} are nested too deep");
    for (p->at++; more && !p->wrong;) {
        struct op *fork = emit(p, OP_FORK);
        compile_sequence(p, at_start, depth);
        if (ended(p))
            refuse(p, "alternatives {...} have no end");
        more = peek(p, 0) == ',';
        p->at++;
        if (more) {
            emit(p, OP_JUMP)->to = chain;
            chain = (uint16_t)(p->count - 1);
        } else {
            fork->kind = OP_JUMP; /* below: the last branch has no other */
        }
        fork->to = (uint16_t)(more ? p->count : (size_t)(fork - p->ops) + 1);
    }
    for (uint16_t next; !p->wrong && chain; chain = next) {
        next = p->ops[chain].to;
        p->ops[chain].to = (uint16_t)p->count;
    }
}

static void compile(struct program *p, struct str pattern)
{
    p->pattern = pattern;
    p->at = p->count = 0;
    p->wrong = NULL;
    if (pattern.n > GLOB_PATTERN_MAX)
        refuse(p, "the pattern is longer than 1024 bytes");
    compile_sequence(p, true, 0);
    p->ops[p->count] = (struct op){.kind = OP_END};
}

struct places {
    size_t count;
    uint16_t at[OPS_MAX];
};

struct machine {
    const struct program *p;
    uint32_t step, seen[OPS_MAX]; /* the step in which a place was last entered */
    struct places now, then;
    uint16_t stack[OPS_MAX];
};

/* Enters a place and all that is reached from it without reading. */
static void enter(struct machine *m, struct places *to, size_t place)
{
    size_t depth = 0;
    m->stack[depth++] = (uint16_t)place;
    while (depth) {
        size_t at = m->stack[--depth];
        const struct op *op = &m->p->ops[at];
        if (m->seen[at] == m->step)
            continue;
        m->seen[at] = m->step;
        if (op->kind == OP_FORK || op->kind == OP_JUMP) {
            /* each place is stacked by at most two others, and read once */
            if (m->seen[op->to] != m->step)
                m->stack[depth++] = op->to;
            if (op->kind == OP_FORK && m->seen[at + 1] != m->step)
                m->stack[depth++] = (uint16_t)(at + 1);
            continue;
        }
        to->at[to->count++] = (uint16_t)at;
        if ((op->kind == OP_STAR || op->kind == OP_DEEP) && m->seen[at + 1] != m->step)
            m->stack[depth++] = (uint16_t)(at + 1);
    }
}

static bool takes(const struct program *p, const struct op *op, uint32_t ch)
{
    bool holds;
    size_t at = op->to;
    switch ((enum glob_op)op->kind) {
    case OP_CHAR: return op->ch == ch;
    case OP_ONE:
    case OP_STAR: return ch != '/';
    case OP_DEEP: return true;
    case OP_CLASS: return ch != '/' && class_read(p->pattern, &at, ch, &holds) && holds;
    case OP_END:
    case OP_FORK:
    case OP_JUMP: break;
    }
    return false;
}

static bool run(struct machine *m, struct str text)
{
    m->step = 1;
    enter(m, &m->now, 0);
    for (size_t i = 0; i < text.n && m->now.count;) {
        uint32_t ch = next_char(text, &i);
        m->step++;
        m->then.count = 0;
        for (size_t k = 0; k < m->now.count; k++) {
            size_t at = m->now.at[k];
            const struct op *op = &m->p->ops[at];
            if (takes(m->p, op, ch))
                enter(m, &m->then, op->kind == OP_STAR || op->kind == OP_DEEP ? at : at + 1);
        }
        memcpy(m->now.at, m->then.at, m->then.count * sizeof(m->then.at[0]));
        m->now.count = m->then.count;
    }
    for (size_t k = 0; k < m->now.count; k++)
        if (m->p->ops[m->now.at[k]].kind == OP_END)
            return true;
    return false;
}

bool glob_match(struct str pattern, struct str text)
{
    struct program p;
    struct machine m = {.p = &p};
    if (pattern.n == 0)
        return true;
    compile(&p, pattern);
    return !p.wrong && run(&m, text);
}

const char *glob_check(struct str pattern)
{
    struct program p;
    compile(&p, pattern);
    return p.wrong;
}
