/*
 * Parts of representations: Range, If-Range, Content-Range (RFC 9110, section 14), entity tags in
 * If-None-Match (section 13.1.2), and the "start-end" of chunked uploads (OCI Distribution Spec
 * 1.1, "Pushing a blob in chunks"). Pure. Offsets are bytes; ends are one past the last byte.
 */
#ifndef NET_RANGE_H
#define NET_RANGE_H

#include "base/str.h"

#define RANGES_MAX 16 /* a header with more is answered with 416 */

struct range_spec {
    int64_t first; /* -1: the last `last` bytes */
    int64_t last;  /* the last byte wanted, INT64_MAX = to the end; of a suffix its length */
};

enum range_answer {
    RANGE_WHOLE,         /* no range, one we do not honour (several, another unit), or malformed */
    RANGE_PART,          /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* One range of bytes without knowing the size: RANGE_PART fills *out. Several ranges are
   RANGE_WHOLE up to RANGES_MAX, beyond it RANGE_UNSATISFIABLE; numbers past INT64_MAX are cut. */
enum range_answer range_spec_parse(struct str header, struct range_spec *out);
/* What the spec means for a size. */
enum range_answer range_resolve(struct range_spec spec, int64_t size, int64_t *offset_out,
                                int64_t *end_out);

/* May Range be honoured? True without If-Range, or when it is this strong entity tag (with its
   quotes). A date never matches: the representation is then sent whole. */
bool if_range_matches(struct str if_range, struct str etag);
/* Is the tag in an If-None-Match or If-Match list (weak comparison; "*" matches any)? */
bool etag_listed(struct str list, struct str etag);

/* "bytes 0-9/100"; size -1 = "*". */
struct str content_range(struct arena *a, int64_t offset, int64_t end, int64_t size);
/* The same for 416: a star instead of the part. */
struct str content_range_unsatisfied(struct arena *a, int64_t size);
/* Content-Range of an answer: "bytes 0-9/100"; a star as size gives -1 in *size_out. */
bool content_range_of(struct str header, int64_t *offset_out, int64_t *end_out, int64_t *size_out);

/* Content-Range of an upload: "0-99". */
bool upload_range_parse(struct str header, int64_t *offset_out, int64_t *end_out);
/* Range of an upload's answer: "0-99"; "0-0" while it is empty. */
struct str upload_range(struct arena *a, int64_t size);

#endif
