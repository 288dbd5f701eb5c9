/*
 * The configuration is a stranger's file: everything in it may be missing, of another type, or
 * repeated. A repeated name keeps its last value, as a shell would.
 */
#include "rule/image.h"

#include <string.h>

struct builder {
    struct arena *mem;
    struct image_property *items;
    size_t count, cap;
};

static void add(struct builder *b, const char *kind, struct str name, struct str value)
{
    if (b->count == b->cap)
        return; /* before the look: ten thousand names of a stranger cost nothing */
    for (size_t i = 0; i < b->count; i++)
        if (str_eq(b->items[i].kind, str_of(kind)) && str_eq(b->items[i].name, name)) {
            b->items[i].value = str_dup(b->mem, value);
            return;
        }
    b->items[b->count++] = (struct image_property){
        .kind = str_of(kind), .name = str_dup(b->mem, name), .value = str_dup(b->mem, value)};
}

static struct str text_of(const json_t *v)
{
    return (struct str){json_string_value(v), json_string_length(v)};
}

static void add_text(struct builder *b, const json_t *o, const char *key, const char *kind)
{
    struct str s;
    if (json_get_str(o, key, &s) && s.n)
        add(b, kind, S(""), s);
}

/* A command line, as one reads it: words between blanks, quoted where they hold some. */
static void add_words(struct builder *b, const json_t *o, const char *key, const char *kind)
{
    CLEANUP(buf_release) struct buf line = {.max = 64 << 10};
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, key), i, v)
    {
        struct str word = text_of(v);
        bool quote = !word.n || str_find(word, ' ') >= 0;
        if (!json_is_string(v))
            continue;
        if (line.n)
            buf_char(&line, ' ');
        if (quote)
            buf_char(&line, '"');
        buf_str(&line, word);
        if (quote)
            buf_char(&line, '"');
    }
    if (line.n)
        add(b, kind, S(""), buf_view(&line));
}

static void add_env(struct builder *b, const json_t *o)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(o, "Env"), i, v)
    {
        struct str value = text_of(v), name = str_cut(&value, '=');
        if (json_is_string(v))
            add(b, "env", name, value);
    }
}

/* The keys of an object, with their texts when it has such. */
static void add_keys(struct builder *b, json_t *o, const char *key, const char *kind)
{
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(o, key), name, v)
    {
        add(b, kind, str_of(name), json_is_string(v) ? text_of(v) : S(""));
    }
}

static struct str image_platform(struct arena *mem, const json_t *platform)
{
    struct str os, arch, variant = NO_STR;
    if (!json_get_str(platform, "os", &os) || !json_get_str(platform, "architecture", &arch) ||
        !os.n || !arch.n)
        return S("");
    bool more = json_get_str(platform, "variant", &variant) && variant.n;
    return str_fmt(mem, "%.*s/%.*s%s%.*s", STR(os), STR(arch), more ? "/" : "", STR(variant));
}

struct str image_platform_text(struct ctx *c, struct raw_json platform)
{
    CLEANUP(json_done) json_t *root = NULL;
    if (!platform.text.n || json_parse(c, platform.text, &root) != E_OK)
        return S("");
    return image_platform(&c->mem, root);
}

static struct str member(struct arena *mem, const json_t *o, const char *key)
{
    struct str s;
    return json_get_str(o, key, &s) ? str_dup(mem, s) : S("");
}

static void read_history(struct arena *mem, const json_t *root, struct image_config *out)
{
    const json_t *history = json_object_get(root, "history");
    size_t i, n = json_array_size(history);
    json_t *v;
    out->steps = arena_alloc(mem, (n + 1) * sizeof *out->steps);
    json_array_foreach(history, i, v)
    {
        out->steps[out->step_count++] =
            (struct image_step){.created = member(mem, v, "created"),
                                .created_by = member(mem, v, "created_by"),
                                .comment = member(mem, v, "comment"),
                                .empty = json_is_true(json_object_get(v, "empty_layer"))};
    }
}

