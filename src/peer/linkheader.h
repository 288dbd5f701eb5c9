/* Link headers (RFC 8288), as far as paging needs them. */
#ifndef PEER_LINKHEADER_H
#define PEER_LINKHEADER_H

#include "base/str.h"

/* The target of the first link whose rel holds "next"; a view. False when there is none or the
   header is broken before it. */
bool link_next(struct str header, struct str *out);

#endif
