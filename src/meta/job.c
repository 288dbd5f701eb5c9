/*
 * The rows of jobs. Claiming locks the oldest queued row and looks again: two nodes that meet take
 * different ones. What must not run twice at once has a lock_key, kept by a unique index over the
 * rows that are alive, so that is as true over many nodes as in one process.
 */
#include "meta/job.h"

#include "base/digest.h"
#include "meta/driver.h"
#include "rule/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct field job_fields[] = {
    FIELD(struct job, id, 0, 0),       FIELD(struct job, kind, 0, 0),
    FIELD(struct job, state, 0, 0),    FIELD(struct job, project_id, 0, 0),
    FIELD(struct job, project, 0, 0),  FIELD(struct job, repository, 0, 0),
    FIELD(struct job, actor, 0, 0),    FIELD(struct job, params, 0, 0),
    FIELD(struct job, lock_key, 0, 0), FIELD(struct job, done, 0, 0),
    FIELD(struct job, total, 0, 0),    FIELD(struct job, failed_count, 0, 0),
    FIELD(struct job, failed, 0, 0),   FIELD(struct job, result, 0, 0),
    FIELD(struct job, message, 0, 0),  FIELD(struct job, stop, 0, 0),
    FIELD(struct job, created, 0, 0),  FIELD(struct job, started, 0, 0),
    FIELD(struct job, ended, 0, 0),    FIELD(struct job, by_id, 0, 0),
    FIELD(struct job, by_robot, 0, 0), FIELDS_END,
};

/* What was asked for may be long (ten thousand names): only who does it reads all of it. */
#define PARAMS_SHOWN "CASE WHEN length(j.params) > 4096 THEN '{}' ELSE j.params END"
#define COLUMNS_WITH(params)                                                                       \
    "SELECT j.id AS id, j.kind AS kind, j.state AS state, j.project_id AS project_id, "            \
    "COALESCE((SELECT p.name FROM project p WHERE p.id = j.project_id), '') AS project, "          \
    "j.repository AS repository, j.actor AS actor, " params " AS params, j.lock_key AS lock_key, " \
    "j.done AS done, j.total AS total, j.failed_count AS failed_count, j.failed AS failed, "       \
    "j.result AS result, j.message AS message, j.stop AS stop, j.created AS created, "             \
    "j.started AS started, j.ended AS ended, j.by_id AS by_id, j.by_robot AS by_robot FROM job j "
#define COLUMNS COLUMNS_WITH(PARAMS_SHOWN)
#define LIVE "j.state IN ('queued', 'running')"

STATEMENT insert =
    SQL("INSERT INTO job(kind, state, project_id, repository, actor, params, lock_key, created, "
        "by_id, by_robot) VALUES($1, 'queued', $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO "
        "NOTHING RETURNING id");
STATEMENT insert_running =
    SQL("INSERT INTO job(kind, state, project_id, actor, params, lock_key, created, started, node, "
        "lease_until) VALUES($1, 'running', $2, $3, $4, $5, $6, $6, $7, $8) ON CONFLICT DO NOTHING "
        "RETURNING id");
STATEMENT by_id = SQL(COLUMNS "WHERE j.id = $1");
STATEMENT by_id_whole = SQL(COLUMNS_WITH("j.params") "WHERE j.id = $1");
STATEMENT by_lock = SQL(COLUMNS "WHERE j.lock_key = $1 AND j.lock_key <> '' AND " LIVE);
STATEMENT list_all =
    SQL(COLUMNS "WHERE j.id < $1 AND ($3 < 0 OR j.project_id = $3) AND ($4 = '' OR j.kind = $4) "
                "ORDER BY j.id DESC LIMIT $2");
STATEMENT list_live =
    SQL(COLUMNS "WHERE j.id < $1 AND ($3 < 0 OR j.project_id = $3) AND ($4 = '' OR j.kind = $4) "
                "AND " LIVE " ORDER BY j.id DESC LIMIT $2");
STATEMENT waits = SQL("SELECT count(*) FROM (SELECT 1 FROM job j WHERE j.state = 'queued' AND " LIVE
                      " LIMIT 1) AS one");
STATEMENT oldest =
    SQL2("SELECT j.id FROM job j WHERE j.state = 'queued' AND " LIVE " ORDER BY j.id LIMIT 1",
         "SELECT j.id FROM job j WHERE j.state = 'queued' AND " LIVE
         " ORDER BY j.id LIMIT 1 FOR UPDATE SKIP LOCKED");
STATEMENT claim = SQL("UPDATE job SET state = 'running', node = $2, lease_until = $3, started = $4 "
                      "WHERE id = $1 AND state = 'queued'");
