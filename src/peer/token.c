/*
 * The token flow. A realm is a URL that a stranger gives us, at any time: whether the credential
 * may go there is decided for each fetch, never remembered. A realm that may not have it is asked
 * without; that token serves public content only and costs nothing to give away.
 *
 * Two tables under one lock: what a repository's last challenge was, and the tokens by (endpoint,
 * epoch, realm, service, scope). A token is fetched by one thread while others wait for its
 * outcome, failure included, so that a broken token service is not asked by everybody in turn.
 * A credential that a token service refused twice in a row is left alone for 30 s: services lock
 * accounts. (A registry's own 401 to Basic may be about one repository, and is not counted.)
 * The lock is not held while talking.
 */
#include "peer/token.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/map.h"
#include "base/secret.h"
#include "net/domain.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX ((size_t)16 << 10)
#define TABLE_MAX 4096
#define FETCH_MS 15000
#define REFUSED_MS 30000
#define LIFE_DEFAULT_S 60
#define LIFE_MAX_S 3600

struct known { /* the last challenge, for one repository */
    enum challenge_scheme scheme;
    char *realm, *service, *scope;
};

struct token {
    struct secret text;
    int64_t good_until; /* monotonic ms */
    bool fetching;
    int waiting;
    uint64_t round; /* counts finished fetches */
    enum err err;   /* of the last one */
    char msg[256];
    struct oci_status st; /* its texts are not kept */
};

struct refusal {              /* of an endpoint's credential */
    int64_t epoch, at, until; /* monotonic ms */
};

struct tokens {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct map known, tokens;
    struct map refusals; /* endpoint id -> struct refusal */
};

struct tokens *tokens_new(void)
{
    struct tokens *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    clock_cond_init(&t->done);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void known_free(struct known *k)
{
    if (!k)
        return;
    free(k->realm);
    free(k->service);
    free(k->scope);
    free(k);
}

static void token_free(struct token *k)
{
    if (!k)
        return;
    secret_release(&k->text);
    free(k);
}

void tokens_free(struct tokens *t)
{
    struct map_entry *e;
    if (!t)
        return;
    for (size_t i = 0; (e = map_next(&t->known, &i));)
        known_free(e->value);
    for (size_t i = 0; (e = map_next(&t->tokens, &i));)
        token_free(e->value);
    for (size_t i = 0; (e = map_next(&t->refusals, &i));)
        free(e->value);
    map_release(&t->refusals);
    map_release(&t->known);
    map_release(&t->tokens);
    pthread_cond_destroy(&t->done);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* the token service */

bool token_realm_trusted(struct ctx *c, const struct asker *a, const struct url *realm)
{
    if (a->base.https && !realm->https)
        return false;
    if (domain_same_site(c, a->base.host, realm->host))
        return true;
    return a->vendor && a->vendor->pinned_realm && realm->https &&
           str_eq(realm->host, str_of(a->vendor->pinned_realm));
}

static bool token_text_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n != 0 && s.n <= TOKEN_MAX;
}

enum err token_parse(struct ctx *c, struct str body, struct str *token_out, int64_t *life_s_out)
{
    CLEANUP(json_done) json_t *root = NULL;
    struct str token;
    int64_t life;
    if (json_parse(c, body, &root) != E_OK || !json_is_object(root))
        return fail(c, E_UPSTREAM, "the token service's answer is not JSON");
    if (!(json_get_str(root, "token", &token) && token.n) &&
        !(json_get_str(root, "access_token", &token) && token.n))
        return fail(c, E_UPSTREAM, "the token service's answer holds no token");
    if (!token_text_valid(token))
        return fail(c, E_UPSTREAM, "the token service's token cannot be sent");
    if (!json_get_i64(root, "expires_in", &life) || life < 1)
        life = LIFE_DEFAULT_S;
    *token_out = str_dup(&c->mem, token);
    *life_s_out = i64_min(life, LIFE_MAX_S);
    return E_OK;
}

static struct str basic_of(struct ctx *c, const struct endpoint *e)
{
    if (e->access_key.n == 0)
        return NO_STR;
    struct str pair = str_fmt(&c->mem, "%.*s:%.*s", STR(e->access_key), STR(e->access_secret));
    struct str code = base64_encode(&c->mem, pair);
    return str_fmt(&c->mem, "Basic %.*s", STR(code));
}

/* ---- a credential that the upstream does not take ---- */

static struct refusal *refusal_of(struct tokens *t, const struct endpoint *e, bool make)
{
    char key[24];
    int n = snprintf(key, sizeof key, "%lld", (long long)e->id);
    struct str k = {key, (size_t)n};
    struct refusal *r = map_get(&t->refusals, k);
    if (!r && make && (r = calloc(1, sizeof *r)) && !map_set(&t->refusals, k, r)) {
        free(r);
        r = NULL;
    }
    if (r && r->epoch != e->epoch)
        *r = (struct refusal){.epoch = e->epoch};
    return r;
}

static void note_refusal(struct tokens *t, const struct endpoint *e, bool refused)
{
    if (e->id == 0)
        return;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&t->lock);
    struct refusal *r = refusal_of(t, e, refused);
    if (r && !refused)
        r->at = r->until = 0;
    if (r && refused && r->at && now - r->at < 2 * REFUSED_MS)
        r->until = now + REFUSED_MS;
    if (r && refused)
        r->at = now;
    pthread_mutex_unlock(&t->lock);
}

