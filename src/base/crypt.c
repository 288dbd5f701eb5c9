/* Thin covers over OpenSSL and libsodium, with the house's choices fixed in one place. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init: see hmac_pass */
#include "base/crypt.h"

#include "base/codec.h"
#include "base/fd.h"
#include "base/heap.h"
#include "base/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE_SIZE 12
#define TAG_SIZE 16
#define ARGON_MEM ((size_t)19 << 20)
#define ARGON_OPS 2

/* libsodium wants a pointer even where there is nothing to read. */
static const char *readable(struct str s)
{
    return s.p ? s.p : "";
}

enum err crypt_begin(struct ctx *c)
{
    EVP_MD *md = OSSL_LIB_CTX_get0_global_default() ? EVP_MD_fetch(NULL, "SHA256", NULL) : NULL;
    if (!md)
        return fail(c, E_INTERNAL,
                    "OpenSSL cannot begin: no memory, or its installation is broken");
    EVP_MD_free(md);
    return E_OK;
}

static void from_kernel(void *p, size_t n)
{
    char *at = p;
    while (n) {
        ssize_t k = getrandom(at, n, 0);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            abort();
        at += k;
        n -= (size_t)k;
    }
}

/* A request's id is 16 bytes: a thread fetches them by the poolful. What was given away is wiped,
   and secrets (keys, nonces, passwords) are not taken from here. */
static void from_pool(void *p, size_t n)
{
    static _Thread_local unsigned char pool[512];
    static _Thread_local size_t left;
    if (left < n) {
        from_kernel(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= n;
    memcpy(p, pool + left, n);
    memset(pool + left, 0, n);
}

void random_fill(void *p, size_t n)
{
    from_kernel(p, n);
}

struct str random_text(struct arena *a, size_t n)
{
    static const char set[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n;) {
        unsigned char byte;
        random_fill(&byte, 1);
        if (byte < 256 / (sizeof set - 1) * (sizeof set - 1))
            p[i++] = set[byte % (sizeof set - 1)];
    }
    return (struct str){p, n};
}

struct str random_hex(struct arena *a, size_t bytes)
{
    unsigned char *raw = arena_alloc(a, bytes);
    random_fill(raw, bytes);
    return hex_encode(a, raw, bytes);
}

struct str random_uuid(struct arena *a)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[16];
    char *p = arena_raw(a, 37), *at = p;
    from_pool(raw, sizeof raw);
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof raw; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[raw[i] >> 4];
        *at++ = digits[raw[i] & 15];
    }
    *at = 0;
    return (struct str){p, 36};
}

