/*
 * Invariant: a password is compared only behind the back-off check, one at a time for one name and
 * address, and never inside a transaction. A verified one is kept 60 s as a MAC under a key of this
 * process together with the principal's epoch, so a change of password, role or state voids it.
 * Failures all say the same words and cost the same work, whether the name exists or not.
 */
#include "api/auth.h"

#include "api/backoff.h"
#include "api/dispatch.h"
#include "api/token.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/secret.h"
#include "meta/store.h"
#include "net/cookie.h"
#include "rule/settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define VERIFIED_MS 60000
#define CSRF_SEED_HEX 32
#define SETS 512
#define WAYS 4
#define STRIPES 64

struct verified {
    unsigned char mac[MAC_SIZE];
    int64_t id, epoch, until_ms;
};

static struct verified cache[SETS][WAYS];
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stripes[STRIPES];
static unsigned char mac_key[KEY_SIZE];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static atomic_bool held;
static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_over = PTHREAD_COND_INITIALIZER;

void auth_hold(void)
{
    atomic_store(&held, true);
}

void auth_go_on(void)
{
    pthread_mutex_lock(&hold_lock);
    atomic_store(&held, false);
    pthread_cond_broadcast(&hold_over);
    pthread_mutex_unlock(&hold_lock);
}

void auth_wait(void)
{
    if (!atomic_load_explicit(&held, memory_order_acquire))
        return;
    pthread_mutex_lock(&hold_lock);
    while (atomic_load(&held))
        pthread_cond_wait(&hold_over, &hold_lock);
    pthread_mutex_unlock(&hold_lock);
}

static void init(void)
{
    random_fill(mac_key, sizeof mac_key);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&stripes[i], NULL);
}

static void mac_of(struct str a, struct str b, unsigned char mac[MAC_SIZE])
{
    struct arena mem = {0};
    pthread_once(&once, init);
    struct str text = str_fmt(&mem, "%zu:%.*s%.*s", a.n, STR(a), STR(b));
    hmac_sha256((struct str){(const char *)mac_key, sizeof mac_key}, text, mac);
    explicit_bzero((void *)(uintptr_t)text.p, text.n);
    arena_release(&mem);
}

static struct verified *cache_set(const unsigned char mac[MAC_SIZE])
{
    return cache[((size_t)mac[0] << 8 | mac[1]) % SETS];
}

static bool cache_has(const unsigned char mac[MAC_SIZE], const struct principal *p)
{
    struct verified *set = cache_set(mac);
    int64_t now = clock_mono_ms();
    bool hit = false;
    pthread_mutex_lock(&cache_lock);
    for (size_t i = 0; i < WAYS; i++)
        hit = hit || (set[i].until_ms > now && set[i].id == p->id && set[i].epoch == p->epoch &&
                      memcmp(set[i].mac, mac, MAC_SIZE) == 0);
    pthread_mutex_unlock(&cache_lock);
    return hit;
}

static void cache_put(const unsigned char mac[MAC_SIZE], const struct principal *p)
{
    struct verified *set = cache_set(mac), *oldest = set;
    pthread_mutex_lock(&cache_lock);
    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(set[i].mac, mac, MAC_SIZE) == 0) {
            oldest = &set[i];
            break;
        }
        if (set[i].until_ms < oldest->until_ms)
            oldest = &set[i];
    }
    memcpy(oldest->mac, mac, MAC_SIZE);
    oldest->id = p->id;
    oldest->epoch = p->epoch;
    oldest->until_ms = clock_mono_ms() + VERIFIED_MS;
    pthread_mutex_unlock(&cache_lock);
}

/* ---- names and passwords ------------------------------------------------------------------ */

bool auth_parse_basic(struct arena *a, struct str header, struct str *name, struct str *password)
{
    struct str rest = header, plain;
    if (!str_eq_nocase(str_cut(&rest, ' '), S("Basic")))
        return false;
    rest = str_trim(rest);
    if (!rest.n || rest.n > 2048 || !base64_decode(a, rest, &plain))
        return false;
    int64_t colon = str_find(plain, ':');
    if (colon < 0 || memchr(plain.p, '\0', plain.n) || !utf8_valid(plain))
        return false;
    *name = str_sub(plain, 0, (size_t)colon);
    *password = str_sub(plain, (size_t)colon + 1, plain.n);
    return name->n > 0 && name->n <= 512 && password->n > 0 && password->n <= 512;
}

