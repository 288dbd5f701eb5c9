"""Clients that ask HEAD by tag and then GET by digest (docker, containerd) leave the tag in the
cache as well, after one pull."""
from proxied import Puller, proxy_of
from upstream import Upstream


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
