"""The five scenarios of a proxy cache, each by name, against a scripted upstream and against
Debian's docker-registry, with every upstream request counted."""
import shutil
import time

import pytest

from proxied import DockerRegistry, Puller, eventually, outcomes, proxy_of, set_metadata
from upstream import Upstream, digest_of

LAYERS = [b"layer one" * 5000, b"layer two" * 90000]


@pytest.fixture(params=["scripted", "docker-registry"])
def up(request):
    if request.param == "docker-registry" and not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed")
    up = Upstream() if request.param == "scripted" else DockerRegistry()
    yield up
    up.stop()


@pytest.fixture
def cove(start, up):
    return start(proxy_of(up))


def asked(up):
    """(HEADs, GETs) of manifests, GETs of blobs."""
    return (up.count("HEAD", "/manifests/"), up.count("GET", "/manifests/"),
            up.count("GET", "/blobs/"))


def test_not_cached(up, cove):
    image = up.add_image("team/app", "1", LAYERS)
    up.clear()
    reply = Puller(cove).image("team/app", "1")
    assert reply.body == image.payload
    assert reply.headers["Docker-Content-Digest"] == image.digest
    assert reply.headers["Content-Type"] == image.media_type
    assert asked(up) == (1, 1, 3)
    assert outcomes(cove) == ["miss"]
    # what is stored shows in the API
    eventually(lambda: cove.admin.get(
        "/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts").json())
    listed = cove.admin.get("/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts").json()
    assert [a["digest"] for a in listed] == [image.digest]


def test_cached_and_unchanged(up, cove):
    up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    first = puller.image("team/app", "1")
    up.clear()
    for _ in range(3):
        assert puller.image("team/app", "1").body == first.body
    assert asked(up) == (3, 0, 0), "each pull costs one HEAD and nothing else"
    assert outcomes(cove)[1:] == ["revalidated"] * 3
    up.clear()
    digest = first.headers["Docker-Content-Digest"]
    assert puller.image("team/app", digest).body == first.body
    assert asked(up) == (0, 0, 0), "a digest that is here is nobody's question"


def test_cached_inside_the_window(up, start):
    cove = start(proxy_of(up), COVE_PROXY_WINDOW_S=60)
    up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    puller.image("team/app", "1")
    up.clear()
    for _ in range(3):
        puller.image("team/app", "1")
    assert asked(up) == (0, 0, 0)
    assert outcomes(cove)[1:] == ["hit"] * 3
    set_metadata(cove, "hub", proxy_window_s=1)
    time.sleep(1.2)
    puller.image("team/app", "1")
    assert asked(up) == (1, 0, 0), "the project's own window is over"
    puller.image("team/app", "1")
    assert asked(up) == (1, 0, 0), "and has begun again"


def test_cached_and_moved_upstream(up, cove):
    old = up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    puller.image("team/app", "1")
    new = up.add_image("team/app", "1", [LAYERS[0], b"a new second layer" * 3000])
    up.clear()
    reply = puller.image("team/app", "1")
    assert reply.body == new.payload
    assert asked(up) == (1, 1, 2), "the common layer is here already"
    up.clear()
    assert puller.image("team/app", "1").body == new.payload
    assert asked(up) == (1, 0, 0)
    assert puller.image("team/app", old.digest).body == old.payload
    assert asked(up) == (1, 0, 0), "the old artifact stays"


def test_cached_and_unreachable(up, cove):
    image = up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    puller.image("team/app", "1")
    up.down()
    for _ in range(8):  # the breaker opens on the way
        reply = puller.image("team/app", "1")
        assert reply.body == image.payload
        assert reply.headers["Warning"].startswith("110")
    assert outcomes(cove)[1:] == ["stale"] * 8
    missing = puller.manifest("team/app", "2")
    assert missing.status in (502, 503, 504), missing
    up.up()

    def fresh():
        reply = puller.image("team/app", "1")
        return "Warning" not in reply.headers
    eventually(fresh, 15)


def test_cached_and_removed_upstream(up, cove):
    image = up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    puller.image("team/app", "1")
    up.delete_tag("team/app", "1")
    reply = puller.manifest("team/app", "1")
    assert (reply.status, reply.code) == (404, "MANIFEST_UNKNOWN")
    up.clear()
    assert puller.image("team/app", image.digest).body == image.payload
    assert asked(up) == (0, 0, 0)
    set_metadata(cove, "hub", proxy_cache_local_on_not_found="true")
    assert puller.image("team/app", "1").body == image.payload


def test_push_is_refused(up, cove):
    reply = cove.admin.post("/v2/hub/team/app/blobs/uploads/", b"")
    assert (reply.status, reply.code) == (403, "DENIED")
    reply = cove.admin.put("/v2/hub/team/app/manifests/1", b"{}", headers={
        "Content-Type": "application/vnd.oci.image.manifest.v1+json"})
    assert (reply.status, reply.code) == (403, "DENIED")


def test_head_of_what_is_not_cached(up, cove):
    image = up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    up.clear()
    reply = puller.manifest("team/app", "1", "HEAD")
    assert reply.status == 200
    assert reply.headers["Docker-Content-Digest"] == image.digest
    assert int(reply.headers["Content-Length"]) == len(image.payload)
    assert asked(up) == (1, 0, 0), "a HEAD costs no pull"
    reply = puller.blob("team/app", digest_of(LAYERS[1]), "HEAD")
    assert reply.status == 200
    assert int(reply.headers["Content-Length"]) == len(LAYERS[1])
    assert up.count("GET", "/blobs/") == 0
    assert puller.blob("team/app", digest_of(b"nobody's"), "HEAD").status == 404
    assert puller.blob("team/app", digest_of(b"nobody's")).status == 404


def test_a_blob_before_its_manifest(up, cove):
    up.add_image("team/app", "1", LAYERS)
    puller = Puller(cove)
    up.clear()
    assert puller.blob("team/app", digest_of(LAYERS[1])).body == LAYERS[1]
    assert up.count("GET", "/blobs/") == 1
    eventually(lambda: puller.blob("team/app", digest_of(LAYERS[1])).body == LAYERS[1])


def test_tags_are_united(up, cove):
    for tag in ["b", "a", "c"]:
        up.add_image("team/app", tag, [tag.encode() * 100])
    puller = Puller(cove)
    puller.image("team/app", "b")
    up.delete_tag("team/app", "b")
    up.add_image("team/app", "d", [b"d"])
    assert puller.request("GET", "team/app", "tags/list").json() == {
        "name": "hub/team/app", "tags": ["a", "b", "c", "d"]}
    page = puller.request("GET", "team/app", "tags/list?n=2")
    assert page.json()["tags"] == ["a", "b"]
    assert 'rel="next"' in page.headers["Link"]
    assert puller.request("GET", "team/app", "tags/list?n=2&last=b").json()["tags"] == ["c", "d"]
    up.down()
    assert puller.request("GET", "team/app", "tags/list").json()["tags"] == ["b"]
