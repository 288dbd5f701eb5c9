/* An expression, a line feed, a text. No expression may cost more than its length times the
   text's. */
#include "rule/regex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct str pattern = str_cut(&text, '\n');
    bool good = regex_check(pattern) == NULL, match = regex_match(pattern, text);
    if (match && !good)
        abort();
    /* a text without a special character matches itself and nothing else */
    bool plain = good;
    for (size_t i = 0; i < pattern.n; i++)
        plain = plain && str_find(S(".*+?()[]{}|\\^$"), pattern.p[i]) < 0;
    if (plain && match != str_eq(pattern, text))
        abort();
    return 0;
}
