"""Pull limits: what background work leaves to people, who uses them up, and the scheduled refresh."""
import re
import time

import pytest

from proxied import Puller, eventually, proxy_of
from upstream import Upstream

API = "/api/cove/v1"


def refresh(cove):
    assert cove.admin.post(API + "/refresh").status == 202


def pulled(cove, repository, tag):
    """When the tag was pulled last, as the API tells it."""
    got = cove.admin.get(f"/api/v2.0/projects/hub/repositories/{repository.replace('/', '%252F')}"
                         f"/artifacts/{tag}/tags")
    return got.json()[0].get("pull_time") if got.status == 200 else None


def test_the_floor_is_kept_while_a_refresh_runs(start):
    with Upstream(ratelimit=100) as up:
        tags = [str(i) for i in range(8)]
        for tag in tags:
            up.add_image("team/app", tag, [b"old " + tag.encode()])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        for tag in tags:
            assert puller.manifest("team/app", tag).status == 200
        eventually(lambda: pulled(cove, "team/app", tags[-1]))
        new = {tag: up.add_image("team/app", tag, [b"new " + tag.encode()]) for tag in tags}
        up.add_image("team/other", "1", [b"seen"])
        up.remaining = 14
        assert puller.manifest("team/other", "1").status == 200  # tells of 13 that are left
        eventually(lambda: pulled(cove, "team/other", "1"))
        up.clear()
        refresh(cove)
        eventually(lambda: cove.metrics()["cove_refresh_waiting"] == 6)
        assert up.remaining == 10 and up.count("GET", "/manifests/") == 3
        # people go below the floor
        assert puller.manifest("team/app", tags[-1]).body == new[tags[-1]].payload
        assert up.remaining == 9
        # the window moves: a person's HEAD hears of it, and the rest is fetched
        up.remaining = 100
        assert puller.manifest("team/app", tags[-1], method="HEAD").status == 200
        eventually(lambda: cove.metrics()["cove_refresh_waiting"] == 0, 15)
        up.clear()
        for tag in tags:
            assert puller.manifest("team/app", tag).body == new[tag].payload
        assert up.count("GET", "/manifests/") == 0
        assert cove.metrics()["cove_refresh_tags_total"] == 9
        assert cove.metrics()["cove_refresh_moved_total"] == 7  # one was a person's


def index(up, text):
    """An index of three platforms; returns it and its children."""
    children = [up.add_image("team/multi", None, [b"%s %d" % (text, i)],
                             platform=("linux", arch))
                for i, arch in enumerate(["amd64", "arm64", "arm"])]
    return up.add_index("team/multi", "1", children), children


def test_a_command_waits_for_the_limit_when_it_is_told_to(start):
    with Upstream(ratelimit=100) as up:
        wanted = up.add_image("team/app", "1", [b"a layer"])
        up.add_image("team/other", "1", [b"another"])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        up.remaining = 11
        assert puller.manifest("team/other", "1").status == 200  # tells of 10 that are left
        up.clear()
        waiting, said = cove.waiting_pull("hub/team/app:1", "kept for people")
        assert "waits" in said
        assert up.requests == [] and waiting.poll() is None
        up.remaining = 90  # the window moved: a person's HEAD hears of it
        assert puller.manifest("team/other", "1", method="HEAD").status == 200
        said, _ = waiting.communicate(timeout=60)
        assert waiting.returncode == 0 and wanted.digest in said, said
        # who hangs up is waited for no longer, and neither does the end of the server wait
        up.remaining = 5
        up.add_image("team/app", "2", [b"more"])
        assert puller.manifest("team/other", "1", method="HEAD").status == 200
        for end in ("hang up", "server"):
            other, said = cove.waiting_pull("hub/team/app:2")
            assert "waits" in said
            if end == "hang up":
                other.kill()
                other.wait()
            else:
                began = time.monotonic()
                cove.stop()
                assert time.monotonic() - began < 25  # the drain would last 30
                other.communicate(timeout=10)


