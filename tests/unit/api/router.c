/* Paths to rows: which row, which parameters; and tables that must not start. */
#include "api/router.h"

#include "check.h"

static enum err nothing(struct call *r)
{
    (void)r;
    return E_OK;
}

#define ROW(m, p)                                                                                  \
    {                                                                                              \
        HTTP_##m, p, #m p, ANYONE, NO_BODY, nothing, 0, NO_BODY                                    \
    }

static const struct route rows[] = {
    ROW(GET, "/"),
    ROW(GET, "/{name...}/manifests/{ref}"),
    ROW(PUT, "/{name...}/manifests/{ref}"),
    ROW(GET, "/{name...}/blobs/{digest}"),
    ROW(POST, "/{name...}/blobs/uploads"),
    ROW(PATCH, "/{name...}/blobs/uploads/{id}"),
    ROW(GET, "/users/current"),
    ROW(GET, "/users/{id}"),
    ROW(DELETE, "/users/{id}"),
    {0},
};

static const struct {
    enum http_method method;
    const char *path;
    const char *row;    /* operation; NULL: none */
    const char *values; /* parameters between blanks */
    bool known;
} cases[] = {
    {HTTP_GET, "/v2/", "GET/", "", true},
    {HTTP_GET, "/v2", "GET/", "", true},
    {HTTP_HEAD, "/v2/", "GET/", "", true},
    {HTTP_POST, "/v2/", NULL, "", true},
    {HTTP_GET, "/v2/a/manifests/v1", "GET/{name...}/manifests/{ref}", "a v1", true},
    {HTTP_GET, "/v2/a/b/c/manifests/v1/", "GET/{name...}/manifests/{ref}", "a/b/c v1", true},
    {HTTP_GET, "/v2/a/manifests/b/manifests/v1", "GET/{name...}/manifests/{ref}",
     "a/manifests/b v1", true},
    {HTTP_GET, "/v2/manifests/manifests/manifests", "GET/{name...}/manifests/{ref}",
     "manifests manifests", true},
    {HTTP_POST, "/v2/a/blobs/uploads/", "POST/{name...}/blobs/uploads", "a", true},
    {HTTP_POST, "/v2/a/blobs/uploads", "POST/{name...}/blobs/uploads", "a", true},
    {HTTP_GET, "/v2/a/blobs/uploads", "GET/{name...}/blobs/{digest}", "a uploads", true},
    {HTTP_PATCH, "/v2/a/blobs/uploads/b/blobs/uploads/i", "PATCH/{name...}/blobs/uploads/{id}",
     "a/blobs/uploads/b i", true},
    {HTTP_GET, "/v2/users/current", "GET/users/current", "", true},
    {HTTP_GET, "/v2/users/7", "GET/users/{id}", "7", true},
    {HTTP_DELETE, "/v2/users/current", "DELETE/users/{id}", "current", true},
    {HTTP_PUT, "/v2/users/7", NULL, "", true},
    {HTTP_GET, "/v2//", NULL, "", false},
    {HTTP_GET, "/v2/a//manifests/v1", NULL, "", false},
    {HTTP_GET, "//v2/", NULL, "", false},
    {HTTP_GET, "v2/", NULL, "", false},
    {HTTP_GET, "", NULL, "", false},
    {HTTP_GET, "/v2/manifests/v1", NULL, "", false},
    {HTTP_GET, "/v2/users", NULL, "", false},
    {HTTP_GET, "/v3/", NULL, "", false},
};

static void matches(void **state)
{
    (void)state;
    struct ctx c = {0};
    struct router *router;
    struct router_table table = {"/v2", rows, REALM_REGISTRY};
    assert_int_equal(router_new(&c, &table, 1, &router), E_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call r = {.c = &c};
        struct route_match m;
        struct str values = NO_STR;
        router_match(router, cases[i].method, str_of(cases[i].path), &r, &m);
        print_message("%s\n", cases[i].path);
        assert_int_equal(m.path_known, cases[i].known);
        assert_string_equal(m.route ? m.route->operation : "", cases[i].row ? cases[i].row : "");
        for (size_t k = 0; k < r.param_count; k++)
            values =
                str_fmt(&c.mem, "%.*s%s%.*s", STR(values), k ? " " : "", STR(r.params[k].value));
        assert_string_equal(str_c(&c.mem, values), cases[i].values);
    }
    router_free(router);
    ctx_release(&c);
}

static void refused(const struct route *bad, const char *why)
{
    struct ctx c = {0};
    struct router *router;
    struct router_table table = {"/v2", bad, REALM_REGISTRY};
    assert_int_equal(router_new(&c, &table, 1, &router), E_INTERNAL);
    assert_non_null(strstr(c.msg, why));
    ctx_release(&c);
}

static void refuses(void **state)
{
    (void)state;
    const struct route unset[] = {{HTTP_GET, "/x", "x", {0}, NO_BODY, nothing, 0, NO_BODY}, {0}};
    const struct route twice[] = {ROW(GET, "/x/{a}"), ROW(GET, "/x/{b}"), {0}};
    const struct route two_greedy[] = {ROW(GET, "/{a...}/x/{b...}"), {0}};
    const struct route broken[] = {ROW(GET, "/{a/x"), {0}};
    refused(unset, "has no guard");
    refused(twice, "stands twice");
    refused(two_greedy, "is malformed");
    refused(broken, "is malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
