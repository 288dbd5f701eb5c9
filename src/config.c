/*
 * The file is YAML of two levels: `key: value`, `section:` with keys below it, and the list
 * `proxies:`. Everything is checked here, with the place in the message, so that a typing error
 * stops the start instead of being ignored. The environment is read after the file and wins.
 */
#include "config.h"

#include "base/fd.h"
#include "net/address.h"
#include "net/url.h"
#include "rule/cron.h"
#include "rule/evict.h"
#include "rule/floor.h"
#include "rule/name.h"
#include "rule/quota.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX ((size_t)1 << 20)
#define ITEMS_MAX 1000

enum kind { KIND_STR, KIND_I64, KIND_BOOL, KIND_LIST };

static const struct key {
    enum kind kind;
    size_t off;
    const char *name, *value, *help;
} keys[] = {
#define X(k, member, key, value, help)                                                             \
    {KIND_##k, offsetof(struct settings, member), key, value, help},
    SETTINGS_LIST(X)
#undef X
};

/* Bounds of numbers; those not here are 0 or more. */
static const struct {
    const char *name;
    int64_t least, most;
} bounds[] = {
    {"server.threads", 4, 65536},           {"server.connections", 8, 1000000},
    {"storage_per_project", -1, QUOTA_MAX}, {"token.expiry_s", 1, 86400},
    {"session.timeout_s", 1, 31536000},     {"proxy.budget_ms", 0, 600000},
    {"proxy.refresh_days", 1, 3650},        {"upload.expiry_s", 1, 31536000},
};

static const struct {
    const char *name, *words; /* between blanks */
} choices[] = {
    {"registry.compat", " oci harbor "},
    {"proxy.range", " serve wait "},
    {"project_creation", " everyone adminonly "},
    {"log.level", " error warn info debug "},
};

static const char *const cidr_lists[] = {"mirror.allow", "forwarded.from", "outbound.allow"};

/* Keys that a running server takes over on SIGHUP; all others keep their value. */
static const char *const reloadable[] = {
    "mirror.allow",     "mirror.hosts",      "log.level",      "log.access",
    "proxy.offline",    "proxy.range",       "proxy.window_s", "proxy.budget_ms",
    "proxy.free_floor", "proxy.quota_floor", "proxy.refresh",  "proxy.refresh_days",
    "store.reserve"};

struct reader {
    struct ctx *c;
    struct arena *mem;
    struct settings *out;
    struct str where; /* "cove.yml:12" or "COVE_LISTEN", for messages */
};

#define BAD(rd, ...) bad((rd), str_fmt(&(rd)->c->mem, __VA_ARGS__))

static enum err bad(struct reader *rd, struct str why)
{
    return fail(rd->c, E_BAD_REQUEST, "%.*s: %.*s", STR(rd->where), STR(why));
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static const struct key *key_by_name(struct str name)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        if (str_eq(name, str_of(keys[i].name)))
            return &keys[i];
    return NULL;
}

/* ---- one value ---------------------------------------------------------------------------- */

/* "10", "10GiB": binary units. */
static bool parse_size(struct str text, int64_t *out)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int64_t unit = 1;
    for (size_t i = 0; i < COUNT(units); i++)
        if (str_ends(text, str_of(units[i]))) {
            unit = INT64_C(1) << (10 * (i + 1));
            text.n -= 3;
        }
    text = str_trim(text);
    return text.n && str_to_i64(text, out) && !__builtin_mul_overflow(*out, unit, out);
}

static enum err set_number(struct reader *rd, const struct key *k, struct str text, void *at)
{
    int64_t n, least = 0, most = INT64_MAX;
    bool size = strcmp(k->name, "storage_per_project") == 0;
    if (!(size ? parse_size(text, &n) : str_to_i64(text, &n)))
        return BAD(rd, "%s must be a number, not \"%.*s\"", k->name, STR(text));
    for (size_t i = 0; i < COUNT(bounds); i++)
        if (strcmp(bounds[i].name, k->name) == 0) {
            least = bounds[i].least;
            most = bounds[i].most;
        }
    if (n < least || n > most)
        return BAD(rd, "%s must be between %lld and %lld, not %lld", k->name, (long long)least,
                   (long long)most, (long long)n);
    memcpy(at, &n, sizeof n);
    return E_OK;
}

