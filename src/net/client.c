/*
 * Requests to strangers. One call is up to six hops on one pooled handle; each hop is a libcurl
 * transfer in a multi handle of its own, driven here so that deadlines are ours and exact: connect,
 * first byte, stall (time spent in the caller's sink does not count) and total.
 *
 * What libcurl may not decide by itself: redirects (followed here, vetted again each time, with
 * everything but harmless headers dropped once the host changes), addresses (vetted when a socket
 * is opened and again before a request goes out on a kept connection), proxies (from options, never
 * from the environment), decoding (never: digests are of the bytes as sent), cookies (none).
 */
#include "net/client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "net/handle.h"
#include "net/outbound.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REDIRECTS_MAX 5
#define CONNECT_MS 3000 /* these five where the call says nothing */
#define FIRST_BYTE_MS 15000
#define STALL_S 30
#define TOTAL_MS 30000
#define BODY_MAX ((size_t)1 << 20)
#define ANSWER_HEADERS_MAX 100
#define HEADER_BYTES_MAX ((size_t)64 << 10)
#define INTERIM_MAX 10
#define ERROR_BODY_MAX ((size_t)64 << 10)
#define STALL_BYTES 1024 /* a second */
#define LOOK_MS 250      /* how often a transfer that waits looks whether the process ends */

struct client {
    struct outbound policy;
    struct handles *handles;
    atomic_bool stopped;
};

struct transfer { /* one hop */
    struct ctx *c;
    struct client *cl;
    const struct client_call *call;
    struct handle *h;
    const struct url *url;
    bool own_host; /* the declared target itself: any address */
    bool proxied;
    bool refused; /* the policy said no to an address */
    bool enough;  /* ended by us, and that is fine: the rest of an error's body */
    enum err err; /* what a callback failed with; its reason is in c->msg */
    char curl_error[CURL_ERROR_SIZE];
    /* the head */
    struct header headers[ANSWER_HEADERS_MAX];
    size_t header_count, header_bytes;
    int status, interim;
    bool in_head, final, redirect, stream;
    struct str location;
    /* the body */
    struct buf body;
    int64_t received;
    /* times, monotonic ms; 0 = not yet */
    int64_t deadline, sent_ms, first_ms;
    int64_t window_ms, window_bytes, window_blocked_ms;
};

