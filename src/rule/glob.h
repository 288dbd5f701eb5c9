/*
 * Patterns over repository names, tags and namespaces: doublestar, as Harbor's filters, retention
 * and immutability rules use it. Pure.
 */
#ifndef RULE_GLOB_H
#define RULE_GLOB_H

#include "base/str.h"

#define GLOB_PATTERN_MAX 1024
#define GLOB_NESTING_MAX 8

/*
 * `*` any characters but '/', `?` one of them, `**` as a whole path component any number of
 * components, [abc] [a-z] [^a] [!a] one character, {a,b} alternatives (which may be nested),
 * backslash takes the next character as it is. The empty pattern matches everything, as in
 * Harbor. Time is at most the length of the pattern times the length of the text. False for a
 * pattern that glob_check() refuses.
 */
bool glob_match(struct str pattern, struct str text);
/* NULL when the pattern is good, else what is wrong with it, in words. */
const char *glob_check(struct str pattern);

#endif
