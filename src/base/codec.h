/* Text forms of bytes: hex, base64 (RFC 4648, sections 4 and 5) and percent (RFC 3986). */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/str.h"

struct str hex_encode(struct arena *a, const void *p, size_t n); /* lower case */
/* The value of a hex digit of either case, -1 for any other character. */
int hex_digit(char c);
bool hex_decode(struct str s, unsigned char *out, size_t n); /* exactly n bytes, lower case */
struct str base64_encode(struct arena *a, struct str s);     /* padded */
struct str base64url_encode(struct arena *a, struct str s);  /* unpadded */
/* Accept padded or not; false on any other character or on stray bits. */
bool base64_decode(struct arena *a, struct str s, struct str *out);
bool base64url_decode(struct arena *a, struct str s, struct str *out);
/* Decodes %XX once; false on a broken escape or on NUL. plus_is_blank for query values. */
bool percent_decode(struct arena *a, struct str s, bool plus_is_blank, struct str *out);
/* Escapes all but unreserved characters and those in keep. */
struct str percent_encode(struct arena *a, struct str s, const char *keep);
bool utf8_valid(struct str s); /* no overlong forms, no surrogates, up to U+10FFFF */

#endif
