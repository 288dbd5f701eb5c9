"""Every route of `cove routes --json` x every principal x where: the answer's class (401, 403, let
through) is what the table says. "Let through" is any other status: bodies are empty and ids
unknown on purpose, so that the calls do as little as possible.

A route that the table has and this test can neither call nor excuse fails.
"""
import json
import re
import subprocess
from types import SimpleNamespace

import pytest

from conftest import binary
from harbor import Api, admin, server, unique  # noqa: F401
from upstream import Upstream

ROLES = {"projectAdmin": 1, "developer": 2, "guest": 3, "maintainer": 4, "limitedGuest": 5}
PASSED = "let through"
ABSENT = "999999"

# Rows whose handler decides by more than the table can say, and where that is tested.
ELSEWHERE = {
    "login": "needs a CSRF token: test_harbor_user.test_sessions",
    "logout": "ends a session: test_harbor_user.test_sessions",
    "userExists": "needs a CSRF token, and depends on self_registration",
}
# The same, but one principal more or less is all there is to it.
HANDLER_RULES = {
    # project_creation: everyone, which means users; a robot needs project:create
    "createProject": lambda who, passed: passed and who.name != "project robot",
    # what robots may be given is told to those who may make robots
    "getPermissions": lambda who, passed: who.name in ("sysadmin", "projectAdmin", "stranger"),
}
# No such rows exist in this release, so whoever is logged in hears 404.
NO_ROWS_YET = {"GetLabelByID", "UpdateLabel", "DeleteLabel",
               "getJob", "stopJob"} # jobs that exist: test_jobs


class Who(SimpleNamespace):
    """A principal: name, api, kind (nobody, user, robot, admin), role in `own`, robot level."""


@pytest.fixture(scope="module")
def routes():
    return json.loads(subprocess.check_output([binary(), "routes", "--json"]))


def all_pairs(admin):
    got = admin.get("/permissions").json()
    pairs = lambda kind: [{"resource": p["resource"], "action": p["action"]} for p in got[kind]]
    return pairs("system"), pairs("project")


def make_robot(admin, level, permissions):
    made = admin.post("/robots", {"name": unique("matrix"), "level": level, "duration": -1,
                                  "permissions": permissions})
    assert made.status == 201, made
    return admin.as_(made.json()["name"], made.json()["secret"])


@pytest.fixture(scope="module")
def world(admin):
    with Upstream() as up:
        registry = admin.post("/registries", {"name": unique("matrix"), "type": "docker-registry",
                                              "url": up.url})
        assert registry.status == 201, registry
        places = {"own": admin.new_project("own"), "foreign": admin.new_project("foreign"),
                  "public": admin.new_project("public", public=True),
                  "cache": admin.new_project("cache", registry_id=registry.id)}
        for place in ("own", "foreign", "public"):
            admin.push(f"{places[place][0]}/kept")  # so that no DELETE of a project succeeds
        system, project = all_pairs(admin)
        own = places["own"][0]
        entry = lambda name: {"kind": "project", "namespace": name, "access": project}
        people = [Who(name="nobody", kind="nobody", api=Api(admin.url)),
                  Who(name="sysadmin", kind="admin", api=admin, user_id=1)]
        for name in ("no role", "stranger", *ROLES):
            user = admin.new_user("matrix")
            people.append(Who(name=name, kind="user", api=user, user_id=user.user_id))
            if name in ROLES:
                admin.add_member(own, user, ROLES[name])
                admin.add_member(places["cache"][0], user, ROLES[name])
        admin.add_member(places["foreign"][0],
                         next(p.api for p in people if p.name == "stranger"), 1)
        people.append(Who(name="project robot", kind="robot", user_id=ABSENT,
                          api=make_robot(admin, "project", [entry(own)])))
        people.append(Who(name="system robot", kind="robot", user_id=ABSENT, api=make_robot(
            admin, "system", [{"kind": "system", "namespace": "/", "access": system}])))
        retention = admin.get(f"/projects/{places['cache'][0]}").json()["metadata"]["retention_id"]
        yield SimpleNamespace(admin=admin, places=places, people=people, retention=retention)


# ---- what the table says ----------------------------------------------------------------------

