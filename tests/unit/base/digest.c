/* Digests: one way to write each, and hashes that agree with published values. */
#include "base/digest.h"

#include "check.h"

#define EMPTY256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define EMPTY512                                                                                   \
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877e" \
    "ec2f63b931bd47417a81a538327af927da3e"

static const struct {
    const char *text;
    bool good;
} rows[] = {
    {"sha256:" EMPTY256, true},
    {"sha512:" EMPTY512, true},
    {"sha512:" EMPTY256, false},
    {"sha256:" EMPTY512, false},
    {"SHA256:" EMPTY256, false},
    {"sha256:E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false},
    {"sha256:3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false},
    {"sha256:" EMPTY256 "0", false},
    {"sha256:" EMPTY256 "\n", false},
    {"sha256:", false},
    {"sha256", false},
    {EMPTY256, false},
    {"md5:d41d8cd98f00b204e9800998ecf8427e", false},
    {"sha384:" EMPTY256, false},
    {"sha256+b64u:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", false},
    {"sha256:../../../../etc/passwd", false},
    {" sha256:" EMPTY256, false},
    {"", false},
};

static void texts(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    struct digest d;
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(digest_valid(str_of(rows[i].text)) == rows[i].good, "'%s'", rows[i].text);
        enum err e = digest_parse(&c, str_of(rows[i].text), &d);
        check(e == (rows[i].good ? E_OK : E_DIGEST_INVALID), "'%s'", rows[i].text);
        if (rows[i].good)
            check_str(digest_str(&d), rows[i].text);
    }
    assert_false(digest_valid(repeated(&c.mem, "sha256:0", 1 << 20)));
}

static void hashes(void **state)
{
    (void)state;
    struct digest a, b;
    assert_true(digest_of(DIGEST_SHA256, NO_STR, &a));
    check_str(digest_str(&a), "sha256:" EMPTY256);
    assert_true(digest_of(DIGEST_SHA512, NO_STR, &b));
    check_str(digest_str(&b), "sha512:" EMPTY512);
    assert_false(digest_eq(&a, &b));
    struct hasher *h = hasher_new(DIGEST_SHA256);
    assert_true(hasher_add(h, "ab", 2) && hasher_add(h, "", 0) && hasher_add(h, "c", 1));
    assert_true(hasher_end(h, &a));
    hasher_free(h);
    hasher_free(NULL);
    check_str(digest_str(&a),
              "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_of(DIGEST_SHA256, S("abc"), &b));
    assert_true(digest_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
