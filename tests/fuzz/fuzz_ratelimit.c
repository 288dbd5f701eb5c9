/* Header values about paging and limits: Link, ratelimit-*, Retry-After. */
#include "peer/linkheader.h"
#include "peer/ratelimit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, next;
    int64_t n, window, seconds;
    if (link_next(text, &next) && (next.n == 0 || next.p < text.p || next.n > text.n))
        abort();
    if (ratelimit_parse(text, &n, &window) && (n < 0 || window < -1))
        abort();
    if (retry_after_parse(text, clock_now(), &seconds) && (seconds < 0 || seconds > 86400))
        abort();
    (void)ratelimit_is_pull_limit(true, text, -1);
    return 0;
}
