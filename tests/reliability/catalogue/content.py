"""C: content that can be read in two ways, bytes that are not what they say, bombs, poisoned caches."""
import hashlib
import json
import threading
import time

from client import INDEX, MANIFEST, and_digest, descriptor, sha256
from upstream import Upstream

from .world import CONFIG, LAYER, Skip, case


def confusing(good):
    """(why, document, Content-Type)."""
    text = json.dumps(good).encode()
    config = json.dumps(good["config"]).encode()
    return [
        ("manifests beside layers", {**good, "manifests": []}, MANIFEST),
        ("layers in an index",
         {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "layers": []}, INDEX),
        ("config in an index", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                                "config": good["config"]}, INDEX),
        ("mediaType is not Content-Type", good, INDEX),
        ("duplicate keys", b'{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[],"layers":[]}'
         % (MANIFEST.encode(), config), MANIFEST),
        ("byte order mark", b"\xef\xbb\xbf" + text, MANIFEST),
        ("bytes behind the document", text + b"{}", MANIFEST),
        ("not UTF-8", text.replace(b"layers", b"lay\xff\xfe"), MANIFEST),
        ("not JSON", b"<html>", MANIFEST),
        ("no object", b"[]", MANIFEST),
        ("empty", b"", MANIFEST),
        ("unknown media type", good, "text/plain"),
    ]


