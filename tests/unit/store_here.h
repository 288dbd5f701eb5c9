/* A store for a test: a database and objects in a temporary directory, one project, one user. */
#ifndef UNIT_STORE_HERE_H
#define UNIT_STORE_HERE_H

#include "blob/store.h"
#include "meta/engine.h"
#include "registry/pull.h"
#include "rule/settings.h"

#include <ftw.h>
#include <sys/stat.h>

struct here {
    struct engine e;
    struct ctx *c;
    struct settings settings;
    struct project_access access;
    struct principal principal;
    struct place place;
};

static inline void here_store(struct here *h)
{
    struct store_options o = {.data = str_of(h->e.dir)};
    OK(store_open(h->c, &o, &h->e.sv.store));
}

/* What a kill and a start do to the objects' side: all that was in memory is gone. */
static inline void here_restart(struct here *h)
{
    store_free(h->e.sv.store);
    here_store(h);
}

/* The project's row as it is now. */
static inline void here_project(struct here *h)
{
    CLEANUP(tx_end) struct tx tx = {0};
    OK(tx_read(h->c, &tx));
    OK(project_by_id(h->c, 1, &h->access.project));
}

static inline void here_open(struct here *h)
{
    memset(h, 0, sizeof *h);
    engine_open(&h->e, getenv("COVE_TEST_POSTGRES") != NULL);
    h->c = &h->e.c;
    h->settings = (struct settings){.upload_expiry_s = 86400,
                                    .gc_lease_s = 86400,
                                    .gc_grace_s = 86400,
                                    .registry_compat = S("oci")};
    h->e.sv.settings = &h->settings;
    here_store(h);
    here_project(h);
    h->place = (struct place){
        .access = &h->access, .principal = &h->principal, .repository = S("app"), .may_push = true};
}

static inline int here_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void here_close(struct here *h)
{
    store_free(h->e.sv.store);
    db_free(TAKE(h->e.sv.db));
    nftw(h->e.dir, here_remove, 16, FTW_DEPTH | FTW_PHYS);
    ctx_release(h->c);
    engine_last = NULL;
}

/* Every object on disk, counted. */
static inline enum err here_count_one(struct ctx *c, struct str key, int64_t size, void *arg)
{
    (void)c;
    (void)key;
    (void)size;
    ++*(int *)arg;
    return E_OK;
}

static inline int here_objects(struct here *h)
{
    int n = 0;
    OK(store_walk(h->c, here_count_one, &n));
    return n;
}

#endif
