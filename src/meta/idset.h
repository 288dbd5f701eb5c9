/* A set of row ids as one argument: compact JSON, opened by either engine. Private to meta/. */
#ifndef META_IDSET_H
#define META_IDSET_H

#include "meta/db.h"

/* "(SELECT ...)" of the ids in argument $n; for SQL2. */
#define IDS_LITE(n) "(SELECT CAST(value AS BIGINT) FROM json_each(" n "))"
#define IDS_PG(n)                                                                                  \
    "(SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST(CAST(" n                    \
    " AS TEXT) AS JSONB)))"

/* A statement on the rows whose `head` is in the set $1. */
#define ON_SET(head, tail) SQL2(head " IN " IDS_LITE("$1") tail, head " IN " IDS_PG("$1") tail)

/* A set of texts. */
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
