"""Proxy caches in their bounds: the cap holds whatever is pulled through it, images leave least
recently pulled first, what is shared, pinned or being read stays, and no pull is ever refused."""
import errno
import fcntl
import http.client
import json
import os
import random
import shutil
import struct
import subprocess
import threading
import time

import pytest

from conftest import binary
from proxied import Herd, Puller, eventually, proxy_of, set_metadata
from upstream import OCI_MANIFEST, Upstream, digest_of

MIB = 1 << 20


@pytest.fixture
def up():
    with Upstream() as up:
        yield up


@pytest.fixture
def cove(start, up):
    return start(proxy_of(up))


def noise(seed, mib):
    return random.Random(seed).randbytes(int(mib * MIB))


def set_cap(cove, bytes_, project="hub"):
    reply = cove.admin.put(f"/api/v2.0/projects/{project}", json={"storage_limit": bytes_})
    assert reply.status == 200, reply


def used(cove, project="hub"):
    return cove.admin.get(f"/api/v2.0/projects/{project}/summary").json()["quota"]["used"]["storage"]


def objects(cove):
    """The store's objects and their sizes, as a walk meets them."""
    found = {}
    for root, _, files in os.walk(os.path.join(cove.data, "data")):
        for f in files:
            try:
                found[os.path.join(root, f)] = os.path.getsize(os.path.join(root, f))
            except FileNotFoundError:
                pass  # it is being evicted
    return found


def on_disk(cove):
    """Bytes of objects in the store at one moment: between two walks that met the same ones. A single walk
    counts one that goes and the one that comes for it."""
    seen = objects(cove)
    while (again := objects(cove)).keys() != seen.keys():
        seen = again
    return sum(seen.values())


def settled(cove):
    eventually(lambda: cove.metrics()["cove_flights"] == 0)


def cached_tags(cove, repo, project="hub"):
    path = repo.replace("/", "%252F")
    reply = cove.admin.get(f"/api/v2.0/projects/{project}/repositories/{path}/artifacts?page_size=100")
    return sorted(t["name"] for a in reply.json() for t in a["tags"] or [])


def test_ten_times_the_cap(up, cove):
    """640 MiB through 64 MiB, while the size of the store is watched."""
    cap, size, count = 64 * MIB, 8 * MIB, 80
    set_cap(cove, cap)
    layer = bytearray(noise(1, 8))
    puller = Puller(cove)
    most, stop = [0], threading.Event()

    def watch():
        while not stop.wait(0.01):
            most[0] = max(most[0], on_disk(cove))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for i in range(count):
            layer[:8] = i.to_bytes(8, "big")
            image = up.add_image("big/app", str(i), [bytes(layer)])
            assert puller.image("big/app", str(i)).body == image.payload
            up.delete_blob("big/app", digest_of(bytes(layer)))
            assert used(cove) <= cap + size + MIB
    finally:
        stop.set()
        watcher.join()
    settled(cove)
    eventually(lambda: used(cove) <= cap)
    assert most[0] <= cap + size + MIB, "the cap and the image in flight"
    assert used(cove) > cap - size - MIB, "no more goes than must"
    assert cached_tags(cove, "big/app") == sorted(str(i) for i in range(count - 7, count))
    m = cove.metrics()
    assert m["cove_evicted_artifacts_total"] == count - 7
    assert m["cove_cache_write_errors_total"] == 0
    eventually(lambda: on_disk(cove) <= cap)


def test_least_recently_pulled_first(up, cove):
    puller = Puller(cove)
    for i in range(4):
        up.add_image("team/app", str(i), [noise(10 + i, 1)])
        puller.image("team/app", str(i))
    time.sleep(0.01)
    puller.manifest("team/app", "0")  # still in the tally when the next image comes
    settled(cove)
    set_cap(cove, int(4.5 * MIB))
    up.add_image("team/app", "4", [noise(14, 1)])
    puller.image("team/app", "4")
    eventually(lambda: cached_tags(cove, "team/app") == ["0", "2", "3", "4"])
    up.clear()
    up.down()
    assert puller.image("team/app", "0").status == 200


