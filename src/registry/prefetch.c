/*
 * Commands on proxy projects. Each goes the way of an ordinary pull, so that the same decisions,
 * flights and counters apply, and works through its list one by one. Work that nobody waits for
 * leaves the last part of an upstream's pull limit to people.
 */
#include "registry/prefetch.h"

#include "base/fd.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "net/client.h"
#include "peer/oci.h"
#include "registry/delete.h"
#include "registry/flight.h"
#include "registry/ledger.h"
#include "registry/mirror.h"
#include "registry/prefetch_inside.h"
#include "registry/proxy.h"
#include "registry/readonly.h"
#include "rule/manifest.h"
#include "rule/name.h"
#include "rule/settings.h"

#include <stdio.h>
#include <time.h>

#define PAGE 100
#define TAGS_MAX 100000 /* of one repository that are looked at */

/* ---- the way out ---- */

enum err prefetch_begin(struct ctx *c, struct prefetch *p)
{
    struct services *sv = c->sv;
    const struct settings *s = sv->settings;
    *p = (struct prefetch){.sv = sv};
    if (!sv->client) {
        struct client_options o = {.allow = s->outbound_allow,
                                   .proxy = s->outbound_proxy,
                                   .no_proxy = s->outbound_no_proxy,
                                   .ca_file = s->outbound_ca_file};
        TRY(client_new(c, &o, &sv->client));
        p->client = true;
    }
    if (!sv->upstreams) {
        sv->upstreams = upstreams_new();
        p->upstreams = true;
    }
    if (!sv->flights) {
        sv->flights = flights_new(sv);
        p->flights = true;
        TRY(ledger_load(c));
    }
    if (!sv->upstreams || !sv->flights)
        return fail(c, E_UNAVAILABLE, "out of memory");
    return E_OK;
}

void prefetch_done(struct prefetch *p)
{
    if (!p->sv)
        return;
    if (p->flights) {
        flights_free(p->sv->flights);
        p->sv->flights = NULL;
    }
    if (p->upstreams) {
        upstreams_free(p->sv->upstreams);
        p->sv->upstreams = NULL;
    }
    if (p->client) {
        client_free(p->sv->client);
        p->sv->client = NULL;
    }
}

/* ---- names ---- */

/* "path:tag", "path@digest" or "path": the reference goes out of *name. */
static struct str take_reference(struct str *name)
{
    int64_t at = str_find(*name, '@');
    if (at >= 0) {
        struct str ref = str_sub(*name, (size_t)at + 1, name->n);
        name->n = (size_t)at;
        int64_t tag = str_rfind(*name, ':');
        if (tag > str_rfind(*name, '/'))
            name->n = (size_t)tag;
        return ref;
    }
    int64_t colon = str_rfind(*name, ':');
    if (colon < 0 || colon < str_rfind(*name, '/'))
        return S("latest");
    struct str ref = str_sub(*name, (size_t)colon + 1, name->n);
    name->n = (size_t)colon;
    return ref;
}

/* A project of that name, or the project that serves that host. */
static enum err find_project(struct ctx *c, struct str first, struct prefetch_target *t)
{
    bool host = str_find(first, '.') >= 0 || str_find(first, ':') >= 0;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err err = project_access_for(c, first, 0, &t->principal, &t->access);
    if (err == E_NOT_FOUND && host)
        err = project_access_for_ns(c, mirror_host(&c->mem, first), &t->principal, &t->access);
    if (err == E_NOT_FOUND)
        return fail(c, err, "there is no project %.*s", STR(first));
    TRY(err);
    if (!t->access.project.registry_id)
        return fail(c, E_BAD_REQUEST, "%.*s is not a proxy project", STR(first));
    return E_OK;
}

static enum err find_target(struct ctx *c, struct str name, bool with_reference,
                            struct prefetch_target *t)
{
    struct str path = str_trim(name);
    *t = (struct prefetch_target){0};
    if (with_reference)
        t->reference = take_reference(&path);
    struct str first = str_cut(&path, '/');
    if (with_reference && !path.n) { /* a bare name is Docker Hub's */
        path = first;
        first = S("docker.io");
    }
    TRY(find_project(c, first, t));
    path = mirror_repository(&c->mem, &t->access.endpoint, path);
    if (path.n && !name_is_repository(path))
        return fail(c, E_NAME_INVALID, "%.*s is not a repository name", STR(path));
    t->at = (struct place){&t->access, &t->principal, path, false};
    return E_OK;
}

/* ---- pulling ---- */

/* Notes in t whether it is paused now. The wait may be long: memory of its own. */
static enum err look_again(struct ctx *c, struct prefetch_target *t)
{
    CLEANUP(ctx_release) struct ctx own = {.sv = c->sv, .actor = c->actor};
    CLEANUP(tx_end) struct tx tx = {0};
    struct endpoint now = {0};
    enum err e = tx_read(&own, &tx);
    if (e == E_OK)
        e = endpoint_by_id(&own, t->access.endpoint.id, &now);
    if (e != E_OK)
        return fail(c, e, "%s", own.msg);
    t->access.endpoint.halt = now.halt.n ? S("paused") : NO_STR;
    return E_OK;
}

