/*
 * Regular expressions over repository names, for the filter of proxy projects: the part of RE2's
 * syntax (which Harbor takes) that names need, matched in linear time. Pure.
 */
#ifndef RULE_REGEX_H
#define RULE_REGEX_H

#include "base/str.h"

#define REGEX_PATTERN_MAX 1024
#define REGEX_NESTING_MAX 32

/*
 * Does the pattern match the whole text? Bytes; literals, `.`, [classes] with ranges and ^, \d \w
 * \s and their capitals, | ( ) (?: ) * + ? and the lazy forms of these, ^ and $ at the ends;
 * backslash takes a sign as it is. Counts {n,m}, back-references and assertions are refused. Time
 * is at most the length of the pattern times the length of the text. False for a pattern that
 * regex_check() refuses.
 */
bool regex_match(struct str pattern, struct str text);
/* NULL when the pattern is good, else what is wrong with it, in words. */
const char *regex_check(struct str pattern);

#endif
