"""The fault matrix, third part: what moves or vanishes upstream, what fails in the store, the
database, the clock and the clients. Tests carry the id of their row."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

import conftest
from faulted import (SIZE, Rig, blob_bytes, digest_of, get, make_rig,  # noqa: F401
                     rig, whole_and_right)
from proxied import ACCEPT, eventually, set_metadata
from test_storage import command

MIB = 1 << 20


def run_all(n, act):
    """act(i) in n threads; the results in order."""
    out = [None] * n

    def one(i):
        out[i] = act(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
        assert not t.is_alive(), "a client hangs"
    return out


# ---- what moves or vanishes ------------------------------------------------------------------------


@pytest.mark.parametrize("old_stays", [True, False], ids=["old stays", "old is gone"])
def test_F17_moved_between_head_and_get(rig, old_stays):
    old = rig.add("1", [b"old"])
    new = rig.add(None, [b"new"])

    def move():
        rig.up.move_tag("team/app", "1", new)
        if not old_stays:
            rig.up.delete_manifest("team/app", old.digest)
    rig.up.script(f"/manifests/{old.digest}", {"do": move}, method="GET")
    got = rig.manifest()
    wanted = old if old_stays else new
    assert (got.status, got.body) == (200, wanted.payload), got
    assert got.headers["Docker-Content-Digest"] == wanted.digest
    got = rig.manifest()
    assert got.body == new.payload
    rig.pull()
    rig.up.down()
    assert rig.manifest().body == new.payload, "the tag's row is what was fetched last"


@pytest.mark.parametrize("blobs_stay", [True, False])
def test_F17_moved_between_manifest_and_blobs(rig, blobs_stay):
    old = rig.add("1", [b"old"])
    assert rig.manifest().body == old.payload
    new = rig.add("1", [b"new"])
    if not blobs_stay:
        rig.up.delete_blob("team/app", digest_of(b"old"))
    got = rig.blob(digest_of(b"old"))
    assert got.status == (200 if blobs_stay else 404), got
    assert rig.pull().body == new.payload


def test_F18_a_manifest_that_was_deleted(rig):
    image = rig.add()
    rig.pull()
    rig.up.delete_manifest("team/app", image.digest)
    rig.clear()
    assert rig.manifest(image.digest).body == image.payload, "a digest that is here is served"
    for _ in range(6):
        assert rig.manifest().status == 404
    assert rig.up.count() == 3, "from the third time on the absence is remembered"
    set_metadata(rig.cove, "hub", proxy_cache_local_on_not_found="true")
    got = rig.manifest()
    assert (got.status, got.body) == (200, image.payload)
    assert got.headers["Warning"].startswith("110")
    whole_and_right(rig.blob(image.layers[0]), blob_bytes("team/app 1"))
    new = rig.add("1", [b"again"])
    eventually(lambda: rig.manifest().body == new.payload)


def test_F19_a_blob_that_is_not_there(rig):
    lost, here = blob_bytes("lost"), blob_bytes("here")
    image = rig.add("1", [lost, here])
    rig.up.delete_blob("team/app", digest_of(lost))
    assert rig.manifest().body == image.payload
    whole_and_right(rig.blob(digest_of(here)), here)
    rig.up.clear()
    for _ in range(6):
        got = rig.blob(digest_of(lost))
        assert got.status == 404 and json.loads(got.body)["errors"][0]["code"] == "BLOB_UNKNOWN"
    assert len(rig.gets()) == 3, "from the third time on the absence is remembered"
    rig.up.add_blob("team/app", lost)
    eventually(lambda: rig.blob(digest_of(lost)).body == lost)
    assert rig.pull().body == image.payload


def test_F33_an_index_of_a_hundred_platforms(rig):
    children = [rig.add(None, [b"child %d" % i]) for i in range(100)]
    index = rig.up.add_index("team/app", "1", children,
                             platforms=[("linux", f"arch{i}") for i in range(100)])
    assert rig.manifest().body == index.payload
    rig.pull(children[42].digest)
    asked = {r.path.rsplit("/", 1)[1] for r in rig.gets("/manifests/") if r.status == 200}
    assert asked == {index.digest, children[42].digest}, "nothing that nobody wanted"
    rig.up.down()
    assert rig.manifest().body == index.payload
    assert rig.manifest(children[42].digest).body == children[42].payload


# ---- the store -------------------------------------------------------------------------------------


class SmallStore:
    """A file system of its own under the objects of a server: 16 MiB that a cache leaves free
    in any case, and a little."""

    def __init__(self, cove):
        self.cove, self.place = cove, os.path.join(cove.data, "data")
        cove.stop()
        self.mount("-t", "tmpfs", "-o", "size=20m", "tmpfs", self.place)
        cove.start()

    @staticmethod
    def mount(*args):
        subprocess.run(["mount", *args], check=True, stderr=subprocess.DEVNULL)

    def leave(self, room):
        """Fills it so that this many bytes are free (in pages)."""
        free = os.statvfs(self.place)
        with open(os.path.join(self.place, "ballast"), "wb") as f:
            f.write(b"x" * max(0, free.f_bavail * free.f_bsize - room))

    def empty(self):
        os.unlink(os.path.join(self.place, "ballast"))

    def end(self):
        subprocess.run(["umount", "-l", self.place], check=False)


@pytest.fixture
def small_store(make_rig):
    if os.geteuid() != 0:
        pytest.skip("needs to mount")
    rig = make_rig()
    try:
        store = SmallStore(rig.cove)
    except subprocess.CalledProcessError:
        rig.cove.start()
        pytest.skip("needs to mount")
    yield rig, store
    rig.cove.stop()
    store.end()


@pytest.mark.parametrize("room", [0, 4096, SIZE // 2, SIZE - 4096],
                         ids=["0", "1 page", "half", "a page less"])
def test_F21_a_full_disk(small_store, room):
    rig, store = small_store
    data = blob_bytes("full")
    image = rig.add(layers=[data])
    store.leave(room)
    for _ in range(3):
        got = rig.manifest()
        assert (got.status, got.body) == (200, image.payload)
        whole_and_right(rig.blob(digest_of(data)), data)
    assert rig.cove.metrics()["cove_cache_write_errors_total"] >= 1
    results = run_all(8, lambda _: rig.blob(digest_of(data)))
    for got in results:
        whole_and_right(got, data)
    store.empty()
    eventually(lambda: rig.cove.metrics()["cove_flights"] == 0)
    rig.pull()
    rig.clear()
    rig.pull()
    assert rig.up.count("GET") == 0, "with room again it is stored"


def test_F21_a_disk_that_became_read_only(small_store):
    rig, store = small_store
    data, more = blob_bytes("kept"), blob_bytes("more")
    rig.add(layers=[data])
    rig.pull()
    eventually(lambda: rig.cove.metrics()["cove_flights"] == 0)
    eventually(lambda: subprocess.run(["mount", "-o", "remount,ro", store.place],
                                      check=False).returncode == 0)
    image = rig.add("2", [data, more])
    for _ in range(2):
        assert rig.pull("2").body == image.payload
        whole_and_right(rig.blob(digest_of(data)), data)
    store.mount("-o", "remount,rw", store.place)
    eventually(lambda: rig.cove.metrics()["cove_flights"] == 0)
    rig.pull("2")


def test_F22_the_database_goes_away(request, tmp_path):
    """A flight under way ends well; what would need the database is 503 at once, not in a while."""
    if request.config.getoption("--db") != "postgres":
        pytest.skip("a story of PostgreSQL")
    cluster, rig = conftest.Postgres(), None
    servers = []
    data = blob_bytes("database", 4 * MIB)

    def start(config=None, **env):
        servers.append(conftest.Server(cluster, config, **env))
        return servers[-1]
    try:
        rig = Rig(start, tmp_path)
        rig.add(layers=[data])
        assert rig.manifest().status == 200
        rig.cdn.script("/cdn/", {"cut_at": 2 * MIB, "stall": 3}, method="GET")
        results = []
        reader = threading.Thread(target=lambda: results.append(rig.blob(digest_of(data))))
        reader.start()
        eventually(lambda: rig.cdn.count("GET", "/cdn/") == 1)
        time.sleep(0.5)
        cluster.run("pg_ctl", "-D", cluster.dir + "/db", "-m", "immediate", "stop")
        for path in ("manifests/1", "blobs/" + digest_of(data)):
            got = get(servers[0].port, "/v2/hub/team/app/" + path, rig.puller.token("team/app"))
            assert got.status == 503 and int(got.headers["Retry-After"]) >= 1, got
            assert got.seconds < 20
        reader.join()
        whole_and_right(results[0], data)
        cluster.run("pg_ctl", "-D", cluster.dir + "/db", "-o",
                    f"-p {cluster.port} -k {cluster.dir} -c listen_addresses=127.0.0.1 "
                    "-c max_connections=200", "-l", cluster.dir + "/log", "-w", "start")
        eventually(lambda: rig.manifest().status == 200, 30)
        rig.pull()
        assert command(servers[0], "fsck", "--full")[0] == 0
        servers[0].stop()
    finally:
        for server in servers:
            server.remove()
        if rig:
            rig.stop()
        cluster.stop()


# ---- clients ---------------------------------------------------------------------------------------


def test_F23_a_hundred_clients(rig):
    data = blob_bytes("herd", 600_000)
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.cdn.script("/cdn/", {"delay": 0.5, "rate": 300_000}, method="GET")
    results = run_all(100, lambda _: rig.blob(digest_of(data)))
    for got in results:
        whole_and_right(got, data)
    assert len(rig.gets()) == 1 and rig.cdn.count("GET", "/cdn/") == 1
    assert rig.tokens.count("GET", "/token") == 1
    assert max(r.first_byte for r in results) < 5 * 0.5 * 1.2


class Reader:
    """A client that takes its time: reads so many bytes, and then nothing until it is told."""

    def __init__(self, rig, digest, n, buffer=1 << 18):
        self.connection = http.client.HTTPConnection("127.0.0.1", rig.cove.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                        buffer)
        self.connection.request("GET", f"/v2/hub/team/app/blobs/{digest}", headers={
            "Authorization": "Bearer " + rig.puller.token("team/app"), "Accept": ACCEPT})
        self.reply = self.connection.getresponse()
        self.body = self.reply.read(n)

    def rest(self):
        self.body += self.reply.read()
        self.connection.close()
        return self.body

    def leave(self):
        self.connection.close()
        self.reply.close()


@pytest.mark.parametrize("at", [1, SIZE // 4, SIZE // 2], ids=["1", "quarter", "half"])
def test_F24_a_client_that_leaves(rig, at):
    data = blob_bytes("left")
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.cdn.script("/cdn/", {"rate": 400_000}, method="GET")
    Reader(rig, digest_of(data), at).leave()
    eventually(lambda: rig.cove.metrics()["cove_flights"] == 0)
    rig.clear()
    whole_and_right(rig.blob(digest_of(data)), data)
    assert rig.up.count() == 0, "the fetch went on without it"


def test_F25_a_first_client_that_is_slow(rig):
    data = blob_bytes("slow", 16 * MIB)
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    slow = Reader(rig, digest_of(data), 1024)
    for got in run_all(5, lambda _: rig.blob(digest_of(data))):
        whole_and_right(got, data)
    assert len(rig.gets()) == 1
    assert slow.rest() == data


def test_F27_deleted_while_it_is_read(make_rig):
    rig = make_rig(COVE_GC_LEASE_S=1)
    data = blob_bytes("deleted", 16 * MIB)
    image = rig.add(layers=[data])
    rig.pull()
    reader = Reader(rig, digest_of(data), 1024)
    path = f"/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts/{image.digest}"
    assert rig.cove.admin.delete(path).status == 200
    status, said = command(rig.cove, "gc", "--grace", "0")
    assert status == 0, said
    assert reader.rest() == data, "who has begun to read reads to the end"
    rig.clear()
    assert rig.pull().body == image.payload
    assert command(rig.cove, "fsck", "--full")[0] == 0


@pytest.mark.parametrize("at", [0, 1, 3 * MIB // 2, 3 * MIB - 1],
                         ids=["0", "1", "half", "size-1"])
def test_F28_killed_in_the_middle(rig, at):
    data = blob_bytes("killed", 3 * MIB)
    image = rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.cdn.script("/cdn/", {"cut_at": at, "stall": 30}, method="GET")
    results = []
    reader = threading.Thread(target=lambda: results.append(rig.blob(digest_of(data))))
    reader.start()
    eventually(lambda: rig.cdn.requests and rig.cdn.requests[-1].sent >= at)
    time.sleep(0.3)
    rig.cove.kill()
    reader.join()
    assert not results[0].whole
    rig.cove.start()
    rig.cdn.clear()
    whole_and_right(rig.blob(digest_of(data)), data)
    asked = rig.gets("/cdn/", rig.cdn)
    assert len(asked) == 1
    if at > MIB:
        assert int(asked[0].headers["range"][6:-1]) > 0, "what was here is not fetched again"
    assert rig.pull().body == image.payload
    assert command(rig.cove, "fsck", "--full")[0] == 0


# ---- clocks ----------------------------------------------------------------------------------------

SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long long *offset;
__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("CLOCK_FILE"), O_RDONLY);
    void *p = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        offset = p;
    close(fd);
}
int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    if (offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += *offset;
    return rc;
}
"""


