/*
 * Manifests and indexes, parsed once: OCI image spec 1.1 (manifest, index) and Docker schema 2
 * (manifest, list). Pure: bytes in, struct out.
 */
#ifndef RULE_MANIFEST_H
#define RULE_MANIFEST_H

#include "base/field.h"

#define MANIFEST_MAX ((size_t)4 << 20)
#define MANIFEST_LAYERS_MAX 10000
#define MANIFEST_CHILDREN_MAX 1000

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

struct descriptor {
    struct str media_type, digest, artifact_type;
    int64_t size;
    struct strs urls;
    struct raw_json platform, annotations;
    bool foreign; /* non-distributable: not required, never fetched by us */
};

struct manifest {
    bool index;
    struct str media_type;    /* what to serve: the given one, checked against the body's */
    struct str artifact_type; /* artifactType, else config.mediaType (image manifests) */
    struct descriptor config; /* empty digest for an index */
    struct descriptor *layers, *children;
    size_t layer_count, child_count;
    struct str subject_digest;
    struct raw_json annotations;
    struct str type; /* Harbor's: IMAGE, CHART, ... */
};

/*
 * content_type: of the request, may be empty (then the body's mediaType decides). Refuses: both
 * manifests and layers, mediaType that differs from content_type, schema 1 (E_MANIFEST_INVALID,
 * naming it), a bad digest or size in any descriptor, over the limits. E_TOO_LARGE over 4 MiB.
 */
enum err manifest_parse(struct ctx *c, struct str payload, struct str content_type,
                        struct manifest *out);
bool media_is_index(struct str media_type);
bool media_is_manifest(struct str media_type); /* any of the four */

#endif
