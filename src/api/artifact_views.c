/*
 * One artifact with what belongs to it: the graph of what it contains and what refers to it, its
 * layers with the steps that made them and with those who share them, and why it is still here.
 *
 * Others are counted and named as far as the caller sees their projects; of the rest not even the
 * number is told.
 */
#include "api/artifact_views.h"

#include "api/cove.h"
#include "api/harbor.h"

#include "meta/kin.h"
#include "registry/config.h"
#include "rule/evict.h"
#include "rule/hold.h"
#include "rule/kept.h"
#include "rule/settings.h"

#include <stdlib.h>

#define GRAPH_MAX 500
#define ABOVE_MAX 20
#define SHARERS_MAX 20
#define REASONS_MAX 256

/* The artifact of the path, in a read transaction for all that is told of it. */
static enum err begin(struct call *r, struct tx *tx, struct artifact *out)
{
    struct repository repo;
    TRY(tx_read(r->c, tx));
    return artifact_here(r, call_param(r, "digest"), &repo, out);
}

/* ---- the graph ------------------------------------------------------------------------------ */

struct graph_node {
    struct str digest, media_type, artifact_type, type, attached_as;
    int64_t size, layers, pulls;
    bool stored;
    struct strs tags;
    struct timestamp push_time, pull_time;
};

struct graph_edge {
    struct str from, to, kind;
    struct raw_json platform;
};

static const struct field graph_node_fields[] = {
    FIELD(struct graph_node, digest, 0, 0),
    FIELD(struct graph_node, media_type, 0, 0),
    FIELD(struct graph_node, artifact_type, F_OMIT, 0),
    FIELD(struct graph_node, type, 0, 0),
    FIELD(struct graph_node, attached_as, F_OMIT, 0),
    FIELD(struct graph_node, size, 0, 0),
    FIELD(struct graph_node, layers, 0, 0),
    FIELD(struct graph_node, pulls, 0, 0),
    FIELD(struct graph_node, stored, 0, 0),
    FIELD(struct graph_node, tags, 0, 0),
    FIELD(struct graph_node, push_time, 0, 0),
    FIELD(struct graph_node, pull_time, F_NULL, 0),
    FIELDS_END,
};

static const struct field graph_edge_fields[] = {
    FIELD(struct graph_edge, from, 0, 0),
    FIELD(struct graph_edge, to, 0, 0),
    FIELD(struct graph_edge, kind, 0, 0),
    FIELD(struct graph_edge, platform, F_OMIT, 0),
    FIELDS_END,
};

const struct field graph_fields[] = {
    FIELD(struct graph, digest, 0, 0),
    FIELD(struct graph, truncated, 0, 0),
    FIELD_LIST(struct graph, nodes, 0, struct graph_node, graph_node_fields),
    FIELD_LIST(struct graph, edges, 0, struct graph_edge, graph_edge_fields),
    FIELDS_END,
};

static struct graph_node node_of(const struct kin_node *n)
{
    return (struct graph_node){
        .digest = n->digest,
        .media_type = n->media_type,
        .artifact_type = n->artifact_type,
        .type = n->type,
        .attached_as = n->subject_digest.n ? accessory_kind(n->artifact_type) : NO_STR,
        .size = n->size,
        .layers = i64_max(n->layers, 0),
        .pulls = n->pulls,
        .stored = n->state == STATE_ACTIVE,
        .tags = n->tags,
        .push_time = n->push_time,
        .pull_time = n->pull_time,
    };
}

static struct str digest_of_id(const struct list *nodes, int64_t id)
{
    const struct kin_node *n = nodes->items;
    for (size_t i = 0; i < nodes->count; i++)
        if (n[i].id == id)
            return n[i].digest;
    return NO_STR;
}

static bool has_digest(const struct list *nodes, struct str digest)
{
    const struct kin_node *n = nodes->items;
    for (size_t i = 0; i < nodes->count; i++)
        if (str_eq(n[i].digest, digest))
            return true;
    return false;
}

