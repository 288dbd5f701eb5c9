/*
 * Request heads. Two servers that read one head differently are how requests are smuggled, so this
 * parser has one reading and refuses the rest: lines end in CRLF, names are tokens directly before
 * their colon, no folding, one length at most and of digits alone, "chunked" and nothing else as
 * transfer coding. It never writes to the bytes and never looks past them.
 */
#include "net/head.h"

#include "base/codec.h"

#include <string.h>

static const bool token[256] = {
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

/* What a header value may hold. */
static const bool visible[256] = {['\t'] = true, [' ' ... '~'] = true, [0x80 ... 0xff] = true};

static bool is_token(char c)
{
    return token[(unsigned char)c];
}

static bool bad(struct head_error *error, int status, const char *why)
{
    *error = (struct head_error){status, why};
    return false;
}

enum head_state head_find(struct str bytes, size_t *scanned, size_t *len_out,
                          struct head_error *error)
{
    size_t n = size_min(bytes.n, HEAD_MAX);
    while (*scanned < n) {
        const char *from = bytes.p + *scanned;
        const char *lf = memchr(from, '\n', n - *scanned);
        size_t stop = lf ? (size_t)(lf - bytes.p) : n;
        if (memchr(from, 0, stop - *scanned)) {
            bad(error, 400, "NUL in the request head");
            return HEAD_BAD;
        }
        *scanned = stop;
        if (!lf)
            break;
        if (stop == 0 || bytes.p[stop - 1] != '\r') {
            bad(error, 400, "a line of the request head does not end in CRLF");
            return HEAD_BAD;
        }
        *scanned = stop + 1;
        if (stop >= 3 && bytes.p[stop - 2] == '\n') {
            *len_out = stop + 1;
            return HEAD_WHOLE;
        }
    }
    if (bytes.n < HEAD_MAX)
        return HEAD_PARTIAL;
    bad(error, 431, "the request head is larger than 32 KiB");
    return HEAD_BAD;
}

static const struct {
    struct str name;
    enum http_method method;
} methods[] = {
    {{"GET", 3}, HTTP_GET},         {{"HEAD", 4}, HTTP_HEAD},   {{"POST", 4}, HTTP_POST},
    {{"PUT", 3}, HTTP_PUT},         {{"PATCH", 5}, HTTP_PATCH}, {{"DELETE", 6}, HTTP_DELETE},
    {{"OPTIONS", 7}, HTTP_OPTIONS},
};

static enum http_method method_of(struct str s)
{
    for (size_t i = 0; i < COUNT(methods); i++)
        if (str_eq(s, methods[i].name))
            return methods[i].method;
    return HTTP_OTHER;
}

/* "HTTP/1.1" and nothing around it. */
static bool parse_version(struct str s, struct head *h, struct head_error *error)
{
    if (s.n != 8 || memcmp(s.p, "HTTP/", 5) != 0 || s.p[5] < '0' || s.p[5] > '9' || s.p[6] != '.' ||
        s.p[7] < '0' || s.p[7] > '9')
        return bad(error, 400, "malformed request line");
    if (s.p[5] != '1' || s.p[7] > '1')
        return bad(error, 505, "only versions 1.0 and 1.1 of HTTP are spoken here");
    h->minor = s.p[7] - '0';
    h->keep_alive = h->minor == 1;
    return true;
}

static bool parse_request_line(struct str line, struct head *h, struct head_error *error)
{
    size_t i = 0;
    while (i < line.n && is_token(line.p[i]))
        i++;
    if (i == 0 || i == line.n || line.p[i] != ' ' || i > 32)
        return bad(error, 400, "malformed request line");
    h->method_text = str_sub(line, 0, i);
    h->method = method_of(h->method_text);
    size_t from = ++i;
    while (i < line.n && line.p[i] > ' ' && line.p[i] < 127)
        i++;
    if (i == from || i == line.n || line.p[i] != ' ')
        return bad(error, 400, "malformed request target");
    h->target = str_sub(line, from, i - from);
    if (h->target.n > TARGET_MAX)
        return bad(error, 414, "the request target is larger than 8 KiB");
    return parse_version(str_sub(line, i + 1, line.n), h, error);
}

static bool parse_length(struct str value, bool seen, struct head *h, struct head_error *error)
{
    if (seen)
        return bad(error, 400, "more than one Content-Length");
    if (value.n == 0 || value.n > 18 || !str_to_i64(value, &h->content_length) || value.p[0] == '-')
        return bad(error, 400, "Content-Length is not a number");
    return true;
}

/* Connection is a list; what we do not know in it is ignored. */
static void parse_connection(struct str value, struct head *h)
{
    while (value.n) {
        struct str item = str_trim(str_cut(&value, ','));
        if (str_eq_nocase(item, S("close")))
            h->keep_alive = false;
        else if (str_eq_nocase(item, S("keep-alive")) && h->minor == 0)
            h->keep_alive = true;
    }
}

bool host_valid(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-' || c == '.' || c == '_' || c == ':' || c == '[' || c == ']' ||
                    c == '~';
        if (!fine)
            return false;
    }
    return host.n > 0 && host.n <= 260;
}

struct seen {
    bool length, coding, host, close;
};

