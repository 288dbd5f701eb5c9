/*
 * The schema, written once for both engines: the words in which they differ are the arguments of
 * the macro. A step that has been released is never edited; a change is a new step at the end.
 *
 * Numbers are BIGINT, times are microseconds in them, booleans are 0 or 1. Text sorts bytewise.
 * Ids come from the database and are never used twice. References always point to a row and
 * forbid its deletion; only what is a part of its parent (an edge of a manifest) goes with it.
 */
#include "meta/driver.h"

#include "base/crypt.h"
#include "meta/artifact.h"
#include "meta/fold.h"
#include "meta/store.h"

#include <string.h>

/* id: key from the database; text: bytewise text; bytes; tail: for tables that are their index. */
#define PEOPLE(id, text, bytes, tail)                                                              \
    "CREATE TABLE setting(key " text " PRIMARY KEY, value " text " NOT NULL)" tail ";"             \
    "CREATE TABLE account(id " id ", username " text " NOT NULL UNIQUE, email " text               \
    " NOT NULL DEFAULT '', realname " text " NOT NULL DEFAULT '', comment " text                   \
    " NOT NULL DEFAULT '', password_hash " text " NOT NULL DEFAULT '',"                            \
    " sysadmin_flag BIGINT NOT NULL DEFAULT 0, admin_role_in_auth BIGINT NOT NULL DEFAULT 0,"      \
    " deleted BIGINT NOT NULL DEFAULT 0, epoch BIGINT NOT NULL DEFAULT 1,"                         \
    " creation_time BIGINT NOT NULL, update_time BIGINT NOT NULL);"                                \
    "CREATE UNIQUE INDEX account_email ON account(email) WHERE email <> '';"                       \
    "CREATE TABLE usergroup(id " id ", group_name " text " NOT NULL, group_type BIGINT NOT NULL,"  \
    " ldap_group_dn " text " NOT NULL DEFAULT '', creation_time BIGINT NOT NULL,"                  \
    " UNIQUE(group_type, group_name));"                                                            \
    "CREATE TABLE session(id_hash " text " PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES"        \
    " account(id), epoch BIGINT NOT NULL, csrf " text " NOT NULL, expires BIGINT NOT NULL);"       \
    "CREATE INDEX session_expires ON session(expires);"                                            \
    "CREATE TABLE keyring(kid " text " PRIMARY KEY, sealed " bytes                                 \
    " NOT NULL, creation_time BIGINT NOT NULL);"

