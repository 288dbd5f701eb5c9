/*
 * Settings from cove.yml and the COVE_* environment, by the one list in rule/settings.h. Texts live
 * in `mem`, which the caller keeps as long as the settings.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "base/buf.h"
#include "base/ctx.h"
#include "rule/settings.h"

/* file: path, empty = defaults and environment alone. Errors begin with FILE:LINE or the name of
   the variable: E_BAD_REQUEST; E_NOT_FOUND when the file is missing. */
enum err config_load(struct ctx *c, struct arena *mem, struct str file, struct settings *out);
/* The same from text; getenv_fn may be NULL (no environment). name is for messages. */
enum err config_parse(struct ctx *c, struct arena *mem, struct str name, struct str text,
                      const char *(*getenv_fn)(const char *name), struct settings *out);
/* After a reload: fresh keeps what only a restart may change. */
void config_keep(const struct settings *running, struct settings *fresh);
/* Every key with default and help, for --help. */
void config_help(struct buf *out);

#endif
