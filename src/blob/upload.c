/*
 * Upload sessions. A row says that the session exists, whose it is and under which key its bytes
 * go; the file says how far it came. This process keeps the running hash of sessions it has seen,
 * at most PARKED_MAX of them, with what their rows say: nobody else changes a session's row, and
 * whoever ends one here forgets it here. Of any other the row is read, and its hash is made again
 * by reading the file.
 *
 * A session is held by one request at a time. The offset is the file's size, never a promise
 * about bytes that are not there. After a crash the row and the file are all there is, and they
 * are enough. After the machine itself went down they are not (a file may end in zeros that were
 * never written): such a session begins again at 0.
 */
#include "blob/upload.h"

#include "base/crypt.h"
#include "base/log.h"
#include "base/map.h"
#include "blob/driver.h"
#include "rule/settings.h"

#include <stdlib.h>
#include <string.h>

#define PARKED_MAX 10000
#define SWEEP_STEP 200

/* What the process remembers of a session between requests. */
struct parked {
    char id[64], key[64];
    bool busy;
    bool known;     /* row is filled in; its texts are this struct's */
    bool untouched; /* nobody has made its file yet */
    struct upload row;
    struct hasher *hasher; /* NULL = to be made from the file */
    int64_t hashed;
    struct parked *next, *prev; /* least recently used last; only while not busy */
    char actor[];
};

struct upload_table {
    pthread_mutex_t lock;
    struct map sessions; /* id -> struct parked */
    struct map finished; /* physical key -> its busy session, until the key is committed */
    struct parked *newest, *oldest;
    size_t idle;
};

struct upload_session {
    struct parked *mem; /* busy, so it is ours */
    struct store_file *file;
};

/* ---- the table --------------------------------------------------------------------------- */

struct upload_table *upload_table_new(void)
{
    struct upload_table *t = calloc(1, sizeof *t);
    if (t)
        pthread_mutex_init(&t->lock, NULL);
    return t;
}

/* Busy, of the one who asks. */
static struct parked *parked_new(struct ctx *c, struct str id)
{
    struct parked *p = calloc(1, sizeof *p + c->actor.n);
    if (!p)
        return NULL;
    memcpy(p->id, id.p, id.n);
    memcpy(p->actor, c->actor.p, c->actor.n);
    p->busy = true;
    p->row.id = str_of(p->id);
    p->row.actor = (struct str){p->actor, c->actor.n};
    return p;
}

/* The row of a session that is the asker's. */
static void learn(struct parked *p, const struct upload *u)
{
    struct str id = p->row.id, actor = p->row.actor;
    memcpy(p->key, u->phys_key.p, u->phys_key.n);
    p->row = *u;
    p->row.id = id;
    p->row.actor = actor;
    p->row.phys_key = (struct str){p->key, u->phys_key.n};
    p->row.repository_path = p->row.digest = NO_STR; /* a flight's */
    p->known = true;
}

static void parked_free(struct parked *p)
{
    hasher_free(p->hasher);
    free(p);
}

void upload_table_free(struct upload_table *t)
{
    if (!t)
        return;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->sessions, &i));)
        parked_free(e->value);
    map_release(&t->sessions);
    map_release(&t->finished);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void lru_remove(struct upload_table *t, struct parked *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        t->newest = p->next;
    if (p->next)
        p->next->prev = p->prev;
    else
        t->oldest = p->prev;
    p->next = p->prev = NULL;
    t->idle--;
}

static void lru_add(struct upload_table *t, struct parked *p)
{
    p->prev = NULL;
    p->next = t->newest;
    if (t->newest)
        t->newest->prev = p;
    else
        t->oldest = p;
    t->newest = p;
    t->idle++;
}

