"""Repositories, artifacts, tags, accessories: Harbor's operations as stories."""
import json
import urllib.parse

from conftest import sha256
from harbor import admin, nobody, server, unique  # noqa: F401
from proxied import Puller, eventually, proxy_of
from upstream import Upstream


def twice(path):
    """Slashes of a repository's name are escaped twice in Harbor's API."""
    return urllib.parse.quote(urllib.parse.quote(path, safe=""), safe="")


def test_repositories(admin, nobody):
    name, project = admin.new_project()
    admin.push(f"{name}/app")
    admin.push(f"{name}/deep/er", tag="v1")
    got = admin.get(f"/projects/{name}/repositories")
    assert got.total == 2 and [r["name"] for r in got.json()] == [f"{name}/app", f"{name}/deep/er"]
    path = f"/projects/{name}/repositories/{twice('deep/er')}"
    one = admin.get(path).json()
    assert one["name"] == f"{name}/deep/er" and one["artifact_count"] == 1
    assert one["project_id"] == project and one["pull_count"] == 0
    assert admin.put(path, {"description": "# deep"}).status == 200
    assert admin.get(path).json()["description"] == "# deep"
    assert admin.get(f"/projects/{name}/repositories?q=name%3D~deep").total == 1
    assert admin.get(f"/projects/{name}/repositories/absent").status == 404
    names = [r["name"] for r in admin.get(f"/repositories?page_size=100&q=name%3D~deep").json()]
    assert f"{name}/deep/er" in names
    assert f"{name}/deep/er" not in [r["name"] for r in nobody.get("/repositories").json()]
    assert admin.get(f"/projects/{name}").json()["repo_count"] == 2
    assert admin.delete(path).status == 200 and admin.get(path).status == 404
    assert admin.delete(path).status == 404


def test_artifacts_and_tags(admin):
    name, project = admin.new_project()
    digest, size = admin.push(f"{name}/app", tag="v1", annotations={"org.example": "yes"})
    base = f"/projects/{name}/repositories/app/artifacts"
    got = admin.get(base)
    assert got.total == 1
    artifact = got.json()[0]
    assert artifact["digest"] == digest and artifact["type"] == "IMAGE"
    assert artifact["repository_name"] == f"{name}/app" and artifact["project_id"] == project
    assert artifact["manifest_media_type"] == "application/vnd.oci.image.manifest.v1+json"
    assert artifact["media_type"] == "application/vnd.oci.image.config.v1+json"
    assert artifact["annotations"] == {"org.example": "yes"} and artifact["size"] > size
    assert [t["name"] for t in artifact["tags"]] == ["v1"] and artifact["references"] == []
    assert admin.get(f"{base}/v1").json()["digest"] == digest
    assert admin.get(f"{base}/{digest}?with_tag=false").json()["tags"] == []
    assert admin.get(f"{base}/absent").status == 404
    assert admin.get(f"{base}/v1?with_tag=perhaps").status == 422

    tags = f"{base}/{digest}/tags"
    made = admin.post(tags, {"name": "v2"})
    assert made.status == 201 and made.headers["Location"].endswith("/tags/v2")
    assert admin.post(tags, {"name": "v2"}).status == 409
    assert admin.post(tags, {"name": "bad name"}).status == 400
    assert admin.post(tags, {}).status == 400
    assert sorted(t["name"] for t in admin.get(tags).json()) == ["v1", "v2"]
    assert admin.get(f"/{name}/app/manifests/v2", base="/v2",
                     headers={"Accept": "*/*"}).status == 200
    assert admin.delete(f"{tags}/v2").status == 200
    assert admin.delete(f"{tags}/v2").status == 404
    assert admin.delete(f"{base}/v1").status == 200
    assert admin.get(f"{base}/{digest}").status == 404


def test_location_of_a_tag_in_a_nested_repository(admin):
    name, _ = admin.new_project()
    digest, _ = admin.push(f"{name}/deep/er", tag="v1")
    path = f"/projects/{name}/repositories/{twice('deep/er')}/artifacts/{digest}/tags"
    made = admin.post(path, {"name": "v2"})
    assert made.headers["Location"] == f"/api/v2.0{path}/v2"
    assert admin.delete(made.headers["Location"], base="").status == 200