/* E_DENIED while the credential is left alone. */
static enum err may_send(struct ctx *c, struct tokens *t, const struct endpoint *e,
                         struct oci_status *st)
{
    pthread_mutex_lock(&t->lock);
    const struct refusal *r = refusal_of(t, e, false);
    bool refused = r && clock_mono_ms() < r->until;
    pthread_mutex_unlock(&t->lock);
    if (!refused)
        return E_OK;
    st->http = 401;
    return fail(c, E_DENIED, "upstream %.*s refused its credential a moment ago", STR(e->name));
}

static struct str token_url(struct ctx *c, struct url realm, const struct challenge *ch)
{
    struct str query = realm.has_query ? realm.query : NO_STR;
    const struct {
        const char *name;
        struct str value;
    } add[] = {{"service", ch->service}, {"scope", ch->scope}};
    for (size_t i = 0; i < COUNT(add); i++) {
        if (add[i].value.n == 0)
            continue;
        query = str_fmt(&c->mem, "%.*s%s%s=%.*s", STR(query), query.n ? "&" : "", add[i].name,
                        STR(percent_encode(&c->mem, add[i].value, ":/,")));
    }
    realm.query = query;
    realm.has_query = query.n != 0;
    return url_text(&c->mem, &realm);
}

static enum err fetch(struct ctx *c, struct tokens *t, const struct asker *a,
                      const struct challenge *ch, struct str *token_out, int64_t *life_s_out,
                      struct oci_status *st)
{
    struct url realm;
    struct client_answer answer;
    if (url_parse(c, ch->realm, &realm) != E_OK)
        return fail(c, E_UPSTREAM, "the upstream's token realm is not a plain http(s) URL");
    if (!realm.https && a->base.https)
        return fail(c, E_DENIED, "the upstream's token realm is plain http");
    struct str basic = NO_STR;
    if (token_realm_trusted(c, a, &realm))
        basic = basic_of(c, a->endpoint);
    if (basic.n)
        TRY(may_send(c, t, a->endpoint, st));
    struct header headers[] = {{S("Accept"), S("application/json")}, {S("Authorization"), basic}};
    struct client_call call = {
        .method = HTTP_GET,
        .url = token_url(c, realm, ch),
        .headers = headers,
        .header_count = basic.n ? 2 : 1,
        .max_body = (size_t)64 << 10,
        .total_ms = FETCH_MS,
    };
    TRY(asker_do(c, a, &call, &answer));
    if (basic.n && (answer.status == 200 || answer.status == 401))
        note_refusal(t, a->endpoint, answer.status == 401);
    if (answer.status == 200)
        return token_parse(c, answer.body, token_out, life_s_out);
    oci_status_note(c, &answer, false, st);
    return oci_status_error(c, a, st, E_UPSTREAM);
}

/* the tables */

static struct str known_key(struct ctx *c, const struct asker *a, struct str repo)
{
    return str_fmt(&c->mem, "%lld\n%lld\n%.*s", (long long)a->endpoint->id,
                   (long long)a->endpoint->epoch, STR(repo));
}

static struct str token_key(struct ctx *c, const struct asker *a, const struct challenge *ch)
{
    return str_fmt(&c->mem, "%lld\n%lld\n%.*s\n%.*s\n%.*s", (long long)a->endpoint->id,
                   (long long)a->endpoint->epoch, STR(ch->realm), STR(ch->service), STR(ch->scope));
}

/* One entry that may go; NULL when all are in use. Under the lock. */
static const struct map_entry *victim(const struct map *m, bool tokens, bool any)
{
    struct map_entry *e;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; (e = map_next(m, &i));) {
        if (!tokens)
            return e;
        const struct token *k = e->value;
        if (!k->fetching && !k->waiting && (any || k->good_until <= now))
            return e;
    }
    return NULL;
}

