/*
 * What goes on in this moment: layers on their way from upstreams, with those who wait for them;
 * and who pulled what a moment ago. Everybody sees what belongs to projects that they may read.
 */
#include "api/cove.h"

#include "api/harbor.h"
#include "base/log.h"
#include "meta/artifact.h"
#include "registry/figures.h"
#include "registry/flight.h"
#include "rule/manifest.h"

#define PULLS_MAX 100

/* ---- downloads ---------------------------------------------------------------------------- */

struct download {
    struct flight_view flight;
    struct str tag;
    int64_t layer, layers; /* the how manyth of how many; 0 = the configuration, or not known */
};

#define FLIGHT_FIELD(name) FIELD_AS(struct download, flight.name, #name, 0, 0)

const struct field download_fields[] = {
    FLIGHT_FIELD(upstream),
    FLIGHT_FIELD(project),
    FLIGHT_FIELD(repository),
    FIELD(struct download, tag, F_OMIT, 0),
    FLIGHT_FIELD(digest),
    FIELD(struct download, layer, F_OMIT, 0),
    FIELD(struct download, layers, F_OMIT, 0),
    FLIGHT_FIELD(have),
    FIELD_AS(struct download, flight.total, "size", 0, 0),
    FLIGHT_FIELD(rate),
    FLIGHT_FIELD(clients),
    FLIGHT_FIELD(seconds),
    FIELDS_END,
};

/* Which layer of which image it is, as far as the store knows. */
static void name_layer(struct ctx *c, struct download *d)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct blob_user user;
    struct manifest m;
    if (tx_read(c, &tx) != E_OK ||
        artifact_user_of_blob(c, d->flight.project_id, d->flight.repository, d->flight.digest,
                              &user) != E_OK)
        return;
    d->tag = user.tag;
    if (manifest_parse(c, user.payload, user.media_type, &m) != E_OK)
        return;
    d->layers = (int64_t)m.layer_count;
    for (size_t i = 0; i < m.layer_count; i++)
        if (str_eq(m.layers[i].digest, d->flight.digest))
            d->layer = (int64_t)i + 1;
}

enum err list_downloads(struct call *r)
{
    struct ctx *c = r->c;
    struct list flights;
    size_t n = 0;
    TRY(flights_list(c, c->sv->flights, &flights));
    struct download *downloads = arena_array(&c->mem, flights.count + 1, sizeof *downloads);
    if (!downloads)
        return fail(c, E_UNAVAILABLE, "out of memory");
    const struct flight_view *f = flights.items;
    for (size_t i = 0; i < flights.count; i++) {
        struct project_access access;
        if (call_require_in(r, NO_STR, f[i].project_id, RES_REPOSITORY, ACT_LIST, &access) != E_OK)
            continue;
        downloads[n] = (struct download){.flight = f[i]};
        name_layer(c, &downloads[n++]);
    }
    c->status = 0;
    c->msg[0] = 0;
    struct list list = {downloads, n};
    return reply_list(r, download_fields, &list, sizeof *downloads, (int64_t)n);
}

/* ---- pulls -------------------------------------------------------------------------------- */

const struct field pulls_query_fields[] = {
    FIELD(struct pulls_query, project, 0, 255),
    FIELD(struct pulls_query, since, 0, 0),
    FIELD(struct pulls_query, limit, 0, 0),
    FIELDS_END,
};

enum err project_of_query(struct call *r, int64_t *project_id)
{
    struct ctx *c = r->c;
    struct pulls_query query = {0};
    struct project project;
    TRY(query_decode(r, &query));
    if (!query.project.n)
        return E_OK;
    CLEANUP(tx_end) struct tx tx = {0};
    TRY(tx_read(c, &tx));
    enum err e = project_by_name(c, query.project, &project);
    if (e == E_NOT_FOUND && r->principal.sysadmin)
        return fail(c, e, "project %.*s not found", STR(query.project));
    if (e == E_NOT_FOUND)
        return call_refuse(r);
    TRY(e);
    *project_id = project.project_id;
    return E_OK;
}

enum err list_pulls(struct call *r)
{
    struct ctx *c = r->c;
    struct pulls_query query = {.limit = 20};
    struct list rows;
    TRY(query_decode(r, &query));
    if (query.limit < 1 || query.limit > PULLS_MAX)
        return fail(c, E_BAD_REQUEST, "limit is 1 to %d", PULLS_MAX);
    if (figures_flush(c) != E_OK) /* the list is a second old then, and the housekeeper says so */
        log_debug("cache", "figures are not written: %s", c->msg);
    {
        CLEANUP(tx_end) struct tx tx = {0};
        TRY(tx_read(c, &tx));
        TRY(recent_pull_list(c, r->access.project.project_id, query.since, query.limit, &rows));
    }
    return reply_list(r, recent_pull_fields, &rows, sizeof(struct recent_pull),
                      (int64_t)rows.count);
}
