/* The scan and the parser: what the scan refuses must be refused, what passes must be bounded. */
#include "base/codec.h"
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    CLEANUP(json_done) json_t *v = NULL;
    struct str text = {(const char *)data, size};
    enum err scan = json_scan(&c, text, NULL), parse = json_parse(&c, text, &v);
    if ((scan != E_OK && parse == E_OK) || (parse == E_OK) != (v != NULL))
        abort();
    if (parse == E_OK && !utf8_valid(text))
        abort();

    /* limits only refuse more, and what the root has is seen */
    static const char *const names[] = {"a"};
    unsigned seen = 0;
    const struct json_limits limits = {8, names, 1, &seen};
    enum err limited = json_scan(&c, text, &limits);
    if (limited == E_OK && scan != E_OK)
        abort();
    if (limited == E_OK && parse == E_OK && json_object_get(v, "a") && !seen)
        abort();
    if (limited == E_OK && parse == E_OK && json_is_array(v) && json_array_size(v) > 8)
        abort();

    /* whatever the bytes are, they can be written as a JSON text and read back */
    CLEANUP(buf_release) struct buf b = {0};
    CLEANUP(json_done) json_t *back = NULL;
    struct json_out j = {.out = &b};
    put_open(&j, '{');
    put_key(&j, S("k"));
    put_str(&j, text);
    put_close(&j, '}');
    struct str got;
    if (json_parse(&c, buf_view(&b), &back) != E_OK || !json_get_str(back, "k", &got))
        abort();
    if (utf8_valid(text) && !str_eq(got, text))
        abort();
    return 0;
}