enum err image_config_parse(struct ctx *c, struct str text, struct image_config *out)
{
    CLEANUP(json_done) json_t *root = NULL;
    TRY(json_parse(c, text, &root));
    if (!json_is_object(root))
        return fail(c, E_BAD_REQUEST, "an image configuration is a JSON object");
    json_t *o = json_object_get(root, "config");
    struct builder b = {.mem = &c->mem, .cap = 16};
    b.cap += json_array_size(json_object_get(o, "Env")) +
             json_object_size(json_object_get(o, "Labels")) +
             json_object_size(json_object_get(o, "ExposedPorts")) +
             json_object_size(json_object_get(o, "Volumes"));
    b.cap = size_min(b.cap, IMAGE_PROPERTIES_MAX);
    b.items = arena_alloc(&c->mem, b.cap * sizeof *b.items);
    *out = (struct image_config){.platform = image_platform(&c->mem, root)};
    if (out->platform.n)
        add(&b, "platform", S(""), out->platform);
    add_text(&b, root, "created", "created");
    add_text(&b, root, "author", "author");
    add_text(&b, o, "User", "user");
    add_text(&b, o, "WorkingDir", "workdir");
    add_words(&b, o, "Entrypoint", "entrypoint");
    add_words(&b, o, "Cmd", "cmd");
    add_text(&b, o, "StopSignal", "stop signal");
    add_env(&b, o);
    add_keys(&b, o, "Labels", "label");
    add_keys(&b, o, "ExposedPorts", "port");
    add_keys(&b, o, "Volumes", "volume");
    out->properties = b.items;
    out->property_count = b.count;
    read_history(&c->mem, root, out);
    return E_OK;
}

const struct image_step *image_step_next(const struct image_config *config, size_t *at)
{
    while (*at < config->step_count && config->steps[*at].empty)
        ++*at;
    return *at < config->step_count ? &config->steps[(*at)++] : NULL;
}

static const struct image_property *find(const struct image_config *in,
                                         const struct image_property *p)
{
    for (size_t i = 0; i < in->property_count; i++)
        if (str_eq(in->properties[i].kind, p->kind) && str_eq(in->properties[i].name, p->name))
            return &in->properties[i];
    return NULL;
}

void image_compare(struct arena *mem, const struct image_config *a, const struct image_config *b,
                   struct list *out)
{
    struct image_change *items =
        arena_alloc(mem, (a->property_count + b->property_count + 1) * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < a->property_count; i++) {
        const struct image_property *p = &a->properties[i], *q = find(b, p);
        if (!q || !str_eq(p->value, q->value))
            items[n++] = (struct image_change){p->kind, p->name, p->value, q ? q->value : NO_STR};
    }
    for (size_t i = 0; i < b->property_count; i++)
        if (!find(a, &b->properties[i]))
            items[n++] = (struct image_change){b->properties[i].kind, b->properties[i].name, NO_STR,
                                               b->properties[i].value};
    *out = (struct list){items, n};
}

/* ---- Harbor's extra_attrs ------------------------------------------------------------------- */

static void put_member(struct json_out *j, const json_t *o, const char *key, const char *otherwise)
{
    const json_t *v = json_object_get(o, key);
    put_key(j, str_of(key));
    if (json_is_string(v))
        put_str(j, text_of(v));
    else
        put_raw(j, str_of(otherwise));
}

/* What the OCI specification has in "config"; null and unknown members are left out. */
static void put_config(struct json_out *j, const json_t *config)
{
    static const char *const members[] = {"User",    "ExposedPorts", "Env",    "Entrypoint", "Cmd",
                                          "Volumes", "WorkingDir",   "Labels", "StopSignal"};
    put_key(j, S("config"));
    put_open(j, '{');
    for (size_t i = 0; i < COUNT(members); i++) {
        json_t *v = json_object_get(config, members[i]);
        if (!v || json_is_null(v))
            continue;
        put_key(j, str_of(members[i]));
        put_json(j, v);
    }
    put_close(j, '}');
}

enum err image_attrs(struct ctx *c, struct str text, bool image, struct raw_json *out)
{
    CLEANUP(json_done) json_t *root = NULL;
    CLEANUP(buf_release) struct buf b = {.max = 2 * IMAGE_ATTRS_MAX};
    struct json_out j = {.out = &b};
    TRY(json_parse(c, text, &root));
    if (!json_is_object(root))
        return fail(c, E_BAD_REQUEST, "the configuration is not an object");
    if (!image) {
        out->text = text;
        return E_OK;
    }
    put_open(&j, '{');
    put_member(&j, root, "architecture", "\"\"");
    put_member(&j, root, "author", "\"\"");
    put_config(&j, json_object_get(root, "config"));
    put_member(&j, root, "created", "null");
    put_member(&j, root, "os", "\"\"");
    put_close(&j, '}');
    if (b.full)
        return fail(c, E_BAD_REQUEST, "the configuration is too long");
    out->text = str_dup(&c->mem, buf_view(&b));
    return E_OK;
}