struct str auth_principal_text(struct arena *a, const struct settings *s, const struct principal *p)
{
    if (p->kind == PRINCIPAL_ANONYMOUS)
        return S("anonymous");
    if (p->kind == PRINCIPAL_ROBOT)
        return str_fmt(a, "%.*s%.*s", STR(s->robot_prefix), STR(p->name));
    return p->name;
}

static enum err bad_credential(struct call *r)
{
    r->principal = (struct principal){0};
    r->scheme = AUTH_NONE;
    if (r->mirror)
        return E_OK; /* a mirror client's credential is for somebody else */
    return fail(r->c, E_UNAUTHORIZED, "unauthorized: user name, password or token is wrong");
}

static bool is_robot_name(struct call *r, struct str name)
{
    struct str prefix = api_config(r->api)->robot_prefix;
    return prefix.n && str_starts(name, prefix);
}

static enum err principal_by_name(struct call *r, struct str name, struct principal *out)
{
    if (!is_robot_name(r, name))
        return principal_user_by_name(r->c, name, out);
    size_t skip = api_config(r->api)->robot_prefix.n;
    return principal_robot_by_name(r->c, str_sub(name, skip, name.n), out);
}

/* Who is not there costs the same work as who is there and was given a wrong secret. */
static bool password_right(struct call *r, struct str name, const struct principal *p, bool found,
                           struct str password)
{
    if (found && str_starts(p->secret_hash, S("$argon2")))
        return password_verify(p->secret_hash, password);
    if (found && p->secret_hash.n)
        return generated_verify(p->secret_hash, password);
    if (is_robot_name(r, name))
        (void)generated_hash(&r->c->mem, password);
    else
        password_verify_nobody(password);
    return false;
}

static enum err too_many(struct call *r, int64_t wait_s)
{
    r->c->retry_after = wait_s;
    return fail(r->c, E_TOO_MANY, "too many failed logins; try again in %lld s", (long long)wait_s);
}

/*
 * Failures on a mirror are mostly credentials for somebody else: they are not logged, do not count
 * against the address, and slow down guesses on mirrors only. Without any count a mirror would be
 * the place to guess.
 */
static struct str backoff_name(struct call *r, struct str name)
{
    return r->mirror ? str_fmt(&r->c->mem, "\n%.*s", STR(name)) : name;
}

static void note_failure(struct call *r, struct str name)
{
    if (r->mirror) {
        backoff_failed_pair(backoff_name(r, name), r->http->client, clock_mono_ms());
        return;
    }
    backoff_failed(name, r->http->client, clock_mono_ms());
    metric_add(M_login_failures, 1);
}

static int64_t wait_s(struct call *r, struct str name)
{
    return backoff_wait(backoff_name(r, name), r->http->client, clock_mono_ms());
}

/* The slow path: serialised per (name, address), behind the back-off. */
static enum err verify(struct call *r, struct str name, struct str password, bool found,
                       const struct principal *p, bool *right)
{
    unsigned char mac[MAC_SIZE], pair[MAC_SIZE];
    mac_of(name, password, mac);
    mac_of(name, r->http->client, pair);
    pthread_mutex_t *stripe = &stripes[pair[0] % STRIPES];
    pthread_mutex_lock(stripe);
    int64_t wait = wait_s(r, name);
    if (wait) {
        pthread_mutex_unlock(stripe);
        return too_many(r, wait);
    }
    *right = found && cache_has(mac, p);
    if (!*right) {
        *right = password_right(r, name, p, found, password) && !p->disabled;
        if (*right) {
            cache_put(mac, p);
            backoff_succeeded(backoff_name(r, name), r->http->client);
        } else {
            note_failure(r, name);
        }
    }
    pthread_mutex_unlock(stripe);
    if (!*right && !r->mirror)
        log_warn("api", "failed login of \"%.*s\" from %.*s", STR(str_sub(name, 0, 255)),
                 STR(r->http->client));
    return E_OK;
}

