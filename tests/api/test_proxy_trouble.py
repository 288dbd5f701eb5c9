"""An upstream that is dead, slow, limited, denying or lying: what is cached is served quickly, what
is not gets the upstream's true status, never 404, and the upstream is left in peace."""
import json
import random
import time

import pytest

from proxied import Puller, config, eventually, outcomes, proxy_of, set_metadata
from upstream import OCI_INDEX, OCI_MANIFEST, Upstream, digest_of

LAYER = b"a layer " * 3000
# What a captive portal, a parked host or a broken front server says to everything.
PORTALS = [{"status": 200, "headers": {"Content-Type": kind, "Docker-Content-Digest": None},
            "body": body}
           for kind, body in (("text/html", "<html>Please log in</html>"),
                              ("application/json", '{"errors": [{"code": "DENIED"}]}'),
                              (OCI_MANIFEST, ""))]


@pytest.fixture
def up():
    with Upstream() as up:
        yield up


@pytest.fixture
def cove(start, up):
    return start(proxy_of(up), COVE_PROXY_BUDGET_MS=300)


@pytest.fixture
def cached(up, cove):
    """A puller with team/app:1 in the cache; the upstream's record is empty."""
    up.add_image("team/app", "1", [LAYER])
    puller = Puller(cove)
    puller.image("team/app", "1")
    up.clear()
    return puller


