"""Our own OpenAPI document: every operation of the table is in it, and every operation's answer is
what it describes: no field more, none less."""
import json
import subprocess

import pytest
from conftest import PASSWORD, binary
from harbor import Api
from proxied import Puller, eventually, proxy_of
from upstream import Upstream

COVE = "/api/cove/v1"


def test_in_step_with_the_table(cove):
    api = Api(f"http://127.0.0.1:{cove.port}", "admin", PASSWORD)
    document = Api(api.url).call("GET", COVE + "/openapi.json", base="").json()
    assert document == json.loads(subprocess.check_output([binary(), "openapi"]))
    assert document["openapi"].startswith("3.0") and document["servers"] == [{"url": COVE}]
    routes = json.loads(subprocess.check_output([binary(), "routes", "--json"]))
    ours = {(r["method"].lower(), r["path"].removeprefix(COVE)): r for r in routes
            if r["path"].startswith(COVE + "/")}
    described = {(m, path): o for path, item in document["paths"].items() for m, o in item.items()}
    assert set(described) == set(ours)
    assert len({o["operationId"] for o in described.values()}) == len(described)
    for key, operation in described.items():
        names = {p["name"] for p in operation["parameters"]}
        assert names >= {p["name"] for p in ours[key]["parameters"] if p["in"] != "header"}, key
        assert ("requestBody" in operation) == (ours[key]["body"] is not None
                                                or key[0] == "post" and "requestBody" in operation), key


