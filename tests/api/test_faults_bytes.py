"""The fault matrix, first part: what is wrong with bytes, lengths, digests and redirects. Tests
carry the id of their row; faults come at the first byte, after it, in the middle, before the last."""
import time

import pytest

from faulted import (POSITIONS, SIZE, blob_bytes, cut, digest_of, get, make_rig,  # noqa: F401
                     rig, whole_and_right)
from proxied import eventually
from upstream import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

at_positions = pytest.mark.parametrize("at", POSITIONS.values(), ids=POSITIONS)


def known_blob(rig, seed="blob", size=SIZE):
    """A layer whose manifest is here, so that its size is known; the record is empty."""
    data = blob_bytes(seed, size)
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.up.clear()
    return data


@at_positions
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_F01_a_cut_body_is_resumed(rig, at, reset):
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"cut_at": at, "rst": reset}, method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)
    tries = rig.gets("/cdn/", rig.cdn)
    assert len(tries) == 2 and len(rig.gets()) == 2, "each try begins at the registry"
    begins = tries[1].headers.get("range", "bytes=0-")
    assert int(begins[6:-1]) == at or (reset and int(begins[6:-1]) <= at)
    rig.clear()
    whole_and_right(rig.blob(digest_of(data)), data)
    assert rig.up.count() == 0


@pytest.mark.parametrize("at", [0, SIZE - 1], ids=["0", "size-1"])
def test_F01_a_body_that_never_ends_is_never_complete(rig, at):
    data = known_blob(rig)
    before = rig.stored()
    rig.cdn.script("/cdn/", {"cut_at": at}, {"cut_at": 0, "times": 0}, method="GET")
    cut(rig.blob(digest_of(data)), data)
    assert 2 <= rig.cdn.count("GET", "/cdn/") <= 4
    eventually(lambda: rig.stored() == before)
    rig.clear()
    whole_and_right(rig.blob(digest_of(data)), data)
    assert len(rig.gets()) == 1, "nothing was committed"


@at_positions
@pytest.mark.parametrize("size", [SIZE, 5000], ids=["layer", "small"])
def test_F02_wrong_bytes_are_cut(rig, at, size):
    data = known_blob(rig, size=size)
    before = rig.stored()
    at = min(at, size - 1)
    rig.cdn.script("/cdn/", {"corrupt_at": at}, method="GET")
    got = rig.blob(digest_of(data))
    cut(got, data)
    eventually(lambda: rig.stored() == before)
    whole_and_right(rig.blob(digest_of(data)), data)
    assert rig.cdn.count("GET", "/cdn/") == 2


@at_positions
def test_F02_wrong_bytes_after_a_resume(rig, at):
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"cut_at": SIZE // 3}, {"corrupt_at": at}, method="GET")
    got = rig.blob(digest_of(data))
    if at < SIZE // 3:
        whole_and_right(got, data)  # those bytes were here, they are not taken again
    else:
        cut(got, data)
        whole_and_right(rig.blob(digest_of(data)), data)


def test_F02_wrong_bytes_reach_no_range(rig):
    """A part that holds the last byte is proven, too."""
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"corrupt_at": -1}, method="GET")
    got = rig.blob(digest_of(data), headers={"Range": "bytes=-1000"})
    assert not (got.status == 206 and got.whole), got
    got = rig.blob(digest_of(data), headers={"Range": "bytes=-1000"})
    assert (got.status, got.whole, got.body) == (206, True, data[-1000:])


