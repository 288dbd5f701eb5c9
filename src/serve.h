/* `cove serve`: everything started in order, stopped in the reverse one. */
#ifndef SERVE_H
#define SERVE_H

#include "base/ctx.h"

/* config: path of cove.yml or empty. Returns the exit status. */
int serve(struct str config);

#endif
