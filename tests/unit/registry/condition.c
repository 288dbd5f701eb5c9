/* How answers change the state of an endpoint: one line per story. */
#include "registry/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct told { /* one answer, several times */
    enum err err;
    int http, times;
    int64_t retry_after_s, remaining;
    bool pull_limit;
};

struct story {
    const char *why;
    struct told told[3];
    enum fresh_endpoint head, get, content; /* what each use is told afterwards */
};

static const struct story stories[] = {
    {"nothing happened", {{0}}, ENDPOINT_OPEN, ENDPOINT_OPEN, ENDPOINT_OPEN},
    {"four failures are bad luck",
     {{E_UPSTREAM, 503, 4, 0, -1, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
    {"five open the breaker",
     {{E_UPSTREAM, 503, 5, 0, -1, false}},
     ENDPOINT_BROKEN,
     ENDPOINT_BROKEN,
     ENDPOINT_BROKEN},
    {"silence counts as failure",
     {{E_UPSTREAM_TIMEOUT, 0, 5, 0, -1, false}},
     ENDPOINT_BROKEN,
     ENDPOINT_BROKEN,
     ENDPOINT_BROKEN},
    {"one good answer in between",
     {{E_UPSTREAM, 503, 4, 0, -1, false},
      {E_OK, 200, 1, 0, -1, false},
      {E_UPSTREAM, 503, 4, 0, -1, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
    {"a 404 is a good answer",
     {{E_UPSTREAM, 500, 5, 0, -1, false}, {E_MANIFEST_UNKNOWN, 404, 1, 0, -1, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
    {"a denial closes nothing",
     {{E_DENIED, 401, 9, 0, -1, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
    {"the abuse limit closes everything",
     {{E_TOO_MANY, 429, 1, 30, -1, false}},
     ENDPOINT_BUSY,
     ENDPOINT_BUSY,
     ENDPOINT_BUSY},
    {"our own bulkhead says nothing of the upstream",
     {{E_TOO_MANY, 0, 9, 0, -1, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
    {"the pull limit closes manifests alone",
     {{E_TOO_MANY, 429, 1, 0, 0, true}},
     ENDPOINT_PULL_LIMIT,
     ENDPOINT_PULL_LIMIT,
     ENDPOINT_OPEN},
    {"nothing remaining is the pull limit",
     {{E_OK, 200, 1, 0, 0, false}},
     ENDPOINT_PULL_LIMIT,
     ENDPOINT_PULL_LIMIT,
     ENDPOINT_OPEN},
    {"the window has moved",
     {{E_TOO_MANY, 429, 1, 0, 0, true}, {E_OK, 200, 1, 0, 50, false}},
     ENDPOINT_OPEN,
     ENDPOINT_OPEN,
     ENDPOINT_OPEN},
};

static void tell(struct conditions *cs, const struct endpoint *e, const struct told *t)
{
    struct oci_status st = {
        .http = t->http,
        .retry_after_s = t->retry_after_s,
        .pull_limit = t->pull_limit,
        .limit = t->remaining >= 0 ? 100 : -1,
        .remaining = t->remaining,
        .window_s = t->remaining >= 0 ? 21600 : -1,
        .reason = S("its words"),
    };
    for (int i = 0; i < t->times; i++)
        condition_note(cs, e, t->err, &st);
}

static void every_story(void **state)
{
    (void)state;
    static const enum condition_use uses[] = {USE_HEAD, USE_GET, USE_CONTENT};
    for (size_t i = 0; i < COUNT(stories); i++) {
        const enum fresh_endpoint want[] = {stories[i].head, stories[i].get, stories[i].content};
        for (size_t u = 0; u < COUNT(uses); u++) {
            struct conditions *cs = conditions_new();
            struct endpoint e = {.id = 7, .epoch = 1, .name = S("hub")};
            struct condition now;
            for (size_t t = 0; t < COUNT(stories[i].told); t++)
                tell(cs, &e, &stories[i].told[t]);
            condition_look(cs, &e, uses[u], &now);
            if (now.state != want[u])
                fail_msg("%s: use %zu is told %d, not %d", stories[i].why, u, (int)now.state,
                         (int)want[u]);
            struct endpoint fresh = {.id = 7, .epoch = 2, .name = S("hub")};
            condition_look(cs, &fresh, uses[u], &now); /* another credential begins afresh */
            assert_int_equal(now.state, ENDPOINT_OPEN);
            conditions_free(cs);
        }
    }
}

static void retry_after_is_passed_on(void **state)
{
    (void)state;
    struct conditions *cs = conditions_new();
    struct endpoint e = {.id = 1, .name = S("hub")};
    struct condition now;
    tell(cs, &e, &(struct told){E_TOO_MANY, 429, 1, 17, -1, false});
    condition_look(cs, &e, USE_HEAD, &now);
    assert_in_range(now.retry_after_s, 16, 17);
    assert_int_equal(now.status, 429);
    assert_string_equal(now.reason, "its words");
    conditions_free(cs);
}

/* A tag pushed after a first 404 is seen at once; a storm of 404s ends after three questions. */
static void a_new_credential_begins_afresh(void **state)
{
    (void)state;
    struct conditions *cs = conditions_new();
    struct endpoint old = {.id = 3, .epoch = 1}, new = {.id = 3, .epoch = 2};
    struct condition now;
    tell(cs, &old, &(struct told){E_UPSTREAM, 503, 5, 0, -1, false});
    condition_look(cs, &old, USE_GET, &now);
    assert_int_equal(now.state, ENDPOINT_BROKEN);
    condition_look(cs, &new, USE_GET, &now);
    assert_int_equal(now.state, ENDPOINT_OPEN);
    /* what was asked with the old one ends late, and counts for nothing */
    tell(cs, &old, &(struct told){E_UPSTREAM, 503, 5, 0, -1, false});
    condition_look(cs, &new, USE_GET, &now);
    assert_int_equal(now.state, ENDPOINT_OPEN);
    conditions_free(cs);
}

static void absence_is_believed_late(void **state)
{
    (void)state;
    struct conditions *cs = conditions_new();
    struct endpoint e = {.id = 1, .name = S("hub")};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(condition_absent(cs, &e, S("a/b"), S("1")), E_OK);
        condition_absent_note(cs, &e, S("a/b"), S("1"), E_MANIFEST_UNKNOWN);
    }
    assert_int_equal(condition_absent(cs, &e, S("a/b"), S("1")), E_MANIFEST_UNKNOWN);
    assert_int_equal(condition_absent(cs, &e, S("a/b"), S("2")), E_OK);
    assert_int_equal(condition_absent(cs, &e, S("a"), S("b 1")), E_OK);
    /* a refusal of our own credential holds for the repository, an anonymous one does not */
    condition_absent_note(cs, &e, S("c/d"), S("1"), E_DENIED);
    assert_int_equal(condition_absent(cs, &e, S("c/d"), S("1")), E_OK);
    e.access_key = S("robot");
    condition_absent_note(cs, &e, S("c/d"), S("1"), E_DENIED);
    assert_int_equal(condition_absent(cs, &e, S("c/d"), S("2")), E_DENIED);
    e.epoch++;
    assert_int_equal(condition_absent(cs, &e, S("c/d"), S("2")), E_OK);
    conditions_free(cs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story),
        cmocka_unit_test(retry_after_is_passed_on),
        cmocka_unit_test(a_new_credential_begins_afresh),
        cmocka_unit_test(absence_is_believed_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
