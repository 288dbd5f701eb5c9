/*
 * Names, and the words in which each client wants to hear of a mirror.
 *
 * Two kinds of client: those that keep the upstream's path and add ?ns= (containerd, k3s), and
 * those that put a path in front (podman, CRI-O, BuildKit), which name the project. dockerd does
 * neither: it sends Hub names to the root mirror, and for other hosts it has no mirrors at all. And
 * three that have no mirrors and say our name: a pod, helm, a CI job.
 *
 * What one file of a client holds is written by one function, for people to copy and for the script
 * that sets up a node.
 */
#include "registry/mirror.h"

#include "meta/project.h"
#include "peer/vendor.h"

#include <stdlib.h>

#define ROUTES_MAX 1024

static bool is_hub(struct str host)
{
    return str_eq(host, S("docker.io")) || str_eq(host, S("index.docker.io")) ||
           str_eq(host, S("registry-1.docker.io")) || str_eq(host, S("registry.hub.docker.com"));
}

struct str mirror_host(struct arena *a, struct str host)
{
    host = str_lower(a, str_trim(host));
    if (str_starts(host, S("https://")))
        host = str_sub(host, 8, host.n);
    if (str_ends(host, S("/")))
        host.n--;
    if (str_ends(host, S(":443")))
        host.n -= 4;
    return is_hub(host) ? S("docker.io") : host;
}

struct str mirror_repository(struct arena *a, const struct endpoint *e, struct str path)
{
    const struct vendor *v = e->id ? vendor_by_type(e->type) : NULL;
    if (!v || !v->library || !path.n || str_find(path, '/') >= 0)
        return path;
    return str_fmt(a, "library/%.*s", STR(path));
}

static int by_host(const void *a, const void *b)
{
    const struct mirror_route *x = a, *y = b;
    int order = str_cmp(x->host, y->host);
    return order ? order : str_cmp(x->project, y->project);
}

enum err mirror_routes(struct ctx *c, const struct principal *who, struct mirror_route **out,
                       size_t *count)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct principal all = {.kind = PRINCIPAL_USER, .sysadmin = true};
    struct project_filter filter = {.principal = who ? who : &all, .is_public = -1};
    struct list_query q = {.page = 1, .page_size = 100};
    struct mirror_route *routes = arena_array(&c->mem, ROUTES_MAX, sizeof *routes);
    size_t n = 0;
    int64_t total = 1;
    if (!routes)
        return fail(c, E_UNAVAILABLE, "out of memory");
    TRY(tx_read(c, &tx));
    for (; (q.page - 1) * q.page_size < total; q.page++) {
        struct list page;
        TRY(project_list(c, &filter, &q, &page, &total));
        const struct project *p = page.items;
        for (size_t i = 0; i < page.count; i++)
            for (struct str rest = p[i].proxy_ns; rest.n && n < ROUTES_MAX;) {
                struct str host = mirror_host(&c->mem, str_cut(&rest, ','));
                if (host.n)
                    routes[n++] = (struct mirror_route){host, p[i].name};
            }
    }
    if (n)
        qsort(routes, n, sizeof *routes, by_host);
    *out = routes;
    *count = n;
    return E_OK;
}

size_t mirror_keep(struct mirror_route *routes, size_t count, struct str projects)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool kept = !projects.n;
        for (struct str rest = projects; rest.n && !kept;)
            kept = str_eq(str_trim(str_cut(&rest, ',')), routes[i].project);
        if (kept)
            routes[n++] = routes[i];
    }
    return n;
}

/* ---- configurations ---- */

static struct str without_scheme(struct str url)
{
    if (str_starts(url, S("https://")))
        return str_sub(url, 8, url.n);
    return str_starts(url, S("http://")) ? str_sub(url, 7, url.n) : url;
}

static bool plain(struct str url)
{
    return str_starts(url, S("http://"));
}

static void containerd_file(const struct mirror_params *p, size_t i, struct buf *out)
{
    struct str host = p->routes[i].host;
    struct str server = is_hub(host) ? S("registry-1.docker.io") : host;
    buf_fmt(out,
            "server = \"https://%.*s\"\n\n[host.\"%.*s\"]\n  capabilities = [\"pull\", "
            "\"resolve\"]\n",
            STR(server), STR(p->url));
    if (p->login)
        buf_fmt(out, "\n  [host.\"%.*s\".header]\n    Authorization = \"Basic BASIC\"\n",
                STR(p->url));
}

