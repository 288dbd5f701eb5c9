/* A pattern, a line feed, a text. No pattern may cost more than its length times the text's. */
#include "rule/glob.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct str pattern = str_cut(&text, '\n');
    bool good = glob_check(pattern) == NULL, match = glob_match(pattern, text);
    if (match && !good)
        abort();
    if (pattern.n == 0 && !match)
        abort();
    /* a text without a special character matches itself, and "**" matches everything */
    bool plain = good && pattern.n;
    for (size_t i = 0; i < pattern.n; i++)
        plain = plain && str_find(S("*?[]{}\\"), pattern.p[i]) < 0;
    if (plain && match != str_eq(pattern, text))
        abort();
    if (!glob_match(S("**"), text))
        abort();
    return 0;
}
