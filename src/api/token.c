/*
 * GET /service/token, and the claims of the tokens that it makes. Scopes are filtered down to what
 * the principal may do now and never refused; what is left may be nothing.
 */
#include "api/token.h"

#include "api/authorize.h"
#include "api/dispatch.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/jwt.h"
#include "registry/access.h"
#include "registry/mirror.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SCOPES_MAX 32
#define HUB S("docker.io")

static const struct {
    const char *name;
    unsigned bit;
    enum action act;
} actions[] = {
    {"pull", TOKEN_PULL, ACT_PULL},
    {"push", TOKEN_PUSH, ACT_PUSH},
    {"delete", TOKEN_DELETE, ACT_DELETE},
};

unsigned token_action(enum action act)
{
    for (size_t i = 0; i < COUNT(actions); i++)
        if (actions[i].act == act)
            return actions[i].bit;
    return 0;
}

static unsigned action_bits(struct str name)
{
    if (str_eq(name, S("*")))
        return TOKEN_PULL | TOKEN_PUSH | TOKEN_DELETE | TOKEN_CATALOG;
    for (size_t i = 0; i < COUNT(actions); i++)
        if (str_eq(name, str_of(actions[i].name)))
            return actions[i].bit;
    return 0;
}

/* ---- verifying ---------------------------------------------------------------------------- */

static bool read_access(struct ctx *c, const json_t *list, struct token_claims *t)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > SCOPES_MAX * 2)
        return false;
    t->access = arena_alloc(&c->mem, (n ? n : 1) * sizeof *t->access);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(list, i);
        struct token_access *a = &t->access[t->count++];
        struct str name;
        size_t k;
        json_t *word;
        if (!json_get_str(entry, "name", &name) ||
            !json_get_i64(entry, "project_id", &a->project_id))
            return false;
        a->name = str_dup(&c->mem, name);
        json_array_foreach(json_object_get(entry, "actions"), k, word)
        {
            a->actions |= action_bits(str_of(json_string_value(word)));
        }
    }
    return true;
}

static bool read_claims(struct call *r, const json_t *o, struct token_claims *t)
{
    struct str iss, aud, kind;
    if (!json_get_str(o, "iss", &iss) || !str_eq(iss, api_installation(r->api)) ||
        !json_get_str(o, "aud", &aud) || !str_eq(aud, S(TOKEN_SERVICE)) ||
        !json_get_i64(o, "exp", &t->expires) || t->expires <= clock_now().us / SECOND_US ||
        !json_get_str(o, "kind", &kind) || !json_get_i64(o, "id", &t->id) ||
        !json_get_i64(o, "epoch", &t->epoch))
        return false;
    t->kind = str_eq(kind, S("user"))    ? PRINCIPAL_USER
              : str_eq(kind, S("robot")) ? PRINCIPAL_ROBOT
                                         : PRINCIPAL_ANONYMOUS;
    return read_access(r->c, json_object_get(o, "access"), t);
}

/*
 * Clients send one token with many requests, and a signature, base64 and JSON cost more than the
 * rest of a small request. What was verified is kept for VERIFIED_MS under the token's SHA-256, all
 * of which is compared. Expiry, and the principal's epoch and state, are looked at each time.
 */
#define VERIFIED_MS 30000
#define KEPT 512

struct kept {
    unsigned char hash[MAC_SIZE];
    int64_t until_ms;
    struct token_claims *claims; /* one heap block with all that it points to */
};

static struct kept kept[KEPT];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static struct kept *kept_slot(const unsigned char hash[MAC_SIZE])
{
    return &kept[((size_t)hash[0] << 8 | hash[1]) % KEPT];
}

static size_t claims_size(const struct token_claims *t)
{
    size_t n = sizeof *t + t->count * sizeof *t->access;
    for (size_t i = 0; i < t->count; i++)
        n += t->access[i].name.n;
    return n;
}

/* A copy of t in the claims_size(t) bytes at p. */
static struct token_claims *claims_copy(const struct token_claims *t, void *p)
{
    struct token_claims *out = p;
    *out = *t;
    out->access = (struct token_access *)(out + 1);
    char *text = (char *)(out->access + t->count);
    for (size_t i = 0; i < t->count; i++) {
        out->access[i] = t->access[i];
        out->access[i].name.p = text;
        if (t->access[i].name.n)
            memcpy(text, t->access[i].name.p, t->access[i].name.n);
        text += t->access[i].name.n;
    }
    return out;
}

static struct token_claims *kept_find(struct call *r, const unsigned char hash[MAC_SIZE])
{
    struct token_claims *out = NULL;
    pthread_mutex_lock(&kept_lock);
    const struct kept *k = kept_slot(hash);
    if (k->claims && k->until_ms > clock_mono_ms() && memcmp(k->hash, hash, MAC_SIZE) == 0 &&
        k->claims->expires > clock_now().us / SECOND_US)
        out = claims_copy(k->claims, arena_raw(&r->c->mem, claims_size(k->claims)));
    pthread_mutex_unlock(&kept_lock);
    return out;
}

