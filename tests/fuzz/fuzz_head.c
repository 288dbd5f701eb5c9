/* Request heads: found and parsed; views stay inside the input and framing is never ambiguous. */
#include "net/head.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct str outer, struct str s)
{
    assert(s.n == 0 || (s.p >= outer.p && s.p + s.n <= outer.p + outer.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct head_error error = {0};
    struct head h;
    size_t scanned = 0, len;
    if (head_find(bytes, &scanned, &len, &error) != HEAD_WHOLE)
        return 0;
    assert(len <= size && len <= HEAD_MAX);
    bytes.n = len;
    if (!head_parse(bytes, &h, &error)) {
        assert(error.status >= 400 && error.why);
        return 0;
    }
    assert(h.content_length >= -1 && h.header_count <= HEADERS_MAX);
    inside(bytes, h.target);
    inside(bytes, h.host);
    size_t lengths = 0, codings = 0;
    for (size_t i = 0; i < h.header_count; i++) {
        inside(bytes, h.headers[i].name);
        inside(bytes, h.headers[i].value);
        lengths += str_eq_nocase(h.headers[i].name, S("content-length"));
        codings += str_eq_nocase(h.headers[i].name, S("transfer-encoding"));
    }
    assert(lengths + codings <= 1);
    return 0;
}