@pytest.mark.parametrize("step", [
    {"length": SIZE - 1}, {"length": SIZE // 2}, {"length": 1}, {"length": 0},
    {"length": SIZE + 1, "hold": 10}, {"length": SIZE * 2, "hold": 10}, {"no_length": True},
    {"no_length": "chunked"}, {"no_length": "chunked", "trailers": "X-Late: 1\r\n"},
    {"endless": True}], ids=str)
def test_F03_the_descriptor_knows_the_length(rig, step):
    data = known_blob(rig)
    if step.get("endless"):
        step = {**step, "body": data}
    rig.cdn.script("/cdn/", step, method="GET")
    got = rig.blob(digest_of(data))
    whole_and_right(got, data)
    assert int(got.headers["Content-Length"]) == SIZE
    assert got.seconds < 30, "what follows the last byte is not waited for"


@pytest.mark.parametrize("head", [{"headers": {"Content-Length": "0"}}, {"length": 0}, {}], ids=str)
@pytest.mark.parametrize("step", [{"no_length": True}, {"no_length": "chunked"}, {}], ids=str)
def test_F03_without_a_descriptor(make_rig, head, step):
    rig = make_rig(cdn=False)
    data = blob_bytes("unknown")
    rig.up.add_image("team/app", "1", [data])
    rig.up.script("/blobs/", head, method="HEAD")
    rig.up.script("/blobs/", step, method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)


def test_F03_a_lie_of_emptiness(make_rig):
    """An empty body would be complete with its head; it waits for the proof as well."""
    rig = make_rig(cdn=False)
    data = blob_bytes("unknown")
    rig.up.add_image("team/app", "1", [data, b""])
    rig.up.script("/blobs/", {"no_length": "chunked", "times": 0}, method="HEAD")
    rig.up.script("/blobs/", {"length": 0, "times": 0}, method="GET")
    assert rig.blob(digest_of(data)).status == 502
    rig.clear()
    eventually(lambda: rig.blob(digest_of(data)).body == data)
    whole_and_right(rig.blob(digest_of(b"")), b"")


@pytest.mark.parametrize("method, times, wanted", [
    ("HEAD", 1, 200), ("HEAD", 0, 200), ("GET", 0, 200), (None, 0, 502)], ids=str)
def test_F04_a_digest_header_that_lies(rig, method, times, wanted):
    """The digest is computed; a GET tells what a lying HEAD does not. Never 404."""
    image = rig.add()
    rig.up.script("/manifests/", {"wrong_digest_header": True, "times": times}, method=method)
    got = rig.manifest()
    assert got.status == wanted, got
    if wanted == 200:
        assert got.body == image.payload
        assert got.headers["Docker-Content-Digest"] == image.digest
    rig.clear()
    assert rig.pull().body == image.payload


@pytest.mark.parametrize("said", ["text/html", OCI_INDEX, DOCKER_MANIFEST, None], ids=str)
def test_F04_a_content_type_that_lies(rig, said):
    image = rig.add()
    rig.up.script("/manifests/", {"headers": {"Content-Type": said}, "times": 0}, method="GET")
    got = rig.manifest()
    assert (got.status, got.body) == (200, image.payload)
    assert got.headers["Content-Type"] == OCI_MANIFEST
    rig.clear()
    assert rig.pull().headers["Content-Type"] == OCI_MANIFEST
    assert rig.gets("/manifests/") == []


@pytest.mark.parametrize("at", [0, -1])
def test_F04_another_manifest_than_asked_for(rig, at):
    image = rig.add()
    rig.up.script("/manifests/", {"corrupt_at": at, "times": 0}, method="GET")
    for ref in ("1", image.digest):
        assert rig.manifest(ref).status == 502
    assert rig.up.count("GET", "/manifests/") <= 8
    rig.clear()
    eventually(lambda: rig.manifest().status == 200)
    assert rig.pull(image.digest).body == image.payload


@at_positions
def test_F13_a_drip_is_given_up_and_resumed(make_rig, at):
    rig = make_rig(COVE_PROXY_STALL_S=1)
    data = known_blob(rig)
    # everything to there at once, then a byte a second
    rig.cdn.script("/cdn/", {"cut_at": at}, {"rate": 1}, method="GET")
    got = rig.blob(digest_of(data))
    whole_and_right(got, data)
    assert rig.cdn.count("GET", "/cdn/") == (3 if at < SIZE - 1 else 2), "one drop is all"
    assert got.seconds < 20


def test_F13_nothing_but_drips(make_rig):
    rig = make_rig(COVE_PROXY_STALL_S=1)
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"rate": 1, "times": 0}, method="GET")
    got = rig.blob(digest_of(data))
    cut(got, data)
    assert got.status in (200, 502, 504)
    assert got.seconds < 40


def test_F14_redirects_carry_no_credential(rig):
    """And neither does anything else: see Rig.check."""
    image = rig.add()
    rig.pull()
    seen = rig.gets("/cdn/", rig.cdn)
    assert {x.split("/")[-1].split("?")[0] for x in (r.path for r in seen)} == \
        {image.config, *image.layers}
    assert all("signature=s3cret" in r.path for r in seen), "the whole link, though"
    assert any(r.headers.get("authorization", "").startswith("Bearer ") for r in rig.gets())


@pytest.mark.parametrize("status", [403, 404, 503])
@pytest.mark.parametrize("at", [None, 1, SIZE // 2], ids=["at once", "1", "half"])
def test_F14_a_link_that_has_run_out(rig, status, at):
    """A CDN's refusal is not the registry's: the registry is asked again for a fresh link."""
    data = known_blob(rig)
    steps = [{"status": status}] if at is None else [{"cut_at": at}, {"status": status}]
    rig.cdn.script("/cdn/", *steps, method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)
    assert len(rig.gets()) == len(steps) + 1


@pytest.mark.parametrize("status, wanted", [(404, 502), (503, 503)])
def test_F14_a_link_that_never_works(rig, status, wanted):
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"status": status, "times": 0}, method="GET")
    got = rig.blob(digest_of(data))
    assert got.status == wanted, got
    assert rig.cdn.count() <= 8


