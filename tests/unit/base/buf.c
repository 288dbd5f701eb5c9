/* Buffers and arenas: their caps, which are what stands between a stranger and our memory. */
#include "base/buf.h"

#include "check.h"

static void caps(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf b = {.max = 10};
    assert_true(buf_str(&b, S("12345")));
    assert_true(buf_str(&b, S("67890")));
    assert_false(b.full);
    assert_true(buf_str(&b, NO_STR));
    assert_false(buf_char(&b, 'x'));
    assert_true(b.full);
    assert_false(buf_str(&b, NO_STR));
    check_str(buf_view(&b), "1234567890");
    buf_release(&b);
    assert_int_equal(b.max, 10);
    assert_false(b.full);
    assert_false(buf_str(&b, S("12345678901")));
    assert_int_equal(b.n, 0);
    assert_false(buf_char(&b, 'x')); /* nothing may follow what was left out */
}

static void growing(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        assert_true(buf_fmt(&b, "%d,", i % 10));
    assert_int_equal(b.n, 200000);
    assert_memory_equal(b.p + 199990, "5,6,7,8,9,", 10);
    struct arena a = {0};
    struct str big = repeated(&a, "x", 5000);
    assert_true(buf_fmt(&b, "<%.*s>", STR(big)));
    assert_int_equal(b.n, 205002);
    assert_int_equal(b.p[205001], '>');
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.full);
    arena_release(&a);
}

static void numbers(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf b = {.max = 64};
    const int64_t v[] = {0, 9, 10, -1, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT(v); i++) {
        char want[32];
        snprintf(want, sizeof want, "%lld", (long long)v[i]);
        b.n = 0;
        assert_true(buf_i64(&b, v[i]));
        check_str(buf_view(&b), want);
    }
    b.n = 60;
    assert_false(buf_i64(&b, 12345));
    assert_int_equal(b.n, 60);
}

static void arena_budget(void **state)
{
    (void)state;
    struct arena a = {.budget = 64 << 10};
    size_t got = 0;
    while (arena_try(&a, 1000))
        got += 1000;
    assert_in_range(got, 40000, 64 << 10);
    assert_in_range(a.used, 1, 64 << 10);
    assert_null(arena_try(&a, 64 << 10));
    assert_null(arena_try(&a, SIZE_MAX));
    assert_null(arena_try(&a, SIZE_MAX - 32));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    arena_release(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_try(&a, 60 << 10));
    arena_release(&a);
}

static void arena_memory(void **state)
{
    (void)state;
    struct arena a = {0};
    char *before = NULL;
    for (size_t n = 0; n < 9000; n += 61) {
        char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xA5, n);
        if (before)
            assert_int_equal((unsigned char)before[0], 0xA5);
        before = n ? p : before;
    }
    assert_non_null(arena_array(&a, 0, 8));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps),         cmocka_unit_test(growing),      cmocka_unit_test(numbers),
        cmocka_unit_test(arena_budget), cmocka_unit_test(arena_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