/* host:port, [v6]:port; port 0 is any free one. */
static bool listen_valid(struct str text)
{
    int64_t colon = str_rfind(text, ':'), port;
    if (colon < 0 || !str_to_i64(str_sub(text, (size_t)colon + 1, text.n), &port))
        return false;
    struct address a;
    return port >= 0 && port <= 65535 && address_parse(str_sub(text, 0, (size_t)colon), &a);
}

static enum err check_text(struct reader *rd, const struct key *k, struct str text)
{
    struct url u;
    bool listen = strcmp(k->name, "listen") == 0 || strcmp(k->name, "mirror.listen") == 0;
    if (text.n && listen && !listen_valid(text))
        return BAD(rd, "%s must be an address and a port such as 127.0.0.1:5000, not \"%.*s\"",
                   k->name, STR(text));
    if (text.n && (strcmp(k->name, "external_url") == 0 || strcmp(k->name, "outbound.proxy") == 0))
        if (url_parse(rd->c, text, &u) != E_OK)
            return BAD(rd, "%s must be an http or https URL", k->name);
    int64_t floor;
    if (strcmp(k->name, "proxy.free_floor") == 0 && !evict_floor(text, 0, &floor))
        return BAD(rd, "%s must be bytes such as 20GiB or a part such as 10%%, not \"%.*s\"",
                   k->name, STR(text));
    if (strcmp(k->name, "store.reserve") == 0 && !evict_reserve(text, 0, &floor))
        return BAD(rd, "%s must be auto, bytes such as 20GiB or a part such as 2%%, not \"%.*s\"",
                   k->name, STR(text));
    struct cron cron;
    const char *wrong =
        text.n && strcmp(k->name, "proxy.refresh") == 0 ? cron_parse(text, &cron) : NULL;
    if (wrong)
        return BAD(rd, "%s must be six fields such as \"0 0 3 * * *\": %s", k->name, wrong);
    for (size_t i = 0; i < COUNT(choices); i++)
        if (strcmp(choices[i].name, k->name) == 0 &&
            !str_contains(str_of(choices[i].words), str_fmt(&rd->c->mem, " %.*s ", STR(text))))
            return BAD(rd, "%s must be one of:%s- not \"%.*s\"", k->name, choices[i].words,
                       STR(text));
    return E_OK;
}

static void note_source(struct reader *rd, const struct key *k)
{
    rd->out->from[k - keys] = str_dup(rd->mem, rd->where);
}

static enum err set_scalar(struct reader *rd, const struct key *k, struct str text)
{
    void *at = (char *)rd->out + k->off;
    text = str_trim(text);
    note_source(rd, k);
    if (k->kind == KIND_I64)
        return set_number(rd, k, text, at);
    if (k->kind == KIND_BOOL) {
        if (!str_to_bool(text, at))
            return BAD(rd, "%s must be true or false, not \"%.*s\"", k->name, STR(text));
        return E_OK;
    }
    TRY(check_text(rd, k, text));
    struct str copy = str_dup(rd->mem, text);
    memcpy(at, &copy, sizeof copy);
    return E_OK;
}

static enum err set_list(struct reader *rd, const struct key *k, struct strs list)
{
    struct cidr range;
    note_source(rd, k);
    for (size_t i = 0; i < list.count; i++) {
        if (is_one_of(k->name, cidr_lists, COUNT(cidr_lists)) &&
            cidr_parse(rd->c, list.items[i], &range) != E_OK)
            return BAD(rd, "%s: \"%.*s\" is no address range such as 10.0.0.0/8", k->name,
                       STR(list.items[i]));
        if (strcmp(k->name, "proxy.quota_floor") == 0 && !floor_good(list.items[i]))
            return BAD(rd, "%s: \"%.*s\" is no share such as 10%%, number or registry=25%%",
                       k->name, STR(list.items[i]));
        list.items[i] = str_dup(rd->mem, list.items[i]);
    }
    memcpy((char *)rd->out + k->off, &list, sizeof list);
    return E_OK;
}

static enum err set_words(struct reader *rd, const struct key *k, struct str text)
{
    struct strs list = {0};
    size_t commas = 0;
    for (size_t i = 0; i < text.n; i++)
        commas += text.p[i] == ',';
    list.items = arena_alloc(rd->mem, (commas + 1) * sizeof *list.items);
    while (text.n) {
        struct str word = str_trim(str_cut(&text, ','));
        if (word.n)
            list.items[list.count++] = word;
    }
    return set_list(rd, k, list);
}