static void add_edge(struct graph *g, struct str from, struct str to, const char *kind,
                     struct raw_json platform)
{
    if (from.n && to.n)
        ((struct graph_edge *)g->edges.items)[g->edges.count++] =
            (struct graph_edge){from, to, str_of(kind), platform};
}

/* BuildKit keeps attestations as children of the index, and says in an annotation for which. */
static struct str attests(struct ctx *c, struct raw_json annotations)
{
    json_t *root = NULL;
    struct str digest = NO_STR;
    if (annotations.text.n && json_parse(c, annotations.text, &root) == E_OK &&
        json_get_str(root, "vnd.docker.reference.digest", &digest))
        digest = str_dup(&c->mem, digest);
    json_decref(root);
    return digest;
}

static void draw(struct ctx *c, struct graph *g, const struct list *below, const struct list *edges)
{
    const struct kin_node *n = below->items;
    const struct kin_edge *e = edges->items;
    for (size_t i = 0; i < below->count; i++) {
        ((struct graph_node *)g->nodes.items)[g->nodes.count++] = node_of(&n[i]);
        if (n[i].subject_digest.n && has_digest(below, n[i].subject_digest))
            add_edge(g, n[i].subject_digest, n[i].digest, "attached", (struct raw_json){0});
    }
    for (size_t i = 0; i < edges->count; i++) {
        struct str from = digest_of_id(below, e[i].parent_id);
        struct str to = digest_of_id(below, e[i].child_id), of = attests(c, e[i].annotations);
        add_edge(g, from, to, "contains", e[i].platform);
        if (of.n && has_digest(below, of))
            add_edge(g, of, to, "attached", (struct raw_json){0});
    }
}

/* What contains the artifact, and what it refers to. */
static enum err draw_above(struct ctx *c, struct graph *g, const struct artifact *a)
{
    struct list above;
    struct kin_node subject;
    TRY(kin_above(c, a->id, ABOVE_MAX, &above));
    const struct kin_node *n = above.items;
    for (size_t i = 0; i < above.count; i++) {
        ((struct graph_node *)g->nodes.items)[g->nodes.count++] = node_of(&n[i]);
        add_edge(g, n[i].digest, a->digest, "contains", (struct raw_json){0});
    }
    if (!a->subject_digest.n)
        return E_OK;
    enum err e = kin_by_digest(c, a->repository_id, a->subject_digest, &subject);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    ((struct graph_node *)g->nodes.items)[g->nodes.count++] = node_of(&subject);
    add_edge(g, subject.digest, a->digest, "attached", (struct raw_json){0});
    return E_OK;
}

static enum err graph_read(struct ctx *c, const struct artifact *a, struct graph *out)
{
    struct list below, edges;
    TRY(kin_below(c, a->id, GRAPH_MAX, &below, &edges));
    size_t nodes = below.count + ABOVE_MAX + 2;
    *out = (struct graph){
        .digest = a->digest,
        .truncated = below.count == GRAPH_MAX,
        .nodes.items = arena_alloc(&c->mem, nodes * sizeof(struct graph_node)),
        .edges.items = arena_alloc(&c->mem, (nodes + 2 * edges.count) * sizeof(struct graph_edge)),
    };
    draw(c, out, &below, &edges);
    return draw_above(c, out, a);
}

enum err artifact_graph(struct call *r)
{
    struct artifact a;
    struct graph g;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(begin(r, &tx, &a));
    TRY(graph_read(r->c, &a, &g));
    tx_end(&tx);
    return reply_json(r, 200, graph_fields, &g);
}

/* ---- layers --------------------------------------------------------------------------------- */

struct layer_view {
    struct str digest, media_type, command;
    int64_t size;
    bool stored;
    struct timestamp created;
    int64_t artifacts, repositories;
};