def test_shared_layers_survive(up, cove):
    base = noise(20, 2)
    puller = Puller(cove)
    up.add_image("team/one", "1", [base, noise(21, 1)])
    up.add_image("team/two", "1", [base, noise(22, 1)])
    puller.image("team/one", "1")
    puller.image("team/two", "1")
    settled(cove)
    set_cap(cove, int(3.5 * MIB))
    up.add_image("team/two", "2", [noise(23, 0.1)])
    puller.image("team/two", "2")
    settled(cove)  # a client has the last byte before the store counts it
    eventually(lambda: cached_tags(cove, "team/one") == [])
    assert cached_tags(cove, "team/two") == ["1", "2"]
    eventually(lambda: on_disk(cove) < 3.3 * MIB)
    up.down()
    assert puller.image("team/two", "1").status == 200, "its base was shared"
    assert used(cove) == pytest.approx(3.1 * MIB, abs=64 << 10)


def test_layers_of_another_project_survive(up, start):
    """What two projects share counts in both and leaves the disk with the last."""
    cove = start(proxy_of(up) + proxy_of(up, "other").split("\n", 1)[1])
    image = up.add_image("team/app", "1", [noise(25, 2)])
    for project in ["hub", "other"]:
        assert Puller(cove, project).image("team/app", "1").status == 200
        settled(cove)
    assert up.count("GET", "/blobs/") == 2, "config and layer, once"
    assert used(cove, "other") == used(cove) > 2 * MIB
    set_cap(cove, 1)
    eventually(lambda: used(cove) == 0, 15)
    up.down()
    assert Puller(cove, "other").image("team/app", "1").body == image.payload
    set_cap(cove, 1, "other")
    eventually(lambda: on_disk(cove) == 0, 15)
    checked = subprocess.run([binary(), "fsck"], env={**os.environ, **cove.env}, capture_output=True)
    assert checked.returncode == 0, checked.stdout


def test_indexes_go_as_a_whole(up, cove):
    puller = Puller(cove)
    for tag in ["1", "2"]:
        children = [up.add_image("team/multi", None, [noise(f"{tag}{i}", 1)],
                                 platform=("linux", f"arch{i}")) for i in range(3)]
        up.add_index("team/multi", tag, children)
        puller.manifest("team/multi", tag)
        puller.image("team/multi", children[0].digest)
        puller.image("team/multi", children[2].digest)
    settled(cove)
    before = used(cove)
    set_cap(cove, before - 1)
    eventually(lambda: cached_tags(cove, "team/multi") == ["2"], 15)
    assert used(cove) == pytest.approx(before / 2, abs=8192)
    eventually(lambda: on_disk(cove) < 2.1 * MIB)


