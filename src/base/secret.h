/* Bytes that must not leak: wiped on release, compared in constant time, never formatted. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/str.h"

struct secret {
    char *p;
    size_t n;
};

bool secret_set(struct secret *s, struct str text); /* copies; false when out of memory */
void secret_release(struct secret *s);
bool secret_eq(struct str a, struct str b); /* time depends on the lengths alone */
/* The text, for the one library call that needs it. The caller keeps no copy. */
struct str secret_view(const struct secret *s);

#endif