static void keep(const unsigned char hash[MAC_SIZE], const struct token_claims *t)
{
    void *p = malloc(claims_size(t));
    if (!p) /* the next request verifies again */
        return;
    pthread_mutex_lock(&kept_lock);
    struct kept *k = kept_slot(hash);
    free(k->claims);
    memcpy(k->hash, hash, MAC_SIZE);
    k->claims = claims_copy(t, p);
    k->until_ms = clock_mono_ms() + VERIFIED_MS;
    pthread_mutex_unlock(&kept_lock);
}

void token_forget_all(void)
{
    pthread_mutex_lock(&kept_lock);
    for (size_t i = 0; i < KEPT; i++) {
        free(kept[i].claims);
        kept[i] = (struct kept){0};
    }
    pthread_mutex_unlock(&kept_lock);
}

enum err token_verify(struct call *r, struct str token, struct token_claims **out)
{
    struct jwt_key keys[2];
    struct str claims;
    size_t count;
    unsigned char hash[MAC_SIZE];
    CLEANUP(json_done) json_t *o = NULL;
    if (token.n > 16384)
        return fail(r->c, E_UNAUTHORIZED, "token is not valid");
    sha256(token, hash);
    struct token_claims *t = kept_find(r, hash);
    if (t) {
        *out = t;
        return E_OK;
    }
    t = arena_alloc(&r->c->mem, sizeof *t);
    TRY(api_token_keys(r->c, r->api, false, keys, &count));
    enum err e = jwt_verify(r->c, keys, count, token, &claims);
    if (e != E_OK) { /* another node may have turned the ring */
        TRY(api_token_keys(r->c, r->api, true, keys, &count));
        TRY(jwt_verify(r->c, keys, count, token, &claims));
    }
    TRY(json_parse(r->c, claims, &o));
    if (!read_claims(r, o, t))
        return fail(r->c, E_UNAUTHORIZED, "token is not valid");
    keep(hash, t);
    *out = t;
    return E_OK;
}

bool token_allows(const struct token_claims *t, int64_t project_id, struct str name,
                  unsigned action)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->access[i].project_id == project_id && (t->access[i].actions & action) &&
            str_eq(t->access[i].name, name))
            return true;
    return false;
}

/* ---- granting ----------------------------------------------------------------------------- */

struct grants {
    struct call *r;
    struct json_out j;
    size_t count;
};

static void put_grant(struct grants *g, const char *type, int64_t project_id, struct str name,
                      unsigned bits)
{
    if (!bits || ++g->count > SCOPES_MAX * 2)
        return;
    put_open(&g->j, '{');
    put_key(&g->j, S("type"));
    put_str(&g->j, str_of(type));
    put_key(&g->j, S("project_id"));
    put_i64(&g->j, project_id);
    put_key(&g->j, S("name"));
    put_str(&g->j, name);
    put_key(&g->j, S("actions"));
    put_open(&g->j, '[');
    for (size_t i = 0; i < COUNT(actions); i++)
        if (bits & actions[i].bit)
            put_str(&g->j, str_of(actions[i].name));
    if (bits & TOKEN_CATALOG)
        put_str(&g->j, S("*"));
    put_close(&g->j, ']');
    put_close(&g->j, '}');
}

static unsigned may_bits(struct grants *g, const struct project_access *project, struct str name,
                         unsigned asked)
{
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT(actions); i++)
        if ((asked & actions[i].bit) && authorize_repository(g->r, project, name, actions[i].act))
            bits |= actions[i].bit;
    return bits;
}

static enum err grant_repository(struct grants *g, struct str name, unsigned asked)
{
    struct ctx *c = g->r->c;
    struct project_access project = {0};
    struct str pname, path;
    if (!name_is_repository(name))
        return E_OK;
    if (name_split(c, name, &pname, &path) == E_OK) {
        enum err e = project_access_for(c, pname, 0, &g->r->principal, &project);
        if (e == E_OK)
            put_grant(g, "repository", project.project.project_id, name,
                      may_bits(g, &project, name, asked));
        else if (e != E_NOT_FOUND)
            return e;
    }
    /* the same name as a mirror client means it: the Hub's, in the project that serves it */
    if (!(asked & TOKEN_PULL))
        return E_OK;
    enum err e = project_access_for_ns(c, HUB, &g->r->principal, &project);
    if (e != E_OK)
        return e == E_NOT_FOUND ? E_OK : e;
    path = mirror_repository(&c->mem, &project.endpoint, name);
    struct str mapped = str_fmt(&c->mem, "%.*s/%.*s", STR(project.project.name), STR(path));
    put_grant(g, "repository", project.project.project_id, mapped,
              may_bits(g, &project, mapped, TOKEN_PULL));
    return E_OK;
}

