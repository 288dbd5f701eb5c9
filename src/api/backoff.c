/*
 * Two set-associative tables, one for (name, address) and one for addresses alone, so that a
 * million random names push out each other and never the address that sends them. Keys are MACs
 * under a key of this process: nobody can aim at a set.
 */
#include "api/backoff.h"

#include "base/crypt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SETS 2048
#define WAYS 4
#define FORGET_MS (15 * 60 * INT64_C(1000))

struct entry {
    uint64_t key; /* 0 = free */
    int64_t failures, until_ms, last_ms;
};

static struct entry pairs[SETS][WAYS], addresses[SETS][WAYS];
static unsigned char mac_key[SHORT_KEY_SIZE];
static atomic_bool any; /* has anybody failed since the start? */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void init(void)
{
    random_fill(mac_key, sizeof mac_key);
}

static uint64_t key_of(struct str name, struct str address)
{
    struct arena mem = {0};
    pthread_once(&once, init);
    struct str text = str_fmt(&mem, "%.*s%c%.*s", STR(address), '\n', STR(name));
    uint64_t key = short_mac(mac_key, text);
    arena_release(&mem);
    return key ? key : 1;
}

static struct entry *lookup(struct entry set[WAYS], uint64_t key)
{
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct entry *take(struct entry set[WAYS], uint64_t key, int64_t now_ms)
{
    struct entry *e = lookup(set, key);
    if (e && now_ms - e->last_ms < FORGET_MS)
        return e;
    if (!e) {
        e = &set[0];
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].last_ms < e->last_ms || (!set[i].key && e->key))
                e = &set[i];
    }
    *e = (struct entry){.key = key, .last_ms = now_ms};
    return e;
}

static int64_t wait_of(struct entry set[WAYS], uint64_t key, int64_t now_ms)
{
    const struct entry *e = lookup(set, key);
    return e && e->until_ms > now_ms ? (e->until_ms - now_ms + 999) / 1000 : 0;
}

static void count_failure(struct entry set[WAYS], uint64_t key, int64_t now_ms, int64_t free_tries,
                          int64_t step)
{
    atomic_store_explicit(&any, true, memory_order_release);
    struct entry *e = take(set, key, now_ms);
    e->failures++;
    e->last_ms = now_ms;
    if (e->failures >= free_tries) {
        int64_t power = i64_min((e->failures - free_tries) / step, 6);
        e->until_ms = now_ms + i64_min(INT64_C(1) << power, BACKOFF_MAX_S) * 1000;
    }
}

/* Addresses of one IPv6 /64 are one address: a subscriber has them all. */
static struct str block_of(struct str address)
{
    int colons = 0;
    for (size_t i = 0; i < address.n; i++) {
        colons += address.p[i] == ':';
        if (colons == 4)
            return str_sub(address, 0, i);
    }
    return address;
}

int64_t backoff_wait(struct str name, struct str address, int64_t now_ms)
{
    if (!atomic_load_explicit(&any, memory_order_acquire))
        return 0;
    address = block_of(address);
    uint64_t pair = key_of(name, address), alone = key_of(NO_STR, address);
    pthread_mutex_lock(&lock);
    int64_t wait = i64_max(wait_of(pairs[pair % SETS], pair, now_ms),
                           wait_of(addresses[alone % SETS], alone, now_ms));
    pthread_mutex_unlock(&lock);
    return wait;
}

void backoff_failed(struct str name, struct str address, int64_t now_ms)
{
    address = block_of(address);
    uint64_t pair = key_of(name, address), alone = key_of(NO_STR, address);
    pthread_mutex_lock(&lock);
    count_failure(pairs[pair % SETS], pair, now_ms, BACKOFF_PAIR_FREE, 1);
    count_failure(addresses[alone % SETS], alone, now_ms, BACKOFF_ADDRESS_FREE, 10);
    pthread_mutex_unlock(&lock);
}

void backoff_failed_pair(struct str name, struct str address, int64_t now_ms)
{
    uint64_t pair = key_of(name, block_of(address));
    pthread_mutex_lock(&lock);
    count_failure(pairs[pair % SETS], pair, now_ms, BACKOFF_PAIR_FREE, 1);
    pthread_mutex_unlock(&lock);
}

void backoff_succeeded(struct str name, struct str address)
{
    address = block_of(address);
    uint64_t pair = key_of(name, address);
    pthread_mutex_lock(&lock);
    struct entry *e = lookup(pairs[pair % SETS], pair);
    if (e)
        *e = (struct entry){0};
    pthread_mutex_unlock(&lock);
}