#define PROJECTS(id, text, bytes, tail)                                                            \
    "CREATE TABLE endpoint(id " id ", name " text " NOT NULL UNIQUE, description " text            \
    " NOT NULL DEFAULT '', type " text " NOT NULL, url " text " NOT NULL,"                         \
    " insecure BIGINT NOT NULL DEFAULT 0, ca_certificate " text " NOT NULL DEFAULT '',"            \
    " credential_type " text " NOT NULL DEFAULT '', access_key " text " NOT NULL DEFAULT '',"      \
    " access_secret " bytes ", status " text " NOT NULL DEFAULT 'healthy',"                        \
    " epoch BIGINT NOT NULL DEFAULT 1, declared BIGINT NOT NULL DEFAULT 0,"                        \
    " creation_time BIGINT NOT NULL, update_time BIGINT NOT NULL);"                                \
    "CREATE TABLE upstream_quota(endpoint_id BIGINT NOT NULL REFERENCES endpoint(id)"              \
    " ON DELETE CASCADE, credential " text " NOT NULL, limit_pulls BIGINT NOT NULL,"               \
    " remaining BIGINT NOT NULL, window_s BIGINT NOT NULL, source " text " NOT NULL,"              \
    " seen_at BIGINT NOT NULL, PRIMARY KEY(endpoint_id, credential))" tail ";"                     \
    "CREATE TABLE project(id " id ", name " text " NOT NULL UNIQUE, owner_id BIGINT NOT NULL"      \
    " REFERENCES account(id), registry_id BIGINT REFERENCES endpoint(id),"                         \
    " is_public BIGINT NOT NULL DEFAULT 0, declared BIGINT NOT NULL DEFAULT 0,"                    \
    " storage_limit BIGINT NOT NULL DEFAULT -1, storage_used BIGINT NOT NULL DEFAULT 0,"           \
    " creation_time BIGINT NOT NULL, update_time BIGINT NOT NULL,"                                 \
    " enable_content_trust " text ", enable_content_trust_cosign " text ", prevent_vul " text      \
    ", severity " text ", auto_scan " text ", auto_sbom_generation " text                          \
    ", reuse_sys_cve_allowlist " text ", retention_id " text ", proxy_speed_kb " text              \
    ", max_upstream_conn " text ", proxy_cache_local_on_not_found " text                           \
    ", proxy_referrer_api " text ", proxy_cache_filter_pattern " text                              \
    ", proxy_cache_filter_kind " text ", proxy_window_s " text ", proxy_budget_ms " text           \
    ", proxy_max_stale_s " text ", proxy_ns " text ", public_with_credentials " text ");"          \
    "CREATE INDEX project_registry ON project(registry_id);"                                       \
    "CREATE INDEX project_owner ON project(owner_id);"                                             \
    "CREATE INDEX project_ns ON project(proxy_ns) WHERE proxy_ns IS NOT NULL;"                     \
    "CREATE TABLE member(id " id ", project_id BIGINT NOT NULL REFERENCES project(id)"             \
    " ON DELETE CASCADE, entity_type " text " NOT NULL, entity_id BIGINT NOT NULL,"                \
    " role_id BIGINT NOT NULL, creation_time BIGINT NOT NULL,"                                     \
    " UNIQUE(project_id, entity_type, entity_id));"                                                \
    "CREATE INDEX member_entity ON member(entity_type, entity_id);"                                \
    "CREATE TABLE robot(id " id ", name " text " NOT NULL UNIQUE, description " text               \
    " NOT NULL DEFAULT '', secret_hash " text                                                      \
    " NOT NULL, project_id BIGINT REFERENCES project(id)"                                          \
    " ON DELETE CASCADE, level " text " NOT NULL, duration BIGINT NOT NULL,"                       \
    " expires_at BIGINT NOT NULL, disable BIGINT NOT NULL DEFAULT 0,"                              \
    " editable BIGINT NOT NULL DEFAULT 1, permissions " text " NOT NULL,"                          \
    " creator_type " text " NOT NULL DEFAULT '', creator_ref BIGINT NOT NULL DEFAULT 0,"           \
    " epoch BIGINT NOT NULL DEFAULT 1, creation_time BIGINT NOT NULL,"                             \
    " update_time BIGINT NOT NULL);"                                                               \
    "CREATE INDEX robot_project ON robot(project_id);"                                             \
    "CREATE TABLE retention_policy(id " id ", project_id BIGINT NOT NULL REFERENCES project(id)"   \
    " ON DELETE CASCADE, policy " text " NOT NULL);"                                               \
    "CREATE INDEX retention_project ON retention_policy(project_id);"

