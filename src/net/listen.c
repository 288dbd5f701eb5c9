/* One socket per listener, non-blocking, with a deep backlog. */
#include "net/listen.h"

#include "base/fd.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static void info_done(struct addrinfo **info)
{
    if (*info)
        freeaddrinfo(*info);
}

static enum err resolve(struct ctx *c, struct str address, struct addrinfo **out)
{
    int64_t colon = str_rfind(address, ':');
    struct str host = str_sub(address, 0, colon < 0 ? 0 : (size_t)colon);
    struct str port = str_sub(address, colon < 0 ? 0 : (size_t)colon + 1, address.n);
    int64_t number;
    if (colon < 0 || !str_to_i64(port, &number) || number < 0 || number > 65535)
        return fail(c, E_BAD_REQUEST, "%.*s is no address to listen on: write host:port",
                    STR(address));
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 2);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int why = getaddrinfo(host.n ? str_c(&c->mem, host) : NULL, str_c(&c->mem, port), &hints, out);
    if (why != 0)
        return fail(c, E_BAD_REQUEST, "cannot listen on %.*s: %s", STR(address), gai_strerror(why));
    return E_OK;
}

static int port_of(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return 0;
    return sa.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&sa)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

enum err listen_on(struct ctx *c, struct str address, int *fd_out, int *port_out)
{
    CLEANUP(info_done) struct addrinfo *info = NULL;
    TRY(resolve(c, address, &info));
    CLEANUP(fd_done)
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return fail_errno(c, E_INTERNAL, errno, "cannot make a socket for %.*s", STR(address));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, 4096) != 0)
        return fail_errno(c, errno == EADDRINUSE ? E_CONFLICT : E_BAD_REQUEST, errno,
                          "cannot listen on %.*s", STR(address));
    *port_out = port_of(fd);
    *fd_out = fd_take(&fd);
    return E_OK;
}
