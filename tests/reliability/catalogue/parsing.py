"""H: hostile HTTP over raw sockets: each abuse is answered clearly or cut, and others are served."""
import http.client
import json
import os
import select
import ssl
import subprocess
import threading
import time
import urllib.parse

from client import sha256

from .world import Skip, case, hear

HOST = b"Host: x\r\n"
AMBIGUOUS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5,5\r\n", b"Content-Length:\r\n",
    b"Content-Length: +5\r\n", b"Content-Length: -5\r\n", b"Content-Length: 5 \r\n",
    b"Content-Length: 0x5\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"X: a\r\n b\r\n", b"X: a\nY: b\r\n",
    b"X: a\rY: b\r\n", b"X: a\0b\r\n", b": x\r\n", b"X y: a\r\n", b"Host: y\r\n", b"X\xe9: a\r\n",
    b"X" * 65536 + b": a\r\n", b"X: y\r\n" * 65, b"X: " + b"y" * 33000 + b"\r\n",
]
FEW = AMBIGUOUS[:24]  # the others are too large for Cove, which is a limit and no ambiguity
REQUEST_LINES = [
    (b"GET /v2/ HTTP/1.1\r\n\r\n", 400), (b"GET /v2/\r\n\r\n", 400),
    (b"GET  /v2/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /v2/ HTTP/3.0\r\n" + HOST + b"\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /v2/ HTTP/1.1\r\nHost: a@b\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\n", 400),
    (b"GET /v2/ HTTP/1.1\r\n" + HOST + b"Expect: the-worst\r\n\r\n", 417),
]


def clear(world, check, answer, statuses, *what):
    """One reply of such a status, then the end; from Cove an error that clients can read."""
    check(answer.replies == 1, *what, "->", answer.replies, "replies", answer.data[:60])
    check(answer.status in statuses, *what, "->", answer.status)
    check(answer.closed, *what, "left the connection open")
    if world.strict:
        errors = json.loads(answer.body)["errors"]
        check(errors[0]["code"] and errors[0]["message"], *what, answer.body[:100])
        check(b"connection: close" in answer.head.lower(), *what, answer.head)


@case("H04", "two readings of one request (CVE-2021-40346): the smuggled one is never read")
def smuggling(world, check):
    uploads = b"/v2/library/x/blobs/uploads/"
    smuggled = b"0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
    for headers in AMBIGUOUS if world.strict else FEW:
        request = b"POST " + uploads + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n"
        answer = world.ask(request + smuggled)
        large = len(headers) > 300
        clear(world, check, answer, (431,) if large and world.strict else (400, 431, 501), headers[:50])
    for line, status in REQUEST_LINES:
        if not world.strict and status in (414, 417):
            continue  # limits of Cove's own
        answer = world.ask(line)
        if not world.strict and answer.closed and not answer.data:
            check(True)  # cut without a word is an answer too
            continue
        clear(world, check, answer, (status,) if world.strict else (400, 505), line[:40])


CHUNKS = [
    b"-2\r\nab\r\n0\r\n\r\n", b"+2\r\nab\r\n0\r\n\r\n", b"0x2\r\nab\r\n0\r\n\r\n", b" 2\r\nab\r\n0\r\n\r\n",
    b"00000000000000002\r\nab\r\n0\r\n\r\n", b"ffffffffffffffff\r\nab", b"8000000000000000\r\nab",
    b"2;" + b"e" * (1 << 20) + b"\r\nab\r\n0\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n", b"2\nab\n0\n\n",
    b"2\r\nab\r\n", b"2\r\nab\r\n0\r\n" + b"T: x\r\n" * 2000 + b"\r\n", b"\r\n", b"zz\r\n",
]


def upload_head(world, repo, data, headers):
    """The head of a request that finishes an upload with data."""
    location = world.admin.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
    place = urllib.parse.urlsplit(location)
    query = (place.query + "&" if place.query else "") + "digest=" + sha256(data)
    return (f"PUT {place.path}?{query} HTTP/1.1\r\n".encode() + HOST + world.auth() + headers +
            b"\r\n")


