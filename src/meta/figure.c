/*
 * Both spans are written at once, so nothing has to be rolled up later. Minutes are of an upstream
 * as a whole: they are read often, and a row for each project would make that slow. One list of
 * columns (FIGURE_LIST) makes the statements, the struct and its field table. How many rows there
 * can be is bounded by the sweep and by who writes (registry/figures.c); upstreams that are gone
 * keep theirs until their time is over, so that sums do not shrink.
 */
#include "meta/figure.h"

#define MINUTE 60
#define HOUR 3600
#define MINUTES_LIFE_S INT64_C(86400)
#define HOURS_LIFE_S (90 * INT64_C(86400))

#define NAME(name, param) ", " #name
#define PARAM(name, param) ", $" param
#define ADD(name, param) ", " #name " = figure." #name " + excluded." #name
#define SUM(name, param) ", CAST(COALESCE(sum(" #name "), 0) AS BIGINT) AS " #name

const struct field figure_row_fields[] = {
    FIELD(struct figure_row, endpoint_id, F_ROW, 0),
    FIELD(struct figure_row, project_id, F_ROW, 0),
    FIELD(struct figure_row, at, F_RO, 0),
#define X(name, param) FIELD_AS(struct figure_row, n[FIGURE_##name], #name, F_RO, 0),
    FIGURE_LIST(X)
#undef X
        FIELDS_END,
};

STATEMENT add = SQL("INSERT INTO figure(span, at, endpoint_id, project_id" FIGURE_LIST(
    NAME) ") VALUES($1, $2, $3, $4" FIGURE_LIST(PARAM) ") ON CONFLICT(span, at, endpoint_id, "
                                                       "project_id) DO UPDATE SET span = "
                                                       "excluded.span" FIGURE_LIST(ADD));
STATEMENT slots = SQL("SELECT endpoint_id AS endpoint_id, at - at % $4 AS at" FIGURE_LIST(
    SUM) " FROM figure WHERE span = $1 AND at >= $2 AND at < $3 GROUP BY 1, 2 ORDER BY 2, 1");
STATEMENT sum_all = SQL("SELECT 0 AS endpoint_id" FIGURE_LIST(
    SUM) " FROM figure WHERE span = $1 AND at >= $2 AND at < $3");
STATEMENT since = SQL("SELECT min(at) FROM figure WHERE span = $1");
STATEMENT sweep = SQL("DELETE FROM figure WHERE span = $1 AND at < $2");

static enum err add_to(struct ctx *c, const struct figure_row *f, int64_t span, int64_t project_id)
{
    int64_t at = f->at.us - f->at.us % (span * SECOND_US);
    struct arg args[4 + FIGURES] = {A_I(span), A_I(at), A_I(f->endpoint_id), A_I(project_id)};
    for (size_t i = 0; i < FIGURES; i++)
        args[4 + i] = A_I(f->n[i]);
    return sql_run(c, &add, args, COUNT(args), NULL);
}

enum err figure_add(struct ctx *c, const struct figure_row *f)
{
    TRY(add_to(c, f, MINUTE, 0));
    return add_to(c, f, HOUR, f->project_id);
}

enum err figure_slots(struct ctx *c, bool hours, struct timestamp from, struct timestamp to,
                      int64_t slot_s, struct list *out)
{
    return sql_rows(c, &slots,
                    ARGS(A_I(hours ? HOUR : MINUTE), A_T(from), A_T(to), A_I(slot_s * SECOND_US)),
                    figure_row_fields, sizeof(struct figure_row), out);
}

enum err figure_sum(struct ctx *c, bool hours, struct timestamp from, struct timestamp to,
                    struct figure_row *out)
{
    *out = (struct figure_row){0};
    return sql_row(c, &sum_all, ARGS(A_I(hours ? HOUR : MINUTE), A_T(from), A_T(to)),
                   figure_row_fields, out);
}

enum err figure_since(struct ctx *c, struct timestamp *out)
{
    return sql_i64(c, &since, ARGS(A_I(HOUR)), &out->us);
}

enum err figure_sweep(struct ctx *c)
{
    int64_t now = c->tx->now.us;
    TRY(sql_run(c, &sweep, ARGS(A_I(MINUTE), A_I(now - MINUTES_LIFE_S * SECOND_US)), NULL));
    return sql_run(c, &sweep, ARGS(A_I(HOUR), A_I(now - HOURS_LIFE_S * SECOND_US)), NULL);
}

/* ---- the last pulls ----------------------------------------------------------------------- */

const struct field recent_pull_fields[] = {
    FIELD(struct recent_pull, id, F_ROW, 0),        FIELD(struct recent_pull, project_id, F_ROW, 0),
    FIELD(struct recent_pull, at, F_RO, 0),         FIELD(struct recent_pull, project, F_RO, 0),
    FIELD(struct recent_pull, repository, F_RO, 0), FIELD(struct recent_pull, reference, F_RO, 0),
    FIELD(struct recent_pull, tag, F_OMIT, 0),      FIELD(struct recent_pull, digest, F_RO, 0),
    FIELD(struct recent_pull, principal, F_RO, 0),  FIELD(struct recent_pull, client, F_RO, 0),
    FIELD(struct recent_pull, outcome, F_OMIT, 0),  FIELDS_END,
};

STATEMENT recent_add = SQL("INSERT INTO recent_pull(project_id, repository, reference, digest, "
                           "principal, client, outcome, at) SELECT p.id, $2, $3, $4, $5, $6, $7, "
                           "$8 FROM project p WHERE p.id = $1 ON CONFLICT(project_id, repository, "
                           "digest, principal, client) DO UPDATE SET reference = "
                           "excluded.reference, outcome = excluded.outcome, at = excluded.at");
STATEMENT recent_trim =
    SQL("DELETE FROM recent_pull WHERE at < (SELECT min(k.at) FROM (SELECT at FROM recent_pull "
        "ORDER BY at DESC LIMIT $1) k)");
STATEMENT recent_list =
    SQL("SELECT r.id AS id, r.project_id AS project_id, p.name AS project, r.repository AS "
        "repository, r.reference AS reference, r.digest AS digest, r.principal AS principal, "
        "r.client AS client, r.outcome AS outcome, r.at AS at, COALESCE((SELECT min(t.name) FROM "
        "repository o JOIN artifact a ON a.repository_id = o.id JOIN tag t ON t.artifact_id = a.id "
        "WHERE o.project_id = r.project_id AND o.name = r.repository AND a.digest = r.digest), '') "
        "AS tag FROM recent_pull r JOIN project p ON p.id = r.project_id WHERE ("
        "r.project_id = $1 OR $1 = 0) AND r.at > $2 ORDER BY r.at DESC, r.id DESC LIMIT $3");

enum err recent_pull_add(struct ctx *c, const struct recent_pull *p)
{
    return sql_run(c, &recent_add,
                   ARGS(A_I(p->project_id), A_S(p->repository), A_S(p->reference), A_S(p->digest),
                        A_S(p->principal), A_S(p->client), A_S(p->outcome), A_T(p->at)),
                   NULL);
}

enum err recent_pull_trim(struct ctx *c)
{
    return sql_run(c, &recent_trim, ARGS(A_I(RECENT_MAX)), NULL);
}

enum err recent_pull_list(struct ctx *c, int64_t project_id, struct timestamp since_at, int64_t n,
                          struct list *out)
{
    return sql_rows(c, &recent_list, ARGS(A_I(project_id), A_T(since_at), A_I(n)),
                    recent_pull_fields, sizeof(struct recent_pull), out);
}
