"""What the store promises, seen from outside: resumed uploads, garbage collection beside the
server, missing objects, a full disk, the commands of the control socket."""
import glob
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import threading
from base64 import b64encode

import pytest

from conftest import PASSWORD, binary, sha256
from proxied import eventually

OCTETS = {"Content-Type": "application/octet-stream"}


def command(server, *words, stdin=""):
    """`cove WORDS...` with the server's environment: (exit status, what it said)."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVE_")}
    env.update(server.env)
    done = subprocess.run([binary(), *words], env=env, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def objects(server):
    return glob.glob(os.path.join(server.env["COVE_DATA"], "data", "*", "*"))


def test_a_push_waits_for_whoever_holds_the_database(start):
    server = start()
    if server.env.get("COVE_DATABASE"):
        pytest.skip("of SQLite")
    other = sqlite3.connect(os.path.join(server.env["COVE_DATA"], "cove.db"), isolation_level=None,
                            check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: other.execute("ROLLBACK")).start()
    server.admin.push_blob("library/a", secrets.token_bytes(100))


def test_upload_goes_on_after_kill(start):
    server = start()
    data = secrets.token_bytes(300000)
    at = server.admin.post("/v2/library/a/blobs/uploads/").headers["Location"]
    reply = server.admin.patch(at, data[:200000], headers={**OCTETS, "Content-Range": "0-199999"})
    assert reply.status == 202, reply
    server.kill()
    server.start()
    reply = server.admin.get(at)
    assert reply.status == 204 and reply.headers["Range"] == "0-199999", reply
    reply = server.admin.patch(at, data[200000:],
                               headers={**OCTETS, "Content-Range": "200000-299999"})
    assert reply.status == 202, reply
    mark = "&" if "?" in reply.headers["Location"] else "?"
    reply = server.admin.put(reply.headers["Location"] + mark + "digest=" + sha256(data))
    assert reply.status == 201, reply
    assert server.admin.get("/v2/library/a/blobs/" + sha256(data)).body == data
    assert server.admin.get(at).status == 404
    assert command(server, "fsck", "--full")[0] == 0


def test_collection_beside_the_server(start):
    server = start(COVE_GC_LEASE_S=1)
    kept, payload = server.admin.push_image("library/a", "kept", layers=(b"shared", b"kept"))
    gone, _ = server.admin.push_image("library/a", "gone", layers=(b"shared", b"gone"))
    assert server.admin.delete("/v2/library/a/manifests/" + gone).status == 202
    threading.Event().wait(1.2)
    status, said = command(server, "gc", "--grace", "0")
    assert status == 0 and "deleted 2 blobs" in said, said  # its config and its own layer
    assert server.admin.get("/v2/library/a/blobs/" + sha256(b"gone")).status == 404
    assert server.admin.get("/v2/library/a/blobs/" + sha256(b"shared")).body == b"shared"
    assert server.admin.get("/v2/library/a/manifests/" + kept).body == payload
    assert len(objects(server)) == 3
    assert command(server, "fsck", "--full")[0] == 0


def test_collection_never_fails_a_push(start):
    """Pushes that trust each other's blobs, with collections without grace all the time."""
    server, stop, wrong = start(COVE_GC_LEASE_S=30), threading.Event(), []

    def collect():
        while not stop.is_set():
            status, said = command(server, "gc", "--grace", "0")
            if status:
                wrong.append(said)

    def push(number):
        for i in range(15):
            digest, _ = server.admin.push_image(f"library/p{number}", f"v{i}", layers=(b"common",))
            if i % 2:
                reply = server.admin.delete(f"/v2/library/p{number}/manifests/{digest}")
                if reply.status != 202:
                    wrong.append(repr(reply))

    collector = threading.Thread(target=collect)
    pushers = [threading.Thread(target=push, args=(n,)) for n in range(3)]
    for thread in [collector, *pushers]:
        thread.start()
    for thread in pushers:
        thread.join()
    stop.set()
    collector.join()
    assert not wrong
    for n in range(3):
        assert server.admin.get(f"/v2/library/p{n}/manifests/v14").status == 200
    status, said = command(server, "fsck", "--full")
    assert status == 0, said


def test_missing_object_is_not_404(start):
    server = start()
    server.admin.push_image("library/a", "v1", layers=(b"x" * 1000,))
    for path in objects(server):
        if os.path.getsize(path) == 1000:
            os.unlink(path)
    url = "/v2/library/a/blobs/" + sha256(b"x" * 1000)
    assert server.admin.get(url).status == 503
    assert server.admin.get(url).status == 503  # and stays so
    status, said = command(server, "fsck")
    assert status == 3 and "library/a:v1" in said, said
    server.admin.push_blob("library/a", b"x" * 1000)
    assert server.admin.get(url).status == 200
    assert command(server, "fsck", "--full")[0] == 0


