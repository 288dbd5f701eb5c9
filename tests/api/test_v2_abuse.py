"""Hostile content and hostile paths: each has a clear answer and leaves nothing behind."""
import hashlib
import json
import socket
import time

import pytest
from conftest import INDEX, MANIFEST, descriptor, sha256

CONFIG = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def put(cove, name):
    cove.admin.push_blob(name, b"{}")

    def go(payload, media_type=MANIFEST, reference="bad"):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        headers = {"Content-Type": media_type} if media_type else {}
        return cove.admin.put(f"/v2/{name}/manifests/{reference}", payload, headers=headers)

    yield go
    assert cove.admin.get(f"/v2/{name}/manifests/bad").status == 404


def good():
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"{}", CONFIG),
            "layers": []}


# ---- C01: one document, two readings ----------------------------------------------------------


@pytest.mark.parametrize("why, payload, media_type", [
    ("manifests beside layers", {**good(), "manifests": []}, MANIFEST),
    ("layers in an index", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "layers": []},
     INDEX),
    ("config in an index", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                            "config": descriptor(b"{}", CONFIG)}, INDEX),
    ("mediaType is not Content-Type", good(), INDEX),
    ("duplicate keys", b'{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[],"layers":[]}'
     % (MANIFEST.encode(), json.dumps(descriptor(b"{}", CONFIG)).encode()), MANIFEST),
    ("byte order mark", b"\xef\xbb\xbf" + json.dumps(good()).encode(), MANIFEST),
    ("bytes behind the document", json.dumps(good()).encode() + b"{}", MANIFEST),
    ("not UTF-8", json.dumps(good()).encode().replace(b"layers", b"lay\xff\xfe"), MANIFEST),
    ("not JSON", b"<html>", MANIFEST),
    ("no object", b"[]", MANIFEST),
    ("empty", b"", MANIFEST),
    ("unknown media type", good(), "text/plain"),
    ("schema 1", {"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []},
     "application/vnd.docker.distribution.manifest.v1+json"),
])
def test_c01_confusing_manifests(put, why, payload, media_type):
    """C01 (CVE-2021-41190): what can be read in two ways is refused."""
    reply = put(payload, media_type)
    assert reply.status == 400 and reply.code == "MANIFEST_INVALID", (why, reply)


def test_c01_without_content_type_the_document_decides(cove, name):
    cove.admin.push_blob(name, b"{}")
    payload = json.dumps(good()).encode()
    assert cove.admin.put(f"/v2/{name}/manifests/v1", payload).status == 201
    assert cove.admin.get(f"/v2/{name}/manifests/v1").headers["Content-Type"] == MANIFEST


# ---- C02: digests -----------------------------------------------------------------------------


BAD_DIGESTS = [
    "sha512:" + "a" * 64, "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63,
    "sha256:" + "a" * 65, "md5:" + "a" * 32, "sha256%2Bb64u:" + "a" * 43, "sha256:", ":" + "a" * 64,
    "sha256:" + "g" * 64, "sha256:" + "a" * 8000, "sha256:..", "sha384:" + "a" * 96,
]


@pytest.mark.parametrize("digest", BAD_DIGESTS, ids=lambda d: d[:20])
def test_c02_bad_digests(cove, name, digest):
    """C02: only sha256 and sha512 of the exact length in lower-case hex are digests."""
    for path in (f"blobs/{digest}", f"manifests/{digest}", f"referrers/{digest}"):
        reply = cove.admin.get(f"/v2/{name}/{path}")
        assert reply.status in (400, 404, 431), reply
    reply = cove.admin.post(f"/v2/{name}/blobs/uploads/?digest={digest}", b"x")
    assert reply.status in (400, 431), reply
    config = {**descriptor(b"{}", CONFIG), "digest": digest}
    reply = cove.admin.put(f"/v2/{name}/manifests/v", json.dumps({**good(), "config": config}).encode(),
                           headers={"Content-Type": MANIFEST})
    assert reply.status == 400, reply


def test_c02_sha512_must_be_the_sha512(cove, name):
    digest = "sha512:" + hashlib.sha512(b"other").hexdigest()
    reply = cove.admin.post(f"/v2/{name}/blobs/uploads/?digest={digest}", b"data")
    assert reply.status == 400 and reply.code == "DIGEST_INVALID"


