/* The one function that decides access, for /v2, the API, the UI and jobs. Pure: rows in, answer
   out. */
#ifndef REGISTRY_ACCESS_H
#define REGISTRY_ACCESS_H

#include "meta/project.h"
#include "rule/rbac.h"

/*
 * May the principal do act on res in the project (NULL = on the system)? System admins may
 * everything; users by their roles; robots by their permissions; anybody what a public project
 * gives. A disabled principal may nothing.
 */
bool access_may(const struct principal *p, const struct project_access *project, enum resource res,
                enum action act);

#endif
