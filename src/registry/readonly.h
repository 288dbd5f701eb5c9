/*
 * Read-only mode, as Harbor has it: changes by API are refused, pulls go on, and what a proxy cache
 * fetches is passed on without being stored. The switch is a value in the database; each process
 * reads it every second.
 */
#ifndef REGISTRY_READONLY_H
#define REGISTRY_READONLY_H

#include "base/ctx.h"

#define READ_ONLY_TEXT "The system is in read only mode. Any modification is prohibited."

bool read_only(void);
/* Reads the switch. Opens a transaction. */
enum err read_only_read(struct ctx *c);
/* Sets it, here at once, and writes the event that tells of it. In a transaction of its own. */
enum err read_only_set(struct ctx *c, bool on);

#endif