def answers_soon(puller, n=30, ref="1"):
    """The budget is 0.3 seconds; who waits for the upstream waits for eight."""
    times = []
    for _ in range(n):
        begun = time.monotonic()
        reply = puller.manifest("team/app", ref)
        times.append(time.monotonic() - begun)
        assert reply.status == 200, reply
        assert reply.headers["Warning"].startswith("110"), reply.headers
    times.sort()
    assert times[n // 2] < 1 and times[-1] < 5, times


@pytest.mark.parametrize("step", [
    {"status": 500}, {"status": 502}, {"status": 503}, {"delay": 8}, {"rst": True},
    {"status": 429}, {"status": 429, "headers": {"Retry-After": "30"}},
    {"status": 401}, {"status": 403}, {"flood": 200000}, {"wrong_digest_header": "nonsense"},
    *PORTALS,
], ids=str)
def test_cached_tag_in_less_than_a_second(up, cached, step):
    up.script("/v2/", {**step, "times": 0})
    if "wrong_digest_header" in step:  # a GET tells what the HEAD does not
        assert cached.manifest("team/app", "1").status == 200
        return
    answers_soon(cached)


def test_a_dead_upstream(up, cove, cached):
    up.down()
    answers_soon(cached)
    begun = time.monotonic()
    reply = cached.manifest("team/app", "2")
    assert reply.status in (502, 503, 504), reply
    assert time.monotonic() - begun < 15
    assert cached.blob("team/app", digest_of(b"other")).status in (502, 503, 504)


def test_nobody_listens(start):
    """A blackhole: connections are neither taken nor refused."""
    cove = start(config({"project": "hub", "upstream": "http://127.254.254.254:9"}))
    reply = Puller(cove).manifest("team/app", "1")
    assert reply.status in (502, 504), reply


@pytest.mark.parametrize("status, wanted", [(500, 502), (502, 502), (503, 503), (504, 504),
                                            (401, 502), (403, 502), (429, 429)])
def test_uncached_gets_the_true_status(up, cove, status, wanted):
    up.add_image("team/app", "1", [LAYER])
    up.script("/manifests/", {"status": status, "times": 0})
    reply = Puller(cove).manifest("team/app", "1")
    assert reply.status == wanted, reply
    assert "hub" in reply.message


def test_abuse_limit_is_heeded(up, cove, cached):
    up.script("/v2/", {"status": 429, "headers": {"Retry-After": "3"}})
    assert cached.manifest("team/app", "1").headers["Warning"]
    assert up.count() == 1
    reply = cached.manifest("team/app", "2")
    assert reply.status == 429
    assert reply.code == "TOOMANYREQUESTS"
    assert 1 <= int(reply.headers["Retry-After"]) <= 3
    for _ in range(5):
        cached.image("team/app", "1")
    eventually(lambda: "Warning" not in cached.image("team/app", "1").headers)
    first, second = up.requests[:2]
    assert second.time - first.time > 2.9, "nothing is asked before the time"


def test_a_short_wait_is_waited(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    up.script("/manifests/", {"status": 429, "headers": {"Retry-After": "1"}})
    reply = Puller(cove).manifest("team/app", "1")
    assert (reply.status, reply.body) == (200, image.payload)


def test_pull_limit(start):
    with Upstream(ratelimit=2) as up:
        cove = start(proxy_of(up))
        puller = Puller(cove)
        images = [up.add_image("team/app", str(i), [b"%d" % i]) for i in range(4)]
        puller.image("team/app", "0")
        puller.image("team/app", "1")
        assert up.remaining == 0
        assert puller.image("team/app", "0").body == images[0].payload
        up.clear()
        for i in range(4):
            reply = puller.manifest("team/app", "2")
            assert (reply.status, reply.code) == (429, "TOOMANYREQUESTS"), reply
            assert int(reply.headers["Retry-After"]) > 0
        assert up.count("GET", "/manifests/") == 0
        assert up.count() <= 1, "one probe a minute"
        assert puller.image("team/app", "1").body == images[1].payload, "the cache goes on"
        ledger = cove.admin.get("/metrics").body.decode()
        assert 'cove_upstream_quota_remaining{endpoint="hub",credential="anonymous"} 0' in ledger
        assert 'cove_upstream_quota_limit{endpoint="hub",credential="anonymous"} 2' in ledger


def test_ten_thousand_pulls_cost_no_quota(start):
    with Upstream(ratelimit=100) as up:
        cove = start(proxy_of(up), COVE_PROXY_WINDOW_S=600)
        up.add_image("team/app", "1", [LAYER])
        puller = Puller(cove)
        puller.image("team/app", "1")
        left = up.remaining
        up.clear()
        for _ in range(300):
            assert puller.manifest("team/app", "1").status == 200
        assert up.count() == 0 and up.remaining == left == 99


def test_the_breaker_opens(up, cove, cached):
    up.script("/v2/", {"status": 503, "times": 0})
    for _ in range(40):
        cached.manifest("team/app", "1")
    assert up.count() < 15, "forty pulls, and the upstream is left alone"
    up.clear_scripts()
    eventually(lambda: "Warning" not in cached.manifest("team/app", "1").headers, 10)


def test_slow_upstream_moves_the_tag_behind(up, cove, cached):
    new = up.add_image("team/app", "1", [b"new" * 100])
    up.script("/manifests/1", {"delay": 4})
    begun = time.monotonic()
    reply = cached.manifest("team/app", "1")
    assert time.monotonic() - begun < 3.5
    assert reply.headers["Warning"].startswith("110")
    eventually(lambda: up.count("GET", f"/manifests/{new.digest}") == 1)
    up.down()
    eventually(lambda: cached.manifest("team/app", "1").body == new.payload)


def test_heads_are_shared(up, cove, cached):
    import threading
    up.script("/manifests/1", {"delay": 1.5})
    threads = [threading.Thread(target=cached.manifest, args=("team/app", "1")) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert up.count("HEAD") < 6
    assert up.count("GET") == 0


def test_longest_staleness(up, cove, cached):
    set_metadata(cove, "hub", proxy_max_stale_s=1)
    cached.manifest("team/app", "1")
    up.script("/v2/", {"status": 503, "times": 0})
    time.sleep(2.1)
    assert cached.manifest("team/app", "1").status == 503


def test_lies_about_manifests(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    up.script(f"/manifests/{image.digest}", {"corrupt_at": 5, "times": 0}, method="GET")
    reply = Puller(cove).manifest("team/app", "1")
    assert reply.status == 502, reply
    up.clear_scripts()
    assert Puller(cove).manifest("team/app", "1").body == image.payload


@pytest.mark.parametrize("step", PORTALS, ids=str)
def test_what_is_no_manifest_is_not_passed_on(up, cove, step):
    image = up.add_image("team/app", "1", [LAYER])
    up.script("/manifests/", {**step, "times": 0})
    reply = Puller(cove).manifest("team/app", "1")
    assert reply.status == 502 and "no manifest" in reply.message, reply
    up.clear_scripts()
    assert Puller(cove).manifest("team/app", "1").body == image.payload


def test_head_without_digest_or_forbidden(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    up.head_allowed = False
    puller = Puller(cove)
    assert puller.manifest("team/app", "1").body == image.payload
    assert up.count("GET", "/manifests/") == 1, "the GET that told the digest brought it"
    assert puller.image("team/app", image.digest).body == image.payload


@pytest.mark.parametrize("step", [
    {"ignore_range": True}, {"content_range": "bytes 5-10/20"}, {"no_length": True},
    {"no_length": "chunked"}], ids=str)
def test_odd_blob_answers(up, cove, step):
    data = random.Random(3).randbytes(3 << 20)
    up.add_image("team/app", "1", [data])
    puller = Puller(cove)
    puller.manifest("team/app", "1")
    up.script(f"/blobs/{digest_of(data)}", {"cut_at": 1 << 20}, step, method="GET")
    reply = puller.blob("team/app", digest_of(data))
    assert reply.body == data
    assert int(reply.headers["Content-Length"]) == len(data)


def test_unknown_length_without_a_manifest(up, cove):
    data = random.Random(4).randbytes(1 << 20)
    up.add_image("team/app", "1", [data])
    up.script(f"/blobs/{digest_of(data)}", {"headers": {"Content-Length": None}}, method="HEAD")
    up.script(f"/blobs/{digest_of(data)}", {"no_length": "chunked"}, method="GET")
    assert Puller(cove).blob("team/app", digest_of(data)).body == data


@pytest.mark.parametrize("lie", [5, 1 << 30], ids=str)
def test_a_size_is_believed_in_its_own_repository_only(up, cove, lie):
    """Whoever may publish an image upstream may write any size into it, of any blob."""
    image = up.add_image("team/app", "1", [LAYER])
    config = up.add_blob("mallory/app", b"{}")
    named = json.loads(image.payload)
    named["config"].update(digest=config, size=2)
    named["layers"][0]["size"] = lie
    up.put_manifest("mallory/app", "1", json.dumps(named).encode(), OCI_MANIFEST)
    puller = Puller(cove)
    assert puller.manifest("mallory/app", "1").status == 200
    size = int(puller.blob("team/app", image.layers[0], method="HEAD").headers["Content-Length"])
    assert size == len(LAYER), "before its manifest is here, too"
    puller.image("team/app", "1")
    up.down()
    puller.image("team/app", "1")


def test_endless_and_wrong_length(up, cove):
    data = random.Random(5).randbytes(1 << 20)
    up.add_image("team/app", "1", [data])
    puller = Puller(cove)
    puller.manifest("team/app", "1")
    up.script(f"/blobs/{digest_of(data)}", {"endless": True}, method="GET")
    # what follows the last byte is nobody's
    assert puller.blob("team/app", digest_of(data)).body == data


def test_offline(up, start):
    cove = start(proxy_of(up))
    image = up.add_image("team/app", "1", [LAYER])
    Puller(cove).image("team/app", "1")
    cove.stop()
    cove.env["COVE_PROXY_OFFLINE"] = "true"
    cove.start()
    up.clear()
    puller = Puller(cove)
    reply = puller.image("team/app", "1")
    assert reply.body == image.payload and "Warning" not in reply.headers
    missing = puller.manifest("team/app", "2")
    assert missing.status == 503 and "offline" in missing.message
    assert puller.blob("team/app", digest_of(b"other")).status == 503
    assert puller.request("GET", "team/app", "tags/list").json()["tags"] == ["1"]
    assert up.count() == 0
    assert outcomes(cove)[1:] == ["hit", "refused"]


def test_index_is_byte_exact_with_one_child(up, cove):
    children = [up.add_image("team/app", None, [b"child %d" % i],
                             platform=("linux", f"arch{i}")) for i in range(8)]
    index = up.add_index("team/app", "1", children)
    puller = Puller(cove)
    assert puller.manifest("team/app", "1").body == index.payload
    puller.image("team/app", children[3].digest)
    up.clear()
    assert puller.manifest("team/app", "1").body == index.payload
    assert puller.manifest("team/app", index.digest).body == index.payload
    assert up.count("GET") == 0
    up.down()
    assert puller.manifest("team/app", "1").body == index.payload
    assert puller.image("team/app", children[3].digest).body == children[3].payload
    assert puller.manifest("team/app", children[4].digest).status in (502, 503)


def test_filter(up, cove):
    up.add_image("team/app", "1", [LAYER])
    up.add_image("other/app", "1", [LAYER])
    set_metadata(cove, "hub", proxy_cache_filter_pattern="team/**")
    puller = Puller(cove)
    puller.image("team/app", "1")
    for rest in ["manifests/1", f"blobs/{digest_of(LAYER)}", "tags/list"]:
        assert puller.request("GET", "other/app", rest).status == 404
    assert up.count(path_part="other/app") == 0


def test_regex_filter(up, cove):
    for repo in ["team/app", "team/app2", "x/team/app"]:
        up.add_image(repo, "1", [LAYER])
    set_metadata(cove, "hub", proxy_cache_filter_kind="regex",
                 proxy_cache_filter_pattern=r"(team|group)/[a-z]+")
    puller = Puller(cove)
    puller.image("team/app", "1")
    for repo in ["team/app2", "x/team/app"]:  # anchored at both ends
        assert puller.manifest(repo, "1").status == 404
    assert up.count(path_part="app2") == 0
    for pattern in ["(a", "a{1,99}", r"(a)\1", "a" * 1025]:
        reply = cove.admin.put("/api/v2.0/projects/hub/metadatas/proxy_cache_filter_pattern",
                               json={"proxy_cache_filter_pattern": pattern})
        assert reply.status in (400, 422), reply
    set_metadata(cove, "hub", proxy_cache_filter_pattern="(a*)*" * 200)
    begun = time.monotonic()
    assert puller.manifest("a" * 200, "1").status in (401, 404, 502)
    assert puller.manifest("a" * 200 + "-b", "1").status == 404
    assert time.monotonic() - begun < 10


def test_referrers(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    up.add_image("team/app", None, [b"signature"], subject=image,
                 artifact_type="application/vnd.example.signature")
    puller = Puller(cove)
    puller.image("team/app", "1")
    found = puller.request("GET", "team/app", f"referrers/{image.digest}").json()["manifests"]
    assert [m["artifactType"] for m in found] == ["application/vnd.example.signature"]
    assert puller.manifest("team/app", found[0]["digest"]).status == 200
    up.down()
    again = puller.request("GET", "team/app", f"referrers/{image.digest}").json()["manifests"]
    assert [m["digest"] for m in again] == [found[0]["digest"]], "what is cached is known here"


def test_referrers_of_an_upstream_that_does_not_filter(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    for kind in ("signature", "sbom"):
        up.add_image("team/app", None, [kind.encode()], subject=image,
                     artifact_type=f"application/vnd.example.{kind}")
    puller = Puller(cove)
    path = f"referrers/{image.digest}"
    all_of_them = puller.request("GET", "team/app", path).body
    up.script("/referrers/", {"body": all_of_them, "headers": {"OCI-Filters-Applied": None}})
    wanted = "application/vnd.example.sbom"
    reply = puller.request("GET", "team/app", f"{path}?artifactType={wanted}")
    assert reply.headers["OCI-Filters-Applied"] == "artifactType"
    assert [m["artifactType"] for m in reply.json()["manifests"]] == [wanted], "so it must be true"


def test_lists_that_are_none(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    up.add_image("team/app", None, [b"s"], subject=image, artifact_type="application/x")
    puller = Puller(cove)
    puller.image("team/app", "1")
    path = f"referrers/{image.digest}"
    found = puller.request("GET", "team/app", path).body
    for portal in PORTALS:
        up.script("/referrers/", portal)
        assert puller.request("GET", "team/app", path).body == found, "the list that came last"
        up.script("/tags/list", portal)
        assert puller.request("GET", "team/app", "tags/list").json()["tags"] == ["1"]
    up.script("/tags/list", {"body": json.dumps({"tags": ["2", "no tag", "\n", 3, "x" * 129]})})
    assert puller.request("GET", "team/app", "tags/list").json()["tags"] == ["1", "2"]


def test_referrers_that_come_in_pages(up, cove):
    image = up.add_image("team/app", "1", [LAYER])
    signatures = [up.add_image("team/app", None, [b"signature %d" % i], subject=image,
                               artifact_type="application/vnd.example.signature") for i in range(3)]
    puller = Puller(cove)
    puller.image("team/app", "1")
    path = f"referrers/{image.digest}"

    def page(signature, more):
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [signature.descriptor()]}
        link = {"Link": f'</v2/team/app/{path}?last={signature.digest}>; rel="next"'}
        return {"body": json.dumps(body).encode(), "headers": link if more else {}}

    up.script("/referrers/", *(page(s, s is not signatures[-1]) for s in signatures))
    found = puller.request("GET", "team/app", path).json()["manifests"]
    assert {m["digest"] for m in found} == {s.digest for s in signatures}
    up.clear_scripts()
    up.script("/referrers/", {**page(signatures[0], True), "times": 0})  # without an end
    up.clear()
    found = puller.request("GET", "team/app", path).json()["manifests"]
    assert {m["digest"] for m in found} == {s.digest for s in signatures}, "the list that came last"
    assert up.count("GET", "/referrers/") <= 21


def test_referrers_of_an_upstream_that_is_away(up, cove):
    """Nobody pulled the signature itself: the list that upstream gave last is given again."""
    image = up.add_image("team/app", "1", [LAYER])
    signature = up.add_image("team/app", None, [b"signature"], subject=image,
                             artifact_type="application/vnd.example.signature")
    path = f"referrers/{image.digest}"
    first = Puller(cove).request("GET", "team/app", path)
    one_type = Puller(cove).request("GET", "team/app", path + "?artifactType=application/x")
    assert [m["digest"] for m in first.json()["manifests"]] == [signature.digest]
    second = up.add_image("team/app", None, [b"sbom"], subject=image,
                          artifact_type="application/vnd.example.sbom")
    first = Puller(cove).request("GET", "team/app", path)
    assert len(first.json()["manifests"]) == 2 and second.digest in first.body.decode()
    for trouble in ["down", "restart", "offline"]:
        if trouble == "down":
            up.down()
        elif trouble == "restart":
            cove.restart()
        else:
            cove.env["COVE_PROXY_OFFLINE"] = "true"
            cove.restart()
        puller = Puller(cove)
        assert puller.request("GET", "team/app", path).body == first.body, trouble
        again = puller.request("GET", "team/app", path + "?artifactType=application/x")
        assert again.body == one_type.body
        assert puller.request("GET", "team/app", f"referrers/{signature.digest}").json()["manifests"] == []


def test_full_disk_is_not_the_clients_trouble(up, cove, cached):
    """The directory of new objects cannot be written: everything passes through."""
    import os
    import resource
    data = random.Random(6).randbytes(6 << 20)
    image = up.add_image("team/app", "2", [data])
    pid = cove.process.pid
    was = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 << 20, was[1]))
    try:
        for _ in range(2):
            assert cached.image("team/app", "2").body == image.payload
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, was)
    assert cove.metrics()["cove_cache_write_errors_total"] >= 1
    cached.image("team/app", "2")
    up.clear()
    eventually(lambda: cove.metrics()["cove_flights"] == 0)
    cached.image("team/app", "2")
    assert up.count("GET") == 0, "with room again it is stored"
    assert os.path.exists(cove.data)


def test_range_waits_for_the_proof(up, start):
    cove = start(proxy_of(up), COVE_PROXY_RANGE="wait")
    data = random.Random(11).randbytes(4 << 20)
    up.add_image("team/app", "1", [data])
    puller = Puller(cove)
    puller.manifest("team/app", "1")
    up.script(f"/blobs/{digest_of(data)}", {"rate": 2 << 20}, method="GET")
    begun = time.monotonic()
    reply = puller.blob("team/app", digest_of(data), headers={"Range": "bytes=10-19"})
    assert (reply.status, reply.body) == (206, data[10:20])
    assert "Cove-Verified" not in reply.headers
    assert time.monotonic() - begun > 1