OLD = {"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []}


@case("C01", "manifests that can be read in two ways (CVE-2021-41190)")
def confusion(world, check):
    repo, good = world.repo(), world.good()
    world.admin.push_blob(repo, b"{}")
    rows = confusing(good)
    if world.strict:
        rows.append(("schema 1", OLD, "application/vnd.docker.distribution.manifest.v1+json"))
    for why, payload, media_type in rows:
        reply = world.put_manifest(repo, payload, media_type)
        if check.status(reply, (400, 415), why) and world.strict:
            check(reply.code == "MANIFEST_INVALID", why, reply)
        check.status(world.admin.get(f"/v2/{repo}/manifests/bad"), 404, why, "is not there")
    payload = json.dumps(good).encode()
    reply = world.put_manifest(repo, payload, None, "v1")
    if reply.status == 201:
        got = world.admin.get(f"/v2/{repo}/manifests/v1", headers={"Accept": MANIFEST})
        check(got.headers["Content-Type"] == MANIFEST, "without Content-Type the document decides",
              got.headers["Content-Type"])
    else:
        check.status(reply, 400, "without Content-Type")


BAD_DIGESTS = [
    "sha512:" + "a" * 64, "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63,
    "sha256:" + "a" * 65, "md5:" + "a" * 32, "sha256%2Bb64u:" + "a" * 43, "sha256:", ":" + "a" * 64,
    "sha256:" + "g" * 64, "sha256:" + "a" * 8000, "sha256:..", "sha384:" + "a" * 96,
]


@case("C02", "digests of other algorithms, lengths and letters")
def digests(world, check):
    repo = world.repo()
    world.admin.push_blob(repo, b"{}")
    for digest in BAD_DIGESTS:
        for path in ("blobs", "manifests", "referrers"):
            reply = world.admin.get(f"/v2/{repo}/{path}/{digest}")
            check.status(reply, (400, 404, 414, 431), path, digest[:30])
        location = world.admin.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
        reply = world.admin.put(and_digest(location, digest), b"x")
        check.status(reply, (400, 404, 414, 431), "upload as", digest[:30])
        reply = world.admin.post(f"/v2/{repo}/blobs/uploads/?digest={digest}", b"x")
        check(reply.status != 201 and (not world.strict or reply.status in (400, 431)),
              "upload in one as", digest[:30], reply)
        config = {**descriptor(b"{}", CONFIG), "digest": digest}
        reply = world.put_manifest(repo, {**world.good(), "config": config})
        check.status(reply, 400, "config", digest[:30])
    other = "sha512:" + hashlib.sha512(b"other").hexdigest()
    location = world.admin.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
    check.status(world.admin.put(and_digest(location, other), b"data"), 400, "sha512 of other bytes")
    check.status(world.admin.head(f"/v2/{repo}/blobs/{other}"), (400, 404), "sha512 of other bytes")


@case("C03", "bytes that are not what the digest or the descriptor says")
def wrong_bytes(world, check):
    repo, want = world.repo(), sha256(b"wanted")
    uploads = f"/v2/{repo}/blobs/uploads/"
    for how in ("in PUT", "in PATCH"):
        location = world.admin.post(uploads).headers["Location"]
        if how == "in PATCH":
            location = world.admin.patch(location, b"other").headers["Location"]
        reply = world.admin.put(and_digest(location, want), b"other" if how == "in PUT" else None)
        check.status(reply, 400, "wrong digest", how)
        if world.strict:
            check.status(world.admin.get(location), 404, "the upload is over")
    if world.strict:
        reply = world.admin.post(f"{uploads}?digest={want}", b"other")
        check(reply.status == 400 and reply.code == "DIGEST_INVALID", "in one", reply)
    for digest in (want, sha256(b"other")):
        check.status(world.admin.head(f"/v2/{repo}/blobs/{digest}"), 404, "nothing is visible")
    check.status(world.admin.put(and_digest(uploads + "0" * 36, want)), (400, 404), "unknown upload")
    location = world.admin.post(uploads).headers["Location"]
    check.status(world.admin.put(location, b"x"), 400, "PUT without digest")
    world.admin.push_blob(repo, b"{}")
    good = world.good()
    reply = world.put_manifest(repo, good, reference=sha256(b"x"))
    check.status(reply, 400, "a manifest under another digest")
    for size in (3, -1, 1 << 62, 1.5, "2"):
        reply = world.put_manifest(repo, {**good, "config": {**good["config"], "size": size}})
        check.status(reply, 400, "descriptor of size", size)
    missing = descriptor(b"never pushed", LAYER)
    reply = world.put_manifest(repo, {**good, "layers": [missing]})
    check(reply.status in (400, 404) and missing["digest"].encode() in reply.body,
          "a missing blob is named", reply)
    check.status(world.admin.get(f"/v2/{repo}/manifests/bad"), 404, "nothing is visible")


@case("C04", "chunks with gaps, overlaps and repeats; two at once; one after the end")
def chunks(world, check):
    repo = world.repo()
    location = world.admin.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
    first = world.admin.patch(location, b"a" * 100, headers={"Content-Range": "0-99"})
    check.status(first, 202, "the first chunk")
    location = first.headers["Location"] or location
    for start, end in ((200, 299), (50, 149), (0, 99)):
        reply = world.admin.patch(location, b"b" * 100, headers={"Content-Range": f"{start}-{end}"})
        check.status(reply, 416, "chunk", start, end)
    for bad in ("9-1", "x-y", "-5", "0-99999999999999999999"):
        reply = world.admin.patch(location, b"b", headers={"Content-Range": bad})
        check.status(reply, (400, 416), "Content-Range", bad)
    reply = world.admin.patch(location, b"b" * 10, headers={"Content-Range": "100-199"})
    check.status(reply, (400, 416), "shorter than it says")
    done = world.admin.put(and_digest(location, sha256(b"a" * 100)))
    check.status(done, 201, "only what was acknowledged is in it")
    check.status(world.admin.patch(location, b"late"), 404, "a chunk after the end")
    two_at_once(world, check, repo)


def two_at_once(world, check, repo):
    """Whatever is refused, what is acknowledged is there whole and unmixed."""
    location = world.admin.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
    sent, release, replies = threading.Event(), threading.Event(), []

    def slow():
        yield b"a" * 70000
        sent.set()
        release.wait(20)
        yield b"a" * 70000

    thread = threading.Thread(target=lambda: replies.append(world.admin.patch(location, slow())))
    thread.start()
    sent.wait(10)
    other = world.admin.patch(location, b"b" * 10)
    release.set()
    thread.join(30)
    parts = [(b"b" * 10, other.status), (b"a" * 140000, replies[0].status)]  # as they ended
    kept = b"".join(text for text, status in parts if status == 202)
    last = replies[0] if replies[0].status == 202 else other
    done = world.admin.put(and_digest(last.headers["Location"] or location, sha256(kept)))
    check(kept and done.status == 201, "two PATCHes at once: acknowledged", [s for _, s in parts],
          "but the blob is not their sum:", done.status)


def bombs():
    """(why, bytes)."""
    return [
        ("depth 100,000", b"[" * 100_000 + b"]" * 100_000),
        ("depth in a field", b'{"schemaVersion":2,"x":' + b"[" * 1000 + b"]" * 1000 + b"}"),
        ("a million values", b'{"schemaVersion":2,"x":[' + b"{}," * 1_000_000 + b"{}]}"),
        ("300,000 annotations", b'{"annotations":{' + b",".join(
            b'"%d":""' % i for i in range(300_000)) + b"}}"),
    ]


@case("C05", "bombs: size, depth, counts, nesting")
def bomb(world, check):
    repo, good = world.repo(), world.good()
    child, payload = world.admin.push_image(repo)
    world.admin.push_blob(repo, b"{}")

    def put(why, document, statuses, media_type=MANIFEST, seconds=2.0):
        began = time.monotonic()
        reply = world.put_manifest(repo, document, media_type)
        took = time.monotonic() - began
        check.status(reply, statuses, why)
        check(took < seconds, why, f"took {took:.2f} s")

    before = world.memory() if world.pid else 0
    put("4 MiB and a byte", b" " * ((4 << 20) + 1), (400, 413))
    for why, document in bombs():
        put(why, document, (400, 413))
    layer = descriptor(b"{}", LAYER)
    put("12,000 layers", {**good, "layers": [layer] * 12_000}, (400, 413), seconds=5)
    absent = {"mediaType": MANIFEST, "digest": sha256(b"x"), "size": 2}
    put("10,000 children", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [absent] * 10_000},
        (400, 404, 413), INDEX, 5)
    if world.pid:
        grown = (world.memory() - before) >> 20
        check(grown < 64, f"memory grew by {grown} MiB")
    check.status(world.admin.get(f"/v2/{repo}/manifests/bad"), 404, "nothing is visible")
    nested, media = [], MANIFEST
    for _ in range(64):
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": media, "digest": child, "size": len(payload)}]}).encode()
        child = world.admin.push_manifest(repo, sha256(index), index, INDEX)
        payload, media = index, INDEX
        nested.append(child)
    top = f"/v2/{repo}/manifests/{nested[-1]}"
    check.status(world.admin.get(top, headers={"Accept": INDEX}), 200, "64 indexes in each other")
    began = time.monotonic()
    check.status(world.admin.delete(top), 202, "and deleted")
    check(time.monotonic() - began < 5, "deleting took", time.monotonic() - began)
    check.status(world.admin.get(top, headers={"Accept": INDEX}), 404, "they are gone")
    check.status(world.admin.get(f"/v2/{repo}/manifests/v1", headers={"Accept": MANIFEST}), 200,
                 "what has a tag stays")