/* "repository:a/b:pull,push"; the name may hold colons. Anything else asks for nothing. */
static enum err grant_scope(struct grants *g, struct str scope)
{
    struct str rest = scope;
    struct str type = str_cut(&rest, ':');
    int64_t colon = str_rfind(rest, ':');
    if (colon < 0)
        return E_OK;
    struct str name = str_sub(rest, 0, (size_t)colon);
    struct str words = str_sub(rest, (size_t)colon + 1, rest.n);
    unsigned asked = 0;
    while (words.n)
        asked |= action_bits(str_cut(&words, ','));
    if (str_eq(type, S("repository")))
        return grant_repository(g, name, asked & ~(unsigned)TOKEN_CATALOG);
    if (str_eq(type, S("registry")) && str_eq(name, S("catalog")) && (asked & TOKEN_CATALOG) &&
        access_may(&g->r->principal, NULL, RES_CATALOG, ACT_READ))
        put_grant(g, "registry", 0, name, TOKEN_CATALOG);
    return E_OK;
}

/* scope= may come several times, and hold several scopes between blanks. */
static enum err grant_all(struct grants *g, size_t *scopes)
{
    struct str query = g->r->http->query;
    *scopes = 0;
    while (query.n) {
        struct str value = str_cut(&query, '&'), plain;
        if (!str_eq(str_cut(&value, '='), S("scope")))
            continue;
        if (!percent_decode(&g->r->c->mem, value, true, &plain))
            return fail(g->r->c, E_BAD_REQUEST, "scope does not decode");
        while (plain.n) {
            struct str scope = str_cut(&plain, ' ');
            if (!scope.n)
                continue;
            if (++*scopes > SCOPES_MAX)
                return fail(g->r->c, E_BAD_REQUEST, "more than %d scopes", SCOPES_MAX);
            TRY(grant_scope(g, scope));
        }
    }
    return E_OK;
}

static void put_pair(struct json_out *j, const char *key, struct str value)
{
    put_key(j, str_of(key));
    put_str(j, value);
}

static struct str claims_text(struct call *r, struct buf *b, struct str access, int64_t now,
                              int64_t life)
{
    static const char *const kinds[] = {"anonymous", "user", "robot"};
    struct json_out j = {.out = b};
    put_open(&j, '{');
    put_pair(&j, "iss", api_installation(r->api));
    put_pair(&j, "aud", S(TOKEN_SERVICE));
    put_pair(&j, "sub", r->c->actor);
    put_pair(&j, "kind", str_of(kinds[r->principal.kind]));
    put_key(&j, S("id"));
    put_i64(&j, r->principal.id);
    put_key(&j, S("epoch"));
    put_i64(&j, r->principal.epoch);
    put_key(&j, S("iat"));
    put_i64(&j, now);
    put_key(&j, S("exp"));
    put_i64(&j, now + life);
    put_pair(&j, "jti", random_hex(&r->c->mem, 8));
    put_key(&j, S("access"));
    put_raw(&j, access);
    put_close(&j, '}');
    return buf_view(b);
}

static enum err reply_token(struct call *r, struct str token, int64_t life, struct timestamp now)
{
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_pair(&j, "token", token);
    put_pair(&j, "access_token", token);
    put_key(&j, S("expires_in"));
    put_i64(&j, life);
    put_pair(&j, "issued_at", time_text(&r->c->mem, now));
    put_close(&j, '}');
    reply_header(&r->reply, S("Cache-Control"), S("no-store"));
    return reply_json_text(r, 200, buf_view(&b));
}

enum err service_token(struct call *r)
{
    struct jwt_key keys[2];
    struct str service;
    size_t scopes, count;
    CLEANUP(buf_release) struct buf access = {.max = 12288}, claims = {.max = 16384};
    struct grants g = {.r = r, .j = {.out = &access}};
    TRY(call_query(r, "service", &service));
    if (!str_eq(service, S(TOKEN_SERVICE)))
        return fail(r->c, E_BAD_REQUEST, "unable to handle service: %.*s",
                    STR(str_sub(service, 0, 64)));
    put_open(&g.j, '[');
    TRY(grant_all(&g, &scopes));
    put_close(&g.j, ']');
    if (access.full)
        return fail(r->c, E_BAD_REQUEST, "the scopes are too long");
    if (r->principal.kind == PRINCIPAL_ANONYMOUS && !scopes) {
        r->challenge = true;
        return fail(r->c, E_UNAUTHORIZED, "unauthorized");
    }
    TRY(api_token_keys(r->c, r->api, false, keys, &count));
    struct timestamp now = clock_now();
    int64_t life = api_config(r->api)->token_expiry_s;
    struct str text = claims_text(r, &claims, buf_view(&access), now.us / SECOND_US, life);
    return reply_token(r, jwt_sign(&r->c->mem, &keys[0], text), life, now);
}
