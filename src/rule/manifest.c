/*
 * Reads a manifest or index once and strictly, because what two readers of the same bytes may
 * understand differently is an attack (GHSA-qq97-vm5h-rrhg): one meaning of the body, one media
 * type, no duplicate members, no members that another reader would match in another case. Every
 * fault of the content is E_MANIFEST_INVALID. The payload itself is never written again from this
 * struct.
 *
 * Cost is bounded before the tree is built: one pass over the bytes limits depth, the number of
 * values and the entries of one object or list, and a large body that is no manifest by the names
 * of its members is never parsed.
 */
#include "rule/manifest.h"

#include "base/digest.h"

#include <string.h>

#define MEDIA_TYPE_MAX 255
#define ENTRIES_MAX 10000         /* of one object or list: layers, annotations, urls */
#define LARGE ((size_t)256 << 10) /* bytes that are not parsed for nothing */

#define MEDIA_SCHEMA1 "application/vnd.docker.distribution.manifest.v1"
#define MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"

static const char *const known_types[] = {MEDIA_OCI_MANIFEST, MEDIA_DOCKER_MANIFEST,
                                          MEDIA_OCI_INDEX, MEDIA_DOCKER_LIST};

/* Harbor's types by the config's media type; others derive theirs from the media type's text. */
static const struct {
    const char *media_type, *type;
} harbor_types[] = {
    {"application/vnd.oci.image.config.v1+json", "IMAGE"},
    {"application/vnd.docker.container.image.v1+json", "IMAGE"},
    {"application/vnd.cncf.helm.config.v1+json", "CHART"},
    {"application/vnd.cncf.model.config.v1+json", "CNAI"},
    {"application/vnd.wasm.config.v1+json", "WASM"},
    {"application/vnd.cnab.config.v1+json", "CNAB"},
    {"application/vnd.goharbor.harbor.sbom.v1", "SBOM"},
};

bool media_is_index(struct str media_type)
{
    return str_eq_nocase(media_type, S(MEDIA_OCI_INDEX)) ||
           str_eq_nocase(media_type, S(MEDIA_DOCKER_LIST));
}

bool media_is_manifest(struct str media_type)
{
    for (size_t i = 0; i < COUNT(known_types); i++)
        if (str_eq_nocase(media_type, str_of(known_types[i])))
            return true;
    return false;
}

static enum err invalid(struct ctx *c, const char *what, const char *why)
{
    return fail(c, E_MANIFEST_INVALID, "manifest invalid: %s %s", what, why);
}

