/* Names of hosts and repositories, and what clients are told. */
#include "registry/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *given, *want;
    } rows[] = {
        {"docker.io", "docker.io"},
        {"index.docker.io", "docker.io"},
        {"registry-1.docker.io", "docker.io"},
        {"Docker.IO:443", "docker.io"},
        {"https://index.docker.io/", "docker.io"},
        {"ghcr.io", "ghcr.io"},
        {" GHCR.io ", "ghcr.io"},
        {"ghcr.io:443", "ghcr.io"},
        {"ghcr.io:5000", "ghcr.io:5000"},
        {"docker.io.evil.example", "docker.io.evil.example"},
        {"evil-docker.io", "evil-docker.io"},
        {"", ""},
    };
    struct arena a = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str got = mirror_host(&a, str_of(rows[i].given));
        if (!str_eq(got, str_of(rows[i].want)))
            fail_msg("%s became %.*s", rows[i].given, STR(got));
    }
    arena_release(&a);
}

static void repositories(void **state)
{
    (void)state;
    static const struct {
        const char *type, *path, *want;
    } rows[] = {
        {"docker-hub", "nginx", "library/nginx"}, {"docker-hub", "library/nginx", "library/nginx"},
        {"docker-hub", "team/app", "team/app"},   {"docker-hub", "", ""},
        {"docker-registry", "nginx", "nginx"},    {"github-ghcr", "nginx", "nginx"},
        {"no-such-vendor", "nginx", "nginx"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct endpoint e = {.id = 1, .type = str_of(rows[i].type)};
        struct str got = mirror_repository(&a, &e, str_of(rows[i].path));
        if (!str_eq(got, str_of(rows[i].want)))
            fail_msg("%s of %s became %.*s", rows[i].path, rows[i].type, STR(got));
    }
    arena_release(&a);
}

static void configurations(void **state)
{
    (void)state;
    static const struct {
        const char *client, *part;
    } rows[] = {
        {"containerd", "# /etc/containerd/certs.d/docker.io/hosts.toml\n"
                       "server = \"https://registry-1.docker.io\"\n\n"
                       "[host.\"http://cove:5000\"]"},
        {"containerd", "server = \"https://ghcr.io\""},
        {"docker", "\"registry-mirrors\": [\"http://cove:5001\"]"},
        {"docker", "\"insecure-registries\": [\"cove:5001\"]"},
        {"podman", "prefix = \"ghcr.io\"\nlocation = \"ghcr.io\"\n\n"
                   "[[registry.mirror]]\nlocation = \"cove:5000/ghcr\"\ninsecure = true\n"},
        {"crio", "location = \"cove:5000/hub\""},
        {"k3s", "  \"docker.io\":\n    endpoint:\n      - \"http://cove:5000\"\n"},
        {"rke2", "# /etc/rancher/rke2/registries.yaml\nmirrors:\n  \"docker.io\""},
        {"script", "containerd_host 'ghcr.io' <<'COVE_END'\nserver = \"https://ghcr.io\"\n"},
        {"script", "docker_mirror 'http://cove:5001' <<'COVE_END'\n{\n"},
        {"script", "podman_mirrors 'cove:5000' <<'COVE_END'\n# /etc/containers"},
        {"kubernetes", "docker-registry cove --docker-server=cove:5000 "},
        {"kubernetes", "- image: cove:5000/hub/REPOSITORY:TAG\n"},
        {"helm", "helm pull oci://cove:5000/hub/CHART --version VERSION --plain-http\n"},
        {"ci", "docker login cove:5000 --username \"$COVE_USER\" --password-stdin\n"},
        {"buildkit", "[registry.\"docker.io\"]\n  mirrors = [\"cove:5000/hub\"]\n"},
    };
    static const struct mirror_route routes[] = {{S("docker.io"), S("hub")},
                                                 {S("ghcr.io"), S("ghcr")}};
    const struct mirror_params p = {S("http://cove:5000"), S("http://cove:5001"), routes, 2, false};
    struct ctx c = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(buf_release) struct buf b = {0};
        assert_int_equal(mirror_config(&c, str_of(rows[i].client), &p, &b), E_OK);
        if (!str_contains(buf_view(&b), str_of(rows[i].part)))
            fail_msg("%s lacks %s:\n%.*s", rows[i].client, rows[i].part, (int)b.n, b.p);
    }
    CLEANUP(buf_release) struct buf b = {0};
    assert_int_equal(mirror_config(&c, S("emacs"), &p, &b), E_BAD_REQUEST);
    ctx_release(&c);
}

static void projects(void **state)
{
    (void)state;
    static const struct {
        const char *projects;
        size_t kept;
    } rows[] = {{"", 3}, {"hub", 1}, {"git, hub", 3}, {"git", 2}, {"hu", 0}, {",", 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mirror_route routes[] = {
            {S("docker.io"), S("hub")}, {S("ghcr.io"), S("git")}, {S("quay.io"), S("git")}};
        assert_int_equal(mirror_keep(routes, 3, str_of(rows[i].projects)), rows[i].kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),
        cmocka_unit_test(repositories),
        cmocka_unit_test(configurations),
        cmocka_unit_test(projects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
