/* Forms and metadata of Harbor's API: one line per case. */
#include "api/harbor.h"

#include "check.h"

static const struct {
    const char *form, *name, *want; /* NULL: not found */
} rows[] = {
    {"principal=admin&password=x", "principal", "admin"},
    {"principal=admin&password=x", "password", "x"},
    {"principal=a%40b", "principal", "a@b"},
    {"password=x+y%26z%3D", "password", "x y&z="},
    {"password=a=b", "password", "a=b"},             /* only the first = divides */
    {"pr%69ncipal=a&principal=b", "principal", "a"}, /* names are escaped too */
    {"principal=a&principal=b", "principal", "a"},   /* the first counts */
    {"&&principal=a", "principal", "a"},
    {"principal", "principal", ""},
    {"principal=", "principal", ""},
    {"", "principal", NULL},
    {"Principal=a", "principal", NULL},
    {"principal=%4", "principal", NULL},
    {"principal=%00", "principal", NULL},
    {"xprincipal=a", "principal", NULL},
};

static void finds_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct str got;
        bool found = form_field(&c.mem, str_of(rows[i].form), str_of(rows[i].name), &got);
        if (found != (rows[i].want != NULL))
            fail_msg("%s: %s", rows[i].form, found ? "found" : "not found");
        if (found && !str_eq(got, str_of(rows[i].want)))
            fail_msg("%s: %.*s", rows[i].form, STR(got));
    }
}

/* What project admins and system admins may set, for ordinary and for proxy projects. */
static const struct {
    const char *key, *value;
    bool proxy, sysadmin, declared;
    enum err want;
    const char *kept; /* NULL: unset afterwards */
} settings[] = {
    {"severity", "high", false, false, false, E_OK, "high"},
    {"severity", "awful", false, false, false, E_BAD_REQUEST, NULL},
    {"severity", "", false, false, false, E_OK, NULL}, /* empty unsets */
    {"public", "true", false, false, false, E_OK, "true"},
    {"public", "yes", false, false, false, E_BAD_REQUEST, "false"},
    {"public", "true", true, true, true, E_CONFLICT, "false"}, /* cove.yml says so */
    {"public", "false", true, true, true, E_OK, "false"},      /* the same again is fine */
    {"retention_id", "7", false, true, false, E_OK, NULL},     /* the server's */
    {"proxy_speed_kb", "10", true, false, false, E_OK, "10"},
    {"proxy_speed_kb", "-1", true, false, false, E_OK, "-1"},
    {"proxy_speed_kb", "-2", true, false, false, E_BAD_REQUEST, NULL},
    {"proxy_speed_kb", "10", false, true, false, E_OK, NULL}, /* dropped: no proxy */
    {"proxy_window_s", "-1", true, false, false, E_BAD_REQUEST, NULL},
    {"proxy_cache_filter_kind", "regex", true, false, false, E_OK, "regex"},
    {"proxy_cache_filter_kind", "glob", true, false, false, E_BAD_REQUEST, NULL},
    {"enable_content_trust", "true", true, true, false, E_OK, NULL}, /* dropped: a proxy */
    {"enable_content_trust", "true", false, false, false, E_OK, "true"},
    {"proxy_ns", "docker.io", true, false, false, E_FORBIDDEN, NULL},
    {"proxy_ns", "docker.io", true, true, false, E_OK, "docker.io"},
    {"proxy_ns", "docker.io", true, true, true, E_CONFLICT, NULL},
    {"public_with_credentials", "true", true, false, false, E_FORBIDDEN, NULL},
    {"public_with_credentials", "true", true, true, false, E_OK, "true"},
    {"proxy_max_stale_s", "60", true, false, true, E_OK, "60"}, /* not declared */
};

static void settles_metadata(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settings); i++) {
        CLEANUP(ctx_release) struct ctx c = {0};
        struct call r = {.c = &c};
        struct metadata given = {0}, after;
        struct project p = {.registry_id = settings[i].proxy, .declared = settings[i].declared};
        r.principal.sysadmin = settings[i].sysadmin;
        *metadata_slot(&given, str_of(settings[i].key)) = str_of(settings[i].value);
        enum err got = metadata_apply(&r, &given, &p);
        metadata_of(&p, &after);
        struct str kept = *metadata_slot(&after, str_of(settings[i].key));
        if (got != settings[i].want || !str_eq(kept, str_of(settings[i].kept)))
            fail_msg("row %zu, %s=%s: %s, %.*s", i, settings[i].key, settings[i].value,
                     err_name(got), STR(kept));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_fields),
                                       cmocka_unit_test(settles_metadata)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
