/* What a HEAD named for a tag: taken once, by the right digest of the right repository. */
#include "registry/named.h"

#include "check.h"

#define A "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define B "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void taken_once(void **state)
{
    (void)state;
    struct arena a = {0};
    named_note(1, S("library/x"), S("1"), S(A));
    check_str(named_take(&a, 2, S("library/x"), S(A)), "");
    check_str(named_take(&a, 1, S("library/y"), S(A)), "");
    check_str(named_take(&a, 1, S("library/x"), S(B)), "");
    check_str(named_take(&a, 1, S("library/x"), S(A)), "1");
    check_str(named_take(&a, 1, S("library/x"), S(A)), "");
    arena_release(&a);
}

static void the_last_word_counts(void **state)
{
    (void)state;
    struct arena a = {0};
    named_note(1, S("library/x"), S("1"), S(A));
    named_note(1, S("library/x"), S("1"), S(B));
    check_str(named_take(&a, 1, S("library/x"), S(A)), "");
    check_str(named_take(&a, 1, S("library/x"), S(B)), "1");
    named_note(1, S("library/x"), S("1"), S(A));
    named_forget(1, S("library/x"), S("2"));
    named_forget(2, S("library/x"), S("1"));
    named_note(1, S("library/x"), S("2"), S("sha256:0"));
    check_str(named_take(&a, 1, S("library/x"), S(A)), "1");
    named_note(1, S("library/x"), S("1"), S(A));
    named_forget(1, S("library/x"), S("1"));
    check_str(named_take(&a, 1, S("library/x"), S(A)), "");
    named_note(1, repeated(&a, "a", 257), S("1"), S(A));
    named_note(1, S("a"), repeated(&a, "1", 129), S(A));
    check_str(named_take(&a, 1, S("a"), S(A)), "");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_once),
        cmocka_unit_test(the_last_word_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
