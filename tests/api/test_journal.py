"""The journal of tags: what moved, where a tag was, pointing it back, and a pull-through tag that is
pinned."""
import time
from datetime import datetime, timezone

from conftest import PASSWORD
from proxied import Puller, proxy_of
from upstream import Upstream

API = "/api/cove/v1"


def of(project, repository, rest=""):
    return f"{API}/projects/{project}/repositories/{repository.replace('/', '%252F')}/{rest}"


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def point(client, project, repository, tag, digest, expect, reason="the new one is broken"):
    return client.post(of(project, repository, f"tags/{tag}/point"),
                       json={"digest": digest, "expect": expect, "reason": reason})


def test_a_tag_restored_and_a_stale_undo(cove, name):
    """A pushed mistake is undone; who undoes what is not there any more hears 409."""
    project, repository = name.split("/")
    admin = cove.admin
    one, _ = admin.push_image(name, "v1")
    time.sleep(0.01)
    then = now()
    time.sleep(0.01)
    two, _ = admin.push_image(name, "v1")
    assert point(admin, project, repository, "v1", one, two).status == 200
    stale = point(admin, project, repository, "v1", one, two)
    assert stale.status == 409 and one in stale.message, stale
    assert admin.get(f"/v2/{name}/manifests/v1").headers["Docker-Content-Digest"] == one

    moves = admin.get(of(project, repository, "moves?tag=v1")).json()
    assert [(m["kind"], m["old_digest"], m["new_digest"], m["who"]) for m in moves] == [
        ("point", two, one, "admin"), ("move", one, two, "admin"), ("move", "", one, "admin")]
    assert moves[0]["reason"] == "the new one is broken" and not moves[0]["upstream"]

    page = admin.get(of(project, repository, "moves?page_size=2"))
    assert len(page.json()) == 2 and 'rel="next"' in page.headers["Link"], page
    rest = admin.get(page.headers["Link"].split(">")[0][1:])
    assert [m["id"] for m in page.json() + rest.json()] == [m["id"] for m in moves]

    was = admin.get(of(project, repository, f"tags/v1?at={then}")).json()
    assert was["digest"] == one and was["stored"]
    assert admin.get(of(project, repository, "tags/v1?at=2020-01-01T00:00:00Z")).status == 404
    assert admin.get(of(project, repository, f"moves?tag=v1&at={then}")).json() == moves[2:]
    # an untagging is undone too, and a tag that is there is not made
    assert admin.delete(f"/v2/{name}/manifests/v1").status == 202
    assert admin.get(of(project, repository, "tags/v1")).status == 404
    assert point(admin, project, repository, "v1", two, "").status == 200
    assert point(admin, project, repository, "v1", two, "").status == 409
    # refusals
    assert point(admin, project, repository, "v1", "sha256:" + "0" * 64, two).status == 404
    assert point(admin, project, repository, "v1", one, two, reason=" ").status == 400
    assert admin.get(of(project, repository, "moves?at=yesterday")).status == 400
    assert admin.delete(of(project, repository, "tags/v1/point")).status == 404  # nothing pinned
    assert point(cove.anonymous, project, repository, "v1", one, two).status == 401


def test_a_pinned_upstream_tag(start):
    """Pointed back, a proxied tag stays whatever upstream says, until it is released."""
    with Upstream() as up:
        old = up.add_image("team/app", "1", [b"old"])
        cove = start(proxy_of(up))
        admin, puller = cove.admin, Puller(cove)
        begin = now()
        puller.image("team/app", "1")
        new = up.add_image("team/app", "1", [b"new"])
        assert puller.image("team/app", "1").body == new.payload
        # what moved, and by whom is nobody's business but those who may read logs
        moved = admin.get(f"{API}/moves?since={begin}&upstream=true").json()
        assert [(m["project"], m["repository"], m["tag"], m["old_digest"], m["new_digest"])
                for m in moved] == [("hub", "team/app", "1", old.digest, new.digest),
                                    ("hub", "team/app", "1", "", old.digest)]
        assert all(m["upstream"] for m in moved)
        assert admin.get(f"{API}/moves?since={now()}&upstream=true").json() == []
        assert admin.get(f"{API}/moves?project=library").json() == []
        assert admin.get(f"{API}/moves?project=nothing").json() == []
        public = cove.anonymous.get(of("hub", "team/app", "moves"))
        assert public.status == 200 and "who" not in public.json()[0], public
        assert cove.anonymous.get(f"{API}/moves").status == 401

        assert point(admin, "hub", "team/app", "1", old.digest, new.digest).status == 200
        up.clear()
        assert puller.image("team/app", "1").body == old.payload
        assert up.count() == 0  # nobody was asked
        assert admin.get(of("hub", "team/app", "tags/1")).json()["pinned"]
        # a pinned digest that left the store comes back by its digest
        assert admin.delete(
            f"/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts/{new.digest}").status == 200
        assert point(admin, "hub", "team/app", "1", new.digest, old.digest).status == 200
        up.add_image("team/app", "1", [b"third"])
        assert puller.manifest("team/app", "1").body == new.payload
        cove.restart()
        assert Puller(cove).manifest("team/app", "1").body == new.payload
        assert cove.admin.delete(of("hub", "team/app", "tags/1/point?reason=fixed")).status == 200
        assert Puller(cove).manifest("team/app", "1").body not in (old.payload, new.payload)
        kinds = [m["kind"] for m in cove.admin.get(of("hub", "team/app", "moves?tag=1")).json()]
        assert kinds[:2] == ["move", "unpin"] and kinds.count("point") == 2
