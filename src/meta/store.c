/* Small tables of which there is one each: settings, key ring, sessions, events, pulls, quotas. */
#include "meta/store.h"

#include "base/codec.h"
#include "meta/idset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ------------------------------------------------------------------------------- */

struct value {
    struct str value;
};
static const struct field value_fields[] = {FIELD(struct value, value, 0, 0), FIELDS_END};

STATEMENT value_read = SQL("SELECT value AS value FROM setting WHERE key = $1");
STATEMENT value_write = SQL("INSERT INTO setting(key, value) VALUES($1, $2) ON CONFLICT(key) DO "
                            "UPDATE SET value = excluded.value");

enum err value_get(struct ctx *c, struct str key, struct str *out)
{
    struct value v = {0};
    TRY(sql_row(c, &value_read, ARGS(A_S(key)), value_fields, &v));
    *out = v.value;
    return E_OK;
}

enum err value_set(struct ctx *c, struct str key, struct str value)
{
    return sql_run(c, &value_write, ARGS(A_S(key), A_S(value.p ? value : S(""))), NULL);
}

/* ---- keys --------------------------------------------------------------------------------- */

static struct seal_key sealing;
static bool sealing_set;

void meta_set_seal_key(const struct seal_key *key)
{
    sealing = *key;
    sealing_set = true;
}

bool meta_can_seal(void)
{
    return sealing_set;
}

const struct seal_key *meta_seal_key(void)
{
    assert(sealing_set);
    return &sealing;
}

struct sealed_key {
    struct str kid, sealed;
};
static const struct field key_fields[] = {
    FIELD(struct sealed_key, kid, 0, 0),
    FIELD(struct sealed_key, sealed, 0, 0),
    FIELDS_END,
};

STATEMENT keys_read = SQL("SELECT kid AS kid, sealed AS sealed FROM keyring ORDER BY creation_time "
                          "DESC, kid LIMIT 2");
STATEMENT key_add = SQL("INSERT INTO keyring(kid, sealed, creation_time) VALUES($1, $2, $3)");
STATEMENT keys_trim = SQL("DELETE FROM keyring WHERE kid NOT IN (SELECT kid FROM keyring ORDER BY "
                          "creation_time DESC, kid LIMIT 2)");

enum err keyring_load(struct ctx *c, struct jwt_key keys[2], size_t *count)
{
    struct list rows;
    TRY(sql_rows(c, &keys_read, NO_ARGS, key_fields, sizeof(struct sealed_key), &rows));
    struct sealed_key *k = rows.items;
    for (size_t i = 0; i < rows.count; i++) {
        struct str plain;
        TRY(seal_open(c, meta_seal_key(), S("keyring"), k[i].sealed, &plain));
        if (plain.n != sizeof keys[i].bytes)
            return fail(c, E_INTERNAL, "key %.*s of the key ring is damaged", STR(k[i].kid));
        keys[i].kid = k[i].kid;
        memcpy(keys[i].bytes, plain.p, plain.n);
    }
    *count = rows.count;
    return E_OK;
}

enum err keyring_rotate(struct ctx *c)
{
    char bytes[32];
    random_fill(bytes, sizeof bytes);
    struct str box =
        seal(&c->mem, meta_seal_key(), S("keyring"), (struct str){bytes, sizeof bytes});
    explicit_bzero(bytes, sizeof bytes);
    TRY(sql_run(c, &key_add, ARGS(A_S(random_hex(&c->mem, 8)), A_BYTES(box), A_T(c->tx->now)),
                NULL));
    return sql_run(c, &keys_trim, NO_ARGS, NULL);
}

/* ---- sessions ----------------------------------------------------------------------------- */

static const struct field session_fields[] = {
    FIELD(struct session, user_id, 0, 0),
    FIELD(struct session, epoch, 0, 0),
    FIELD(struct session, csrf, 0, 0),
    FIELD(struct session, expires, 0, 0),
    FIELDS_END,
};

STATEMENT session_add = SQL("INSERT INTO session(id_hash, user_id, epoch, csrf, expires) VALUES($1,"
                            " $2, $3, $4, $5)");
STATEMENT session_read = SQL("SELECT user_id AS user_id, epoch AS epoch, csrf AS csrf, expires AS "
                             "expires FROM session WHERE id_hash = $1 AND expires > $2");
