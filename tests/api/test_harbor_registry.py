"""Registries (upstream endpoints) and proxy cache projects: Harbor's operations as stories."""
import pytest

from harbor import admin, nobody, server, unique  # noqa: F401
from upstream import Upstream


@pytest.fixture
def upstream():
    up = Upstream()
    yield up
    up.stop()


def registry_body(up, **more):
    return {"name": unique("reg"), "type": "docker-registry", "url": up.url, **more}


def new_registry(admin, up, **more):
    reply = admin.post("/registries", registry_body(up, **more))
    assert reply.status == 201, reply
    return reply.id


CREDENTIAL = {"type": "basic", "access_key": "bob", "access_secret": "Hidden-word-1"}


def test_a_registry_lives_from_creation_to_deletion(admin, upstream):
    body = registry_body(upstream, description="d", insecure=True)
    made = admin.post("/registries", body)
    assert made.status == 201 and made.headers["Location"] == f"/api/v2.0/registries/{made.id}"
    got = admin.get(f"/registries/{made.id}").json()
    assert got["url"] == upstream.url and got["status"] == "healthy" and got["insecure"] is True
    assert "credential" not in got
    assert admin.post("/registries", body).status == 409
    assert admin.get(f"/registries?name={body['name']}").total == 1
    assert admin.get(f"/registries?q=name%3D{body['name']}").json()[0]["id"] == made.id
    assert admin.put(f"/registries/{made.id}", {"description": "new"}).status == 200
    assert admin.get(f"/registries/{made.id}").json()["description"] == "new"
    assert admin.delete(f"/registries/{made.id}").status == 200
    assert admin.get(f"/registries/{made.id}").status == 404


def test_secrets_never_come_back(admin, upstream):
    registry = new_registry(admin, upstream, credential=CREDENTIAL)
    reply = admin.get(f"/registries/{registry}")
    assert reply.json()["credential"] == {"type": "basic", "access_key": "bob",
                                          "access_secret": "*****"}
    for path in (f"/registries/{registry}", "/registries?page_size=100"):
        assert b"Hidden-word-1" not in admin.get(path).body


def test_a_summary_shows_the_registry_without_its_credential(admin, nobody, upstream):
    registry = new_registry(admin, upstream, credential=CREDENTIAL)
    name, _ = admin.new_project("shown", registry_id=registry, public=True,
                                metadata={"public_with_credentials": "true"})
    summary = nobody.get(f"/projects/{name}/summary").json()
    assert summary["registry"]["url"] == upstream.url and "credential" not in summary["registry"]
    assert "quota" not in summary


def test_secrets_are_in_no_log(admin, server, upstream):
    new_registry(admin, upstream, credential=CREDENTIAL)
    admin.post("/registries", registry_body(upstream, type="x", credential=CREDENTIAL))
    user = admin.new_user()
    name, _ = admin.new_project()
    robot = admin.new_robot(name, ("repository", "pull"))
    robot.get("/systeminfo")
    user.put(f"/users/{user.user_id}/password", {"old_password": "Wrong-secret-3", "new_password": "x"})
    with open(server.access, errors="replace") as f:
        said = f.read() + server.stderr()
    assert robot.name in said
    for secret in ("Hidden-word-1", user.password, robot.password, "Wrong-secret-3", admin.password):
        assert secret not in said


def test_another_url_drops_the_secret(admin, upstream):
    registry = new_registry(admin, upstream, credential=CREDENTIAL)
    elsewhere = Upstream()
    try:
        path = f"/registries/{registry}"
        assert admin.put(path, {"description": "same url"}).status == 200
        assert admin.get(path).json()["credential"]["access_secret"] == "*****"
        assert admin.put(path, {"url": elsewhere.url}).status == 200
        assert "access_secret" not in admin.get(path).json().get("credential", {})
        assert all("Hidden" not in str(r.headers) for r in elsewhere.requests)
    finally:
        elsewhere.stop()


@pytest.mark.parametrize("change", [
    {"type": "no-such-type"}, {"url": ""}, {"url": "ftp://example.com"}, {"name": ""},
    {"url": "http://user:pw@127.0.0.1:1"}, {"name": "x" * 65}, {"url": "http://127.0.0.1:1"},
], ids=str)
def test_what_is_refused(admin, upstream, change):
    reply = admin.post("/registries", {**registry_body(upstream), **change})
    assert reply.status == 400 and reply.code == "BAD_REQUEST", reply


def test_an_unhealthy_registry_is_refused(admin, upstream):
    upstream.script("/v2/", {"status": 500, "times": 0})
    reply = admin.post("/registries", registry_body(upstream))
    assert reply.status == 400 and "unhealthy" in reply.message


def test_the_outbound_policy_names_its_key(admin):
    reply = admin.post("/registries", {"name": unique("meta"), "type": "docker-registry",
                                       "url": "http://169.254.169.254"})
    assert reply.status == 400 and "outbound.allow" in reply.message, reply