# ---- C03: the bytes are not what the digest says ----------------------------------------------


def test_c03_wrong_digest_leaves_nothing(cove, name):
    want = sha256(b"wanted")
    reply = cove.admin.post(f"/v2/{name}/blobs/uploads/?digest={want}", b"other")
    assert reply.status == 400 and reply.code == "DIGEST_INVALID"
    location = cove.admin.post(f"/v2/{name}/blobs/uploads/").headers["Location"]
    reply = cove.admin.put(f"{location}?digest={want}", b"other")
    assert reply.status == 400 and reply.code == "DIGEST_INVALID"
    assert cove.admin.get(location).status == 404
    for digest in (want, sha256(b"other")):
        assert cove.admin.head(f"/v2/{name}/blobs/{digest}").status == 404
    assert cove.admin.put(f"/v2/{name}/blobs/uploads/{'0' * 36}?digest={want}").status == 404


def test_c03_put_without_digest(cove, name):
    location = cove.admin.post(f"/v2/{name}/blobs/uploads/").headers["Location"]
    reply = cove.admin.put(location, b"x")
    assert reply.status == 400 and reply.code == "DIGEST_INVALID"


def test_c03_descriptor_size_must_be_the_blobs(put):
    reply = put({**good(), "config": {**descriptor(b"{}", CONFIG), "size": 3}})
    assert reply.status == 400, reply
    reply = put({**good(), "config": {**descriptor(b"{}", CONFIG), "size": -1}})
    assert reply.status == 400, reply


def test_c03_missing_blob_is_named(put):
    missing = descriptor(b"never pushed", "application/vnd.oci.image.layer.v1.tar")
    reply = put({**good(), "layers": [missing]})
    assert reply.status == 400 and reply.code == "MANIFEST_BLOB_UNKNOWN"
    assert missing["digest"] in reply.message


# ---- C05: bombs -------------------------------------------------------------------------------


def in_time(act, seconds=2.0):
    began = time.monotonic()
    reply = act()
    assert time.monotonic() - began < seconds
    return reply


def test_c05_manifest_over_4_mib(put):
    reply = in_time(lambda: put(b" " * ((4 << 20) + 1)))
    assert reply.status == 413 and reply.code == "SIZE_INVALID"


@pytest.mark.parametrize("why, payload", [
    ("depth 100,000", b"[" * 100_000 + b"]" * 100_000),
    ("depth in a field", b'{"schemaVersion":2,"x":' + b"[" * 1000 + b"]" * 1000 + b"}"),
    ("a million values", b'{"schemaVersion":2,"x":[' + b"{}," * 1_000_000 + b"{}]}"),
    ("a million annotations", b'{"annotations":{' + b",".join(
        b'"%d":""' % i for i in range(300_000)) + b"}}"),
])
def test_c05_bombs(put, why, payload):
    reply = in_time(lambda: put(payload))
    assert reply.status in (400, 413), (why, reply)


def test_c05_too_many_layers_and_children(put):
    layer = descriptor(b"{}", "application/vnd.oci.image.layer.v1.tar")
    reply = in_time(lambda: put({**good(), "layers": [layer] * 12_000}), 5)
    assert reply.status in (400, 413), reply
    child = {"mediaType": MANIFEST, "digest": sha256(b"x"), "size": 2}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child] * 10_000}
    assert in_time(lambda: put(index, INDEX), 5).status in (400, 413)


def test_c05_nested_indexes(cove, name):
    """64 indexes inside each other are 64 documents; what only the first named goes with it."""
    child, payload = cove.admin.push_image(name)
    digests = []
    media = MANIFEST
    for _ in range(64):
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": media, "digest": child, "size": len(payload)}]}).encode()
        child, payload, media = cove.admin.push_manifest(name, sha256(index), index, INDEX), index, INDEX
        digests.append(child)
    assert cove.admin.get(f"/v2/{name}/manifests/{digests[-1]}").status == 200
    began = time.monotonic()
    assert cove.admin.delete(f"/v2/{name}/manifests/{digests[-1]}").status == 202
    assert time.monotonic() - began < 5
    assert cove.admin.get(f"/v2/{name}/manifests/{digests[-1]}").status == 404
    assert cove.admin.get(f"/v2/{name}/manifests/v1").status == 200


