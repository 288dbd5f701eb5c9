/* Login forms: a field that is found is decoded text of the form, never more than it. */
#include "api/harbor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"principal", "password", ""};
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str form = {(const char *)data, size}, value;
    for (size_t i = 0; i < COUNT(names); i++)
        if (form_field(&c.mem, form, str_of(names[i]), &value) &&
            (value.n > size || (value.n && memchr(value.p, 0, value.n))))
            abort();
    return 0;
}
