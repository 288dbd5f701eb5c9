/* Digest text and running hashes over OpenSSL's EVP. */
#include "base/digest.h"

#include "base/crypt.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    enum digest_alg alg;
    const char *prefix;
    size_t hex;
} algs[] = {
    {DIGEST_SHA256, "sha256:", 64},
    {DIGEST_SHA512, "sha512:", 128},
};

static bool lower_hex(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

static bool parse(struct str text, struct digest *out)
{
    for (size_t i = 0; i < COUNT(algs); i++) {
        struct str prefix = str_of(algs[i].prefix);
        if (!str_starts(text, prefix))
            continue;
        if (text.n != prefix.n + algs[i].hex || !lower_hex(str_sub(text, prefix.n, text.n)))
            return false;
        *out = (struct digest){.alg = algs[i].alg};
        memcpy(out->text, text.p, text.n);
        return true;
    }
    return false;
}

enum err digest_parse(struct ctx *c, struct str text, struct digest *out)
{
    if (!parse(text, out))
        return fail(c, E_DIGEST_INVALID,
                    "digest must be sha256: with 64 or sha512: with 128 lower-case hex digits");
    return E_OK;
}

bool digest_valid(struct str text)
{
    struct digest d;
    return parse(text, &d);
}

struct str digest_str(const struct digest *d)
{
    return str_of(d->text);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return str_eq(digest_str(a), digest_str(b));
}

struct hasher {
    enum digest_alg alg;
    EVP_MD_CTX *md;
};

struct hasher *hasher_new(enum digest_alg alg)
{
    struct hasher *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->alg = alg;
    h->md = EVP_MD_CTX_new();
    if (!h->md ||
        EVP_DigestInit_ex(h->md, alg == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256(), NULL) != 1) {
        hasher_free(h);
        return NULL;
    }
    return h;
}

void hasher_free(struct hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->md);
    free(h);
}

bool hasher_add(struct hasher *h, const void *p, size_t n)
{
    return EVP_DigestUpdate(h->md, p, n) == 1;
}

static void put_text(struct digest *out, enum digest_alg alg, const unsigned char *raw, size_t n)
{
    *out = (struct digest){.alg = alg};
    char *at = out->text;
    memcpy(at, alg == DIGEST_SHA512 ? "sha512:" : "sha256:", 7);
    at += 7;
    for (size_t i = 0; i < n; i++) {
        *at++ = "0123456789abcdef"[raw[i] >> 4];
        *at++ = "0123456789abcdef"[raw[i] & 15];
    }
    *at = 0;
}

bool hasher_end(struct hasher *h, struct digest *out)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->md, raw, &n) != 1)
        return false;
    put_text(out, h->alg, raw, n);
    return true;
}

static void hasher_done(struct hasher **h)
{
    hasher_free(*h);
}

bool digest_of(enum digest_alg alg, struct str bytes, struct digest *out)
{
    if (alg == DIGEST_SHA256) { /* every manifest that is served */
        unsigned char raw[MAC_SIZE];
        sha256(bytes, raw);
        put_text(out, alg, raw, sizeof raw);
        return true;
    }
    CLEANUP(hasher_done) struct hasher *h = hasher_new(alg);
    return h && hasher_add(h, bytes.p, bytes.n) && hasher_end(h, out);
}