enum err client_new(struct ctx *c, const struct client_options *o, struct client **out)
{
    struct str ca = NO_STR;
    struct sigaction pipe;
    /* TLS writes to a closed connection would end the process; libcurl is told to leave signals
       alone, since it would change them for all threads on every call */
    if (sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
    if (o->ca_file.n && fd_read_file(c, o->ca_file, CA_FILE_MAX, &ca) != E_OK)
        return fail(c, E_BAD_REQUEST, "outbound.ca_file: cannot read %.*s", STR(o->ca_file));
    struct outbound policy;
    TRY(outbound_init(c, &o->allow, o->proxy, &o->no_proxy, &policy));
    struct client *cl = calloc(1, sizeof *cl);
    struct handles *handles = cl ? handles_new(ca) : NULL;
    if (!handles) {
        free(cl);
        outbound_release(&policy);
        return fail(c, E_INTERNAL, "out of memory");
    }
    cl->policy = policy;
    cl->handles = handles;
    *out = cl;
    return E_OK;
}

void client_free(struct client *cl)
{
    if (!cl)
        return;
    handles_free(cl->handles);
    outbound_release(&cl->policy);
    free(cl);
}

void client_stop(struct client *cl)
{
    if (cl)
        atomic_store(&cl->stopped, true);
}

/* Fails a transfer from inside a callback; the value makes libcurl stop. */
static size_t stop(struct transfer *t, enum err e, const char *why)
{
    t->err = fail(t->c, e, "%.*s: %s", STR(t->url->host), why);
    return 0;
}

/* the address policy */

static bool permitted(struct transfer *t, const struct address *a)
{
    bool ok = t->proxied || t->own_host || outbound_permits(&t->cl->policy, a);
    t->refused |= !ok;
    return ok;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *t = arg;
    struct address a;
    (void)purpose;
    if (!address_of(&to->addr, &a)) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    if (!permitted(t, &a))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Before each request, on new and kept connections alike. */
static int on_request(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    struct transfer *t = arg;
    struct address a;
    (void)own_ip, (void)peer_port, (void)own_port;
    bool ok = address_parse(str_of(peer_ip), &a) && permitted(t, &a);
    t->refused |= !ok;
    t->sent_ms = clock_mono_ms();
    return ok ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* the head */

static bool parse_status(struct str line, int *out)
{
    int64_t status;
    (void)str_cut(&line, ' ');
    struct str number = str_sub(line, 0, 3);
    if (number.n != 3 || !str_to_i64(number, &status) || status < 100 || status > 599)
        return false;
    if (line.n > 3 && line.p[3] != ' ')
        return false;
    *out = (int)status;
    return true;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("()<>@,;:\\\"/[]?={}", s.p[i]))
            return false;
    return s.n != 0;
}

static bool is_field_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

static struct str head_value(const struct transfer *t, const char *name)
{
    for (size_t i = 0; i < t->header_count; i++)
        if (str_eq_nocase(t->headers[i].name, str_of(name)))
            return t->headers[i].value;
    return NO_STR;
}

static bool follows(enum http_method m, int status)
{
    bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return moved && (m == HTTP_GET || m == HTTP_HEAD);
}

/* The blank line of a final head: what will become of the body? */
static size_t head_done(struct transfer *t, size_t n)
{
    const struct client_call *call = t->call;
    t->in_head = false;
    if (t->status < 200)
        return ++t->interim > INTERIM_MAX ? stop(t, E_UPSTREAM, "too many interim answers") : n;
    t->final = true;
    t->location = head_value(t, "location");
    t->redirect = follows(call->method, t->status) && t->location.n != 0;
    t->stream = call->sink && t->status < 300 && !t->redirect;
    /* some servers send an error's body to a HEAD; on a kept connection it would be taken for the
       next answer. 401 and 404 are too common to pay for a new connection each time */
    if (call->method == HTTP_HEAD && t->status >= 400 && t->status != 401 && t->status != 404)
        curl.easy_setopt(t->h->easy, CURLOPT_FORBID_REUSE, 1L);
    if (!t->stream)
        return n;
    int64_t before = clock_mono_ms();
    t->err = call->sink->head(call->sink->arg, t->status, t->headers, t->header_count);
    t->window_blocked_ms += clock_mono_ms() - before;
    return t->err == E_OK ? n : 0;
}

static size_t add_header(struct transfer *t, struct str line)
{
    struct str value = line, name = str_cut(&value, ':');
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return stop(t, E_UPSTREAM, "a folded header");
    if (t->header_count == ANSWER_HEADERS_MAX)
        return stop(t, E_UPSTREAM, "more than 100 headers");
    value = str_trim(value);
    if (!is_token(name) || !is_field_value(value))
        return 1; /* left out: nothing we look for is written so */
    t->headers[t->header_count++] =
        (struct header){str_dup(&t->c->mem, name), str_dup(&t->c->mem, value)};
    return 1;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * count;
    struct str line = {p, n};
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (t->final)
        return n; /* trailers */
    if (!t->first_ms)
        t->first_ms = t->window_ms = clock_mono_ms();
    t->header_bytes += n;
    if (t->header_bytes > HEADER_BYTES_MAX)
        return stop(t, E_UPSTREAM, "headers over 64 KiB");
    if (!t->in_head) {
        t->in_head = true;
        t->header_count = 0;
        if (!str_starts(line, S("HTTP/")) || !parse_status(line, &t->status))
            return stop(t, E_UPSTREAM, "not an HTTP answer");
        return n;
    }
    if (line.n == 0)
        return head_done(t, n);
    return add_header(t, line) ? n : 0;
}

/* the body */

static size_t collect(struct transfer *t, const void *p, size_t n)
{
    bool good = t->status < 300;
    size_t max = t->call->max_body ? t->call->max_body : BODY_MAX;
    if (!good)
        max = size_min(max, ERROR_BODY_MAX);
    t->body.max = max;
    if (n <= max - t->body.n)
        return buf_add(&t->body, p, n) ? n : stop(t, E_INTERNAL, "out of memory");
    if (good)
        return stop(t, E_UPSTREAM, "the answer is larger than allowed");
    if (!buf_add(&t->body, p, max - t->body.n))
        return stop(t, E_INTERNAL, "out of memory");
    t->enough = true; /* the beginning of an error page tells enough */
    return 0;
}

static size_t on_data(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * count;
    t->received += (int64_t)n;
    t->window_bytes += (int64_t)n;
    if (!t->stream)
        return collect(t, p, n);
    int64_t before = clock_mono_ms();
    t->err = t->call->sink->data(t->call->sink->arg, p, n);
    t->window_blocked_ms += clock_mono_ms() - before;
    return t->err == E_OK ? n : 0;
}

/* setting up */

/* Headers that may follow a redirect to another host. */
static bool harmless(struct str name)
{
    static const char *const names[] = {"accept", "range", "if-none-match", "if-modified-since",
                                        "user-agent"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl.slist_append(*list, line);
    if (more)
        *list = more;
    return more != NULL;
}

static enum err build_headers(struct ctx *c, const struct client_call *call, bool crossed,
                              struct curl_slist **out)
{
    bool ok = add_line(out, "Accept-Encoding: identity") && add_line(out, "Expect:");
    for (size_t i = 0; ok && i < call->header_count; i++) {
        const struct header *h = &call->headers[i];
        if (crossed && !harmless(h->name))
            continue;
        if (!is_token(h->name) || !is_field_value(h->value))
            return fail(c, E_BAD_REQUEST, "a header that cannot be sent");
        /* libcurl leaves out "Name:"; "Name;" is its way to send an empty one */
        struct str line = h->value.n ? str_fmt(&c->mem, "%.*s: %.*s", STR(h->name), STR(h->value))
                                     : str_fmt(&c->mem, "%.*s;", STR(h->name));
        ok = add_line(out, line.p);
    }
    return ok ? E_OK : fail(c, E_INTERNAL, "out of memory");
}

static const char *method_text(enum http_method m)
{
    static const char *const text[] = {
        [HTTP_OTHER] = "GET",     [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",
        [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH",
        [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };
    return text[m];
}

static void set_method(CURL *e, const struct client_call *call)
{
    if (call->method == HTTP_HEAD) {
        curl.easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (call->method == HTTP_GET) {
        curl.easy_setopt(e, CURLOPT_HTTPGET, 1L);
        return;
    }
    if (call->body.n || call->method == HTTP_POST || call->method == HTTP_PUT) {
        curl.easy_setopt(e, CURLOPT_POST, 1L);
        curl.easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        curl.easy_setopt(e, CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
    }
    curl.easy_setopt(e, CURLOPT_CUSTOMREQUEST, method_text(call->method));
}

static void set_callbacks(CURL *e, struct transfer *t)
{
    curl.easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl.easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl.easy_setopt(e, CURLOPT_WRITEFUNCTION, on_data);
    curl.easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl.easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl.easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    curl.easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
    curl.easy_setopt(e, CURLOPT_PREREQDATA, t);
    curl.easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_error);
}

static void set_tls(CURL *e, const struct handle *h)
{
    curl.easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl.easy_setopt(e, CURLOPT_SSL_VERIFYPEER, h->insecure ? 0L : 1L);
    curl.easy_setopt(e, CURLOPT_SSL_VERIFYHOST, h->insecure ? 0L : 2L);
    if (h->ca) {
        struct curl_blob blob = {.data = h->ca, .len = h->ca_n, .flags = CURL_BLOB_NOCOPY};
        curl.easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob);
    }
}

static void set_up(struct transfer *t, struct curl_slist *headers)
{
    CURL *e = t->h->easy;
    const struct client_call *call = t->call;
    curl.easy_reset(e); /* keeps connections and sessions */
    curl.easy_setopt(e, CURLOPT_URL, str_c(&t->c->mem, url_text(&t->c->mem, t->url)));
    curl.easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl.easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl.easy_setopt(e, CURLOPT_USERAGENT, "cove/" COVE_VERSION);
    curl.easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl.easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl.easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl.easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl.easy_setopt(e, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl.easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl.easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl.easy_setopt(e, CURLOPT_NOPROXY, ""); /* decided here; "" also shuts out the environment */
    curl.easy_setopt(e, CURLOPT_PROXY, t->proxied ? t->cl->policy.proxy : "");
    curl.easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a hanging resolver does not hold us */
    curl.easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl.easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(call->connect_ms > 0 ? call->connect_ms : CONNECT_MS));
    if (call->sink)
        curl.easy_setopt(e, CURLOPT_BUFFERSIZE, 512L << 10);
    set_callbacks(e, t);
    set_tls(e, t->h);
    set_method(e, call);
}

/* driving */

/* Milliseconds until the next deadline; *what_out says which. 0 or less = it has passed. */
static int64_t time_left(struct transfer *t, const char **what_out)
{
    int64_t now = clock_mono_ms(), left = INT64_MAX;
    const struct client_call *call = t->call;
    *what_out = "the time for this request is over";
    if (t->deadline)
        left = t->deadline - now;
    int64_t first = call->first_byte_ms > 0 ? call->first_byte_ms : FIRST_BYTE_MS;
    if (t->sent_ms && !t->first_ms && t->sent_ms + first - now < left) {
        left = t->sent_ms + first - now;
        *what_out = "no answer in time";
    }
    if (t->first_ms) {
        int64_t stall = call->stall_s > 0 ? call->stall_s : STALL_S;
        int64_t end = t->window_ms + t->window_blocked_ms + stall * 1000;
        if (end <= now && t->window_bytes >= stall * STALL_BYTES) {
            t->window_ms = now;
            t->window_bytes = t->window_blocked_ms = 0;
            end = now + stall * 1000;
        }
        if (end - now < left) {
            left = end - now;
            *what_out = "the answer stalled";
        }
    }
    return left;
}

/* Runs the transfer to its end or to a deadline. */
static enum err drive(struct transfer *t, CURLcode *result)
{
    int running = 1;
    const char *what = "";
    *result = CURLE_FAILED_INIT;
    if (curl.multi_add_handle(t->h->multi, t->h->easy) != CURLM_OK)
        return fail(t->c, E_INTERNAL, "libcurl refuses a transfer");
    bool late = false, stopped = false;
    while (curl.multi_perform(t->h->multi, &running) == CURLM_OK && running) {
        int64_t left = time_left(t, &what);
        late = left <= 0;
        stopped = atomic_load_explicit(&t->cl->stopped, memory_order_relaxed);
        if (late || stopped)
            break;
        curl.multi_poll(t->h->multi, NULL, 0, (int)i64_min(left, LOOK_MS), NULL);
    }
    int queued;
    for (CURLMsg *m; (m = curl.multi_info_read(t->h->multi, &queued));)
        if (m->msg == CURLMSG_DONE)
            *result = m->data.result;
    curl.multi_remove_handle(t->h->multi, t->h->easy);
    if (stopped && *result == CURLE_FAILED_INIT)
        return fail(t->c, E_UNAVAILABLE, "%.*s: the server ends", STR(t->url->host));
    if (late && *result == CURLE_FAILED_INIT)
        return fail(t->c, E_UPSTREAM_TIMEOUT, "%.*s: %s", STR(t->url->host), what);
    return E_OK;
}

static enum err refusal(struct ctx *c, const struct url *u)
{
    return fail(c, E_DENIED, "outbound.allow does not permit the address of %.*s", STR(u->host));
}

static enum err outcome(struct transfer *t, CURLcode rc)
{
    struct ctx *c = t->c;
    struct str host = t->url->host;
    if (t->err != E_OK)
        return t->err;
    if (rc == CURLE_OK && !t->final)
        return fail(c, E_UPSTREAM, "%.*s: no answer", STR(host));
    if (rc == CURLE_OK || t->enough)
        return E_OK;
    if (t->refused)
        return refusal(c, t->url);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return fail(c, E_UPSTREAM_TIMEOUT, "%.*s: no connection in time", STR(host));
    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        return fail(c, E_UPSTREAM, "%.*s: its certificate is not trusted: %s", STR(host),
                    t->curl_error[0] ? t->curl_error : curl.easy_strerror(rc));
    return fail(c, E_UPSTREAM, "%.*s: %s", STR(host), curl.easy_strerror(rc));
}

static void slist_done(struct curl_slist **list)
{
    curl.slist_free_all(*list);
}

static enum err run_hop(struct transfer *t, bool crossed)
{
    CLEANUP(slist_done) struct curl_slist *headers = NULL;
    TRY(build_headers(t->c, t->call, crossed, &headers));
    set_up(t, headers);
    CURLcode rc;
    enum err e = drive(t, &rc);
    curl.easy_reset(t->h->easy); /* no pointer into this stack frame stays behind */
    return e == E_OK ? outcome(t, rc) : e;
}

/* redirects */

static enum err next_url(struct transfer *t, struct url *out)
{
    struct ctx *c = t->c;
    if (url_join(c, t->url, t->location, out) != E_OK) {
        struct str why = str_dup(&c->mem, str_of(c->msg));
        return fail(c, E_DENIED, "%.*s: redirect refused: %.*s", STR(t->url->host), STR(why));
    }
    if (t->url->https && !out->https)
        return fail(c, E_DENIED, "%.*s: redirect from https to http refused", STR(t->url->host));
    return E_OK;
}

/* What can be decided before connecting: the host's place and, through a proxy, its name. */
static enum err vet(struct transfer *t, const struct url *base)
{
    const struct client_target *target = t->call->target;
    t->own_host = target->declared && base->host.n && url_same_host(t->url, base);
    t->proxied = outbound_proxied(&t->cl->policy, t->url);
    if (t->own_host || !t->proxied || outbound_permits_name(&t->cl->policy, t->url))
        return E_OK;
    return refusal(t->c, t->url);
}

static enum err finish(struct transfer *t, struct client_answer *out)
{
    struct ctx *c = t->c;
    struct header *copy = arena_alloc(&c->mem, (t->header_count + 1) * sizeof *copy);
    memcpy(copy, t->headers, t->header_count * sizeof *copy);
    char *body = arena_try(&c->mem, t->body.n + 1);
    if (!body)
        return fail(c, E_UPSTREAM, "%.*s: the answer is larger than allowed", STR(t->url->host));
    if (t->body.n)
        memcpy(body, t->body.p, t->body.n);
    *out = (struct client_answer){
        .status = t->status,
        .headers = copy,
        .header_count = t->header_count,
        .body = {body, t->body.n},
        .final_url = url_text(&c->mem, t->url),
    };
    return E_OK;
}

static void transfer_done(struct transfer **t)
{
    if (!*t)
        return;
    buf_release(&(*t)->body);
    free(*t);
}

/* A call on its way from host to host. */
struct journey {
    struct client *cl;
    const struct client_call *call;
    struct handle *h;
    struct url base; /* of the target; without a host when it has none */
    struct url url;  /* where the next hop goes */
    int64_t deadline;
    bool crossed; /* another host than the first was asked */
};

/* One hop: *out is the answer, or j->url leads on and *more_out is true. */
static enum err hop(struct ctx *c, struct journey *j, bool *more_out, struct client_answer *out)
{
    CLEANUP(transfer_done) struct transfer *t = calloc(1, sizeof *t);
    struct url next;
    if (!t)
        return fail(c, E_INTERNAL, "out of memory");
    t->c = c;
    t->cl = j->cl;
    t->call = j->call;
    t->h = j->h;
    t->url = &j->url;
    t->deadline = j->deadline;
    TRY(vet(t, &j->base));
    TRY(run_hop(t, j->crossed));
    *more_out = t->redirect;
    if (!t->redirect)
        return finish(t, out);
    TRY(next_url(t, &next));
    j->crossed |= !url_same_host(&j->url, &next);
    j->url = next;
    return E_OK;
}

static enum err follow(struct ctx *c, struct journey *j, struct client_answer *out)
{
    const struct client_call *call = j->call;
    int64_t total = call->total_ms > 0 ? call->total_ms : call->sink ? 0 : TOTAL_MS;
    j->deadline = total ? clock_mono_ms() + total : 0;
    if (call->target->base_url.n)
        TRY(url_parse(c, call->target->base_url, &j->base));
    bool more = true;
    for (int hops = 0; more; hops++) {
        if (hops > REDIRECTS_MAX)
            return fail(c, E_UPSTREAM, "%.*s: more than %d redirects", STR(j->url.host),
                        REDIRECTS_MAX);
        TRY(hop(c, j, &more, out));
    }
    return E_OK;
}

enum err client_do(struct ctx *c, struct client *cl, const struct client_call *call,
                   struct client_answer *out)
{
    struct journey j = {.cl = cl, .call = call};
    TRY(url_parse(c, call->url, &j.url));
    TRY(handle_acquire(c, cl->handles, call->target, call->sink != NULL, &j.h));
    enum err e = follow(c, &j, out);
    handle_release(cl->handles, j.h);
    return e;
}

enum err client_check_url(struct ctx *c, struct client *cl, const struct client_target *target,
                          struct str url)
{
    struct url u, base;
    struct address a;
    TRY(url_parse(c, url, &u));
    if (target->declared && target->base_url.n) {
        TRY(url_parse(c, target->base_url, &base));
        if (url_same_host(&u, &base))
            return E_OK;
    }
    if (u.literal && address_parse(u.host, &a) && !outbound_permits(&cl->policy, &a))
        return refusal(c, &u);
    return E_OK;
}

struct str answer_header(const struct client_answer *a, const char *name)
{
    for (size_t i = 0; i < a->header_count; i++)
        if (str_eq_nocase(a->headers[i].name, str_of(name)))
            return a->headers[i].value;
    return NO_STR;
}
