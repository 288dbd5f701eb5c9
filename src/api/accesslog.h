/* The access log: one JSON line per request on stdout, written when the last byte is sent. */
#ifndef API_ACCESSLOG_H
#define API_ACCESSLOG_H

#include "api/call.h"

void accesslog_on(bool on); /* log.access */
/* Gathers what the request was and hangs the record on the reply's done. */
void accesslog_attach(struct call *r);

#endif