def closed(schema):
    """The same, with nothing beside what is described."""
    if isinstance(schema, list):
        return [closed(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: closed(v) for k, v in schema.items() if k != "nullable"}
    if "properties" in out:
        out["additionalProperties"] = False
    if schema.get("nullable"):
        out["type"] = [out["type"], "null"]
    return out


PROJECT = "/projects/library"
IMAGE = PROJECT + "/repositories/described"
ONE = IMAGE + "/artifacts/v1"


def story(server, digest, other):
    """Every operation, at least once with an answer: (operation, path, body)."""
    yield "getOpenApi", "/openapi.json", None
    for span in ("6h", "24h", "7d", "30d"):
        yield "getCacheSummary", "/cache/summary?range=" + span, None
    yield "listCacheDownloads", "/cache/downloads", None
    yield "listRecentPulls", "/pulls", None
    yield "findArtifacts", "/artifacts?digest=" + "0" * 8, None
    yield "listRecentPulls", "/pulls?project=hub", None
    for kind in ("containerd", "docker", "podman", "kubernetes"):
        yield "getClientConfig", "/clients/" + kind, None
    yield "listUpstreamQuota", "/quota", None
    yield "listUpstreams", "/upstreams", None
    yield "checkUpstream", "/upstreams/check", {"id": 1}
    yield "pauseUpstream", "/upstreams/1/pause", {"drain": True, "reason": "a test"}
    yield "listUpstreams", "/upstreams", None
    yield "getUpstreamQuota", "/upstreams/1/quota", None
    yield "listUpstreamConsumers", "/upstreams/1/consumers", None
    yield "startRefresh", "/refresh", None
    yield "listArtifactRows", IMAGE + "/artifacts", None
    for what, tail in (("getArtifactOverview", ""), ("getArtifactGraph", "/graph"),
                       ("getSharedLayers", "/shared-layers"), ("getWhyKept", "/why-kept")):
        yield what, ONE + tail, None
        yield what, f"/projects/hub/repositories/team%252Fapp/artifacts/1{tail}", None
    yield "compareArtifacts", IMAGE + "/compare?a=v1&b=v2", None
    yield "listTagMovesEverywhere", "/moves", None
    yield "listTagMoves", IMAGE + "/moves", None
    yield "resolveTag", IMAGE + "/tags/v1", None
    yield "pointTag", IMAGE + "/tags/v1/point", {"digest": other, "expect": digest, "reason": "a test"}
    yield "pointTag", IMAGE + "/tags/v1/point", {"digest": digest, "expect": other, "reason": "back"}
    hub = "/projects/hub/repositories/team%252Fapp/tags/1"
    now = server.admin.get(COVE + hub).json()["digest"]
    yield "pointTag", hub + "/point", {"digest": now, "expect": now, "reason": "pinned"}
    yield "resolveTag", hub, None
    yield "releaseTag", hub + "/point", None
    yield "listProjectOverviews", "/projects", None
    yield "listRepositoryOverviews", PROJECT + "/repositories", None
    yield "listTagOverviews", IMAGE + "/tags", None
    yield "getStorage", "/storage", None
    yield "startGarbageCollection", "/storage/gc", {"dry_run": True}
    yield "listSettings", "/settings", None
    yield "untagArtifacts", IMAGE + "/bulk/untag", {"tags": ["v2"], "dry_run": True}
    yield "untagArtifacts", IMAGE + "/bulk/untag", {"tags": ["v2"]}
    yield "deleteArtifacts", IMAGE + "/bulk/delete", {"query": {"untagged": True}, "dry_run": True}
    yield "deleteRepositories", PROJECT + "/bulk/delete", {"repositories": ["none"], "dry_run": True}
    yield "deleteProjects", "/bulk/delete", {"projects": ["library", "none"], "dry_run": True}
    yield "changeVisibility", "/bulk/visibility", {"projects": ["library"], "public": True, "dry_run": True}
    yield "changeQuotas", "/bulk/quota", {"projects": ["library"], "storage_limit": 10**9, "dry_run": True}
    yield "listJobs", "/jobs", None
    yield "listProjectJobs", PROJECT + "/jobs", None
    jobs = server.admin.get(COVE + "/jobs").json()
    for job in jobs:
        yield "getJob", f"/jobs/{job['id']}", None
    yield "stopJob", f"/jobs/{next(j['id'] for j in jobs if j['kind'] == 'refresh')}/stop", None


def test_every_answer_is_as_described(start):
    jsonschema = pytest.importorskip("jsonschema")
    with Upstream(ratelimit=100) as up:
        up.add_image("team/app", "1", [b"layer"])
        up.add_image("team/held", "1", [b"old"])
        server = start(proxy_of(up))
        admin, puller = server.admin, Puller(server)
        puller.image("team/app", "1")
        digest, _ = admin.push_image("library/described", "v1", layers=(b"one", b"two"))
        other, _ = admin.push_image("library/described", "v2", layers=(b"one", b"three"))
        eventually(lambda: admin.get(COVE + "/projects/hub/repositories/team%252Fapp/tags/1").status == 200)
        artifact = "/api/v2.0/projects/hub/repositories/team%252Fapp/artifacts"
        eventually(lambda: admin.get(artifact).json()[0].get("pull_time"))  # a refresh has something to do
        pause = admin.post(COVE + "/upstreams/1/pause", json={})
        assert pause.status == 200  # so that a refresh waits, and can be stopped
        operations = {o["operationId"]: (method, o) for item in
                      admin.get(COVE + "/openapi.json").json()["paths"].values()
                      for method, o in item.items()}
        answers = 0
        for name, path, body in story(server, digest, other):
            answers += check(jsonschema, admin, operations, name, path, body)
        answers += check(jsonschema, admin, operations, "resumeUpstream", "/upstreams/1/pause", None)
        unseen = set(operations) - check.seen
        assert not unseen, unseen
        print(f"{answers} answers of {len(check.seen)} operations")


def check(jsonschema, admin, operations, name, path, body):
    """Makes the call; its answer must be what the document says, no more and no less."""
    method, operation = operations[name]
    check.seen.add(name)
    more = {} if body is None else {"json": body}
    reply = admin.request(method.upper(), COVE + path, **more)
    assert 200 <= reply.status < 300, (name, path, reply)
    content = operation["responses"]["2XX"].get("content")
    if content is None:
        assert not reply.body, (name, reply)
        return 1
    schema = closed(content["application/json"]["schema"])
    try:
        jsonschema.Draft4Validator(schema).validate(reply.json())
    except jsonschema.ValidationError as e:
        raise AssertionError(f"{name} {path}: {e.message} at {list(e.absolute_path)}") from None
    return 1


check.seen = set()
