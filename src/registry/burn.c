/*
 * A small table of (endpoint, project, repository, principal), emptied every few seconds. When it
 * is full the rest of an endpoint's pulls is counted under the repository "...", so that sums stay
 * right and a crawler cannot fill the database with names.
 */
#include "registry/burn.h"

#include "base/metric.h"
#include "meta/upstream_use.h"

#include <pthread.h>
#include <string.h>

#define SLOTS 256
#define ENDPOINTS_MAX 64
#define OTHERS "..."

struct use {
    int64_t endpoint_id, project_id, pulls;
    struct timestamp at;
    char repository[256], principal[128];
};

static struct {
    pthread_mutex_t lock;
    struct use uses[SLOTS + ENDPOINTS_MAX]; /* the last ones for OTHERS */
    size_t count;
    struct {
        int64_t id, pulls;
        char name[64];
    } totals[ENDPOINTS_MAX];
    size_t total_count;
} burn = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void count_total(const struct endpoint *e)
{
    size_t i = 0;
    while (i < burn.total_count && burn.totals[i].id != e->id)
        i++;
    if (i == ENDPOINTS_MAX)
        return;
    if (i == burn.total_count)
        burn.totals[burn.total_count++].id = e->id;
    str_put(burn.totals[i].name, sizeof burn.totals[i].name, e->name);
    burn.totals[i].pulls++;
}

/* Under the lock. */
static void add(const struct use *u)
{
    for (size_t i = 0; i < burn.count; i++) {
        struct use *have = &burn.uses[i];
        if (have->endpoint_id == u->endpoint_id && have->project_id == u->project_id &&
            strcmp(have->repository, u->repository) == 0 &&
            strcmp(have->principal, u->principal) == 0) {
            have->pulls += u->pulls;
            return;
        }
    }
    bool others = strcmp(u->repository, OTHERS) == 0;
    if (burn.count < (others ? COUNT(burn.uses) : SLOTS)) {
        burn.uses[burn.count++] = *u;
    } else if (!others) {
        struct use rest = *u;
        str_put(rest.repository, sizeof rest.repository, S(OTHERS));
        rest.principal[0] = 0;
        add(&rest);
    }
}

void burn_note(const struct place *at)
{
    const struct endpoint *e = &at->access->endpoint;
    struct use u = {.endpoint_id = e->id,
                    .project_id = at->access->project.project_id,
                    .pulls = 1,
                    .at = clock_now()};
    struct str who = at->principal->name;
    if (at->background)
        who = S("cove");
    str_put(u.repository, sizeof u.repository, at->repository);
    str_put(u.principal, sizeof u.principal, who.n ? who : S("anonymous"));
    pthread_mutex_lock(&burn.lock);
    count_total(e);
    add(&u);
    pthread_mutex_unlock(&burn.lock);
}

static enum err write_all(struct ctx *c, const struct use *uses, size_t n)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_begin(c, &tx));
    for (size_t i = 0; i < n; i++)
        TRY(upstream_use_add(c, &(struct upstream_use){
                                    .endpoint_id = uses[i].endpoint_id,
                                    .at = uses[i].at,
                                    .project_id = uses[i].project_id,
                                    .repository = str_of(uses[i].repository),
                                    .principal = str_of(uses[i].principal),
                                    .pulls = uses[i].pulls,
                                    .remaining = -1,
                                    .limit_pulls = -1,
                                }));
    return tx_commit(&tx);
}

enum err burn_flush(struct ctx *c)
{
    pthread_mutex_lock(&burn.lock);
    size_t n = burn.count;
    struct use *uses = n ? arena_array(&c->mem, n, sizeof *uses) : NULL;
    if (uses) {
        memcpy(uses, burn.uses, n * sizeof *uses);
        burn.count = 0;
    }
    pthread_mutex_unlock(&burn.lock);
    if (!uses)
        return n ? fail(c, E_UNAVAILABLE, "out of memory") : E_OK;
    enum err e = write_all(c, uses, n);
    if (e != E_OK) {
        pthread_mutex_lock(&burn.lock);
        for (size_t i = 0; i < n; i++)
            add(&uses[i]);
        pthread_mutex_unlock(&burn.lock);
    }
    return e;
}

void burn_metric(struct buf *out, void *unused)
{
    (void)unused;
    pthread_mutex_lock(&burn.lock);
    if (burn.total_count)
        buf_str(out, S("# HELP cove_upstream_pulls_total manifest GETs that count against a pull "
                       "limit\n# TYPE cove_upstream_pulls_total counter\n"));
    for (size_t i = 0; i < burn.total_count; i++) {
        buf_str(out, S("cove_upstream_pulls_total{"));
        metric_label(out, "endpoint", burn.totals[i].name);
        buf_fmt(out, "} %lld\n", (long long)burn.totals[i].pulls);
    }
    pthread_mutex_unlock(&burn.lock);
}