STATEMENT session_extend = SQL("UPDATE session SET expires = $2 WHERE id_hash = $1");
STATEMENT session_drop = SQL("DELETE FROM session WHERE id_hash = $1");
STATEMENT sessions_sweep = SQL("DELETE FROM session WHERE expires <= $1");

static struct str id_hash(struct ctx *c, struct str id)
{
    unsigned char hash[MAC_SIZE];
    sha256(id, hash);
    return hex_encode(&c->mem, hash, sizeof hash);
}

static struct timestamp after(struct ctx *c, int64_t seconds)
{
    return (struct timestamp){c->tx->now.us + seconds * SECOND_US};
}

enum err session_insert(struct ctx *c, const struct session *s, int64_t life_s)
{
    return sql_run(c, &session_add,
                   ARGS(A_S(id_hash(c, s->id)), A_I(s->user_id), A_I(s->epoch), A_S(s->csrf),
                        A_T(after(c, life_s))),
                   NULL);
}

enum err session_by_id(struct ctx *c, struct str id, struct session *out)
{
    struct session s = {.id = id};
    TRY(sql_row(c, &session_read, ARGS(A_S(id_hash(c, id)), A_T(c->tx->now)), session_fields, &s));
    *out = s;
    return E_OK;
}

enum err session_touch(struct ctx *c, struct str id, int64_t life_s)
{
    return sql_run(c, &session_extend, ARGS(A_S(id_hash(c, id)), A_T(after(c, life_s))), NULL);
}

enum err session_delete(struct ctx *c, struct str id)
{
    return sql_run(c, &session_drop, ARGS(A_S(id_hash(c, id))), NULL);
}

enum err session_sweep(struct ctx *c)
{
    return sql_run(c, &sessions_sweep, ARGS(A_T(c->tx->now)), NULL);
}

/* ---- events and pulls --------------------------------------------------------------------- */

STATEMENT event_add = SQL("INSERT INTO event(kind, project_id, actor, payload, at) VALUES($1, $2, "
                          "$3, $4, $5)");
#define EVENTS                                                                                     \
    "INSERT INTO event(kind, project_id, actor, payload, at) SELECT CAST($1 AS TEXT), CAST($2 AS " \
    "BIGINT), CAST($3 AS TEXT), value, CAST($5 AS BIGINT) FROM "
STATEMENT events_add = SQL2(EVENTS TEXTS_LITE("$4") " AS each", EVENTS TEXTS_PG("$4") " AS each");
STATEMENT pull_repository =
    SQL("UPDATE repository SET pull_count = pull_count + $2, pull_time = CASE WHEN pull_time < $3 "
        "THEN $3 ELSE pull_time END WHERE id = $1");
STATEMENT pull_artifact =
    SQL("UPDATE artifact SET pull_count = pull_count + $3, pull_time = CASE WHEN pull_time < $2 "
        "THEN $2 ELSE pull_time END, used_at = CASE WHEN used_at < $2 THEN $2 ELSE used_at END "
        "WHERE id = $1");
STATEMENT pull_day =
    SQL("INSERT INTO artifact_pull(artifact_id, day, pulls) VALUES($1, $2, $3) ON "
        "CONFLICT(artifact_id, day) DO UPDATE SET pulls = artifact_pull.pulls + excluded.pulls");
STATEMENT pull_days_old = SQL("DELETE FROM artifact_pull WHERE day < $1");
STATEMENT pull_tag = SQL("UPDATE tag SET pull_time = $2 WHERE id = $1 AND pull_time < $2");

enum err event_emit(struct ctx *c, const char *kind, int64_t project_id, struct str payload_json)
{
    return sql_run(c, &event_add,
                   ARGS(A_S(str_of(kind)), A_I(project_id), A_S(c->actor.p ? c->actor : S("")),
                        A_S(payload_json.p ? payload_json : S("")), A_T(c->tx->now)),
                   NULL);
}

enum err event_emit_all(struct ctx *c, const char *kind, int64_t project_id,
                        const struct strs *payloads)
{
    return payloads->count
               ? sql_run(c, &events_add,
                         ARGS(A_S(str_of(kind)), A_I(project_id),
                              A_S(c->actor.p ? c->actor : S("")),
                              texts_arg(c, payloads->items, payloads->count), A_T(c->tx->now)),
                         NULL)
               : E_OK;
}

static int in_lock_order(const void *a, const void *b)
{
    const struct pull_count *x = a, *y = b;
    if (x->repository_id != y->repository_id)
        return x->repository_id < y->repository_id ? -1 : 1;
    if (x->artifact_id != y->artifact_id)
        return x->artifact_id < y->artifact_id ? -1 : 1;
    return (x->tag_id > y->tag_id) - (x->tag_id < y->tag_id);
}

