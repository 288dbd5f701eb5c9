"""What the console shows of repositories and artifacts: rows, graph, layers and who shares them, why
something is kept, two of them side by side."""
import json
import re

import pytest

from conftest import INDEX, MANIFEST, descriptor, sha256
from proxied import Puller, eventually, proxy_of
from upstream import Upstream

API = "/api/cove/v1"
COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"


def of(name, rest):
    project, repository = name.split("/", 1)
    return f"{API}/projects/{project}/repositories/{repository.replace('/', '%252F')}/{rest}"


def config(arch="amd64", **more):
    return json.dumps({"os": "linux", "architecture": arch, **more}).encode()


def push_index(client, repository, tag, images):
    """images: {"linux/amd64": payload}, their blobs are pushed already."""
    children = []
    for platform, payload in images.items():
        os, arch = platform.split("/")
        client.push_manifest(repository, sha256(payload), payload)
        children.append({**descriptor(payload, MANIFEST),
                         "platform": {"os": os, "architecture": arch}})
    return client.push_manifest(repository, tag, {
        "schemaVersion": 2, "mediaType": INDEX, "manifests": children}, INDEX)


def push_attached(client, repository, subject, kind=COSIGN, data=b"signature"):
    """Something that refers to a manifest's payload; its digest."""
    media = INDEX if b'"manifests"' in subject else MANIFEST
    payload = client.image(repository, [data], b"{}", artifactType=kind,
                           subject=descriptor(subject, media))
    return client.push_manifest(repository, sha256(payload), payload)


def multi(client, repository, tag="1.0"):
    """An index with two platforms, one of them with a signature, the index with an SBOM."""
    amd, arm = (client.image(repository, [b"base", (a + repository).encode()], config(a))
                for a in ("amd64", "arm64"))
    index = push_index(client, repository, tag, {"linux/amd64": amd, "linux/arm64": arm})
    payload = client.get(f"/v2/{repository}/manifests/{index}", headers={"Accept": INDEX}).body
    return index, [sha256(amd), sha256(arm)], push_attached(client, repository, amd), push_attached(
        client, repository, payload, "application/spdx+json", b"sbom")


def test_rows(cove, name):
    """Digests with their tags as people count, platforms, what is attached: one request."""
    admin = cove.admin
    for i, tag in enumerate(("1.9", "1.10", "v1.2")):
        admin.push_image(name, tag, [b"x" * (i + 1)])
    index, children, signature, sbom = multi(admin, name, "2.0")
    for tag in ("2", "latest"):
        payload = admin.get(f"/v2/{name}/manifests/{index}", headers={"Accept": INDEX}).body
        admin.push_manifest(name, tag, payload, INDEX)
    page = admin.get(of(name, "artifacts?sort=version"))
    assert page.headers["X-Total-Count"] == "4"
    rows = page.json()
    assert [[t["name"] for t in r["tags"]] for r in rows] == [
        ["latest", "2.0", "2"], ["1.10"], ["1.9"], ["v1.2"]]
    top = rows[0]
    assert top["digest"] == index and top["platforms"] == ["linux/amd64", "linux/arm64"]
    assert [a["digest"] for a in top["attached"]] == [sbom] and not top["signed"]
    assert top["child_count"] == 2 and top["tag_count"] == 3 and len(top["pulls_30d"]) == 30
    # pages, other orders, a part of a tag
    assert [r["tags"][0]["name"] for r in admin.get(
        of(name, "artifacts?sort=version&page_size=1&page=2")).json()] == ["1.10"]
    assert admin.get(of(name, "artifacts?page=99&sort=version")).json() == []
    assert [r["tags"][0]["name"] for r in admin.get(of(name, "artifacts?sort=push_time")).json()] == [
        "1.9", "1.10", "v1.2", "latest"]
    assert admin.get(of(name, "artifacts")).json()[0]["digest"] == index
    for sort in ("version", "-size", "pulls"):
        found = admin.get(of(name, f"artifacts?tag=1.1&sort={sort}")).json()
        assert [r["tags"][0]["name"] for r in found] == ["1.10"], sort
    # by cursor from one page to the next, and the same backwards
    for sort, names in (("version", ["latest", "1.10", "1.9", "v1.2"]), ("-version", ["v1.2", "1.9", "1.10", "latest"]),
                        ("-push_time", ["latest", "v1.2", "1.10", "1.9"])):
        seen, cursor = [], ""
        while cursor is not None and len(seen) < 9:
            reply = admin.get(of(name, f"artifacts?sort={sort}&page_size=1&cursor={cursor}"))
            assert reply.headers["X-Total-Count"] == (None if cursor else "4")
            seen += [r["tags"][0]["name"] for r in reply.json()]
            cursor = next(iter(re.findall(r"cursor=([^&>]+)", reply.headers["Link"] or "")), None)
        assert seen == names, sort
    for wrong in ("artifacts?sort=nothing", "artifacts?sort=version&cursor=1.9", "artifacts?sort=version&q=size%3D1"):
        assert admin.get(of(name, wrong)).status == 400, wrong
    assert admin.get(of(name + "-absent", "artifacts")).status == 404
    # a signature on the row itself
    push_attached(admin, name, admin.get(f"/v2/{name}/manifests/1.9", headers={"Accept": MANIFEST}).body)
    assert [r["signed"] for r in admin.get(of(name, "artifacts?tag=1.9")).json()] == [True]


