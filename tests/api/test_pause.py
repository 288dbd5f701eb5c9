"""An operator pauses and drains an upstream: what is cached goes on, nobody is asked, and the refusal
says who did it and since when."""
import os
import re
import threading

from proxied import Puller, eventually, proxy_of
from seeding import run_sql
from upstream import Upstream, digest_of

COVE = "/api/cove/v1"


def upstream_of(cove):
    rows = cove.admin.get(COVE + "/upstreams").json()
    assert len(rows) == 1
    return rows[0]


def pause(cove, **body):
    reply = cove.admin.post(f"{COVE}/upstreams/{upstream_of(cove)['id']}/pause", json=body)
    assert reply.status == 200, reply
    return reply.json()


def resume(cove):
    reply = cove.admin.delete(f"{COVE}/upstreams/{upstream_of(cove)['id']}/pause")
    assert reply.status == 200, reply
    return reply.json()


def test_a_paused_upstream_is_not_asked(start):
    with Upstream() as up:
        cached = up.add_image("team/app", "1", [b"cached layer"])
        other = up.add_image("team/app", "2", [b"not cached"])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        puller.image("team/app", "1")
        row = upstream_of(cove)
        assert row["state"] == "open" and "paused_by" not in row and row["transfers"] == 0
        said = pause(cove, reason="their certificate expires tonight")
        assert said["state"] == "paused" and said["paused_by"] == "admin"
        assert said["reason"] == "their certificate expires tonight" and said["since"]
        up.clear()

        # what is cached is served as with an upstream that is away
        tag = puller.manifest("team/app", "1")
        assert tag.status == 200 and tag.body == cached.payload
        assert tag.headers["Warning"].startswith("110")
        puller.image("team/app", cached.digest)
        assert "1" in puller.request("GET", "team/app", "tags/list").json()["tags"]

        # what is not is refused with the reason
        for refused in (puller.manifest("team/app", "2"), puller.manifest("team/app", other.digest),
                        puller.blob("team/app", other.layers[0])):
            assert refused.status == 503 and refused.headers["Retry-After"] == "60", refused
            words = refused.json()["errors"][0]["message"]
            assert re.search(r"paused by admin since 20\d\d-\d\d-\d\dT[\d:.]+Z: their certificate",
                             words), words
        assert puller.manifest("team/app", "2", method="HEAD").status == 503
        assert up.requests == []
        assert 'cove_upstream_paused{endpoint="1"' in cove.anonymous.get("/metrics").body.decode()

        # it outlives the process
        cove.restart()
        puller = Puller(cove)
        assert upstream_of(cove)["state"] == "paused"
        assert puller.manifest("team/app", "2").status == 503 and up.requests == []
        summary = cove.admin.get(COVE + "/cache/summary?range=6h").json()
        assert summary["upstreams"][0]["paused_by"] == "admin"

        assert resume(cove)["state"] == "open"
        assert puller.manifest("team/app", "2").body == other.payload
        assert "cove_upstream_paused{" not in cove.anonymous.get("/metrics").body.decode()
        log = cove.stderr()
        assert re.search(r"audit.*upstream 1 is (paused|resumed) by admin", log), log


class Slow:
    """A client of one blob whose bytes come slowly."""

    def __init__(self, puller, digest):
        self.reply, self.error = None, None
        self.thread = threading.Thread(target=self.run, args=(puller, digest))
        self.thread.start()

    def run(self, puller, digest):
        try:
            self.reply = puller.blob("team/app", digest)
        except Exception as e:  # the connection is cut
            self.error = e

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self


def begin_slow(cove, up, rate):
    """An image whose layer is on its way; its manifest and all but that layer are cached."""
    layer = os.urandom(1 << 20)
    image = up.add_image("team/app", "big", [layer])
    puller = Puller(cove)
    puller.token("team/app")
    assert puller.manifest("team/app", "big").status == 200
    digest = image.layers[0]
    up.script("/blobs/" + digest, {"rate": rate, "times": 1})
    slow = Slow(puller, digest)
    eventually(lambda: cove.admin.get(COVE + "/cache/downloads").json()[:1]
               and cove.admin.get(COVE + "/cache/downloads").json()[0]["have"] > 0)
    return puller, digest, layer, slow


def test_a_pause_ends_transfers_and_a_resume_goes_on_with_them(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        puller, digest, layer, slow = begin_slow(cove, up, 200_000)
        assert upstream_of(cove)["transfers"] == 1
        pause(cove)
        slow.join()
        assert slow.reply is None or slow.reply.status == 503 or len(slow.reply.body) < len(layer)
        eventually(lambda: upstream_of(cove)["transfers"] == 0)
        up.clear()
        refused = puller.blob("team/app", digest)
        assert refused.status == 503 and b"paused by admin" in refused.body, refused
        assert up.requests == []
        resume(cove)
        assert digest_of(puller.blob("team/app", digest).body) == digest


def test_what_another_node_paused_is_heard(start):
    """What nodes share is the database: requests obey the row at once, transfers within two seconds."""
    with Upstream() as up:
        cove = start(proxy_of(up))
        puller, digest, layer, slow = begin_slow(cove, up, 100_000)
        run_sql(cove, "UPDATE endpoint SET halt = 'paused', halted_by = 'ada', halted_at = 1790000000000000;")
        refused = puller.manifest("team/app", "none")
        assert refused.status == 503 and b"paused by ada since 2026-" in refused.body, refused
        slow.join()
        assert slow.reply is None or slow.reply.status == 503 or len(slow.reply.body) < len(layer)
        eventually(lambda: upstream_of(cove)["transfers"] == 0)


def test_draining_lets_transfers_end(start):
    with Upstream() as up:
        cove = start(proxy_of(up))
        puller, digest, layer, slow = begin_slow(cove, up, 300_000)
        other = up.add_image("team/app", "other", [b"another layer"])
        said = pause(cove, drain=True)
        assert said["state"] == "draining" and said["transfers"] == 1
        assert puller.manifest("team/app", "other").status == 503
        late = Slow(puller, digest)  # no new transfer: it follows the one that is under way
        for one in (slow, late):
            assert one.join().reply.body == layer, one.error
        row = eventually(lambda: (r := upstream_of(cove))["transfers"] == 0 and r)
        assert row["state"] == "paused"
        assert up.count("GET", "/blobs/" + digest) == 1
        assert puller.blob("team/app", other.layers[0]).status == 503
        resume(cove)
        assert puller.manifest("team/app", "other").status == 200


def test_background_work_yields(start):
    with Upstream() as up:
        up.add_image("team/app", "1", [b"old"])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        assert puller.manifest("team/app", "1").status == 200
        artifact = "/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts/1/tags"
        eventually(lambda: cove.admin.get(artifact).json()[0].get("pull_time"))
        new = up.add_image("team/app", "1", [b"new"])
        pause(cove)
        up.clear()
        assert cove.admin.post(COVE + "/refresh").status == 202
        job = lambda: cove.admin.get(COVE + "/jobs?kind=refresh").json()[0]
        assert "paused" in eventually(lambda: job().get("message"))
        waiting, said = cove.waiting_pull("hub/team/app:1", "is paused")
        assert "waits: the upstream is paused" in said
        assert up.requests == [] and job()["state"] == "running" and waiting.poll() is None
        resume(cove)
        said, _ = waiting.communicate(timeout=60)
        assert waiting.returncode == 0 and new.digest in said, said
        eventually(lambda: job()["state"] == "done", 20)
