/* A log line is one line of JSON, whatever a stranger put into it. */
#include "base/log.h"

#include "base/json.h"
#include "check.h"

#include <fcntl.h>
#include <unistd.h>

/* What fn writes to the descriptor. */
static struct str captured(struct ctx *c, int fd, void (*fn)(void))
{
    int ends[2], saved = dup(fd);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    dup2(ends[1], fd);
    fn();
    dup2(saved, fd);
    close(saved);
    close(ends[1]);
    char *p = arena_alloc(&c->mem, 100000);
    size_t n = 0;
    for (ssize_t k; (k = read(ends[0], p + n, 99999 - n)) > 0;)
        n += (size_t)k;
    close(ends[0]);
    return (struct str){p, n};
}

static void hostile_event(void)
{
    log_warn("room", "%s", "a\r\n{\"level\":\"error\"}\x1b[31m\xFF");
}

static void long_event(void)
{
    log_error("room", "%02000d", 7);
}

static void quiet_event(void)
{
    log_debug("room", "not shown");
}

static void access_line(void)
{
    log_access(S("{\"path\":\"/v2/\"}"));
}

static void lines(void **state)
{
    (void)state;
    CLEANUP(ctx_release) struct ctx c = {0};
    void (*const events[])(void) = {hostile_event, long_event};
    for (size_t i = 0; i < COUNT(events); i++) {
        CLEANUP(json_done) json_t *v = NULL;
        struct str text = captured(&c, STDERR_FILENO, events[i]), room;
        assert_int_equal(str_find(text, '\n'), text.n - 1);
        assert_int_equal(str_find(text, '\x1b'), -1);
        assert_int_equal(json_parse(&c, str_sub(text, 0, text.n - 1), &v), E_OK);
        assert_true(json_get_str(v, "room", &room));
        check_str(room, "room");
    }
    assert_int_equal(captured(&c, STDERR_FILENO, quiet_event).n, 0);
    log_set_level(LOG_DEBUG);
    assert_int_not_equal(captured(&c, STDERR_FILENO, quiet_event).n, 0);
    check_str(captured(&c, STDOUT_FILENO, access_line), "{\"path\":\"/v2/\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