def test_filters(admin):
    name, _ = admin.new_project()
    first, _ = admin.push(f"{name}/app", tag="one", text=b"1")
    second, _ = admin.push(f"{name}/app", tag="two", text=b"2")
    third, _ = admin.push(f"{name}/app", tag=None, text=b"3")
    other, _ = admin.push(f"{name}/other", tag="x", text=b"4")
    base = f"/projects/{name}/repositories/app/artifacts"
    found = lambda q: {a["digest"] for a in admin.get(f"{base}?q={q}").json()}
    assert found("tags%3D*") == {first, second}
    assert found("tags%3Dnil") == {third}
    assert found("tags%3D~w") == {second}
    assert found("tags%3Done") == {first}
    assert found("type%3DIMAGE") == {first, second, third}
    assert found(f"digest%3D{first}") == {first}
    page = admin.get(f"{base}?sort=-push_time&page_size=2")
    assert page.total == 3 and len(page.json()) == 2 and 'rel="next"' in page.headers["Link"]
    everything = admin.get(f"/projects/{name}/artifacts?page_size=3")
    assert everything.total == 4 and len(everything.json()) == 3
    latest = admin.get(f"/projects/{name}/artifacts?latest_in_repository=true")
    assert {a["digest"] for a in latest.json()} == {third, other}


def test_accessories(admin):
    name, _ = admin.new_project()
    digest, size = admin.push(f"{name}/app", tag="v1")
    subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
               "size": size}
    signature, _ = admin.push(f"{name}/app", tag=None, text=b"sig", subject=subject,
                              artifact_type="application/vnd.dev.sigstore.bundle.v0.3+json")
    base = f"/projects/{name}/repositories/app/artifacts"
    assert [a["digest"] for a in admin.get(base).json()] == [digest]  # accessories are hidden
    assert {a["digest"] for a in admin.get(base + "?q=base%3D*").json()} == {digest, signature}
    got = admin.get(f"{base}/{digest}/accessories")
    assert got.total == 1
    accessory = got.json()[0]
    assert accessory["digest"] == signature and accessory["type"] == "signature.cosign"
    assert accessory["subject_artifact_digest"] == digest
    assert accessory["subject_artifact_repo"] == f"{name}/app"
    one = admin.get(f"{base}/{digest}?with_accessory=true").json()
    assert [a["digest"] for a in one["accessories"]] == [signature]
    assert admin.get(f"{base}/{signature}/accessories").json() == []


def test_roles(admin):
    name, _ = admin.new_project()
    digest, _ = admin.push(f"{name}/app", tag="v1")
    base = f"/projects/{name}/repositories/app/artifacts"
    guest, developer, maintainer = (admin.new_user() for _ in range(3))
    for user, role in ((guest, 3), (developer, 2), (maintainer, 4)):
        admin.add_member(name, user, role)
    assert guest.get(base).status == 200
    assert guest.post(f"{base}/{digest}/tags", {"name": "g"}).status == 403
    assert developer.post(f"{base}/{digest}/tags", {"name": "d"}).status == 201
    assert developer.delete(f"{base}/{digest}/tags/d").status == 403
    assert maintainer.delete(f"{base}/{digest}/tags/d").status == 200
    assert developer.delete(f"{base}/{digest}").status == 403
    assert maintainer.delete(f"{base}/{digest}").status == 200


def test_search_and_statistics(admin, nobody):
    stem = unique("find")
    public, _ = admin.new_project(stem + "pub", public=True)
    private, _ = admin.new_project(stem + "pri")
    admin.push(f"{public}/{stem}app")
    admin.push(f"{private}/{stem}app")
    every = admin.get(f"/search?q={stem}").json()
    assert {p["name"] for p in every["project"]} == {public, private}
    assert {r["repository_name"] for r in every["repository"]} == \
        {f"{public}/{stem}app", f"{private}/{stem}app"}
    some = nobody.get(f"/search?q={stem}").json()
    assert [p["name"] for p in some["project"]] == [public]
    assert [(r["repository_name"], r["project_public"]) for r in some["repository"]] == \
        [(f"{public}/{stem}app", True)]
    assert nobody.get("/search").status == 422
    s = admin.get("/statistics").json()
    assert s["total_project_count"] == s["public_project_count"] + s["private_project_count"]
    assert s["total_repo_count"] >= 2 and s["total_storage_consumption"] > 0
    assert admin.new_user().get("/statistics").json()["total_project_count"] == 0
    assert nobody.get("/statistics").status == 401