def in_project(route, who, place):
    """May it, in the project?"""
    allowed = route["roles"]
    if who.kind == "admin" or (place == "public" and "public" in allowed):
        return True
    if place == "foreign":
        return who.name == "stranger" and "projectAdmin" in allowed
    if place == "cache":
        return who.name in ROLES and who.name in allowed
    if place == "own":
        return who.name in allowed or (who.name == "project robot" and "projectRobot" in allowed)
    return False


def in_system(route, who):
    return who.kind == "admin" or (who.name == "system robot" and "systemRobot" in route["roles"])


def expected(route, who, place):
    guard, known = route["guard"], who.kind != "nobody"
    if guard == "registry" and not known:
        return 401  # always challenged: clients then fetch a token, an anonymous one if need be
    if guard == "registry" and route["resource"] == "catalog":
        return PASSED if in_system(route, who) else 401  # as Harbor: the catalog challenges too
    if guard == "anyone":
        passed = True
    elif guard == "login" or (guard == "registry" and not route["action"]):
        passed = known
    elif route["operation"] in NO_ROWS_YET:
        passed = known
    elif guard == "system":
        passed = in_system(route, who)
    elif guard == "self":
        passed = known if place == "self" and who.kind in ("user", "admin") else in_system(route, who)
    elif place == "system":
        passed = in_system(route, who)
    else:
        passed = in_project(route, who, place)
    if route["operation"] in HANDLER_RULES:
        passed = HANDLER_RULES[route["operation"]](who, passed)
    return PASSED if passed else 403 if known else 401


# ---- calling it ---------------------------------------------------------------------------------

def places_of(route):
    """Where to call it: names of places, "system", "self", or "" where there is no choice."""
    guard = route["guard"]
    if route["resource"] == "catalog":
        return [""]
    if guard == "project" or (guard == "registry" and route["action"]):
        return ["own", "foreign", "public"]
    if guard == "self":
        return ["self", "someone"]
    if route["operation"].endswith("Retention") or "/retentions/{id}" in route["path"]:
        return ["cache"] if guard == "found" else [""]
    if guard in ("found", "body"):
        if route["operation"] in NO_ROWS_YET:
            return [""]
        return ["own", "foreign", "public"] + ([] if route["operation"] == "exportScanData" else ["system"])
    return [""]


def robot_in(world, place):
    name = world.places[place][0] if place in world.places else "*"
    level = "project" if place in world.places else "system"
    made = world.admin.post("/robots", {
        "name": unique("target"), "level": level, "duration": -1, "permissions": [
            {"kind": "project", "namespace": name,
             "access": [{"resource": "repository", "action": "pull"}]}]})
    assert made.status == 201, made
    return made.json()["id"]


def body_for(route, world, who, place):
    operation = route["operation"]
    name, project = world.places.get(place, ("", 0))
    if operation == "CreateRobot": # refused for its empty access once it is let through
        level = "project" if project else "system"
        return {"name": "x", "level": level, "permissions": [
            {"kind": "project", "namespace": name or "library", "access": []}]}
    if operation == "CreateLabel":
        return {"scope": "p", "project_id": project} if project else {"scope": "g"}
    if operation == "createRetention":
        return {"scope": {"level": "project", "ref": project}}
    if operation == "exportScanData":
        return {"projects": [project]}
    if operation == "updateUserPassword":
        return {"old_password": who.api.password, "new_password": "weak"}
    return {}


def fill(route, world, who, place):
    name = world.places.get(place, ("nowhere", 0))[0]
    values = {"project_name_or_id": name, "project_name": name, "project": name,
              "repository_name": "absent", "repository": "absent", "name": f"{name}/absent",
              "user_id": who.user_id if place == "self" and who.kind != "nobody" else ABSENT,
              "meta_name": "severity", "digest": "sha256:" + "0" * 64}
    if "{robot_id}" in route["path"]:
        values["robot_id"] = robot_in(world, place)
    if "/retentions/" in route["path"]:
        values["id"] = world.retention
    path = re.sub(r"{(\w+)(\.\.\.)?}", lambda m: str(values.get(m[1], ABSENT)), route["path"])
    if route["operation"] == "ListRobot" and place in world.places:
        path += f"?q=Level%3Dproject,ProjectID%3D{world.places[place][1]}"
    if route["operation"] == "listRecentPulls" and place in world.places:
        path += f"?project={name}"
    return path


def class_of(status):
    return status if status in (401, 403) else PASSED


