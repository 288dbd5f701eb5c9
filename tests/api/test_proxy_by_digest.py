"""Clients that ask HEAD by tag and then GET by digest (docker, containerd) leave the tag in the
cache as well, after one pull."""
import hashlib

from proxied import Puller, proxy_of
from upstream import OCI_MANIFEST, Upstream


def as_docker_does(puller, repo, tag):
    head = puller.manifest(repo, tag, "HEAD")
    assert head.status == 200, head
    return puller.image(repo, head.headers["Docker-Content-Digest"])


def test_one_pull_is_enough(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        image = up.add_image("team/app", "1", [b"layer" * 1000])
        puller = Puller(cove)
        assert as_docker_does(puller, "team/app", "1").body == image.payload
        assert (up.count("HEAD", "/manifests/"), up.count("GET", "/manifests/")) == (1, 1)
        up.down()
        reply = puller.image("team/app", "1")
        assert reply.body == image.payload
        assert reply.headers["Warning"].startswith("110")


def test_a_tag_that_moved_meanwhile(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        old = up.add_image("team/app", "1", [b"old" * 1000])
        puller = Puller(cove)
        assert puller.manifest("team/app", "1", "HEAD").headers["Docker-Content-Digest"] == old.digest
        new = up.add_image("team/app", "1", [b"new" * 1000])
        assert as_docker_does(puller, "team/app", "1").body == new.payload
        assert puller.image("team/app", old.digest).body == old.payload
        up.down()
        assert puller.image("team/app", "1").body == new.payload, "the later word counts"


def test_the_tag_of_another_repository(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        image = up.add_image("team/app", "1", [b"layer" * 1000])
        up.add_image("team/twin", "2", [b"layer" * 1000])
        puller = Puller(cove)
        assert puller.manifest("team/app", "1", "HEAD").status == 200
        assert puller.image("team/twin", image.digest).body == image.payload
        up.down()
        assert puller.manifest("team/twin", "1").status >= 500


def test_a_tag_that_upstream_knows_by_sha512(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        payload = up.add_image("team/app", None, [b"layer" * 1000]).payload
        digest = "sha512:" + hashlib.sha512(payload).hexdigest()
        up.repo("team/app")["manifests"][digest] = (payload, OCI_MANIFEST)
        up.move_tag("team/app", "1", digest)
        puller = Puller(cove)
        for _ in range(3):
            assert puller.manifest("team/app", "1").headers["Docker-Content-Digest"] == digest
        assert up.count("GET", "/manifests/") == 1, "unchanged, so a HEAD is enough"
        up.down()
        reply = puller.manifest("team/app", "1")
        assert reply.body == payload and reply.headers["Docker-Content-Digest"] == digest