def test_an_index_is_as_young_as_its_youngest_child(up, cove):
    puller, children = Puller(cove), {}
    for tag in ["1", "2", "3"]:
        children[tag] = [up.add_image("team/multi", None, [noise(f"young{tag}{i}", 1)],
                                      platform=("linux", f"arch{i}")) for i in range(2)]
        up.add_index("team/multi", tag, children[tag])
        puller.manifest("team/multi", tag)
        puller.image("team/multi", children[tag][0].digest)
    settled(cove)
    for tag in ["2", "1"]: # by digest alone: the indexes' own last pulls stay as they are
        puller.image("team/multi", children[tag][0].digest)
        settled(cove)
    before = used(cove)
    set_cap(cove, before - 1)
    eventually(lambda: cached_tags(cove, "team/multi") == ["1", "2"], 15)
    set_cap(cove, before // 2)
    eventually(lambda: cached_tags(cove, "team/multi") == ["1"], 15)


def test_pins_survive(up, cove):
    set_metadata(cove, "hub", proxy_pins="team/pinned **:stable")
    assert cove.admin.put("/api/v2.0/projects/hub/metadatas/proxy_pins",
                          json={"proxy_pins": "ok ["}).status == 400
    puller = Puller(cove)
    for i, (repo, tag) in enumerate([("team/pinned", "1"), ("team/app", "stable"),
                                     ("team/app", "2"), ("team/app", "3")]):
        up.add_image(repo, tag, [noise(30 + i, 1)])
        puller.image(repo, tag)
    settled(cove)
    set_cap(cove, MIB)
    eventually(lambda: cached_tags(cove, "team/app") == ["stable"], 15)
    assert cached_tags(cove, "team/pinned") == ["1"]
    image = up.add_image("team/app", "4", [noise(35, 1)])
    for _ in range(2):
        assert puller.image("team/app", "4").body == image.payload, "no pull is refused"
    settled(cove)
    eventually(lambda: cached_tags(cove, "team/app") == ["stable"], 15)


def test_what_leaves_at_once_is_still_served(up, cove):
    """Pins fill the cache, so each image that comes is evicted in the moment it has arrived, between
    the steps of those who pull it. Nobody is refused: the bytes come from upstream again."""
    set_metadata(cove, "hub", proxy_pins="team/pinned")
    up.add_image("team/pinned", "1", [noise(60, 1)])
    Puller(cove).image("team/pinned", "1")
    settled(cove)
    set_cap(cove, MIB)
    for tag in "1234":
        up.add_image("team/app", tag, [noise(f"{tag}{i}", 0.01) for i in range(8)])
    failed = []

    def pull():
        puller = Puller(cove)
        try:
            for i in range(20):
                puller.image("team/app", str(i % 4 + 1))
        except AssertionError as e:
            failed.append(e)
    pullers = [threading.Thread(target=pull) for _ in range(6)]
    for t in pullers:
        t.start()
    for t in pullers:
        t.join()
    assert not failed, failed[0]
    assert cached_tags(cove, "team/pinned") == ["1"]


def test_larger_than_the_cache(up, cove):
    set_cap(cove, MIB)
    small = up.add_image("team/app", "small", [noise(40, 0.5)])
    image = up.add_image("team/app", "big", [noise(41, 3)])
    puller = Puller(cove)
    puller.image("team/app", "small")
    for _ in range(2):
        assert puller.image("team/app", "big").body == image.payload
    settled(cove)
    assert on_disk(cove) < MIB, "it went through and pushed nothing out"
    assert "small" in cached_tags(cove, "team/app")
    up.down()
    assert puller.image("team/app", "small").body == small.payload


def test_pulls_under_way_are_unharmed(up, cove):
    """Slow readers of images that leave the cache under them: of a file, and of a flight."""
    big = noise(50, 24)
    up.add_image("team/slow", "1", [big])
    puller = Puller(cove)
    puller.image("team/slow", "1")
    path = f"/v2/hub/team/slow/blobs/{digest_of(big)}"
    got, gate = {}, threading.Event()

    def read():
        connection = cove.anonymous.connect()
        connection.request("GET", path, headers={"Authorization": "Bearer " + puller.token("team/slow")})
        reply = connection.getresponse()
        body = reply.read(MIB)
        gate.wait(30)
        got["body"] = body + reply.read()
        connection.close()
    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: cove.metrics()["cove_http_in_flight"] >= 1 or True)
    time.sleep(0.3)
    set_cap(cove, 12 * MIB)
    flown = noise(51, 8)
    up.add_image("team/slow", "2", [flown])
    puller.manifest("team/slow", "2")
    up.script(f"/blobs/{digest_of(flown)}", {"rate": 16 * MIB}, method="GET")
    herd = Herd(cove.port, f"/v2/hub/team/slow/blobs/{digest_of(flown)}",
                puller.token("team/slow"), 5, flown)
    for i in range(4):
        up.add_image("team/other", str(i), [noise(60 + i, 4)])
        puller.image("team/other", str(i))
    eventually(lambda: "1" not in cached_tags(cove, "team/slow"))
    assert {r[2] for r in herd.join()} == {"whole"}
    gate.set()
    reader.join()
    assert got["body"] == big
    settled(cove)
    eventually(lambda: used(cove) <= 12 * MIB)


# ---- disks that are full, broken or read-only -----------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