@case("H05", "broken chunks, endless extensions and trailers (CVE-2026-45352)")
def chunked(world, check):
    repo, blob = world.repo(), sha256(b"ab")
    for chunk in CHUNKS:
        head = upload_head(world, repo, b"ab", b"Transfer-Encoding: chunked\r\n")
        answer = world.ask(head + chunk, half_close=True)
        cut = answer.closed and not answer.data and not world.strict
        check(cut or 400 <= answer.status < 500 or (answer.status == 500 and not world.strict),
              chunk[:30], "->", answer.status)
        if world.strict:
            clear(world, check, answer, (400,), chunk[:30])
        check.status(world.admin.head(f"/v2/{repo}/blobs/{blob}"), 404, chunk[:30], "became a blob")
    head = upload_head(world, repo, b"hello world", b"Transfer-Encoding: chunked\r\nConnection: close\r\n")
    answer = world.ask(head + b"5;x=y\r\nhello\r\n000006\r\n world\r\n0\r\nTrailer: z\r\n\r\n")
    check(answer.status == 201, "good chunks", answer.data[:100])
    check(world.admin.get(f"/v2/{repo}/blobs/{sha256(b'hello world')}").body == b"hello world",
          "good chunks")


PATHS = [
    b"/v2/..%2f..%2fetc/passwd", b"/v2/%2e%2e/%2e%2e/healthz", b"/v2/library/../_catalog",
    b"/v2/library%2f..%2f..%2fhealthz", b"/v2//library//x//manifests//v1",
    b"/v2/%2F%2F/manifests/v1", b"/v2/library/%252e%252e/manifests/v1",
    b"/v2/library/x;/manifests/v1", b"/v2/library\\x/manifests/v1",
    b"/v2/library/x%00/manifests/v1", b"/v2/library/x/manifests/%00",
    b"/v2/library/%c0%ae%c0%ae/manifests/v1", b"/v2/library/%ff/manifests/v1",
    b"/api/v2.0/../../v2/_catalog", b"/api/v2.0/projects/library/repositories/..%252f..%252fx",
    b"/v2/library/x/manifests/v1%0d%0aSet-Cookie:x", b"/v2/library/x/manifests/" + b"v" * 129,
    b"/v2/" + b"a/" * 200 + b"manifests/v1", b"/V2/", b"/v2/LIBRARY/x/manifests/v1",
    b"/v2/library/x/blobs/uploads/..", b"/v2/.well-known/manifests/x",
]


@case("H06", "paths that say one thing to the router and another to the guard (CVE-2024-4956)")
def paths(world, check):
    for target in PATHS:
        answer = world.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + world.auth() +
                           b"Connection: close\r\n\r\n")
        moved = answer.status in (301, 307, 308, 405)  # to the cleaned path, which is asked again
        check(answer.status in (400, 404) or (moved and not world.strict), target[:60], "->",
              answer.status)
        check(b"Set-Cookie:x" not in answer.head and b"root:" not in answer.data, target[:60])
    answer = world.ask(b"GET /v2/_catalog HTTP/1.1\r\nHost: x/healthz?\r\nConnection: close\r\n\r\n")
    check(answer.status in (400, 401) or not world.accounts, "Host with a path ->", answer.status)


@case("H03", "500 clients that half-close in a chunked body: no slot is lost (CVE-2022-41556)")
def half_closed(world, check):
    if world.tls:
        raise Skip("TLS has no half-close")
    repo = world.repo()
    before = connections_of(world)
    for _ in range(10):
        request = upload_head(world, repo, b"ab", b"Transfer-Encoding: chunked\r\n") + b"9\r\nabc"
        clients = [world.dial() for _ in range(50)]
        for s in clients:
            s.sendall(request)
            s.shutdown(1)
        for s in clients:
            data, ended = hear(s)
            check(ended and (data == b"" or int(data.split(b" ", 2)[1]) >= 400), data[:100])
            s.close()
    until = time.monotonic() + 10
    while (more := connections_of(world) - before) > 50 and time.monotonic() < until:
        time.sleep(0.1)
    check(more <= 50, f"{more} descriptors more than before, after ten seconds")


def connections_of(world):
    """Descriptors that its process holds."""
    return len(os.listdir(f"/proc/{world.pid}/fd")) if world.pid else 0


