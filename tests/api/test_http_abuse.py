"""Hostile HTTP over raw sockets: each abuse is answered clearly or cut, and others are served.

H06 (paths) and H07 (ranges) have their cases in test_v2_abuse.py and test_v2_pull.py.
"""
import json
import os
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest
from conftest import Client, sha256

HOST = b"Host: x\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    cert, key = str(where / "cert.pem"), str(where / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def dial(server, receive=None):
    s = socket.socket()
    s.settimeout(10)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(("127.0.0.1", server.port))
    return s


def hear(s):
    """All until the end, whatever kind of end it is."""
    data = b""
    try:
        while part := s.recv(65536):
            data += part
    except OSError:
        pass
    return data


def ask(server, request, half_close=False):
    """(status, body) of the only reply; the server must close after it."""
    with dial(server) as s:
        try:
            s.sendall(request)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        data = hear(s)
    head, _, body = data.partition(b"\r\n\r\n")
    assert data.count(b"HTTP/1.1 ") == 1, data[:1000]
    assert b"connection: close" in head.lower(), data[:1000]
    return int(head.split(b" ", 2)[1]), body


def assert_oci_error(body):
    errors = json.loads(body)["errors"]
    assert errors[0]["code"] and errors[0]["message"]


def auth(server):
    return b"Authorization: " + server.admin.headers["Authorization"].encode() + b"\r\n"


def wait_for(what, seconds=10):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def wait_for_quiet(server):
    """Only the request that asks is there."""
    def quiet():
        got = server.metrics()
        return got["cove_http_connections"] == 1 and got["cove_http_in_flight"] == 1
    wait_for(quiet)


def assert_served(server):
    assert server.anonymous.get("/healthz").status == 200


# ---- H04: two readings of one request ---------------------------------------------------------


@pytest.mark.parametrize("headers", [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5,5\r\n", b"Content-Length:\r\n",
    b"Content-Length: +5\r\n", b"Content-Length: -5\r\n", b"Content-Length: 5 \r\n",
    b"Content-Length: 0x5\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"X: a\r\n b\r\n", b"X: a\nY: b\r\n",
    b"X: a\rY: b\r\n", b"X: a\0b\r\n", b": x\r\n", b"X y: a\r\n", b"Host: y\r\n", b"X\xe9: a\r\n",
    b"X" * 65536 + b": a\r\n", b"X: y\r\n" * 65, b"X: " + b"y" * 33000 + b"\r\n",
])
def test_h04_ambiguous_heads(cove, headers):
    """H04: 400 (431 when it is only too large), one reply, then the connection is closed: the
    request smuggled behind it is never read."""
    request = b"POST /v2/library/x/blobs/uploads/ HTTP/1.1\r\n" + HOST + headers + b"\r\n"
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    status, body = ask(cove, request + smuggled)
    assert status == (431 if len(headers) > 300 else 400)
    assert_oci_error(body)
    assert_served(cove)


