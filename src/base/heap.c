/* One flag a thread. */
#include "base/heap.h"

static _Thread_local bool refused;

void heap_refuse(void)
{
    refused = true;
}

bool heap_refused(void)
{
    return refused;
}

void heap_forget(void)
{
    refused = false;
}
