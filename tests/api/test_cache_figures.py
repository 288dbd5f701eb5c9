"""The cache in figures: every one is what /metrics and the access log say, also after a restart."""
import json
import threading
import time

import pytest

from proxied import Puller, eventually, proxy_of
from upstream import Upstream

API = "/api/cove/v1"
CHECK = API + "/upstreams/check"


def summary(cove, span="24h", who=None):
    return (who or cove.admin).get(f"{API}/cache/summary?range={span}").json()


def pulls(cove):
    """What the access log has of pulls through proxy projects."""
    return [a for a in cove.accesses() if a.get("upstream") and a["path"].startswith("/v2/")]


def adds_up(cove):
    """Figures, metrics and access log say the same; returns the figures."""
    figures = summary(cove)["current"]
    metrics, log = cove.metrics(), pulls(cove)
    names = {"hit": "hits", "revalidated": "revalidated", "miss": "misses", "stale": "stale",
             "coalesced": "coalesced", "refused": "refused"}
    for outcome, name in names.items():
        assert figures[name] == sum(a["upstream"] == outcome for a in log), name
        assert figures[name] == metrics[f"cove_proxy_{name}_total"], name
    assert figures["requests"] == len(log) == metrics["cove_proxy_requests_total"]
    kept = ("hit", "revalidated", "stale", "coalesced")
    assert figures["served"] == sum(a["upstream"] in kept for a in log)
    assert figures["bytes_saved"] == metrics["cove_proxy_bytes_saved_total"]
    assert figures["bytes_saved"] == sum(
        a["bytes_out"] for a in log if a["upstream"] in kept and a["method"] == "GET")
    assert figures["pulls_saved"] == metrics["cove_proxy_pulls_saved_total"]
    assert figures["pulls_saved"] == sum(
        a["upstream"] in kept and a["method"] == "GET" and "/manifests/" in a["path"] for a in log)
    for name in ("requests", "bytes", "errors"):
        assert figures[f"upstream_{name}"] == metrics[f"cove_upstream_{name}_total"], name
    assert figures["limited"] == metrics["cove_upstream_limited_total"]
    return figures


def test_figures_metrics_and_access_log_are_one(start):
    with Upstream(ratelimit=100) as up:
        one = up.add_image("team/app", "1", [b"x" * 5000])
        up.add_image("team/app", "2", [b"y" * 100])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        assert summary(cove)["current"]["requests"] == 0
        assert summary(cove)["current"]["answer_median_us"] == -1
        puller.image("team/app", "1")                              # 3 misses
        puller.image("team/app", "1")                              # asked, and 2 hits
        assert puller.manifest("team/app", one.digest).status == 200  # a hit
        assert puller.manifest("team/app", "1", "HEAD").status == 200
        layer = json.loads(one.payload)["layers"][0]["digest"]
        assert len(puller.blob("team/app", layer, headers={"Range": "bytes=100-199"}).body) == 100
        assert puller.manifest("team/app", "none").status == 404
        up.script("/manifests/2", {"status": 500, "times": 0})
        assert puller.manifest("team/app", "2").status == 502
        up.script("/manifests/1", {"status": 503, "times": 0})
        assert puller.manifest("team/app", "1").status == 200      # stale
        figures = adds_up(cove)
        assert figures["misses"] == 3 and figures["stale"] == 1 and figures["refused"] == 2
        assert figures["pulls_counted"] == up.limit - up.remaining == 1
        assert figures["broken"] == figures["upstream_errors"] > 0
        assert 0 <= figures["answer_median_us"] <= figures["answer_p95_us"]
        assert figures["upstream_median_us"] > 0

        whole = summary(cove)
        assert [u["name"] for u in whole["upstreams"]] == ["hub"]
        row = whole["upstreams"][0]
        for name in ("requests", "served", "bytes_saved", "upstream_errors", "broken"):
            assert row["sums"][name] == figures[name], name
        assert row["quota"][0]["remaining"] == 99 and row["state"] == "open"
        assert len(row["health"]) == 48 and row["health"][-1] in ("trouble", "bad")
        assert set(row["health"][:-2]) == {"quiet"}
        for name in ("requests", "served", "bytes_saved", "upstream_errors"):
            assert sum(p[name] for p in whole["series"]) == figures[name], name
        assert whole["previous"]["requests"] == 0

        before = {span: summary(cove, span)["current"] for span in ("6h", "24h", "7d", "30d")}
        for figures in before.values():
            assert figures["requests"] == whole["current"]["requests"]
        cove.restart()  # they are kept, the metrics begin again
        for span, figures in before.items():
            now = summary(cove, span)["current"]
            for name, value in figures.items():
                assert name in ("from", "to") or now[name] == value, (span, name)
        assert cove.metrics()["cove_proxy_requests_total"] == 0