#define CONTENT(id, text, bytes, tail)                                                             \
    "CREATE TABLE blob(id " id ", digest " text " NOT NULL, size BIGINT NOT NULL,"                 \
    " state BIGINT NOT NULL, phys_key " text " UNIQUE, condemned_at BIGINT NOT NULL DEFAULT 0,"    \
    " verified_at BIGINT NOT NULL DEFAULT 0, creation_time BIGINT NOT NULL);"                      \
    "CREATE UNIQUE INDEX blob_digest ON blob(digest) WHERE state <> 4;"                            \
    "CREATE INDEX blob_dying ON blob(state, condemned_at) WHERE state IN (3, 4);"                  \
    "CREATE TABLE intent(phys_key " text " PRIMARY KEY, creation_time BIGINT NOT NULL)" tail ";"   \
    "CREATE INDEX intent_age ON intent(creation_time);"                                            \
    "CREATE TABLE gc_candidate(blob_id BIGINT PRIMARY KEY REFERENCES blob(id) ON DELETE CASCADE,"  \
    " review_after BIGINT NOT NULL, creation_time BIGINT NOT NULL);"                               \
    "CREATE INDEX gc_candidate_due ON gc_candidate(review_after);"                                 \
    "CREATE TABLE repository(id " id ", project_id BIGINT NOT NULL REFERENCES project(id),"        \
    " name " text " NOT NULL, description " text " NOT NULL DEFAULT '',"                           \
    " pull_count BIGINT NOT NULL DEFAULT 0, creation_time BIGINT NOT NULL,"                        \
    " update_time BIGINT NOT NULL, UNIQUE(project_id, name));"                                     \
    "CREATE TABLE repo_blob(repository_id BIGINT NOT NULL REFERENCES repository(id),"              \
    " blob_id BIGINT NOT NULL REFERENCES blob(id), lease_until BIGINT NOT NULL,"                   \
    " PRIMARY KEY(repository_id, blob_id))" tail ";"                                               \
    "CREATE INDEX repo_blob_blob ON repo_blob(blob_id);"                                           \
    "CREATE TABLE artifact(id " id ", repository_id BIGINT NOT NULL REFERENCES repository(id),"    \
    " digest " text " NOT NULL, state BIGINT NOT NULL, media_type " text " NOT NULL,"              \
    " artifact_type " text " NOT NULL DEFAULT '', config_media_type " text                         \
    " NOT NULL DEFAULT '', subject_digest " text " NOT NULL DEFAULT '', type " text                \
    " NOT NULL DEFAULT '', size BIGINT NOT NULL, push_time BIGINT NOT NULL,"                       \
    " pull_time BIGINT NOT NULL DEFAULT 0, annotations " text ", extra_attrs " text                \
    ", payload " bytes ", UNIQUE(repository_id, digest));"                                         \
    "CREATE INDEX artifact_subject ON artifact(repository_id, subject_digest)"                     \
    " WHERE subject_digest <> '';"                                                                 \
    "CREATE TABLE artifact_blob(artifact_id BIGINT NOT NULL REFERENCES artifact(id)"               \
    " ON DELETE CASCADE, blob_id BIGINT NOT NULL REFERENCES blob(id),"                             \
    " PRIMARY KEY(artifact_id, blob_id))" tail ";"                                                 \
    "CREATE INDEX artifact_blob_blob ON artifact_blob(blob_id);"                                   \
    "CREATE TABLE artifact_child(parent_id BIGINT NOT NULL REFERENCES artifact(id)"                \
    " ON DELETE CASCADE, position BIGINT NOT NULL, child_id BIGINT NOT NULL REFERENCES"            \
    " artifact(id), media_type " text " NOT NULL, size BIGINT NOT NULL, platform " text            \
    ", annotations " text ", urls " text ", PRIMARY KEY(parent_id, position))" tail ";"            \
    "CREATE INDEX artifact_child_child ON artifact_child(child_id);"                               \
    "CREATE TABLE tag(id " id ", repository_id BIGINT NOT NULL REFERENCES repository(id),"         \
    " artifact_id BIGINT NOT NULL REFERENCES artifact(id), name " text " NOT NULL,"                \
    " version BIGINT NOT NULL DEFAULT 1, push_time BIGINT NOT NULL,"                               \
    " pull_time BIGINT NOT NULL DEFAULT 0, checked_at BIGINT NOT NULL DEFAULT 0,"                  \
    " UNIQUE(repository_id, name));"                                                               \
    "CREATE INDEX tag_artifact ON tag(artifact_id);"

