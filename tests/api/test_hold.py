"""Held-back tags: a moved upstream tag serves its previous digest until the new one is old enough."""
import time

from proxied import Puller, eventually, proxy_of, set_metadata
from test_journal import of
from upstream import Upstream

HOURS = "0.0008"  # 2.88 seconds
WAIT_S = 2.88


def kinds(cove, repository):
    return [(m["kind"], m["new_digest"]) for m in
            reversed(cove.admin.get(of("hub", repository, "moves")).json())]


def test_a_held_back_tag_its_exception_and_its_release(start):
    with Upstream() as up:
        old = up.add_image("team/app", "1", [b"old"])
        free = up.add_image("team/app", "edge", [b"edge"])
        cove = start(proxy_of(up))
        set_metadata(cove, "hub", proxy_hold_hours=HOURS, proxy_hold_except="lib/** team/*:edge*")
        puller = Puller(cove)
        assert puller.image("team/app", "1").body == old.payload  # new tags pass
        assert puller.image("team/app", "edge").body == free.payload
        new = up.add_image("team/app", "1", [b"new"])
        freer = up.add_image("team/app", "edge", [b"edge 2"])
        began = time.monotonic()
        up.clear()
        for method in ("GET", "HEAD", "GET"):
            held = puller.manifest("team/app", "1", method=method)
            assert held.status == 200 and held.headers["Docker-Content-Digest"] == old.digest
            assert "Warning" not in held.headers
        assert up.count("GET", "/manifests/") == 0  # what is held costs no pull
        assert puller.manifest("team/app", "edge").body == freer.payload
        assert puller.manifest("team/app", new.digest).body == new.payload  # by digest: as asked
        assert puller.manifest("team/app", "1").body == old.payload  # and that moves no tag
        state = cove.admin.get(of("hub", "team/app", "tags/1")).json()
        assert state["digest"] == old.digest and state["held"]["digest"] == new.digest, state
        assert time.monotonic() - began < WAIT_S, "too slow a machine for this test"
        cove.restart()  # first seen is a row
        eventually(lambda: Puller(cove).manifest("team/app", "1").body == new.payload)
        assert time.monotonic() - began >= WAIT_S - 0.1
        assert "held" not in cove.admin.get(of("hub", "team/app", "tags/1")).json()
        assert kinds(cove, "team/app") == [
            ("passed", old.digest), ("move", old.digest),
            ("excepted", free.digest), ("move", free.digest),
            ("held", new.digest),
            ("excepted", freer.digest), ("move", freer.digest),
            ("released", new.digest), ("move", new.digest)]


def test_new_tags_wait_and_a_replaced_digest_starts_anew(start):
    with Upstream() as up:
        bad = up.add_image("team/new", "1", [b"bad"])
        cove = start(proxy_of(up))
        set_metadata(cove, "hub", proxy_hold_hours=HOURS, proxy_hold_new="wait")
        puller = Puller(cove)
        refused = puller.manifest("team/new", "1")
        assert refused.status == 403 and "held back until" in refused.message, refused
        time.sleep(WAIT_S / 2)
        good = up.add_image("team/new", "1", [b"good"])
        replaced = time.monotonic()
        assert puller.manifest("team/new", "1").status == 403
        eventually(lambda: puller.manifest("team/new", "1").status == 200)
        assert time.monotonic() - replaced >= WAIT_S - 0.1
        assert puller.manifest("team/new", "1").body == good.payload
        assert kinds(cove, "team/new") == [("held", bad.digest), ("held", good.digest),
                                           ("released", good.digest), ("move", good.digest)]


def test_a_tag_whose_head_names_no_digest_is_held_too(start):
    with Upstream() as up:
        old = up.add_image("team/app", "1", [b"old"])
        cove = start(proxy_of(up))
        set_metadata(cove, "hub", proxy_hold_hours="24")
        puller = Puller(cove)
        puller.image("team/app", "1")
        up.add_image("team/app", "1", [b"new"])
        up.script("/manifests/1", {"wrong_digest_header": None, "times": 0})
        for _ in range(2):
            assert puller.manifest("team/app", "1").body == old.payload


def test_values(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        for key, value, status in [
                ("proxy_hold_hours", "24", 200), ("proxy_hold_hours", "0.5", 200),
                ("proxy_hold_hours", "2160", 200), ("proxy_hold_hours", "2160.1", 400),
                ("proxy_hold_hours", "-1", 400), ("proxy_hold_hours", "1h", 400),
                ("proxy_hold_except", "a/** b:1.*", 200), ("proxy_hold_except", "a/[", 400),
                ("proxy_hold_new", "wait", 200), ("proxy_hold_new", "sometimes", 400)]:
            path = "/api/v2.0/projects/hub/metadatas/" + key
            got = cove.admin.put(path, json={key: value})
            assert got.status == status, (key, value, got)
