/*
 * Functions that the house does not use; `make check` (tools/check-banned) reads the list below
 * and looks for calls. A pragma poison would also hit system headers, so it is not one.
 *
 * banned: strcpy strcat strncpy strncat strtok strtok_r sprintf vsprintf
 * banned: atoi atol atoll strtol strtoul strtoll strtoull strtod sscanf
 * banned: gets localtime ctime asctime rand srand random system popen alloca
 */
