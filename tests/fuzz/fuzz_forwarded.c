/* X-Forwarded-For and -Proto: lines of the input are headers; the client stays an address. */
#include "net/forwarded.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cidr range = {.bits = 96 + 8};
    range.net.b[10] = range.net.b[11] = 0xff;
    range.net.b[12] = 10;
    struct cidrs believed = {&range, 1};
    struct str rest = {(const char *)data, size}, client;
    struct header headers[8];
    size_t n = 0;
    bool https = false;
    while (rest.n && n < COUNT(headers)) {
        struct str line = str_cut(&rest, '\n');
        headers[n].name = n % 3 == 2 ? S("X-Forwarded-Proto") : S("X-Forwarded-For");
        headers[n++].value = line;
    }
    forwarded_apply(&believed, S("10.0.0.1"), headers, n, &client, &https);
    struct address a;
    assert(address_parse(client, &a));
    forwarded_apply(&believed, S("192.0.2.1"), headers, n, &client, &https);
    assert(str_eq(client, S("192.0.2.1")));
    return 0;
}
