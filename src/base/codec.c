/* Encoders and strict decoders. Every decoder says no rather than guess. */
#include "base/codec.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

struct str hex_encode(struct arena *a, const void *p, size_t n)
{
    const unsigned char *in = p;
    char *out = arena_alloc(a, 2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex_digits[in[i] >> 4];
        out[2 * i + 1] = hex_digits[in[i] & 15];
    }
    return (struct str){out, 2 * n};
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Digests and keys have one spelling: lower case. */
static int lower_digit(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : hex_digit(c);
}

bool hex_decode(struct str s, unsigned char *out, size_t n)
{
    if (s.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = lower_digit(s.p[2 * i]), lo = lower_digit(s.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (unsigned char)(hi << 4 | lo);
    }
    return true;
}

static const char b64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static struct str b64_encode(struct arena *a, struct str s, const char *digits, bool pad)
{
    char *out = arena_alloc(a, (s.n + 2) / 3 * 4 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (left > 2)
            v |= (unsigned char)s.p[i + 2];
        out[n++] = digits[v >> 18];
        out[n++] = digits[v >> 12 & 63];
        if (left > 1 || pad)
            out[n++] = left > 1 ? digits[v >> 6 & 63] : '=';
        if (left > 2 || pad)
            out[n++] = left > 2 ? digits[v & 63] : '=';
    }
    return (struct str){out, n};
}

struct str base64_encode(struct arena *a, struct str s)
{
    return b64_encode(a, s, b64_std, true);
}

struct str base64url_encode(struct arena *a, struct str s)
{
    return b64_encode(a, s, b64_url, false);
}

/* The last two digits differ between the alphabets; -1 for a character that is none. */
static int b64_value(char c, const char *digits)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == digits[62] ? 62 : c == digits[63] ? 63 : -1;
}

static bool b64_decode(struct arena *a, struct str s, const char *digits, struct str *out)
{
    if (s.n && s.n % 4 == 0 && s.p[s.n - 1] == '=')
        s.n -= s.p[s.n - 2] == '=' ? 2 : 1;
    if (s.n % 4 == 1)
        return false;
    char *p = arena_try(a, s.n / 4 * 3 + 4);
    if (!p)
        return false;
    size_t n = 0;
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        int digit = b64_value(s.p[i], digits);
        if (digit < 0)
            return false;
        v = v << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            p[n++] = (char)(v >> bits & 255);
        }
    }
    if (bits && (v & ((1U << bits) - 1)))
        return false;
    *out = (struct str){p, n};
    return true;
}

bool base64_decode(struct arena *a, struct str s, struct str *out)
{
    return b64_decode(a, s, b64_std, out);
}

bool base64url_decode(struct arena *a, struct str s, struct str *out)
{
    return b64_decode(a, s, b64_url, out);
}

bool percent_decode(struct arena *a, struct str s, bool plus_is_blank, struct str *out)
{
    char *p = arena_try(a, s.n + 1);
    if (!p)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (!c)
            return false;
        p[n++] = c;
    }
    *out = (struct str){p, n};
    return true;
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

struct str percent_encode(struct arena *a, struct str s, const char *keep)
{
    char *p = arena_alloc(a, 3 * s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (unreserved(c) || (c && strchr(keep, c))) {
            p[n++] = c;
        } else {
            p[n++] = '%';
            p[n++] = "0123456789ABCDEF"[(unsigned char)c >> 4];
            p[n++] = "0123456789ABCDEF"[(unsigned char)c & 15];
        }
    }
    return (struct str){p, n};
}

static size_t utf8_step(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < len)
        return 0;
    uint32_t v = p[0] & (0xFFU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3FU);
    }
    if (v < least[len] || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
        return 0;
    return len;
}

/* How many bytes of whole words of ASCII come first. */
static size_t ascii_words(const char *p, size_t n)
{
    size_t i = 0;
    for (uint64_t word; n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool utf8_valid(struct str s)
{
    for (size_t i = ascii_words(s.p, s.n); i < s.n; i += ascii_words(s.p + i, s.n - i)) {
        size_t step = utf8_step((const unsigned char *)s.p + i, s.n - i);
        if (!step)
            return false;
        i += step;
    }
    return true;
}
