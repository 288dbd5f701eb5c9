/* What is done to a project as a whole, for the API and for jobs. */
#ifndef REGISTRY_PROJECTS_H
#define REGISTRY_PROJECTS_H

#include "meta/project.h"

/* Why it may not be deleted, in words; empty when it may. */
struct str project_why_kept(const struct project *p);
/* Deletes an empty project and what system robots may in one of its name: another project may get
   it one day. E_CONFLICT: declared in cove.yml; E_PRECONDITION: it has repositories. In the
   caller's transaction, p as it is there. */
enum err project_remove(struct ctx *c, const struct project *p);
/* A public proxy project must not hand out what its endpoint's credential can read, unless its
   metadata says so: E_PRECONDITION. */
enum err project_check_exposure(struct ctx *c, const struct project *p, const struct endpoint *e);

#endif
