/*
 * A start on an empty directory runs every step that there has ever been. SQLite reads its whole
 * schema again after each added column, which was a third of such a start; folded into one script
 * of CREATEs the same schema costs half. What is folded is the text of the steps themselves, so
 * there is no second schema to keep: a test compares both ways.
 *
 * This reads the texts of meta/schema.c and no others: statements end in ';', constraints of a
 * table stand behind its columns, and no text or trigger holds a ';'.
 */
#include "meta/fold.h"

#include <stdio.h>
#include <string.h>

/* Where s begins in text from `from` on; text.n when it does not. */
static size_t place_of(struct str text, size_t from, const char *s)
{
    const char *at = from < text.n ? memmem(text.p + from, text.n - from, s, strlen(s)) : NULL;
    return at ? (size_t)(at - text.p) : text.n;
}

/* The end of the table's columns: its first constraint, or the bracket that closes it. */
static size_t end_of_columns(struct str text, size_t from)
{
    static const char *const constraints[] = {", PRIMARY KEY(", ", UNIQUE(", ", FOREIGN KEY("};
    int depth = 1;
    for (size_t i = from; i < text.n; i++) {
        depth += (text.p[i] == '(') - (text.p[i] == ')');
        if (depth == 0)
            return i;
        if (depth > 1 || text.p[i] != ',')
            continue;
        for (size_t k = 0; k < sizeof constraints / sizeof *constraints; k++)
            if (str_starts(str_sub(text, i, text.n), str_of(constraints[k])))
                return i;
    }
    return text.n;
}

static bool insert(struct buf *all, size_t at, struct str column)
{
    size_t n = column.n + 2;
    if (!buf_reserve(all, n))
        return false;
    memmove(all->p + at + n, all->p + at, all->n - at);
    memcpy(all->p + at, ", ", 2);
    memcpy(all->p + at + 2, column.p, column.n);
    all->n += n;
    return true;
}

static bool add_column(struct buf *all, struct str table, struct str column)
{
    struct str text = buf_view(all);
    char head[128];
    if (table.n > 64)
        return false;
    int n = snprintf(head, sizeof head, "CREATE TABLE %.*s(", STR(table));
    size_t from = place_of(text, 0, head);
    size_t end = end_of_columns(text, from + (size_t)n);
    return end < text.n && insert(all, end, column);
}

bool fold_step(struct buf *all, struct str step)
{
    static const char alter[] = "ALTER TABLE ", column[] = " ADD COLUMN ";
    while (step.n) {
        struct str s = str_trim(str_cut(&step, ';'));
        size_t added = place_of(s, 0, column);
        if (str_starts(s, str_of(alter)) && added < s.n) {
            size_t name = strlen(alter);
            if (!add_column(all, str_sub(s, name, added - name),
                            str_sub(s, added + strlen(column), s.n)))
                return false;
        } else if (s.n && !(buf_str(all, s) && buf_char(all, ';'))) {
            return false;
        }
    }
    return true;
}