struct str random_ulid(struct arena *a, int64_t now_us)
{
    static const char set[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char raw[16];
    random_fill(raw, sizeof raw);
    char *p = arena_alloc(a, 27);
    uint64_t ms = (uint64_t)now_us / 1000;
    for (int i = 9; i >= 0; i--, ms >>= 5)
        p[i] = set[ms & 31];
    for (int i = 0; i < 16; i++)
        p[10 + i] = set[raw[i] & 31];
    return (struct str){p, 26};
}

/* RFC 2104 over the plain functions: HMAC() of OpenSSL 3 looks its algorithm up on every call,
   1.15 us for 40 bytes where this takes 0.15 (both with the CPU's SHA instructions). */
static void hmac_pass(const unsigned char block[SHA256_CBLOCK], unsigned char pad,
                      struct str message, unsigned char out[MAC_SIZE])
{
    unsigned char padded[SHA256_CBLOCK];
    SHA256_CTX h;
    for (size_t i = 0; i < sizeof padded; i++)
        padded[i] = block[i] ^ pad;
    SHA256_Init(&h);
    SHA256_Update(&h, padded, sizeof padded);
    SHA256_Update(&h, message.p, message.n);
    SHA256_Final(out, &h);
    OPENSSL_cleanse(padded, sizeof padded);
}

void hmac_sha256(struct str key, struct str message, unsigned char out[MAC_SIZE])
{
    unsigned char block[SHA256_CBLOCK] = {0}, inner[MAC_SIZE];
    if (key.n > sizeof block)
        sha256(key, block);
    else if (key.n)
        memcpy(block, key.p, key.n);
    hmac_pass(block, 0x36, message, inner);
    hmac_pass(block, 0x5c, (struct str){(const char *)inner, sizeof inner}, out);
    OPENSSL_cleanse(block, sizeof block);
}

void sha256(struct str message, unsigned char out[MAC_SIZE])
{
    SHA256_CTX h;
    SHA256_Init(&h);
    SHA256_Update(&h, message.p, message.n);
    SHA256_Final(out, &h);
}

uint64_t short_mac(const unsigned char key[SHORT_KEY_SIZE], struct str message)
{
    uint64_t mac;
    _Static_assert(sizeof mac == crypto_shorthash_BYTES, "one number");
    _Static_assert(SHORT_KEY_SIZE == crypto_shorthash_KEYBYTES, "as libsodium wants it");
    crypto_shorthash((unsigned char *)&mac, (const unsigned char *)readable(message), message.n,
                     key);
    return mac;
}

/* Under another name until it is whole: a crash leaves no half of a key behind. */
static enum err key_create(struct ctx *c, struct str path)
{
    struct str hex = random_hex(&c->mem, KEY_SIZE);
    struct str fresh = str_fmt(&c->mem, "%.*s.new", STR(path));
    CLEANUP(fd_done) int fd = open(fresh.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot create the key file %.*s", STR(path));
    if (!fd_write_all(fd, hex.p, hex.n) || rename(fresh.p, str_c(&c->mem, path)) != 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot write the key file %.*s", STR(path));
    return E_OK;
}

enum err seal_key_settle(struct ctx *c, struct str path)
{
    CLEANUP(fd_done) int fd = open(str_c(&c->mem, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot sync the key file %.*s", STR(path));
    return E_OK;
}

enum err seal_key_load(struct ctx *c, struct str path, bool create, struct seal_key *out)
{
    const char *name = str_c(&c->mem, path);
    struct stat st;
    /* an empty one is what a power cut leaves of a file that was never settled */
    bool missing = create && (stat(name, &st) != 0 ? errno == ENOENT : st.st_size == 0);
    if (missing)
        TRY(key_create(c, path));
    struct str text;
    TRY(fd_read_file(c, path, 4096, &text));
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (stat(name, &st) != 0 || (st.st_mode & 077) != 0)
        return fail(c, E_INTERNAL, "key file %.*s must not be open to others (chmod 600)",
                    STR(path));
    if (!hex_decode(text, out->bytes, KEY_SIZE))
        return fail(c, E_INTERNAL, "key file %.*s must hold 64 hex digits", STR(path));
    out->made = missing;
    return E_OK;
}

static void cipher_done(EVP_CIPHER_CTX **e)
{
    EVP_CIPHER_CTX_free(*e);
}

struct str seal(struct arena *a, const struct seal_key *key, struct str label, struct str plain)
{
    CLEANUP(cipher_done) EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    unsigned char *box = arena_alloc(a, NONCE_SIZE + plain.n + TAG_SIZE);
    unsigned char *body = box + NONCE_SIZE;
    int n;
    random_fill(box, NONCE_SIZE);
    if (!e || EVP_EncryptInit_ex(e, EVP_aes_256_gcm(), NULL, key->bytes, box) != 1 ||
        EVP_EncryptUpdate(e, NULL, &n, (const unsigned char *)label.p, (int)label.n) != 1 ||
        EVP_EncryptUpdate(e, body, &n, (const unsigned char *)plain.p, (int)plain.n) != 1 ||
        EVP_EncryptFinal_ex(e, body + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, body + plain.n) != 1) {
        heap_refuse(); /* nothing else can fail here; no transaction is committed now */
        return NO_STR;
    }
    return (struct str){(const char *)box, NONCE_SIZE + plain.n + TAG_SIZE};
}

enum err seal_open(struct ctx *c, const struct seal_key *key, struct str label, struct str box,
                   struct str *out)
{
    CLEANUP(cipher_done) EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    const unsigned char *in = (const unsigned char *)box.p;
    int n;
    if (!e || box.n < NONCE_SIZE + TAG_SIZE)
        return fail(c, E_INTERNAL, "a sealed secret is damaged");
    size_t len = box.n - NONCE_SIZE - TAG_SIZE;
    unsigned char *plain = arena_alloc(&c->mem, len + 1);
    unsigned char tag[TAG_SIZE];
    memcpy(tag, in + NONCE_SIZE + len, TAG_SIZE);
    if (EVP_DecryptInit_ex(e, EVP_aes_256_gcm(), NULL, key->bytes, in) != 1 ||
        EVP_DecryptUpdate(e, NULL, &n, (const unsigned char *)label.p, (int)label.n) != 1 ||
        EVP_DecryptUpdate(e, plain, &n, in + NONCE_SIZE, (int)len) != 1 ||
        EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) != 1 ||
        EVP_DecryptFinal_ex(e, plain + n, &n) != 1)
        return fail(c, E_INTERNAL, "a sealed secret does not open: is this the right key file?");
    *out = (struct str){(const char *)plain, len};
    return E_OK;
}

/* One argon2id at a time per core: each takes 19 MiB and 18 ms. */
static sem_t argon_slots;
static pthread_once_t argon_once = PTHREAD_ONCE_INIT;

static void argon_init(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (sodium_init() < 0 || sem_init(&argon_slots, 0, cores > 0 ? (unsigned)cores : 1) != 0)
        abort();
}

static void argon_enter(void)
{
    pthread_once(&argon_once, argon_init);
    while (sem_wait(&argon_slots) != 0 && errno == EINTR)
        continue;
}

enum err password_hash(struct ctx *c, struct str password, struct str *out)
{
    char *text = arena_alloc(&c->mem, crypto_pwhash_STRBYTES);
    argon_enter();
    int rc = crypto_pwhash_str_alg(text, readable(password), password.n, ARGON_OPS, ARGON_MEM,
                                   crypto_pwhash_ALG_ARGON2ID13);
    sem_post(&argon_slots);
    if (rc != 0)
        return fail(c, E_UNAVAILABLE, "out of memory while hashing a password");
    *out = str_of(text);
    return E_OK;
}

bool password_verify(struct str hash, struct str password)
{
    char text[crypto_pwhash_STRBYTES] = {0};
    if (hash.n == 0 || hash.n >= sizeof text)
        return false;
    memcpy(text, hash.p, hash.n);
    argon_enter();
    int rc = crypto_pwhash_str_verify(text, readable(password), password.n);
    sem_post(&argon_slots);
    return rc == 0;
}

void password_verify_nobody(struct str password)
{
    unsigned char out[32], salt[crypto_pwhash_SALTBYTES] = {7};
    argon_enter();
    if (crypto_pwhash(out, sizeof out, readable(password), password.n, salt, ARGON_OPS, ARGON_MEM,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        sodium_memzero(out, sizeof out);
    sem_post(&argon_slots);
}

static struct str salted(struct arena *a, struct str salt, struct str secret)
{
    unsigned char mac[MAC_SIZE];
    hmac_sha256(salt, secret, mac);
    return hex_encode(a, mac, sizeof mac);
}

struct str generated_hash(struct arena *a, struct str secret)
{
    struct str salt = random_hex(a, 16), hash = salted(a, salt, secret);
    return str_fmt(a, "%.*s$%.*s", STR(salt), STR(hash));
}

bool generated_verify(struct str hash, struct str secret)
{
    struct arena mem = {0};
    struct str salt = str_cut(&hash, '$');
    bool same = hash.n && secret_eq(hash, salted(&mem, salt, secret));
    arena_release(&mem);
    return same;
}
