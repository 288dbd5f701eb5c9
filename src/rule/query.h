/* Harbor's q= and sort= language, parsed (not run) into terms. Pure. */
#ifndef RULE_QUERY_H
#define RULE_QUERY_H

#include "base/ctx.h"

#define QUERY_TERMS_MAX 16
#define QUERY_SORTS_MAX 8

enum query_op { Q_EQ, Q_FUZZY, Q_RANGE, Q_ANY, Q_ALL };

struct query_term { /* one k=v of q= */
    struct str key;
    enum query_op op;
    struct strs values; /* EQ, FUZZY: 1; RANGE: 2, either may be empty; ANY, ALL: n */
};

struct list_query {
    struct query_term terms[QUERY_TERMS_MAX];
    size_t term_count;
    struct str sort[QUERY_SORTS_MAX]; /* "name", "-creation_time" */
    size_t sort_count;
    int64_t page, page_size; /* from 1; 1..100 */
    bool lenient;            /* as Harbor: what the list does not have is left out, not refused */
    /* Instead of page: rows behind a place, so that a page costs the same wherever it is. */
    bool by_cursor;
    struct str cursor; /* of ours; empty = from the start */
    struct str *next;  /* gets the next page's cursor when there may be one; may be NULL */
};

/*
 * q: comma list of k=v, k=~v, k=[min~max], k={v1 v2}, k=(v1 v2), each value percent-decoded
 * already. E_BAD_REQUEST: malformed value, no '=', more terms than the maximum, over 4 KiB.
 */
enum err query_parse(struct ctx *c, struct str q, struct list_query *out);
enum err query_parse_sort(struct ctx *c, struct str sort, struct list_query *out);
/* Takes a term out by key (special keys that a handler serves itself); NULL when absent. */
const struct query_term *query_take(struct list_query *q, const char *key);

#endif
