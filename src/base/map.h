/* Hash map from text to pointer. Copies its keys, not its values. Not locked: its owner locks. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_entry {
    char *key; /* owned, terminated */
    size_t key_n;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries; /* open addressing; NULL key = free */
    size_t cap, count;
    uint64_t seed; /* random, so that strangers cannot aim at one bucket */
};

void map_release(struct map *m); /* the values are the caller's to free first */
void *map_get(const struct map *m, struct str key);
/* Sets or replaces; value must not be NULL. False when out of memory. */
bool map_set(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* the value it had, or NULL */
/* Walks: for (size_t i = 0; (e = map_next(m, &i));). No changes while walking. */
struct map_entry *map_next(const struct map *m, size_t *at);

#endif