def test_what_the_list_does_not_have_is_left_out(admin):
    """As in Harbor: unknown keys of q= and sort= neither filter nor fail."""
    name, _ = admin.new_project()
    admin.push(f"{name}/app", tag="one", text=b"1")
    for path in (f"/projects?q=name%3D{name},nonsense%3D1&sort=nonsense,-name",
                 f"/projects/{name}/repositories?q=nonsense%3D~x&sort=-nonsense",
                 f"/projects/{name}/repositories/app/artifacts?q=nonsense%3D1&sort=nonsense"):
        reply = admin.get(path)
        assert reply.status == 200 and len(reply.json()) == 1, (path, reply)
    assert admin.get("/projects?q=nonsense").status == 400  # no "=": malformed
    own = admin.call("GET", "/api/cove/v1/projects?q=nonsense%3D1", base="")
    assert own.status == 400  # our own lists say so


CONFIG = {"architecture": "arm64", "os": "linux", "author": "Ada", "created": "2026-01-02T03:04:05Z",
          "config": {"User": "65532", "Env": ["PATH=/bin", "K\u00f6nig=1"], "Entrypoint": ["/run"],
                     "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}, "OnBuild": None, "Own": 1},
          "rootfs": {"type": "layers", "diff_ids": []}, "history": [{"created_by": "x"}]}
ATTRS = {"architecture": "arm64", "author": "Ada", "created": "2026-01-02T03:04:05Z", "os": "linux",
         "config": {"User": "65532", "Env": ["PATH=/bin", "K\u00f6nig=1"], "Entrypoint": ["/run"],
                    "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}}}


def test_extra_attributes(start):
    with Upstream() as up:
        server = start(proxy_of(up))
        admin = server.admin
        attrs = lambda path, ref: admin.get(
            f"/api/v2.0/projects/{path}/artifacts/{ref}").json()["extra_attrs"]
        admin.push_image("library/app", "full", config=json.dumps(CONFIG).encode())
        assert attrs("library/repositories/app", "full") == ATTRS
        listed = admin.get("/api/v2.0/projects/library/repositories/app/artifacts").json()
        assert [a["extra_attrs"] for a in listed] == [ATTRS]
        admin.push_image("library/app", "bare", config=b'{"architecture":"amd64","os":"linux"}')
        assert attrs("library/repositories/app", "bare") == {
            "architecture": "amd64", "author": "", "config": {}, "created": None, "os": "linux"}
        # a type of one's own: the whole object; nonsense, and what is too long: nothing
        own = lambda tag, config: admin.push_manifest("library/app", tag, json.dumps({
            **json.loads(admin.image("library/app", config=config)),
            "config": {"mediaType": "application/vnd.own.config.v1+json", "size": len(config),
                       "digest": sha256(config)}}).encode())
        own("own", b'{"model":"x","size":7}')
        assert attrs("library/repositories/app", "own") == {"model": "x", "size": 7}
        for tag, config in (("words", b"not JSON"), ("list", b"[1]"),
                            ("long", json.dumps({"x": "y" * 300_000}).encode())):
            own(tag, config)
            assert attrs("library/repositories/app", tag) == {}, tag
        # of a cache: when its configuration has come
        up.add_image("team/app", "1", [b"layer"], config=json.dumps({**CONFIG, "author": "Bo"}).encode())
        puller = Puller(server)
        assert puller.manifest("team/app", "1").status == 200
        assert attrs("hub/repositories/team%252Fapp", "1") == {}
        puller.image("team/app", "1")
        assert eventually(lambda: attrs("hub/repositories/team%252Fapp", "1")) == {**ATTRS, "author": "Bo"}
