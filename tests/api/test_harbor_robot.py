"""Robots: Harbor's robot operations as stories."""
import time

import pytest

from harbor import Api, admin, nobody, server, unique  # noqa: F401


def entry(project, *pairs, kind="project"):
    return {"kind": kind, "namespace": project,
            "access": [{"resource": r, "action": a} for r, a in pairs]}


def robot_body(project, *pairs, **more):
    return {"name": unique("ci"), "level": "project", "duration": 7,
            "permissions": [entry(project, *(pairs or [("repository", "pull")]))], **more}


def test_a_project_robot_lives_from_creation_to_deletion(admin):
    name, project = admin.new_project()
    body = robot_body(name, ("repository", "pull"), ("repository", "list"))
    made = admin.post("/robots", body)
    assert made.status == 201 and made.headers["Location"].startswith("/api/v2.0/robots/")
    got = made.json()
    assert got["name"] == f"robot${name}+{body['name']}" and len(got["secret"]) == 32
    assert set(got) == {"id", "name", "secret", "creation_time", "expires_at"}
    assert abs(got["expires_at"] - time.time() - 7 * 86400) < 60
    robot = admin.as_(got["name"], got["secret"])
    assert robot.get(f"/projects/{name}/repositories").status == 200
    assert robot.get(f"/projects/{name}/members").status == 403
    seen = admin.get(f"/robots/{got['id']}").json()
    assert "secret" not in seen and seen["level"] == "project" and seen["editable"] is True
    assert seen["permissions"] == body["permissions"]
    listed = admin.get(f"/robots?q=Level%3Dproject,ProjectID%3D{project}")
    assert listed.total == 1 and listed.json()[0]["name"] == got["name"]
    assert admin.delete(f"/robots/{got['id']}").status == 200
    assert admin.get(f"/robots/{got['id']}").status == 404
    assert robot.get(f"/projects/{name}/repositories").status == 401


def test_system_robots(admin):
    body = {"name": unique("sys"), "level": "system", "duration": -1, "permissions": [
        entry("/", ("registry", "list"), ("project", "create"), kind="system"),
        entry("*", ("repository", "list"))]}
    made = admin.post("/robots", body).json()
    assert made["name"] == f"robot${body['name']}" and made["expires_at"] == -1
    robot = admin.as_(made["name"], made["secret"])
    name, _ = admin.new_project()
    assert robot.get("/registries").status == 200 and robot.get("/users").status == 403
    assert robot.get(f"/projects/{name}/repositories").status == 200
    assert robot.post("/projects", {"project_name": unique("byrobot")}).status == 201
    assert made["name"] in [r["name"] for r in admin.get("/robots?page_size=100").json()]
    assert admin.new_user().get("/robots").status == 403


@pytest.mark.parametrize("change", [
    {"name": "Upper"}, {"name": "a+b"}, {"name": ""}, {"name": "a--b"}, {"duration": 0},
    {"duration": -2}, {"level": "galaxy"}, {"permissions": []},
    {"permissions": [entry("*", ("repository", "pull"))]},
    {"permissions": [entry("library")]},
    {"permissions": [entry("library", ("repository", "fly"))]},
    {"permissions": [entry("library", ("registry", "create"))]},
    {"permissions": [entry("library", ("repository", "pull"), kind="system")]},
    {"permissions": [entry("library", ("repository", "pull")),
                     entry("library", ("repository", "push"))]},
], ids=str)
def test_what_is_refused(admin, change):
    reply = admin.post("/robots", {**robot_body("library"), **change})
    assert reply.status == 400 and reply.code == "BAD_REQUEST", reply


def test_names_are_unique_and_stay(admin):
    name, _ = admin.new_project()
    body = robot_body(name)
    made = admin.post("/robots", body).json()
    assert admin.post("/robots", body).status == 409
    path = f"/robots/{made['id']}"
    change = {"name": made["name"], "level": "project", "description": "new", "disable": False,
              "duration": 9, "permissions": body["permissions"]}
    assert admin.put(path, {**change, "name": "other"}).status == 400
    assert admin.put(path, {**change, "level": "system"}).status == 400
    assert admin.put(path, {**change, "permissions": [entry("library", ("tag", "list"))]}).status == 400
    assert admin.put(path, change).status == 200
    got = admin.get(path).json()
    assert got["description"] == "new" and got["duration"] == 9


