"""Many clients who only wait: idle connections, and readers slower than what they asked for. Others
are answered meanwhile."""
import os
import select
import socket
import ssl
import time

import pytest
from conftest import Server, sha256
from proxied import Puller, eventually, proxy_of
from upstream import Upstream

CROWD, THREADS = 40, 8
BLOB = os.urandom(1 << 20) * 24  # more than the sockets between us hold


def dial(server, tls=None):
    """A connection whose reader takes little at a time."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20)
    s.connect(("127.0.0.1", server.port))
    return tls.wrap_socket(s) if tls else s


def ask(s, path, auth):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode())


def status_of(s):
    """Of an answer; whatever came with it is dropped."""
    return int(s.recv(4096).split(b" ")[1])


def slow_readers(server, path, auth, tls=None):
    """CROWD clients with the beginning of their answer, which then read no more."""
    readers = []
    for _ in range(CROWD):
        readers.append(dial(server, tls))
        ask(readers[-1], path, auth)
        assert status_of(readers[-1]) == 200
    return readers


def answered(client, path="/v2/", times=20):
    """The longest that one of so many answers took, in seconds."""
    longest = 0
    for _ in range(times):
        began = time.monotonic()
        reply = client.get(path)
        longest = max(longest, time.monotonic() - began)
        assert reply.status == 200, reply
    return longest


def trusting():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def close_all(sockets):
    for s in sockets:
        s.close()


# ---- descriptors ------------------------------------------------------------------------------

FILES = 400
CONNECTIONS = 263  # of 400: 100 are for the rest of the process, 37 for requests alone


class Narrow(Server):
    prefix = ["prlimit", f"--nofile={FILES}:{FILES}"]


@pytest.fixture
def narrow(postgres):
    server = Narrow(postgres)
    yield server
    try:
        server.stop()
    finally:
        server.remove()


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def crowd_in(server):
    """Idle connections, each of which has had an answer, until one is told to come later."""
    crowd = []
    while len(crowd) < FILES:
        s = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        said = s.recv(4096)
        if b" 503 " in said:
            assert b"Retry-After: " in said
            s.close()
            return crowd
        assert b" 200 " in said
        crowd.append(s)
    raise AssertionError("nobody was refused")


def test_idle_connections_leave_descriptors_for_requests(narrow):
    """The last that is let in is still served, and so are nine at once: what is open never passes
    the limit, and who is refused comes in when others have left."""
    digest = narrow.admin.push_blob("library/x", BLOB)
    auth, data = narrow.admin.headers["Authorization"], os.urandom(5000)
    crowd = crowd_in(narrow)
    assert CONNECTIONS - 8 <= len(crowd) <= CONNECTIONS  # two requests may have been under way
    for s in crowd[-9:]:  # a push, of two descriptors and more
        s.sendall(f"POST /v2/library/x/blobs/uploads/?digest={sha256(data)} HTTP/1.1\r\nHost: x\r\n"
                  f"Authorization: {auth}\r\nContent-Length: {len(data)}\r\n\r\n".encode())
    for s in crowd[-9:]:
        s.sendall(data)
    for s in crowd[-9:]:
        assert status_of(s) == 201
    statuses = []
    for s in crowd:  # readers of a file that take no more than its beginning
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask(s, f"/v2/library/x/blobs/{digest}", auth)
        said = s.recv(4096)
        statuses.append(int(said.split(b" ")[1]))
        assert statuses[-1] == 200 or b"Retry-After: " in said
        assert open_files(narrow) <= FILES - 50
    assert set(statuses) == {200, 503} and statuses.count(200) >= 30
    close_all(crowd)
    eventually(lambda: open_files(narrow) < 100)
    assert narrow.admin.get("/v2/").status == 200
    assert "descriptor" not in narrow.stderr()


# ---- slow readers -----------------------------------------------------------------------------


def test_slow_readers_over_tls_hold_nobody_up(start, certificate):
    server = start(COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1],
                   COVE_SERVER_THREADS=THREADS)
    tls = trusting()
    admin = server.admin
    admin.tls = tls
    path = f"/v2/library/x/blobs/{admin.push_blob('library/x', BLOB)}"
    readers = slow_readers(server, path, admin.headers["Authorization"], tls)
    assert answered(admin) < 5
    whole = admin.get(path)
    assert sha256(whole.body) == path.rsplit("/", 1)[1]
    close_all(readers)


def test_slow_readers_over_tls_get_every_byte(start, certificate):
    """What was sent in pieces between others' turns is what was pushed."""
    server = start(COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1],
                   COVE_SERVER_THREADS=THREADS)
    admin = server.admin
    admin.tls = trusting()
    digest = admin.push_blob("library/x", BLOB)
    readers = []
    for _ in range(3):
        readers.append(dial(server, admin.tls))
        s = readers[-1]
        ask(s, f"/v2/library/x/blobs/{digest}", admin.headers["Authorization"])
    for s in readers:
        f = s.makefile("rb")
        while f.readline() not in (b"\r\n", b""):
            pass
        body = b""
        while len(body) < len(BLOB):
            part = f.read(min(1_000_003, len(BLOB) - len(body)))
            assert part
            body += part
            time.sleep(0.02)
        assert sha256(body) == digest
        ask(s, "/v2/", admin.headers["Authorization"])
        assert status_of(s) == 200
    close_all(readers)