class Clock:
    """The server's wall clock, so many seconds beside the true one."""

    def __init__(self, where):
        self.file, source = str(where / "clock"), where / "shim.c"
        self.set(0)
        source.write_text(SHIM)
        self.shim = str(where / "shim.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", self.shim, str(source)], check=True)

    def set(self, seconds):
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as f:
            f.write(int(seconds).to_bytes(8, "little", signed=True))

    @property
    def env(self):
        return {"LD_PRELOAD": self.shim, "CLOCK_FILE": self.file,
                "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:verify_asan_link_order=0"}


@pytest.fixture
def clock(tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("needs a compiler")
    where = tmp_path / "time"
    where.mkdir()
    return Clock(where)


DAY = 86400


@pytest.mark.parametrize("step", [-DAY, DAY], ids=["back", "forth"])
def test_F30_a_clock_that_steps(make_rig, clock, step, request):
    db = request.config.getoption("--db")
    rig = make_rig(COVE_PROXY_WINDOW_S=600, **clock.env)
    data = blob_bytes("clock")
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    asked = rig.tokens.count("GET", "/token")
    # in the middle of a flight
    rig.cdn.script("/cdn/", {"cut_at": SIZE // 2, "do": lambda: clock.set(step)}, method="GET")
    got = rig.blob(digest_of(data))
    whole_and_right(got, data)
    assert got.seconds < 10
    # a tag confirmed in what is the future now is not fresh for a day
    rig.puller.tokens.clear()
    new = rig.add("1", [b"new"])
    assert rig.manifest().body == new.payload
    assert rig.pull().body == new.payload
    clock.set(0)
    rig.puller.tokens.clear()
    newer = rig.add("1", [b"newer"])
    if step > 0 and db == "sqlite":  # a confirmation of tomorrow; PostgreSQL has a clock of its own
        assert rig.manifest().body == newer.payload
    assert rig.tokens.count("GET", "/token") == asked, "upstream's tokens live by another clock"
    assert command(rig.cove, "fsck", "--full")[0] == 0


@pytest.mark.parametrize("step", [-50, 50], ids=["back", "forth"])
def test_F30_a_clock_that_is_a_little_off(make_rig, clock, step):
    """Tokens have a leeway of a minute."""
    rig = make_rig(**clock.env)
    image = rig.add()
    assert rig.pull().body == image.payload
    clock.set(step)
    assert rig.pull().body == image.payload


def test_F30_backing_off_by_another_clock(make_rig, clock):
    rig = make_rig(**clock.env)
    image = rig.add()
    rig.up.script("/v2/", {"status": 429, "headers": {"Retry-After": "5"}})
    assert rig.manifest().status == 429
    clock.set(-DAY)
    rig.puller.tokens.clear()
    eventually(lambda: rig.manifest().body == image.payload, 15)
