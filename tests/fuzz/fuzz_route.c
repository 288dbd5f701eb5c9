/* The router on any path: whatever it finds, each parameter is a part of the path, named by the
   row, not empty, and only {name...} holds a slash. */
#include "api/router.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct router *router;

static void init(void)
{
    static const struct router_table tables[] = {
        {"/v2", registry_routes, REALM_REGISTRY},
        {"/api/v2.0", harbor_routes, REALM_API},
        {"/api/cove/v1", cove_routes, REALM_API},
        {"", misc_routes, REALM_MISC},
    };
    struct ctx c = {0};
    if (router_new(&c, tables, COUNT(tables), &router) != E_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!router)
        init();
    if (size < 1)
        return 0;
    struct str path = {(const char *)data + 1, size - 1};
    struct call r = {0};
    struct route_match m;
    enum http_method method = (enum http_method)(data[0] % (HTTP_OPTIONS + 1));
    router_match(router, method, path, &r, &m);
    assert(!m.route || m.path_known);
    assert(m.route || r.param_count == 0);
    for (size_t i = 0; i < r.param_count; i++) {
        struct str v = r.params[i].value;
        bool greedy = str_eq((struct str){r.params[i].name, r.params[i].name_n}, S("name"));
        assert(v.n > 0 && v.p >= path.p && v.p + v.n <= path.p + path.n);
        assert(greedy || str_find(v, '/') < 0);
        assert(v.p[0] != '/' && v.p[v.n - 1] != '/' && !str_contains(v, S("//")));
    }
    return 0;
}
