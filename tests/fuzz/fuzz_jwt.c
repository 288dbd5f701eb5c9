/* Tokens: a stranger's bytes never verify; the same bytes as claims always do. */
#include "base/jwt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct jwt_key key = {.kid = S("k1"), .bytes = {1, 2, 3}};
    struct str text = {(const char *)data, size}, claims;
    if (jwt_verify(&c, &key, 1, text, &claims) == E_OK)
        abort();
    if (size > 8192)
        return 0;
    struct str token = jwt_sign(&c.mem, &key, text);
    if (jwt_verify(&c, &key, 1, token, &claims) != E_OK || !str_eq(claims, text))
        abort();
    return 0;
}
