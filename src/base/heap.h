/*
 * Whether this thread was refused memory. Many of those who ask the heap cannot tell more than "it
 * did not fit" (buf.full, a NULL of a library); fail() looks here and answers 503 "out of memory"
 * instead of whatever the caller makes of it. While it is set nothing is committed and no answer
 * that was made in memory leaves as a success, for either may be a part. Forgotten when the request
 * or job ends.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/def.h"

void heap_refuse(void); /* notes it */
bool heap_refused(void);
void heap_forget(void);

#endif
