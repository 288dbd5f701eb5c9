"""Proxy caches in their bounds: the cap holds whatever is pulled through it, images leave least
recently pulled first, what is shared, pinned or being read stays, and no pull is ever refused."""
import os
import random
import threading
import time

import pytest

from proxied import Herd, Puller, eventually, proxy_of, set_metadata
from upstream import Upstream, digest_of

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


def on_disk(cove):
    """Bytes of objects in the store."""
    total = 0
    for root, _, files in os.walk(os.path.join(cove.data, "data")):
        for f in files:
            try:
                total += os.path.getsize(os.path.join(root, f))
            except FileNotFoundError:
                pass  # it is being evicted
    return total


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