static enum err lookup(struct call *r, struct str name, struct principal *p, bool *found)
{
    enum err e = principal_by_name(r, name, p);
    *found = e == E_OK;
    return e == E_NOT_FOUND ? E_OK : e;
}

static enum err basic(struct call *r, struct str header)
{
    struct str name, password;
    struct principal p = {0};
    bool found = false, right = false;
    if (!auth_parse_basic(&r->c->mem, header, &name, &password))
        return bad_credential(r);
    TRY(lookup(r, name, &p, &found));
    if (found && !p.disabled) {
        unsigned char mac[MAC_SIZE];
        mac_of(name, password, mac);
        right = cache_has(mac, &p);
    }
    if (right) {
        int64_t wait = wait_s(r, name);
        if (wait)
            return r->mirror ? bad_credential(r) : too_many(r, wait);
    } else {
        tx_end(&r->tx);
        enum err e = verify(r, name, password, found, &p, &right);
        if (e != E_OK && !(r->mirror && e == E_TOO_MANY))
            return e;
        r->c->retry_after = 0;
        TRY(tx_read(r->c, &r->tx));
    }
    if (!right)
        return bad_credential(r);
    r->principal = p;
    r->scheme = AUTH_BASIC;
    return E_OK;
}

enum err auth_login(struct call *r, struct str name, struct str password, struct principal *out)
{
    struct principal p = {0};
    bool found = false, right = false;
    if (!name.n || !password.n || name.n > 512 || password.n > 512)
        return fail(r->c, E_UNAUTHORIZED, "invalid user name or password");
    auth_wait();
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(r->c, &tx));
        TRY(lookup(r, name, &p, &found));
    }
    TRY(verify(r, name, password, found, &p, &right));
    if (!right || p.kind != PRINCIPAL_USER)
        return fail(r->c, E_UNAUTHORIZED, "invalid user name or password");
    *out = p;
    return E_OK;
}

/* ---- tokens and sessions ------------------------------------------------------------------ */

static enum err bearer(struct call *r, struct str token)
{
    struct token_claims *claims;
    struct principal p = {0};
    if (r->realm != REALM_REGISTRY || token_verify(r, token, &claims) != E_OK)
        return bad_credential(r);
    if (claims->kind != PRINCIPAL_ANONYMOUS) {
        enum err e = principal_by_id(r->c, claims->kind, claims->id, &p);
        if (e == E_NOT_FOUND || (e == E_OK && (p.disabled || p.epoch != claims->epoch)))
            return bad_credential(r);
        TRY(e);
    }
    r->principal = p;
    r->token = claims;
    r->scheme = AUTH_BEARER;
    return E_OK;
}

static enum err by_session(struct call *r, struct str id)
{
    struct session s = {0};
    struct principal p = {0};
    enum err e = session_by_id(r->c, id, &s);
    if (e == E_OK)
        e = principal_by_id(r->c, PRINCIPAL_USER, s.user_id, &p);
    if (e == E_NOT_FOUND || (e == E_OK && (p.disabled || p.epoch != s.epoch)))
        return E_OK; /* an old cookie is nobody, not an error */
    TRY(e);
    r->principal = p;
    r->scheme = AUTH_SESSION;
    r->by_session = true;
    r->session_id = id;
    r->csrf = s.csrf;
    int64_t life_us = api_config(r->api)->session_timeout_s * SECOND_US;
    r->session_ages = s.expires.us - r->tx.now.us < life_us - i64_min(60 * SECOND_US, life_us / 10);
    return E_OK;
}

enum err auth_authenticate(struct call *r)
{
    struct str header = http_header(r->http, "Authorization"), rest = header;
    struct str sid = r->realm == REALM_REGISTRY ? NO_STR : cookie_get(r->http, SESSION_COOKIE);
    if (http_header_count(r->http, "Authorization") > 1)
        return bad_credential(r);
    if (header.n) {
        struct str scheme = str_cut(&rest, ' ');
        if (str_eq_nocase(scheme, S("Bearer")))
            TRY(bearer(r, str_trim(rest)));
        else if (str_eq_nocase(scheme, S("Basic")))
            TRY(basic(r, header));
        else
            TRY(bad_credential(r));
    } else if (sid.n && sid.n <= 128) {
        TRY(by_session(r, sid));
    }
    r->c->actor = auth_principal_text(&r->c->mem, api_config(r->api), &r->principal);
    return E_OK;
}