class Disk:
    """A small file system in the place of a server's data or of its objects alone."""

    def __init__(self, server, kind, mib, whole):
        server.stop()
        self.server, self.kind = server, kind
        self.path = server.data if whole else os.path.join(server.data, "data")
        self.image = os.path.join(server.dir, "disk")
        keep = os.path.join(server.dir, "keep")
        os.rename(self.path, keep)
        os.mkdir(self.path)
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", self.path]
        else:
            with open(self.image, "wb") as f:
                f.truncate(mib * MIB)
            subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
            command = ["mount", "-o", "loop,errors=remount-ro", self.image, self.path]
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            pytest.skip("mounting is not allowed here")
        shutil.copytree(keep, self.path, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("reserve"))  # 64 MiB of nothing
        server.start()

    def fill(self):
        """Not a byte is left; somebody else's file."""
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f:
            for size in [MIB, 4096, 1]:
                try:
                    while f.write(bytes(size)) == size:
                        pass
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def clear(self):
        os.unlink(os.path.join(self.path, "filler"))

    def read_only(self):
        """What the kernel does by itself when it finds an error."""
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.path], capture_output=True,
                                text=True, check=True).stdout.strip()
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w") as f:
            f.write("1")
        with pytest.raises(OSError) as e:
            open(os.path.join(self.path, "probe"), "w")
        assert e.value.errno == errno.EROFS

    def break_down(self):
        """Every access ends with EIO."""
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, 0x8004587d, struct.pack("I", 2))
        os.close(fd)
        with pytest.raises(OSError) as e:
            open(os.path.join(self.path, "probe"), "w")
        assert e.value.errno == errno.EIO

    def remove(self):
        self.server.stop(clean=False)
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(cove):
    disks = []

    def make(kind, mib, whole):
        disks.append(Disk(cove, kind, mib, whole))
        return disks[-1]
    yield make
    for d in disks:
        d.remove()


def pull_through(up, cove, name, count=6):
    """New images, old images, more than once, from several clients: every one is served."""
    puller = Puller(cove)
    for i in range(count):
        image = up.add_image(f"team/{name}", str(i), [noise(f"{name}{i}", 0.1), noise(f"{name}-{i}", 5)])
        for _ in range(2):
            assert puller.image(f"team/{name}", str(i)).body == image.payload
    big = noise(name, 9)
    up.add_image(f"team/{name}", "herd", [big])
    puller.manifest(f"team/{name}", "herd")
    herd = Herd(cove.port, f"/v2/hub/team/{name}/blobs/{digest_of(big)}",
                puller.token(f"team/{name}"), 8, big)
    assert {r[2] for r in herd.join()} == {"whole"}
    assert cove.process.poll() is None


@as_root
@pytest.mark.parametrize("trouble", ["fill", "read_only", "break_down"])
@pytest.mark.parametrize("whole", [False, True], ids=["objects", "everything"])
def test_sick_disk(up, cove, disk, trouble, whole, postgres):
    if whole and trouble == "break_down" and not postgres:
        pytest.skip("a database that cannot be read stops the server")
    puller = Puller(cove)
    sick = disk("tmpfs" if trouble == "fill" else "ext4", 48, whole)
    kept = up.add_image("team/kept", "1", [noise("kept", 4)])
    assert puller.image("team/kept", "1").body == kept.payload
    settled(cove)
    getattr(sick, trouble)()
    pull_through(up, cove, "a")
    up.clear()
    assert puller.image("team/kept", "1").body == kept.payload
    if trouble != "break_down":
        assert up.count("GET") == 0, "what is here is read"
    assert cove.admin.get("/api/v2.0/projects").status == 200
    if trouble == "fill":
        sick.clear()
        up.add_image("team/b", "1", [noise("b", 2)])
        puller.image("team/b", "1")
        settled(cove)
        up.clear()
        assert puller.image("team/b", "1").status == 200
        assert up.count("GET") == 0, "with room again it is stored"


@as_root
def test_room_is_made_before_a_fetch(up, cove, disk):
    """A cache without a cap on a small disk: nothing is streamed past the store, nothing fails."""
    disk("tmpfs", 64, False)
    puller = Puller(cove)
    for i in range(12):
        image = up.add_image("team/app", str(i), [noise(i, 10)])
        assert puller.image("team/app", str(i)).body == image.payload
        settled(cove)
    assert cove.metrics()["cove_cache_write_errors_total"] == 0
    assert cached_tags(cove, "team/app") == ["10", "11", "8", "9"]


@as_root
def test_a_size_that_is_only_said_drives_nothing_out(up, cove, disk):
    disk("tmpfs", 64, False)
    puller = Puller(cove)
    for i in range(4):
        up.add_image("team/app", str(i), [noise(i, 10)])
        puller.image("team/app", str(i))
        settled(cove)
    small = noise(9, 0.1)
    named = json.loads(up.add_image("mallory/app", "1", [small]).payload)
    named["layers"][0]["size"] = 30 * MIB
    up.put_manifest("mallory/app", "1", json.dumps(named).encode(), OCI_MANIFEST)
    assert puller.manifest("mallory/app", "1").status == 200
    try:
        assert puller.blob("mallory/app", digest_of(small)).status == 502
    except (OSError, http.client.HTTPException):
        pass  # cut, when its head had gone out
    settled(cove)
    assert cached_tags(cove, "team/app") == ["0", "1", "2", "3"]


