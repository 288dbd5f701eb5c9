/* The reason of a failure is written where it is known; callers pass the error up untouched. */
#include "base/ctx.h"

#include <stdio.h>
#include <string.h>

enum err fail(struct ctx *c, enum err e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->msg, sizeof c->msg, fmt, ap);
    va_end(ap);
    return e;
}

enum err fail_errno(struct ctx *c, enum err e, int errno_value, const char *fmt, ...)
{
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
}
