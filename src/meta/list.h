/* Lists as the API asks for them: q=, sort=, page, page_size. The only place that builds SQL text,
   and only from field tables. */
#ifndef META_LIST_H
#define META_LIST_H

#include "meta/db.h"
#include "rule/query.h"

#define LIST_COUNT_MAX 100000

/*
 * SELECT <fields> FROM <from> WHERE <where> AND <q> ORDER BY <sort or default_sort> with paging.
 * from and where are constant SQL of ours with $1.. for args; column names of q and sort must be in
 * fields with F_SORT: unknown keys are E_BAD_REQUEST ("unknown field"). total counts all rows.
 *
 * With q->by_cursor a page begins behind the row that the cursor names, and the whole order goes
 * one way: the default's columns run as the first of sort= does, so that sort=-x with a cursor is
 * exactly the list backwards. total then counts to LIST_COUNT_MAX + 1 at most, and is -1 on later
 * pages. An empty cursor with page > 1 jumps there, in the same order. A
 * cursor that does not fit the sort is E_BAD_REQUEST.
 */
struct list_spec {
    const char *columns, *from, *where, *default_sort;
    const struct arg *args;
    size_t arg_count;
};
enum err list_rows(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                   const struct field *fields, size_t each, struct list *out, int64_t *total);

#endif
