/* Request targets: a path that is taken is clean, and decoding it did not write past the room. */
#include "net/head.h"

#include "base/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head_error error = {0};
    struct target t;
    char *scratch = malloc(size ? size : 1);
    if (target_parse((struct str){(const char *)data, size}, scratch, &t, &error)) {
        assert(t.path.n <= size + 1 && t.path.n > 0);
        assert(t.path.p[0] == '/' || str_eq(t.path, S("*")));
        assert(!memchr(t.path.p, 0, t.path.n) && !memchr(t.path.p, '\\', t.path.n));
        assert(!str_contains(t.path, S("/../")) && !str_ends(t.path, S("/..")));
        assert(!str_contains(t.path, S("/./")) && !str_ends(t.path, S("/.")));
        assert(utf8_valid(t.path) && (t.host.n == 0 || host_valid(t.host)));
    } else {
        assert(error.status == 400 && error.why);
    }
    free(scratch);
    return 0;
}
