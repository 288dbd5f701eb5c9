"""What the stories of repositories and artifacts find: a tag that its upstream moved, an index with
platforms and attachments, a repository of many digests."""
import json

from conftest import INDEX, MANIFEST, descriptor, sha256
from proxied import Puller, eventually


def config(arch, *steps):
    return json.dumps({"os": "linux", "architecture": arch, "config": {"Env": ["PATH=/bin", f"ARCH={arch}"]},
                       "history": [{"created_by": s, "created": "2026-11-01T08:00:00Z"} for s in steps]}).encode()


def attach(client, repository, subject, media_type, kind, data):
    payload = client.image(repository, [data], b"{}", artifactType=kind,
                           subject=descriptor(subject, media_type))
    client.push_manifest(repository, sha256(payload), payload)


def multi(client, repository, *tags):
    """An index of two platforms; amd64 has a signature and a tag of its own, the index an SBOM."""
    children = []
    for arch in ("amd64", "arm64"):
        layers = [b"base" * 9000, arch.encode() * 4000, b"app"]
        payload = client.image(repository, layers, config(arch, "ADD rootfs.tar /", "RUN apt-get install -y tool", "COPY app /app"))
        client.push_manifest(repository, sha256(payload), payload)
        children.append({**descriptor(payload, MANIFEST), "platform": {"os": "linux", "architecture": arch}})
        if arch == "amd64":
            client.push_manifest(repository, "2.0-amd64", payload)
            attach(client, repository, payload, MANIFEST, "application/vnd.dev.cosign.artifact.sig.v1+json", b"sig")
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode()
    for tag in tags:
        client.push_manifest(repository, tag, index, INDEX)
    attach(client, repository, index, INDEX, "application/spdx+json", b"sbom")


def moved(server, up):
    """A proxied tag that was pulled, moved at its upstream, and was pulled again."""
    admin = server.admin
    registry = admin.get("/api/v2.0/registries").json()[0]["id"]
    assert admin.post("/api/v2.0/projects", json={
        "project_name": "moving", "registry_id": registry,
        "metadata": {"public": "true", "proxy_window_s": "0"}}).status == 201
    puller = Puller(server, "moving")
    old = up.add_image("library/tool", "1", [b"old tool"])
    puller.image("library/tool", "1")
    up.add_image("library/tool", "1", [b"new tool"])

    def arrived():
        admin.get("/v2/moving/library/tool/manifests/1", headers={"Accept": MANIFEST})
        return len(admin.get("/api/cove/v1/projects/moving/repositories/library%252Ftool/moves").json()) == 2
    eventually(arrived)
    return old.digest


def fill(server, up):
    admin = server.admin
    moved(server, up)
    for i in range(3):
        admin.push_image("team-07/multi", "latest", [b"base" * 9000, b"%d" % i])
    multi(admin, "team-07/multi", "2.0", "latest")
    multi(admin, "team-07/gone", "1.0")
    for i in range(60):
        admin.push_image("team-07/many", f"1.{i}", [b"base" * 9000, b"many %d" % i], config("amd64", "ADD base", f"RUN build {i}"))
