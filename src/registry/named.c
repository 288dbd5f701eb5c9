/*
 * A table with one possible place for each tag: two tags that meet there forget each other, which
 * costs one more HEAD later. Looked through whole when a manifest is fetched by digest, which a
 * request to an upstream outweighs by far.
 */
#include "registry/named.h"

#include "base/clock.h"
#include "base/digest.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 1024
#define LIFE_MS INT64_C(600000)
#define REPOSITORY_MAX 256
#define TAG_MAX 128

struct named {
    int64_t project_id; /* 0 = free */
    int64_t until;
    size_t repository_n, tag_n, digest_n;
    char repository[REPOSITORY_MAX], tag[TAG_MAX], digest[DIGEST_TEXT_MAX];
};

static struct {
    pthread_mutex_t lock;
    struct named slots[SLOTS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t mix(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    return h;
}

static struct named *slot_of(int64_t project_id, struct str repository, struct str tag)
{
    uint64_t h = UINT64_C(14695981039346656037) ^ (uint64_t)project_id;
    h = mix(mix(mix(h, repository), S(":")), tag);
    return &table.slots[(h ^ h >> 32) % SLOTS];
}

static bool same(const char *text, size_t n, struct str s)
{
    return str_eq((struct str){text, n}, s);
}

static size_t keep(char *to, struct str s)
{
    memcpy(to, s.p, s.n);
    return s.n;
}

void named_note(int64_t project_id, struct str repository, struct str tag, struct str digest)
{
    if (!repository.n || repository.n > REPOSITORY_MAX || !tag.n || tag.n > TAG_MAX ||
        !digest_valid(digest))
        return;
    int64_t until = clock_mono_ms() + LIFE_MS;
    pthread_mutex_lock(&table.lock);
    struct named *slot = slot_of(project_id, repository, tag);
    slot->project_id = project_id;
    slot->until = until;
    slot->repository_n = keep(slot->repository, repository);
    slot->tag_n = keep(slot->tag, tag);
    slot->digest_n = keep(slot->digest, digest);
    pthread_mutex_unlock(&table.lock);
}

void named_forget(int64_t project_id, struct str repository, struct str tag)
{
    pthread_mutex_lock(&table.lock);
    struct named *slot = slot_of(project_id, repository, tag);
    if (slot->project_id == project_id && same(slot->repository, slot->repository_n, repository) &&
        same(slot->tag, slot->tag_n, tag))
        slot->project_id = 0;
    pthread_mutex_unlock(&table.lock);
}

struct str named_take(struct arena *a, int64_t project_id, struct str repository, struct str digest)
{
    struct str tag = NO_STR;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&table.lock);
    for (size_t i = 0; i < SLOTS && !tag.n; i++) {
        struct named *slot = &table.slots[i];
        if (slot->project_id != project_id || now >= slot->until ||
            !same(slot->digest, slot->digest_n, digest) ||
            !same(slot->repository, slot->repository_n, repository))
            continue;
        tag = str_dup(a, (struct str){slot->tag, slot->tag_n});
        slot->project_id = 0;
    }
    pthread_mutex_unlock(&table.lock);
    return tag;
}
