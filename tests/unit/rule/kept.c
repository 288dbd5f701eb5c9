/* What would take an artifact away. */
#include "rule/kept.h"

#include "check.h"

static const struct {
    struct kept_facts f;
    const char *want, *why;
} rows[] = {
    {{0}, "until_deleted", "a project of its own keeps all"},
    {{.bounded = true}, "until_deleted", "a quota refuses pushes, it deletes nothing"},
    {{.proxy = true}, "until_deleted", "a cache without bounds"},
    {{.proxy = true, .bounded = true}, "until_full", "a cache with bounds"},
    {{.proxy = true, .bounded = true, .pinned = true}, "pinned", "pointed by hand"},
    {{.proxy = true, .bounded = true, .pin_pattern = true}, "pinned", "by pattern"},
    {{.proxy = true, .bounded = true, .contained = true}, "with_index", "the index decides"},
    {{.contained = true, .immutable = true}, "with_index", "the index decides"},
    {{.immutable = true}, "immutable", "a tag that may not go"},
    {{.immutable = true, .proxy = true, .bounded = true}, "immutable", "in a cache too"},
};

static void the_verdict(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = kept_text(kept_verdict(&rows[i].f));
        check(strcmp(got, rows[i].want) == 0, "%s: %s, not %s", rows[i].why, got, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_verdict)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