@case("H07", "ranges: none, negative, huge, a thousand of them (CVE-2017-7529)")
def ranges(world, check):
    repo, text = world.repo(), b"0123456789" * 100
    digest = world.admin.push_blob(repo, text)
    for value in ("bytes=" + ",".join(["0-"] * 1000), "bytes=0-,-1,5-6,5-6", "bytes=18446744073709551615-",
                  "bytes=-18446744073709551616", "bytes=9-1", "bytes=-", "bytes=0-0-0", "lines=1-2",
                  "bytes=1000-", "bytes=99999999999999999999-", "bytes=-0"):
        try:
            reply = world.admin.get(f"/v2/{repo}/blobs/{digest}", headers={"Range": value})
        except http.client.HTTPException as why:
            check(False, value[:40], why)
            continue
        whole = reply.status == 200 and reply.body == text
        part = reply.status == 206 and len(reply.body) <= 2 * len(text)
        check(whole or part or reply.status == 416, value[:40], "->", reply.status, len(reply.body))
    for value, want in (("bytes=0-0", b"0"), ("bytes=-1", b"9"), ("bytes=998-5000", b"89")):
        reply = world.admin.get(f"/v2/{repo}/blobs/{digest}", headers={"Range": value})
        check(reply.status == 206 and reply.body == want, value, "->", reply.status, reply.body[:20])


@case("H08", "HTTP/2 is not spoken in the clear")
def http2(world, check):
    upgrade = (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
               b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
    answer = world.ask(upgrade)
    check(answer.status in (200, 400, 401), "Upgrade: h2c ->", answer.status)
    answer = world.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 1000)
    check(answer.closed and answer.status not in (101, 200), "PRI ->", answer.status, answer.data[:50])


@case("H09", "what a reply repeats grows buffers, it never overruns them (CVE-2026-42945)")
def echoes(world, check):
    long = "a" * 7000
    for path in (f"/v2/{long}/manifests/x", f"/service/token?service=harbor-registry&scope={long}",
                 f"/api/v2.0/projects?name={long}&q={long[:500]}", f"/v2/_catalog?n=5&last={long}"):
        for client in (world.anonymous, world.admin):
            reply = client.get(path)
            check(reply.status < 500, path[:40], "->", reply.status)
    many = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 480) for i in range(60))
    answer = world.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + many + b"Connection: close\r\n\r\n")
    check(answer.status in (200, 401), "60 long headers ->", answer.status)


@case("H10", "TLS: old versions, renegotiation, garbage, records of a byte")
def tls(world, check):
    if not world.tls_url:
        raise Skip("no TLS at this address")
    place = urllib.parse.urlsplit(world.tls_url)

    def openssl(*args, send=b""):
        return subprocess.run(["openssl", "s_client", "-connect", place.netloc, *args], input=send,
                              capture_output=True, timeout=20, check=False)

    old = openssl("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    check(b"Cipher is (NONE)" in old.stdout, "TLS 1.1 is spoken")
    named = openssl("-servername", "a" * 255, send=b"GET /v2/ HTTP/1.0\r\n\r\n")
    check(b"Verify return code" in named.stdout or b"unrecognized name" in named.stderr, "a long name")
    again = openssl("-tls1_2", send=b"R\n").stderr.lower()
    check(any(x in again for x in (b"no renegotiation", b"handshake failure", b"unexpected message")),
          "renegotiation", again[-200:])
    for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096),
                 b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        with world.dial(url=world.tls_url) as s:
            try:
                s.sendall(junk)
                s.shutdown(1)
            except OSError:
                pass
            data, ended = hear(s)
            check(ended and b"HTTP/1.1 200" not in data, junk[:20])
    import ssl
    with world.dial(url=world.tls_url) as raw, ssl._create_unverified_context().wrap_socket(raw) as s:
        for byte in b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            s.send(bytes([byte]))
        check(hear(s)[0].startswith(b"HTTP/1.1 "), "a request in records of a byte each")


@case("H11", "a thousand connections that say nothing: pushes go on")
def crowd(world, check):
    crowd = []
    try:
        for _ in range(1000):
            crowd.append(world.dial())
        repo, data = world.repo(), os.urandom(5000)
        began = time.monotonic()
        digest = world.admin.push_blob(repo, data)
        check(world.admin.get(f"/v2/{repo}/blobs/{digest}").body == data, "the blob")
        check(time.monotonic() - began < 3, "a push took", time.monotonic() - began)
    finally:
        for s in crowd:
            s.close()