/* Keeps a table bounded: what is over goes first, then whatever the walk meets. */
static void make_room(struct ctx *c, struct map *m, bool tokens)
{
    const struct map_entry *e;
    while (m->count >= TABLE_MAX &&
           ((e = victim(m, tokens, false)) || (e = victim(m, tokens, true)))) {
        struct str key = str_dup(&c->mem, (struct str){e->key, e->key_n});
        void *value = map_remove(m, key);
        if (tokens)
            token_free(value);
        else
            known_free(value);
    }
}

static char *own(struct str s)
{
    return strndup(s.n ? s.p : "", s.n);
}

static void remember(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                     const struct challenge *ch)
{
    if (a->endpoint->id == 0)
        return;
    struct known *k = calloc(1, sizeof *k);
    if (!k)
        return; /* remembering is an economy */
    *k = (struct known){ch->scheme, own(ch->realm), own(ch->service), own(ch->scope)};
    /* Basic is the whole registry's way, a bearer scope is a repository's */
    struct str key = known_key(c, a, ch->scheme == CHALLENGE_BASIC ? S("") : repo);
    pthread_mutex_lock(&t->lock);
    make_room(c, &t->known, false);
    struct known *old = map_remove(&t->known, key);
    bool ok = k->realm && k->service && k->scope && map_set(&t->known, key, k);
    pthread_mutex_unlock(&t->lock);
    known_free(old);
    if (!ok)
        known_free(k);
}

static bool recall_key(struct ctx *c, struct tokens *t, struct str key, struct challenge *out)
{
    const struct known *k = map_get(&t->known, key);
    if (!k)
        return false;
    *out = (struct challenge){
        .scheme = k->scheme,
        .realm = str_dup(&c->mem, str_of(k->realm)),
        .service = str_dup(&c->mem, str_of(k->service)),
        .scope = str_dup(&c->mem, str_of(k->scope)),
    };
    return true;
}

static bool recall(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                   struct challenge *out)
{
    if (a->endpoint->id == 0)
        return false;
    struct str mine = known_key(c, a, repo), all = known_key(c, a, S(""));
    pthread_mutex_lock(&t->lock);
    bool found = recall_key(c, t, mine, out) ||
                 (recall_key(c, t, all, out) && out->scheme == CHALLENGE_BASIC);
    pthread_mutex_unlock(&t->lock);
    return found;
}

static struct token *entry_of(struct ctx *c, struct tokens *t, struct str key)
{
    struct token *k = map_get(&t->tokens, key);
    if (k)
        return k;
    make_room(c, &t->tokens, true);
    k = calloc(1, sizeof *k);
    if (k && !map_set(&t->tokens, key, k)) {
        free(k);
        k = NULL;
    }
    return k;
}

/* Waits for the fetch under way; its failure is ours. Under the lock. */
static enum err await(struct ctx *c, struct tokens *t, struct token *k, int64_t deadline,
                      struct oci_status *st)
{
    int64_t left = deadline ? i64_min(deadline - clock_mono_ms(), FETCH_MS) : FETCH_MS;
    uint64_t round = k->round;
    struct timespec until = clock_deadline(left);
    k->waiting++;
    int rc = 0;
    while (rc == 0 && k->round == round)
        rc = left > 0 ? pthread_cond_timedwait(&t->done, &t->lock, &until) : -1;
    k->waiting--;
    if (k->round == round)
        return fail(c, E_UPSTREAM_TIMEOUT, "the upstream's token service does not answer in time");
    if (k->err == E_OK)
        return E_OK;
    *st = k->st;
    c->retry_after = k->st.retry_after_s;
    return fail(c, k->err, "%s", k->msg);
}

/* Notes the outcome of a fetch and wakes those who wait. Under the lock. */
static void settle(struct ctx *c, struct tokens *t, struct token *k, enum err e, struct str text,
                   int64_t life_s, const struct oci_status *st)
{
    k->fetching = false;
    k->round++;
    k->err = e;
    k->st = *st;
    k->st.source = k->st.reason = NO_STR;
    secret_release(&k->text);
    k->good_until = 0;
    if (e == E_OK && secret_set(&k->text, text))
        k->good_until = clock_mono_ms() + life_s * 800;
    if (e != E_OK) {
        size_t n = strnlen(c->msg, sizeof k->msg - 1);
        memcpy(k->msg, c->msg, n);
        k->msg[n] = '\0';
    }
    pthread_cond_broadcast(&t->done);
}

static struct authorization bearer(struct ctx *c, enum token_kind kind, struct str text)
{
    return (struct authorization){kind, str_fmt(&c->mem, "Bearer %.*s", STR(text))};
}

