"""One cold image with a 200 MiB layer and a hundred clients: one GET per digest, one token, every
byte right, memory bounded; again with clients that leave, a killed Cove, a cut upstream and a
corrupt one (these with 32 MiB, unless COVE_HERD_MIB says otherwise)."""
import os
import random
import socket
import time

import pytest

from proxied import Herd, Puller, eventually, proxy_of
from upstream import Upstream, digest_of

MIB = 1 << 20
CLIENTS = 100
FULL = 200 * MIB
SIZE = int(os.environ.get("COVE_HERD_MIB", "32")) * MIB


@pytest.fixture(scope="module")
def layer():
    return random.Random(7).randbytes(SIZE)


@pytest.fixture
def up():
    with Upstream(auth="bearer") as up:
        yield up


@pytest.fixture
def cove(start, up):
    return start(proxy_of(up))


def rss_mib(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


def cpu_s(server):
    with open(f"/proc/{server.process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sanitized(server):
    with open(f"/proc/{server.process.pid}/maps") as f:
        return any("libasan" in x or "libtsan" in x or "libubsan" in x for x in f)


def blob_of(puller, layer):
    return f"/v2/hub/big/app/blobs/{digest_of(layer)}", puller.token("big/app")


def gets(up, what="/blobs/"):
    return [r for r in up.seen("GET", what) if r.status in (200, 206, 307)]


def stored(cove):
    """Bytes of objects in the store."""
    total = 0
    for root, _, files in os.walk(os.path.join(cove.data, "data")):
        total += sum(os.path.getsize(os.path.join(root, f)) for f in files)
    return total


def test_one_get_for_a_hundred(up, cove):
    full = 32 * MIB if sanitized(cove) else FULL
    layer = random.Random(8).randbytes(full)
    image = up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    path, token = blob_of(puller, layer)
    manifests = Herd(cove.port, "/v2/hub/big/app/manifests/1", token, CLIENTS, image.payload).join()
    assert {r[2] for r in manifests} == {"whole"}
    results = Herd(cove.port, path, token, CLIENTS, layer).join()
    assert results == [(200, full, "whole")] * CLIENTS
    assert len(gets(up, f"/manifests/{image.digest}")) == 1
    assert len(gets(up, "/manifests/")) == 1
    assert len(gets(up)) == 1
    assert up.count("GET", "/token") == 1
    if not sanitized(cove):
        print(f"peak RSS {rss_mib(cove):.0f} MiB, {cpu_s(cove):.1f} s of CPU")
        assert rss_mib(cove) < 64
    # and afterwards it is a plain file
    up.clear()
    assert puller.blob("big/app", digest_of(layer)).body == layer
    assert up.count() == 0


def test_a_quarter_leaves(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    assert puller.manifest("big/app", "1").status == 200
    path, token = blob_of(puller, layer)
    leavers = set(range(0, CLIENTS, 4))
    results = Herd(cove.port, path, token, CLIENTS, layer, leavers, SIZE // 10).join()
    for i, r in enumerate(results):
        assert r[2] == ("left" if i in leavers else "whole")
    assert len(gets(up)) == 1


def test_all_leave_and_the_fetch_goes_on(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    Herd(cove.port, path, token, 3, layer, {0, 1, 2}, SIZE // 20).join()
    eventually(lambda: cove.metrics()["cove_flights"] == 0, 60)
    up.clear()
    assert puller.blob("big/app", digest_of(layer)).body == layer
    assert up.count() == 0


def test_killed_in_the_middle(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    up.script(f"/blobs/{digest_of(layer)}", {"rate": SIZE / 2}, method="GET")
    herd = Herd(cove.port, path, token, 10, layer)
    eventually(lambda: gets(up) and gets(up)[0].sent > SIZE // 2, 60)
    cove.kill()
    assert all(r[2].startswith("broken") for r in herd.join())
    first = gets(up)[0]
    time.sleep(0.3)
    sent = first.sent
    cove.start()
    results = Herd(cove.port, path, token, CLIENTS, layer).join()
    assert results == [(200, SIZE, "whole")] * CLIENTS
    assert len(gets(up)) == 2
    resumed = gets(up)[1].headers["range"]
    begin = int(resumed.removeprefix("bytes=").rstrip("-"))
    assert begin > 0
    print(f"{(sent - begin) / MIB:.1f} MiB sent twice")
    assert sent - begin <= 8 * MIB + 4 * MIB, "8 MiB twice at most, and what the kernel held"
    assert sanitized(cove) or rss_mib(cove) < 64


def test_cut_upstream(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    up.script(f"/blobs/{digest_of(layer)}", {"cut_at": SIZE // 3}, {"cut_at": SIZE // 4,
                                                                  "rst": True}, method="GET")
    results = Herd(cove.port, path, token, CLIENTS, layer).join()
    assert results == [(200, SIZE, "whole")] * CLIENTS
    assert len(gets(up)) == 3
    starts = [int(r.headers["range"][6:-1]) for r in gets(up)[1:]]
    assert starts[0] == SIZE // 3
    assert starts[0] < starts[1] <= SIZE // 3 + SIZE // 4


def test_corrupt_last_byte(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    before = stored(cove)
    up.script(f"/blobs/{digest_of(layer)}", {"corrupt_at": -1, "times": 0}, method="GET")
    results = Herd(cove.port, path, token, CLIENTS, layer).join()
    assert all(r[2].startswith("broken") for r in results), results[:3]
    assert all(r[1] < SIZE for r in results)
    eventually(lambda: stored(cove) == before)
    up.clear_scripts()
    assert puller.blob("big/app", digest_of(layer)).body == layer, "the next fetch is clean"


def test_the_tail_waits_for_its_proof(up, cove):
    """The upstream is silent a hundred bytes before the end: nobody gets the last 64 KiB until all
    of it is here and right."""
    layer = random.Random(11).randbytes(2 * MIB)
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    up.script(f"/blobs/{digest_of(layer)}", {"cut_at": len(layer) - 100, "stall": 4}, method="GET")
    with socket.create_connection(("127.0.0.1", cove.port), timeout=20) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: cove\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        got, end = b"", len(layer) - (64 << 10)

        def body():
            return got.partition(b"\r\n\r\n")[2]
        while len(body()) < end:
            got += s.recv(1 << 16)
        s.settimeout(1)
        with pytest.raises(TimeoutError):
            got += s.recv(1 << 16)
        assert len(body()) == end
        s.settimeout(20)
        while len(body()) < len(layer):
            got += s.recv(1 << 16)
        assert body() == layer


def test_upstream_dies_for_good(up, cove, layer):
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    path, token = blob_of(puller, layer)
    up.script(f"/blobs/{digest_of(layer)}", {"cut_at": SIZE // 3}, {"status": 503, "times": 0},
              method="GET")
    results = Herd(cove.port, path, token, 20, layer).join()
    assert all(r[2].startswith("broken") for r in results)
    up.clear_scripts()
    up.clear()

    def well():
        r = puller.blob("big/app", digest_of(layer))
        return r.status == 200 and r.body == layer
    eventually(well, 70)
    assert "range" in gets(up)[0].headers, "what was here is not fetched again"


def test_ranges_while_it_fills(up, cove):
    size = 96 * MIB
    layer = random.Random(9).randbytes(size)
    up.add_image("big/app", "1", [layer])
    puller = Puller(cove)
    puller.manifest("big/app", "1")
    digest = digest_of(layer)
    path, token = blob_of(puller, layer)
    up.script(f"/blobs/{digest}", {"rate": size / 5}, method="GET")
    herd = Herd(cove.port, path, token, 2, layer)
    eventually(lambda: gets(up))
    begun = time.monotonic()
    near = puller.blob("big/app", digest, headers={"Range": "bytes=1000-1999"})
    assert (near.status, near.body) == (206, layer[1000:2000])
    assert near.headers["Cove-Verified"] == "no"
    at = size - 20 * MIB
    far = puller.blob("big/app", digest, headers={"Range": f"bytes={at}-{at + 99999}"})
    assert (far.status, far.body) == (206, layer[at:at + 100000])
    assert time.monotonic() - begun < 3, "neither waited for the whole"
    last = puller.blob("big/app", digest, headers={"Range": "bytes=-500000"})
    assert (last.status, last.body) == (206, layer[-500000:])
    assert time.monotonic() - begun > 3, "the last byte comes with the proof"
    assert {r[2] for r in herd.join()} == {"whole"}
    out = puller.blob("big/app", digest, headers={"Range": f"bytes={size}-"})
    assert out.status == 416