@case("H12", "200 uploads of a gibibyte each that say no more: memory stays, pushes go on")
def promises(world, check):
    repo, held = world.repo(), []
    before = world.memory() if world.pid else 0
    try:
        for _ in range(200):
            s = world.dial()
            held.append(s)
            s.sendall(upload_head(world, repo, b"x", b"Content-Length: 1073741824\r\n") + b"y" * 4096)
        digest = world.admin.push_blob(repo, b"small")
        check.status(world.admin.head(f"/v2/{repo}/blobs/{digest}"), 200, "a small push")
        if world.pid:
            grown = (world.memory() - before) >> 20
            check(grown < 128, f"memory grew by {grown} MiB")
    finally:
        for s in held:
            s.close()


@case("H13", "10 MiB of JSON on any route is refused, and kept nowhere")
def large_bodies(world, check):
    body = b'{"a":"' + b"b" * (10 << 20) + b'"}'
    before = os.path.getsize(world.log) if world.log else 0
    for path in ("/api/v2.0/projects", "/api/v2.0/users", "/api/v2.0/robots", "/api/v2.0/registries",
                 "/c/login"):
        reply = world.admin.post(path, body, headers={"Content-Type": "application/json"})
        check(400 <= reply.status < 500, path, "->", reply.status)
    if world.log:
        check(os.path.getsize(world.log) - before < 5 << 20, "it is in the log")


# ---- those who never finish -------------------------------------------------------------------


class Slow:
    """Clients that send a few bytes (or read ten, or nothing) every half second, and when each was
    cut."""

    def __init__(self, sockets, send=None, read=True):
        self.read = read
        self.open = {s.fileno(): (s, time.monotonic()) for s in sockets}
        self.count, self.send, self.lives = len(sockets), send, []
        self.poll = select.poll()
        for fd in self.open:
            self.poll.register(fd, select.POLLIN)

    def cut(self, fd):
        s, began = self.open.pop(fd)
        self.lives.append(time.monotonic() - began)
        self.poll.unregister(fd)
        s.close()

    def step(self):
        for fd, events in self.poll.poll(0):
            try: # a reset shows at once, whatever is left to be read
                if events & (select.POLLHUP | select.POLLERR) or (
                        self.read and not self.open[fd][0].recv(10)):
                    self.cut(fd)
            except OSError:
                self.cut(fd)
        for fd, (s, _) in list(self.open.items()) if self.send else ():
            try:
                s.send(self.send)
            except OSError:
                self.cut(fd)


def probe(served, stop, times):
    while not stop.is_set():
        began = time.monotonic()
        served()
        times.append(time.monotonic() - began)
        time.sleep(0.05)


def watch(groups, seconds, served):
    """Steps the groups until all are cut or the time is over; others' times of an answer, sorted."""
    stop, times = threading.Event(), []
    prober = threading.Thread(target=probe, args=(served, stop, times))
    prober.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(g.open for g in groups):
        for g in groups:
            g.step()
        time.sleep(0.5)
    stop.set()
    prober.join()
    return sorted(times)


def end(world, check, group, most, what, times):
    check(not group.open, f"{what}: {len(group.open)} of {group.count} still open after {most} s")
    for fd in list(group.open):
        group.cut(fd)
    check(times[len(times) // 2] < 0.25 and times[-1] < 10, "others wait", times[len(times) // 2], times[-1])


@case("H01", "slowloris: 150 heads of a byte at a time are cut within 10 s", slow=True)
def slowloris(world, check):
    heads = Slow([world.dial() for _ in range(150)], send=b"a")
    for s, _ in heads.open.values():
        s.sendall(b"GET /v2/ HTTP/1.1\r\nX: ")
    times = watch([heads], 18, lambda: world.anonymous.get("/v2/"))
    end(world, check, heads, 18, "heads", times)


@case("H02", "bodies of a few bytes a second, in and out, are cut after half a minute", slow=True)
def slow_bodies(world, check):
    repo = world.repo()
    digest = world.admin.push_blob(repo, os.urandom(1 << 20) * 24).encode()
    writers = Slow([world.dial() for _ in range(30)], send=b"y" * 5)
    readers = Slow([world.dial(receive=4096) for _ in range(30)])
    for s, _ in writers.open.values():
        s.sendall(upload_head(world, repo, b"x", b"Content-Length: 1000000\r\n"))
    for s, _ in readers.open.values():
        s.sendall(b"GET /v2/" + repo.encode() + b"/blobs/" + digest + b" HTTP/1.1\r\n" + HOST +
                  world.auth() + b"\r\n")
    times = watch([writers, readers], 65, lambda: world.anonymous.get("/v2/"))
    end(world, check, writers, 65, "writers", times)
    end(world, check, readers, 65, "readers", times)
