"""Hostile HTTP that needs a server of its own: caps on connections, and those who never finish. The
catalogue of abuse is test_abuse.py.
"""
import os
import socket
import ssl
import sys
import time

import pytest
from conftest import PASSWORD, ROOT, Client, sha256

sys.path.insert(0, os.path.join(ROOT, "tests/reliability"))
from catalogue.parsing import Slow, watch  # noqa: E402

HOST = b"Host: x\r\n"
INSECURE = ssl._create_unverified_context()


def dial(server, receive=None):
    s = socket.socket()
    s.settimeout(10)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(("127.0.0.1", server.port))
    return s


def auth(server):
    return b"Authorization: " + server.admin.headers["Authorization"].encode() + b"\r\n"


def wait_for(what, seconds=60):
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


@pytest.mark.waits
def test_h01_h02_h10_slow_clients(start, certificate):
    """H01: heads of a byte at a time end within 10 s. H02: bodies below 1 KiB/s, in and out, end
    after 30 s, over TLS too and when nothing at all is read. H10: so do handshakes that never end (10 s). All the while others are served."""
    server = start()
    other = start(COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1])
    blob = os.urandom(1 << 20) * 24
    digest = server.admin.push_blob("library/slow", blob).encode()
    Client(other, "admin", PASSWORD, tls=INSECURE).push_blob("library/slow", blob)
    upload = (b"POST /v2/library/slow/blobs/uploads/?digest=" + sha256(b"x").encode() +
              b" HTTP/1.1\r\n" + HOST + auth(server) + b"Content-Length: 1000000\r\n\r\n")
    download = b"GET /v2/library/slow/blobs/" + digest + b" HTTP/1.1\r\n" + HOST + auth(server) + b"\r\n"
    heads = Slow([dial(server) for _ in range(150)], send=b"a")
    shakes = Slow([dial(other) for _ in range(100)])
    writers = Slow([dial(server) for _ in range(30)], send=b"y" * 5)
    readers = Slow([dial(server, receive=4096) for _ in range(30)])
    deaf = Slow([INSECURE.wrap_socket(dial(other, receive=4096)) for _ in range(30)], read=False)
    for s, _ in (*readers.open.values(), *deaf.open.values()):
        s.sendall(download)
    for s, _ in heads.open.values():
        s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    for s, _ in shakes.open.values():
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for s, _ in writers.open.values():
        s.sendall(upload)
    times = watch([heads, shakes, writers, readers, deaf], 65, lambda: assert_served(server))
    for who, g, least, most in (("heads", heads, 8, 18), ("handshakes", shakes, 8, 18),
                                ("writers", writers, 28, 65), ("readers", readers, 28, 65),
                                ("deaf", deaf, 28, 65)):
        assert not g.open, (who, len(g.open), g.count)
        assert least < min(g.lives) and max(g.lives) < most, (who, min(g.lives), max(g.lives))
    assert times[len(times) // 2] < 0.25 and times[-1] < 10, (times[len(times) // 2], times[-1])
    wait_for_quiet(server)