STATEMENT progress =
    SQL("UPDATE job SET done = $3, total = $4, failed_count = $5, failed = $6, message = $7, "
        "lease_until = $8 WHERE id = $1 AND node = $2 AND state = 'running'");
STATEMENT asked = SQL("SELECT stop FROM job WHERE id = $1");
STATEMENT end = SQL("UPDATE job SET done = $3, total = $4, failed_count = $5, failed = $6, "
                    "message = $7, result = $8, state = $9, ended = $10, lease_until = 0, params = "
                    "CASE WHEN length(params) > 4096 THEN '{}' ELSE params END WHERE id = $1 AND "
                    "node = $2 AND state = 'running'");
STATEMENT end_queued = SQL("UPDATE job SET state = 'stopped', stop = 1, ended = $2 WHERE id = $1 "
                           "AND state = 'queued'");
STATEMENT ask_stop = SQL("UPDATE job SET stop = 1 WHERE id = $1 AND state = 'running'");
STATEMENT lost = SQL("UPDATE job SET state = 'interrupted', ended = $1, message = 'the server that "
                     "ran it has stopped' WHERE state = 'running' AND state IN ('queued', "
                     "'running') AND (lease_until <= $2 OR node = $3)");
STATEMENT forget = SQL("DELETE FROM job WHERE state NOT IN ('queued', 'running') AND id < (SELECT "
                       "min(id) FROM (SELECT id FROM job ORDER BY id DESC LIMIT $1) AS newest)");

static struct str text(struct str s)
{
    return s.p ? s : S("");
}

static struct str json(struct raw_json j, const char *otherwise)
{
    return j.text.n ? j.text : str_of(otherwise);
}

/* Another one with this lock_key lives. */
static enum err taken(struct ctx *c, const struct job *job)
{
    struct job other = {0};
    enum err e = job_by_lock(c, job->lock_key, &other);
    if (e != E_OK && e != E_NOT_FOUND)
        return e;
    return fail(c, E_CONFLICT, "job %lld (%.*s) is %s", (long long)other.id, STR(job->kind),
                str_eq(other.state, S("queued")) ? "waiting to start" : "under way");
}

enum err job_queue(struct ctx *c, struct job *job)
{
    int64_t id;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(sql_i64(c, &insert,
                ARGS(A_S(job->kind), A_I(job->project_id), A_S(text(job->repository)),
                     A_S(text(job->actor)), A_S(json(job->params, "{}")), A_S(text(job->lock_key)),
                     A_T(c->tx->now), A_I(job->by_id), A_B(job->by_robot)),
                &id));
    if (!id)
        return taken(c, job);
    struct job queued = {0};
    TRY(sql_row(c, &by_id, ARGS(A_I(id)), job_fields, &queued));
    TRY(tx_commit(&tx));
    *job = queued;
    job_wake(c->sv->db);
    return E_OK;
}

enum err job_begin(struct ctx *c, struct job *job, struct str node)
{
    int64_t id, now;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    now = c->tx->now.us;
    TRY(sql_i64(c, &insert_running,
                ARGS(A_S(job->kind), A_I(job->project_id), A_S(text(job->actor)),
                     A_S(json(job->params, "{}")), A_S(text(job->lock_key)), A_I(now), A_S(node),
                     A_I(now + JOB_LEASE_S * SECOND_US)),
                &id));
    if (!id)
        return taken(c, job);
    job->id = id;
    return tx_commit(&tx);
}

enum err job_by_id(struct ctx *c, int64_t id, struct job *out)
{
    struct job job = {0};
    TRY(sql_row(c, &by_id, ARGS(A_I(id)), job_fields, &job));
    *out = job;
    return E_OK;
}

enum err job_by_lock(struct ctx *c, struct str lock_key, struct job *out)
{
    struct job job = {0};
    TRY(sql_row(c, &by_lock, ARGS(A_S(text(lock_key))), job_fields, &job));
    *out = job;
    return E_OK;
}

enum err job_list(struct ctx *c, const struct job_filter *f, struct list *out)
{
    return sql_rows(c, f->live ? &list_live : &list_all,
                    ARGS(A_I(f->before > 0 ? f->before : INT64_MAX), A_I(f->n), A_I(f->project_id),
                         A_S(text(f->kind))),
                    job_fields, sizeof(struct job), out);
}

