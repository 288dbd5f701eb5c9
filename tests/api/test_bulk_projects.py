"""Many projects at once: what would happen is counted first, a job does it, and rights are asked for
every project, at the start and again when its turn comes."""
import json

from harbor import PASSWORD, Api, admin, nobody, server, unique  # noqa: F401
from proxied import eventually
from upstream import Upstream

OWN = "/api/cove/v1"


def bulk(who, action, **body):
    return who.post(f"/bulk/{action}", body, base=OWN)


def ended(who, reply):
    assert reply.status == 202, reply
    job = json.loads(reply.body)
    path = f"/jobs/{job['id']}"
    eventually(lambda: who.get(path, base=OWN).json()["ended"], 20)
    return who.get(path, base=OWN).json()


def names(who, stem):
    return {p["name"] for p in who.get(f"/projects?q=name%3D~{stem}", base=OWN).json()}


def test_projects_go_with_what_is_in_them(admin):
    stem = unique("gone")
    full, empty, kept = (admin.new_project(f"{stem}-{x}")[0] for x in ("full", "empty", "kept"))
    for repository in ("a", "b/c"):
        admin.push(f"{full}/{repository}")
    body = {"projects": [full, empty, "absent-" + stem]}
    plan = bulk(admin, "delete", **body, dry_run=True).json()
    assert (plan["asked"], plan["going"], plan["refused_count"]) == (2, 1, 1)
    assert plan["refused"] == [{"item": full, "reason": "not_empty", "what": "2"}]
    plan = bulk(admin, "delete", **body, contents=True, dry_run=True).json()
    assert (plan["going"], plan["repositories"], plan["artifacts"], plan["tags"]) == (2, 2, 2, 2)
    assert plan["freed"] == plan["size"] > 0 and plan["refused"] == []
    assert names(admin, stem) == {full, empty, kept}  # a dry run does nothing
    job = ended(admin, bulk(admin, "delete", **body, contents=True))
    assert job["state"] == "done" and job["done"] == job["total"] == 4 and not job["failed"], job
    assert job["result"] == {"freed": plan["freed"], "refused": 0}
    assert names(admin, stem) == {kept}


def test_what_a_query_finds(admin):
    stem = unique("found")
    made = {admin.new_project(f"{stem}-{i}", public=True)[0] for i in range(5)}
    q = f"name=~{stem},is_public=true"
    plan = bulk(admin, "visibility", q=q, public=False, dry_run=True).json()
    assert (plan["asked"], plan["going"], plan["same"]) == (5, 5, 0)
    job = ended(admin, bulk(admin, "visibility", q=q, public=False))
    assert job["state"] == "done" and job["done"] == 5
    listed = admin.get(f"/projects?q=name%3D~{stem}", base=OWN).json()
    assert {p["name"] for p in listed if not p["is_public"]} == made
    assert bulk(admin, "visibility", q=f"name=~{stem}", public=False, dry_run=True).json()["same"] == 5


def test_quotas(admin):
    stem = unique("quota")
    used, fresh = (admin.new_project(f"{stem}-{x}")[0] for x in ("used", "fresh"))
    admin.push(f"{used}/a")
    body = {"projects": [used, fresh], "storage_limit": 10}
    plan = bulk(admin, "quota", **body, dry_run=True).json()
    assert (plan["going"], plan["over"], plan["same"]) == (2, 1, 0), plan
    assert ended(admin, bulk(admin, "quota", **body))["state"] == "done"
    listed = admin.get(f"/projects?q=name%3D~{stem}", base=OWN).json()
    assert {p["storage_limit"] for p in listed} == {10}
    for limit in (0, -2, 1 << 51):
        assert bulk(admin, "quota", projects=[used], storage_limit=limit).status == 400
    assert bulk(admin, "quota", projects=[used]).status == 400
    user = admin.new_user("quota")
    admin.add_member(used, user, 1)
    assert bulk(user, "quota", **body).status == 403


