/* A schedule that is taken names moments in the future, each after the one before. */
#include "rule/cron.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cron c;
    if (cron_parse((struct str){(const char *)data, size}, &c))
        return 0;
    struct timestamp t = {INT64_C(1795507200) * SECOND_US};
    for (int i = 0; i < 4; i++) {
        struct timestamp next = cron_next(&c, t);
        if (!next.us)
            return 0;
        if (next.us <= t.us || next.us % (60 * SECOND_US))
            abort();
        t = next;
    }
    return 0;
}
