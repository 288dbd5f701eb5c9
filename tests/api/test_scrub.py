"""Scrub: bytes that rotted are found, quarantined and healed, by hand and by themselves."""
import os
import secrets
import time

from conftest import sha256
from proxied import Puller, eventually, proxy_of
from test_storage import command, objects
from upstream import Upstream


def rot(server, size):
    """Turns one bit in every object of that size."""
    hit = 0
    for path in objects(server):
        if os.path.getsize(path) == size:
            with open(path, "r+b") as f:
                first = f.read(1)[0]
                f.seek(0)
                f.write(bytes([first ^ 1]))
            hit += 1
    assert hit


def test_by_hand(start):
    server = start()
    data = secrets.token_bytes(70001)
    server.admin.push_image("library/a", "v1", layers=(data, b"y" * 500))
    url = "/v2/library/a/blobs/" + sha256(data)
    status, said = command(server, "scrub", "--rate", "0")
    assert status == 0 and "3 blobs" in said and "0 broken" in said, said
    rot(server, len(data))
    status, said = command(server, "scrub", "--older-than", "3600")
    assert status == 0 and "0 blobs" in said, said  # all of them were proven a moment ago
    status, said = command(server, "scrub")
    assert status == 2 and sha256(data) in said and "1 broken" in said, said
    assert server.admin.get(url).status == 503
    # one who may push is told to upload it again
    assert server.admin.request("HEAD", url).status == 404
    assert server.metrics()["cove_scrub_broken_total"] == 1
    status, said = command(server, "fsck")
    assert status == 3 and "library/a:v1" in said, said
    server.admin.push_blob("library/a", data)
    assert server.admin.get(url).body == data
    assert command(server, "scrub")[0] == 0
    assert command(server, "scrub", "--rate", "-1")[0] == 2


def test_by_itself_and_fetched_again(start):
    up = Upstream()
    data = secrets.token_bytes(30011)
    image = up.add_image("team/app", "1", [data])
    server = start(proxy_of(up), COVE_SCRUB_INTERVAL_S="1")
    Puller(server).image("team/app", "1")
    rot(server, len(data))
    eventually(lambda: server.metrics()["cove_scrub_broken_total"] == 1)
    before = up.count("GET", "/blobs/" + sha256(data))
    Puller(server).image("team/app", "1")
    assert up.count("GET", "/blobs/" + sha256(data)) == before + 1
    assert image.digest
    eventually(lambda: command(server, "fsck", "--full")[0] == 0)
    up.stop()


def test_the_rate_is_kept(start):
    server = start()
    for _ in range(4):
        server.admin.push_blob("library/a", secrets.token_bytes(1 << 20))
    began = time.monotonic()
    assert command(server, "scrub", "--rate", "2")[0] == 0
    assert time.monotonic() - began > 1.5
