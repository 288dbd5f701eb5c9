/* Names as the OCI Distribution Spec ("Pulling manifests") and Harbor allow them. Pure. */
#ifndef RULE_NAME_H
#define RULE_NAME_H

#include "base/ctx.h"

bool name_is_project(struct str s);    /* ^[a-z0-9]+(?:[._-][a-z0-9]+)*$, 1-255 */
bool name_is_repository(struct str s); /* path components as in the spec, 1-255 in all */
bool name_is_tag(struct str s);        /* [A-Za-z0-9_][A-Za-z0-9._-]{0,127} */
bool name_is_user(struct str s);       /* ASCII, Harbor's exclusions, no robot prefix */
bool name_is_robot(struct str s);      /* [a-z0-9]+([._-][a-z0-9]+)* */
/* "a/b/c" -> project "a", path "b/c". E_NAME_INVALID when there is no second component. */
enum err name_split(struct ctx *c, struct str full, struct str *project, struct str *path);
/* "user@host"-style e-mail, good enough to refuse nonsense. */
bool name_is_email(struct str s);
/* Harbor's rule: 8-128, an upper, a lower, a digit. We take up to 256 bytes. E_BAD_REQUEST. */
enum err password_acceptable(struct ctx *c, struct str password);

#endif