def test_ping(admin, upstream):
    assert admin.post("/registries/ping", {"type": "docker-registry", "url": upstream.url}).status == 200
    assert admin.post("/registries/ping", {"url": upstream.url}).status == 400
    assert admin.post("/registries/ping", {"id": 999999}).status == 404
    registry = new_registry(admin, upstream, credential=CREDENTIAL)
    other = Upstream()
    try: # the stored address is used, whatever the body says
        body = {"id": registry, "url": other.url, "insecure": True}
        assert admin.post("/registries/ping", body).status == 200
        assert other.requests == []
    finally:
        other.stop()


def test_adapters(admin, upstream):
    types = admin.get("/replication/adapters").json()
    assert {"docker-hub", "docker-registry", "harbor", "github-ghcr", "quay"} <= set(types)
    infos = admin.get("/replication/adapterinfos").json()
    assert set(infos) == set(types)
    assert infos["docker-hub"]["endpoint_pattern"]["endpoint_type"] == "EndpointPatternTypeFix"
    assert infos["docker-registry"]["endpoint_pattern"]["endpoint_type"] == \
        "EndpointPatternTypeStandard"
    registry = new_registry(admin, upstream)
    info = admin.get(f"/registries/{registry}/info").json()
    assert info["type"] == "docker-registry" and info["supported_triggers"] == ["manual", "scheduled"]
    assert "event_based" in admin.get("/registries/0/info").json()["supported_triggers"]


def test_proxy_projects(admin, upstream):
    registry = new_registry(admin, upstream)
    name, project = admin.new_project("proxy", registry_id=registry,
                                      metadata={"proxy_speed_kb": "100",
                                                "enable_content_trust": "true"})
    got = admin.get(f"/projects/{name}").json()
    assert got["registry_id"] == registry and got["metadata"]["proxy_speed_kb"] == "100"
    assert "enable_content_trust" not in got["metadata"]  # not for proxy projects
    policy = admin.get(f"/retentions/{got['metadata']['retention_id']}").json()
    assert policy["scope"] == {"level": "project", "ref": project}
    assert policy["rules"][0]["template"] == "nDaysSinceLastPull"
    assert policy["rules"][0]["params"] == {"nDaysSinceLastPull": 7}
    assert policy["trigger"]["settings"]["cron"] == "0 0 0 * * *"
    summary = admin.get(f"/projects/{name}/summary").json()
    assert summary["registry"]["id"] == registry
    # It stays what it is, and so does its registry.
    assert admin.put(f"/projects/{name}", {"registry_id": registry + 1}).status == 200
    assert admin.get(f"/projects/{name}").json()["registry_id"] == registry
    assert admin.delete(f"/registries/{registry}").status == 412
    assert admin.delete(f"/projects/{name}").status == 200
    assert admin.delete(f"/registries/{registry}").status == 200


def test_who_may_make_a_proxy(admin, upstream):
    registry = new_registry(admin, upstream)
    user = admin.new_user()
    reply = user.post("/projects", {"project_name": unique("p"), "registry_id": registry})
    assert reply.status == 403
    for wrong, status in ((0, 400), (-1, 400), (999999, 404)):
        reply = admin.post("/projects", {"project_name": unique("p"), "registry_id": wrong})
        assert reply.status == status, reply
    for key, value in (("proxy_speed_kb", "fast"), ("proxy_cache_filter_kind", "glob"),
                       ("proxy_window_s", "-1"), ("proxy_referrer_api", "yes")):
        reply = admin.post("/projects", {"project_name": unique("p"), "registry_id": registry,
                                         "metadata": {key: value}})
        assert reply.status == 400, (key, reply)


def test_a_public_proxy_does_not_lend_its_credential(admin, upstream):
    registry = new_registry(admin, upstream, credential=CREDENTIAL)
    body = {"project_name": unique("lend"), "registry_id": registry, "public": True}
    refused = admin.post("/projects", body)
    assert refused.status == 412 and "public_with_credentials" in refused.message
    name, _ = admin.new_project("lend", registry_id=registry)
    assert admin.put(f"/projects/{name}", {"public": True}).status == 412
    assert admin.put(f"/projects/{name}/metadatas/public", {"public": "true"}).status == 412
    owner = admin.new_user()
    admin.add_member(name, owner, 1)
    key = {"public_with_credentials": "true"}
    assert owner.post(f"/projects/{name}/metadatas/", key).status == 403  # admins decide that
    assert admin.put(f"/projects/{name}", {"public": True, "metadata": key}).status == 200
    # Nor may a credential appear behind a public project later.
    plain = new_registry(admin, upstream)
    admin.new_project("open", registry_id=plain, public=True)
    late = admin.put(f"/registries/{plain}", {"access_key": "bob", "access_secret": "Hidden-word-1"})
    assert late.status == 412


def test_tags_of_a_proxy_are_not_made_by_hand(admin, upstream):
    registry = new_registry(admin, upstream)
    name, _ = admin.new_project("proxy", registry_id=registry)
    path = f"/projects/{name}/repositories/app/artifacts/latest/tags"
    assert admin.post(path, {"name": "mine"}).status == 405


def test_only_admins(admin, nobody, upstream):
    user = admin.new_user()
    for path in ("/registries", "/registries/1", "/replication/adapters", "/replication/adapterinfos"):
        assert user.get(path).status == 403 and nobody.get(path).status == 401, path
    assert user.post("/registries", registry_body(upstream)).status == 403