def test_full_disk_is_507(start, tmpfs):
    place = tmpfs(12)
    server = start(COVE_DATA=os.path.join(place, "data"))
    small = server.admin.push_blob("library/a", b"small")
    big = secrets.token_bytes(16 << 20)
    reply = server.admin.post(f"/v2/library/a/blobs/uploads/?digest={sha256(big)}", big,
                              headers=OCTETS)
    assert reply.status == 507, reply
    assert server.admin.get("/v2/library/a/blobs/" + small).body == b"small"
    server.stop()


def test_the_reserve_is_left_free(start, tmpfs):
    """What does not fit is told before it is sent, or where it becomes too much; pulls go on."""
    place = tmpfs(128)

    def free():
        room = os.statvfs(place)
        return room.f_bavail * room.f_frsize
    server = start(COVE_DATA=os.path.join(place, "data"), COVE_STORE_RESERVE="48MiB")
    kept = server.admin.push_image("library/a", "v1", layers=(secrets.token_bytes(10 << 20),))
    url = "/v2/library/a/blobs/uploads/"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
        login = b64encode(f"admin:{PASSWORD}".encode()).decode()
        s.sendall(f"POST {url}?digest={sha256(b'big')} HTTP/1.1\r\nHost: cove\r\nAuthorization: Basic {login}\r\n"
                  f"Content-Length: {100 << 20}\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 507 ")  # before a byte of it was sent
    location = server.admin.post(url).headers["Location"]
    reply = server.admin.patch(location, (bytes(1 << 20) for _ in range(100)))
    assert reply.status == 507 and "no space left" in reply.message, reply
    assert free() >= 38 << 20, free()  # what has no length is looked at every 8 MiB
    assert server.admin.delete(location).status == 204
    server.admin.push_blob("library/a", secrets.token_bytes(1 << 20))
    assert server.admin.get("/v2/library/a/manifests/v1").body == kept[1]
    server.stop()


def test_a_full_disk_is_emptied_by_deletes(start, postgres, tmpfs):
    """Somebody else took the last byte: the reserve lets the database write what gives room again,
    and is not for pushes."""
    if postgres:
        pytest.skip("the database is elsewhere")
    place = tmpfs(48)
    server = start(COVE_DATA=os.path.join(place, "data"), COVE_GC_GRACE_S=0)
    pushed = [server.admin.push_blob("library/a", secrets.token_bytes(300_000))
              for _ in range(40)]
    server.restart()  # the log of the database begins anew
    filler = os.path.join(place, "filler")
    with open(filler, "wb", buffering=0) as f:
        for size in (1 << 20, 4096, 1):
            try:
                while f.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    def delete(digest):
        return server.admin.delete(f"/v2/library/a/blobs/{digest}").status
    eventually(lambda: delete(pushed[0]) == 202)
    data = secrets.token_bytes(300_000)
    reply = server.admin.post(f"/v2/library/a/blobs/uploads/?digest={sha256(data)}", data,
                              headers=OCTETS)
    assert reply.status == 507, reply
    assert [delete(x) for x in pushed[1:]] == [202] * 39
    assert command(server, "gc")[0] == 0
    os.unlink(filler)
    eventually(lambda: os.path.getsize(os.path.join(place, "data", "reserve")) > 1 << 20)
    server.admin.push_blob("library/a", secrets.token_bytes(10 << 20))
    server.stop()


def test_commands_with_and_without_a_server(start):
    server = start()
    server.admin.push_image("library/a", "v1")
    assert command(server, "fsck")[0] == 0
    assert command(server, "gc", "--grace", "x")[0] == 2
    assert command(server, "user", "passwd", "nobody", stdin="Another-Pass-1\n")[0] == 2
    assert command(server, "user", "passwd", "admin", stdin="short\n")[0] == 2
    status, said = command(server, "user", "passwd", "admin", stdin="Another-Pass-1\n")
    assert status == 0, said
    assert server.admin.get("/v2/").status == 401
    assert server.client("admin", "Another-Pass-1").get("/v2/").status == 200
    control = os.path.join(server.env["COVE_DATA"], "cove.sock")
    assert os.stat(control).st_mode & 0o777 == 0o600
    server.stop()
    assert not os.path.exists(control)
    status, said = command(server, "fsck", "--full")
    assert status == 0 and "2 blobs, 1 manifests" in said, said
    status, said = command(server, "user", "list")
    assert status == 0 and "admin" in said


def test_one_server_per_directory(start):
    server = start()
    status, said = command(server, "serve")
    assert status == 1 and "in use" in said, said


def test_a_large_repository_is_deleted_whole(start):
    server = start(COVE_GC_GRACE_S=0)
    name = "library/large"
    payload = json.loads(server.admin.image(name))
    for i in range(1200):
        payload["annotations"] = {"n": str(i)}
        server.admin.push_manifest(name, f"t{i}", payload)
    kept = server.admin.push_image("library/other")[0]
    gone = server.admin.delete("/api/v2.0/projects/library/repositories/large")
    assert gone.status == 200, gone
    assert server.admin.get(f"/v2/{name}/tags/list").status == 404
    assert server.admin.get(f"/v2/library/other/manifests/{kept}").status == 200
    assert command(server, "gc")[0] == 0
    code, said = command(server, "fsck", "--full")
    assert code == 0, said
