/* Lists as the API asks for them: q=, sort=, page, page_size. The only place that builds SQL text,
   and only from field tables. */
#ifndef META_LIST_H
#define META_LIST_H

#include "meta/db.h"
#include "rule/query.h"

/*
 * SELECT <fields> FROM <from> WHERE <where> AND <q> ORDER BY <sort or default_sort> with paging.
 * from and where are constant SQL of ours with $1.. for args; column names of q and sort must be in
 * fields with F_SORT: unknown keys are E_BAD_REQUEST ("unknown field"). total counts all rows.
 */
struct list_spec {
    const char *columns, *from, *where, *default_sort;
    const struct arg *args;
    size_t arg_count;
};
enum err list_rows(struct ctx *c, const struct list_spec *spec, const struct list_query *q,
                   const struct field *fields, size_t each, struct list *out, int64_t *total);

#endif