static enum err hold(struct ctx *c, struct str id, struct parked **out)
{
    struct upload_table *t = store_uploads(c->sv->store);
    enum err e = E_OK;
    if (id.n >= sizeof((struct parked *)0)->id)
        return fail(c, E_UPLOAD_UNKNOWN, "upload unknown");
    pthread_mutex_lock(&t->lock);
    struct parked *p = map_get(&t->sessions, id);
    if (p && p->busy) {
        e = fail(c, E_CONFLICT, "another request is using this upload");
    } else if (p) {
        lru_remove(t, p);
        p->busy = true;
    } else {
        p = parked_new(c, id);
        if (!p || !map_set(&t->sessions, id, p)) {
            free(p);
            e = fail(c, E_UNAVAILABLE, "out of memory");
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (e == E_OK)
        *out = p;
    return e;
}

static void drop(struct ctx *c, struct parked *p)
{
    struct upload_table *t = store_uploads(c->sv->store);
    pthread_mutex_lock(&t->lock);
    map_remove(&t->sessions, str_of(p->id));
    pthread_mutex_unlock(&t->lock);
    parked_free(p);
}

/* Back to the idle ones; the one that nobody used longest gives its place up. */
static void let_go(struct ctx *c, struct parked *p)
{
    struct upload_table *t = store_uploads(c->sv->store);
    struct parked *out = NULL;
    pthread_mutex_lock(&t->lock);
    p->busy = false;
    lru_add(t, p);
    if (t->idle > PARKED_MAX) {
        out = t->oldest;
        lru_remove(t, out);
        map_remove(&t->sessions, str_of(out->id));
    }
    pthread_mutex_unlock(&t->lock);
    if (out)
        parked_free(out);
}

/* A session that nobody knows but who began it: its first request need not ask the database. */
static void let_in(struct ctx *c, const struct upload *u)
{
    struct upload_table *t = store_uploads(c->sv->store);
    struct parked *p = parked_new(c, u->id);
    if (!p)
        return;
    learn(p, u);
    p->untouched = true;
    pthread_mutex_lock(&t->lock);
    bool in = map_set(&t->sessions, u->id, p);
    pthread_mutex_unlock(&t->lock);
    if (in)
        let_go(c, p);
    else
        parked_free(p);
}

/* ---- sessions ---------------------------------------------------------------------------- */

enum err upload_begin(struct ctx *c, int64_t repository_id, struct str *id_out)
{
    struct upload u = {.kind = UPLOAD_USER,
                       .repository_id = repository_id,
                       .actor = c->actor,
                       .size = -1,
                       .id = random_uuid(&c->mem)};
    TRY(store_key(c, &u.phys_key));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(upload_insert(c, &u, c->sv->settings->upload_expiry_s));
    TRY(tx_commit(&tx));
    let_in(c, &u);
    *id_out = u.id;
    return E_OK;
}

static enum err read_row(struct ctx *c, struct parked *p)
{
    struct upload row;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    TRY(upload_by_id(c, str_of(p->id), &row));
    if (row.kind != UPLOAD_USER || !str_eq(row.actor, c->actor))
        return E_NOT_FOUND;
    if (row.phys_key.n >= sizeof p->key)
        return fail(c, E_INTERNAL, "bad object key");
    learn(p, &row);
    return E_OK;
}

/* Another's session is unknown to the asker, as one that never was. */
static enum err find_row(struct ctx *c, struct parked *p, int64_t repository_id)
{
    enum err e = p->known ? E_OK : read_row(c, p);
    bool ours = e == E_OK && p->row.repository_id == repository_id &&
                str_eq(p->row.actor, c->actor) && p->row.expires.us > clock_now().us;
    if (e == E_NOT_FOUND || (e == E_OK && !ours))
        return fail(c, E_UPLOAD_UNKNOWN, "upload unknown");
    return e;
}

/* After a request that found no session of its own: the owner's, if there is one, goes on. */
static void leave(struct ctx *c, struct parked *p)
{
    if (p->known)
        let_go(c, p);
    else
        drop(c, p);
}

static enum err open_file(struct ctx *c, struct upload_session *s)
{
    int64_t size = 0;
    struct parked *p = s->mem;
    enum err e = p->untouched ? E_NOT_FOUND : store_reopen(c, p->row.phys_key, &s->file, &size);
    p->untouched = false;
    if (e == E_NOT_FOUND)
        e = store_create(c, p->row.phys_key, &s->file);
    TRY(e);
    if (!p->hasher && size && store_doubts(c->sv->store, p->row.started)) {
        TRY(store_empty(c, s->file));
        size = 0;
    }
    if (p->hasher && p->hashed == size)
        return E_OK;
    hasher_free(TAKE(p->hasher));
    TRY(store_hash(c, store_fd(s->file), size, DIGEST_SHA256, &p->hasher));
    p->hashed = size;
    return E_OK;
}

enum err upload_open(struct ctx *c, struct str id, int64_t repository_id,
                     struct upload_session **out)
{
    struct upload_session *s = calloc(1, sizeof *s);
    if (!s)
        return fail(c, E_UNAVAILABLE, "out of memory");
    enum err e = hold(c, id, &s->mem);
    if (e != E_OK) {
        free(s);
        return e;
    }
    e = find_row(c, s->mem, repository_id);
    if (e == E_OK)
        e = open_file(c, s);
    if (e != E_OK) {
        if (e == E_UPLOAD_UNKNOWN)
            leave(c, s->mem);
        else
            drop(c, s->mem);
        store_close(s->file);
        free(s);
        return e;
    }
    *out = s;
    return E_OK;
}

int64_t upload_offset(const struct upload_session *s)
{
    return store_size(s->file);
}

enum err upload_write(struct ctx *c, struct upload_session *s, const void *p, size_t n)
{
    TRY(store_append(c, s->file, p, n));
    if (!hasher_add(s->mem->hasher, p, n))
        return fail(c, E_INTERNAL, "hashing failed");
    s->mem->hashed += (int64_t)n;
    return E_OK;
}

/* A write a chunk would cost a commit each: the life is renewed when half of it is gone. */
static enum err extend(struct ctx *c, struct upload *row)
{
    int64_t life = c->sv->settings->upload_expiry_s;
    if (row->expires.us - clock_now().us > life / 2 * SECOND_US)
        return E_OK;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    TRY(upload_extend(c, row->id, life));
    struct timestamp until = {tx.now.us + life * SECOND_US};
    TRY(tx_commit(&tx));
    row->expires = until;
    return E_OK;
}

void upload_park(struct ctx *c, struct upload_session *s)
{
    if (!s)
        return;
    struct ctx quiet = {.sv = c->sv, .actor = c->actor}; /* keeps the caller's reason */
    if (extend(&quiet, &s->mem->row) != E_OK)
        log_warn("blob", "upload %s keeps its old end of life: %s", s->mem->id, quiet.msg);
    ctx_release(&quiet);
    store_close(s->file);
    let_go(c, s->mem);
    free(s);
}

/* The row goes first: an object without a row is an intent, and the sweep knows those. */
static enum err end_session(struct ctx *c, const struct upload *u)
{
    struct tx tx = {0};
    enum err e = tx_begin(c, &tx);
    if (e == E_OK)
        e = upload_delete(c, u->id);
    if (e == E_OK)
        e = tx_commit(&tx);
    tx_end(&tx);
    return e == E_OK ? store_delete(c, u->phys_key) : e;
}

static void discard(struct ctx *c, struct upload_session *s)
{
    struct ctx quiet = {.sv = c->sv, .actor = c->actor};
    if (end_session(&quiet, &s->mem->row) != E_OK)
        log_warn("blob", "upload %s is left to the sweep: %s", s->mem->id, quiet.msg);
    ctx_release(&quiet);
}

static enum err digest_of_file(struct ctx *c, struct upload_session *s, enum digest_alg alg,
                               struct digest *out)
{
    struct hasher *h = NULL;
    if (alg == DIGEST_SHA256)
        h = TAKE(s->mem->hasher);
    else
        TRY(store_hash(c, store_fd(s->file), store_size(s->file), alg, &h));
    bool ok = hasher_end(h, out);
    hasher_free(h);
    return ok ? E_OK : fail(c, E_INTERNAL, "hashing failed");
}

static enum err prove(struct ctx *c, struct upload_session *s, const struct digest *want)
{
    struct digest got;
    TRY(digest_of_file(c, s, want->alg, &got));
    if (!digest_eq(&got, want))
        return fail(c, E_DIGEST_INVALID, "the uploaded content has digest %s, not %s", got.text,
                    want->text);
    return store_sync(c, s->file);
}

/* From here to upload_settled the session is nobody's: a late request must not reach a file that
   is becoming a blob. */
static enum err remember(struct ctx *c, struct upload_session *s)
{
    struct upload_table *t = store_uploads(c->sv->store);
    pthread_mutex_lock(&t->lock);
    bool ok = map_set(&t->finished, s->mem->row.phys_key, s->mem);
    pthread_mutex_unlock(&t->lock);
    return ok ? E_OK : fail(c, E_UNAVAILABLE, "out of memory");
}

enum err upload_finish(struct ctx *c, struct upload_session *s, const struct digest *want,
                       struct str *key_out, int64_t *size_out)
{
    enum err e = prove(c, s, want);
    if (e == E_OK)
        e = remember(c, s);
    if (e == E_OK) {
        *key_out = str_dup(&c->mem, s->mem->row.phys_key);
        *size_out = store_size(s->file);
    } else {
        discard(c, s);
        drop(c, s->mem);
    }
    store_close(s->file);
    free(s);
    return e;
}

enum err upload_settle(struct ctx *c, struct str key)
{
    struct upload_table *t = store_uploads(c->sv->store);
    pthread_mutex_lock(&t->lock);
    const struct parked *p = map_get(&t->finished, key);
    struct str id = p ? str_dup(&c->mem, str_of(p->id)) : NO_STR;
    pthread_mutex_unlock(&t->lock);
    if (!id.n)
        return E_OK; /* a flight's, or an import's */
    enum err e = upload_delete(c, id);
    return e == E_NOT_FOUND ? E_OK : e;
}

void upload_settled(struct ctx *c, struct str key)
{
    struct upload_table *t = store_uploads(c->sv->store);
    pthread_mutex_lock(&t->lock);
    struct parked *p = map_remove(&t->finished, key);
    pthread_mutex_unlock(&t->lock);
    if (p)
        drop(c, p);
}

enum err upload_cancel(struct ctx *c, struct str id, int64_t repository_id)
{
    struct parked *p;
    TRY(hold(c, id, &p));
    enum err e = find_row(c, p, repository_id);
    if (e != E_OK) {
        leave(c, p);
        return e;
    }
    e = end_session(c, &p->row);
    drop(c, p);
    return e;
}

/* ---- sweep ------------------------------------------------------------------------------- */

/* One expired session, unless a request is using it. */
static enum err sweep_session(struct ctx *c, const struct upload *u)
{
    struct parked *p;
    if (hold(c, u->id, &p) != E_OK)
        return E_OK; /* in use: its request extends it, or a later sweep takes it */
    enum err e = end_session(c, u);
    drop(c, p);
    return e;
}

static enum err sweep_sessions(struct ctx *c)
{
    struct list gone = {0};
    struct tx tx = {0};
    enum err e = tx_read(c, &tx);
    if (e == E_OK)
        e = upload_expired(c, SWEEP_STEP, &gone);
    tx_end(&tx);
    const struct upload *u = gone.items;
    for (size_t i = 0; e == E_OK && i < gone.count; i++)
        e = sweep_session(c, &u[i]);
    return e;
}

/* Intents that are older than any upload may be: the object first, then the row. */
static enum err sweep_intents(struct ctx *c)
{
    struct strs keys = {0};
    struct tx tx = {0};
    int64_t life = c->sv->settings->upload_expiry_s + 2 * STORE_KEY_LIFE_S;
    enum err e = tx_begin(c, &tx); /* claims them: blob_commit refuses such keys from now on */
    if (e == E_OK)
        e = intent_list(c, (struct timestamp){tx.now.us - life * SECOND_US}, SWEEP_STEP, &keys);
    if (e == E_OK)
        e = tx_commit(&tx);
    tx_end(&tx);
    TRY(e);
    if (!keys.count)
        return E_OK;
    for (size_t i = 0; i < keys.count; i++)
        TRY(store_delete(c, keys.items[i]));
    TRY(store_delete_sync(c));
    CLEANUP(tx_end) struct tx drop_tx = {0};
    TRY(tx_begin(c, &drop_tx));
    for (size_t i = 0; i < keys.count; i++)
        TRY(intent_drop(c, keys.items[i]));
    return tx_commit(&drop_tx);
}

enum err upload_sweep(struct ctx *c)
{
    TRY(sweep_sessions(c));
    return sweep_intents(c);
}