def test_secrets(admin):
    name, _ = admin.new_project()
    robot = admin.new_robot(name, ("repository", "list"))
    path, probe = f"/robots/{robot.robot_id}", f"/projects/{name}/repositories"
    assert robot.get(probe).status == 200
    assert admin.patch(path, {"secret": "weak"}).status == 400
    own = admin.patch(path, {"secret": "Own-secret-9"})
    assert own.status == 200 and own.json() == {"secret": ""}
    assert robot.get(probe).status == 401
    assert robot.as_(robot.name, "Own-secret-9").get(probe).status == 200
    fresh = admin.patch(path, {}).json()["secret"]
    assert len(fresh) == 32 and robot.as_(robot.name, fresh).get(probe).status == 200


def test_disabling_acts_at_once(admin):
    name, _ = admin.new_project()
    robot = admin.new_robot(name, ("repository", "list"))
    probe = f"/projects/{name}/repositories"
    assert robot.get(probe).status == 200
    assert admin.put(f"/robots/{robot.robot_id}", {"disable": True}).status == 200
    assert robot.get(probe).status == 401
    assert admin.put(f"/robots/{robot.robot_id}", {"disable": False}).status == 200
    assert robot.get(probe).status == 200


def test_a_robot_gives_no_more_than_it_has(admin):
    name, _ = admin.new_project()
    maker = admin.new_robot(name, ("robot", "create"), ("repository", "pull"))
    assert maker.post("/robots", robot_body(name, ("repository", "pull"))).status == 201
    for pair in (("repository", "push"), ("member", "create")):
        reply = maker.post("/robots", robot_body(name, pair))
        assert reply.status == 403 and reply.code == "FORBIDDEN", pair
    assert maker.post("/robots", robot_body("library", ("repository", "pull"))).status == 403
    system = {"name": unique("up"), "level": "system", "duration": -1,
              "permissions": [entry(name, ("repository", "pull"))]}
    assert maker.post("/robots", system).status == 403


def test_a_later_project_of_the_same_name_is_another(admin):
    name, _ = admin.new_project()
    made = admin.post("/robots", {"name": unique("old"), "level": "system", "duration": -1,
                                  "permissions": [entry(name, ("repository", "list")),
                                                  entry("library", ("repository", "list"))]}).json()
    robot = admin.as_(made["name"], made["secret"])
    assert robot.get(f"/projects/{name}/repositories").status == 200
    assert admin.delete(f"/projects/{name}").status == 200
    assert admin.new_user().post("/projects", {"project_name": name}).status == 201
    assert robot.get(f"/projects/{name}/repositories").status == 403
    assert [p["namespace"] for p in admin.get(f"/robots/{made['id']}").json()["permissions"]] == \
        ["library"]


def test_who_may(admin, nobody):
    name, _ = admin.new_project()
    owner, guest, stranger = admin.new_user(), admin.new_user(), admin.new_user()
    admin.add_member(name, owner, 1)
    admin.add_member(name, guest, 3)
    assert owner.post("/robots", robot_body(name)).status == 201
    assert guest.post("/robots", robot_body(name)).status == 403
    assert stranger.post("/robots", robot_body(name)).status == 403
    assert stranger.post("/robots", robot_body("no-such-project")).status == 403
    assert admin.post("/robots", robot_body("no-such-project")).status == 404
    assert nobody.post("/robots", robot_body(name)).status == 401
    assert owner.post("/robots", {"name": "s", "level": "system", "duration": -1, "permissions": [
        entry("*", ("repository", "pull"))]}).status == 403
    robot = admin.new_robot(name, ("repository", "pull"))
    assert guest.get(f"/robots/{robot.robot_id}").status == 200
    assert guest.delete(f"/robots/{robot.robot_id}").status == 403
    assert Api(admin.url, robot.name, "wrong").get("/users/current").status == 401
    assert robot.get("/users/current").status == 412
