/* Metrics: the text format, gauges, collectors. */
#include "base/metric.h"

#include "check.h"

static void collector(struct buf *out, void *arg)
{
    buf_fmt(out, "cove_test{x=\"%s\"} 1\n", (const char *)arg);
}

static void text(void **state)
{
    (void)state;
    static char name[] = "y";
    CLEANUP(buf_release) struct buf b = {0};
    metric_add(M_http_requests, 41);
    metric_add(M_http_requests, 1);
    metric_add(M_flights, 3);
    metric_add(M_flights, -2);
    assert_int_equal(metric_get(M_http_requests), 42);
    metric_collect(collector, name);
    metric_write(&b);
    struct str all = buf_view(&b);
    assert_true(str_contains(all, S("cove_flights 1\n")));
    assert_true(str_contains(all, S("# TYPE cove_flights gauge\n")));
    assert_true(str_contains(all, S("cove_http_requests")));
    assert_true(str_contains(all, S(" 42\n")));
    assert_true(str_contains(all, S("cove_test{x=\"y\"} 1\n")));
    for (struct str rest = all; rest.n;) { /* each line is a comment or a name and a number */
        struct str line = str_cut(&rest, '\n');
        if (str_starts(line, S("# HELP ")) || str_starts(line, S("# TYPE ")))
            continue;
        int64_t value;
        check(str_starts(line, S("cove_")) &&
                  str_to_i64(str_sub(line, (size_t)str_rfind(line, ' ') + 1, SIZE_MAX), &value),
              "'%.*s'", STR(line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