/* Media types go into headers and columns: printable, without blanks, of a sane length. */
static bool is_media_type(struct str s)
{
    if (s.n == 0 || s.n > MEDIA_TYPE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

/* A member that must be text when it is there; null is absent. */
static enum err get_text(struct ctx *c, const json_t *object, const char *key, struct str *out)
{
    const json_t *v = json_object_get(object, key);
    struct str text = NO_STR;
    if (v && !json_is_null(v) && !json_get_str(object, key, &text))
        return invalid(c, key, "must be a string");
    *out = text.n ? str_dup(&c->mem, text) : NO_STR;
    return E_OK;
}

static enum err get_media_type(struct ctx *c, const json_t *object, const char *key,
                               struct str *out)
{
    TRY(get_text(c, object, key, out));
    if (out->n && !is_media_type(*out))
        return invalid(c, key, "is not a media type");
    return E_OK;
}

/* An object kept as JSON; flat: all its members are strings. */
static enum err get_object(struct ctx *c, const json_t *object, const char *key, bool flat,
                           struct raw_json *out)
{
    json_t *v = json_object_get(object, key);
    *out = (struct raw_json){0};
    if (!v || json_is_null(v))
        return E_OK;
    if (!json_is_object(v))
        return invalid(c, key, "must be an object");
    for (void *at = json_object_iter(v); at; at = json_object_iter_next(v, at))
        if (flat && !json_is_string(json_object_iter_value(at)))
            return invalid(c, key, "must hold strings only");
    return json_text(c, v, &out->text) == E_OK ? E_OK : invalid(c, key, "is too large");
}

static enum err get_urls(struct ctx *c, const json_t *object, struct strs *out)
{
    const json_t *v = json_object_get(object, "urls");
    *out = (struct strs){0};
    if (!v || json_is_null(v))
        return E_OK;
    if (!json_is_array(v))
        return invalid(c, "urls", "must be a list");
    size_t n = json_array_size(v);
    out->items = n ? arena_array(&c->mem, n, sizeof(struct str)) : NULL;
    if (n && !out->items)
        return invalid(c, "urls", "is too large");
    for (; out->count < n; out->count++) {
        const json_t *item = json_array_get(v, out->count);
        if (!json_is_string(item))
            return invalid(c, "urls", "must hold strings only");
        struct str text = {json_string_value(item), json_string_length(item)};
        out->items[out->count] = str_dup(&c->mem, text);
    }
    return E_OK;
}

static bool is_foreign(struct str media_type)
{
    return str_starts(media_type, S("application/vnd.docker.image.rootfs.foreign.")) ||
           str_starts(media_type, S("application/vnd.oci.image.layer.nondistributable."));
}

/* OCI image spec, "Content Descriptors". */
static enum err read_descriptor(struct ctx *c, const json_t *v, const char *what,
                                struct descriptor *out)
{
    struct descriptor d = {0};
    if (!json_is_object(v))
        return invalid(c, what, "must be a descriptor");
    TRY(get_media_type(c, v, "mediaType", &d.media_type));
    if (!d.media_type.n)
        return invalid(c, what, "has no mediaType");
    TRY(get_text(c, v, "digest", &d.digest));
    if (!digest_valid(d.digest))
        return invalid(c, what, "has no valid digest");
    if (!json_get_i64(v, "size", &d.size) || d.size < 0)
        return invalid(c, what, "has no valid size");
    TRY(get_media_type(c, v, "artifactType", &d.artifact_type));
    TRY(get_object(c, v, "platform", false, &d.platform));
    TRY(get_object(c, v, "annotations", true, &d.annotations));
    TRY(get_urls(c, v, &d.urls));
    d.foreign = is_foreign(d.media_type);
    *out = d;
    return E_OK;
}

/* A list of descriptors; null and absent are the empty list. */
static enum err read_list(struct ctx *c, const json_t *root, const char *key, size_t max,
                          struct descriptor **out, size_t *count)
{
    const json_t *v = json_object_get(root, key);
    if (!v || json_is_null(v))
        return E_OK;
    if (!json_is_array(v))
        return invalid(c, key, "must be a list");
    size_t n = json_array_size(v);
    if (n > max)
        return fail(c, E_MANIFEST_INVALID, "manifest invalid: %s has more than %zu entries", key,
                    max);
    struct descriptor *items = n ? arena_array(&c->mem, n, sizeof(*items)) : NULL;
    if (n && !items)
        return invalid(c, key, "is too large");
    for (size_t i = 0; i < n; i++)
        TRY(read_descriptor(c, json_array_get(v, i), key, &items[i]));
    *out = items;
    *count = n;
    return E_OK;
}

/* Go's reader takes "Layers" for "layers", ours does not: such a member has two meanings. */
static enum err check_keys(struct ctx *c, json_t *root)
{
    static const char *const keys[] = {"schemaVersion", "mediaType", "artifactType",
                                       "config",        "layers",    "manifests",
                                       "subject",       "fsLayers",  "annotations"};
    for (void *at = json_object_iter(root); at; at = json_object_iter_next(root, at)) {
        const char *key = json_object_iter_key(at);
        for (size_t i = 0; i < COUNT(keys); i++)
            if (str_eq_nocase(str_of(key), str_of(keys[i])) && strcmp(key, keys[i]) != 0)
                return invalid(c, keys[i], "is written in another case");
    }
    return E_OK;
}

static enum err refuse_schema1(struct ctx *c)
{
    return fail(c, E_MANIFEST_INVALID,
                "Docker schema 1 manifests are not supported; push the image again with a "
                "current client (schema 2 or OCI)");
}

/* "type; charset=utf-8" without its parameters. */
static struct str bare(struct str content_type)
{
    return str_trim(str_cut(&content_type, ';'));
}

/* Which of the four the payload is: by header and body where they speak, else by content. */
static enum err choose_type(struct ctx *c, const json_t *root, struct str content_type,
                            struct str *out)
{
    struct str body = NO_STR, header = bare(content_type);
    int64_t version = 0;
    TRY(get_media_type(c, root, "mediaType", &body));
    bool read = json_get_i64(root, "schemaVersion", &version);
    if (str_starts(header, S(MEDIA_SCHEMA1)) || str_starts(body, S(MEDIA_SCHEMA1)) ||
        (read && version == 1) || json_object_get(root, "fsLayers"))
        return refuse_schema1(c);
    if (!read || version != 2)
        return invalid(c, "schemaVersion", "must be 2");
    if (header.n && body.n && !str_eq_nocase(header, body))
        return fail(c, E_MANIFEST_INVALID,
                    "manifest invalid: mediaType '%.*s' is not the Content-Type '%.*s'",
                    STR(str_sub(body, 0, 100)), STR(str_sub(header, 0, 100)));
    struct str given = header.n ? header : body;
    if (!given.n)
        given = json_object_get(root, "manifests") ? S(MEDIA_OCI_INDEX) : S(MEDIA_OCI_MANIFEST);
    for (size_t i = 0; i < COUNT(known_types); i++) {
        *out = str_of(known_types[i]);
        if (str_eq_nocase(given, *out))
            return E_OK;
    }
    return fail(c, E_MANIFEST_INVALID, "manifest invalid: media type '%.*s' is not supported",
                STR(str_sub(given, 0, 100)));
}

/* "application/vnd.ORG.TYPE.config.VERSION+json" gives TYPE in upper case, as in Harbor. */
static struct str derived_type(struct ctx *c, struct str media_type)
{
    struct str rest = media_type;
    if (!str_starts(rest, S("application/vnd.")) || !str_ends(rest, S("+json")))
        return S("UNKNOWN");
    rest = str_sub(rest, 16, rest.n - 16 - 5);
    str_cut(&rest, '.');
    int64_t version = str_rfind(rest, '.');
    rest = str_sub(rest, 0, version < 0 ? 0 : (size_t)version);
    if (!str_ends(rest, S(".config")) || rest.n == 7)
        return S("UNKNOWN");
    rest = str_sub(rest, 0, rest.n - 7);
    char *p = arena_alloc(&c->mem, rest.n + 1);
    for (size_t i = 0; i < rest.n; i++)
        p[i] = rest.p[i] >= 'a' && rest.p[i] <= 'z' ? (char)(rest.p[i] - 32) : rest.p[i];
    return (struct str){p, rest.n};
}

static struct str harbor_type(struct ctx *c, const struct manifest *m)
{
    struct str from = m->config.media_type;
    if (m->index)
        return str_contains(m->annotations.text, S("application/vnd.cnab.manifest.v1"))
                   ? S("CNAB")
                   : S("IMAGE");
    if (str_eq(from, S(MEDIA_OCI_EMPTY)))
        from = m->artifact_type;
    for (size_t i = 0; i < COUNT(harbor_types); i++)
        if (str_eq(from, str_of(harbor_types[i].media_type)))
            return str_of(harbor_types[i].type);
    return derived_type(c, from);
}

/* OCI image spec, "Image Manifest", with "Guidelines for Artifact Usage". */
static enum err read_image(struct ctx *c, const json_t *root, struct manifest *m)
{
    if (json_object_get(root, "manifests"))
        return invalid(c, "it", "has both layers and manifests");
    TRY(read_descriptor(c, json_object_get(root, "config"), "config", &m->config));
    TRY(read_list(c, root, "layers", MANIFEST_LAYERS_MAX, &m->layers, &m->layer_count));
    if (!m->artifact_type.n && str_eq(m->config.media_type, S(MEDIA_OCI_EMPTY)))
        return invalid(c, "artifactType", "must be given when the config is empty");
    if (!m->artifact_type.n)
        m->artifact_type = m->config.media_type;
    return E_OK;
}

/* OCI image spec, "Image Index". */
static enum err read_index(struct ctx *c, const json_t *root, struct manifest *m)
{
    if (json_object_get(root, "layers") || json_object_get(root, "config"))
        return invalid(c, "it", "has both manifests and layers");
    if (!json_object_get(root, "manifests"))
        return invalid(c, "manifests", "is missing");
    return read_list(c, root, "manifests", MANIFEST_CHILDREN_MAX, &m->children, &m->child_count);
}

/*
 * One pass before the parser. A large body without the members that make a manifest is refused by
 * their names alone; what is small, or an older schema, is refused with a better reason below.
 */
static enum err prescan(struct ctx *c, struct str payload)
{
    static const char *const names[] = {"config", "manifests", "fsLayers"};
    unsigned seen = 0;
    const struct json_limits limits = {ENTRIES_MAX, names, COUNT(names), &seen};
    if (json_scan(c, payload, &limits) != E_OK)
        return E_MANIFEST_INVALID; /* the reason is noted already */
    if (payload.n > LARGE && !seen)
        return invalid(c, "it", "has neither config nor manifests");
    return E_OK;
}

static enum err read_root(struct ctx *c, const json_t *root, struct manifest *m)
{
    TRY(get_media_type(c, root, "artifactType", &m->artifact_type));
    TRY(m->index ? read_index(c, root, m) : read_image(c, root, m));
    const json_t *subject = json_object_get(root, "subject");
    if (subject && !json_is_null(subject)) {
        struct descriptor d;
        TRY(read_descriptor(c, subject, "subject", &d));
        m->subject_digest = d.digest;
    }
    TRY(get_object(c, root, "annotations", true, &m->annotations));
    m->type = harbor_type(c, m);
    return E_OK;
}

enum err manifest_parse(struct ctx *c, struct str payload, struct str content_type,
                        struct manifest *out)
{
    struct manifest m = {0};
    if (payload.n > MANIFEST_MAX)
        return fail(c, E_TOO_LARGE, "a manifest may have %zu bytes at most", MANIFEST_MAX);
    TRY(prescan(c, payload));
    CLEANUP(json_done) json_t *root = NULL;
    if (json_build(c, payload, &root) != E_OK)
        return E_MANIFEST_INVALID;
    if (!json_is_object(root))
        return invalid(c, "it", "must be a JSON object");
    TRY(check_keys(c, root));
    TRY(choose_type(c, root, content_type, &m.media_type));
    m.index = media_is_index(m.media_type);
    TRY(read_root(c, root, &m));
    *out = m;
    return E_OK;
}