#define RECORDS(id, text, bytes, tail)                                                             \
    "CREATE TABLE tag_journal(id " id ", repository_id BIGINT NOT NULL, name " text                \
    " NOT NULL, old_digest " text " NOT NULL, new_digest " text " NOT NULL, actor " text           \
    " NOT NULL, upstream BIGINT NOT NULL, at BIGINT NOT NULL);"                                    \
    "CREATE INDEX tag_journal_tag ON tag_journal(repository_id, name);"                            \
    "CREATE TABLE upload(id " text " PRIMARY KEY, kind BIGINT NOT NULL, repository_id"             \
    " BIGINT NOT NULL, repository_path " text " NOT NULL DEFAULT '', actor " text                  \
    " NOT NULL DEFAULT '', phys_key " text " NOT NULL, digest " text " NOT NULL DEFAULT '',"       \
    " size BIGINT NOT NULL, started BIGINT NOT NULL, expires BIGINT NOT NULL);"                    \
    "CREATE INDEX upload_expires ON upload(expires);"                                              \
    "CREATE INDEX upload_repository ON upload(repository_id);"                                     \
    "CREATE INDEX upload_key ON upload(phys_key);"                                                 \
    "CREATE INDEX upload_flight ON upload(digest) WHERE digest <> '';"                             \
    "CREATE TABLE event(id " id ", kind " text " NOT NULL, project_id BIGINT NOT NULL,"            \
    " actor " text " NOT NULL, payload " text " NOT NULL, at BIGINT NOT NULL);"

#define FIRST(id, text, bytes, tail)                                                               \
    PEOPLE(id, text, bytes, tail)                                                                  \
    PROJECTS(id, text, bytes, tail)                                                                \
    CONTENT(id, text, bytes, tail)                                                                 \
    RECORDS(id, text, bytes, tail)

/* The journal says why, a tag may be pinned, young upstream digests are held back. */
#define JOURNAL(id, text, bytes, tail)                                                             \
    "ALTER TABLE tag ADD COLUMN pinned BIGINT NOT NULL DEFAULT 0;"                                 \
    "ALTER TABLE tag_journal ADD COLUMN kind " text " NOT NULL DEFAULT 'move';"                    \
    "ALTER TABLE tag_journal ADD COLUMN reason " text " NOT NULL DEFAULT '';"                      \
    "CREATE INDEX tag_journal_repository ON tag_journal(repository_id, id);"                       \
    "CREATE INDEX tag_journal_at ON tag_journal(at);"                                              \
    "CREATE TABLE tag_seen(repository_id BIGINT NOT NULL REFERENCES repository(id)"                \
    " ON DELETE CASCADE, name " text " NOT NULL, digest " text " NOT NULL,"                        \
    " first_seen BIGINT NOT NULL, decision " text " NOT NULL DEFAULT '',"                          \
    " PRIMARY KEY(repository_id, name))" tail ";"                                                  \
    "CREATE INDEX tag_seen_age ON tag_seen(first_seen);"                                           \
    "ALTER TABLE project ADD COLUMN proxy_hold_hours " text ";"                                    \
    "ALTER TABLE project ADD COLUMN proxy_hold_except " text ";"                                   \
    "ALTER TABLE project ADD COLUMN proxy_hold_new " text ";"                                      \
    "CREATE TABLE upstream_use(span BIGINT NOT NULL, at BIGINT NOT NULL, endpoint_id BIGINT"       \
    " NOT NULL REFERENCES endpoint(id) ON DELETE CASCADE, project_id BIGINT NOT NULL,"             \
    " repository " text " NOT NULL, principal " text " NOT NULL, pulls BIGINT NOT NULL,"           \
    " remaining BIGINT NOT NULL, limit_pulls BIGINT NOT NULL, PRIMARY KEY(endpoint_id, span, at,"  \
    " project_id, repository, principal))" tail ";"                                                \
    "CREATE INDEX upstream_use_age ON upstream_use(span, at);"

