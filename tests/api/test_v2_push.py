"""Pushing blobs and manifests in every way that the OCI Distribution Spec has, and pulling them."""
import hashlib
import os
import threading
import time

import pytest
from conftest import INDEX, MANIFEST, descriptor, sha256


def test_push_monolithic_and_pull_by_tag_and_digest(cove, name):
    admin = cove.admin
    layer = os.urandom(100_000)
    digest, payload = admin.push_image(name, "v1", [layer])
    for reference in ("v1", digest):
        got = admin.get(f"/v2/{name}/manifests/{reference}")
        assert got.status == 200 and got.body == payload
        assert got.headers["Content-Type"] == MANIFEST
        assert got.headers["Docker-Content-Digest"] == digest
        assert got.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        head = admin.head(f"/v2/{name}/manifests/{reference}")
        assert head.status == 200 and head.headers["Content-Length"] == str(len(payload))
    got = admin.get(f"/v2/{name}/blobs/{sha256(layer)}")
    assert got.status == 200 and got.body == layer
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert admin.head(f"/v2/{name}/blobs/{sha256(layer)}").headers["Content-Length"] == "100000"
    assert admin.get(f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["v1"]}


def begin(admin, name):
    reply = admin.post(f"/v2/{name}/blobs/uploads/")
    assert reply.status == 202, reply
    assert reply.headers["Docker-Upload-UUID"]
    return reply.headers["Location"]


def test_push_post_then_put(cove, name):
    data = os.urandom(5000)
    location = begin(cove.admin, name)
    reply = cove.admin.put(f"{location}?digest={sha256(data)}", data)
    assert reply.status == 201 and reply.headers["Docker-Content-Digest"] == sha256(data)
    assert cove.admin.get(reply.headers["Location"]).body == data


def test_push_chunked_with_content_range(cove, name):
    data = os.urandom(30_000)
    location = begin(cove.admin, name)
    for at in range(0, len(data), 10_000):
        part = data[at:at + 10_000]
        reply = cove.admin.patch(location, part,
                                 headers={"Content-Range": f"{at}-{at + len(part) - 1}"})
        assert reply.status == 202 and reply.headers["Range"] == f"0-{at + len(part) - 1}"
        location = reply.headers["Location"]
    reply = cove.admin.put(f"{location}?digest={sha256(data)}")
    assert reply.status == 201
    assert cove.admin.get(f"/v2/{name}/blobs/{sha256(data)}").body == data


def test_push_streamed_patch_without_content_range(cove, name):
    data = os.urandom(300_000)
    location = begin(cove.admin, name)
    parts = (data[i:i + 7001] for i in range(0, len(data), 7001))
    reply = cove.admin.patch(location, parts)
    assert reply.status == 202 and reply.headers["Range"] == f"0-{len(data) - 1}"
    reply = cove.admin.put(f"{reply.headers['Location']}?digest={sha256(data)}")
    assert reply.status == 201


def test_push_last_chunk_in_put(cove, name):
    data = os.urandom(20_000)
    location = begin(cove.admin, name)
    cove.admin.patch(location, data[:12_000])
    reply = cove.admin.put(f"{location}?digest={sha256(data)}", data[12_000:],
                           headers={"Content-Range": "12000-19999"})
    assert reply.status == 201
    assert cove.admin.get(f"/v2/{name}/blobs/{sha256(data)}").body == data


def test_push_empty_blob(cove, name):
    assert cove.admin.push_blob(name, b"") == sha256(b"")
    assert cove.admin.get(f"/v2/{name}/blobs/{sha256(b'')}").body == b""


def test_push_sha512(cove, name):
    data = os.urandom(5000)
    digest = "sha512:" + hashlib.sha512(data).hexdigest()
    reply = cove.admin.post(f"/v2/{name}/blobs/uploads/?digest-algorithm=sha512&digest={digest}",
                            data)
    assert reply.status == 201, reply
    got = cove.admin.get(f"/v2/{name}/blobs/{digest}")
    assert got.body == data and got.headers["Docker-Content-Digest"] == digest


