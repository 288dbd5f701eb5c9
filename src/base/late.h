/*
 * Libraries that a process may never need, loaded when they are first used. libpq and libcurl bring
 * thirty others; loading them at each start costs more than all else that a start does.
 */
#ifndef BASE_LATE_H
#define BASE_LATE_H

#include "base/ctx.h"

/*
 * Fills n pointers with the functions of these names. The library stays for the process's life.
 * E_INTERNAL when it or one of them is missing. Threads may call at once: each fills the same.
 */
enum err late_load(struct ctx *c, const char *library, const char *const *names, size_t n,
                   void **out);

#endif