@pytest.mark.parametrize("request_line, status", [
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400), (b"GET /healthz\r\n\r\n", 400),
    (b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /healthz HTTP/3.0\r\n" + HOST + b"\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /healthz HTTP/1.1\r\nHost: a@b\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\n", 400),
    (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Expect: the-worst\r\n\r\n", 417),
])
def test_h04_request_lines(cove, request_line, status):
    got, body = ask(cove, request_line)
    assert got == status
    assert_oci_error(body)


# ---- H05, H03: chunked bodies -----------------------------------------------------------------


@pytest.mark.parametrize("chunks", [
    b"-2\r\nab\r\n0\r\n\r\n", b"+2\r\nab\r\n0\r\n\r\n", b"0x2\r\nab\r\n0\r\n\r\n", b" 2\r\nab\r\n0\r\n\r\n",
    b"00000000000000002\r\nab\r\n0\r\n\r\n", b"ffffffffffffffff\r\nab", b"8000000000000000\r\nab",
    b"2;" + b"e" * (1 << 20) + b"\r\nab\r\n0\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n", b"2\nab\n0\n\n",
    b"2\r\nab\r\n", b"2\r\nab\r\n0\r\n" + b"T: x\r\n" * 2000 + b"\r\n", b"\r\n", b"zz\r\n",
])
def test_h05_chunks(cove, name, chunks):
    """H05: a broken chunk, an endless extension or trailer, and a missing last chunk are 400."""
    digest = sha256(b"ab").encode()
    head = b"POST /v2/" + name.encode() + b"/blobs/uploads/?digest=" + digest + b" HTTP/1.1\r\n"
    head += HOST + auth(cove) + b"Transfer-Encoding: chunked\r\n\r\n"
    status, body = ask(cove, head + chunks, half_close=True)
    assert status == 400, body
    assert_oci_error(body)
    assert cove.admin.get(f"/v2/{name}/blobs/{digest.decode()}").status == 404


def test_h05_good_chunks(cove, name):
    digest = sha256(b"hello world").encode()
    head = b"POST /v2/" + name.encode() + b"/blobs/uploads/?digest=" + digest + b" HTTP/1.1\r\n"
    head += HOST + auth(cove) + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    status, _ = ask(cove, head + b"5;x=y\r\nhello\r\n000006\r\n world\r\n0\r\nTrailer: z\r\n\r\n")
    assert status == 201
    assert cove.admin.get(f"/v2/{name}/blobs/{digest.decode()}").body == b"hello world"


def test_h03_half_closed_bodies_leave_no_slot(cove, name):
    """H03: 500 clients that half-close in the middle of a chunk; every counter returns."""
    request = b"POST /v2/" + name.encode() + b"/blobs/uploads/?digest=" + sha256(b"ab").encode()
    request += b" HTTP/1.1\r\n" + HOST + auth(cove) + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"
    for _ in range(10):
        clients = [dial(cove) for _ in range(50)]
        for s in clients:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
        for s in clients:
            data = hear(s)
            assert data == b"" or int(data.split(b" ", 2)[1]) >= 400, data[:300]
            s.close()
    wait_for_quiet(cove)
    assert_served(cove)


# ---- H07, H09 ---------------------------------------------------------------------------------


def test_h07_a_thousand_ranges(cove, name):
    digest = cove.admin.push_blob(name, b"0123456789" * 100)
    ranges = "bytes=" + ",".join(["0-"] * 1000)
    reply = cove.admin.get(f"/v2/{name}/blobs/{digest}", headers={"Range": ranges})
    assert (reply.status, len(reply.body)) in [(200, 1000)] or reply.status == 416


def test_h09_long_echoes(cove):
    """H09: what a reply repeats (scope, path, query) grows buffers, it never overruns them."""
    long = "a" * 7000
    for path in (f"/v2/{long}/manifests/x", f"/service/token?service=harbor-registry&scope={long}",
                 f"/api/v2.0/projects?name={long}&q={long[:500]}", f"/v2/_catalog?n=5&last={long}"):
        for client in (cove.anonymous, cove.admin):
            assert client.get(path).status < 500
    with dial(cove) as s:
        many = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 480) for i in range(60))
        s.sendall(b"GET /v2/ HTTP/1.1\r\n" + HOST + many + b"Connection: close\r\n\r\n")
        assert hear(s).startswith(b"HTTP/1.1 401")
    cove.check()


# ---- H10: TLS ---------------------------------------------------------------------------------


def openssl(server, *args, send=b""):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *args],
                          input=send, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def tls_shared(postgres, certificate):
    from conftest import Server
    server = Server(postgres, COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1])
    yield server
    try:
        server.stop()
    finally:
        server.remove()


@pytest.fixture
def secure(tls_shared):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls_shared.client_tls = Client(tls_shared, tls=context)
    yield tls_shared
    assert tls_shared.client_tls.get("/healthz").status == 200
    assert tls_shared.process.poll() is None


