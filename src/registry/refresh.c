/*
 * A refresh is a pull like any other, by the same decisions (a pinned tag is not asked for, a held
 * one is not fetched), with two differences: it stops at the floor that is kept for people, and it
 * does not count as a pull, or else no tag would ever be left out again.
 *
 * Of an index the children whose platform was pulled are fetched. What is new inherits the time of
 * its predecessor's last pull, so that the next refresh knows the tag and the platform too.
 */
#include "registry/refresh.h"

#include "base/metric.h"
#include "meta/artifact.h"
#include "meta/store.h"
#include "registry/flight.h"
#include "registry/prefetch_inside.h"
#include "rule/cron.h"
#include "rule/image.h"
#include "rule/manifest.h"

#include <stdatomic.h>
#include <string.h>

#define PAGE 1000
#define ITEMS_MAX 100000

struct timestamp refresh_next(struct str schedule)
{
    struct cron cron;
    return schedule.n && !cron_parse(schedule, &cron) ? cron_next(&cron, clock_now())
                                                      : (struct timestamp){0};
}

static atomic_bool asked;

void refresh_ask(void)
{
    atomic_store(&asked, true);
}

bool refresh_take(void)
{
    return atomic_exchange(&asked, false);
}

static enum err next_page(struct ctx *c, struct timestamp since, int64_t after, struct list *out)
{
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    return tag_pulled_since(c, since, after, PAGE, out);
}

enum err refresh_collect(struct ctx *c, struct timestamp since, struct refresh_item **out,
                         size_t *count)
{
    struct refresh_item *items = NULL;
    size_t n = 0, cap = 0;
    int64_t after = 0;
    struct list page;
    do {
        TRY(next_page(c, since, after, &page));
        if (n + page.count > cap) {
            cap = cap * 2 + PAGE;
            struct refresh_item *more = arena_array(&c->mem, cap, sizeof *more);
            if (!more)
                return fail(c, E_UNAVAILABLE, "out of memory");
            if (n)
                memcpy(more, items, n * sizeof *more);
            items = more;
        }
        const struct tag_pulled *t = page.items;
        for (size_t i = 0; i < page.count; i++)
            items[n++] = (struct refresh_item){.tag = t[i]};
        after = page.count ? t[page.count - 1].id : after;
    } while (page.count == PAGE && n < ITEMS_MAX);
    *out = items;
    *count = n;
    return E_OK;
}

/* Where the tag is now, and which children of its index were pulled lately. */
static enum err look_before(struct ctx *c, struct arena *keep, const struct prefetch_target *t,
                            struct timestamp since, struct refresh_item *item, struct str *digest)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct manifest_row row = {0};
    struct artifact a;
    struct list refs;
    TRY(tx_read(c, &tx));
    TRY(manifest_by_tag(c, item->tag.project_id, t->at.repository, item->tag.name, &row));
    TRY(artifact_by_reference(c, row.repository_id, row.digest, &a));
    item->last = a.pull_time;
    *digest = row.digest;
    TRY(artifact_children(c, row.artifact_id, &refs));
    const struct artifact_ref *r = refs.items;
    struct artifact_ref *pulled = arena_array(keep, refs.count + 1, sizeof *pulled);
    size_t n = 0;
    for (size_t i = 0; pulled && i < refs.count; i++)
        if (r[i].pull_time.us >= since.us) {
            pulled[n] = r[i];
            pulled[n++].platform.text = str_dup(keep, r[i].platform.text);
        }
    item->pulled = (struct list){pulled, n};
    return E_OK;
}

/* The last pull of that platform; 0 = nobody pulled it. */
static struct timestamp pulled_at(struct ctx *c, const struct refresh_item *item,
                                  struct raw_json platform)
{
    const struct artifact_ref *r = item->pulled.items;
    struct str name = image_platform_text(c, platform);
    struct timestamp last = {0};
    for (size_t i = 0; name.n && i < item->pulled.count; i++)
        if (r[i].pull_time.us > last.us && str_eq(image_platform_text(c, r[i].platform), name))
            last = r[i].pull_time;
    return last;
}

static enum err inherit(struct ctx *c, const struct prefetch_target *t, struct str digest,
                        struct timestamp last)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct manifest_row row = {0};
    TRY(tx_begin(c, &tx));
    TRY(manifest_by_digest(c, t->access.project.project_id, t->at.repository, digest, &row));
    struct pull_count p = {
        .repository_id = row.repository_id, .artifact_id = row.artifact_id, .last = last};
    TRY(pulls_add(c, &p, 1));
    return tx_commit(&tx);
}

static enum err fetch_children(struct ctx *c, struct prefetch_target *t,
                               const struct refresh_item *item, const struct pulled_manifest *p)
{
    struct prefetch_report report = {0};
    struct manifest index;
    TRY(manifest_parse(c, p->payload, p->media_type, &index));
    for (size_t i = 0; i < index.child_count; i++) {
        const struct descriptor *d = &index.children[i];
        struct timestamp last = pulled_at(c, item, d->platform);
        struct pulled_manifest child;
        if (!last.us)
            continue;
        TRY(prefetch_manifest(c, t, d->digest, &child));
        TRY(inherit(c, t, d->digest, last));
        if (!media_is_index(child.media_type))
            TRY(prefetch_content(c, t, &child, &report));
    }
    return E_OK;
}

static enum err refresh(struct ctx *c, struct arena *keep, struct timestamp since,
                        struct refresh_item *item)
{
    struct prefetch_target t = {.principal = {.name = S("cove")}};
    struct prefetch_report report = {0};
    struct pulled_manifest p;
    struct str before = NO_STR;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(project_access_for(c, NO_STR, item->tag.project_id, NULL, &t.access));
    }
    t.at = (struct place){.access = &t.access,
                          .principal = &t.principal,
                          .repository = item->tag.repository_name,
                          .background = true};
    if (!item->moved)
        TRY(look_before(c, keep, &t, since, item, &before));
    TRY(prefetch_manifest(c, &t, item->tag.name, &p));
    if (!item->moved && str_eq(p.digest, before))
        return E_OK;
    if (!item->moved) {
        metric_add(M_refresh_moved, 1);
        TRY(inherit(c, &t, p.digest, item->last));
    }
    item->moved = true;
    enum err e = media_is_index(p.media_type) ? fetch_children(c, &t, item, &p)
                                              : prefetch_content(c, &t, &p, &report);
    if (e != E_OK && condition_cut(flights_conditions(c->sv->flights), t.access.endpoint.id))
        return fail(c, E_TOO_MANY, "upstream %.*s is paused", STR(t.access.endpoint.name));
    return e;
}

enum err refresh_tag(struct ctx *c, struct arena *keep, struct timestamp since,
                     struct refresh_item *item)
{
    enum err e = refresh(c, keep, since, item);
    item->done = e != E_TOO_MANY;
    if (item->done)
        metric_add(M_refresh_tags, 1);
    if (item->done && e != E_OK && e != E_NOT_FOUND)
        metric_add(M_refresh_failed, 1);
    return e;
}