# ---- H06: paths -------------------------------------------------------------------------------


def raw(cove, target, extra=b""):
    """One request whose target is sent byte for byte."""
    with socket.create_connection(("127.0.0.1", cove.port), 10) as s:
        auth = cove.admin.headers["Authorization"].encode()
        s.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nAuthorization: " + auth +
                  b"\r\nConnection: close\r\n" + extra + b"\r\n")
        data = b""
        while True:
            part = s.recv(65536)
            if not part:
                break
            data += part
    return int(data.split(b" ", 2)[1]), data


@pytest.mark.parametrize("target", [
    b"/v2/..%2f..%2fetc/passwd", b"/v2/%2e%2e/%2e%2e/healthz", b"/v2/library/../_catalog",
    b"/v2/library%2f..%2f..%2fhealthz", b"/v2//library//x//manifests//v1",
    b"/v2/%2F%2F/manifests/v1", b"/v2/library/%252e%252e/manifests/v1",
    b"/v2/library/x;/manifests/v1", b"/v2/library\\x/manifests/v1",
    b"/v2/library/x%00/manifests/v1", b"/v2/library/x/manifests/%00",
    b"/v2/library/%c0%ae%c0%ae/manifests/v1", b"/v2/library/%ff/manifests/v1",
    b"/api/v2.0/../../v2/_catalog", b"/api/v2.0/projects/library/repositories/..%252f..%252fx",
    b"/v2/library/x/manifests/v1%0d%0aSet-Cookie:x", b"/v2/library/x/manifests/" + b"v" * 129,
    b"/v2/" + b"a/" * 200 + b"manifests/v1", b"/V2/", b"/v2/LIBRARY/x/manifests/v1",
    b"/v2/library/x/blobs/uploads/..", b"/v2/.well-known/manifests/x",
])
def test_h06_paths(cove, target):
    """H06: routed and authorised is one text, decoded once; tricks are 400 or 404."""
    status, data = raw(cove, target)
    assert status in (400, 404), (target, data[:400])
    assert b"Set-Cookie:x" not in data and b"root:" not in data


def test_h06_repository_names_are_decoded_once_more_in_the_api(cove, name):
    cove.admin.push_image(f"{name}/deep/er")
    rest = f"{name}/deep/er".split("/", 1)[1].replace("/", "%252F")
    reply = cove.admin.get(f"/api/v2.0/projects/library/repositories/{rest}/artifacts")
    assert reply.status == 200 and len(reply.json()) == 1
    once = rest.replace("%252F", "%2F")
    assert cove.admin.get(f"/api/v2.0/projects/library/repositories/{once}/artifacts").status == 404


def test_h06_host_does_not_change_the_path(cove):
    with socket.create_connection(("127.0.0.1", cove.port), 10) as s:
        s.sendall(b"GET /v2/_catalog HTTP/1.1\r\nHost: x/healthz?\r\nConnection: close\r\n\r\n")
        data = s.recv(65536)
    assert int(data.split(b" ", 2)[1]) in (400, 401)


def test_methods(cove, name):
    reply = cove.admin.post(f"/v2/{name}/manifests/v1")
    assert reply.status == 405 and reply.code == "UNSUPPORTED"
    assert reply.headers["Allow"] == "GET, HEAD, PUT, DELETE"
    assert cove.admin.request("PROPFIND", "/v2/").status == 405
    assert cove.admin.post("/service/token").status == 405
    assert cove.admin.get("/nothing/here").status == 404
    assert cove.admin.get("/api/v2.0/nothing").status == 404


def test_request_id(cove):
    assert cove.anonymous.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}
                              ).headers["X-Request-Id"] == "abc-1.2_3"
    for bad in ("a b", "x" * 200, "a\tb", '"', "é"):
        got = cove.anonymous.get("/healthz", headers={"X-Request-Id": bad.encode("latin1", "replace")})
        assert len(got.headers["X-Request-Id"]) == 36


def test_internal_errors_are_masked(cove, name):
    """What is in an error is for the client; our own trouble is in the log with the request's id."""
    reply = cove.admin.get(f"/v2/{name}/manifests/none")
    assert reply.message == f"artifact {name}:none not found"