def test_a_herd_is_saved_traffic_and_is_seen_under_way(start):
    with Upstream() as up:
        data = b"z" * (1 << 20)
        image = up.add_image("team/app", "1", [b"small", data])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        assert puller.manifest("team/app", "1").status == 200
        assert cove.admin.get(API + "/cache/downloads").json() == []
        layer = next(d["digest"] for d in json.loads(image.payload)["layers"]
                     if d["size"] == len(data))
        up.script("/blobs/" + layer, {"rate": 1 << 19})
        bodies = []
        clients = [threading.Thread(target=lambda: bodies.append(puller.blob("team/app", layer).body))
                   for _ in range(4)]
        for c in clients:
            c.start()

        def seen():
            found = cove.admin.get(API + "/cache/downloads").json()
            return found and found[0]["clients"] == 4 and found[0]["have"] > 0 and found[0]
        eventually(lambda: seen())
        one = seen()
        assert (one["upstream"], one["project"], one["repository"], one["tag"]) == (
            "hub", "hub", "team/app", "1")
        assert (one["digest"], one["size"], one["layer"], one["layers"]) == (
            layer, len(data), 2, 2)
        eventually(lambda: not seen() or seen()["rate"] > 0)
        for c in clients:
            c.join(30)
        assert [len(b) for b in bodies] == [len(data)] * 4
        eventually(lambda: cove.admin.get(API + "/cache/downloads").json() == [])
        assert up.count("GET", layer) == 1
        figures = adds_up(cove)
        assert figures["coalesced"] + figures["hits"] == 3
        assert figures["bytes_saved"] == 3 * len(data)


def test_who_pulled_a_moment_ago(start):
    with Upstream() as up:
        image = up.add_image("team/app", "1", [b"x"])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        project = next(p for p in cove.admin.get("/api/v2.0/projects").json() if p["name"] == "hub")
        path = f"{API}/pulls?project=hub"
        assert cove.admin.get(path).json() == []
        begun = time.monotonic()
        for _ in range(3):
            assert puller.manifest("team/app", "1").status == 200
        first = cove.admin.get(path).json()
        assert time.monotonic() - begun < 10  # at once, not with the next minute
        assert [(p["repository"], p["reference"], p["tag"], p["principal"], p["client"],
                 p["outcome"], p["digest"]) for p in first] == [
            ("team/app", "1", "1", "anonymous", "127.0.0.1", "revalidated", image.digest)]
        # another one of the same, and one by digest: the tag is known all the same
        assert cove.admin.get(f"/v2/hub/team/app/manifests/{image.digest}").status == 200
        both = cove.admin.get(path).json()
        assert [(p["principal"], p["reference"], p["tag"]) for p in both] == [
            ("admin", image.digest, "1"), ("anonymous", "1", "1")]
        later = both[0]["at"]
        assert cove.admin.get(f"{path}&since={later}").json() == []
        assert cove.admin.get(f"{API}/pulls").json() == both
        assert cove.admin.get(f"{path}&limit=1").json() == both[:1]
        assert cove.admin.get(f"{path}&limit=0").status == 400
        assert cove.admin.get(f"{API}/pulls?project=none").status == 404
        assert cove.anonymous.get(path).status == 401
        cove.restart()
        assert cove.admin.get(path).json() == both
        assert project["project_id"] > 0


