"""Pulling: conditions, ranges, tags, catalog, referrers, deletes, and what a manifest GET costs."""
import json
import os

import pytest
from conftest import INDEX, MANIFEST, descriptor, sha256


# ---- conditions and ranges --------------------------------------------------------------------


def test_etag_and_if_none_match(cove, name):
    digest, _ = cove.admin.push_image(name)
    got = cove.admin.get(f"/v2/{name}/manifests/v1")
    etag = got.headers["Etag"]
    assert etag == f'"{digest}"'
    for value in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        reply = cove.admin.get(f"/v2/{name}/manifests/v1", headers={"If-None-Match": value})
        assert reply.status == 304 and reply.body == b"" and reply.headers["Etag"] == etag
    assert cove.admin.get(f"/v2/{name}/manifests/v1",
                          headers={"If-None-Match": '"sha256:no"'}).status == 200


def test_blob_conditions(cove, name):
    digest = cove.admin.push_blob(name, b"0123456789")
    reply = cove.admin.get(f"/v2/{name}/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
    assert reply.status == 304 and reply.body == b""
    # the right to know comes first
    assert cove.anonymous.get(f"/v2/{name}/blobs/{digest}",
                              headers={"If-None-Match": f'"{digest}"'}).status == 401


@pytest.mark.parametrize("value, status, part", [
    ("bytes=0-0", 206, (0, 0)),
    ("bytes=2-5", 206, (2, 5)),
    ("bytes=7-", 206, (7, 9)),
    ("bytes=-3", 206, (7, 9)),
    ("bytes=-100", 206, (0, 9)),
    ("bytes=5-100", 206, (5, 9)),
    ("Bytes=1-2", 206, (1, 2)),
    ("bytes=10-", 416, None),
    ("bytes=10-20", 416, None),
    ("bytes=-0", 416, None),
    ("bytes=18446744073709551615-", 416, None),
    ("bytes=5-2", 416, None),
    ("bytes=a-b", 200, None),
    ("bytes=0-1,3-4", 200, None),
    ("lines=0-1", 200, None),
    ("bytes=", 200, None),
    ("bytes=-", 200, None),
    ("bytes=" + ",".join(f"{i}-{i}" for i in range(1000)), 416, None),
])
def test_h07_range(cove, name, value, status, part):
    """H07: one range is served, several or malformed ones get the whole, impossible ones 416."""
    data = b"0123456789"
    digest = cove.admin.push_blob(name, data)
    reply = cove.admin.get(f"/v2/{name}/blobs/{digest}", headers={"Range": value})
    assert reply.status == status, reply
    if status == 206:
        first, last = part
        assert reply.body == data[first:last + 1]
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/10"
        assert "Cove-Verified" not in reply.headers
    elif status == 200:
        assert reply.body == data
    else:
        assert reply.headers["Content-Range"] == "bytes */10"


def test_if_range(cove, name):
    data = b"0123456789"
    digest = cove.admin.push_blob(name, data)
    path = f"/v2/{name}/blobs/{digest}"
    same = cove.admin.get(path, headers={"Range": "bytes=1-2", "If-Range": f'"{digest}"'})
    assert same.status == 206 and same.body == b"12"
    for other in ('"x"', f'W/"{digest}"', "Tue, 24 Nov 2026 08:00:00 GMT"):
        reply = cove.admin.get(path, headers={"Range": "bytes=1-2", "If-Range": other})
        assert reply.status == 200 and reply.body == data


def test_large_blob_in_parts(cove, name):
    data = os.urandom(9_000_000)
    digest = cove.admin.push_blob(name, data)
    path = f"/v2/{name}/blobs/{digest}"
    assert cove.admin.get(path).body == data
    part = cove.admin.get(path, headers={"Range": "bytes=4000000-"})
    assert part.status == 206 and part.body == data[4_000_000:]


# ---- what it costs ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["basic", "token", "digest"])
def test_manifest_get_is_three_statements(cove, name, way):
    """Principal, project with roles, manifest: in one read transaction, whatever the scheme."""
    digest, payload = cove.admin.push_image(name)
    client = cove.admin
    if way == "token":
        client = cove.bearer(cove.admin.token(f"repository:{name}:pull"))
    path = f"/v2/{name}/manifests/" + (digest if way == "digest" else "v1")
    cove.admin.get(path)  # the password is verified by now
    def pull():
        reply = client.get(path)
        assert reply.status == 200 and reply.body == payload
    costs = [cove.statements(pull) for _ in range(3)]
    # the counters of pulls are flushed behind the requests' backs, once a second
    assert min(costs) == 3, costs


# ---- lists ------------------------------------------------------------------------------------


def test_tags_are_paged(cove, name):
    payload = cove.admin.image(name)
    tags = sorted(["a", "b", "B", "c1", "c10", "c2", "_x", "z.9"])
    for tag in tags:
        cove.admin.push_manifest(name, tag, payload)
    path = f"/v2/{name}/tags/list"
    assert cove.admin.get(path).json()["tags"] == tags
    seen, at = [], f"{path}?n=3"
    while at:
        reply = cove.admin.get(at)
        got = reply.json()["tags"]
        assert len(got) <= 3
        seen += got
        link = reply.headers.get("Link")
        at = link.split(">")[0][1:] if link else None
        if link:
            assert link.endswith('; rel="next"')
    assert seen == tags
    empty = cove.admin.get(f"{path}?n=0")
    assert empty.json()["tags"] == [] and "Link" not in empty.headers
    assert cove.admin.get(f"{path}?n=2&last=c1").json()["tags"] == ["c10", "c2"]
    assert cove.admin.get(f"{path}?last=zzz").json()["tags"] == []
    for bad in ("-1", "x", "1.5"):
        assert cove.admin.get(f"{path}?n={bad}").status == 400


def test_tags_of_unknown_repository(cove, name):
    reply = cove.admin.get(f"/v2/{name}/tags/list")
    assert reply.status == 404 and reply.code == "NAME_UNKNOWN"


def test_catalog(cove, name):
    for part in "abc":
        cove.admin.push_image(f"{name}{part}")
    cove.admin.push_blob(f"{name}empty", b"a repository without an artifact")
    everything = cove.admin.get("/v2/_catalog").json()["repositories"]
    mine = [r for r in everything if r.startswith(name)]
    assert mine == [f"{name}{p}" for p in "abc"] and everything == sorted(everything)
    page = cove.admin.get(f"/v2/_catalog?n=2&last={name}")
    assert page.json()["repositories"] == mine[:2] and "Link" in page.headers
    nobody = cove.anonymous.get("/v2/_catalog")
    assert nobody.status == 401 and nobody.headers["WWW-Authenticate"] == 'Basic realm="harbor"'
    # a token counts only with its own scope
    assert cove.bearer(cove.admin.token(f"repository:{name}a:pull")).get("/v2/_catalog").status == 401
    assert cove.bearer(cove.admin.token("registry:catalog:*")).get("/v2/_catalog").status == 200


def test_referrers(cove, name):
    subject, payload = cove.admin.push_image(name)
    to = {"mediaType": MANIFEST, "digest": subject, "size": len(payload)}
    made = []
    for kind in ("application/vnd.example.sbom", "application/vnd.example.signature"):
        body = cove.admin.image(name, [kind.encode()], b"{}", artifactType=kind, subject=to,
                                annotations={"org.example.kind": kind})
        reply = cove.admin.put(f"/v2/{name}/manifests/{sha256(body)}", body,
                               headers={"Content-Type": MANIFEST})
        assert reply.status == 201 and reply.headers["OCI-Subject"] == subject
        made.append((sha256(body), kind))
    got = cove.admin.get(f"/v2/{name}/referrers/{subject}")
    assert got.status == 200 and got.headers["Content-Type"] == INDEX
    index = got.json()
    assert index["schemaVersion"] == 2 and index["mediaType"] == INDEX
    assert [(m["digest"], m["artifactType"]) for m in index["manifests"]] == made
    assert index["manifests"][0]["annotations"] == {"org.example.kind": made[0][1]}
    assert "OCI-Filters-Applied" not in got.headers
    one = cove.admin.get(f"/v2/{name}/referrers/{subject}?artifactType={made[1][1]}")
    assert one.headers["OCI-Filters-Applied"] == "artifactType"
    assert [m["digest"] for m in one.json()["manifests"]] == [made[1][0]]
    nothing = cove.admin.get(f"/v2/{name}/referrers/{sha256(b'nobody')}")
    assert nothing.status == 200 and nothing.json()["manifests"] == []


def test_referrer_may_come_before_its_subject(cove, name):
    subject = cove.admin.image(name)
    to = {"mediaType": MANIFEST, "digest": sha256(subject), "size": len(subject)}
    body = cove.admin.image(name, [b"early"], b"{}", artifactType="application/vnd.example.a",
                            subject=to)
    cove.admin.push_manifest(name, sha256(body), body)
    cove.admin.push_manifest(name, "v1", subject)
    index = cove.admin.get(f"/v2/{name}/referrers/{sha256(subject)}").json()
    assert [m["digest"] for m in index["manifests"]] == [sha256(body)]


# ---- deletes ----------------------------------------------------------------------------------


def test_delete_tag_manifest_and_blob(cove, name):
    digest, payload = cove.admin.push_image(name, "v1", [b"some layer"])
    cove.admin.push_manifest(name, "v2", payload)
    assert cove.admin.delete(f"/v2/{name}/manifests/v1").status == 202
    assert cove.admin.get(f"/v2/{name}/tags/list").json()["tags"] == ["v2"]
    assert cove.admin.get(f"/v2/{name}/manifests/{digest}").status == 200
    assert cove.admin.delete(f"/v2/{name}/manifests/{digest}").status == 202
    for ref in ("v2", digest):
        gone = cove.admin.get(f"/v2/{name}/manifests/{ref}")
        assert gone.status == 404 and gone.code == "MANIFEST_UNKNOWN"
    assert cove.admin.delete(f"/v2/{name}/manifests/{digest}").status == 404
    blob = cove.admin.push_blob(name, b"alone")
    assert cove.admin.delete(f"/v2/{name}/blobs/{blob}").status == 202
    gone = cove.admin.get(f"/v2/{name}/blobs/{blob}")
    assert gone.status == 404 and gone.code == "BLOB_UNKNOWN"
    assert cove.admin.delete(f"/v2/{name}/blobs/{blob}").status == 404


def test_child_of_an_index_is_not_deleted(cove, name):
    child, payload = cove.admin.push_image(name, "child")
    index = {"schemaVersion": 2, "mediaType": INDEX,
             "manifests": [{"mediaType": MANIFEST, "digest": child, "size": len(payload)}]}
    parent = cove.admin.push_manifest(name, "all", index, INDEX)
    assert cove.admin.delete(f"/v2/{name}/manifests/{child}").status == 412
    assert cove.admin.delete(f"/v2/{name}/manifests/{parent}").status == 202
    assert cove.admin.delete(f"/v2/{name}/manifests/{child}").status == 202


def test_compat_harbor_refuses_delete_by_tag(start):
    cove = start(COVE_REGISTRY_COMPAT="harbor")
    digest, _ = cove.admin.push_image("library/x")
    reply = cove.admin.delete("/v2/library/x/manifests/v1")
    assert reply.status == 400 and reply.code == "UNSUPPORTED"
    assert cove.admin.delete(f"/v2/library/x/manifests/{digest}").status == 202


def test_repository_does_not_lend_its_blobs(cove, name):
    """A blob is readable only through a repository that holds it."""
    digest = cove.admin.push_blob(name, b"held here")
    assert cove.admin.get(f"/v2/{name}/blobs/{digest}").status == 200
    assert cove.admin.get(f"/v2/{name}other/blobs/{digest}").status == 404
    assert cove.admin.head(f"/v2/{name}other/blobs/{digest}").status == 404
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
                "config": descriptor(b"held here", "application/vnd.oci.image.config.v1+json")}
    reply = cove.admin.put(f"/v2/{name}other/manifests/v1", json.dumps(manifest).encode(),
                           headers={"Content-Type": MANIFEST})
    assert reply.status == 400 and reply.code == "MANIFEST_BLOB_UNKNOWN"