static enum err set_text(struct reader *rd, const struct key *k, struct str text)
{
    return k->kind == KIND_LIST ? set_words(rd, k, text) : set_scalar(rd, k, text);
}

/* ---- the file ----------------------------------------------------------------------------- */

struct file {
    struct reader rd;
    struct str name;
    yaml_document_t doc;
};

static yaml_node_t *node_at(struct file *f, int id)
{
    yaml_node_t *n = yaml_document_get_node(&f->doc, id);
    f->rd.where =
        str_fmt(&f->rd.c->mem, "%.*s:%zu", STR(f->name), n ? n->start_mark.line + 1 : (size_t)1);
    return n;
}

static struct str scalar(const yaml_node_t *n)
{
    return (struct str){(const char *)n->data.scalar.value, n->data.scalar.length};
}

static bool is_null(const yaml_node_t *n)
{
    return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!n->data.scalar.length || str_eq(scalar(n), S("~")) || str_eq(scalar(n), S("null")));
}

static enum err scalars_of(struct file *f, const yaml_node_t *n, struct strs *out)
{
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (count > ITEMS_MAX)
        return BAD(&f->rd, "more than %d items", ITEMS_MAX);
    out->items = arena_alloc(f->rd.mem, (count ? count : 1) * sizeof *out->items);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = node_at(f, n->data.sequence.items.start[i]);
        if (!item || item->type != YAML_SCALAR_NODE)
            return BAD(&f->rd, "expected a list of texts");
        out->items[out->count++] = str_dup(f->rd.mem, str_trim(scalar(item)));
    }
    return E_OK;
}

static enum err read_value(struct file *f, struct str name, int id)
{
    const yaml_node_t *n = node_at(f, id);
    const struct key *k = key_by_name(name);
    if (!k)
        return BAD(&f->rd, "unknown key %.*s", STR(str_sub(name, 0, 128)));
    if (!n || n->type == YAML_MAPPING_NODE ||
        (n->type == YAML_SEQUENCE_NODE && k->kind != KIND_LIST))
        return BAD(&f->rd, "%s must be a single value", k->name);
    if (n->type == YAML_SEQUENCE_NODE) {
        struct strs list = {0};
        TRY(scalars_of(f, n, &list));
        return set_list(&f->rd, k, list);
    }
    return set_text(&f->rd, k, is_null(n) ? NO_STR : scalar(n));
}

static enum err read_section(struct file *f, struct str section, const yaml_node_t *map)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = node_at(f, p->key);
        if (!key || key->type != YAML_SCALAR_NODE)
            return BAD(&f->rd, "a key must be a word");
        struct str name =
            str_fmt(&f->rd.c->mem, "%.*s.%.*s", STR(section), STR(str_sub(scalar(key), 0, 128)));
        if (!key_by_name(name))
            return BAD(&f->rd, "unknown key %.*s", STR(name));
        TRY(read_value(f, name, p->value));
    }
    return E_OK;
}

/* ---- proxies: ----------------------------------------------------------------------------- */

#define PROXY_TEXTS(X)                                                                             \
    X(project) X(upstream) X(type) X(username) X(password_file) X(password_env) X(ca_file)