def test_h10_protocol(secure):
    old = openssl(secure, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert b"Cipher is (NONE)" in old.stdout
    long_name = openssl(secure, "-servername", "a" * 255, send=b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"Verify return code" in long_name.stdout
    again = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-tls1_2"],
                           input=b"R\n", capture_output=True, timeout=20)
    assert b"no renegotiation" in again.stderr.lower() or b"handshake failure" in again.stderr.lower()


def test_h10_garbage_and_plain_http(secure):
    for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        with dial(secure) as s:
            try:
                s.sendall(junk)
            except OSError:
                pass
            hear(s)


def test_h10_dribbled_records(secure):
    """A request in TLS records of one byte each is a request."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with dial(secure) as raw, context.wrap_socket(raw) as s:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            s.send(bytes([byte]))
        assert hear(s).startswith(b"HTTP/1.1 200")


# ---- H11: caps --------------------------------------------------------------------------------


def test_h11_more_connections_than_allowed(start):
    """H11: the surplus gets 503; who is in is served, and the store still has descriptors."""
    server = start(COVE_SERVER_CONNECTIONS=40)
    request = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    inside, refused = [], 0
    for _ in range(120):
        s = dial(server)
        try:
            s.sendall(request)
            data = s.recv(65536)
        except OSError:
            data = b""
        if data.startswith(b"HTTP/1.1 200"):
            inside.append(s)
            continue
        assert data == b"" or data.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in data
        refused += 1
        s.close()
    assert 30 <= len(inside) <= 40 and refused == 120 - len(inside)
    body = b"blob"
    inside[0].sendall(b"POST /v2/library/x/blobs/uploads/?digest=" + sha256(body).encode() +
                      b" HTTP/1.1\r\n" + HOST + auth(server) + b"Content-Length: 4\r\n\r\n" + body)
    assert inside[0].recv(65536).startswith(b"HTTP/1.1 201")
    for s in inside:
        s.close()
    wait_for(lambda: server.anonymous.get("/healthz").status == 200)


# ---- H01, H02, H10: those who never finish ----------------------------------------------------


class Slow:
    """Clients that send a few bytes (or read ten) every half second, and when each was cut."""

    def __init__(self, sockets, send=None):
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
                if events & (select.POLLHUP | select.POLLERR) or not self.open[fd][0].recv(10):
                    self.cut(fd)
            except OSError:
                self.cut(fd)
        for fd, (s, _) in list(self.open.items()) if self.send else ():
            try:
                s.send(self.send)
            except OSError:
                self.cut(fd)


def probe(server, stop, times):
    while not stop.is_set():
        began = time.monotonic()
        assert_served(server)
        times.append(time.monotonic() - began)
        time.sleep(0.05)


@pytest.mark.slow
def test_h01_h02_h10_slow_clients(start, certificate):
    """H01: heads of a byte at a time end within 10 s. H02: bodies below 1 KiB/s, in and out, end
    after 30 s. H10: so do handshakes that never end (10 s). All the while others are served."""
    server = start()
    other = start(COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1])
    blob = os.urandom(1 << 20) * 24
    digest = server.admin.push_blob("library/slow", blob).encode()
    upload = (b"POST /v2/library/slow/blobs/uploads/?digest=" + sha256(b"x").encode() +
              b" HTTP/1.1\r\n" + HOST + auth(server) + b"Content-Length: 1000000\r\n\r\n")
    download = b"GET /v2/library/slow/blobs/" + digest + b" HTTP/1.1\r\n" + HOST + auth(server) + b"\r\n"
    heads = Slow([dial(server) for _ in range(150)], send=b"a")
    shakes = Slow([dial(other) for _ in range(100)])
    writers = Slow([dial(server) for _ in range(30)], send=b"y" * 5)
    readers = Slow([dial(server, receive=4096) for _ in range(30)])
    for s, _ in heads.open.values():
        s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    for s, _ in shakes.open.values():
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for s, _ in writers.open.values():
        s.sendall(upload)
    for s, _ in readers.open.values():
        s.sendall(download)
    stop, times = threading.Event(), []
    prober = threading.Thread(target=probe, args=(server, stop, times))
    prober.start()
    groups = [heads, shakes, writers, readers]
    until = time.monotonic() + 38
    while time.monotonic() < until and any(g.open for g in groups):
        for g in groups:
            g.step()
        time.sleep(0.5)
    stop.set()
    prober.join()
    for who, g, least, most in (("heads", heads, 8, 11.5), ("handshakes", shakes, 8, 11.5),
                                ("writers", writers, 28, 37), ("readers", readers, 28, 37)):
        assert not g.open, (who, len(g.open), g.count)
        assert least < min(g.lives) and max(g.lives) < most, (who, min(g.lives), max(g.lives))
    times.sort()
    assert times[len(times) // 2] < 0.05 and times[-1] < 2, (times[len(times) // 2], times[-1])
    wait_for_quiet(server)
