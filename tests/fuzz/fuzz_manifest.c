/* Manifests. The first byte chooses the Content-Type; what is accepted must hold its promises. */
#include "base/digest.h"
#include "rule/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const struct descriptor *d)
{
    if (!digest_valid(d->digest) || d->size < 0 || !d->media_type.n)
        abort();
    for (size_t i = 0; i < d->media_type.n; i++)
        if (d->media_type.p[i] <= ' ')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"",
                                        MEDIA_OCI_MANIFEST,
                                        MEDIA_OCI_INDEX,
                                        MEDIA_DOCKER_MANIFEST,
                                        MEDIA_DOCKER_LIST "; charset=utf-8",
                                        "application/json"};
    CLEANUP(ctx_release) struct ctx c = {0};
    struct manifest m;
    if (size == 0)
        return 0;
    struct str type = str_of(types[data[0] % COUNT(types)]);
    struct str body = {(const char *)data + 1, size - 1};
    enum err e = manifest_parse(&c, body, type, &m);
    if (e != E_OK && e != E_MANIFEST_INVALID && e != E_TOO_LARGE)
        abort();
    if (e != E_OK)
        return 0;
    if (!media_is_manifest(m.media_type) || m.index != media_is_index(m.media_type) || !m.type.n ||
        m.layer_count > MANIFEST_LAYERS_MAX || m.child_count > MANIFEST_CHILDREN_MAX)
        abort();
    if (m.index ? m.layer_count != 0 : m.child_count != 0)
        abort();
    if (!m.index)
        check_descriptor(&m.config);
    for (size_t i = 0; i < m.layer_count; i++)
        check_descriptor(&m.layers[i]);
    for (size_t i = 0; i < m.child_count; i++)
        check_descriptor(&m.children[i]);
    if (m.subject_digest.n && !digest_valid(m.subject_digest))
        abort();
    return 0;
}
