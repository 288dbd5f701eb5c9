/* Every text is copied: the request that a place comes from may be over first. */
#include "registry/place.h"

/* Keeps the difference between empty and unset. */
static struct str copy(struct arena *a, struct str s)
{
    return s.p ? str_dup(a, s) : s;
}

void endpoint_copy(struct arena *a, const struct endpoint *e, struct endpoint *out)
{
    *out = *e;
    out->name = copy(a, e->name);
    out->description = copy(a, e->description);
    out->type = copy(a, e->type);
    out->url = copy(a, e->url);
    out->ca_certificate = copy(a, e->ca_certificate);
    out->credential_type = copy(a, e->credential_type);
    out->access_key = copy(a, e->access_key);
    out->access_secret = copy(a, e->access_secret);
    out->status = copy(a, e->status);
    out->halt = copy(a, e->halt);
    out->halted_by = copy(a, e->halted_by);
    out->halt_reason = copy(a, e->halt_reason);
}

struct place *place_copy(struct arena *a, const struct place *at)
{
    struct place *p = arena_alloc(a, sizeof *p);
    struct project_access *to = arena_alloc(a, sizeof *to);
    const struct project *from = &at->access->project;
    to->project = *from;
    to->project.name = copy(a, from->name);
#define X(name) to->project.name = copy(a, from->name);
    PROJECT_METADATA(X)
#undef X
    endpoint_copy(a, &at->access->endpoint, &to->endpoint);
    p->access = to;
    p->principal = arena_alloc(a, sizeof *p->principal); /* anonymous: it has no rights */
    p->principal->name = copy(a, at->principal->name);
    p->background = at->background;
    p->repository = copy(a, at->repository);
    return p;
}
