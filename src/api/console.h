/* The web console: files that the build embedded, for browsers. */
#ifndef API_CONSOLE_H
#define API_CONSOLE_H

#include "api/call.h"

/* Whether this request is the console's: one of its files; for a browser (Accept: text/html) also
   `/` and any path that is not an API's; and Harbor's old pages below /harbor. Always false in a
   binary that was built without the console. */
bool console_wants(const struct call *r);
/* Answers it: 200, 304, 406 without gzip, or a redirect. No identity is needed or looked at. */
enum err console_reply(struct call *r);

#endif
