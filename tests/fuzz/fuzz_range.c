/* Range, Content-Range and the upload's range: what comes out lies inside. */
#include "net/range.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t total = 0, offset, end;
    if (size < sizeof total)
        return 0;
    memcpy(&total, data, sizeof total);
    total &= INT64_MAX;
    struct str header = {(const char *)data + sizeof total, size - sizeof total};
    struct range_spec spec;
    if (range_spec_parse(header, &spec) == RANGE_PART &&
        range_resolve(spec, total, &offset, &end) == RANGE_PART)
        assert(offset >= 0 && offset < end && end <= total);
    int64_t whole;
    if (content_range_of(header, &offset, &end, &whole))
        assert(offset >= 0 && offset < end && (whole == -1 || end <= whole));
    if (upload_range_parse(header, &offset, &end))
        assert(offset >= 0 && offset < end);
    (void)if_range_matches(header, S("\"a\""));
    (void)etag_listed(header, S("\"a\""));
    return 0;
}
