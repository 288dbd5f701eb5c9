/* What a token service answers: no token that could break out of a header. */
#include "peer/token.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str token;
    int64_t life_s;
    if (token_parse(&c, (struct str){(const char *)data, size}, &token, &life_s) != E_OK)
        return 0;
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            abort();
    if (token.n == 0 || life_s < 1 || life_s > 3600)
        abort();
    return 0;
}
