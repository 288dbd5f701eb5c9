/* URLs: whatever is taken must come back unchanged through its own text, joined or not. */
#include "net/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct ctx *c, const struct url *u)
{
    struct url again;
    struct str text = url_text(&c->mem, u);
    if (text.n > URL_MAX)
        return;
    if (url_parse(c, text, &again) != E_OK || !url_same_host(u, &again) ||
        !str_eq(text, url_text(&c->mem, &again)) || u->https != again.https)
        abort();
    if (u->path.n == 0 || u->path.p[0] != '/' || !url_host_valid(u->host))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str text = {(const char *)data, size};
    struct url u, base;
    if (url_parse(&c, text, &u) == E_OK)
        check(&c, &u);
    if (url_parse(&c, S("https://registry.example/v2/a/b?n=1"), &base) == E_OK &&
        url_join(&c, &base, text, &u) == E_OK)
        check(&c, &u);
    return 0;
}
