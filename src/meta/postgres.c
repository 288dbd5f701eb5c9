#include "meta/driver.h"

const struct driver driver_postgres = {.postgres = true};