def test_upload_status_and_cancel(cove, name):
    location = begin(cove.admin, name)
    status = cove.admin.get(location)
    assert status.status == 204 and status.headers["Range"] == "0-0"
    cove.admin.patch(location, b"x" * 100)
    status = cove.admin.get(location)
    assert status.status == 204 and status.headers["Range"] == "0-99"
    assert status.headers["Location"]
    assert cove.admin.delete(location).status == 204
    gone = cove.admin.get(location)
    assert gone.status == 404 and gone.code == "BLOB_UPLOAD_UNKNOWN"


def test_upload_of_another_principal_is_unknown(cove, name):
    location = begin(cove.admin, name)
    other = "u" + name[-12:]
    reply = cove.admin.post("/api/v2.0/users", json={
        "username": other, "password": "Passw0rd9", "email": f"{other}@example.org",
        "realname": other})
    assert reply.status == 201, reply
    cove.admin.post("/api/v2.0/projects/library/members",
                    json={"role_id": 2, "member_user": {"username": other}})
    reply = cove.client(other, "Passw0rd9").get(location)
    assert reply.status == 404 and reply.code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.tsan
def test_c04_chunks_out_of_order(cove, name):
    """C04: gaps, overlaps and repeats of Content-Range are 416 with where the upload stands."""
    location = begin(cove.admin, name)
    cove.admin.patch(location, b"a" * 100, headers={"Content-Range": "0-99"})
    for start, end in ((200, 299), (50, 149), (0, 99)):
        reply = cove.admin.patch(location, b"b" * 100, headers={"Content-Range": f"{start}-{end}"})
        assert reply.status == 416, reply
        assert reply.headers["Range"] == "0-99" and reply.headers["Location"]
    for bad in ("9-1", "x-y", "-5", "0-99999999999999999999"):
        reply = cove.admin.patch(location, b"b", headers={"Content-Range": bad})
        assert reply.status in (400, 416), reply
    reply = cove.admin.patch(location, b"b" * 10, headers={"Content-Range": "100-199"})
    assert reply.status == 400, reply
    data = b"a" * 100
    assert cove.admin.put(f"{location}?digest={sha256(data)}").status == 201
    assert cove.admin.patch(location, b"late").status == 404


@pytest.mark.tsan
def test_c04_two_patches_at_once(cove, name):
    """C04: one session is held by one request; the other is told so and nothing is mixed."""
    location = begin(cove.admin, name)
    first = threading.Event()

    def slow():
        yield b"a" * 1000
        first.set()
        release.wait(20)
        yield b"a" * 1000

    release = threading.Event()
    replies = []
    thread = threading.Thread(target=lambda: replies.append(cove.admin.patch(
        location, slow())))
    before = cove.metrics()["cove_http_bytes_in_total"]
    thread.start()
    assert first.wait(10)
    until = time.monotonic() + 10
    while cove.metrics()["cove_http_bytes_in_total"] < before + 1000:
        assert time.monotonic() < until, "the first chunk is read by the holder of the session"
    other = cove.admin.patch(location, b"b" * 10)
    put = cove.admin.put(f"{location}?digest={sha256(b'')}")
    release.set()
    thread.join(30)
    assert other.status == 409 and put.status == 409
    assert replies[0].status == 202


def test_mount(cove, name):
    data = os.urandom(3000)
    cove.admin.push_blob(name, data)
    reply = cove.admin.post(f"/v2/{name}x/blobs/uploads/?mount={sha256(data)}&from={name}")
    assert reply.status == 201 and reply.headers["Docker-Content-Digest"] == sha256(data)
    assert cove.admin.get(f"/v2/{name}x/blobs/{sha256(data)}").body == data
    # what cannot be mounted begins an ordinary upload
    for query in (f"mount={sha256(b'unknown')}&from={name}", f"mount={sha256(data)}&from=no/where",
                  f"mount={sha256(data)}&from=BAD", f"mount={sha256(data)}"):
        reply = cove.admin.post(f"/v2/{name}y/blobs/uploads/?{query}")
        assert reply.status == 202 and reply.headers["Location"], query


