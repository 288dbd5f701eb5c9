/* Open addressing with linear probing and backward-shift removal, at most 3/4 full. */
#include "base/map.h"

#include "base/heap.h"

#include "base/crypt.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static uint64_t hash_of(const struct map *m, struct str key)
{
    uint64_t h = m->seed ^ key.n;
    size_t i = 0;
    for (; i + 8 <= key.n; i += 8) {
        uint64_t word;
        memcpy(&word, key.p + i, 8);
        h = mix(h ^ word);
    }
    uint64_t tail = 0;
    if (i < key.n)
        memcpy(&tail, key.p + i, key.n - i);
    return mix(h ^ tail);
}

static struct map_entry *find(const struct map *m, struct str key, uint64_t hash)
{
    if (!m->cap)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->entries[i];
        if (!e->key || (e->hash == hash && e->key_n == key.n &&
                        (key.n == 0 || memcmp(e->key, key.p, key.n) == 0)))
            return e;
    }
}

static bool grow(struct map *m)
{
    struct map bigger = {.cap = m->cap ? m->cap * 2 : 16, .count = m->count, .seed = m->seed};
    if (!bigger.seed)
        random_fill(&bigger.seed, sizeof bigger.seed);
    bigger.entries = calloc(bigger.cap, sizeof *bigger.entries);
    if (!bigger.entries) {
        heap_refuse();
        return false;
    }
    for (size_t i = 0; i < m->cap; i++)
        if (m->entries[i].key) {
            struct str key = {m->entries[i].key, m->entries[i].key_n};
            *find(&bigger, key, m->entries[i].hash) = m->entries[i];
        }
    free(m->entries);
    *m = bigger;
    return true;
}

void map_release(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->entries[i].key);
    free(m->entries);
    *m = (struct map){0};
}

void *map_get(const struct map *m, struct str key)
{
    struct map_entry *e = find(m, key, hash_of(m, key));
    return e && e->key ? e->value : NULL;
}

bool map_set(struct map *m, struct str key, void *value)
{
    if ((m->count + 1) * 4 > m->cap * 3 && !grow(m))
        return false;
    uint64_t hash = hash_of(m, key);
    struct map_entry *e = find(m, key, hash);
    if (e->key) {
        e->value = value;
        return true;
    }
    char *copy = malloc(key.n + 1);
    if (!copy)
        return false;
    if (key.n)
        memcpy(copy, key.p, key.n);
    copy[key.n] = 0;
    *e = (struct map_entry){copy, key.n, hash, value};
    m->count++;
    return true;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_entry *e = find(m, key, hash_of(m, key));
    if (!e || !e->key)
        return NULL;
    void *value = e->value;
    free(e->key);
    size_t mask = m->cap - 1, hole = (size_t)(e - m->entries);
    for (size_t i = (hole + 1) & mask; m->entries[i].key; i = (i + 1) & mask) {
        size_t home = m->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (struct map_entry){0};
    m->count--;
    return value;
}

struct map_entry *map_next(const struct map *m, size_t *at)
{
    while (*at < m->cap) {
        struct map_entry *e = &m->entries[(*at)++];
        if (e->key)
            return e;
    }
    return NULL;
}