@pytest.mark.parametrize("where", [
    "{up}/v2/team/app/blobs/{digest}", "http://169.254.169.254/latest"])
def test_F15_loops_and_places_inside(make_rig, where):
    rig = make_rig(COVE_OUTBOUND_ALLOW="127.0.0.0/29")
    data = known_blob(rig)
    target = where.format(up=rig.up.url, cdn=rig.cdn.url, digest=digest_of(data))
    for host, path in ((rig.up, "/blobs/"), (rig.cdn, "/cdn/")):
        host.script(path, {"redirect": target, "times": 0}, method="GET")
    got = rig.blob(digest_of(data))
    assert got.status in (502, 503), got
    assert rig.up.count() + rig.cdn.count() <= 40, "at most five redirects a try"
    image = rig.add("2")
    rig.up.script("/manifests/", {"redirect": target, "times": 0})
    assert rig.manifest("2").status in (502, 503)
    assert rig.manifest("1").status == 200, "what is cached is served"
    assert image.digest


@at_positions
@pytest.mark.parametrize("step", [
    {"ignore_range": True}, {"content_range": "bytes 5-10/20"}, {"content_range": "nonsense"},
    {"status": 416}], ids=str)
def test_F16_a_range_that_is_not_heeded(rig, at, step):
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"cut_at": at}, step, method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)


def test_F16_a_part_although_the_whole_was_asked(rig):
    data = known_blob(rig)
    rig.cdn.script("/cdn/", {"status": 206, "body": data[5:],
                             "headers": {"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}"}},
                   method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)


@pytest.mark.parametrize("step", [
    {"status": 405}, {"status": 501}, {"wrong_digest_header": None},
    {"wrong_digest_header": "sha256:nonsense"}, {"headers": {"Docker-Content-Digest": ""}}], ids=str)
def test_F20_a_head_that_tells_nothing(rig, step):
    image = rig.add()
    rig.up.script("/manifests/", {**step, "times": 0}, method="HEAD")
    got = rig.manifest()
    assert (got.status, got.body) == (200, image.payload)
    assert got.headers["Docker-Content-Digest"] == image.digest
    assert len([r for r in rig.gets("/manifests/") if r.status == 200]) == 1
    assert rig.pull(image.digest).body == image.payload
    new = rig.up.add_image("team/app", "1", [b"moved"])
    eventually(lambda: rig.manifest().body == new.payload)


@pytest.mark.parametrize("step", [
    {"headers": {"Content-Encoding": "gzip"}}, {"headers": {"Set-Cookie": "session=upstream"}},
    {"headers": {"Connection": "close, Authorization, X-Other", "Keep-Alive": "timeout=1"}},
    {"headers": {"X-Accel-Redirect": "/etc/passwd", "Proxy-Authenticate": "Basic realm=x"}},
    {"interim": 10}, {"headers": {"Trailer": "Docker-Content-Digest"}},
    {"no_length": "chunked",
     "trailers": "Docker-Content-Digest: sha256:nonsense\r\nContent-Length: 3\r\n"}], ids=str)
def test_F31_odd_headers_stay_upstream(rig, step):
    image = rig.add()
    for host in rig.hosts:
        host.script("/", {**step, "times": 0})
    manifest, blob = rig.manifest(), rig.blob(image.layers[0])
    assert manifest.body == image.payload
    whole_and_right(blob, blob_bytes("team/app 1"))
    for got in (manifest, blob):
        for name in ("Set-Cookie", "Content-Encoding", "X-Accel-Redirect", "X-Other",
                     "Proxy-Authenticate", "Keep-Alive", "Trailer"):
            assert name not in got.headers, (name, got)
    rig.pull()


def test_F31_a_flood_of_interim_answers(rig):
    data = known_blob(rig)
    for host in rig.hosts:
        host.script("/", {"interim": 11, "times": 0})
    begun = time.monotonic()
    got = get(rig.cove.port, "/v2/hub/team/app/manifests/2", rig.puller.token("team/app"))
    assert got.status in (502, 503), got
    assert time.monotonic() - begun < 20
    rig.clear()
    eventually(lambda: rig.blob(digest_of(data)).body == data, 20)
