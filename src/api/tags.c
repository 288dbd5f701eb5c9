/* /v2/<name>/tags/list (OCI Distribution Spec 1.1, "Listing Tags"): sorted bytewise, n and last,
   Link. In a proxy project the upstream's names are united with ours. */
#include "api/registry.h"
#include "meta/repository.h"
#include "meta/tag.h"
#include "registry/proxy.h"

static enum err local_tags(struct call *r, struct str last, int64_t n, struct strs *out, bool *more)
{
    int64_t repo = 0;
    enum err e = repository_id(r->c, r->access.project.project_id, r->place.repository, &repo);
    if (e == E_NOT_FOUND)
        return fail(r->c, E_NAME_UNKNOWN, "repository %.*s not found", STR(r->full_name));
    TRY(e);
    TRY(tag_names(r->c, repo, last, n + 1, out));
    *more = out->count > (size_t)n;
    if (*more)
        out->count = (size_t)n;
    return E_OK;
}

enum err tags_get(struct call *r)
{
    int64_t n;
    struct str last;
    struct strs names = {0};
    bool none, more = false;
    TRY(registry_page(r, &n, &last, &none));
    if (r->access.project.registry_id) {
        tx_end(&r->tx); /* the upstream is asked */
        TRY(proxy_tags(r->c, &r->place, last, none ? 1 : n, &names, &more));
    } else {
        TRY(local_tags(r, last, none ? 1 : n, &names, &more));
    }
    if (none)
        names.count = 0;
    else if (more && names.count)
        registry_next(r, n, names.items[names.count - 1]);
    CLEANUP(buf_release) struct buf b = {0};
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("name"));
    put_str(&j, r->full_name);
    put_key(&j, S("tags"));
    put_open(&j, '[');
    for (size_t i = 0; i < names.count; i++)
        put_str(&j, names.items[i]);
    put_close(&j, ']');
    put_close(&j, '}');
    return reply_json_text(r, 200, buf_view(&b));
}
