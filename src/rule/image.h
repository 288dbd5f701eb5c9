/*
 * Image configurations (OCI image spec 1.1, "Image Configuration"; Docker's are the same in what
 * is read here), and how two of them differ. Pure: bytes in, struct out.
 */
#ifndef RULE_IMAGE_H
#define RULE_IMAGE_H

#include "base/field.h"

#define IMAGE_CONFIG_MAX ((size_t)4 << 20) /* larger ones are not read */

struct image_step { /* of the build history */
    struct str created, created_by, comment;
    bool empty; /* it made no layer */
};

/* One property of what runs: kind "env", "label", "port" and "volume" have names; "user",
   "workdir", "entrypoint", "cmd", "stop signal", "platform", "created", "author" have none. */
struct image_property {
    struct str kind, name, value;
};

#define IMAGE_PROPERTIES_MAX 4096 /* more are left out */

struct image_config {
    struct str platform; /* "linux/arm64/v8"; empty when it says none */
    struct image_property *properties;
    struct image_step *steps;
    size_t property_count, step_count;
};

/* E_BAD_REQUEST: not a JSON object, or beyond what json_parse takes. What is of another type than
   the specification says is left out. */
enum err image_config_parse(struct ctx *c, struct str text, struct image_config *out);

/* "os/architecture/variant" of a platform object (of a descriptor, or a configuration's root);
   empty when it says no os or no architecture. BuildKit's attestations have "unknown/unknown". */
struct str image_platform_text(struct ctx *c, struct raw_json platform);

#define IMAGE_ATTRS_MAX ((size_t)256 << 10) /* configurations beyond it give no attributes */

/* Harbor's extra_attrs from a configuration: of an image author, created, architecture, os and the
   OCI members of config; of anything else the whole object. E_BAD_REQUEST: not a JSON object. */
enum err image_attrs(struct ctx *c, struct str text, bool image, struct raw_json *out);

/* The step that made the next layer, from *at = 0 on; NULL when the history does not say. */
const struct image_step *image_step_next(const struct image_config *config, size_t *at);

struct image_change {
    struct str kind, name;
    struct str a, b; /* without a pointer: not there */
};
/* What differs, kind by kind in the order of a's properties, then what only b has. *out into mem,
   of image_change. */
void image_compare(struct arena *mem, const struct image_config *a, const struct image_config *b,
                   struct list *out);

#endif