def test_a_refresh_fetches_what_was_pulled(start):
    """The platform that was pulled, time after time, and it is no pull itself."""
    with Upstream() as up:
        _, children = index(up, b"one")
        cove = start(proxy_of(up), COVE_PROXY_REFRESH="0 0 3 29 2 *")
        puller = Puller(cove)
        assert puller.manifest("team/multi", "1").status == 200
        assert puller.image("team/multi", children[1].digest).status == 200
        eventually(lambda: pulled(cove, "team/multi", "1"))
        time.sleep(1.2)  # both counts are written
        last = pulled(cove, "team/multi", "1")
        for text in (b"two", b"three"):
            moved, children = index(up, text)
            up.clear()
            refresh(cove)
            eventually(lambda: up.count("GET", "/blobs/") == 2)  # config and layer of one platform
            eventually(lambda: cove.metrics()["cove_flights"] == 0)
            assert up.count("GET", "/manifests/") == 2
            assert up.count("GET", children[1].digest) == 1
            time.sleep(1.2)
            assert pulled(cove, "team/multi", "1") == last
        up.clear()
        assert puller.manifest("team/multi", "1").body == moved.payload
        assert puller.image("team/multi", children[1].digest).status == 200
        assert up.count("GET") == 0


def test_who_uses_the_limit_and_what_is_left(start):
    with Upstream(ratelimit=100) as up:
        for tag in ("1", "2", "3"):
            up.add_image("team/app", tag, [tag.encode()])
        cove = start(proxy_of(up), COVE_PROXY_QUOTA_FLOOR="10%,hub=25")
        puller = Puller(cove)
        for tag in ("1", "2", "1"):
            assert puller.manifest("team/app", tag).status == 200
        assert cove.admin.get("/v2/hub/team/app/manifests/3").status == 200
        listed = cove.admin.get(API + "/upstreams").json()
        assert [(u["name"], u["state"]) for u in listed] == [("hub", "open")]
        quota = listed[0]["quota"]
        assert [(q["credential"], q["limit"], q["remaining"], q["floor"]) for q in quota] == [
            ("anonymous", 100, 97, 25)]
        text = cove.anonymous.get("/metrics").body.decode()
        assert re.search(r'cove_upstream_pulls_total\{endpoint="hub"\} 3\n', text)
        assert "floor" in text
        cove.restart()  # what was counted is written at the end
        one = f"{API}/upstreams/{listed[0]['id']}"
        used = cove.admin.get(one + "/consumers?window=3600").json()
        assert [(u["project"], u["repository"], u["principal"], u["pulls"]) for u in used] == [
            ("hub", "team/app", "anonymous", 2), ("hub", "team/app", "admin", 1)]
        assert used == cove.admin.get(one + "/consumers?window=604800").json()
        series = cove.admin.get(one + "/quota").json()
        assert series["now"]["remaining"] == 97 and series["step"] == "minute"
        assert series["series"][-1]["remaining"] == 97 and series["series"][-1]["limit"] == 100
        # a minute or two of observations: nothing is foretold
        assert series["forecast"]["sure"] == "not" and series["forecast"]["empty_mid"] is None
        assert series["refill"]["at"] and not series["refill"]["observed"]
        hours = cove.admin.get(one + "/quota?from=2026-01-01T00:00:00Z").json()
        assert hours["step"] == "hour" and hours["series"][-1]["remaining"] == 97
        assert cove.admin.get(one + "/quota?from=now").status == 400
        assert cove.admin.get(one + "/consumers?window=1").status == 400
        assert cove.admin.get(API + "/upstreams/999/quota").status == 404
        assert cove.anonymous.get(one + "/consumers").status == 401


@pytest.mark.parametrize("key, value", [("COVE_PROXY_REFRESH", "0 0 * * *"),
                                        ("COVE_PROXY_QUOTA_FLOOR", "10%,many"),
                                        ("COVE_PROXY_REFRESH_DAYS", "0")])
def test_bad_settings_stop_the_start(start, key, value):
    with pytest.raises(AssertionError, match=key):
        start(**{key: value})