static void containerd(const struct mirror_params *p, struct buf *out)
{
    buf_str(out,
            S("# In /etc/containerd/config.toml: config_path = \"/etc/containerd/certs.d\"\n"));
    if (p->login)
        buf_str(out, S("# BASIC: printf '%s' 'USER:SECRET' | base64 -w 0\n"));
    for (size_t i = 0; i < p->count; i++) {
        buf_fmt(out, "\n# /etc/containerd/certs.d/%.*s/hosts.toml\n", STR(p->routes[i].host));
        containerd_file(p, i, out);
    }
}

static struct str docker_url(const struct mirror_params *p)
{
    return p->mirror_url.n ? p->mirror_url : p->url;
}

static void docker(const struct mirror_params *p, struct buf *out)
{
    struct str url = docker_url(p);
    buf_fmt(out, "{\n  \"registry-mirrors\": [\"%.*s\"]", STR(url));
    if (plain(url))
        buf_fmt(out, ",\n  \"insecure-registries\": [\"%.*s\"]", STR(without_scheme(url)));
    buf_str(out, S("\n}\n"));
}

static void podman(const struct mirror_params *p, struct buf *out)
{
    buf_str(out, S("# /etc/containers/registries.conf.d/50-cove.conf\n"));
    if (p->login)
        buf_fmt(out,
                "# once for everybody who pulls: podman login %.*s --username 'USER' --password "
                "'SECRET'\n",
                STR(without_scheme(p->url)));
    for (size_t i = 0; i < p->count; i++)
        buf_fmt(out,
                "\n[[registry]]\nprefix = \"%.*s\"\nlocation = \"%.*s\"\n\n"
                "[[registry.mirror]]\nlocation = \"%.*s/%.*s\"\n%s",
                STR(p->routes[i].host), STR(p->routes[i].host), STR(without_scheme(p->url)),
                STR(p->routes[i].project), plain(p->url) ? "insecure = true\n" : "");
}

/* k3s and RKE2 read the same text from two places. */
static void rancher(const struct mirror_params *p, const char *which, struct buf *out)
{
    buf_fmt(out, "# /etc/rancher/%s/registries.yaml\nmirrors:\n", which);
    for (size_t i = 0; i < p->count; i++)
        buf_fmt(out, "  \"%.*s\":\n    endpoint:\n      - \"%.*s\"\n", STR(p->routes[i].host),
                STR(p->url));
}

static void k3s(const struct mirror_params *p, struct buf *out)
{
    rancher(p, "k3s", out);
}

static void rke2(const struct mirror_params *p, struct buf *out)
{
    rancher(p, "rke2", out);
}

static void buildkit(const struct mirror_params *p, struct buf *out)
{
    buf_str(out, S("# /etc/buildkit/buildkitd.toml\n"));
    for (size_t i = 0; i < p->count; i++)
        buf_fmt(out, "\n[registry.\"%.*s\"]\n  mirrors = [\"%.*s/%.*s\"]\n", STR(p->routes[i].host),
                STR(without_scheme(p->url)), STR(p->routes[i].project));
    if (plain(p->url))
        buf_fmt(out, "\n[registry.\"%.*s\"]\n  http = true\n", STR(without_scheme(p->url)));
}

/* The first project, or a word to put one in. */
static struct str project_of(const struct mirror_params *p)
{
    return p->count ? p->routes[0].project : S("PROJECT");
}

static void kubernetes(const struct mirror_params *p, struct buf *out)
{
    struct str host = without_scheme(p->url);
    buf_fmt(out,
            "kubectl create secret docker-registry cove --docker-server=%.*s "
            "--docker-username='USER' --docker-password='SECRET'\n\n"
            "# in the pod\nspec:\n  imagePullSecrets:\n    - name: cove\n  containers:\n"
            "    - image: %.*s/%.*s/REPOSITORY:TAG\n",
            STR(host), STR(host), STR(project_of(p)));
}

static void helm(const struct mirror_params *p, struct buf *out)
{
    struct str host = without_scheme(p->url);
    const char *flag = plain(p->url) ? " --plain-http" : "";
    buf_fmt(out,
            "helm registry login %.*s --username 'USER' --password 'SECRET'%s\n"
            "helm pull oci://%.*s/%.*s/CHART --version VERSION%s\n",
            STR(host), flag, STR(host), STR(project_of(p)), flag);
}