/* Caches that have bounds: pins; the last referrers of a subject, for an upstream that is away. */
#define BOUNDED(id, text, bytes, tail)                                                             \
    "ALTER TABLE project ADD COLUMN proxy_pins " text ";"                                          \
    "CREATE TABLE referrer_index(project_id BIGINT NOT NULL REFERENCES project(id)"                \
    " ON DELETE CASCADE, repository " text " NOT NULL, digest " text                               \
    " NOT NULL, artifact_type " text " NOT NULL, payload " bytes " NOT NULL, at BIGINT NOT NULL,"  \
    " PRIMARY KEY(project_id, repository, digest, artifact_type))" tail ";"                        \
    "CREATE INDEX referrer_index_at ON referrer_index(at);"

/* What takes longer than a request may. A row outlives its project: there is no reference. */
#define JOBS(id, text, bytes, tail)                                                                \
    "CREATE TABLE job(id " id ", kind " text " NOT NULL, state " text " NOT NULL,"                 \
    " project_id BIGINT NOT NULL DEFAULT 0, repository " text " NOT NULL DEFAULT '', actor " text  \
    " NOT NULL DEFAULT '', params " text " NOT NULL DEFAULT '{}', lock_key " text                  \
    " NOT NULL DEFAULT '', done BIGINT NOT NULL DEFAULT 0, total BIGINT NOT NULL DEFAULT 0,"       \
    " failed_count BIGINT NOT NULL DEFAULT 0, failed " text " NOT NULL DEFAULT '[]', result " text \
    " NOT NULL DEFAULT '{}', message " text " NOT NULL DEFAULT '', stop BIGINT NOT NULL DEFAULT"   \
    " 0, node " text " NOT NULL DEFAULT '', lease_until BIGINT NOT NULL DEFAULT 0,"                \
    " created BIGINT NOT NULL, started BIGINT NOT NULL DEFAULT 0, ended BIGINT NOT NULL"           \
    " DEFAULT 0);"                                                                                 \
    "CREATE UNIQUE INDEX job_lock ON job(lock_key) WHERE lock_key <> ''"                           \
    " AND state IN ('queued', 'running');"                                                         \
    "CREATE INDEX job_live ON job(id) WHERE state IN ('queued', 'running');"                       \
    "CREATE INDEX job_project ON job(project_id, id);"

/* How often an artifact was pulled: in all, and by days for a month. */
#define PULLS(id, text, bytes, tail)                                                               \
    "ALTER TABLE artifact ADD COLUMN pull_count BIGINT NOT NULL DEFAULT 0;"                        \
    "CREATE TABLE artifact_pull(artifact_id BIGINT NOT NULL REFERENCES artifact(id)"               \
    " ON DELETE CASCADE, day BIGINT NOT NULL, pulls BIGINT NOT NULL,"                              \
    " PRIMARY KEY(artifact_id, day))" tail ";"                                                     \
    "CREATE INDEX artifact_pull_day ON artifact_pull(day);"

/* Long lists: an index for each order they have. */
#define LISTS(id, text, bytes, tail)                                                               \
    "CREATE INDEX tag_pushed ON tag(repository_id, push_time, name);"                              \
    "CREATE INDEX artifact_pushed ON artifact(repository_id, push_time, id);"                      \
    "ALTER TABLE repository ADD COLUMN pull_time BIGINT NOT NULL DEFAULT 0;"

