"""Projects, their metadata and members: Harbor's operations as stories."""
import pytest

from harbor import PASSWORD, Api, admin, nobody, server, unique  # noqa: F401
from upstream import Upstream


def test_a_project_lives_from_creation_to_deletion(admin):
    name = unique("life")
    made = admin.post("/projects", {"project_name": name, "metadata": {"public": "false"}})
    assert made.status == 201 and made.headers["Location"].startswith("/api/v2.0/projects/")
    got = admin.get(f"/projects/{made.id}").json()
    assert got["name"] == name and got["project_id"] == made.id and got["owner_name"] == "admin"
    assert got["metadata"]["public"] == "false" and got["repo_count"] == 0
    assert got["current_user_role_id"] == 1 and "registry_id" not in got
    assert admin.get(f"/projects/{name}").json()["project_id"] == made.id
    assert admin.call("HEAD", f"/projects?project_name={name}").status == 200
    assert admin.call("HEAD", f"/projects?project_name={name}x").status == 404
    assert admin.get(f"/projects/{name}/_deletable").json()["deletable"] is True
    assert admin.delete(f"/projects/{name}").status == 200
    assert admin.get(f"/projects/{name}").status == 404


def test_location_may_carry_the_name(admin):
    name = unique("named")
    reply = admin.post("/projects", {"project_name": name},
                       headers={"X-Resource-Name-In-Location": "true"})
    assert reply.headers["Location"] == f"/api/v2.0/projects/{name}"


def test_digits_are_an_id_unless_said_otherwise(admin):
    digits = str(990000 + int(unique("")))
    made = admin.post("/projects", {"project_name": digits})
    assert made.status == 201, made
    assert admin.get(f"/projects/{digits}").status == 404
    by_name = admin.get(f"/projects/{digits}", headers={"X-Is-Resource-Name": "true"})
    assert by_name.json()["project_id"] == made.id


def test_names(admin):
    for bad in ("", "Upper", "a b", "-a", "a-", "a..b", "a/b", "ä", "x" * 256):
        reply = admin.post("/projects", {"project_name": bad})
        assert reply.status == 400, (bad, reply)
    name, _ = admin.new_project()
    assert admin.post("/projects", {"project_name": name}).status == 409


def test_who_sees_a_project(admin, nobody):
    user, stranger = admin.new_user(), admin.new_user()
    name, project = admin.new_project()
    admin.add_member(name, user, 3)
    assert user.get(f"/projects/{name}").status == 200
    for path in (f"/projects/{name}", "/projects/no-such-project", "/projects/99999999"):
        assert stranger.get(path).status == 403, path  # unknown looks like forbidden
        assert nobody.get(path).status == 401, path
    assert admin.get("/projects/no-such-project").status == 404
    names = lambda who: {p["name"] for p in who.get("/projects?page_size=100").json()}
    assert name in names(user) and name not in names(stranger) and name not in names(nobody)
    assert "library" in names(nobody)
    assert admin.put(f"/projects/{name}", {"public": True}).status == 200
    assert nobody.get(f"/projects/{name}").status == 200 and name in names(nobody)


def test_list_filters(admin):
    user = admin.new_user()
    stem = unique("filter")
    mine = [user.new_project(stem)[0] for _ in range(3)]
    public = user.new_project(stem, public=True)[0]
    got = user.get(f"/projects?name={stem}")
    assert got.total == 4
    assert user.get(f"/projects?name={stem}&public=true").json()[0]["name"] == public
    assert admin.get(f"/projects?owner={user.name}").total == 4
    assert user.get(f"/projects?q=name%3D~{stem},public%3Dfalse").total == 3
    newest = user.get(f"/projects?name={stem}&sort=-creation_time&page_size=1")
    assert newest.json()[0]["name"] in (public, mine[-1]) and 'rel="next"' in newest.headers["Link"]
    assert user.get(f"/projects?name={stem}&public=maybe").status == 422
    one = user.get(f"/projects?name={public}").json()[0]
    assert one["current_user_role_id"] == 1 and one["current_user_role_ids"] == [1]


def test_storage_limit_is_for_admins(admin):
    user = admin.new_user()
    limit = lambda who, name: who.get(f"/projects/{name}/summary").json()["quota"]["hard"]["storage"]
    name, project = user.new_project(storage_limit=1000)
    assert limit(user, name) == -1
    name, project = admin.new_project(storage_limit=1000)
    assert limit(admin, name) == 1000
    assert admin.post("/projects", {"project_name": unique("q"), "storage_limit": 0}).status == 400
    quota = admin.get(f"/quotas/{project}").json()
    assert quota["hard"] == {"storage": 1000} and quota["ref"]["name"] == name
    assert admin.put(f"/quotas/{project}", {"hard": {"storage": 5000}}).status == 200
    assert limit(admin, name) == 5000
    assert admin.put(f"/quotas/{project}", {"hard": {"storage": -2}}).status == 400
    assert admin.get(f"/quotas?reference=project&reference_id={project}").total == 1
    assert admin.get("/quotas").total >= 2
    sizes = [q["hard"]["storage"] for q in admin.get("/quotas?sort=-hard.storage").json()]
    assert sizes[0] == 5000 and sizes == sorted(sizes, reverse=True)
    assert user.get("/quotas").status == 403


