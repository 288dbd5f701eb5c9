/* One atomic per metric; a collector per owner of labelled values. */
#include "base/metric.h"

#include <assert.h>
#include <stdatomic.h>

static _Atomic int64_t values[M_COUNT];

static const struct {
    const char *name, *kind, *help;
} info[] = {
#define X(name, kind, help) [M_##name] = {#name, #kind, help},
    METRIC_LIST(X)
#undef X
};

static struct {
    metric_collector *fn;
    void *arg;
} collectors[16];
static size_t collector_count;

void metric_add(enum metric m, int64_t n)
{
    atomic_fetch_add_explicit(&values[m], n, memory_order_relaxed);
}

int64_t metric_get(enum metric m)
{
    return atomic_load_explicit(&values[m], memory_order_relaxed);
}

void metric_collect(metric_collector *fn, void *arg)
{
    assert(collector_count < COUNT(collectors));
    collectors[collector_count].fn = fn;
    collectors[collector_count++].arg = arg;
}

void metric_label(struct buf *out, const char *name, const char *text)
{
    buf_fmt(out, "%s=\"", name);
    for (; *text; text++)
        if (*text != '"' && *text != '\\' && (unsigned char)*text >= ' ')
            buf_char(out, *text);
    buf_char(out, '"');
}

void metric_write(struct buf *out)
{
    for (size_t i = 0; i < M_COUNT; i++) {
        const char *total = info[i].kind[0] == 'c' ? "_total" : "";
        buf_fmt(out, "# HELP cove_%s%s %s\n# TYPE cove_%s%s %s\ncove_%s%s %lld\n", info[i].name,
                total, info[i].help, info[i].name, total, info[i].kind, info[i].name, total,
                (long long)metric_get((enum metric)i));
    }
    for (size_t i = 0; i < collector_count; i++)
        collectors[i].fn(out, collectors[i].arg);
}