enum err job_ask_stop(struct ctx *c, int64_t id)
{
    int64_t changed;
    struct job job;
    TRY(sql_run(c, &end_queued, ARGS(A_I(id), A_T(c->tx->now)), &changed));
    if (changed)
        return E_OK;
    TRY(sql_run(c, &ask_stop, ARGS(A_I(id)), &changed));
    if (changed)
        return E_OK;
    TRY(job_by_id(c, id, &job));
    return fail(c, E_CONFLICT, "job %lld has ended: %.*s", (long long)id, STR(job.state));
}

void job_rest(struct db *db, int64_t ms)
{
    struct timespec until = clock_deadline(ms);
    pthread_mutex_lock(&db->jobs_lock);
    while (!db->jobs_news && pthread_cond_timedwait(&db->jobs_wake, &db->jobs_lock, &until) == 0)
        ;
    db->jobs_news = false;
    pthread_mutex_unlock(&db->jobs_lock);
}

void job_wake(struct db *db)
{
    pthread_mutex_lock(&db->jobs_lock);
    db->jobs_news = true;
    pthread_cond_signal(&db->jobs_wake);
    pthread_mutex_unlock(&db->jobs_lock);
}

enum err job_waits(struct ctx *c, bool *out)
{
    int64_t n;
    TRY(sql_i64(c, &waits, NO_ARGS, &n));
    *out = n > 0;
    return E_OK;
}

enum err job_claim(struct ctx *c, struct str node, struct job *out)
{
    int64_t id, now = c->tx->now.us, changed;
    TRY(sql_i64(c, &oldest, NO_ARGS, &id));
    if (!id)
        return E_NOT_FOUND;
    TRY(sql_run(c, &claim, ARGS(A_I(id), A_S(node), A_I(now + JOB_LEASE_S * SECOND_US), A_I(now)),
                &changed));
    struct job job = {0};
    if (!changed)
        return E_NOT_FOUND;
    TRY(sql_row(c, &by_id_whole, ARGS(A_I(id)), job_fields, &job));
    *out = job;
    return E_OK;
}

enum err job_progress(struct ctx *c, const struct job *job, struct str node, bool *stop_out)
{
    int64_t changed, stop = 1;
    TRY(sql_run(c, &progress,
                ARGS(A_I(job->id), A_S(node), A_I(job->done), A_I(job->total),
                     A_I(job->failed_count), A_S(json(job->failed, "[]")), A_S(text(job->message)),
                     A_I(c->tx->now.us + JOB_LEASE_S * SECOND_US)),
                &changed));
    if (changed)
        TRY(sql_i64(c, &asked, ARGS(A_I(job->id)), &stop));
    *stop_out = stop != 0;
    return E_OK;
}

enum err job_end(struct ctx *c, const struct job *job, struct str node)
{
    return sql_run(c, &end,
                   ARGS(A_I(job->id), A_S(node), A_I(job->done), A_I(job->total),
                        A_I(job->failed_count), A_S(json(job->failed, "[]")),
                        A_S(text(job->message)), A_S(json(job->result, "{}")), A_S(job->state),
                        A_T(c->tx->now)),
                   NULL);
}

static enum err end_lost(struct ctx *c, bool all, struct str node)
{
    int64_t now = c->tx->now.us;
    return sql_run(c, &lost, ARGS(A_I(now), A_I(all ? INT64_MAX : now), A_S(text(node))), NULL);
}

enum err job_sweep_lost(struct ctx *c)
{
    return end_lost(c, false, NO_STR);
}

static enum err end_earlier(struct ctx *c, struct str node)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(end_lost(c, !db_is_postgres(c->sv->db), node));
    return tx_commit(&tx);
}

enum err job_sweep_earlier(struct ctx *c, struct str node)
{
    struct db *db = c->sv->db;
    enum err e = E_OK;
    pthread_mutex_lock(&db->jobs_lock);
    if (!db->jobs_swept)
        e = end_earlier(c, node);
    db->jobs_swept = db->jobs_swept || e == E_OK;
    pthread_mutex_unlock(&db->jobs_lock);
    return e;
}

struct str job_node(struct ctx *c)
{
    char host[256] = "", where[4096] = "";
    struct digest d;
    struct str data = c->sv->settings->data;
    (void)gethostname(host, sizeof host - 1);
    if (!realpath(str_c(&c->mem, data), where))
        snprintf(where, sizeof where, "%.*s", STR(data));
    bool hashed = digest_of(DIGEST_SHA256, str_fmt(&c->mem, "%s:%s", host, where), &d);
    return hashed ? str_dup(&c->mem, str_sub(digest_str(&d), 7, 16)) : S("node");
}

enum err job_sweep_old(struct ctx *c)
{
    return sql_run(c, &forget, ARGS(A_I(JOBS_KEPT)), NULL);
}