def test_metadata_one_key_at_a_time(admin):
    name, _ = admin.new_project()
    path = f"/projects/{name}/metadatas/"
    assert admin.get(path).json() == {"public": "false"}
    assert admin.get(path + "severity").status == 404
    assert admin.post(path, {"severity": "high"}).status == 200
    assert admin.post(path, {"severity": "low"}).status == 409
    assert admin.get(path + "severity").json() == {"severity": "high"}
    assert admin.put(path + "severity", {"severity": "low"}).status == 200
    assert admin.put(path + "severity", {"auto_scan": "true"}).status == 400
    assert admin.put(path + "severity", {"severity": "awful"}).status == 400
    assert admin.post(path, {"auto_scan": "true", "prevent_vul": "true"}).status == 400
    assert admin.post(path, {"unheard_of": "true"}).status == 400
    assert admin.post(path, {"auto_scan": True}).status == 400  # values are texts
    assert admin.delete(path + "severity").status == 200
    assert admin.delete(path + "severity").status == 404
    assert admin.delete(path + "public").status == 400
    # Keys of proxy projects are dropped elsewhere.
    assert admin.put(f"/projects/{name}", {"metadata": {"proxy_speed_kb": "10"}}).status == 200
    assert "proxy_speed_kb" not in admin.get(path).json()


def test_members(admin):
    owner, user, third = admin.new_user(), admin.new_user(), admin.new_user()
    name, project = owner.new_project()
    path = f"/projects/{name}/members"
    made = owner.post(path, {"role_id": 2, "member_user": {"username": user.name}})
    assert made.status == 201
    assert made.headers["Location"] == f"/api/v2.0/projects/{project}/members/{made.id}"
    got = owner.get(f"{path}/{made.id}").json()
    assert got == {"id": made.id, "project_id": project, "entity_name": user.name,
                   "role_name": "developer", "role_id": 2, "entity_id": user.user_id,
                   "entity_type": "u"}
    twice = owner.post(path, {"role_id": 3, "member_user": {"user_id": user.user_id}})
    assert twice.status == 409
    for body in ({"role_id": 9, "member_user": {"username": third.name}}, {"role_id": 2},
                 {"role_id": 2, "member_user": {}}):
        assert owner.post(path, body).status == 400, body
    gone = owner.post(path, {"role_id": 2, "member_user": {"username": "nobody-at-all"}})
    assert gone.status == 404
    assert {m["entity_name"] for m in owner.get(path).json()} == {owner.name, user.name}
    assert owner.get(f"{path}?entityname={user.name}").total == 1
    second = owner.get(f"{path}?page_size=1&page=2")
    assert len(second.json()) == 1 and 'rel="prev"' in second.headers["Link"]
    assert user.get(path).status == 200 and user.post(path, {}).status == 403
    assert owner.put(f"{path}/{made.id}", {"role_id": 4}).status == 200
    assert owner.get(f"{path}/{made.id}").json()["role_name"] == "maintainer"
    assert owner.put(f"{path}/{made.id}", {"role_id": 0}).status == 400
    assert owner.get(f"/projects/{name}/summary").json()["maintainer_count"] == 1
    assert owner.delete(f"{path}/{made.id}").status == 200
    assert owner.get(f"{path}/{made.id}").status == 404
    assert user.get(path).status == 403
    # A member id of one project is nothing in another.
    other, _ = owner.new_project()
    mine = owner.get(path).json()[0]["id"]
    assert owner.get(f"/projects/{other}/members/{mine}").status == 404


def test_a_project_with_repositories_stays(admin):
    name, _ = admin.new_project()
    admin.push(f"{name}/app")
    reply = admin.delete(f"/projects/{name}")
    assert reply.status == 412 and reply.code == "PRECONDITION"
    answer = admin.get(f"/projects/{name}/_deletable").json()
    assert answer["deletable"] is False and "repositories" in answer["message"]
    assert admin.delete(f"/projects/{name}/repositories/app").status == 200
    assert admin.delete(f"/projects/{name}").status == 200


@pytest.mark.parametrize("body", [{"cve_allowlist": {"items": [{"cve_id": "CVE-1"}]}}])
def test_what_is_not_kept_is_refused(admin, body):
    assert admin.post("/projects", {"project_name": unique("c"), **body}).status == 501


DECLARED = """
proxies:
  - project: hub
    upstream: %s
    type: docker-registry
    public: true
"""


def test_what_cove_yml_declares_is_changed_there(start):
    with Upstream() as up:
        server = start(DECLARED % up.url)
        admin = Api(f"http://127.0.0.1:{server.port}", "admin", server.env["COVE_ADMIN_PASSWORD"])
        project = admin.get("/projects/hub").json()
        for reply in (admin.put("/projects/hub", {"public": False}),
                      admin.put("/projects/hub/metadatas/public", {"public": "false"}),
                      admin.delete("/projects/hub"),
                      admin.put(f"/registries/{project['registry_id']}", {"url": up.url + "/x"}),
                      admin.delete(f"/registries/{project['registry_id']}")):
            assert reply.status == 409 and "cove.yml" in reply.message, reply
        assert admin.get("/projects/hub/_deletable").json()["deletable"] is False
        # What is not declared may change; the declared value may be said again.
        assert admin.put("/projects/hub", {"public": True,
                                           "metadata": {"proxy_window_s": "60"}}).status == 200
        assert admin.get("/projects/hub").json()["metadata"]["proxy_window_s"] == "60"


def test_self_registration(start):
    body = {"username": "newcomer", "password": PASSWORD, "realname": "N", "email": "n@example.com"}
    server = start(COVE_SELF_REGISTRATION="true")
    nobody = Api(f"http://127.0.0.1:{server.port}")
    made = nobody.post("/users", body)
    assert made.status == 201
    assert nobody.as_("newcomer").get("/users/current").json()["sysadmin_flag"] is False
    other = {**body, "username": "other", "email": "o@example.com"}
    assert nobody.as_("newcomer").post("/users", other).status == 403  # not on behalf of others
    assert nobody.get("/systeminfo").json()["self_registration"] is True


def test_strangers_do_not_register_unless_allowed(nobody):
    assert nobody.post("/users", {"username": "x"}).status == 401