static const struct field layer_view_fields[] = {
    FIELD(struct layer_view, digest, 0, 0),
    FIELD(struct layer_view, media_type, F_OMIT, 0),
    FIELD(struct layer_view, size, 0, 0),
    FIELD(struct layer_view, stored, 0, 0),
    FIELD(struct layer_view, command, F_OMIT, 0),
    FIELD(struct layer_view, created, F_OMIT, 0),
    FIELD(struct layer_view, artifacts, 0, 0),
    FIELD(struct layer_view, repositories, 0, 0),
    FIELDS_END,
};

static const struct field sharer_view_fields[] = {
    FIELD(struct kin_sharer, repository, 0, 0),
    FIELD(struct kin_sharer, artifacts, 0, 0),
    FIELD(struct kin_sharer, layers, 0, 0),
    FIELDS_END,
};

const struct field layers_view_fields[] = {
    FIELD(struct layers_view, digest, 0, 0),
    FIELD(struct layers_view, size, 0, 0),
    FIELD(struct layers_view, shared, 0, 0),
    FIELD(struct layers_view, artifacts, 0, 0),
    FIELD(struct layers_view, repositories, 0, 0),
    FIELD(struct layers_view, history, 0, 0),
    FIELD(struct layers_view, platform, F_OMIT, 0),
    FIELD_LIST(struct layers_view, layers, 0, struct layer_view, layer_view_fields),
    FIELD_LIST(struct layers_view, with, 0, struct kin_sharer, sharer_view_fields),
    FIELDS_END,
};

static int by_layer(const void *a, const void *b)
{
    return str_cmp(((const struct kin_layer *)a)->digest, ((const struct kin_layer *)b)->digest);
}

/* Of a list that is sorted: there may be ten thousand. */
static const struct kin_layer *known_layer(const struct list *blobs, struct str digest)
{
    const struct kin_layer want = {.digest = digest};
    return blobs->count ? bsearch(&want, blobs->items, blobs->count, sizeof want, by_layer) : NULL;
}

static void fill_layers(struct ctx *c, const struct manifest *m, const struct list *blobs,
                        const struct image_config *config, struct list *out)
{
    struct layer_view *views = arena_alloc(&c->mem, (m->layer_count + 1) * sizeof *views);
    size_t at = 0;
    for (size_t i = 0; i < m->layer_count; i++) {
        const struct descriptor *d = &m->layers[i];
        const struct kin_layer *l = known_layer(blobs, d->digest);
        const struct image_step *step = image_step_next(config, &at);
        views[i] = (struct layer_view){.digest = d->digest,
                                       .media_type = d->media_type,
                                       .size = d->size,
                                       .stored = l && l->state == STATE_ACTIVE,
                                       .artifacts = l ? l->artifacts : 0,
                                       .repositories = l ? l->repositories : 0};
        if (step) {
            views[i].command = step->created_by;
            (void)time_parse(step->created, &views[i].created); /* a stranger's: 0 when odd */
        }
    }
    *out = (struct list){views, m->layer_count};
}

static enum err layers_read(struct call *r, const struct artifact *a, struct layers_view *out)
{
    struct ctx *c = r->c;
    struct manifest_row row;
    *out = (struct layers_view){.digest = a->digest, .media_type = a->media_type};
    TRY(manifest_by_digest(c, r->access.project.project_id, r->place.repository, a->digest, &row));
    TRY(kin_layers(c, a->id, &r->principal, &out->blobs));
    TRY(kin_sharers(c, a->id, &r->principal, SHARERS_MAX, &out->with, &out->artifacts,
                    &out->repositories));
    out->payload = row.payload;
    return E_OK;
}