def test_slow_readers_of_long_answers_hold_nobody_up(start):
    """Answers that are no files: a manifest of nearly four MiB, asked for again and again."""
    server = start(COVE_SERVER_THREADS=THREADS)
    admin = server.admin
    payload = admin.image("library/x", annotations={"note": "x" * (3900 << 10)})
    digest = admin.push_manifest("library/x", "1", payload)
    auth = admin.headers["Authorization"]
    readers = []
    for _ in range(12):
        readers.append(dial(server))
        for _ in range(6):
            ask(readers[-1], f"/v2/library/x/manifests/{digest}", auth)
        assert status_of(readers[-1]) == 200
    assert answered(admin) < 5
    s, got = readers[0], 0  # who reads on gets all of them
    while got < 5 * len(payload):
        part = s.recv(1 << 20)
        assert part
        got += len(part)
    close_all(readers)


def following(server, up, image):
    """CROWD readers of a blob that is being fetched."""
    auth = "Bearer " + Puller(server).token("x")
    readers = slow_readers(server, f"/v2/hub/x/blobs/{image.layers[0]}", auth)
    assert up.count("GET", "/blobs/") == 1
    return readers


@pytest.mark.parametrize("step", [
    {"rate": 4 << 20}, {"cut_at": 300_000, "stall": 20}], ids=["a slow reader", "a silent upstream"])
def test_readers_of_a_fetch_under_way_hold_nobody_up(start, step):
    with Upstream() as up:
        image = up.add_image("x", "1", [BLOB])
        up.script(f"/blobs/{image.layers[0]}", {**step, "times": 0})
        server = start(proxy_of(up), COVE_SERVER_THREADS=THREADS)
        readers = following(server, up, image)
        assert answered(server.admin) < 5
        close_all(readers)
        assert answered(server.admin) < 5


def ended(s):
    """Has the other side reset the connection, whatever is left to be read?"""
    poll = select.poll()
    poll.register(s, 0)
    return bool(poll.poll(0))


@pytest.mark.waits
def test_who_does_not_read_is_cut_after_half_a_minute(start, certificate):
    server = start(COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1])
    admin = server.admin
    admin.tls = trusting()
    auth = admin.headers["Authorization"]
    payload = admin.image("library/x", annotations={"note": "x" * (3900 << 10)})
    manifest = f"/v2/library/x/manifests/{admin.push_manifest('library/x', '1', payload)}"
    readers = slow_readers(server, f"/v2/library/x/blobs/{admin.push_blob('library/x', BLOB)}", auth,
                           admin.tls)
    for _ in range(5):
        readers.append(dial(server, admin.tls))
        for _ in range(6):
            ask(readers[-1], manifest, auth)
    began = time.monotonic()
    assert not any(ended(s) for s in readers)
    eventually(lambda: all(ended(s) for s in readers))
    assert time.monotonic() - began > 20
    assert admin.get("/v2/").status == 200
    close_all(readers)
