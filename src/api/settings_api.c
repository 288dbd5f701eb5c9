/* The settings that this process runs with, from the one list: key, value, default, and where the
   value came from. A secret only says whether it is set. Nothing is changed here: a setting belongs
   to the file or the environment that gave it. */
#include "api/cove.h"

#include "rule/settings.h"

struct setting_view {
    struct str key, value, standard, help, source, at;
    bool secret;
};

const struct field setting_fields[] = {
    FIELD(struct setting_view, key, 0, 0),
    FIELD(struct setting_view, value, 0, 0),
    FIELD_AS(struct setting_view, standard, "default", 0, 0),
    FIELD(struct setting_view, help, 0, 0),
    FIELD(struct setting_view, source, 0, 0),
    FIELD(struct setting_view, at, F_OMIT, 0),
    FIELD(struct setting_view, secret, F_OMIT, 0),
    FIELDS_END,
};

static const struct {
    const char *key, *standard, *help;
} rows[] = {
#define X(kind, member, key, value, help) {key, value, help},
    SETTINGS_LIST(X)
#undef X
};

static struct str text_of_STR(struct arena *a, const struct str *v)
{
    (void)a;
    return v->p ? *v : S("");
}

static struct str text_of_I64(struct arena *a, const int64_t *v)
{
    return str_fmt(a, "%lld", (long long)*v);
}

static struct str text_of_BOOL(struct arena *a, const bool *v)
{
    (void)a;
    return *v ? S("true") : S("false");
}

static struct str text_of_LIST(struct arena *a, const struct strs *v)
{
    struct str out = S("");
    for (size_t i = 0; i < v->count; i++)
        out = str_fmt(a, "%.*s%s%.*s", STR(out), i ? "," : "", STR(v->items[i]));
    return out;
}

/* A database's URL and a proxy's may hold a password. */
static bool is_secret(const char *key, struct str value)
{
    struct str name = str_of(key);
    return str_eq(name, S("admin_password")) ||
           ((str_eq(name, S("database")) || str_eq(name, S("outbound.proxy"))) &&
            str_contains(value, S("@")));
}

enum err get_settings(struct call *r)
{
    struct arena *a = &r->c->mem;
    const struct settings *s = r->c->sv->settings;
    const struct str values[] = {
#define X(kind, member, key, value, help) text_of_##kind(a, &s->member),
        SETTINGS_LIST(X)
#undef X
    };
    struct setting_view *views = arena_alloc(a, SETTING_COUNT * sizeof *views);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct str from = s->from[i];
        bool standard = str_eq(from, S("default")), env = str_starts(from, S("COVE_"));
        bool secret = is_secret(rows[i].key, values[i]);
        views[i] = (struct setting_view){
            .key = str_of(rows[i].key),
            .value = !secret       ? values[i]
                     : values[i].n ? S("(set)")
                                   : S(""),
            .standard = str_of(rows[i].standard),
            .help = str_of(rows[i].help),
            .source = standard ? S("default")
                      : env    ? S("environment")
                               : S("file"),
            .at = standard ? S("") : from,
            .secret = secret,
        };
    }
    struct list list = {views, SETTING_COUNT};
    return reply_list(r, setting_fields, &list, sizeof *views, SETTING_COUNT);
}
