/* Tokens: ours pass, everything that is nearly ours does not. */
#include "base/jwt.h"

#include "base/codec.h"
#include "check.h"

static struct jwt_key key(struct str kid, char fill)
{
    struct jwt_key k = {.kid = kid};
    memset(k.bytes, fill, sizeof k.bytes);
    return k;
}

static void round_trip(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct jwt_key keys[] = {key(S("new"), 1), key(S("old"), 2)};
    struct str claims = S("{\"sub\":\"a\"}"), out;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct str token = jwt_sign(&c.mem, &keys[i], claims);
        assert_int_equal(jwt_verify(&c, keys, COUNT(keys), token, &out), E_OK);
        check_str(out, claims.p);
        struct jwt_key other = key(keys[i].kid, 3);
        assert_int_equal(jwt_verify(&c, &other, 1, token, &out), E_UNAUTHORIZED);
        other = key(S("else"), 1);
        assert_int_equal(jwt_verify(&c, &other, 1, token, &out), E_UNAUTHORIZED);
        assert_int_equal(jwt_verify(&c, NULL, 0, token, &out), E_UNAUTHORIZED);
    }
}

static void tampered(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct jwt_key k = key(S("k"), 1);
    struct str token = jwt_sign(&c.mem, &k, S("{\"sub\":\"alice\"}")), out;
    for (size_t i = 0; i < token.n; i++) {
        char *p = arena_alloc(&c.mem, token.n);
        memcpy(p, token.p, token.n);
        p[i] = p[i] == 'A' ? 'B' : 'A';
        check(jwt_verify(&c, &k, 1, (struct str){p, token.n}, &out) == E_UNAUTHORIZED,
              "byte %zu may be changed", i);
        check(jwt_verify(&c, &k, 1, str_sub(token, 0, i), &out) == E_UNAUTHORIZED, "cut at %zu", i);
    }
    static const char *const bad[] = {"", ".", "..", "a.b.c", "a", "...."};
    for (size_t i = 0; i < COUNT(bad); i++)
        check(jwt_verify(&c, &k, 1, str_of(bad[i]), &out) == E_UNAUTHORIZED, "'%s'", bad[i]);
    struct str more = str_fmt(&c.mem, "%.*s.", STR(token));
    assert_int_equal(jwt_verify(&c, &k, 1, more, &out), E_UNAUTHORIZED);
    more = str_fmt(&c.mem, "%.*s=", STR(token));
    assert_int_equal(jwt_verify(&c, &k, 1, more, &out), E_UNAUTHORIZED);
    more = str_fmt(&c.mem, "%.*s", STR(repeated(&c.mem, "a.", 9000)));
    assert_int_equal(jwt_verify(&c, &k, 1, more, &out), E_UNAUTHORIZED);
}

static void no_algorithm(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct jwt_key k = key(S("k"), 1);
    static const char *const heads[] = {"{\"alg\":\"none\",\"kid\":\"k\",\"typ\":\"JWT\"}",
                                        "{\"alg\":\"HS384\",\"kid\":\"k\",\"typ\":\"JWT\"}",
                                        "{\"kid\":\"k\",\"alg\":\"HS256\",\"typ\":\"JWT\"}"};
    struct str out, body = base64url_encode(&c.mem, S("{}"));
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct str head = base64url_encode(&c.mem, str_of(heads[i]));
        struct str token = str_fmt(&c.mem, "%.*s.%.*s.", STR(head), STR(body));
        assert_int_equal(jwt_verify(&c, &k, 1, token, &out), E_UNAUTHORIZED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(tampered),
        cmocka_unit_test(no_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
