"""Held-back tags: a moved upstream tag serves its previous digest until the new one is old enough."""
from proxied import Puller, eventually, proxy_of, set_metadata
from seeding import run_sql
from test_journal import of
from upstream import Upstream


def age(cove, hours):
    """As if what is held had been seen first so much earlier."""
    cove.stop()
    run_sql(cove, f"UPDATE tag_seen SET first_seen = first_seen - {round(hours * 3600 * 10**6)};")
    cove.start()
    return Puller(cove)


def kinds(cove, repository):
    return [(m["kind"], m["new_digest"]) for m in
            reversed(cove.admin.get(of("hub", repository, "moves")).json())]


def test_a_held_back_tag_its_exception_and_its_release(start):
    with Upstream() as up:
        old = up.add_image("team/app", "1", [b"old"])
        free = up.add_image("team/app", "edge", [b"edge"])
        cove = start(proxy_of(up))
        set_metadata(cove, "hub", proxy_hold_hours="24", proxy_hold_except="lib/** team/*:edge*")
        puller = Puller(cove)
        assert puller.image("team/app", "1").body == old.payload  # new tags pass
        assert puller.image("team/app", "edge").body == free.payload
        new = up.add_image("team/app", "1", [b"new"])
        freer = up.add_image("team/app", "edge", [b"edge 2"])
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
        puller = age(cove, 23)
        assert puller.manifest("team/app", "1").body == old.payload
        puller = age(cove, 1)
        eventually(lambda: puller.manifest("team/app", "1").body == new.payload)
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
        set_metadata(cove, "hub", proxy_hold_hours="24", proxy_hold_new="wait")
        puller = Puller(cove)
        refused = puller.manifest("team/new", "1")
        assert refused.status == 403 and "held back until" in refused.message, refused
        puller = age(cove, 23)
        good = up.add_image("team/new", "1", [b"good"])
        assert puller.manifest("team/new", "1").status == 403
        puller = age(cove, 23)  # the bad one would be old enough
        assert puller.manifest("team/new", "1").status == 403
        puller = age(cove, 1)
        eventually(lambda: puller.manifest("team/new", "1").status == 200)
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
