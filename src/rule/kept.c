/* The order of the questions is the answer: what contains a thing decides for it. */
#include "rule/kept.h"

enum kept kept_verdict(const struct kept_facts *f)
{
    if (f->contained)
        return KEPT_WITH_INDEX;
    if (f->immutable)
        return KEPT_IMMUTABLE;
    if (!f->proxy)
        return KEPT_UNTIL_DELETED;
    if (f->pinned || f->pin_pattern)
        return KEPT_PINNED;
    return f->bounded ? KEPT_UNTIL_FULL : KEPT_UNTIL_DELETED;
}

const char *kept_text(enum kept k)
{
    switch (k) {
    case KEPT_UNTIL_DELETED: return "until_deleted";
    case KEPT_IMMUTABLE: return "immutable";
    case KEPT_WITH_INDEX: return "with_index";
    case KEPT_PINNED: return "pinned";
    case KEPT_UNTIL_FULL: return "until_full";
    }
    return "until_deleted";
}
