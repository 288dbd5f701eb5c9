/*
 * Buckets by project. Whoever took too much sleeps on its own thread, without the lock, in slices
 * short enough for the end of the process.
 */
#include "registry/pace.h"

#include "base/clock.h"
#include "base/map.h"
#include "rule/bucket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLICE_MS 200

struct paces {
    pthread_mutex_t lock;
    struct map buckets; /* project id -> struct bucket */
};

struct paces *paces_new(void)
{
    struct paces *ps = calloc(1, sizeof *ps);
    if (ps)
        pthread_mutex_init(&ps->lock, NULL);
    return ps;
}

void paces_free(struct paces *ps)
{
    if (!ps)
        return;
    struct map_entry *e;
    for (size_t at = 0; (e = map_next(&ps->buckets, &at));)
        free(e->value);
    map_release(&ps->buckets);
    pthread_mutex_destroy(&ps->lock);
    free(ps);
}

/* Under the lock; NULL when out of memory. */
static struct bucket *bucket_of(struct paces *ps, int64_t project_id)
{
    char key[24];
    int n = snprintf(key, sizeof key, "%lld", (long long)project_id);
    struct str k = {key, (size_t)n};
    struct bucket *b = map_get(&ps->buckets, k);
    if (b)
        return b;
    b = calloc(1, sizeof *b);
    if (b && map_set(&ps->buckets, k, b))
        return b;
    free(b);
    return NULL;
}

void pace_take(struct paces *ps, int64_t project_id, int64_t rate, int64_t bytes,
               const atomic_bool *stop)
{
    if (rate <= 0)
        return;
    pthread_mutex_lock(&ps->lock);
    int64_t now = clock_mono_ms();
    struct bucket *b = bucket_of(ps, project_id);
    int64_t until = now + (b ? bucket_take(b, rate, now, bytes) : 0);
    pthread_mutex_unlock(&ps->lock);
    for (; now < until && !atomic_load(stop); now = clock_mono_ms())
        usleep((useconds_t)i64_min(SLICE_MS, until - now) * 1000);
}
