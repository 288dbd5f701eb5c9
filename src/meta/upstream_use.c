/* Both spans are written at once, so nothing has to be rolled up later: a few rows every few
   seconds. How many there can be is bounded by the sweep and by who writes (registry/burn.c). */
#include "meta/upstream_use.h"

#define MINUTE 60
#define HOUR 3600
#define MINUTES_LIFE_S INT64_C(86400)
#define HOURS_LIFE_S (90 * INT64_C(86400))

const struct field upstream_use_fields[] = {
    FIELD(struct upstream_use, endpoint_id, F_ROW, 0),
    FIELD(struct upstream_use, at, F_RO, 0),
    FIELD(struct upstream_use, project_id, F_ROW, 0),
    FIELD(struct upstream_use, repository, F_RO, 0),
    FIELD(struct upstream_use, principal, F_RO, 0),
    FIELD(struct upstream_use, pulls, F_RO, 0),
    FIELD(struct upstream_use, remaining, F_RO, 0),
    FIELD(struct upstream_use, limit_pulls, F_RO, 0),
    FIELD(struct upstream_use, project_name, F_ROW, 0),
    FIELDS_END,
};

STATEMENT add =
    SQL("INSERT INTO upstream_use(span, at, endpoint_id, project_id, repository, principal, pulls, "
        "remaining, limit_pulls) SELECT $1, $2, e.id, $4, $5, $6, $7, $8, $9 FROM endpoint e WHERE "
        "e.id = $3 ON CONFLICT(endpoint_id, span, at, project_id, repository, principal) DO UPDATE "
        "SET pulls = upstream_use.pulls + excluded.pulls, remaining = excluded.remaining, "
        "limit_pulls = excluded.limit_pulls");
STATEMENT samples =
    SQL("SELECT at AS at, remaining AS remaining, limit_pulls AS limit_pulls FROM (SELECT u.at AS "
        "at, u.remaining AS remaining, u.limit_pulls AS limit_pulls FROM upstream_use u WHERE "
        "u.endpoint_id = $1 AND u.span = $2 AND u.project_id = 0 AND u.principal = $3 AND u.at >= "
        "$4 AND u.at <= $5 ORDER BY u.at DESC LIMIT $6) s ORDER BY at");
STATEMENT consumers =
    SQL("SELECT u.project_id AS project_id, COALESCE(max(p.name), '') AS project_name, "
        "u.repository AS repository, u.principal AS principal, CAST(sum(u.pulls) AS BIGINT) AS "
        "pulls FROM upstream_use u LEFT JOIN project p ON p.id = u.project_id WHERE u.endpoint_id "
        "= $1 AND u.span = $2 AND u.at >= $3 AND u.project_id <> 0 GROUP BY u.project_id, "
        "u.repository, u.principal ORDER BY pulls DESC, project_name, u.repository, u.principal "
        "LIMIT $4");
STATEMENT sweep = SQL("DELETE FROM upstream_use WHERE span = $1 AND at < $2");

static struct str text(struct str s)
{
    return s.p ? s : S("");
}

static enum err add_to(struct ctx *c, const struct upstream_use *u, int64_t span)
{
    int64_t at = u->at.us - u->at.us % (span * SECOND_US);
    return sql_run(c, &add,
                   ARGS(A_I(span), A_I(at), A_I(u->endpoint_id), A_I(u->project_id),
                        A_S(text(u->repository)), A_S(text(u->principal)), A_I(u->pulls),
                        A_I(u->remaining), A_I(u->limit_pulls)),
                   NULL);
}

enum err upstream_use_add(struct ctx *c, const struct upstream_use *u)
{
    TRY(add_to(c, u, MINUTE));
    return add_to(c, u, HOUR);
}

enum err upstream_use_samples(struct ctx *c, int64_t endpoint_id, struct str credential, bool hours,
                              struct timestamp from, struct timestamp to, int64_t n,
                              struct list *out)
{
    return sql_rows(c, &samples,
                    ARGS(A_I(endpoint_id), A_I(hours ? HOUR : MINUTE), A_S(credential), A_T(from),
                         A_T(to), A_I(n)),
                    upstream_use_fields, sizeof(struct upstream_use), out);
}

enum err upstream_use_consumers(struct ctx *c, int64_t endpoint_id, bool hours,
                                struct timestamp from, int64_t n, struct list *out)
{
    return sql_rows(c, &consumers,
                    ARGS(A_I(endpoint_id), A_I(hours ? HOUR : MINUTE), A_T(from), A_I(n)),
                    upstream_use_fields, sizeof(struct upstream_use), out);
}

enum err upstream_use_sweep(struct ctx *c)
{
    int64_t now = c->tx->now.us;
    TRY(sql_run(c, &sweep, ARGS(A_I(MINUTE), A_I(now - MINUTES_LIFE_S * SECOND_US)), NULL));
    return sql_run(c, &sweep, ARGS(A_I(HOUR), A_I(now - HOURS_LIFE_S * SECOND_US)), NULL);
}
