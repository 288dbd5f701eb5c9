/* A set of row ids as one argument: compact JSON, opened by either engine. Private to meta/. */
#ifndef META_IDSET_H
#define META_IDSET_H

#include "meta/db.h"

/*
 * "column " IDS_...("$1"): is it one of the ids in argument $1; for SQL2. On PostgreSQL the set is
 * made into an array before the statement runs: what is an array is looked up in an index, and is
 * no table that might be joined, by an old or missing statistic, once for every row.
 */
#define IDS_LITE(n) "IN " ALL_IDS_LITE(n)
#define IDS_PG(n) "= ANY (ARRAY" ALL_IDS_PG(n) ")"
#define ALL_IDS_LITE(n) "(SELECT CAST(value AS BIGINT) FROM json_each(" n "))"
#define ALL_IDS_PG(n)                                                                              \
    "(SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST(CAST(" n                    \
    " AS TEXT) AS JSONB)))"

/* A statement on the rows whose `head` is in the set $1. */
#define ON_SET(head, tail) SQL2(head " " IDS_LITE("$1") tail, head " " IDS_PG("$1") tail)

/* A statement that `text`, a macro, makes of the way to ask for the set $1. */
#define WITH_SET(text) SQL2(text(IDS_LITE("$1")), text(IDS_PG("$1")))

/* The same of texts. */
#define IN_TEXTS_LITE(n) "IN " TEXTS_LITE(n)
#define IN_TEXTS_PG(n) "= ANY (ARRAY" TEXTS_PG(n) ")"

/* "(SELECT ...)" of a set of texts. */
#define TEXTS_LITE(n) "(SELECT value FROM json_each(" n "))"
#define TEXTS_PG(n)                                                                                \
    "(SELECT value FROM jsonb_array_elements_text(CAST(CAST(" n " AS TEXT) AS JSONB)))"

static inline struct arg texts_arg(struct ctx *c, const struct str *texts, size_t n)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '[');
    for (size_t i = 0; i < n; i++)
        put_str(&j, texts[i]);
    put_close(&j, ']');
    return A_S(str_dup(&c->mem, buf_view(&b)));
}

static inline struct arg ids_arg(struct ctx *c, const int64_t *ids, size_t n)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '[');
    for (size_t i = 0; i < n; i++)
        put_i64(&j, ids[i]);
    put_close(&j, ']');
    return A_S(str_dup(&c->mem, buf_view(&b)));
}

#endif