@case("C06", "archives that unpack to more than they are")
def archives(world, check):
    raise Skip("no archive is unpacked")


@case("C07", "a proxy takes no pushes, and keeps no wrong bytes of its upstream")
def poisoning(world, check):
    with Upstream() as up:
        image = up.add_image("team/app", "1", [b"layer one" * 1000])
        client, prefix = world.proxy(up)
        repo = prefix + "team/app"
        manifest = f"/v2/{repo}/manifests/1"
        check.status(client.get(manifest, headers={"Accept": MANIFEST}), 200, "a good manifest")
        blob = f"/v2/{repo}/blobs/{image.layers[0]}"
        up.script(image.layers[0], {"corrupt_at": 5, "times": 0}, method="GET")
        try:
            reply = client.get(blob)
            check(reply.status != 200 or sha256(reply.body) == image.layers[0],
                  "a complete 200 of wrong bytes was delivered")
        except Exception as why:  # the connection was cut: what a proxy that streams can do
            check("Incomplete" in type(why).__name__ or isinstance(why, OSError), why)
        up.clear_scripts()

        def right():
            reply = client.get(blob)
            return reply.status == 200 and sha256(reply.body) == image.layers[0]

        until = time.monotonic() + 20
        while not (good := right()) and time.monotonic() < until:
            time.sleep(0.2)
        check(good, "the right bytes come afterwards")
        reply = client.post(f"/v2/{repo}/blobs/uploads/?digest={sha256(b'x')}", b"x")
        check.status(reply, (401, 403, 405), "a push of a blob")
        reply = world.put_manifest(repo, image.payload, reference="mine", client=client)
        check(reply.status in (400, 401, 403, 404, 405), "a push of a manifest", reply)
        check(client.get(f"/v2/{repo}/manifests/mine").status in (401, 404), "no such tag")


@case("C08", "signatures: of another repository, and of a subject that is deleted")
def signatures(world, check):
    repo, other = world.repo(), world.repo()
    subject, payload = world.admin.push_image(repo)
    about = {"mediaType": MANIFEST, "digest": subject, "size": len(payload)}
    mine = world.admin.push_manifest(repo, "sig", world.admin.image(repo, subject=about))
    theirs = world.admin.push_manifest(other, "sig", world.admin.image(other, subject=about))
    listed = world.admin.get(f"/v2/{repo}/referrers/{subject}")
    if listed.status == 200:
        digests = [m["digest"] for m in listed.json()["manifests"]]
        check(digests == [mine], "only this repository's signature is listed", digests)
    check.status(world.admin.get(f"/v2/{repo}/manifests/{theirs}"), 404, "another repository's")
    check.status(world.admin.delete(f"/v2/{repo}/manifests/{subject}"), 202, "the subject goes")
    listed = world.admin.get(f"/v2/{repo}/referrers/{subject}")
    left = [m["digest"] for m in listed.json()["manifests"]] if listed.status == 200 else []
    there = world.admin.get(f"/v2/{repo}/manifests/{mine}", headers={"Accept": MANIFEST}).status
    if listed.status == 200:
        check((there == 200) == (mine in left), "listed means there", there, left)
    check.status(world.admin.get(f"/v2/{other}/manifests/{theirs}", headers={"Accept": MANIFEST}),
                 200, "the other repository's stays")
