/* Digests and names: what passes must be safe in a path, a header and a log line. */
#include "base/digest.h"
#include "rule/name.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void harmless(struct str s, const char *allowed)
{
    if (s.n == 0 || s.n > 255 || str_contains(s, S("..")))
        abort();
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
        if (!plain && str_find(str_of(allowed), ch) < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct str s = {(const char *)data, size}, project, path;
    struct digest d;
    if (digest_parse(&c, s, &d) == E_OK) {
        harmless(s, ":");
        if (!str_eq(digest_str(&d), s))
            abort();
    }
    if (name_is_project(s))
        harmless(s, "._-");
    if (name_is_robot(s))
        harmless(s, "._-");
    if (name_is_repository(s))
        harmless(s, "._-/");
    if (name_is_tag(s) && (s.n > 128 || str_find(s, '/') >= 0 || s.p[0] == '.' || s.p[0] == '-'))
        abort();
    if (name_is_user(s) && (str_find(s, ':') >= 0 || str_find(s, '$') >= 0))
        abort();
    if (name_is_email(s) && str_find(s, '@') <= 0)
        abort();
    if (name_split(&c, s, &project, &path) == E_OK &&
        (!name_is_project(project) || !name_is_repository(path) || !name_is_repository(s)))
        abort();
    if (password_acceptable(&c, s) == E_OK && (s.n < 8 || s.n > 256))
        abort();
    return 0;
}