def test_each_project_is_asked_for_by_itself(admin, nobody):
    stem = unique("mine")
    mine, guest, other = (admin.new_project(f"{stem}-{x}")[0] for x in ("mine", "guest", "other"))
    user = admin.new_user("owner")
    admin.add_member(mine, user, 1)
    admin.add_member(guest, user, 3)
    body = {"projects": [mine, guest, other]}
    plan = bulk(user, "delete", **body, contents=True, dry_run=True).json()
    assert (plan["asked"], plan["going"]) == (2, 1)  # of the third it hears nothing
    assert plan["refused"] == [{"item": guest, "reason": "forbidden", "what": "project:delete"}]
    job = ended(user, bulk(user, "delete", **body, contents=True))
    assert job["state"] == "done" and job["by"] == user.name, job
    assert [f["item"] for f in job["failed"]] == [guest]
    assert names(admin, stem) == {guest, other}
    stranger = admin.new_user("stranger")
    assert stranger.get(f"/jobs/{job['id']}", base=OWN).status == 403
    assert bulk(nobody, "delete", **body).status == 401
    assert bulk(user, "delete").status == 400
    assert bulk(user, "delete", projects=["x"] * 10001).status == 400
    assert bulk(user, "delete", q="nonsense").status == 400


def test_a_right_that_is_taken_ends_the_job(admin, server):
    """A job of many steps stops to delete at the moment in which its owner loses the role."""
    stem = unique("taken")
    user = admin.new_user("taken")
    made = [admin.new_project(f"{stem}-{i:03}")[0] for i in range(120)]
    roles = [admin.add_member(p, user, 1) for p in made]
    last = made[-1]
    reply = bulk(user, "delete", projects=made)
    assert admin.delete(f"/projects/{last}/members/{roles[-1]}").status == 200
    job = ended(user, reply)
    # Either the plan was already made and the step is refused, or the plan did not see it any more.
    assert job["state"] == "done" and names(admin, stem) == {last}, job
    assert admin.delete(f"/users/{user.user_id}").status == 200


def test_a_job_is_its_askers_not_their_names(admin):
    """Who gets the name of somebody who is gone does not get their jobs; robots neither."""
    name, stem = unique("again"), unique("theirs")
    project, _ = admin.new_project(stem)
    permissions = [{"kind": "project", "namespace": project, "access": [
        {"resource": "project", "action": a} for a in ("read", "update")]}]

    def user():
        assert admin.post("/users", {"username": name, "password": PASSWORD, "realname": name,
                                     "email": f"{name}@example.com", "comment": ""}).status == 201
        return admin.as_(name)

    def robot():
        made = admin.post("/robots", {"name": name, "level": "system", "duration": -1,
                                      "permissions": permissions}).json()
        return Api(admin.url, made["name"], made["secret"])

    def leave_user():
        found = admin.get(f"/users/search?username={name}").json()[0]
        assert admin.delete(f"/users/{found['user_id']}").status == 200

    def leave_robot():
        found = next(r for r in admin.get("/robots?page_size=100").json() if r["name"].endswith(name))
        assert admin.delete(f"/robots/{found['id']}").status == 200

    for come, leave in ((user, leave_user), (robot, leave_robot)):
        first = come()
        job = json.loads(bulk(first, "visibility", projects=[project], public=True).body)["id"]
        path = f"/jobs/{job}"
        eventually(lambda: first.get(path, base=OWN).json()["ended"], 20)
        leave()
        second = come()
        assert second.get(path, base=OWN).status == 403
        assert second.post(path + "/stop", base=OWN).status == 403
        assert admin.get(path, base=OWN).json()["by"].endswith(name)


def test_what_is_declared_or_exposes_a_credential_stays(admin):
    with Upstream() as up:
        registry = admin.post("/registries", {
            "name": unique("exposed"), "type": "docker-registry", "url": up.url,
            "credential": {"type": "basic", "access_key": "a", "access_secret": "b"}})
        assert registry.status == 201, registry
        cache = admin.new_project("exposed", registry_id=registry.id)[0]
        plan = bulk(admin, "visibility", projects=[cache], public=True, dry_run=True).json()
        assert plan["going"] == 0 and plan["refused"][0]["reason"] == "exposed", plan
        job = ended(admin, bulk(admin, "visibility", projects=[cache], public=True))
        assert job["failed"][0]["item"] == cache and job["result"]["refused"] == 1
        assert not admin.get(f"/projects/{cache}").json()["metadata"]["public"] == "true"