/* The row of an artifact that is here is locked by its update, so the day's row may name it. */
static enum err add_pull(struct ctx *c, const struct pull_count *p)
{
    int64_t here;
    TRY(sql_run(c, &pull_repository, ARGS(A_I(p->repository_id), A_I(p->count), A_T(p->last)),
                NULL));
    TRY(sql_run(c, &pull_artifact, ARGS(A_I(p->artifact_id), A_T(p->last), A_I(p->count)), &here));
    if (here && p->count)
        TRY(sql_run(c, &pull_day,
                    ARGS(A_I(p->artifact_id), A_I(p->last.us / DAY_US), A_I(p->count)), NULL));
    if (p->tag_id)
        TRY(sql_run(c, &pull_tag, ARGS(A_I(p->tag_id), A_T(p->last)), NULL));
    return E_OK;
}

enum err pulls_add(struct ctx *c, const struct pull_count *pulls, size_t n)
{
    struct pull_count *sorted = arena_alloc(&c->mem, (n + 1) * sizeof *sorted);
    if (n)
        memcpy(sorted, pulls, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, in_lock_order); /* two nodes flush at once */
    for (size_t i = 0; i < n; i++)
        TRY(add_pull(c, &sorted[i]));
    return E_OK;
}

enum err pulls_sweep(struct ctx *c)
{
    int64_t today = c->tx->now.us / DAY_US;
    return sql_run(c, &pull_days_old, ARGS(A_I(today - PULL_DAYS + 1)), NULL);
}

/* ---- quotas of upstreams, retention ------------------------------------------------------- */

const struct field upstream_quota_fields[] = {
    FIELD(struct upstream_quota, endpoint_id, F_RO, 0),
    FIELD(struct upstream_quota, credential, F_RO, 0),
    FIELD(struct upstream_quota, limit_pulls, F_RO, 0),
    FIELD(struct upstream_quota, remaining, F_RO, 0),
    FIELD(struct upstream_quota, window_s, F_RO, 0),
    FIELD(struct upstream_quota, source, F_RO, 0),
    FIELD(struct upstream_quota, seen_at, F_RO, 0),
    FIELDS_END,
};

STATEMENT quota_put = SQL(
    "INSERT INTO upstream_quota(endpoint_id, credential, limit_pulls, remaining, window_s, source, "
    "seen_at) VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(endpoint_id, credential) DO UPDATE "
    "SET limit_pulls = excluded.limit_pulls, remaining = excluded.remaining, window_s = "
    "excluded.window_s, source = excluded.source, seen_at = excluded.seen_at");
STATEMENT quota_all =
    SQL("SELECT endpoint_id AS endpoint_id, credential AS credential, limit_pulls AS limit_pulls, "
        "remaining AS remaining, window_s AS window_s, source AS source, seen_at AS seen_at FROM "
        "upstream_quota ORDER BY endpoint_id, credential");
STATEMENT retention_add =
    SQL("INSERT INTO retention_policy(project_id, policy) VALUES($1, $2) RETURNING id");
STATEMENT retention_read = SQL("SELECT policy AS value FROM retention_policy WHERE id = $1");

enum err upstream_quota_put(struct ctx *c, const struct upstream_quota *q)
{
    return sql_run(c, &quota_put,
                   ARGS(A_I(q->endpoint_id), A_S(q->credential), A_I(q->limit_pulls),
                        A_I(q->remaining), A_I(q->window_s), A_S(q->source.p ? q->source : S("")),
                        A_T(q->seen_at)),
                   NULL);
}

enum err upstream_quota_list(struct ctx *c, struct list *out)
{
    return sql_rows(c, &quota_all, NO_ARGS, upstream_quota_fields, sizeof(struct upstream_quota),
                    out);
}

enum err retention_insert(struct ctx *c, int64_t project_id, struct str policy_json, int64_t *id)
{
    return sql_i64(c, &retention_add, ARGS(A_I(project_id), A_S(policy_json)), id);
}

enum err retention_by_id(struct ctx *c, int64_t id, struct str *policy_json)
{
    struct value v = {0};
    TRY(sql_row(c, &retention_read, ARGS(A_I(id)), value_fields, &v));
    *policy_json = v.value;
    return E_OK;
}
