/* Back-off on a clock of our own: when it begins, how it grows, what it forgets, what it spares. */
#include "api/backoff.h"

#include "check.h"

static void grows(void **state)
{
    (void)state;
    int64_t now = 1000;
    for (int i = 1; i < BACKOFF_PAIR_FREE; i++) {
        backoff_failed(S("ann"), S("192.0.2.1"), now);
        assert_int_equal(backoff_wait(S("ann"), S("192.0.2.1"), now), 0);
    }
    for (int64_t want = 1; want < 200; want *= 2) {
        backoff_failed(S("ann"), S("192.0.2.1"), now);
        int64_t wait = backoff_wait(S("ann"), S("192.0.2.1"), now);
        assert_int_equal(wait, i64_min(want, BACKOFF_MAX_S));
        assert_int_equal(backoff_wait(S("ann"), S("192.0.2.1"), now + wait * 1000), 0);
        now += wait * 1000;
    }
    assert_int_equal(backoff_wait(S("ann"), S("192.0.2.2"), now), 0); /* no lock-out from afar */
    assert_int_equal(backoff_wait(S("bob"), S("192.0.2.1"), now), 0);
}

static void forgets(void **state)
{
    (void)state;
    int64_t now = 1000;
    for (int i = 0; i < 8; i++)
        backoff_failed(S("cat"), S("192.0.2.3"), now);
    assert_true(backoff_wait(S("cat"), S("192.0.2.3"), now) > 0);
    backoff_succeeded(S("cat"), S("192.0.2.3"));
    assert_int_equal(backoff_wait(S("cat"), S("192.0.2.3"), now), 0);
    for (int i = 0; i < 8; i++)
        backoff_failed(S("dan"), S("192.0.2.4"), now);
    now += 16 * 60 * 1000;
    backoff_failed(S("dan"), S("192.0.2.4"), now);
    assert_int_equal(backoff_wait(S("dan"), S("192.0.2.4"), now), 0);
}

static void addresses(void **state)
{
    (void)state;
    struct arena mem = {0};
    for (int i = 1; i < BACKOFF_ADDRESS_FREE; i++)
        backoff_failed(str_fmt(&mem, "n%d", i), S("192.0.2.5"), 1000);
    assert_int_equal(backoff_wait(S("other"), S("192.0.2.5"), 1000), 0);
    backoff_failed(S("last"), S("192.0.2.5"), 1000);
    assert_true(backoff_wait(S("other"), S("192.0.2.5"), 1000) > 0);
    /* one IPv6 subscriber has a /64 */
    for (int i = 0; i < BACKOFF_ADDRESS_FREE; i++)
        backoff_failed(str_fmt(&mem, "v%d", i), str_fmt(&mem, "2001:db8:1:2::%x", i), 1000);
    assert_true(backoff_wait(S("other"), S("2001:db8:1:2::ffff"), 1000) > 0);
    assert_int_equal(backoff_wait(S("other"), S("2001:db8:1:3::1"), 1000), 0);
    arena_release(&mem);
}

/* Many random names push out each other, never the address that sends them. */
static void bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct arena mem = {0};
        backoff_failed(str_fmt(&mem, "random%d", i), S("192.0.2.6"), 1000 + i);
        arena_release(&mem);
    }
    assert_true(backoff_wait(S("x"), S("192.0.2.6"), 101000) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(forgets),
        cmocka_unit_test(addresses),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
