/*
 * Two artifacts of a repository side by side: layers, what runs, platforms. What differs is told;
 * what is the same is counted, or left out.
 */
#include "api/artifact_views.h"
#include "api/cove.h"
#include "api/harbor.h"

#include "meta/artifact.h"
#include "registry/config.h"

#include <stdlib.h>

const struct field compare_query_fields[] = {
    FIELD(struct compare_query, a, F_REQ, 256),
    FIELD(struct compare_query, b, F_REQ, 256),
    FIELDS_END,
};

struct side {
    struct str digest, media_type, type, platform;
    int64_t size;
    struct timestamp push_time;
    bool config; /* it is here and was read */
    /* not shown */
    struct str payload;
    struct manifest m;
    struct image_config image;
};

struct both_layer {
    struct str digest, media_type, in; /* in: "a", "b" or "both" */
    int64_t size;
};

struct both_platform {
    struct str platform, a, b; /* digests; without a pointer: not there */
};

struct comparison {
    struct side a, b;
    int64_t shared; /* bytes of layers that both have */
    struct list layers, config, platforms;
};

static const struct field side_fields[] = {
    FIELD(struct side, digest, 0, 0), FIELD(struct side, media_type, 0, 0),
    FIELD(struct side, type, 0, 0),   FIELD(struct side, platform, F_OMIT, 0),
    FIELD(struct side, size, 0, 0),   FIELD(struct side, push_time, 0, 0),
    FIELD(struct side, config, 0, 0), FIELDS_END,
};

static const struct field both_layer_fields[] = {
    FIELD(struct both_layer, digest, 0, 0),
    FIELD(struct both_layer, media_type, F_OMIT, 0),
    FIELD(struct both_layer, size, 0, 0),
    FIELD(struct both_layer, in, 0, 0),
    FIELDS_END,
};

static const struct field change_fields[] = {
    FIELD(struct image_change, kind, 0, 0),
    FIELD(struct image_change, name, F_OMIT, 0),
    FIELD(struct image_change, a, F_NULL, 0),
    FIELD(struct image_change, b, F_NULL, 0),
    FIELDS_END,
};

static const struct field both_platform_fields[] = {
    FIELD(struct both_platform, platform, 0, 0),
    FIELD(struct both_platform, a, F_NULL, 0),
    FIELD(struct both_platform, b, F_NULL, 0),
    FIELDS_END,
};

const struct field comparison_fields[] = {
    FIELD_OBJECT(struct comparison, a, 0, side_fields),
    FIELD_OBJECT(struct comparison, b, 0, side_fields),
    FIELD(struct comparison, shared, 0, 0),
    FIELD_LIST(struct comparison, layers, 0, struct both_layer, both_layer_fields),
    FIELD_LIST(struct comparison, config, 0, struct image_change, change_fields),
    FIELD_LIST(struct comparison, platforms, 0, struct both_platform, both_platform_fields),
    FIELDS_END,
};

static enum err read_side(struct call *r, struct str ref, struct side *out)
{
    struct repository repo;
    struct artifact a;
    struct manifest_row row;
    TRY(artifact_here(r, ref, &repo, &a));
    TRY(manifest_by_digest(r->c, repo.project_id, repo.name, a.digest, &row));
    *out = (struct side){.digest = a.digest,
                         .media_type = a.media_type,
                         .type = a.type,
                         .size = a.size,
                         .push_time = a.push_time,
                         .payload = row.payload};
    return E_OK;
}

static enum err read_sides(struct call *r, struct comparison *out)
{
    struct compare_query q = {0};
    TRY(query_decode(r, &q));
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(r->c, &tx));
    TRY(read_side(r, q.a, &out->a));
    return read_side(r, q.b, &out->b);
}

static enum err look_into(struct call *r, struct side *s)
{
    TRY(manifest_parse(r->c, s->payload, s->media_type, &s->m));
    TRY(image_config_read(r->c, r->access.project.project_id, r->place.repository, &s->m, &s->image,
                          &s->config));
    s->platform = s->image.platform;
    return E_OK;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The layers' digests, sorted: there may be ten thousand on either side. */
static struct strs sorted_layers(struct ctx *c, const struct manifest *m)
{
    struct strs all = {arena_alloc(&c->mem, (m->layer_count + 1) * sizeof *all.items), 0};
    for (; all.count < m->layer_count; all.count++)
        all.items[all.count] = m->layers[all.count].digest;
    qsort(all.items, all.count, sizeof *all.items, by_text);
    return all;
}

static bool has_layer(const struct strs *sorted, struct str digest)
{
    return sorted->count &&
           bsearch(&digest, sorted->items, sorted->count, sizeof digest, by_text) != NULL;
}

static void compare_layers(struct ctx *c, struct comparison *x)
{
    const struct manifest *a = &x->a.m, *b = &x->b.m;
    struct both_layer *all =
        arena_alloc(&c->mem, (a->layer_count + b->layer_count + 1) * sizeof *all);
    const struct strs in_a = sorted_layers(c, a), in_b = sorted_layers(c, b);
    size_t n = 0;
    for (size_t i = 0; i < a->layer_count; i++) {
        const struct descriptor *d = &a->layers[i];
        bool both = has_layer(&in_b, d->digest);
        all[n++] =
            (struct both_layer){d->digest, d->media_type, both ? S("both") : S("a"), d->size};
        if (both && !add_i64(x->shared, d->size, &x->shared))
            x->shared = INT64_MAX;
    }
    for (size_t i = 0; i < b->layer_count; i++) {
        const struct descriptor *d = &b->layers[i];
        if (!has_layer(&in_a, d->digest))
            all[n++] = (struct both_layer){d->digest, d->media_type, S("b"), d->size};
    }
    x->layers = (struct list){all, n};
}

/* A platform of one side joins that of the other. */
static void add_platforms(struct ctx *c, const struct manifest *m, bool first,
                          struct both_platform *all, size_t *n)
{
    for (size_t i = 0; i < m->child_count; i++) {
        struct str text = image_platform_text(c, m->children[i].platform);
        size_t at = 0;
        if (!text.n || str_starts(text, S("unknown/")))
            continue;
        while (at < *n && !str_eq(all[at].platform, text))
            at++;
        if (at == *n)
            all[(*n)++] = (struct both_platform){.platform = text};
        *(first ? &all[at].a : &all[at].b) = m->children[i].digest;
    }
}

enum err compare_artifacts(struct call *r)
{
    struct ctx *c = r->c;
    struct comparison x = {0};
    TRY(read_sides(r, &x));
    TRY(look_into(r, &x.a));
    TRY(look_into(r, &x.b));
    compare_layers(c, &x);
    if (x.a.config && x.b.config)
        image_compare(&c->mem, &x.a.image, &x.b.image, &x.config);
    size_t n = 0, most = x.a.m.child_count + x.b.m.child_count + 1;
    struct both_platform *all = arena_alloc(&c->mem, most * sizeof *all);
    add_platforms(c, &x.a.m, true, all, &n);
    add_platforms(c, &x.b.m, false, all, &n);
    x.platforms = (struct list){all, n};
    return reply_json(r, 200, comparison_fields, &x);
}
