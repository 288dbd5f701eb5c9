/* Scrub as a job: {"older_than_s", the setting}. Counts bytes, so that one large blob shows. */
#include "jobs/kinds.h"

#include "meta/storage.h"
#include "registry/scrub.h"
#include "rule/settings.h"

static bool step(void *arg, const struct scrub_report *so_far)
{
    job_done(arg, so_far->bytes);
    return !job_stopping(arg);
}

enum err scrub_job(struct ctx *c, struct job_run *r)
{
    const struct settings *set = c->sv->settings;
    const struct scrub_watch watch = {.step = step, .arg = r};
    struct scrub_report report = {0};
    int64_t blobs, bytes;
    {
        CLEANUP(tx_end) struct tx tx = {0};
        struct timestamp before = {clock_now().us - set->scrub_interval_s * SECOND_US};
        TRY(tx_read(c, &tx));
        TRY(storage_unproven(c, before, &blobs, &bytes));
    }
    job_total(r, bytes);
    job_say(r, "%lld blobs are hashed again", (long long)blobs);
    TRY(scrub_run(c, set->scrub_interval_s, set->scrub_rate, &watch, &report));
    job_total(r, report.bytes);
    job_done(r, report.bytes);
    job_say(r, "%lld blobs hashed, %lld broken", (long long)report.blobs, (long long)report.broken);
    return E_OK;
}
