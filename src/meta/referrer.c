/* One row per question that was asked; it holds no reference, so it keeps nothing from going. */
#include "meta/referrer.h"

struct index_row {
    struct str payload;
};

static const struct field fields[] = {
    FIELD(struct index_row, payload, 0, 0),
    FIELDS_END,
};

STATEMENT put =
    SQL("INSERT INTO referrer_index(project_id, repository, digest, artifact_type, payload, at) "
        "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT(project_id, repository, digest, artifact_type) "
        "DO UPDATE SET payload = excluded.payload, at = excluded.at");
STATEMENT trim = SQL("DELETE FROM referrer_index WHERE at < (SELECT at FROM referrer_index ORDER "
                     "BY at DESC LIMIT 1 OFFSET $1)");
STATEMENT get = SQL("SELECT payload FROM referrer_index WHERE project_id = $1 AND repository = $2 "
                    "AND digest = $3 AND artifact_type = $4");

static struct str or_empty(struct str s)
{
    return s.p ? s : S("");
}

enum err referrer_index_put(struct ctx *c, const struct referrer_key *key, struct str index)
{
    TRY(sql_run(c, &put,
                ARGS(A_I(key->project_id), A_S(key->repository), A_S(key->digest),
                     A_S(or_empty(key->artifact_type)), A_BYTES(index), A_T(c->tx->now)),
                NULL));
    return sql_run(c, &trim, ARGS(A_I(REFERRER_INDEXES - 1)), NULL);
}

enum err referrer_index_get(struct ctx *c, const struct referrer_key *key, struct str *out)
{
    struct index_row row = {0};
    TRY(sql_row(c, &get,
                ARGS(A_I(key->project_id), A_S(key->repository), A_S(key->digest),
                     A_S(or_empty(key->artifact_type))),
                fields, &row));
    *out = row.payload;
    return E_OK;
}
