/* The tables printed: `cove routes` (who may do what) and `cove schema` (models). The contract
   test and the test of all routes and principals read them. */
#ifndef API_DESCRIBE_H
#define API_DESCRIBE_H

#include "api/route.h"
#include "base/buf.h"

/* One line per row, or a JSON array. who: "anonymous", "user", "sysadmin" or a role's name
   ("developer"): only rows that such a principal may use; empty = all. E_BAD_REQUEST. */
enum err routes_print(struct ctx *c, struct str who, bool json, struct buf *out);
/* Every model: its name in the contract, its fields and their types. */
enum err schema_print(struct ctx *c, struct buf *out);
/* The rows of all route arrays with the prefix of their paths; false past the last. */
bool route_at(size_t index, const char **prefix, const struct route **out);

/* "GET", ...; who may, in words. */
const char *route_method(enum http_method m);
struct str route_who(struct arena *a, const struct guard *g);
/* Our own operations (/api/cove/v1) as an OpenAPI 3.0 document, from the same rows and tables. */
enum err openapi_print(struct ctx *c, struct buf *out);

#endif
