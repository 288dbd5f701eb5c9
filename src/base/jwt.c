/*
 * The header is compared as text, not parsed: we only accept what we would have written, so there
 * is no algorithm to confuse.
 */
#include "base/jwt.h"

#include "base/codec.h"
#include "base/crypt.h"
#include "base/secret.h"

#define TOKEN_MAX 16384

static struct str header_for(struct arena *a, const struct jwt_key *key)
{
    struct str json =
        str_fmt(a, "{\"alg\":\"HS256\",\"kid\":\"%.*s\",\"typ\":\"JWT\"}", STR(key->kid));
    return base64url_encode(a, json);
}

static struct str signature(struct arena *a, const struct jwt_key *key, struct str signed_part)
{
    unsigned char mac[MAC_SIZE];
    hmac_sha256((struct str){(const char *)key->bytes, sizeof key->bytes}, signed_part, mac);
    return base64url_encode(a, (struct str){(const char *)mac, sizeof mac});
}

struct str jwt_sign(struct arena *a, const struct jwt_key *key, struct str claims)
{
    struct str head = header_for(a, key), body = base64url_encode(a, claims);
    struct str part = str_fmt(a, "%.*s.%.*s", STR(head), STR(body));
    struct str sig = signature(a, key, part);
    return str_fmt(a, "%.*s.%.*s", STR(part), STR(sig));
}

enum err jwt_verify(struct ctx *c, const struct jwt_key *keys, size_t count, struct str token,
                    struct str *claims_out)
{
    int64_t last = str_rfind(token, '.');
    if (token.n > TOKEN_MAX || last < 0)
        return fail(c, E_UNAUTHORIZED, "malformed token");
    struct str part = str_sub(token, 0, (size_t)last);
    struct str sig = str_sub(token, (size_t)last + 1, token.n);
    struct str body = part, head = str_cut(&body, '.');
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(head, header_for(&c->mem, &keys[i])))
            continue;
        if (!secret_eq(sig, signature(&c->mem, &keys[i], part)) ||
            !base64url_decode(&c->mem, body, claims_out))
            break;
        return E_OK;
    }
    return fail(c, E_UNAUTHORIZED, "the token's signature is not ours");
}
