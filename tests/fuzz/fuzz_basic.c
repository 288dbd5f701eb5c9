/* Authorization: Basic of any bytes: what is taken has a name without colon and a password, both
   text without NUL. */
#include "api/auth.h"
#include "base/codec.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena mem = {0};
    struct str name, password;
    if (auth_parse_basic(&mem, (struct str){(const char *)data, size}, &name, &password)) {
        assert(name.n > 0 && password.n > 0 && name.n <= 512 && password.n <= 512);
        assert(str_find(name, ':') < 0);
        assert(!memchr(name.p, 0, name.n) && !memchr(password.p, 0, password.n));
        assert(utf8_valid(name));
    }
    arena_release(&mem);
    return 0;
}