static enum err layers_finish(struct call *r, struct layers_view *v)
{
    struct ctx *c = r->c;
    struct manifest m;
    struct image_config config;
    TRY(manifest_parse(c, v->payload, v->media_type, &m));
    TRY(image_config_read(c, r->access.project.project_id, r->place.repository, &m, &config,
                          &v->history));
    if (v->blobs.count)
        qsort(v->blobs.items, v->blobs.count, sizeof(struct kin_layer), by_layer);
    fill_layers(c, &m, &v->blobs, &config, &v->layers);
    v->platform = config.platform;
    const struct kin_layer *l = v->blobs.items;
    for (size_t i = 0; i < v->blobs.count; i++) {
        v->size += l[i].size;
        v->shared += l[i].artifacts ? l[i].size : 0;
    }
    return E_OK;
}

enum err artifact_layers(struct call *r)
{
    struct artifact a;
    struct layers_view v;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(begin(r, &tx, &a));
    TRY(layers_read(r, &a, &v));
    tx_end(&tx);
    TRY(layers_finish(r, &v));
    return reply_json(r, 200, layers_view_fields, &v);
}

/* ---- why it is kept ------------------------------------------------------------------------- */

struct reason {
    struct str reason, what;
};

static const struct field reason_fields[] = {
    FIELD(struct reason, reason, 0, 0),
    FIELD(struct reason, what, F_OMIT, 0),
    FIELDS_END,
};

const struct field why_kept_fields[] = {
    FIELD(struct why_kept, verdict, 0, 0),
    FIELD_LIST(struct why_kept, reasons, 0, struct reason, reason_fields),
    FIELD(struct why_kept, last_used, 0, 0),
    FIELD(struct why_kept, storage_limit, 0, 0),
    FIELD(struct why_kept, storage_used, 0, 0),
    FIELD(struct why_kept, free_floor, F_OMIT, 0),
    FIELD(struct why_kept, gc_grace_s, 0, 0),
    FIELDS_END,
};

static void because(struct why_kept *w, const char *reason, struct str what)
{
    if (w->reasons.count < REASONS_MAX)
        ((struct reason *)w->reasons.items)[w->reasons.count++] =
            (struct reason){str_of(reason), what};
}

/* Is the tag at this digest only because a newer one of upstream is held back? */
static enum err held_back(struct call *r, const struct artifact *a, struct str tag, bool *out)
{
    struct tag_seen seen;
    *out = false;
    if (!r->access.project.proxy_hold_hours.n)
        return E_OK;
    enum err e = tag_seen_get(r->c, a->repository_id, tag, &seen);
    if (e == E_NOT_FOUND)
        return E_OK;
    TRY(e);
    *out = str_eq(seen.decision, str_of(hold_text(HOLD_WAIT))) && !str_eq(seen.digest, a->digest);
    return E_OK;
}

static enum err ask_tags(struct call *r, const struct artifact *a, struct why_kept *w,
                         struct kept_facts *f)
{
    struct ctx *c = r->c;
    struct list tags;
    CLEANUP(buf_release) struct buf names = {0};
    struct list_query q = {.page = 1, .page_size = 100};
    TRY(tag_list(c, a->repository_id, a->id, &q, &tags, NULL));
    const struct tag *t = tags.items;
    for (size_t i = 0; i < tags.count; i++) {
        bool held;
        because(w, "tagged", t[i].name);
        if (t[i].pinned)
            because(w, "pinned", t[i].name);
        if (t[i].immutable)
            because(w, "immutable", t[i].name);
        TRY(held_back(r, a, t[i].name, &held));
        if (held)
            because(w, "held_back", t[i].name);
        f->pinned = f->pinned || t[i].pinned;
        f->immutable = f->immutable || t[i].immutable;
        buf_fmt(&names, "%.*s ", STR(t[i].name));
    }
    struct str pins = r->access.project.proxy_pins;
    f->pin_pattern = pins.n && evict_pinned(pins, r->place.repository, buf_view(&names));
    if (f->pin_pattern)
        because(w, "pin_pattern", pins);
    return E_OK;
}

