/* q= and sort=: bounded terms, each with as many values as its operator says. */
#include "rule/query.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fits(const struct query_term *t)
{
    switch (t->op) {
    case Q_EQ:
    case Q_FUZZY: return t->values.count == 1;
    case Q_RANGE: return t->values.count == 2 && (t->values.items[0].n || t->values.items[1].n);
    case Q_ANY:
    case Q_ALL: return t->values.count >= 1;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str s = {(const char *)data, size};
    struct list_query q = {0};
    enum err e = query_parse(&c, s, &q);
    if ((e != E_OK && e != E_BAD_REQUEST) || q.term_count > QUERY_TERMS_MAX)
        abort();
    for (size_t i = 0; i < q.term_count; i++)
        if (!q.terms[i].key.n || !fits(&q.terms[i]))
            abort();
    while (q.term_count) {
        const char *key = str_c(&c.mem, q.terms[0].key);
        size_t before = q.term_count;
        if (!query_take(&q, key) || q.term_count != before - 1)
            abort();
    }
    e = query_parse_sort(&c, s, &q);
    if ((e != E_OK && e != E_BAD_REQUEST) || q.sort_count > QUERY_SORTS_MAX)
        abort();
    for (size_t i = 0; i < q.sort_count; i++)
        if (!q.sort[i].n)
            abort();
    return 0;
}
