/* cove.yml of any bytes: it is refused with a place in the message, or the settings are sane. */
#include "config.c"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ctx c = {0};
    struct arena mem = {0};
    struct settings s = {0};
    struct str text = {(const char *)data, size};
    enum err e = config_parse(&c, &mem, S("f.yml"), text, NULL, &s);
    if (e == E_OK) {
        assert(s.listen.n && s.data.n && s.server_threads >= 4 && s.token_expiry_s >= 1);
        for (size_t i = 0; i < s.proxy_count; i++)
            assert(name_is_project(s.proxies[i].project) && s.proxies[i].type.n);
    } else {
        assert(str_starts(str_of(c.msg), S("f.yml")));
    }
    arena_release(&mem);
    ctx_release(&c);
    return 0;
}