static enum err ask_family(struct ctx *c, const struct artifact *a, struct why_kept *w,
                           struct kept_facts *f)
{
    struct list above, children;
    TRY(kin_above(c, a->id, ABOVE_MAX, &above));
    const struct kin_node *n = above.items;
    for (size_t i = 0; i < above.count; i++)
        because(w, "contained", n[i].digest);
    f->contained = above.count > 0;
    if (a->subject_digest.n)
        because(w, "attached", a->subject_digest);
    w->last_used.us = i64_max(a->pull_time.us, a->push_time.us);
    TRY(artifact_children(c, a->id, &children));
    const struct artifact_ref *k = children.items;
    for (size_t i = 0; i < children.count; i++)
        w->last_used.us = i64_max(w->last_used.us, k[i].pull_time.us);
    return E_OK;
}

static enum err why_kept_read(struct call *r, const struct artifact *a, struct why_kept *out)
{
    struct ctx *c = r->c;
    const struct project *p = &r->access.project;
    const struct settings *set = c->sv->settings;
    int64_t floor = 0;
    bool floored = evict_floor(set->proxy_free_floor, INT64_MAX >> 8, &floor) && floor > 0;
    struct kept_facts f = {.proxy = p->registry_id != 0,
                           .bounded = p->storage_limit >= 0 || floored};
    *out = (struct why_kept){
        .reasons.items = arena_alloc(&c->mem, REASONS_MAX * sizeof(struct reason)),
        .storage_limit = p->storage_limit,
        .storage_used = p->storage_used,
        .gc_grace_s = set->gc_grace_s,
        .free_floor = f.proxy && floored ? set->proxy_free_floor : NO_STR,
    };
    TRY(ask_tags(r, a, out, &f));
    TRY(ask_family(c, a, out, &f));
    out->verdict = str_of(kept_text(kept_verdict(&f)));
    return E_OK;
}

enum err artifact_why_kept(struct call *r)
{
    struct artifact a;
    struct why_kept w;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(begin(r, &tx, &a));
    TRY(why_kept_read(r, &a, &w));
    tx_end(&tx);
    return reply_json(r, 200, why_kept_fields, &w);
}

/* ---- all of it ------------------------------------------------------------------------------- */

struct overview {
    struct artifact_row artifact;
    struct raw_json annotations;
    struct str project;
    int64_t project_id;
    bool proxy;
    struct str upstream;
    struct graph graph;
    struct layers_view layers;
    struct why_kept kept;
};

const struct field artifact_overview_fields[] = {
    FIELD(struct overview, project, 0, 0),
    FIELD(struct overview, project_id, 0, 0),
    FIELD(struct overview, proxy, 0, 0),
    FIELD(struct overview, upstream, F_OMIT, 0),
    FIELD_OBJECT(struct overview, artifact, 0, artifact_row_view),
    FIELD(struct overview, annotations, 0, 0),
    FIELD_OBJECT(struct overview, graph, 0, graph_fields),
    FIELD_OBJECT(struct overview, layers, 0, layers_view_fields),
    FIELD_OBJECT(struct overview, kept, 0, why_kept_fields),
    FIELDS_END,
};

enum err artifact_overview(struct call *r)
{
    struct artifact a;
    struct overview v = {.project = r->access.project.name,
                         .project_id = r->access.project.project_id,
                         .proxy = r->access.project.registry_id != 0,
                         .upstream = r->access.endpoint.url};
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(begin(r, &tx, &a));
    TRY(artifact_rows_fill(r->c, &a, 1, &v.artifact));
    TRY(graph_read(r->c, &a, &v.graph));
    TRY(layers_read(r, &a, &v.layers));
    TRY(why_kept_read(r, &a, &v.kept));
    v.annotations = a.annotations;
    tx_end(&tx);
    TRY(layers_finish(r, &v.layers));
    return reply_json(r, 200, artifact_overview_fields, &v);
}