def test_who_may_see_what(start):
    with Upstream() as up:
        up.add_image("team/app", "1", [b"x"])
        cove = start(proxy_of(up, public="false"))
        user = {"username": "nina", "email": "n@example.org", "realname": "N", "password": "Nina12345"}
        assert cove.admin.post("/api/v2.0/users", json=user).status == 201
        nina = cove.client("nina", "Nina12345")
        assert cove.admin.get("/v2/hub/team/app/manifests/1").status == 200
        seen = summary(cove, who=nina)
        assert seen["current"]["requests"] == 1 and seen["upstreams"] == []
        assert nina.get(API + "/cache/downloads").json() == []
        assert nina.get(API + "/pulls?project=hub").status == 403
        assert nina.get(API + "/pulls").status == 403
        assert nina.get(API + "/pulls?project=none").status == 403
        assert nina.post(CHECK, json={"type": "docker-registry", "url": up.url}).status == 403
        for path in ("/cache/summary", "/cache/downloads", "/pulls"):
            assert cove.anonymous.get(API + path).status == 401
        assert cove.admin.get(API + "/cache/summary?range=1y").status == 400


# ---- a look at an upstream before it is saved ---------------------------------------------------


@pytest.fixture
def cove_out(start):
    return start(COVE_OUTBOUND_ALLOW="127.0.0.0/8")


def check(cove, up, **more):
    reply = cove.admin.post(CHECK, json={"type": "docker-hub", "url": up.url, **more})
    assert reply.status == 200, reply
    return reply.json()


def test_a_check_tells_what_is_left_and_costs_no_pull(cove_out):
    with Upstream(auth="bearer", credentials=("acme", "s3cret"), ratelimit=200) as up:
        up.remaining = 187
        account = {"credential_type": "basic", "access_key": "acme", "access_secret": "s3cret"}
        seen = check(cove_out, up, **account)
        assert seen["reached"] and seen["signed_in"] and seen["account"] == "acme"
        assert (seen["limit"], seen["remaining"], seen["window_s"]) == (200, 187, 21600)
        assert "cause" not in seen and seen["host"] == up.netloc and not seen["tls"]
        assert up.remaining == 187 and up.count("GET", "/manifests/") == 0
        wrong = check(cove_out, up, **{**account, "access_secret": "no"})
        assert wrong["reached"] and not wrong["signed_in"] and wrong["cause"] == "credential"
        assert cove_out.admin.get("/api/v2.0/registries").json() == []


def test_a_check_names_the_cause(cove_out):
    with Upstream(ratelimit=100) as up:
        anonymous = check(cove_out, up)
        assert anonymous["reached"] and not anonymous["signed_in"] and anonymous["remaining"] == 100
        up.script("/v2/", {"status": 503, "times": 1})
        broken = check(cove_out, up)
        assert (broken["reached"], broken["status"], broken["cause"]) == (True, 503, "answer")
    gone = check(cove_out, up)
    assert (gone["reached"], gone["cause"]) == (False, "unreachable") and gone["reason"]
    away = cove_out.admin.post(CHECK, json={"type": "docker-registry", "url": "http://10.255.255.1"})
    assert away.status == 400 and "outbound.allow" in away.body.decode()
    assert cove_out.admin.post(CHECK, json={"type": "x", "url": up.url}).status == 400
    assert cove_out.admin.post(CHECK, json={"type": "docker-hub"}).status == 400


def test_a_saved_upstream_is_checked_as_it_is(start):
    with Upstream(ratelimit=100) as up:
        cove = start(proxy_of(up, type="docker-hub"))
        one = cove.admin.get(API + "/upstreams").json()[0]
        up.script("/v2/", {"status": 500, "times": 0})
        for _ in range(5):
            seen = cove.admin.post(CHECK, json={"id": one["id"]}).json()
            assert seen["cause"] == "answer"
        one = cove.admin.get(API + "/upstreams").json()[0]
        assert one["state"] == "broken" and one["since"]
        up.clear_scripts()
        seen = cove.admin.post(CHECK, json={"id": one["id"]}).json()
        assert seen["remaining"] == 100
        one = cove.admin.get(API + "/upstreams").json()[0]
        assert one["state"] == "open" and "since" not in one
        assert one["quota"][0]["remaining"] == 100
        assert cove.admin.post(CHECK, json={"id": 999}).status == 404
