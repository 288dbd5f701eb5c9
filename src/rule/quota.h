/* Storage quotas of projects: Harbor's decision, in Harbor's words. Pure. */
#ifndef RULE_QUOTA_H
#define RULE_QUOTA_H

#include "base/ctx.h"

#define QUOTA_NONE INT64_C(-1)
#define QUOTA_MAX (INT64_C(1) << 50) /* 1024 TiB */

/* May a project that uses `used` bytes of `hard` (-1 = unlimited) take `adding` more? E_DENIED. */
enum err quota_admits(struct ctx *c, int64_t hard, int64_t used, int64_t adding);
/* A limit that may be set: -1, or 1 byte to 1024 TiB. E_BAD_REQUEST names the field. */
enum err quota_check_limit(struct ctx *c, const char *field, int64_t hard);
struct str quota_size_text(struct arena *a, int64_t bytes); /* "512 B", "1.0 MiB" */

#endif
