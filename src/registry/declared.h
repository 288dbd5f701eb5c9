/*
 * The proxies: of cove.yml, made rows: endpoints and projects, by name, at start and at SIGHUP.
 * Declared rows are read-only in the API; an entry that disappears stays as an ordinary one.
 */
#ifndef REGISTRY_DECLARED_H
#define REGISTRY_DECLARED_H

#include "meta/project.h"

/* Reconciles every entry of c->sv->settings->proxies; secrets come from their file or environment
   now. The first entry that cannot be stops it with a reason that names it (E_BAD_REQUEST, or what
   the database says); the entries before it are done. */
enum err declared_reconcile(struct ctx *c);

/* Harbor's default retention policy for a proxy project (what nobody pulled for a week may go):
   stores it and notes its id in p, inside the open transaction. */
enum err declared_retention(struct ctx *c, struct project *p);

#endif
