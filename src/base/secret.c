/* Secrets own their bytes so that every copy can be found and wiped. */
#include "base/secret.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

bool secret_set(struct secret *s, struct str text)
{
    secret_release(s);
    s->p = malloc(text.n + 1);
    if (!s->p)
        return false;
    if (text.n)
        memcpy(s->p, text.p, text.n);
    s->p[text.n] = 0;
    s->n = text.n;
    return true;
}

void secret_release(struct secret *s)
{
    if (s->p)
        OPENSSL_cleanse(s->p, s->n);
    free(s->p);
    *s = (struct secret){0};
}

bool secret_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

struct str secret_view(const struct secret *s)
{
    return (struct str){s->p, s->n};
}
