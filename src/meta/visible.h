/* What a principal sees, as SQL over a project p: shared by the lists of projects, repositories
   and the catalog. Private to meta/. */
#ifndef META_VISIBLE_H
#define META_VISIBLE_H

#include "meta/principal.h"

/* $1 everything, $2 user id, $3 project of a robot, $4 permissions of a robot, written by us as
   compact JSON: replace() finds a text on both engines. */
#define VISIBLE                                                                                    \
    "(p.is_public = 1 OR $1 = 1 OR p.id = $3 OR EXISTS (SELECT 1 FROM member m WHERE "             \
    "m.project_id = p.id AND m.entity_type = 'u' AND m.entity_id = $2) OR "                        \
    "replace($4, '\"namespace\":\"' || p.name || '\"', '') <> $4 OR "                              \
    "replace($4, '\"namespace\":\"*\"', '') <> $4)"
#define VISIBLE_ARGS 4

/* NULL = sees everything. */
static inline void visible_args(const struct principal *p, struct arg args[VISIBLE_ARGS])
{
    bool user = p && p->kind == PRINCIPAL_USER, robot = p && p->kind == PRINCIPAL_ROBOT;
    args[0] = A_B(!p || p->sysadmin);
    args[1] = A_I(user ? p->id : 0);
    args[2] = A_I(robot ? p->project_id : 0);
    args[3] = A_S(robot && p->permissions.text.p ? p->permissions.text : S(""));
}

#endif
