/* The reason of a failure is written where it is known; callers pass the error up untouched. */
#include "base/ctx.h"

#include "base/heap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whatever was made of it: memory is what was missing. */
static enum err out_of_memory(struct ctx *c)
{
    c->retry_after = 1;
    c->status = 0;
    snprintf(c->msg, sizeof c->msg, "out of memory, try again");
    return E_UNAVAILABLE;
}

enum err fail(struct ctx *c, enum err e, const char *fmt, ...)
{
    if (heap_refused())
        return out_of_memory(c);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->msg, sizeof c->msg, fmt, ap);
    va_end(ap);
    return e;
}

enum err fail_errno(struct ctx *c, enum err e, int errno_value, const char *fmt, ...)
{
    if (heap_refused() || errno_value == ENOMEM)
        return out_of_memory(c);
    char why[128];
    const char *text = strerror_r(errno_value, why, sizeof why);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(c->msg, sizeof c->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof c->msg)
        snprintf(c->msg + n, sizeof c->msg - (size_t)n, ": %s", text);
    return e;
}

void ctx_release(struct ctx *c)
{
    arena_release(&c->mem);
    heap_forget();
}
