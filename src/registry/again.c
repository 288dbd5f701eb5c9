/* One rule for all: few tries, and none after a second, so that a client is told in time. */
#include "registry/again.h"

#define TRIES_MAX 5
#define PATIENCE_MS 1000

bool again(enum err e, int tries, int64_t began_ms)
{
    if (tries >= TRIES_MAX || clock_mono_ms() - began_ms >= PATIENCE_MS)
        return false;
    return e == E_CONFLICT || e == E_UNAVAILABLE;
}