/* The cache in figures, and the last pulls worth showing. */
#define FIGURES_STEP(id, text, bytes, tail)                                                        \
    "CREATE TABLE figure(span BIGINT NOT NULL, at BIGINT NOT NULL, endpoint_id BIGINT NOT NULL,"   \
    " project_id BIGINT NOT NULL,"                                                                 \
    " hits BIGINT NOT NULL, revalidated BIGINT NOT NULL, misses BIGINT NOT NULL,"                  \
    " stale BIGINT NOT NULL, coalesced BIGINT NOT NULL, refused BIGINT NOT NULL,"                  \
    " bytes_saved BIGINT NOT NULL, pulls_saved BIGINT NOT NULL,"                                   \
    " pulls_counted BIGINT NOT NULL, upstream_requests BIGINT NOT NULL,"                           \
    " upstream_bytes BIGINT NOT NULL, unreachable BIGINT NOT NULL, timeouts BIGINT NOT NULL,"      \
    " broken BIGINT NOT NULL, limited BIGINT NOT NULL, answer_0 BIGINT NOT NULL,"                  \
    " answer_1 BIGINT NOT NULL, answer_2 BIGINT NOT NULL, answer_3 BIGINT NOT NULL,"               \
    " answer_4 BIGINT NOT NULL, answer_5 BIGINT NOT NULL, answer_6 BIGINT NOT NULL,"               \
    " answer_7 BIGINT NOT NULL, answer_8 BIGINT NOT NULL, answer_9 BIGINT NOT NULL,"               \
    " answer_10 BIGINT NOT NULL, answer_11 BIGINT NOT NULL, answer_12 BIGINT NOT NULL,"            \
    " answer_13 BIGINT NOT NULL, upstream_0 BIGINT NOT NULL, upstream_1 BIGINT NOT NULL,"          \
    " upstream_2 BIGINT NOT NULL, upstream_3 BIGINT NOT NULL, upstream_4 BIGINT NOT NULL,"         \
    " upstream_5 BIGINT NOT NULL, upstream_6 BIGINT NOT NULL, upstream_7 BIGINT NOT NULL,"         \
    " upstream_8 BIGINT NOT NULL, upstream_9 BIGINT NOT NULL, upstream_10 BIGINT NOT NULL,"        \
    " upstream_11 BIGINT NOT NULL, upstream_12 BIGINT NOT NULL, upstream_13 BIGINT NOT NULL,"      \
    " PRIMARY KEY(span, at, endpoint_id, project_id))" tail ";"                                    \
    "CREATE TABLE recent_pull(id " id ", project_id BIGINT NOT NULL REFERENCES project(id)"        \
    " ON DELETE CASCADE, repository " text " NOT NULL, reference " text " NOT NULL, digest " text  \
    " NOT NULL, principal " text " NOT NULL, client " text " NOT NULL, outcome " text              \
    " NOT NULL, at BIGINT NOT NULL);"                                                              \
    "CREATE UNIQUE INDEX recent_pull_once ON recent_pull(project_id, repository, digest, "         \
    "principal,"                                                                                   \
    " client);"                                                                                    \
    "CREATE INDEX recent_pull_at ON recent_pull(at);"

/* Which image of a cache goes first, without looking at all of them. */
#define AGES(id, text, bytes, tail)                                                                \
    "ALTER TABLE artifact ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;"                           \
    "UPDATE artifact SET used_at = CASE WHEN pull_time > push_time THEN pull_time ELSE push_time " \
    "END;"                                                                                         \
    "CREATE INDEX artifact_used ON artifact(used_at, id) WHERE payload IS NOT NULL;"

/* The newest of a repository first. */
#define NEWEST(id, text, bytes, tail)                                                              \
    "CREATE INDEX artifact_newest ON artifact(repository_id, push_time, id);"

/* Each pushed blob writes and deletes a session. Those who look by these are a sweep of the few old
   intents and the deletion of a repository: they may read the table. artifact_newest is
   artifact_pushed again. */
#define SESSIONS(id, text, bytes, tail)                                                            \
    "DROP INDEX upload_key;"                                                                       \
    "DROP INDEX upload_repository;"                                                                \
    "DROP INDEX artifact_newest;"