/* A job's shell, the same on every CI: a robot's name and secret come from its store of secrets. */
static void ci(const struct mirror_params *p, struct buf *out)
{
    struct str host = without_scheme(p->url);
    buf_fmt(out,
            "# COVE_USER and COVE_SECRET: a robot account, from the secrets of your CI\n"
            "printf '%%s' \"$COVE_SECRET\" | docker login %.*s --username \"$COVE_USER\" "
            "--password-stdin\n"
            "docker pull %.*s/%.*s/REPOSITORY:TAG\n",
            STR(host), STR(host), STR(project_of(p)));
}

/* ---- a node, whatever runs on it ---- */

extern const char node_script[], node_script_end[]; /* node.sh, by node.S */

/* "docker.io ghcr.io", each host once: routes are sorted by host. */
static void hosts_of(const struct mirror_params *p, struct buf *out)
{
    for (size_t i = 0; i < p->count; i++)
        if (!i || !str_eq(p->routes[i].host, p->routes[i - 1].host))
            buf_fmt(out, " %.*s", STR(p->routes[i].host));
}

static bool serves_hub(const struct mirror_params *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_hub(p->routes[i].host))
            return true;
    return false;
}

static void docker_part(const struct mirror_params *p, struct buf *out)
{
    if (!serves_hub(p))
        return;
    if (!p->mirror_url.n) {
        buf_str(out,
                S("\nif wanted docker /etc/docker; then\n    say 'docker: nothing, Cove has no "
                  "mirror listener (mirror.listen)'\nfi\n"));
        return;
    }
    buf_fmt(out, "\nif wanted docker /etc/docker; then\n    docker_mirror '%.*s' <<'COVE_END'\n",
            STR(p->mirror_url));
    docker(p, out);
    buf_str(out, S("COVE_END\nfi\n"));
}

/* One function of node.sh for each file, with the text that people would copy. */
static void script(const struct mirror_params *p, struct buf *out)
{
    buf_fmt(out,
            "#!/bin/sh\n# Makes containerd, docker and podman of this node pull through "
            "%.*s:\n#",
            STR(p->url));
    hosts_of(p, out);
    buf_str(out,
            S("\n# It may be run again, says what it does, keeps what it changes, and takes it "
              "back with --undo.\n# shellcheck disable=SC2317 # one upstream alone does not need "
              "every function\n\n"));
    if (p->login)
        buf_str(out, S("# Who pulls; the environment goes first.\n"
                       "COVE_USER=${COVE_USER:-'USER'}\nCOVE_SECRET=${COVE_SECRET:-'SECRET'}\n\n"));
    buf_str(out, (struct str){node_script, (size_t)(node_script_end - node_script)});
    buf_str(out, S("\nbegin \"$@\"\n\nif wanted containerd /etc/containerd; then\n"
                   "    containerd_directory\n"));
    for (size_t i = 0; i < p->count; i++) {
        if (i && str_eq(p->routes[i].host, p->routes[i - 1].host))
            continue; /* containerd knows a host once */
        buf_fmt(out, "    containerd_host '%.*s' <<'COVE_END'\n", STR(p->routes[i].host));
        containerd_file(p, i, out);
        buf_str(out, S("COVE_END\n"));
    }
    buf_str(out, S("fi\n"));
    docker_part(p, out);
    buf_fmt(out,
            "\nif wanted podman /etc/containers; then\n    podman_mirrors '%.*s' <<'COVE_END'\n",
            STR(without_scheme(p->url)));
    podman(&(struct mirror_params){p->url, p->mirror_url, p->routes, p->count, false}, out);
    buf_str(out, S("COVE_END\nfi\n\nfinish\n"));
}

enum err mirror_config(struct ctx *c, struct str client, const struct mirror_params *p,
                       struct buf *out)
{
    static const struct {
        const char *client;
        void (*write)(const struct mirror_params *p, struct buf *out);
    } writers[] = {
        {"containerd", containerd},
        {"docker", docker},
        {"podman", podman},
        {"crio", podman},
        {"k3s", k3s},
        {"rke2", rke2},
        {"buildkit", buildkit},
        {"kubernetes", kubernetes},
        {"helm", helm},
        {"ci", ci},
        {"script", script},
    };
    for (size_t i = 0; i < COUNT(writers); i++)
        if (str_eq(client, str_of(writers[i].client))) {
            writers[i].write(p, out);
            return E_OK;
        }
    return fail(c, E_BAD_REQUEST, "no such client: %.*s (" MIRROR_CLIENTS ")", STR(client));
}