/* ---- CSRF and the cookie ------------------------------------------------------------------ */

/* Without a session the token is a MAC of a random cookie, under a key that all nodes share. */
static struct str csrf_of(struct call *r, struct str seed)
{
    unsigned char mac[MAC_SIZE];
    const struct seal_key *key = meta_seal_key();
    struct str text = str_fmt(&r->c->mem, "csrf:%.*s", STR(seed));
    hmac_sha256((struct str){(const char *)key->bytes, KEY_SIZE}, text, mac);
    return hex_encode(&r->c->mem, mac, MAC_SIZE);
}

/* max_age: as in struct cookie. */
static enum err set_cookie(struct call *r, struct str name, struct str value, int64_t max_age)
{
    const struct cookie cookie = {.name = name,
                                  .value = value,
                                  .max_age = max_age,
                                  .secure = r->http->https,
                                  .http_only = true,
                                  .strict = true};
    struct str text;
    TRY(cookie_build(r->c, &cookie, &text));
    reply_header(&r->reply, S("Set-Cookie"), text);
    return E_OK;
}

static enum err anonymous_csrf(struct call *r, struct str *out)
{
    struct str seed = cookie_get(r->http, CSRF_COOKIE);
    if (seed.n != CSRF_SEED_HEX) {
        seed = random_hex(&r->c->mem, CSRF_SEED_HEX / 2);
        TRY(set_cookie(r, S(CSRF_COOKIE), seed, 0));
    }
    *out = csrf_of(r, seed);
    return E_OK;
}

enum err auth_csrf(struct call *r)
{
    bool safe = r->http->method == HTTP_GET || r->http->method == HTTP_HEAD;
    bool always = r->route->flags & ROUTE_CSRF;
    if (r->realm == REALM_REGISTRY || (!r->by_session && (r->realm == REALM_API || r->scheme)))
        return E_OK;
    if (!r->by_session && !always && !safe)
        return E_OK;
    struct str want = r->csrf;
    if (!r->by_session)
        TRY(anonymous_csrf(r, &want));
    call_header(r, CSRF_HEADER, "%.*s", STR(want));
    if (!safe && (r->by_session || always) && !secret_eq(want, http_header(r->http, CSRF_HEADER)))
        return fail(r->c, E_FORBIDDEN, "CSRF token not found in request or invalid");
    return E_OK;
}

/* The token of before the login, which auth_csrf has put there, is not the session's. */
static void replace_csrf(struct call *r, struct str token)
{
    for (size_t i = 0; i < r->reply.header_count; i++)
        if (str_eq_nocase(r->reply.headers[i].name, str_of(CSRF_HEADER))) {
            r->reply.headers[i].value = str_dup(&r->c->mem, token);
            return;
        }
    call_header(r, CSRF_HEADER, "%.*s", STR(token));
}

enum err auth_session_start(struct call *r, const struct principal *p)
{
    int64_t life = api_config(r->api)->session_timeout_s;
    struct session s = {.id = random_hex(&r->c->mem, 32),
                        .user_id = p->id,
                        .epoch = p->epoch,
                        .csrf = random_hex(&r->c->mem, 32)};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(r->c, &tx));
    TRY(session_insert(r->c, &s, life));
    TRY(tx_commit(&tx));
    TRY(set_cookie(r, S(SESSION_COOKIE), s.id, 0));
    replace_csrf(r, s.csrf);
    return E_OK;
}

enum err auth_session_end(struct call *r)
{
    if (r->by_session) {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_begin(r->c, &tx));
        TRY(session_delete(r->c, r->session_id));
        TRY(tx_commit(&tx));
    }
    return set_cookie(r, S(SESSION_COOKIE), S(""), -1);
}
