"""Read-only mode: changes are refused with Harbor's status and words, pulls go on, and what a proxy
cache fetches meanwhile is passed on without being kept."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import PASSWORD, sha256
from proxied import Puller, eventually, proxy_of
from seeding import run_sql
from upstream import Upstream

API, COVE = "/api/v2.0", "/api/cove/v1"
WORDS = "The system is in read only mode. Any modification is prohibited."


def switch(server, on):
    reply = server.admin.put(API + "/configurations", json={"read_only": on})
    assert reply.status == 200, reply


def refused(reply):
    assert reply.status == 403, reply
    error = reply.json()["errors"][0]
    assert error["code"] == "DENIED" and error["message"] == WORDS, error


def test_changes_are_refused_and_pulls_go_on(start):
    with Upstream() as up:
        kept = up.add_image("team/app", "1", [b"kept"])
        server = start(proxy_of(up))
        admin, puller = server.admin, Puller(server)
        puller.image("team/app", "1")
        digest, payload = admin.push_image("library/app", "1")
        info = lambda: admin.get(API + "/systeminfo").json()["read_only"]
        assert info() is False
        switch(server, True)
        assert info() is True and "read_only" not in server.anonymous.get(API + "/systeminfo").json()
        assert admin.get(API + "/configurations").json()["read_only"] == {"value": True,
                                                                          "editable": True}

        # pushes and deletes, by /v2 and by both APIs
        refused(admin.post("/v2/library/app/blobs/uploads/"))
        refused(admin.put("/v2/library/app/manifests/2", payload,
                          headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}))
        refused(admin.delete(f"/v2/library/app/manifests/{digest}"))
        refused(admin.post(API + "/projects", json={"project_name": "new"}))
        refused(admin.delete(API + "/projects/library/repositories/app/artifacts/1/tags/1"))
        refused(admin.post(COVE + "/projects/library/repositories/app/bulk/delete",
                           json={"digests": [digest]}))
        refused(admin.post(COVE + "/storage/gc", json={}))
        # a preview writes nothing: what would happen is told, of all that is done to many
        for path, what in ((COVE + "/projects/library/repositories/app/bulk/delete", {"digests": [digest]}),
                           (COVE + "/projects/library/repositories/app/bulk/untag", {"tags": ["1"]}),
                           (COVE + "/projects/library/bulk/delete", {"repositories": ["app"]}),
                           (COVE + "/bulk/delete", {"projects": ["library"], "contents": True}),
                           (COVE + "/bulk/visibility", {"projects": ["library"], "public": False}),
                           (COVE + "/bulk/quota", {"projects": ["library"], "storage_limit": -1})):
            plan = admin.post(path, json={**what, "dry_run": True})
            assert plan.status == 200 and plan.json()["going"] == 1, (path, plan)
            refused(admin.post(path, json={**what, "dry_run": False}))
            assert server.anonymous.post(path, json={**what, "dry_run": True}).status == 401
        assert admin.get(COVE + "/jobs").json() == []
        # whoever has no right hears of that first
        assert server.anonymous.post("/v2/library/app/blobs/uploads/").status == 401
        assert server.anonymous.post(API + "/projects", json={"project_name": "new"}).status == 401
        # what changes nothing, and what must be possible
        assert admin.post(COVE + "/upstreams/check", json={"id": 1}).status == 200
        assert admin.post(COVE + "/upstreams/1/pause", json={}).status == 200
        assert admin.delete(COVE + "/upstreams/1/pause").status == 200

        # pulls
        assert admin.get("/v2/library/app/manifests/1").body == payload
        assert puller.image("team/app", "1").body == kept.payload

        # nothing of what is fetched now stays
        fresh = up.add_image("team/app", "2", [os.urandom(300_000)])
        assert puller.image("team/app", "2").body == fresh.payload
        tags = admin.get(COVE + "/projects/hub/repositories/team%252Fapp/tags?cursor=").json()
        assert [t["name"] for t in tags] == ["1"]
        up.clear()
        puller.image("team/app", "2")
        assert up.count("GET", "/blobs/" + fresh.layers[0]) == 1

        # an upstream's move is followed, and not noted
        moved = up.add_image("team/app", "1", [b"moved"])
        assert puller.manifest("team/app", "1").body == moved.payload

        server.restart()
        admin, puller = server.admin, Puller(server)
        assert admin.get(API + "/systeminfo").json()["read_only"] is True
        refused(admin.post("/v2/library/app/blobs/uploads/"))

        switch(server, False)
        admin.push_image("library/app", "2")
        puller.image("team/app", "2")
        up.clear()
        puller.image("team/app", "2")
        assert up.count("GET", "/blobs/") == 0
        assert "read-only mode is on by admin" in server.stderr()


def test_a_configuration_may_come_back_as_it_was_read(start):
    server = start(COVE_SELF_REGISTRATION="true")
    admin = server.admin
    now = {k: v["value"] for k, v in admin.get(API + "/configurations").json().items()}
    assert now["self_registration"] is True and now["token_expiration"] == 30
    assert admin.put(API + "/configurations", json=now).status == 200
    reply = admin.put(API + "/configurations", json={**now, "self_registration": False})
    assert reply.status == 409 and b"self_registration is a setting of the server" in reply.body
    assert admin.put(API + "/configurations", json={"banner_message": "later"}).status == 200
    assert server.anonymous.put(API + "/configurations", json={"read_only": True}).status == 401


def test_what_another_node_switched_is_heard(start):
    """What nodes share is the database: a row that this one did not write."""
    server = start()
    run_sql(server, "INSERT INTO setting(key, value) VALUES('read_only', 'true');")
    eventually(lambda: server.admin.post("/v2/library/app/blobs/uploads/").status == 403)


def test_clients_say_why(start, tmp_path):
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed")
    server = start()
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    layer = b"\0" * 1024
    blobs = tmp_path / "image"
    blobs.mkdir()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": sha256(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": sha256(layer), "size": len(layer)}]}).encode()
    for data in (config, layer):
        (blobs / sha256(data).split(":")[1]).write_bytes(data)
    (blobs / "manifest.json").write_bytes(manifest)
    (blobs / "version").write_text("Directory Transport Version: 1.1\n")
    copy = lambda source, target: subprocess.run(
        ["skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
         *(("--dest-creds",) if "docker" in target else ("--src-creds",)), f"admin:{PASSWORD}",
         source, target], capture_output=True, text=True, timeout=60)
    there = f"docker://127.0.0.1:{server.port}/library/tool:1"
    pushed = copy(f"dir:{blobs}", there)
    assert pushed.returncode == 0, pushed.stderr
    switch(server, True)
    said = copy(f"dir:{blobs}", there.replace("tool:1", "tool2:2"))
    assert said.returncode != 0 and WORDS in said.stderr, said.stderr
    assert copy(there, f"dir:{tmp_path}/back").returncode == 0