/* Nothing is held meanwhile. What is left of the limit is told by other people's pulls, or a whole
   window passes. */
static enum err spare(struct ctx *c, struct prefetch_target *t)
{
    const struct prefetch_patience *p = t->patience;
    const struct timespec nap = {.tv_nsec = 250000000};
    struct str name = t->access.endpoint.name;
    for (;;) {
        bool halted = t->access.endpoint.halt.n > 0;
        if (!halted && !read_only() && ledger_spare(c, &t->access.endpoint))
            return E_OK;
        const char *why = halted        ? "the upstream is paused"
                          : read_only() ? "the system is in read only mode"
                                        : "the rest of the pull limit is kept for people";
        if (!p || gc_stopping() || !p->go_on(p->arg, why))
            return halted || read_only()
                       ? fail(c, E_TOO_MANY, "upstream %.*s: %s", STR(name), why)
                       : fail(c, E_TOO_MANY,
                              "the rest of the pull limit of %.*s is kept for people", STR(name));
        nanosleep(&nap, NULL);
        TRY(look_again(c, t));
    }
}

enum err prefetch_manifest(struct ctx *c, struct prefetch_target *t, struct str reference,
                           struct pulled_manifest *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(spare(c, t));
    TRY(tx_read(c, &tx));
    return pull_manifest(c, &t->at, reference, false, out);
}

static enum err pull_blob_now(struct ctx *c, const struct prefetch_target *t,
                              const struct descriptor *d, struct prefetch_report *report)
{
    struct digest digest;
    struct pulled_blob b = {.body = {.fd = -1}};
    TRY(digest_parse(c, d->digest, &digest));
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(pull_blob(c, &t->at, &digest, false, 0, &b));
    }
    enum err err = proxy_blob_settle(c, &b);
    if (b.body.kind == BODY_SOURCE)
        b.body.source->release(b.body.source);
    fd_done(&b.body.fd);
    TRY(err);
    report->blobs++;
    report->bytes += i64_max(0, d->size);
    return E_OK;
}

/* "linux/arm64" takes every variant, "linux/arm64/v8" one. */
static bool fits(struct ctx *c, struct raw_json platform, struct str want)
{
    if (!want.n)
        return true;
    CLEANUP(json_done) json_t *root = NULL;
    struct str os, arch, variant = NO_STR;
    if (json_parse(c, platform.text, &root) != E_OK || !json_get_str(root, "os", &os) ||
        !json_get_str(root, "architecture", &arch))
        return false;
    (void)json_get_str(root, "variant", &variant);
    struct str want_os = str_cut(&want, '/'), want_arch = str_cut(&want, '/');
    return str_eq(os, want_os) && str_eq(arch, want_arch) && (!want.n || str_eq(variant, want));
}

enum err prefetch_content(struct ctx *c, const struct prefetch_target *t,
                          const struct pulled_manifest *p, struct prefetch_report *report)
{
    struct manifest m;
    TRY(manifest_parse(c, p->payload, p->media_type, &m));
    report->manifests++;
    if (m.config.digest.n)
        TRY(pull_blob_now(c, t, &m.config, report));
    for (size_t i = 0; i < m.layer_count; i++)
        if (!m.layers[i].foreign)
            TRY(pull_blob_now(c, t, &m.layers[i], report));
    return E_OK;
}

static enum err pull_children(struct ctx *c, struct prefetch_target *t,
                              const struct manifest *index, struct str platform,
                              struct prefetch_report *report)
{
    size_t taken = 0;
    for (size_t i = 0; i < index->child_count; i++) {
        const struct descriptor *d = &index->children[i];
        struct pulled_manifest child;
        if (!fits(c, d->platform, platform))
            continue;
        taken++;
        TRY(prefetch_manifest(c, t, d->digest, &child));
        if (media_is_index(child.media_type)) /* an index in an index: named, not followed */
            continue;
        TRY(prefetch_content(c, t, &child, report));
    }
    if (!taken)
        return fail(c, E_NOT_FOUND, "the index has no manifest for %.*s", STR(platform));
    return E_OK;
}

static enum err prefetch_target(struct ctx *c, struct prefetch_target *t, struct str platform,
                                struct str *digest_out, struct prefetch_report *report)
{
    struct pulled_manifest p;
    TRY(prefetch_manifest(c, t, t->reference, &p));
    *digest_out = p.digest;
    if (!media_is_index(p.media_type))
        return prefetch_content(c, t, &p, report);
    struct manifest index;
    TRY(manifest_parse(c, p.payload, p.media_type, &index));
    report->manifests++;
    return pull_children(c, t, &index, platform, report);
}