def test_mount_needs_pull_on_the_source(cove, name):
    data = os.urandom(3000)
    who = "m" + name[-12:]
    cove.admin.post("/api/v2.0/projects", json={"project_name": who, "public": False})
    cove.admin.post("/api/v2.0/projects", json={"project_name": who + "x", "public": False})
    cove.admin.push_blob(f"{who}/secret", data)
    cove.admin.post("/api/v2.0/users", json={
        "username": who, "password": "Passw0rd9", "email": f"{who}@example.org", "realname": who})
    cove.admin.post(f"/api/v2.0/projects/{who}x/members",
                    json={"role_id": 2, "member_user": {"username": who}})
    user = cove.client(who, "Passw0rd9")
    reply = user.post(f"/v2/{who}x/a/blobs/uploads/?mount={sha256(data)}&from={who}/secret")
    assert reply.status == 202, reply
    assert user.head(f"/v2/{who}x/a/blobs/{sha256(data)}").status == 404


def test_manifest_by_digest_and_further_tags(cove, name):
    payload = cove.admin.image(name)
    digest = sha256(payload)
    reply = cove.admin.put(f"/v2/{name}/manifests/{digest}?tag=a&tag=b", payload,
                           headers={"Content-Type": MANIFEST})
    assert reply.status == 201 and reply.headers["Location"].endswith(digest)
    assert cove.admin.get(f"/v2/{name}/tags/list").json()["tags"] == ["a", "b"]
    reply = cove.admin.put(f"/v2/{name}/manifests/{sha256(b'other')}", payload,
                           headers={"Content-Type": MANIFEST})
    assert reply.status == 400 and reply.code == "DIGEST_INVALID"


def test_a_manifest_has_4_mib_at_most(cove, name):
    admin = cove.admin
    bare = admin.image(name)
    for more, status in ((0, 201), (1, 413)):
        payload = bare + b" " * ((4 << 20) - len(bare) + more)
        reply = admin.put(f"/v2/{name}/manifests/{status}", payload,
                          headers={"Content-Type": MANIFEST})
        assert reply.status == status, reply
    assert admin.get(f"/v2/{name}/tags/list").json()["tags"] == ["201"]


def test_index_and_docker_types_are_byte_exact(cove, name):
    child, payload = cove.admin.push_image(name, "child")
    index = ('{"schemaVersion": 2,\n  "manifests":[' + '{"mediaType":"%s","digest":"%s","size":%d,'
             % (MANIFEST, child, len(payload)) +
             '"platform":{"os":"linux","architecture":"amd64"}}],  "mediaType":"' + INDEX +
             '"}\n').encode()
    digest = cove.admin.push_manifest(name, "all", index, INDEX)
    got = cove.admin.get(f"/v2/{name}/manifests/all")
    assert got.body == index and got.headers["Content-Type"] == INDEX
    assert got.headers["Docker-Content-Digest"] == digest
    config = b"{}"
    cove.admin.push_blob(name, config)
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": docker,
                "config": descriptor(config, "application/vnd.docker.container.image.v1+json"),
                "layers": []}
    cove.admin.push_manifest(name, "docker", manifest, docker)
    assert cove.admin.get(f"/v2/{name}/manifests/docker").headers["Content-Type"] == docker


@pytest.mark.tsan
def test_upload_survives_kill(start):
    """What an upload holds after kill -9 is told by its status; the rest follows and it is whole."""
    cove = start()
    data = os.urandom(3_000_000)
    location = begin(cove.admin, "library/resume")
    assert cove.admin.patch(location, data[:2_000_000]).status == 202
    cove.kill()
    cove.start()
    status = cove.admin.get(location)
    assert status.status == 204
    held = int(status.headers["Range"].split("-")[1]) + 1
    assert 0 < held <= 2_000_000
    rest = data[held:]
    reply = cove.admin.patch(location, rest, headers={"Content-Range": f"{held}-{len(data) - 1}"})
    assert reply.status == 202, reply
    assert cove.admin.put(f"{location}?digest={sha256(data)}").status == 201
    assert cove.admin.get(f"/v2/library/resume/blobs/{sha256(data)}").body == data


def test_acknowledged_push_survives_kill(start):
    cove = start()
    digest, payload = cove.admin.push_image("library/kept", "v1", [os.urandom(50_000)])
    cove.kill()
    cove.start()
    assert cove.admin.get("/v2/library/kept/manifests/v1").body == payload
    assert cove.admin.get(f"/v2/library/kept/manifests/{digest}").status == 200
