/* Chunked framing: fed whole and in pieces it says the same, and never asks for bytes not there.
   The first byte is the size of the pieces. */
#include "net/chunk.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum chunk_event feed(struct str bytes, size_t piece, size_t *data_out, size_t *used_out)
{
    struct chunked s = {0};
    size_t at = 0, total = 0;
    enum chunk_event event = CHUNK_MORE;
    while (at < bytes.n && (event == CHUNK_MORE || event == CHUNK_DATA)) {
        struct str part = str_sub(bytes, at, piece);
        size_t used;
        event = chunk_next(&s, part, &used);
        assert(used <= part.n && s.left >= 0);
        at += used;
        if (event == CHUNK_DATA) {
            size_t n = size_min(part.n - used, (size_t)s.left);
            assert(n > 0);
            chunk_took(&s, n);
            at += n;
            total += n;
        }
    }
    *data_out = total;
    *used_out = at;
    return event == CHUNK_DATA ? CHUNK_MORE : event;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str bytes = {(const char *)data + 1, size - 1};
    size_t data1, data2, used1, used2;
    enum chunk_event whole = feed(bytes, bytes.n, &data1, &used1);
    enum chunk_event pieces = feed(bytes, (size_t)data[0] + 1, &data2, &used2);
    assert(whole == pieces && data1 == data2 && used1 == used2);
    return 0;
}
