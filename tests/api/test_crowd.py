"""Many clients who only wait: idle connections; others are answered meanwhile."""
import os
import socket

import pytest
from conftest import Server, sha256
from proxied import eventually

BLOB = os.urandom(1 << 20) * 24  # more than the sockets between us hold


def ask(s, path, auth):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode())


def status_of(s):
    """Of an answer; whatever came with it is dropped."""
    return int(s.recv(4096).split(b" ")[1])


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
