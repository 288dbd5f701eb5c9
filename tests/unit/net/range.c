/* Ranges as clients and attackers write them. */
#include "net/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after the ones it needs */
#include <cmocka.h>

/* RANGE_WHOLE sets 0 and size. */
static enum range_answer range_of(struct str header, int64_t size, int64_t *offset_out,
                                  int64_t *end_out)
{
    struct range_spec spec;
    *offset_out = 0;
    *end_out = size;
    enum range_answer answer = range_spec_parse(header, &spec);
    return answer == RANGE_PART ? range_resolve(spec, size, offset_out, end_out) : answer;
}

static void test_range(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t size;
        enum range_answer answer;
        int64_t offset, end;
        const char *why;
    } cases[] = {
        {"", 100, RANGE_WHOLE, 0, 100, "no range"},
        {"bytes=0-9", 100, RANGE_PART, 0, 10, "ten bytes"},
        {"Bytes=0-9", 100, RANGE_PART, 0, 10, "units are case-insensitive"},
        {"bytes=0-", 100, RANGE_PART, 0, 100, "to the end"},
        {"bytes=99-", 100, RANGE_PART, 99, 100, "last byte"},
        {"bytes=100-", 100, RANGE_UNSATISFIABLE, 0, 0, "behind the end"},
        {"bytes=-1", 100, RANGE_PART, 99, 100, "suffix"},
        {"bytes=-500", 100, RANGE_PART, 0, 100, "suffix longer than all"},
        {"bytes=-0", 100, RANGE_UNSATISFIABLE, 0, 0, "empty suffix"},
        {"bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0, "suffix of nothing"},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0, "of nothing"},
        {"bytes=5-2", 100, RANGE_UNSATISFIABLE, 0, 100, "backwards"},
        {"bytes=0-99999999999999999999", 100, RANGE_PART, 0, 100, "end past 64 bits"},
        {"bytes=18446744073709551615-", 100, RANGE_UNSATISFIABLE, 0, 0, "start past 63 bits"},
        {"bytes=9223372036854775807-", 100, RANGE_UNSATISFIABLE, 0, 0, "INT64_MAX"},
        {"bytes=0-9223372036854775807", INT64_MAX, RANGE_PART, 0, INT64_MAX, "the largest"},
        {"bytes=-9223372036854775808", 100, RANGE_PART, 0, 100, "CVE-2017-7529"},
        {"bytes=0-1,5-6", 100, RANGE_WHOLE, 0, 100, "several: sent whole"},
        {"bytes=0-1,5-6,0-99,,", 100, RANGE_WHOLE, 0, 100, "several"},
        {"bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", 100, RANGE_UNSATISFIABLE, 0, 0,
         "seventeen"},
        {"bytes=", 100, RANGE_WHOLE, 0, 100, "empty"},
        {"bytes=a-b", 100, RANGE_WHOLE, 0, 100, "not numbers"},
        {"bytes=+1-2", 100, RANGE_WHOLE, 0, 100, "sign"},
        {"bytes=1-2x", 100, RANGE_WHOLE, 0, 100, "tail"},
        {"bytes=--1", 100, RANGE_WHOLE, 0, 100, "two signs"},
        {"bytes 1-2", 100, RANGE_WHOLE, 0, 100, "no equals sign"},
        {"lines=1-2", 100, RANGE_WHOLE, 0, 100, "another unit"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t offset, end;
        enum range_answer answer = range_of(str_of(cases[i].header), cases[i].size, &offset, &end);
        if (answer != cases[i].answer ||
            (answer != RANGE_UNSATISFIABLE && (offset != cases[i].offset || end != cases[i].end)))
            fail_msg("%s (%s): %d %lld-%lld", cases[i].header, cases[i].why, answer,
                     (long long)offset, (long long)end);
    }
}

static void test_content_range(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool fine;
        int64_t offset, end, size;
    } cases[] = {
        {"bytes 0-9/100", true, 0, 10, 100},
        {"bytes 0-9/*", true, 0, 10, -1},
        {"bytes 90-99/100", true, 90, 100, 100},
        {"bytes 90-100/100", false, 0, 0, 0},
        {"bytes 9-0/100", false, 0, 0, 0},
        {"bytes */100", false, 0, 0, 0},
        {"bytes=0-9/100", false, 0, 0, 0},
        {"bytes 0-9", false, 0, 0, 0},
        {"bytes 0-9/100 ", false, 0, 0, 0},
        {"bytes 0-9223372036854775807/*", false, 0, 0, 0},
        {"0-9/100", false, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t offset = 0, end = 0, size = 0;
        bool fine = content_range_of(str_of(cases[i].header), &offset, &end, &size);
        if (fine != cases[i].fine || offset != cases[i].offset || end != cases[i].end ||
            size != cases[i].size)
            fail_msg("%s", cases[i].header);
    }
}

static void test_upload_range(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool fine;
        int64_t offset, end;
    } cases[] = {
        {"0-99", true, 0, 100},
        {"100-199", true, 100, 200},
        {"0-0", true, 0, 1},
        {"5-4", false, 0, 0},
        {"bytes 0-99", false, 0, 0},
        {"0-99/100", false, 0, 0},
        {"-5", false, 0, 0},
        {"5-", false, 0, 0},
        {"", false, 0, 0},
        {" 0-99", false, 0, 0},
        {"0-99999999999999999999", false, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t offset = 0, end = 0;
        bool fine = upload_range_parse(str_of(cases[i].header), &offset, &end);
        if (fine != cases[i].fine || offset != cases[i].offset || end != cases[i].end)
            fail_msg("%s", cases[i].header);
    }
}

static void test_written(void **state)
{
    (void)state;
    CLEANUP(arena_release) struct arena a = {0};
    assert_true(str_eq(content_range(&a, 0, 10, 100), S("bytes 0-9/100")));
    assert_true(str_eq(content_range(&a, 5, 10, -1), S("bytes 5-9/*")));
    assert_true(str_eq(content_range_unsatisfied(&a, 7), S("bytes */7")));
    assert_true(str_eq(upload_range(&a, 0), S("0-0")));
    assert_true(str_eq(upload_range(&a, 100), S("0-99")));
}

static void test_tags(void **state)
{
    (void)state;
    struct str tag = S("\"sha256:aa\"");
    assert_true(if_range_matches(NO_STR, tag));
    assert_true(if_range_matches(tag, tag));
    assert_false(if_range_matches(S("W/\"sha256:aa\""), S("W/\"sha256:aa\"")));
    assert_false(if_range_matches(S("\"sha256:bb\""), tag));
    assert_false(if_range_matches(S("Tue, 24 Nov 2026 08:00:00 GMT"), tag));
    assert_true(etag_listed(S("\"x\", W/\"sha256:aa\""), tag));
    assert_true(etag_listed(S("*"), tag));
    assert_false(etag_listed(S("\"x\",, sha256:aa"), tag));
    assert_false(etag_listed(NO_STR, tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_upload_range), cmocka_unit_test(test_written),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
