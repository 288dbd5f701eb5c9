/*
 * dlopen by the name that the library's ABI has, so what is loaded is what the headers describe.
 * The callers keep a struct of typed pointers, made from one list of names; the list of names is
 * made from the same, so the two cannot disagree.
 */
#include "base/late.h"

#include <dlfcn.h>

enum err late_load(struct ctx *c, const char *library, const char *const *names, size_t n,
                   void **out)
{
    void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return fail(c, E_INTERNAL, "cannot load a library: %s", dlerror());
    for (size_t i = 0; i < n; i++) {
        out[i] = dlsym(lib, names[i]);
        if (!out[i])
            return fail(c, E_INTERNAL, "%s has no %s", library, names[i]);
    }
    return E_OK;
}