/* Upstreams that an operator has paused or drains: who, since when, why. */
#define HALTS(id, text, bytes, tail)                                                               \
    "ALTER TABLE endpoint ADD COLUMN halt " text " NOT NULL DEFAULT '';"                           \
    "ALTER TABLE endpoint ADD COLUMN halted_by " text " NOT NULL DEFAULT '';"                      \
    "ALTER TABLE endpoint ADD COLUMN halt_reason " text " NOT NULL DEFAULT '';"                    \
    "ALTER TABLE endpoint ADD COLUMN halted_at BIGINT NOT NULL DEFAULT 0;"

/* Whether a project holds a manifest is asked by each push and delete. */
#define DIGESTS(id, text, bytes, tail) "CREATE INDEX artifact_digest ON artifact(digest);"

/* A project's hours of the last days, from the index alone: for lists of projects. */
#define PROJECT_HOURS(id, text, bytes, tail)                                                       \
    "CREATE INDEX figure_project ON figure(project_id, at, hits, revalidated, misses, stale,"      \
    " coalesced, refused) WHERE span = 3600;"

/* Who asked for a job, by id: a name may be somebody else's later. */
#define JOB_OWNERS(id, text, bytes, tail)                                                          \
    "ALTER TABLE job ADD COLUMN by_id BIGINT NOT NULL DEFAULT 0;"                                  \
    "ALTER TABLE job ADD COLUMN by_robot BIGINT NOT NULL DEFAULT 0;"

/*
 * For PostgreSQL's planner alone. A sample of a store with one large repository knows two values of
 * repository_id, and a value that is not known yet is then taken for half of the table: each count
 * of a list would read all of it. How many rows there are for a value is said here instead, as a
 * part of the rows; what is frequent is still seen by the sample. Tables that have statistics get
 * new ones; those that have none are well planned without, and empty ones would be taken as small.
 */
#define SPREAD(table, column, part)                                                                \
    "ALTER TABLE " table " ALTER COLUMN " column " SET (n_distinct = -" part ");"
#define SPREADS                                                                                    \
    SPREAD("repository", "project_id", "0.05")                                                     \
    SPREAD("artifact", "repository_id", "0.05")                                                    \
    SPREAD("tag", "repository_id", "0.05")                                                         \
    SPREAD("tag", "artifact_id", "0.5")                                                            \
    SPREAD("tag_journal", "repository_id", "0.05")                                                 \
    SPREAD("repo_blob", "repository_id", "0.05")                                                   \
    SPREAD("repo_blob", "blob_id", "0.5")                                                          \
    SPREAD("artifact_blob", "artifact_id", "0.1")                                                  \
    SPREAD("artifact_blob", "blob_id", "0.1")                                                      \
    SPREAD("artifact_child", "parent_id", "0.1")                                                   \
    SPREAD("artifact_child", "child_id", "0.5")                                                    \
    SPREAD("artifact_pull", "artifact_id", "0.05")                                                 \
    "DO $$ DECLARE t text; BEGIN FOR t IN SELECT DISTINCT tablename FROM pg_stats WHERE "          \
    "schemaname = current_schema() AND tablename IN ('repository', 'artifact', 'tag', "            \
    "'tag_journal', 'repo_blob', 'artifact_blob', 'artifact_child', 'artifact_pull') LOOP "        \
    "EXECUTE format('ANALYZE %I', t); END LOOP; END $$;"

#define LITE(step) step("INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT", "BLOB", " WITHOUT ROWID")
#define PG(step)                                                                                   \
    step("BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "TEXT COLLATE \"C\"", "BYTEA", "")

const struct migration migrations[] = {
    {LITE(FIRST), PG(FIRST)},
    {LITE(JOURNAL), PG(JOURNAL)},
    {LITE(BOUNDED), PG(BOUNDED)},
    {LITE(JOBS), PG(JOBS)},
    {LITE(PULLS), PG(PULLS)},
    {LITE(LISTS), PG(LISTS)},
    {LITE(FIGURES_STEP), PG(FIGURES_STEP)},
    {LITE(AGES), PG(AGES)},
    {LITE(NEWEST), PG(NEWEST)},
    {LITE(SESSIONS), PG(SESSIONS)},
    {LITE(HALTS), PG(HALTS)},
    {LITE(DIGESTS), PG(DIGESTS)},
    {LITE(PROJECT_HOURS), PG(PROJECT_HOURS)},
    {LITE(JOB_OWNERS), PG(JOB_OWNERS)},
    {"", SPREADS},
    {0},
};