def test_every_route_for_every_principal(routes, world):
    wrong, cells, called = [], 0, set()
    for route in routes:
        if route["operation"] in ELSEWHERE:
            continue
        for place in places_of(route):
            for who in world.people:
                path = fill(route, world, who, place)
                body = None
                if route["method"] in ("POST", "PUT", "PATCH"):
                    body = body_for(route, world, who, place)
                reply = who.api.call(route["method"], path, body, base="")
                want = expected(route, who, place)
                cells += 1
                called.add(route["operation"])
                if class_of(reply.status) != want:
                    wrong.append(f"{route['method']} {path} ({route['operation']}, {place}) as "
                                 f"{who.name}: {reply.status}, the table says {want}")
                if reply.status in (405, 500):
                    wrong.append(f"{route['method']} {path} as {who.name}: {reply}")
    print(f"{cells} cells, {len(called)} operations")
    assert not wrong, f"{len(wrong)} of {cells} cells:\n" + "\n".join(wrong[:40])
    missing = {r["operation"] for r in routes} - called - set(ELSEWHERE)
    assert not missing, missing


def test_all_operations_of_harbor_have_a_row(routes):
    assert sum(r["path"].startswith("/api/v2.0/") for r in routes) == 203
    assert all(r["guard"] != "unset" for r in routes)


def test_an_unlisted_path_is_404(world):
    for who in world.people:
        for path in ("/api/v2.0/no/such/thing", "/api/cove/v1/nothing", "/nothing"):
            assert who.api.call("GET", path, base="").status in (401, 404), (who.name, path)


# ---- hostile values: no answer of the server's own failing, whatever is sent ------------------

VALUES = (None, True, 7, -1, 1 << 62, 1e300, "", "x", "\0", "\u202e" * 50, "y" * 70000, [], [[]], {},
          {"a": {}}, [{"access": [{"resource": "x"}]}])


def real_rows(routes, methods):
    return [r for r in routes if r["path"].startswith("/api/v2.0/") and not r["later"]
            and r["method"] in methods]


def test_bodies_of_the_wrong_kind(routes, world):
    admin = next(p for p in world.people if p.name == "sysadmin")
    models = {}
    for model in json.loads(subprocess.check_output([binary(), "schema", "--json"])):
        models.setdefault(model["model"], []).extend(f["name"] for f in model["fields"])
    for route in real_rows(routes, ("POST", "PUT", "PATCH")):
        path = fill(route, world, admin, "someone" if route["guard"] == "self" else "own")
        for text in ("", "[]", "7", "{", '{"a":1,"a":2}', "[" * 5000, "{}" * 2, "\xff"):
            reply = admin.api.call(route["method"], path, text.encode("latin-1"), base="")
            assert reply.status != 500 and reply.status < 502, (route["operation"], text, reply)
        for field in models.get(route["body"], []):
            for value in VALUES:
                reply = admin.api.call(route["method"], path, {field: value}, base="")
                assert reply.status < 500 or reply.status == 501, (route["operation"], field, value, reply)
        if route["operation"] == "updateConfigurations":
            assert admin.api.put("/configurations", {"read_only": False}).status == 200


def test_queries_of_the_wrong_kind(routes, world):
    admin = next(p for p in world.people if p.name == "sysadmin")
    values = ("", "=", "x", "name%3D[", "name%3D~", "id%3D~x", "id%3Dx", "id%3D[1~2]", "id%3D{1%202}",
              "creation_time%3D[2020-01-01~]", "tags%3D(a%20b)", "base%3D[1~2]", "public%3D[1~2]",
              "Level%3D{a}", "name%3D%2500", "a%3Db," * 20, "y" * 5000, "%ff", "%00", "%", "-id", "--",
              "name,name", "-creation_time,nothing")
    for route in real_rows(routes, ("GET",)):
        path = fill(route, world, admin, "own")
        path = path.split("?")[0].replace("/repositories/absent/artifacts", "/repositories/kept/artifacts")
        for parameter in [p["name"] for p in route["parameters"] if p["in"] == "query"]:
            for value in (*values, "0", "-1", "9223372036854775807", "99999999999999999999"):
                reply = admin.api.call("GET", f"{path}?{parameter}={value}", base="")
                assert reply.status < 500, (path, parameter, value, reply)
        if any(p["name"] == "page" for p in route["parameters"]):
            reply = admin.api.call("GET", f"{path}?page=9223372036854775807&page_size=100", base="")
            assert reply.status < 500, (path, reply)
