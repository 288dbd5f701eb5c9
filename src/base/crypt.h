/*
 * Cryptography, all of it by OpenSSL and libsodium: randomness, HMAC, sealing of secrets at rest,
 * and the hashes of passwords and generated secrets.
 */
#ifndef BASE_CRYPT_H
#define BASE_CRYPT_H

#include "base/ctx.h"

void random_fill(void *p, size_t n);               /* aborts when the kernel has none */
struct str random_text(struct arena *a, size_t n); /* letters and digits */
struct str random_uuid(struct arena *a);           /* RFC 9562, version 4 */
struct str random_hex(struct arena *a, size_t bytes);
/* 26 characters, sortable by time (now in microseconds), 80 random bits. */
struct str random_ulid(struct arena *a, int64_t now_us);

#define MAC_SIZE 32
void hmac_sha256(struct str key, struct str message, unsigned char out[MAC_SIZE]);
void sha256(struct str message, unsigned char out[MAC_SIZE]);
#define SHORT_KEY_SIZE 16
/* SipHash-2-4: for tables that strangers fill, where nobody may choose a place. */
uint64_t short_mac(const unsigned char key[SHORT_KEY_SIZE], struct str message);

/* Once, before any other use of OpenSSL in the process: what fails in its own beginning is not told
   later but ends in a crash. E_INTERNAL. */
enum err crypt_begin(struct ctx *c);

#define KEY_SIZE 32
struct seal_key {
    unsigned char bytes[KEY_SIZE];
    bool made; /* by this load: nothing may be promised under it before seal_key_settle */
};
/* Reads 32 bytes as 64 hex digits from a file of mode 0600; creates it when create is set and it
   is missing. */
enum err seal_key_load(struct ctx *c, struct str path, bool create, struct seal_key *out);
/* Makes a new key file durable; its directory is the caller's. */
enum err seal_key_settle(struct ctx *c, struct str path);
/* AES-256-GCM with a random nonce; label binds the box to its place ("endpoint:7"). Empty when
   there is no memory: then no transaction of this thread is committed (base/heap.h). */
struct str seal(struct arena *a, const struct seal_key *key, struct str label, struct str plain);
enum err seal_open(struct ctx *c, const struct seal_key *key, struct str label, struct str box,
                   struct str *out);

/* argon2id, 19 MiB, 2 passes; at most one at a time per core. About 18 ms. */
enum err password_hash(struct ctx *c, struct str password, struct str *out);
bool password_verify(struct str hash, struct str password);
/* Does the same work as a failed verification: for users that do not exist. */
void password_verify_nobody(struct str password);
/* Salted SHA-256 for secrets that Cove made itself: "salt$hash" in hex. */
struct str generated_hash(struct arena *a, struct str secret);
bool generated_verify(struct str hash, struct str secret);

#endif