/* ---- bringing it up to date --------------------------------------------------------------- */

STATEMENT version_of = SQL("SELECT max(version) FROM schema_version");
STATEMENT version_add = SQL("INSERT INTO schema_version(version, at) VALUES($1, $2)");
STATEMENT seed_id = SQL("INSERT INTO setting(key, value) VALUES('store_id', $1)");
STATEMENT seed_admin =
    SQL("INSERT INTO account(username, realname, comment, sysadmin_flag, creation_time, "
        "update_time) VALUES('admin', 'system admin', 'admin user', 1, $1, $1)");
STATEMENT seed_project =
    SQL("INSERT INTO project(name, owner_id, is_public, creation_time, update_time) "
        "VALUES('library', 1, 1, $1, $1)");
STATEMENT seed_member =
    SQL("INSERT INTO member(project_id, entity_type, entity_id, role_id, creation_time) "
        "VALUES(1, 'u', 1, 1, $1)");

static enum err seed(struct ctx *c)
{
    TRY(sql_run(c, &seed_id, ARGS(A_S(random_uuid(&c->mem))), NULL));
    TRY(sql_run(c, &seed_admin, ARGS(A_T(c->tx->now)), NULL));
    TRY(sql_run(c, &seed_project, ARGS(A_T(c->tx->now)), NULL));
    if (meta_can_seal()) /* else api_new makes the first key, by a COMMIT of its own */
        TRY(keyring_rotate(c));
    return sql_run(c, &seed_member, ARGS(A_T(c->tx->now)), NULL);
}

static enum err run_steps(struct ctx *c, int64_t from, int64_t last)
{
    const struct driver *d = c->sv->db->driver;
    for (int64_t v = from; v < last; v++)
        TRY(d->script(c, c->tx->conn, d->postgres ? migrations[v].postgres : migrations[v].sqlite));
    return E_OK;
}

/* A new SQLite database: all steps at once. */
static enum err run_folded(struct ctx *c, int64_t last)
{
    CLEANUP(buf_release) struct buf all = {0};
    for (int64_t v = 0; v < last; v++)
        if (!fold_step(&all, str_of(migrations[v].sqlite)))
            return fail(c, E_INTERNAL, "step %lld of the schema cannot be folded",
                        (long long)v + 1);
    return c->sv->db->driver->script(c, c->tx->conn, str_c(&c->mem, buf_view(&all)));
}

enum err schema_migrate(struct ctx *c)
{
    const struct driver *d = c->sv->db->driver;
    int64_t have, last = (int64_t)COUNT(migrations) - 1;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    if (d->postgres) /* one node at a time, however long the others take */
        TRY(d->script(c, tx.conn,
                      "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; "
                      "SELECT pg_advisory_xact_lock(6875204157)"));
    TRY(d->script(c, tx.conn,
                  "CREATE TABLE IF NOT EXISTS schema_version(version BIGINT PRIMARY KEY, "
                  "at BIGINT NOT NULL)"));
    TRY(sql_i64(c, &version_of, NO_ARGS, &have));
    if (have > last)
        return fail(c, E_CONFLICT,
                    "the database is of a newer Cove (schema %lld, this one has "
                    "%lld)",
                    (long long)have, (long long)last);
    TRY(have || d->postgres ? run_steps(c, have, last) : run_folded(c, last));
    for (int64_t v = have; v < last; v++)
        TRY(sql_run(c, &version_add, ARGS(A_I(v + 1), A_T(tx.now)), NULL));
    if (!have)
        TRY(seed(c));
    return tx_commit(&tx);
}