@as_root
def test_floor(up, cove, disk):
    """Half of the disk stays free, across projects, for what others write as well."""
    cove.env["COVE_PROXY_FREE_FLOOR"] = "50%"
    small = disk("tmpfs", 64, False)

    def free():
        s = os.statvfs(small.path)
        return s.f_bavail * s.f_frsize
    puller = Puller(cove)
    for i in range(6):
        image = up.add_image("team/app", str(i), [noise(i, 8)])
        assert puller.image("team/app", str(i)).body == image.payload
        settled(cove)
        assert free() >= 32 * MIB
    assert cached_tags(cove, "team/app") == ["3", "4", "5"]
    with open(os.path.join(small.path, "others"), "wb") as f:
        f.write(bytes(12 * MIB))
    eventually(lambda: free() >= 32 * MIB)
    assert cached_tags(cove, "team/app") == ["4", "5"]


# ---- how fast, and how many at a time -----------------------------------------------------------


def in_threads(*calls):
    """Runs them at once; the results and the seconds each took."""
    results = [None] * len(calls)

    def run(i):
        begun = time.monotonic()
        results[i] = (calls[i](), time.monotonic() - begun)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_one_rate_for_a_project(up, cove):
    """Three layers at once share what one would have; what is cached costs nothing."""
    layers = [noise(70 + i, 0.5) for i in range(3)]
    up.add_image("team/app", "1", layers)
    set_metadata(cove, "hub", proxy_speed_kb=8192)  # 1 MiB a second
    puller = Puller(cove)
    puller.manifest("team/app", "1")
    begun = time.monotonic()
    for reply, _ in in_threads(*[lambda d=d: puller.blob("team/app", digest_of(d)) for d in layers]):
        assert reply.status == 200
    assert 1.0 < time.monotonic() - begun < 15
    settled(cove)
    set_metadata(cove, "hub", proxy_speed_kb=8)  # a KiB a second: only what is cached comes in this life
    for d in layers:
        assert puller.blob("team/app", digest_of(d)).body == d


def test_a_line_before_upstream(up, cove):
    """One connection at a time: the second waits for its turn, who wants the same blob joins."""
    layers = [noise(80 + i, 1) for i in range(3)]
    up.add_image("team/app", "1", layers)
    set_metadata(cove, "hub", max_upstream_conn=1)
    puller = Puller(cove)
    puller.manifest("team/app", "1")
    for d in layers:
        up.script(f"/blobs/{digest_of(d)}", {"rate": 2 * MIB}, method="GET")
    results = in_threads(*[lambda d=d: puller.blob("team/app", digest_of(d)) for d in layers + layers])
    for i, (reply, _) in enumerate(results):
        assert reply.body == layers[i % 3], reply
    assert up.count("GET", "/blobs/") == 3
    assert max(s for _, s in results) > 1.2, "one after the other"


@pytest.mark.waits
def test_the_line_ends_after_half_a_minute(up, cove):
    slow, other = noise(90, 1), noise(91, 1)
    kept = up.add_image("team/kept", "1", [noise(92, 1)])
    up.add_image("team/app", "1", [slow, other])
    puller = Puller(cove)
    puller.image("team/kept", "1")
    puller.manifest("team/app", "1")
    set_metadata(cove, "hub", max_upstream_conn=1)
    up.script(f"/blobs/{digest_of(slow)}", {"rate": MIB / 55}, method="GET")
    waits = threading.Thread(target=puller.blob, args=("team/app", digest_of(slow)))
    waits.start()
    eventually(lambda: up.count("GET", f"/blobs/{digest_of(slow)}") == 1)
    (refused, after), (cached, soon) = in_threads(
        lambda: puller.blob("team/app", digest_of(other)), lambda: puller.image("team/kept", "1"))
    assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
    assert int(refused.headers["Retry-After"]) > 0
    assert 29 < after < 50
    assert cached.body == kept.payload and soon < 10, "what is cached waits for nobody"
    waits.join()
    assert puller.blob("team/app", digest_of(other)).body == other
