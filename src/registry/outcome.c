/* Words for outcomes. */
#include "registry/outcome.h"

const char *outcome_text(enum outcome o)
{
    static const char *const text[] = {
#define X(name, t) [OUTCOME_##name] = (t),
        OUTCOME_LIST(X)
#undef X
    };
    return text[o];
}
