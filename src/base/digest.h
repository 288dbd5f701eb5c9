/*
 * Digests as the OCI image spec writes them ("Digests": algorithm ":" encoded). sha256 and
 * sha512, lower-case hex of the exact length; everything else is refused.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/ctx.h"

enum digest_alg { DIGEST_SHA256 = 1, DIGEST_SHA512 };

#define DIGEST_TEXT_MAX 136 /* "sha512:" and 128 hex digits, with a NUL */

struct digest {
    enum digest_alg alg;
    char text[DIGEST_TEXT_MAX]; /* canonical text, terminated */
};

/* E_DIGEST_INVALID with the reason. */
enum err digest_parse(struct ctx *c, struct str text, struct digest *out);
bool digest_valid(struct str text);
struct str digest_str(const struct digest *d); /* view, as long as d lives */
bool digest_eq(const struct digest *a, const struct digest *b);
bool digest_of(enum digest_alg alg, struct str bytes, struct digest *out);

/* A running hash. One algorithm at a time; hasher_free(NULL) is fine. */
struct hasher;
struct hasher *hasher_new(enum digest_alg alg); /* NULL when out of memory */
void hasher_free(struct hasher *h);
bool hasher_add(struct hasher *h, const void *p, size_t n);
/* Ends the hash; h may only be freed afterwards. */
bool hasher_end(struct hasher *h, struct digest *out);

#endif