enum err prefetch_image(struct ctx *outer, struct str name, struct str platform,
                        const struct prefetch_patience *patience, progress_fn *say, void *arg,
                        struct prefetch_report *out)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = outer->sv, .actor = outer->actor};
    struct prefetch_report r = {.images = 1};
    struct prefetch_target t;
    struct str digest = NO_STR;
    enum err err = find_target(&c, name, true, &t);
    t.patience = patience;
    if (err == E_OK)
        err = prefetch_target(&c, &t, platform, &digest, &r);
    if (err == E_OK)
        progress_line(say, arg, "%.*s %.*s: %lld manifests, %lld blobs, %.1f MiB", STR(name),
                      STR(digest), (long long)r.manifests, (long long)r.blobs,
                      (double)r.bytes / 1048576.0);
    else
        progress_line(say, arg, "%.*s: %s", STR(name), c.msg);
    out->images += r.images;
    out->manifests += r.manifests;
    out->blobs += r.blobs;
    out->bytes += r.bytes;
    out->failed += err != E_OK;
    return err == E_OK ? E_OK : fail(outer, err, "%s", c.msg);
}

/* ---- cached repositories ---- */

/* The cached repositories of the target, all or the one that it names, sorted by name. */
static enum err cached(struct ctx *c, const struct prefetch_target *t, struct strs *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct list_query q = {.page = 1, .page_size = PAGE, .sort = {S("name")}, .sort_count = 1};
    int64_t total = 0;
    size_t cap = 0;
    TRY(tx_read(c, &tx));
    do {
        struct list page;
        TRY(repository_list(c, t->access.project.project_id, NULL, &q, &page, &total));
        const struct repository *r = page.items;
        if (!cap) {
            cap = (size_t)total + PAGE;
            out->items = arena_alloc(&c->mem, cap * sizeof *out->items);
        }
        for (size_t i = 0; i < page.count && out->count < cap; i++)
            if (!t->at.repository.n || str_eq(t->at.repository, r[i].name))
                out->items[out->count++] = r[i].name;
    } while (q.page++ * PAGE < total);
    return E_OK;
}

static enum err tags_of(struct ctx *c, const struct prefetch_target *t, struct strs *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t repo;
    TRY(tx_read(c, &tx));
    TRY(repository_id(c, t->access.project.project_id, t->at.repository, &repo));
    return tag_names(c, repo, NO_STR, TAGS_MAX, out);
}

static void refresh_tag(struct ctx *outer, struct prefetch_target *t, struct str tag,
                        progress_fn *say, void *arg, struct prefetch_report *r)
{
    CLEANUP(ctx_release) struct ctx c = {.sv = outer->sv, .actor = outer->actor};
    struct pulled_manifest p;
    enum err err = prefetch_manifest(&c, t, tag, &p);
    r->images++;
    r->failed += err != E_OK || p.stale;
    if (err == E_OK && p.outcome == OUTCOME_MISS)
        r->manifests++;
    progress_line(say, arg, "%.*s/%.*s:%.*s: %s", STR(t->access.project.name),
                  STR(t->at.repository), STR(tag), err != E_OK ? c.msg : outcome_text(p.outcome));
}

enum err prefetch_refresh(struct ctx *c, struct str name, const struct prefetch_patience *patience,
                          progress_fn *say, void *arg, struct prefetch_report *out)
{
    struct prefetch_target t;
    struct strs repositories = {0};
    TRY(find_target(c, name, false, &t));
    t.patience = patience;
    TRY(cached(c, &t, &repositories));
    for (size_t i = 0; i < repositories.count; i++) {
        struct strs tags;
        t.at.repository = repositories.items[i];
        TRY(tags_of(c, &t, &tags));
        for (size_t k = 0; k < tags.count; k++)
            refresh_tag(c, &t, tags.items[k], say, arg, out);
    }
    return E_OK;
}

enum err prefetch_purge(struct ctx *c, struct str name, const struct prefetch_patience *patience,
                        progress_fn *say, void *arg, struct prefetch_report *out)
{
    (void)patience; /* nobody is asked for anything */
    struct prefetch_target t;
    struct strs repositories = {0};
    TRY(find_target(c, name, false, &t));
    TRY(cached(c, &t, &repositories));
    for (size_t i = 0; i < repositories.count; i++) {
        t.at.repository = repositories.items[i];
        TRY(delete_repository(c, &t.at));
        out->images++;
        progress_line(say, arg, "%.*s/%.*s is out of the cache", STR(t.access.project.name),
                      STR(t.at.repository));
    }
    return E_OK;
}

enum err prefetch_quota(struct ctx *c, progress_fn *say, void *arg)
{
    struct ledger_line *lines;
    size_t count;
    TRY(ledger_list(c, &lines, &count));
    if (!count)
        progress_line(say, arg, "no upstream has told of a pull limit yet");
    for (size_t i = 0; i < count; i++) {
        const struct ledger_line *l = &lines[i];
        progress_line(say, arg, "%.*s as %.*s: %lld of %lld pulls left in %lld s, seen %.*s%s%.*s",
                      STR(l->endpoint), STR(l->credential), (long long)l->remaining,
                      (long long)l->limit, (long long)l->window_s,
                      STR(time_text(&c->mem, l->seen_at)), l->source.n ? ", counted for " : "",
                      STR(l->source));
    }
    return E_OK;
}