def test_pulls_are_counted_by_day(cove, name):
    admin = cove.admin
    digest, _ = admin.push_image(name, "v1")
    for _ in range(3):
        admin.get(f"/v2/{name}/manifests/v1")
    admin.get(f"/v2/{name}/manifests/{digest}")
    row = lambda: admin.get(of(name, "artifacts")).json()[0]
    eventually(lambda: row()["pulls"] == 4)
    days = row()["pulls_30d"]
    assert sum(days) == 4 and sum(days[-2:]) == 4  # midnight may have passed
    assert admin.delete(f"/v2/{name}/manifests/{digest}").status == 202  # the days go with it
    assert admin.get(of(name, "artifacts")).json() == []


def test_graph(cove, name):
    """What an index contains, what refers to any of it; from a child, the index above."""
    admin = cove.admin
    index, (amd, arm), signature, sbom = multi(admin, name)
    graph = admin.get(of(name, f"artifacts/{index}/graph")).json()
    edges = {(e["from"], e["to"], e["kind"]) for e in graph["edges"]}
    assert edges == {(index, amd, "contains"), (index, arm, "contains"), (amd, signature, "attached"),
                     (index, sbom, "attached")}
    assert {e["to"]: e["platform"]["architecture"] for e in graph["edges"] if "platform" in e} == {
        amd: "amd64", arm: "arm64"}
    nodes = {n["digest"]: n for n in graph["nodes"]}
    assert set(nodes) == {index, amd, arm, signature, sbom} and not graph["truncated"]
    assert nodes[amd]["layers"] == 2 and nodes[signature]["attached_as"] == "signature.cosign"
    assert nodes[sbom]["artifact_type"] == "application/spdx+json"
    assert nodes[index]["tags"] == ["1.0"] and all(n["stored"] for n in nodes.values())
    below = admin.get(of(name, f"artifacts/{amd}/graph")).json()
    assert {(e["from"], e["to"], e["kind"]) for e in below["edges"]} == {
        (index, amd, "contains"), (amd, signature, "attached")}
    hanging = admin.get(of(name, f"artifacts/{signature}/graph")).json()
    assert [(e["from"], e["to"], e["kind"]) for e in hanging["edges"]] == [(amd, signature, "attached")]
    assert admin.get(of(name, "artifacts/1.0/graph")).json()["digest"] == index  # by tag, too
    assert admin.get(of(name, f"artifacts/sha256:{'0' * 64}/graph")).status == 404


