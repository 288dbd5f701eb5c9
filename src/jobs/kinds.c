/* The one list of job kinds. */
#include "jobs/kinds.h"

const struct job_kind job_kinds[] = {
    {"gc", gc_job},           {"bulk", bulk_job}, {"scrub", scrub_job},
    {"refresh", refresh_job}, {NULL, NULL},
};
