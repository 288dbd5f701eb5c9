/* The configuration of an image that is here, read from the store. */
#ifndef REGISTRY_CONFIG_H
#define REGISTRY_CONFIG_H

#include "rule/image.h"
#include "rule/manifest.h"

/*
 * Of a parsed manifest in a repository. *here false, and *out empty: it has none, its bytes have
 * not come, or they are larger than IMAGE_CONFIG_MAX or not JSON. Not inside a transaction.
 */
enum err image_config_read(struct ctx *c, int64_t project_id, struct str repository,
                           const struct manifest *m, struct image_config *out, bool *here);

/* Harbor's extra_attrs of a manifest by its digest, "{}" when there are none or the configuration
   or the manifest is not here. Inside a transaction; reads a small file. */
enum err config_attrs_read(struct ctx *c, int64_t project_id, struct str repository,
                           struct str digest, struct raw_json *out);

#endif
