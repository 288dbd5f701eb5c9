/*
 * Names on the way to an upstream: hosts as clients write them, the Hub's `library/`, and the
 * configuration that clients need to come here.
 */
#ifndef REGISTRY_MIRROR_H
#define REGISTRY_MIRROR_H

#include "base/buf.h"
#include "base/ctx.h"
#include "meta/endpoint.h"
#include "meta/principal.h"

/* An upstream host as ?ns= or a client writes it, in the one form that rows have: lower case,
   without :443, the Docker Hub's many names as "docker.io". */
struct str mirror_host(struct arena *a, struct str host);

/* The one row of a repository: "nginx" and "library/nginx" are one at vendors that have `library`.
   path is the repository without its project; returns path itself when nothing changes. The
   dispatcher calls it once, for every /v2 name in a proxy project. */
struct str mirror_repository(struct arena *a, const struct endpoint *e, struct str path);

struct mirror_route { /* an upstream host and the project that serves it */
    struct str host, project;
};

struct mirror_params {
    struct str url;        /* of Cove: "https://cove.example.org" */
    struct str mirror_url; /* of the mirror listener; empty = none */
    const struct mirror_route *routes;
    size_t count;
    bool login; /* with a place for a name and a secret: USER, SECRET, and BASIC for both */
};
/* Keeps the routes of the projects in a comma list; an empty one keeps all. */
size_t mirror_keep(struct mirror_route *routes, size_t count, struct str projects);
/* The routes of the proxy projects with a proxy_ns that `who` sees (NULL: of all), sorted by host.
   Opens a read transaction. */
enum err mirror_routes(struct ctx *c, const struct principal *who, struct mirror_route **out,
                       size_t *count);
#define MIRROR_CLIENTS                                                                             \
    "containerd, docker, podman, crio, k3s, rke2, buildkit, kubernetes, helm, ci or script"
/* The text for one of MIRROR_CLIENTS; "script" is a shell script that sets up a node. E_BAD_REQUEST
 * for another. */
enum err mirror_config(struct ctx *c, struct str client, const struct mirror_params *p,
                       struct buf *out);

#endif