static struct str *proxy_text(struct proxy_setting *p, struct str name)
{
#define X(member)                                                                                  \
    if (str_eq(name, S(#member)))                                                                  \
        return &p->member;
    PROXY_TEXTS(X)
#undef X
    return NULL;
}

static enum err proxy_value(struct file *f, struct proxy_setting *p, struct str name, int id)
{
    const yaml_node_t *n = node_at(f, id);
    struct str *text = proxy_text(p, name);
    bool *flag = str_eq(name, S("public"))                    ? &p->is_public
                 : str_eq(name, S("public_with_credentials")) ? &p->public_with_credentials
                                                              : NULL;
    if (!n)
        return BAD(&f->rd, "a value is missing");
    if (str_eq(name, S("ns")) && n->type == YAML_SEQUENCE_NODE)
        return scalars_of(f, n, &p->ns);
    if (str_eq(name, S("password")))
        return BAD(&f->rd, "a password does not stand in this file: use password_file or "
                           "password_env");
    if (n->type != YAML_SCALAR_NODE)
        return BAD(&f->rd, "%.*s must be a single value", STR(str_sub(name, 0, 128)));
    if (str_eq(name, S("ns"))) {
        p->ns.items = arena_alloc(f->rd.mem, sizeof *p->ns.items);
        p->ns.items[p->ns.count++] = str_dup(f->rd.mem, str_trim(scalar(n)));
        return E_OK;
    }
    if (flag && !str_to_bool(scalar(n), flag))
        return BAD(&f->rd, "%.*s must be true or false", STR(name));
    if (text)
        *text = is_null(n) ? NO_STR : str_dup(f->rd.mem, str_trim(scalar(n)));
    if (!flag && !text)
        return BAD(&f->rd, "unknown key %.*s in proxies", STR(str_sub(name, 0, 128)));
    return E_OK;
}

static enum err check_proxy(struct file *f, const struct proxy_setting *p)
{
    struct url u;
    if (!name_is_project(p->project))
        return BAD(&f->rd, "project is missing or no project name: \"%.*s\"",
                   STR(str_sub(p->project, 0, 128)));
    for (size_t i = 0; i < f->rd.out->proxy_count; i++)
        if (str_eq(f->rd.out->proxies[i].project, p->project))
            return BAD(&f->rd, "project %.*s stands twice", STR(p->project));
    if (!p->type.n)
        return BAD(&f->rd, "type is missing");
    if (p->upstream.n && url_parse(f->rd.c, p->upstream, &u) != E_OK)
        return BAD(&f->rd, "upstream must be an http or https URL without user name");
    if (p->password_file.n && p->password_env.n)
        return BAD(&f->rd, "password_file and password_env exclude each other");
    if (!p->username.n && (p->password_file.n || p->password_env.n))
        return BAD(&f->rd, "a password without username");
    return E_OK;
}

static enum err read_proxies(struct file *f, int id)
{
    const yaml_node_t *list = node_at(f, id);
    if (list && is_null(list))
        return E_OK;
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return BAD(&f->rd, "proxies must be a list");
    size_t count = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    if (count > ITEMS_MAX)
        return BAD(&f->rd, "more than %d proxies", ITEMS_MAX);
    f->rd.out->proxies = arena_alloc(f->rd.mem, (count ? count : 1) * sizeof *f->rd.out->proxies);
    for (size_t i = 0; i < count; i++) {
        struct proxy_setting *p = &f->rd.out->proxies[i];
        const yaml_node_t *map = node_at(f, list->data.sequence.items.start[i]);
        if (!map || map->type != YAML_MAPPING_NODE)
            return BAD(&f->rd, "an entry of proxies must have keys");
        for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
             pair < map->data.mapping.pairs.top; pair++) {
            const yaml_node_t *key = node_at(f, pair->key);
            if (!key || key->type != YAML_SCALAR_NODE)
                return BAD(&f->rd, "a key must be a word");
            TRY(proxy_value(f, p, scalar(key), pair->value));
        }
        (void)node_at(f, list->data.sequence.items.start[i]); /* the line for messages */
        TRY(check_proxy(f, p));
        f->rd.out->proxy_count++;
    }
    return E_OK;
}

static enum err read_root(struct file *f)
{
    const yaml_node_t *root = yaml_document_get_root_node(&f->doc);
    if (!root || is_null(root))
        return E_OK; /* an empty file */
    f->rd.where = str_fmt(&f->rd.c->mem, "%.*s:1", STR(f->name));
    if (root->type != YAML_MAPPING_NODE)
        return BAD(&f->rd, "expected keys and values");
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = node_at(f, p->key);
        const yaml_node_t *value = yaml_document_get_node(&f->doc, p->value);
        if (!key || key->type != YAML_SCALAR_NODE)
            return BAD(&f->rd, "a key must be a word");
        struct str name = scalar(key);
        if (str_eq(name, S("proxies")))
            TRY(read_proxies(f, p->value));
        else if (value && value->type == YAML_MAPPING_NODE)
            TRY(read_section(f, str_sub(name, 0, 128), value));
        else if (!key_by_name(name) && !(value && is_null(value)))
            return BAD(&f->rd, "unknown key %.*s", STR(str_sub(name, 0, 128)));
        else if (key_by_name(name))
            TRY(read_value(f, name, p->value));
    }
    return E_OK;
}

static enum err read_text(struct ctx *c, struct arena *mem, struct str name, struct str text,
                          struct settings *out)
{
    yaml_parser_t parser;
    struct file f = {.rd = {.c = c, .mem = mem, .out = out}, .name = name};
    if (!yaml_parser_initialize(&parser))
        return fail(c, E_INTERNAL, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    enum err e = E_OK;
    if (!yaml_parser_load(&parser, &f.doc)) {
        e = fail(c, E_BAD_REQUEST, "%.*s:%zu: %s", STR(name), parser.problem_mark.line + 1,
                 parser.problem ? parser.problem : "not YAML");
    } else {
        e = read_root(&f);
        yaml_document_delete(&f.doc);
    }
    yaml_parser_delete(&parser);
    return e;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static struct str variable_of(struct arena *a, const struct key *k)
{
    struct str name = str_fmt(a, "COVE_%s", k->name);
    char *p = arena_alloc(a, name.n + 1);
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i] == '.' ? '_' : name.p[i];
        p[i] = ch >= 'a' && ch <= 'z' ? (char)(ch - 'a' + 'A') : ch;
    }
    return (struct str){p, name.n};
}

static enum err read_environment(struct reader *rd, const char *(*getenv_fn)(const char *name))
{
    for (size_t i = 0; i < COUNT(keys) && getenv_fn; i++) {
        rd->where = variable_of(&rd->c->mem, &keys[i]);
        const char *value = getenv_fn(rd->where.p);
        if (value)
            TRY(set_text(rd, &keys[i], str_of(value)));
    }
    return E_OK;
}

static enum err check_together(struct reader *rd)
{
    const struct settings *s = rd->out;
    rd->where = s->file.n ? s->file : S("settings");
    if ((s->tls_cert.n == 0) != (s->tls_key.n == 0))
        return BAD(rd, "tls.cert and tls.key go together");
    if (s->database.n && !str_starts(s->database, S("postgres://")) &&
        !str_starts(s->database, S("postgresql://")))
        return BAD(rd, "database must be empty or begin with postgres://");
    if (!s->data.n)
        return BAD(rd, "data must not be empty");
    if (!s->listen.n)
        return BAD(rd, "listen must not be empty");
    return E_OK;
}

enum err config_parse(struct ctx *c, struct arena *mem, struct str name, struct str text,
                      const char *(*getenv_fn)(const char *name), struct settings *out)
{
    struct settings s = {.file = str_dup(mem, name)};
    struct reader rd = {.c = c, .mem = mem, .out = &s, .where = S("default")};
    for (size_t i = 0; i < COUNT(keys); i++)
        TRY(set_text(&rd, &keys[i], str_of(keys[i].value)));
    TRY(read_text(c, mem, name, text, &s));
    TRY(read_environment(&rd, getenv_fn));
    TRY(check_together(&rd));
    *out = s;
    return E_OK;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

enum err config_load(struct ctx *c, struct arena *mem, struct str file, struct settings *out)
{
    struct str text = NO_STR;
    if (file.n) {
        enum err e = fd_read_file(c, file, FILE_MAX, &text);
        if (e == E_NOT_FOUND)
            return fail(c, e, "%.*s: no such file", STR(file));
        TRY(e);
    }
    return config_parse(c, mem, file, text, environment, out);
}

void config_keep(const struct settings *running, struct settings *fresh)
{
    static const size_t sizes[] = {
        [KIND_STR] = sizeof(struct str),
        [KIND_I64] = sizeof(int64_t),
        [KIND_BOOL] = sizeof(bool),
        [KIND_LIST] = sizeof(struct strs),
    };
    for (size_t i = 0; i < COUNT(keys); i++)
        if (!is_one_of(keys[i].name, reloadable, COUNT(reloadable))) {
            memcpy((char *)fresh + keys[i].off, (const char *)running + keys[i].off,
                   sizes[keys[i].kind]);
            fresh->from[i] = running->from[i];
        }
}

void config_help(struct buf *out)
{
    struct arena mem = {0};
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct str variable = variable_of(&mem, &keys[i]);
        buf_fmt(out, "  %-22s %-27.*s %s%s%s%s\n", keys[i].name, STR(variable), keys[i].help,
                keys[i].value[0] ? " [" : "", keys[i].value, keys[i].value[0] ? "]" : "");
    }
    buf_fmt(out, "  %-22s %-27s %s\n", "proxies", "", "proxy projects; see docs/configuration.md");
    arena_release(&mem);
}
