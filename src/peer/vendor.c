/*
 * The table. Types, labels and fixed endpoints are Harbor's names for them, so that its clients and
 * Terraform providers find what they expect. Rows that are not listed need signatures or calls of
 * their own before they can serve.
 */
#include "peer/vendor.h"

/* clang-format off */
const struct vendor vendors[] = {
    {.type = "docker-hub", .label = "Docker Hub",
     .fixed_url = "https://hub.docker.com", .data_url = "https://registry-1.docker.io",
     .ns = "docker.io,index.docker.io,registry-1.docker.io,registry.hub.docker.com",
     .pinned_realm = "auth.docker.io", .quota_probe = "ratelimitpreview/test",
     .library = true, .proxy = true, .listed = true},
    {.type = "docker-registry", .label = "Docker Registry", .proxy = true, .listed = true},
    {.type = "harbor", .label = "Harbor", .proxy = true, .listed = true},
    {.type = "github-ghcr", .label = "GitHub Container Registry",
     .fixed_url = "https://ghcr.io", .data_url = "https://ghcr.io", .ns = "ghcr.io",
     .proxy = true, .listed = true},
    {.type = "quay", .label = "Quay", .ns = "quay.io", .proxy = true, .listed = true},
    {.type = "google-gcr", .label = "Google Artifact Registry and GCR",
     .ns = "gcr.io,us.gcr.io,eu.gcr.io,asia.gcr.io", .proxy = true, .listed = true},
    {.type = "azure-acr", .label = "Azure Container Registry", .proxy = true, .listed = true},
    {.type = "gitlab", .label = "GitLab Container Registry", .ns = "registry.gitlab.com",
     .proxy = true, .listed = true},
    {.type = "jfrog-artifactory", .label = "JFrog Artifactory", .proxy = true, .listed = true},
    {.type = "aws-ecr", .label = "Amazon ECR", .proxy = true},
    {.type = "ali-acr", .label = "Alibaba Cloud ACR", .proxy = true},
    {.type = "huawei-SWR", .label = "Huawei SWR"},
    {.type = "tencent-tcr", .label = "Tencent TCR"},
    {.type = "volcengine-cr", .label = "Volcengine CR"},
    {.type = "dtr", .label = "Docker Trusted Registry"},
};
/* clang-format on */
const size_t vendor_count = COUNT(vendors);

const struct vendor *vendor_by_type(struct str type)
{
    for (size_t i = 0; i < vendor_count; i++)
        if (str_eq(type, str_of(vendors[i].type)))
            return &vendors[i];
    return NULL;
}

static struct str host_of(struct str url)
{
    if (str_starts(url, S("https://")))
        url = str_sub(url, 8, url.n);
    return str_cut(&url, '/');
}

bool vendor_has_host(const struct vendor *v, struct str host)
{
    struct str names = str_of(v->ns);
    while (names.n)
        if (str_eq_nocase(host, str_cut(&names, ',')))
            return true;
    return false;
}

struct str vendor_data_url(const struct vendor *v, struct str endpoint_url)
{
    if (!v || !v->data_url)
        return endpoint_url;
    struct str host = host_of(endpoint_url);
    if (host.n == 0 || str_eq_nocase(host, host_of(str_of(v->fixed_url))) ||
        vendor_has_host(v, host))
        return str_of(v->data_url);
    return endpoint_url;
}
