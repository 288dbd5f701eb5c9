/* Lines are made here, so that every kind of work cuts them alike. */
#include "registry/progress.h"

#include <stdio.h>

void progress_line(progress_fn *say, void *arg, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (!say)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0)
        say(arg, (struct str){text, size_min((size_t)n, sizeof text - 1)});
}