static bool usable(struct ctx *c, const struct token *k, struct str refused)
{
    if (k->good_until <= clock_mono_ms())
        return false;
    struct authorization have = bearer(c, TOKEN_CACHED, secret_view(&k->text));
    return !secret_eq(have.value, refused);
}

/* A token for the challenge, other than the refused one ("Bearer ..." or empty). */
static enum err obtain(struct ctx *c, struct tokens *t, const struct asker *a,
                       const struct challenge *ch, struct str refused, struct authorization *out,
                       struct oci_status *st)
{
    struct str text = NO_STR, key = token_key(c, a, ch);
    int64_t life_s = 0;
    if (a->endpoint->id == 0) {
        TRY(fetch(c, t, a, ch, &text, &life_s, st));
        *out = bearer(c, TOKEN_FRESH, text);
        return E_OK;
    }
    pthread_mutex_lock(&t->lock);
    struct token *k = entry_of(c, t, key);
    enum err e = k ? E_OK : fail(c, E_INTERNAL, "out of memory");
    bool waited = k && k->fetching;
    for (int i = 0; e == E_OK && k->fetching && i < 3; i++)
        e = await(c, t, k, a->deadline, st);
    bool have = e == E_OK && usable(c, k, refused);
    if (have)
        *out = bearer(c, waited ? TOKEN_FRESH : TOKEN_CACHED, secret_view(&k->text));
    bool fetch_it = e == E_OK && !have && !k->fetching;
    if (fetch_it) {
        k->fetching = true;
        k->good_until = 0;
    }
    pthread_mutex_unlock(&t->lock);
    if (e != E_OK || have)
        return e;
    if (!fetch_it)
        return fail(c, E_DENIED, "the upstream refuses each of its own tokens");
    e = fetch(c, t, a, ch, &text, &life_s, st);
    pthread_mutex_lock(&t->lock);
    settle(c, t, k, e, text, life_s, st);
    pthread_mutex_unlock(&t->lock);
    if (e == E_OK)
        *out = bearer(c, TOKEN_FRESH, text);
    return e;
}

enum err token_for(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                   struct authorization *out, struct oci_status *st)
{
    struct challenge ch;
    *out = (struct authorization){TOKEN_NONE, NO_STR};
    if (!recall(c, t, a, repo, &ch))
        return E_OK;
    if (ch.scheme == CHALLENGE_BEARER)
        return obtain(c, t, a, &ch, NO_STR, out, st);
    struct str basic = basic_of(c, a->endpoint);
    if (basic.n)
        *out = (struct authorization){TOKEN_BASIC, basic};
    return E_OK;
}

/* The first Bearer challenge, else the first Basic one. */
static enum err choose(struct ctx *c, const struct client_answer *answer, struct challenge *out)
{
    struct challenge found[CHALLENGES_MAX];
    size_t count;
    *out = (struct challenge){0};
    for (size_t i = 0; i < answer->header_count; i++) {
        if (!str_eq_nocase(answer->headers[i].name, S("www-authenticate")))
            continue;
        TRY(challenge_parse(c, answer->headers[i].value, found, &count));
        for (size_t j = 0; j < count; j++)
            if (found[j].scheme > out->scheme &&
                (found[j].scheme == CHALLENGE_BASIC || found[j].realm.n))
                *out = found[j];
    }
    return E_OK;
}

enum err token_challenged(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                          const struct client_answer *answer, const struct authorization *sent,
                          struct authorization *out, struct oci_status *st)
{
    struct challenge ch;
    TRY(choose(c, answer, &ch));
    if (ch.scheme == CHALLENGE_OTHER)
        return oci_status_error(c, a, st, E_DENIED);
    if (ch.scheme == CHALLENGE_BEARER) {
        if (ch.scope.n == 0 && repo.n)
            ch.scope = str_fmt(&c->mem, "repository:%.*s:pull", STR(repo));
        remember(c, t, a, repo, &ch);
        return obtain(c, t, a, &ch, sent->value, out, st);
    }
    struct str basic = basic_of(c, a->endpoint);
    if (basic.n == 0 || sent->kind == TOKEN_BASIC)
        return oci_status_error(c, a, st, E_DENIED);
    remember(c, t, a, repo, &ch);
    *out = (struct authorization){TOKEN_BASIC, basic};
    return E_OK;
}

enum err token_renewed(struct ctx *c, struct tokens *t, const struct asker *a, struct str repo,
                       const struct authorization *sent, struct authorization *out,
                       struct oci_status *st)
{
    struct challenge ch;
    if (!recall(c, t, a, repo, &ch) || ch.scheme != CHALLENGE_BEARER)
        return fail(c, E_DENIED, "no challenge is known");
    return obtain(c, t, a, &ch, sent->value, out, st);
}
