/* WWW-Authenticate. */
#include "peer/challenge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct challenge found[CHALLENGES_MAX];
    size_t count = 0;
    if (challenge_parse(&c, (struct str){(const char *)data, size}, found, &count) != E_OK)
        return 0;
    if (count > CHALLENGES_MAX)
        abort();
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < found[i].realm.n; j++)
            if (found[i].realm.p[j] == '\n' || found[i].realm.p[j] == '\r')
                abort();
    return 0;
}
