/* The list of errors, and the reason in words. */
#include "base/ctx.h"

#include "base/heap.h"
#include "check.h"

#include <errno.h>

/* cmocka takes the name for itself. */
#undef fail

static void list(void **state)
{
    (void)state;
    for (int i = 0; i < E_COUNT; i++) {
        enum err e = (enum err)i;
        assert_true(e == E_OK ? err_status(e) == 200 : err_status(e) >= 400 && err_status(e) < 600);
        assert_true(strlen(err_code(e)) > 0 && strlen(err_oci_code(e)) > 0);
        for (const char *p = err_oci_code(e); *p; p++)
            assert_true((*p >= 'A' && *p <= 'Z') || *p == '_');
    }
    assert_string_equal(err_name(E_MANIFEST_INVALID), "MANIFEST_INVALID");
    assert_string_equal(err_oci_code(E_MANIFEST_UNKNOWN), "MANIFEST_UNKNOWN");
    assert_string_equal(err_code(E_MANIFEST_UNKNOWN), "NOT_FOUND");
    assert_int_equal(err_status(E_TOO_MANY), 429);
}

static void reasons(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    assert_int_equal(fail(&c, E_CONFLICT, "%s is %d", "it", 7), E_CONFLICT);
    assert_string_equal(c.msg, "it is 7");
    assert_int_equal(fail_errno(&c, E_INTERNAL, ENOSPC, "writing %s", "x"), E_INTERNAL);
    assert_string_equal(c.msg, "writing x: No space left on device");
    struct str longer = repeated(&c.mem, "x", 2000);
    assert_int_equal(fail_errno(&c, E_INTERNAL, EIO, "%.*s", STR(longer)), E_INTERNAL);
    assert_int_equal(strlen(c.msg), sizeof c.msg - 1);
}

/* Whoever could only say "it did not fit" or "not there": memory was what was missing. */
static void no_memory(void **state)
{
    (void)state;
    struct ctx c = {.status = 404};
    heap_refuse();
    assert_int_equal(fail(&c, E_NOT_FOUND, "no such thing"), E_UNAVAILABLE);
    assert_string_equal(c.msg, "out of memory, try again");
    assert_true(c.retry_after > 0 && c.status == 0);
    assert_int_equal(fail_errno(&c, E_INTERNAL, EIO, "x"), E_UNAVAILABLE);
    ctx_release(&c);
    assert_false(heap_refused());
    assert_int_equal(fail(&c, E_NOT_FOUND, "no such thing"), E_NOT_FOUND);
    assert_int_equal(fail_errno(&c, E_INTERNAL, ENOMEM, "x"), E_UNAVAILABLE);
    ctx_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list),
        cmocka_unit_test(reasons),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
