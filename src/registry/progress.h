/* What long work tells whoever follows it: lines of text for a terminal. */
#ifndef REGISTRY_PROGRESS_H
#define REGISTRY_PROGRESS_H

#include "base/str.h"

typedef void progress_fn(void *arg, struct str line);

/* One line, cut at 1 KiB. say may be NULL: then nobody follows. */
void progress_line(progress_fn *say, void *arg, const char *fmt, ...) PRINTF(3, 4);

#endif