def test_attestations_of_buildkit_hang_on_their_image(cove, name):
    admin = cove.admin
    amd = admin.image(name, [b"amd"], config())
    seal = admin.image(name, [b"provenance"], config("unknown"))
    for payload in (amd, seal):
        admin.push_manifest(name, sha256(payload), payload)
    index = admin.push_manifest(name, "1", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {**descriptor(amd, MANIFEST), "platform": {"os": "linux", "architecture": "amd64"}},
        {**descriptor(seal, MANIFEST), "platform": {"os": "unknown", "architecture": "unknown"},
         "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                         "vnd.docker.reference.digest": sha256(amd)}}]}, INDEX)
    edges = admin.get(of(name, f"artifacts/{index}/graph")).json()["edges"]
    assert (sha256(amd), sha256(seal), "attached") in {(e["from"], e["to"], e["kind"]) for e in edges}
    assert admin.get(of(name, "artifacts")).json()[0]["platforms"] == ["linux/amd64"]


def test_layers_with_their_steps_and_sharers(cove, name):
    """Layer by layer what made it and who else has it; a project that one does not see is nothing."""
    admin = cove.admin
    base, app = b"base" + name.encode(), b"app" + name.encode()
    text = config(history=[{"created_by": "ADD rootfs", "created": "2026-11-01T08:00:00Z"},
                           {"created_by": "ENV A=1", "empty_layer": True}, {"created_by": "COPY app"}])
    one, _ = admin.push_image(name, "1", [base, app], text)
    admin.push_image(name + "-other", "1", [base], config())
    assert admin.post("/api/v2.0/projects", json={"project_name": name.split("/")[1]}).status == 201
    admin.push_image(name.split("/")[1] + "/hidden", "1", [base, app], config())
    views = admin.get(of(name, f"artifacts/{one}/shared-layers")).json()
    assert [(x["digest"], x["command"], x["artifacts"], x["repositories"]) for x in views["layers"]] == [
        (sha256(base), "ADD rootfs", 2, 2), (sha256(app), "COPY app", 1, 1)]
    assert views["layers"][0]["created"].startswith("2026-11-01T08:00:00")
    assert views["history"] and views["size"] == len(base) + len(app) + len(text)
    assert views["shared"] == len(base) + len(app) and views["artifacts"] == 2
    assert [w["layers"] for w in views["with"]] == [2, 1]
    assert all(x["stored"] for x in views["layers"])
    # whoever does not see the other project does not even hear its number
    some = cove.anonymous.get(of(name, f"artifacts/{one}/shared-layers")).json()
    assert [(x["artifacts"], x["repositories"]) for x in some["layers"]] == [(1, 1), (0, 0)]
    assert [w["repository"] for w in some["with"]] == [name + "-other"]
    # of an index: the layers of all that it contains are counted, its own are none
    index, children, *_ = multi(admin, name, "2")
    both = admin.get(of(name, f"artifacts/{index}/shared-layers")).json()
    assert both["layers"] == [] and both["size"] > 0 and not both["history"]


def test_why_kept(cove, name):
    admin = cove.admin
    index, (amd, arm), signature, sbom = multi(admin, name)
    ask = lambda ref: admin.get(of(name, f"artifacts/{ref}/why-kept")).json()
    reasons = lambda ref: [(x["reason"], x.get("what", "")) for x in ask(ref)["reasons"]]
    assert ask(index)["verdict"] == "until_deleted" and reasons(index) == [("tagged", "1.0")]
    assert ask(amd)["verdict"] == "with_index" and reasons(amd) == [("contained", index)]
    assert reasons(signature) == [("attached", amd)]
    assert ask(index)["gc_grace_s"] > 0 and "free_floor" not in ask(index)
    admin.delete(f"/v2/{name}/manifests/1.0")
    assert reasons(index) == [] and ask(index)["verdict"] == "until_deleted"


def test_why_a_cached_image_is_kept(start):
    with Upstream() as up:
        image = up.add_image("team/app", "1", [b"old"])
        cove = start(proxy_of(up), COVE_PROXY_FREE_FLOOR="1MiB")
        admin, puller = cove.admin, Puller(cove)
        puller.image("team/app", "1")
        ask = lambda ref=image.digest: admin.get(of("hub/team/app", f"artifacts/{ref}/why-kept")).json()
        assert ask()["verdict"] == "until_full" and ask()["free_floor"] == "1MiB"
        point = admin.post(of("hub/team/app", "tags/1/point"), json={
            "digest": image.digest, "expect": image.digest, "reason": "proven"})
        assert point.status == 200, point
        assert ask()["verdict"] == "pinned"
        assert ("pinned", "1") in [(x["reason"], x["what"]) for x in ask()["reasons"]]


def test_overview_is_all_of_it_at_once(cove, name):
    """What a page about an artifact needs is one request, and says what its parts say."""
    admin = cove.admin
    index, (amd, arm), *_ = multi(admin, name)
    for digest in (index, amd):
        all = admin.get(of(name, f"artifacts/{digest}")).json()
        assert all["graph"] == admin.get(of(name, f"artifacts/{digest}/graph")).json()
        assert all["layers"] == admin.get(of(name, f"artifacts/{digest}/shared-layers")).json()
        kept = admin.get(of(name, f"artifacts/{digest}/why-kept")).json()
        assert {k: all["kept"][k] for k in ("verdict", "reasons")} == {
            k: kept[k] for k in ("verdict", "reasons")}
        assert all["project"] == "library" and not all["proxy"] and "upstream" not in all
    assert all["layers"]["platform"] == "linux/amd64" and all["artifact"]["digest"] == amd
    assert admin.get(of(name, "artifacts")).json()[0] == admin.get(
        of(name, f"artifacts/{index}")).json()["artifact"]


def test_compare(cove, name):
    """Layers, what runs, platforms: what differs is told."""
    admin = cove.admin
    base = b"base" + name.encode()
    admin.push_image(name, "1", [base, b"one"], config(config={"Env": ["A=1", "B=2"], "Cmd": ["run"]}))
    admin.push_image(name, "2", [base, b"two", b"more"], config("arm64", config={
        "Env": ["A=1", "B=3"], "Labels": {"x": "y"}, "Cmd": ["run", "it all"]}))
    x = admin.get(of(name, "compare?a=1&b=2")).json()
    assert [(layer["digest"], layer["in"]) for layer in x["layers"]] == [
        (sha256(base), "both"), (sha256(b"one"), "a"), (sha256(b"two"), "b"), (sha256(b"more"), "b")]
    assert x["shared"] == len(base) and x["a"]["platform"] == "linux/amd64"
    assert [(d["kind"], d.get("name", ""), d["a"], d["b"]) for d in x["config"]] == [
        ("platform", "", "linux/amd64", "linux/arm64"), ("cmd", "", "run", 'run "it all"'),
        ("env", "B", "2", "3"), ("label", "x", None, "y")]
    assert x["platforms"] == []
    index, (amd, arm), *_ = multi(admin, name, "3")
    other = push_index(admin, name, "4", {"linux/amd64": admin.image(name, [b"new"], config())})
    y = admin.get(of(name, f"compare?a={index}&b={other}")).json()
    assert [(p["platform"], p["a"] == p["b"], p["b"] is None) for p in y["platforms"]] == [
        ("linux/amd64", False, False), ("linux/arm64", False, True)]
    assert y["layers"] == [] and not y["a"]["config"]
    assert admin.get(of(name, "compare?a=1")).status == 422
    assert admin.get(of(name, "compare?a=1&b=absent")).status == 404


def test_what_has_no_readable_configuration(cove, name):
    admin = cove.admin
    one, _ = admin.push_image(name, "1", [b"layer"], b"not JSON")
    views = admin.get(of(name, f"artifacts/{one}/shared-layers")).json()
    assert not views["history"] and "command" not in views["layers"][0]
    assert admin.get(of(name, "compare?a=1&b=1")).json()["config"] == []


@pytest.mark.parametrize("rest", ["artifacts", "artifacts/v1", "artifacts/v1/graph", "artifacts/v1/shared-layers",
                                  "artifacts/v1/why-kept", "compare?a=v1&b=v1"])
def test_who_may_look(cove, name, rest):
    admin = cove.admin
    project = "p" + name.split("/")[1]
    assert admin.post("/api/v2.0/projects", json={"project_name": project}).status == 201
    admin.push_image(project + "/app", "v1")
    assert admin.get(of(project + "/app", rest)).status == 200
    assert cove.anonymous.get(of(project + "/app", rest)).status == 401


def test_by_digest(cove, name):
    """A whole digest or its start finds it, in projects that the caller sees and no others."""
    admin = cove.admin
    hidden = "p" + name.split("/")[1]
    assert admin.post("/api/v2.0/projects", json={"project_name": hidden}).status == 201
    digest, payload = admin.push_image(f"{hidden}/deep/app", "v1", [name.encode()])
    admin.push_manifest(f"{hidden}/deep/app", "v2", payload)
    loose = push_attached(admin, f"{hidden}/deep/app", payload, data=name.encode())
    find = lambda client, text: client.get(f"{API}/artifacts?digest={text}")
    for text in (digest, digest[:15], digest[7:], digest[7:19]):
        row, = find(admin, text).json()
        assert (row["project"], row["repository"], row["digest"], row["tag"]) == (hidden, "deep/app", digest, "v2")
        assert row["size"] > 0 and row["push_time"] and row["pull_time"] is None
    assert "tag" not in find(admin, loose).json()[0]
    for text in ("abc", "sha256:", "sha256:12x4", "md5:1234", "ABCD", "1234%25", "a" * 129, ""):
        assert find(admin, text).status == 400, text
    assert find(admin, "f" * 64).json() == []
    assert find(cove.anonymous, digest).status == 401
    assert admin.post("/api/v2.0/users", json={
        "username": hidden, "email": f"{hidden}@example.com", "realname": "x", "password": "Secret-word-1"}).status == 201
    user = cove.client(hidden, "Secret-word-1")
    assert find(user, digest).json() == []
    assert admin.post(f"/api/v2.0/projects/{hidden}/members",
                      json={"role_id": 5, "member_user": {"username": hidden}}).status == 201
    assert len(find(user, digest).json()) == 1


# ---- many at once -----------------------------------------------------------------------------

def ended(client, reply):
    """The job of a 202, when it has ended."""
    assert reply.status == 202, reply
    path = reply.headers["Location"]
    eventually(lambda: client.get(path).json()["ended"], 20)
    return client.get(path).json()


def test_an_index_is_deleted_with_what_hangs_on_it(cove, name):
    """First what would happen, then it happens: children and attachments go, bytes are told."""
    admin = cove.admin
    index, (amd, arm), signature, sbom = multi(admin, name)
    other, _ = admin.push_image(name, "other", [b"base"], config())
    body = {"digests": [index]}
    plan = admin.post(of(name, "bulk/delete"), json={**body, "dry_run": True}).json()
    assert (plan["asked"], plan["going"], plan["children"], plan["attached"], plan["tags"]) == (
        1, 1, 2, 2, 1) and plan["refused"] == []
    assert 0 < plan["freed"] < plan["size"]  # "base" stays: another image has it
    used = lambda: admin.get(f"/api/v2.0/projects/{name.split('/')[0]}/summary").json()["quota"]["used"]
    assert admin.get(of(name, "artifacts/1.0/graph")).status == 200  # a dry run does nothing
    job = ended(admin, admin.post(of(name, "bulk/delete"), json=body))
    assert job["state"] == "done" and job["done"] == job["total"] == 3 and job["failed"] == [], job
    assert job["result"] == {"freed": plan["freed"], "refused": 0} and job["by"] == "admin"
    rest = admin.get(f"/api/v2.0/projects/library/repositories/{name.split('/')[1]}/artifacts"
                     "?q=base%3D*").json()
    assert [a["digest"] for a in rest] == [other]
    assert used()["storage"] >= 0


def test_what_may_not_go_is_refused_by_name(cove, name):
    admin = cove.admin
    index, (amd, arm), *_ = multi(admin, name)
    alone, _ = admin.push_image(name, "alone")
    body = {"digests": [amd, alone, "sha256:" + "0" * 64]}
    plan = admin.post(of(name, "bulk/delete"), json={**body, "dry_run": True}).json()
    assert (plan["asked"], plan["going"], plan["refused_count"]) == (2, 1, 1)
    assert plan["refused"] == [{"item": amd, "reason": "contained", "what": index}]
    job = ended(admin, admin.post(of(name, "bulk/delete"), json=body))
    assert job["state"] == "done" and job["failed_count"] == 1 and job["failed"][0]["item"] == amd
    assert [r["digest"] for r in admin.get(of(name, "artifacts")).json()] == [index]


def test_by_query_and_untagged(cove, name):
    """What a query finds is counted whole, whatever the page shows."""
    admin = cove.admin
    digests = [admin.push_image(name, f"1.{i}")[0] for i in range(30)]
    admin.push_image(name, "2.0")
    plan = admin.post(of(name, "bulk/delete"), json={"query": {"tag": "1."}, "dry_run": True}).json()
    assert plan["going"] == plan["tags"] == 30
    assert admin.post(of(name, "bulk/delete"), json={
        "query": {"idle_since": "2020-01-01T00:00:00Z"}, "dry_run": True}).json()["asked"] == 0
    job = ended(admin, admin.post(of(name, "bulk/untag"), json={
        "digests": digests[:2], "tags": ["1.5", "absent"]}))
    assert job["state"] == "done" and job["done"] == 3
    tags = {t["name"] for r in admin.get(of(name, "artifacts?page_size=100")).json() for t in r["tags"]}
    assert tags == {f"1.{i}" for i in range(2, 30) if i != 5} | {"2.0"}
    job = ended(admin, admin.post(of(name, "bulk/delete"), json={"query": {"untagged": True}}))
    assert job["total"] == 3
    job = ended(admin, admin.post(of(name, "bulk/delete"), json={"query": {}}))
    assert job["state"] == "done" and admin.get(of(name, "artifacts")).json() == []


def test_more_than_one_transaction_takes(cove, name):
    """Sets follow each other; each artifact and each tag has its own line in the journal."""
    admin = cove.admin
    images = 105
    for i in range(images):
        admin.push_image(name, f"1.{i}", [b"base"], config(config={"Env": [f"N={i}"]}))
    index, _ = multi(admin, name, "all")[:2]
    job = ended(admin, admin.post(of(name, "bulk/delete"), json={"query": {"tag": "1."}}))
    assert (job["state"], job["done"], job["total"], job["failed"]) == ("done", images, images, []), job
    assert [r["digest"] for r in admin.get(of(name, "artifacts")).json()] == [index]
    for tag in ("1.0", "1.77", f"1.{images - 1}"):
        last = admin.get(of(name, f"moves?tag={tag}")).json()[0]
        assert not last["new_digest"] and last["old_digest"] and last["who"] == "admin", last


def test_repositories(cove, name):
    admin = cove.admin
    project = "p" + name.split("/")[1]
    assert admin.post("/api/v2.0/projects", json={"project_name": project}).status == 201
    for repository in ("a", "b/c", "kept"):
        admin.push_image(f"{project}/{repository}")
    path = f"{API}/projects/{project}/bulk/delete"
    body = {"repositories": ["a", "b/c", "absent"]}
    plan = admin.post(path, json={**body, "dry_run": True}).json()
    assert (plan["going"], plan["children"], plan["tags"]) == (2, 2, 2) and plan["freed"] > 0
    job = ended(admin, admin.post(path, json=body))
    assert job["state"] == "done" and job["total"] == 2, job
    left = admin.get(f"/api/v2.0/projects/{project}/repositories").json()
    assert [r["name"] for r in left] == [project + "/kept"]


def test_who_may_do_many(cove, name):
    admin = cove.admin
    admin.push_image(name)
    for path in (of(name, "bulk/delete"), of(name, "bulk/untag"), f"{API}/projects/library/bulk/delete"):
        assert cove.anonymous.post(path, json={"query": {}}).status == 401, path
        assert admin.post(path, json={}).status == 400, path
    assert admin.post(of(name + "-absent", "bulk/delete"), json={"query": {}}).status == 404
    assert admin.post(of(name, "bulk/delete"), json={"digests": ["x"] * 10001}).status == 400
    assert admin.post(of(name, "bulk/delete"), json={"query": {"idle_since": "soon"}}).status == 400