/* The headers on which framing and routing depend. raw still has blanks at its end. */
static bool take_header(struct str name, struct str value, struct str raw, struct seen *seen,
                        struct head *h, struct head_error *error)
{
    if (str_eq_nocase(name, S("content-length"))) {
        if (!parse_length(raw, seen->length, h, error))
            return false;
        seen->length = true;
    } else if (str_eq_nocase(name, S("transfer-encoding"))) {
        if (seen->coding || !str_eq_nocase(value, S("chunked")))
            return bad(error, 400, "the only transfer coding taken is chunked, once");
        if (h->minor == 0)
            return bad(error, 400, "Transfer-Encoding does not exist in HTTP/1.0");
        seen->coding = true;
    } else if (str_eq_nocase(name, S("host"))) {
        if (seen->host || !host_valid(value))
            return bad(error, 400, "there must be one Host header with a host in it");
        seen->host = true;
        h->host = value;
    } else if (str_eq_nocase(name, S("connection"))) {
        parse_connection(value, h);
        seen->close = seen->close || !h->keep_alive;
    } else if (str_eq_nocase(name, S("expect")) && h->minor == 1) {
        if (!str_eq_nocase(value, S("100-continue")))
            return bad(error, 417, "the only expectation met is 100-continue");
        h->expect_continue = true;
    }
    return true;
}

/* How many characters at the beginning are looked at eight at a time and are none of 0 to 31 and
   127: of a token nearly all. A byte's high bit tells, after a subtraction, that it was less. */
static size_t no_control(struct str s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
    size_t i = 0;
    for (uint64_t w; s.n - i >= sizeof w; i += sizeof w) {
        memcpy(&w, s.p + i, sizeof w);
        uint64_t del = w ^ ones * 0x7f;
        if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & high)
            break;
    }
    return i;
}

static bool parse_header(struct str line, struct seen *seen, struct head *h,
                         struct head_error *error)
{
    size_t i = 0;
    while (i < line.n && is_token(line.p[i]))
        i++;
    if (i == 0 || i == line.n || line.p[i] != ':')
        return bad(error, 400, "malformed header name");
    struct str name = str_sub(line, 0, i), raw = str_sub(line, i + 1, line.n);
    for (size_t k = no_control(raw); k < raw.n; k++)
        if (!visible[(unsigned char)raw.p[k]])
            return bad(error, 400, "control character in a header value");
    while (raw.n && (*raw.p == ' ' || *raw.p == '\t'))
        raw = str_sub(raw, 1, raw.n);
    struct str value = str_trim(raw);
    if (h->header_count == HEADERS_MAX)
        return bad(error, 431, "more than 64 headers");
    h->headers[h->header_count++] = (struct header){name, value};
    return take_header(name, value, raw, seen, h, error);
}

/* The next line without its CRLF. head_find has seen to it that every LF follows a CR. */
static struct str next_line(struct str *rest)
{
    struct str line = str_cut(rest, '\n');
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

bool head_parse(struct str bytes, struct head *h, struct head_error *error)
{
    struct str rest = bytes;
    struct seen seen = {0};
    h->header_count = 0;
    h->content_length = 0;
    h->host = NO_STR;
    h->expect_continue = false;
    if (!parse_request_line(next_line(&rest), h, error))
        return false;
    while (rest.n) {
        struct str line = next_line(&rest);
        if (line.n == 0 && rest.n == 0)
            break;
        if (!parse_header(line, &seen, h, error))
            return false;
    }
    if (seen.close)
        h->keep_alive = false;
    if (seen.coding && seen.length)
        return bad(error, 400, "Content-Length beside Transfer-Encoding");
    if (seen.coding)
        h->content_length = -1;
    if (h->content_length == 0)
        h->expect_continue = false;
    if (h->minor == 1 && !seen.host)
        return bad(error, 400, "there must be one Host header with a host in it");
    return true;
}

static bool decode_path(struct str raw, char *scratch, struct str *out)
{
    if (!memchr(raw.p, '%', raw.n)) {
        *out = raw;
        return true;
    }
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            if (raw.n - i < 3)
                return false;
            int hi = hex_digit(raw.p[i + 1]), lo = hex_digit(raw.p[i + 2]);
            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        scratch[n++] = c;
    }
    *out = (struct str){scratch, n};
    return true;
}

static bool path_valid(struct str path, struct head_error *error)
{
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < 32 || path.p[i] == 127 || path.p[i] == '\\')
            return bad(error, 400, "control character or backslash in the path");
    if (!utf8_valid(path))
        return bad(error, 400, "the path is not UTF-8");
    struct str rest = path;
    while (rest.n) {
        struct str segment = str_cut(&rest, '/');
        if (str_eq(segment, S(".")) || str_eq(segment, S("..")))
            return bad(error, 400, "dot segment in the path");
    }
    return true;
}

/* Cuts "http://host" off the absolute form; the rest is at least "/". */
static bool cut_authority(struct str *rest, struct target *t, struct head_error *error)
{
    size_t scheme = str_starts(*rest, S("http://")) ? 7 : str_starts(*rest, S("https://")) ? 8 : 0;
    if (!scheme)
        return bad(error, 400, "malformed request target");
    struct str after = str_sub(*rest, scheme, rest->n);
    size_t n = 0;
    while (n < after.n && after.p[n] != '/' && after.p[n] != '?')
        n++;
    t->host = str_sub(after, 0, n);
    if (!host_valid(t->host))
        return bad(error, 400, "malformed host in the request target");
    *rest = str_sub(after, n, after.n);
    return true;
}

bool target_parse(struct str target, char *scratch, struct target *out, struct head_error *error)
{
    struct target t = {0};
    struct str rest = target;
    if (str_eq(target, S("*"))) {
        *out = (struct target){.path = target};
        return true;
    }
    if (rest.n == 0 || rest.p[0] != '/')
        if (!cut_authority(&rest, &t, error))
            return false;
    if (str_find(rest, '#') >= 0)
        return bad(error, 400, "fragment in the request target");
    struct str raw = str_cut(&rest, '?');
    t.query = rest;
    if (raw.n == 0)
        raw = S("/");
    if (!decode_path(raw, scratch, &t.path))
        return bad(error, 400, "broken escape in the path");
    if (!path_valid(t.path, error))
        return false;
    *out = t;
    return true;
}
