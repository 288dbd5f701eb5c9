/* The proxy cache's decision table: one line per row, with the reason in words. */
#include "rule/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct row {
    const char *why;
    struct fresh_question q;
    enum fresh_verdict want;
    enum err err;
};

/* A tag that is cached / is not; a digest likewise; no limits unless a row says so. */
#define TAG .max_stale_s = -1, .cached = true, .age_s = 100
#define NO_TAG .max_stale_s = -1, .age_s = -1
#define DIGEST .by_digest = true, .cached = true, .max_stale_s = -1, .age_s = -1
#define NO_DIGEST .by_digest = true, .max_stale_s = -1, .age_s = -1

static const struct row rows[] = {
    {"cached digest: nobody is asked", {DIGEST}, FRESH_SERVE, E_OK},
    {"cached digest, offline", {DIGEST, .endpoint = ENDPOINT_OFFLINE}, FRESH_SERVE, E_OK},
    {"cached digest, breaker open", {DIGEST, .endpoint = ENDPOINT_BROKEN}, FRESH_SERVE, E_OK},
    {"digest not here: GET at once", {NO_DIGEST}, FRESH_FETCH, E_OK},
    {"digest, offline", {NO_DIGEST, .endpoint = ENDPOINT_OFFLINE}, FRESH_REFUSE, E_UNAVAILABLE},
    {"digest, paused", {NO_DIGEST, .endpoint = ENDPOINT_PAUSED}, FRESH_REFUSE, E_UNAVAILABLE},
    {"digest, breaker", {NO_DIGEST, .endpoint = ENDPOINT_BROKEN}, FRESH_REFUSE, E_UNAVAILABLE},
    {"digest, busy", {NO_DIGEST, .endpoint = ENDPOINT_BUSY}, FRESH_REFUSE, E_TOO_MANY},
    {"digest, limit", {NO_DIGEST, .endpoint = ENDPOINT_PULL_LIMIT}, FRESH_REFUSE, E_TOO_MANY},
    {"digest, the minute's probe",
     {NO_DIGEST, .endpoint = ENDPOINT_NO_GETS},
     FRESH_REVALIDATE,
     E_OK},
    {"digest, the probe found the limit moved", {NO_DIGEST, .heard = HEARD_NEW}, FRESH_FETCH, E_OK},
    {"digest, 404", {NO_DIGEST, .heard = HEARD_NOT_FOUND}, FRESH_REFUSE, E_MANIFEST_UNKNOWN},
    {"digest, 429 limit", {NO_DIGEST, .heard = HEARD_PULL_LIMIT}, FRESH_REFUSE, E_TOO_MANY},
    {"digest, 429 abuse", {NO_DIGEST, .heard = HEARD_BUSY}, FRESH_REFUSE, E_TOO_MANY},
    {"digest, denied: never 404", {NO_DIGEST, .heard = HEARD_DENIED}, FRESH_REFUSE, E_UPSTREAM},
    {"digest, 5xx", {NO_DIGEST, .heard = HEARD_BROKEN}, FRESH_REFUSE, E_UPSTREAM},
    {"digest, slow", {NO_DIGEST, .heard = HEARD_TIMEOUT}, FRESH_REFUSE, E_UPSTREAM_TIMEOUT},

    {"window 0: every pull is a HEAD", {TAG}, FRESH_REVALIDATE, E_OK},
    {"inside the window", {TAG, .window_s = 101}, FRESH_SERVE, E_OK},
    {"at the window's end", {TAG, .window_s = 100}, FRESH_REVALIDATE, E_OK},
    {"pinned: nobody is asked", {TAG, .pinned = true}, FRESH_SERVE, E_OK},
    {"pinned, breaker open", {TAG, .pinned = true, .endpoint = ENDPOINT_BROKEN}, FRESH_SERVE, E_OK},
    {"held back: the copy, without a warning", {TAG, .heard = HEARD_HELD}, FRESH_SERVE, E_OK},
    {"held back, new: never 404", {NO_TAG, .heard = HEARD_HELD}, FRESH_REFUSE, E_DENIED},
    {"never checked is not fresh",
     {.cached = true, .age_s = -1, .max_stale_s = -1, .window_s = 9},
     FRESH_REVALIDATE,
     E_OK},
    {"inside the window, breaker open",
     {TAG, .window_s = 101, .endpoint = ENDPOINT_BROKEN},
     FRESH_SERVE,
     E_OK},
    {"cached, offline", {TAG, .endpoint = ENDPOINT_OFFLINE}, FRESH_SERVE, E_OK},
    {"cached, breaker", {TAG, .endpoint = ENDPOINT_BROKEN}, FRESH_STALE, E_OK},
    {"cached, paused", {TAG, .endpoint = ENDPOINT_PAUSED}, FRESH_STALE, E_OK},
    {"cached, busy", {TAG, .endpoint = ENDPOINT_BUSY}, FRESH_STALE, E_OK},
    {"cached, limit", {TAG, .endpoint = ENDPOINT_PULL_LIMIT}, FRESH_STALE, E_OK},
    {"cached, the minute's probe", {TAG, .endpoint = ENDPOINT_NO_GETS}, FRESH_REVALIDATE, E_OK},
    {"same digest", {TAG, .heard = HEARD_SAME}, FRESH_SERVE, E_OK},
    {"same digest by the probe",
     {TAG, .heard = HEARD_SAME, .endpoint = ENDPOINT_NO_GETS},
     FRESH_SERVE,
     E_OK},
    {"moved to a digest that is here", {TAG, .heard = HEARD_HERE}, FRESH_SERVE, E_OK},
    {"moved", {TAG, .heard = HEARD_NEW}, FRESH_FETCH, E_OK},
    {"moved, but no GETs",
     {TAG, .heard = HEARD_NEW, .endpoint = ENDPOINT_NO_GETS},
     FRESH_STALE,
     E_OK},
    {"HEAD without a digest", {TAG, .heard = HEARD_UNSURE}, FRESH_FETCH, E_OK},
    {"removed upstream", {TAG, .heard = HEARD_NOT_FOUND}, FRESH_REFUSE, E_MANIFEST_UNKNOWN},
    {"removed upstream, kept here",
     {TAG, .heard = HEARD_NOT_FOUND, .keep_gone = true},
     FRESH_STALE,
     E_OK},
    {"cached, 429 limit", {TAG, .heard = HEARD_PULL_LIMIT}, FRESH_STALE, E_OK},
    {"cached, 429 abuse", {TAG, .heard = HEARD_BUSY}, FRESH_STALE, E_OK},
    {"cached, denied", {TAG, .heard = HEARD_DENIED}, FRESH_STALE, E_OK},
    {"cached, 5xx", {TAG, .heard = HEARD_BROKEN}, FRESH_STALE, E_OK},
    {"cached, timeout", {TAG, .heard = HEARD_TIMEOUT}, FRESH_STALE, E_OK},
    {"cached, over budget", {TAG, .heard = HEARD_OVER_BUDGET}, FRESH_STALE, E_OK},
    {"too old to be stale: 5xx",
     {.cached = true, .age_s = 100, .max_stale_s = 99, .heard = HEARD_BROKEN},
     FRESH_REFUSE,
     E_UPSTREAM},
    {"too old to be stale: wait on",
     {.cached = true, .age_s = 100, .max_stale_s = 99, .heard = HEARD_OVER_BUDGET},
     FRESH_REVALIDATE,
     E_OK},
    {"of no known age and staleness limited",
     {.cached = true, .age_s = -1, .max_stale_s = 99, .heard = HEARD_BROKEN},
     FRESH_REFUSE,
     E_UPSTREAM},

    {"not cached: HEAD first", {NO_TAG}, FRESH_REVALIDATE, E_OK},
    {"not cached, window", {NO_TAG, .window_s = 60}, FRESH_REVALIDATE, E_OK},
    {"not cached, offline", {NO_TAG, .endpoint = ENDPOINT_OFFLINE}, FRESH_REFUSE, E_UNAVAILABLE},
    {"not cached, breaker", {NO_TAG, .endpoint = ENDPOINT_BROKEN}, FRESH_REFUSE, E_UNAVAILABLE},
    {"not cached, paused", {NO_TAG, .endpoint = ENDPOINT_PAUSED}, FRESH_REFUSE, E_UNAVAILABLE},
    {"not cached, busy", {NO_TAG, .endpoint = ENDPOINT_BUSY}, FRESH_REFUSE, E_TOO_MANY},
    {"not cached, limit", {NO_TAG, .endpoint = ENDPOINT_PULL_LIMIT}, FRESH_REFUSE, E_TOO_MANY},
    {"not cached, probe", {NO_TAG, .endpoint = ENDPOINT_NO_GETS}, FRESH_REVALIDATE, E_OK},
    {"not cached, 200", {NO_TAG, .heard = HEARD_NEW}, FRESH_FETCH, E_OK},
    {"not cached, 200, no GETs",
     {NO_TAG, .heard = HEARD_NEW, .endpoint = ENDPOINT_NO_GETS},
     FRESH_REFUSE,
     E_TOO_MANY},
    {"not cached, the digest is here", {NO_TAG, .heard = HEARD_HERE}, FRESH_SERVE, E_OK},
    {"not cached, 404", {NO_TAG, .heard = HEARD_NOT_FOUND}, FRESH_REFUSE, E_MANIFEST_UNKNOWN},
    {"not cached, 404, keep",
     {NO_TAG, .heard = HEARD_NOT_FOUND, .keep_gone = true},
     FRESH_REFUSE,
     E_MANIFEST_UNKNOWN},
    {"not cached, 429 limit", {NO_TAG, .heard = HEARD_PULL_LIMIT}, FRESH_REFUSE, E_TOO_MANY},
    {"not cached, 429 abuse", {NO_TAG, .heard = HEARD_BUSY}, FRESH_REFUSE, E_TOO_MANY},
    {"not cached, denied: never 404", {NO_TAG, .heard = HEARD_DENIED}, FRESH_REFUSE, E_UPSTREAM},
    {"not cached, 5xx", {NO_TAG, .heard = HEARD_BROKEN}, FRESH_REFUSE, E_UPSTREAM},
    {"not cached, slow", {NO_TAG, .heard = HEARD_TIMEOUT}, FRESH_REFUSE, E_UPSTREAM_TIMEOUT},
};

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fresh_answer a = fresh_decide(&rows[i].q);
        if (a.verdict != rows[i].want || a.err != rows[i].err)
            fail_msg("%s: verdict %d err %s", rows[i].why, (int)a.verdict, err_name(a.err));
        assert_non_null(fresh_reason_text(a.reason));
    }
}

/* Over all questions: no 404 unless the upstream said so, no error without a refusal. */
static void no_false_404(void **state)
{
    (void)state;
    for (int bits = 0; bits < 8; bits++)
        for (int endpoint = 0; endpoint <= ENDPOINT_NO_GETS; endpoint++)
            for (int heard = 0; heard <= HEARD_OVER_BUDGET; heard++) {
                struct fresh_question q = {.by_digest = bits & 1,
                                           .cached = bits & 2,
                                           .keep_gone = bits & 4,
                                           .age_s = 5,
                                           .max_stale_s = -1,
                                           .endpoint = (enum fresh_endpoint)endpoint,
                                           .heard = (enum fresh_heard)heard};
                struct fresh_answer a = fresh_decide(&q);
                assert_int_equal(a.verdict == FRESH_REFUSE, a.err != E_OK);
                if (a.err == E_MANIFEST_UNKNOWN)
                    assert_int_equal(q.heard, HEARD_NOT_FOUND);
                if (a.verdict == FRESH_REFUSE && q.cached)
                    assert_int_equal(q.heard, HEARD_NOT_FOUND);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(no_false_404),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
