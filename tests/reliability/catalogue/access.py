"""A: reaching what is another's, by ids, names, paths, roles and fields that should not stick."""
import json
import os
import threading

from client import MANIFEST, and_digest, sha256
from upstream import Upstream

from . import own
from .world import PASSWORD, Skip, case


def me(client):
    return client.get("/api/v2.0/users/current")


@case("A01", "privileged fields in bodies do not stick (CVE-2019-16097)")
def privileged_fields(world, check):
    world.needs_api()
    name = world.unique("u")
    body = {"username": name, "password": PASSWORD, "realname": name, "email": f"{name}@example.com",
            "sysadmin_flag": True, "admin_role_in_auth": True, "has_admin_role": True, "role_id": 1,
            "user_id": 1}
    made = world.call("POST", "/users", body, by=world.anonymous)
    check(made.status in (400, 401, 403), "a stranger registers an admin ->", made.status)
    check.status(me(world.client(name, PASSWORD)), 401, "and is one")
    user = world.new_user(sysadmin_flag=True, admin_role_in_auth=True, has_admin_role=True)
    check(me(user).json()["sysadmin_flag"] is False, "made by an admin with sysadmin_flag")
    profile = {"email": f"{user.user}@example.org", "realname": "x"}
    for more in ({"sysadmin_flag": True}, {"has_admin_role": True}, {"admin_role_in_auth": True},
                 {"user_id": 1}, {"username": "admin"}):
        world.call("PUT", f"/users/{user.user_id}", {**profile, **more}, by=user)
        now = me(user).json()
        check(now["sysadmin_flag"] is False and now["user_id"] == user.user_id and
              now["username"] == user.user, more, now)
    reply = world.call("PUT", f"/users/{user.user_id}/sysadmin", {"sysadmin_flag": True}, by=user)
    check.status(reply, 403, "oneself to admin")
    project = world.unique("p")
    made = world.call("POST", "/projects", {
        "project_name": project, "owner_id": 1, "owner_name": "admin", "project_id": 1,
        "repo_count": 99, "creation_time": "2001-01-01T00:00:00Z"}, by=user)
    if made.status == 201:
        world.made.append(("project", project))
        got = world.call("GET", f"/projects/{project}").json()
        check(got["owner_name"] == user.user and got["project_id"] != 1 and
              not got["creation_time"].startswith("2001"), "fields of a project", got)
    made, robot = world.new_robot(project, ("repository", "pull"), id=777777, editable=False,
                                  secret="Chosen-secret-1", expires_at=-1, disable=False,
                                  creator="admin")
    check(made.status == 400 or (made.json()["id"] != 777777 and made.json()["secret"] != "Chosen-secret-1"),
          "fields of a robot", made)


@case("A02", "a project's admin gives a robot more than is hers (CVE-2019-16919)")
def robots_of_others(world, check):
    world.needs_api()
    mine, other = world.new_project(), world.new_project()
    owner = world.new_user(1, mine)
    made, _ = world.new_robot(mine, ("repository", "pull"), by=owner)
    check.status(made, 201, "a robot of one's own")

    def wants(namespace, level="project", kind="project", pair=("repository", "pull")):
        name = world.unique("evil")
        body = {"name": name, "level": level, "duration": -1, "permissions": [
            {"kind": kind, "namespace": namespace,
             "access": [{"resource": pair[0], "action": pair[1]}]}]}
        reply = world.call("POST", "/robots", body, by=owner)
        check.status(reply, (400, 403, 404), level, kind, namespace, pair)
        listed = world.call("GET", "/robots?page_size=100&q=name%3D" + name)
        check(name not in str(listed.body), "the robot is there")

    wants(other)
    for namespace in ("/", "*", "", mine + "/../" + other, "library"):
        wants(namespace)
        wants(namespace, "system", "system")
    wants(mine, "system")
    wants("/", "system", "system", ("user", "create"))
    wants(mine, pair=("*", "*"))
    _, small = world.new_robot(mine, ("robot", "create"), ("repository", "pull"))
    made, _ = world.new_robot(mine, ("repository", "push"), by=small)
    check.status(made, (400, 403), "a robot gives more than it has")


@case("A03", "another project's robot, by its id (CVE-2022-31667)")
def robot_ids(world, check):
    world.needs_api()
    mine, other = world.new_project(), world.new_project()
    owner = world.new_user(1, mine)
    _, robot = world.new_robot(other, ("repository", "pull"))
    path = f"/robots/{robot.id}"
    before = world.call("GET", path).body
    body = {"name": robot.user, "level": "project", "disable": True, "duration": 1, "permissions": [
        {"kind": "project", "namespace": mine, "access": [{"resource": "repository", "action": "pull"}]}]}
    for method, sent in (("GET", None), ("PUT", body), ("PATCH", {"secret": "Chosen-secret-1"}),
                         ("DELETE", None)):
        check.status(world.call(method, path, sent, by=owner), (403, 404), method)
    check(world.call("GET", path).body == before, "it changed")
    check.status(robot.get("/v2/"), 200, "its secret still does")


@case("A04", "a child of another project through one's own (CVE-2022-31666 to 31671)")
def child_ids(world, check):
    world.needs_api()
    mine, other = world.new_project(), world.new_project()
    owner, victim = world.new_user(1, mine), world.new_user()
    member = world.add_member(other, victim, 3)
    for method, body in (("GET", None), ("PUT", {"role_id": 1}), ("DELETE", None)):
        reply = world.call(method, f"/projects/{mine}/members/{member}", body, by=owner)
        check.status(reply, 404, "member", method)
    got = world.call("GET", f"/projects/{other}/members/{member}").json()
    check(got["role_id"] == 3, "the member changed", got)
    for kind in ("webhook/policies", "immutabletagrules", "preheat/policies", "labels"):
        for method in ("GET", "PUT", "DELETE"):
            reply = world.call(method, f"/projects/{mine}/{kind}/1", {} if method == "PUT" else None,
                               by=owner)
            check(reply.status in (400, 403, 404, 405, 501), kind, method, reply.status)
    for path in ("/retentions/1", "/retentions/1/executions", "/retentions/1/executions/1/tasks/1"):
        check(world.call("GET", path, by=owner).status in (403, 404, 501), path)
    if world.own:
        own.jobs_and_bulk(world, check, mine, other, owner)


METADATA = ["public", "enable_content_trust", "prevent_vul", "severity", "auto_scan", "retention_id",
            "reuse_sys_cve_allowlist", "proxy_speed_kb", "max_upstream_conn"]


@case("A05", "metadata by those who may not (CVE-2024-22278)")
def metadata(world, check):
    world.needs_api()
    project = world.new_project()
    before = world.call("GET", f"/projects/{project}/metadatas/").body
    for role, who in ((4, "maintainer"), (2, "developer"), (3, "guest"), (None, "stranger")):
        user = world.new_user(role, project)
        for name in METADATA:
            where = f"/projects/{project}/metadatas/"
            for method, path in (("PUT", where + name), ("POST", where), ("DELETE", where + name)):
                body = None if method == "DELETE" else {name: "true"}
                check.status(world.call(method, path, body, by=user), 403, who, method, name)
        reply = world.call("PUT", f"/projects/{project}", {"metadata": {"public": "true"}}, by=user)
        check.status(reply, 403, who, "PUT project")
    check(world.call("GET", f"/projects/{project}/metadatas/").body == before, "it changed")


@case("A06", "the catalog, by every spelling (CVE-2020-29662)")
def catalog(world, check):
    world.needs_accounts()
    for path in (b"/v2/_catalog", b"/v2/_catalog/", b"//v2/_catalog", b"/v2/%5fcatalog", b"/V2/_catalog",
                 b"/v2/./_catalog", b"/v2/_catalog?n=10", b"/v2//_catalog", b"/v2/_catalog%2f"):
        answer = world.ask(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        moved = answer.status in (301, 307, 308)  # to where the next request is refused
        check(answer.status in (400, 401, 404) or (moved and not world.strict), path, answer.status)
        check(b"repositories" not in answer.body, path, answer.body[:60])
    if world.api:
        project = world.new_project()
        world.admin.push_image(f"{project}/hidden")
        seen = world.new_user().get("/v2/_catalog?n=1000")
        check(seen.status in (401, 403) or project not in seen.body.decode(), "a user sees", project)


def private_paths(repo, digest, blob):
    return [f"/v2/{repo}/manifests/v1", f"/v2/{repo}/manifests/{digest}", f"/v2/{repo}/blobs/{blob}",
            f"/v2/{repo}/tags/list", f"/v2/{repo}/referrers/{digest}", f"/v2/{repo}/tags/list?n=1",
            f"/v2/{repo}/manifests/v1?ns=docker.io", f"/v2/{repo}/blobs/uploads/"]


@case("A07", "a private project by every way in (CVE-2026-27771)")
def private(world, check):
    world.needs_accounts()
    project = world.new_project() if world.api else "library"
    repo = f"{project}/{world.unique('secret')}"
    digest, payload = world.admin.push_image(repo)
    blob = json.loads(payload)["config"]["digest"]
    people = [world.anonymous] + ([world.new_user()] if world.api else [])
    for who in people:
        for path in private_paths(repo, digest, blob):
            for method in ("GET", "HEAD", "OPTIONS"):
                reply = who.request(method, path, headers={"Range": "bytes=0-1"})
                check(reply.status in (401, 403, 404, 405), method, path, reply.status)
                for text in (digest, blob, '"v1"'):
                    check(text not in reply.body.decode("utf-8", "replace") or text in path, path)
    for path in private_paths(repo, digest, blob)[:4]:
        answer = world.ask(b"GET " + path.encode() + b" HTTP/1.0\r\n\r\n")
        check(answer.status in (0, 400, 401, 404), "HTTP/1.0", path, answer.status)
    if world.api:
        rest = repo.split("/", 1)[1]
        for path in (f"/projects/{project}", f"/projects/{project}/repositories",
                     f"/projects/{project}/repositories/{rest}/artifacts",
                     f"/projects/{project}/repositories/{rest}/artifacts/v1", f"/projects/{project}/summary"):
            for who in people:
                reply = world.call("GET", path, by=who)
                check(reply.status in (401, 403, 404), path, reply.status)
    if world.own:
        own.private(world, check, people, project, repo.split("/", 1)[1], digest)


@case("A08", "a private blob through a repository that may be read (CVE-2024-39897)")
def blobs_of_others(world, check):
    world.needs_api()
    hidden, mine = world.new_project(), world.new_project()
    user = world.new_user(2, mine)
    data = os.urandom(5000)
    digest = world.admin.push_blob(f"{hidden}/a", data)
    world.admin.push_image(f"{mine}/b")
    for method in ("GET", "HEAD"):
        reply = user.request(method, f"/v2/{mine}/b/blobs/{digest}")
        check.status(reply, 404, method)
    user.push_blob(f"{mine}/b", data)  # who has the bytes may have them
    check.status(user.get(f"/v2/{mine}/b/blobs/{digest}"), 200, "one's own copy")
    user.delete(f"/v2/{mine}/b/blobs/{digest}")
    world.admin.delete(f"/v2/{mine}/b/blobs/{digest}")
    check.status(user.get(f"/v2/{mine}/b/blobs/{digest}"), 404, "after it was deleted")
    check(world.admin.get(f"/v2/{hidden}/a/blobs/{digest}").body == data, "the other's is whole")


@case("A09", "mounts from where one may not read")
def mounts(world, check):
    world.needs_api()
    hidden, mine = world.new_project(), world.new_project()
    user = world.new_user(2, mine)
    data = os.urandom(5000)
    digest = world.admin.push_blob(f"{hidden}/a", data)
    uploads = f"/v2/{mine}/b/blobs/uploads/"
    for query in (f"mount={digest}&from={hidden}/a", f"mount={digest}", f"mount={digest}&from=no/where",
                  f"mount={digest}&from={hidden}%2fa", f"mount={digest}&from=BAD//", "mount=x&from=y"):
        reply = user.post(uploads + "?" + query)
        check.status(reply, (202, 400), query)
        check.status(user.head(f"/v2/{mine}/b/blobs/{digest}"), 404, "mounted by", query)
    token = world.token(user, f"repository:{mine}/b:pull,push", f"repository:{hidden}/a:pull")
    reply = token.post(f"{uploads}?mount={digest}&from={hidden}/a")
    check.status(reply, 202, "with a token")


@case("A10", "another's upload session (CVE-2026-32589)")
def uploads_of_others(world, check):
    world.needs_api()
    mine, other = world.new_project(), world.new_project()
    owner, thief = world.new_user(2, mine), world.new_user(2, other)
    world.add_member(mine, thief, 2)
    repo, data = f"{mine}/a", b"first half, second half"
    location = owner.post(f"/v2/{repo}/blobs/uploads/").headers["Location"]
    location = owner.patch(location, data[:11]).headers["Location"] or location
    elsewhere = location.replace(f"/v2/{repo}/", f"/v2/{other}/a/")
    for where, what in ((location, "same path"), (elsewhere, "another repository")):
        for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE"):
            path = and_digest(where, sha256(b"x")) if method == "PUT" else where
            reply = thief.request(method, path, b"x" if method in ("PATCH", "PUT") else None)
            check.status(reply, (403, 404), what, method)
    check.status(owner.patch(location.replace(f"{mine}/a/", f"{mine}/b/"), b"x"), 404, "moved by its owner")
    done = owner.put(and_digest(location, sha256(data)), data[11:])
    check.status(done, 201, "its owner goes on untouched")


@case("A11", "what is deleted stays deleted when others touch it (CVE-2026-35172)")
def resurrection(world, check):
    repo, other = world.repo(), world.repo()
    data = os.urandom(3000)
    digest, _ = world.admin.push_image(repo, layers=(data,))
    world.admin.push_image(other, layers=(data,))
    blob = sha256(data)
    check.status(world.admin.delete(f"/v2/{repo}/manifests/{digest}"), 202, "the manifest")
    check.status(world.admin.delete(f"/v2/{repo}/blobs/{blob}"), (202, 404), "the blob")
    check(world.admin.get(f"/v2/{other}/blobs/{blob}").body == data, "the other's")
    world.admin.push_image(other, "v2", layers=(data,))
    world.admin.head(f"/v2/{other}/blobs/{blob}")
    for method in ("GET", "HEAD"):
        check.status(world.admin.request(method, f"/v2/{repo}/manifests/{digest}"), 404, method)
        check.status(world.admin.request(method, f"/v2/{repo}/manifests/v1"), 404, method, "tag")
        check.status(world.admin.request(method, f"/v2/{repo}/blobs/{blob}"), 404, method, "blob")


@case("A12", "deleting what is needed or immutable (CVE-2026-41888)")
def undeletable(world, check):
    repo = world.repo()
    digest, payload = world.admin.push_image(repo)
    blob = json.loads(payload)["layers"][0]["digest"]
    world.admin.delete(f"/v2/{repo}/blobs/{blob}")
    there = world.admin.get(f"/v2/{repo}/manifests/{digest}", headers={"Accept": MANIFEST}).status == 200
    check(there and world.admin.get(f"/v2/{repo}/blobs/{blob}").body == b"layer",
          "a blob that a manifest needs went away")


@case("A13", "who may push once may not overwrite (CVE-2026-31801)")
def create_only(world, check):
    raise Skip("no role that may create a tag and not move it")


@case("A14", "a group that is gone takes its rights along (CVE-2025-23208)")
def groups(world, check):
    world.needs_api()
    world.route("GET", "/usergroups")
    raise Skip("groups come from an identity provider")


@case("A15", "a token of a project that was made again (Harbor 22900)")
def project_again(world, check):
    world.needs_tokens()
    project = world.new_project()
    world.admin.push_image(f"{project}/a")
    token = world.token(world.admin, f"repository:{project}/a:pull")
    check.status(token.get(f"/v2/{project}/a/manifests/v1"), 200, "the token works")
    check.status(world.call("DELETE", f"/projects/{project}/repositories/a"), 200, "repository")
    check.status(world.call("DELETE", f"/projects/{project}"), 200, "project")
    check.status(world.call("POST", "/projects", {"project_name": project}), 201, "again")
    world.admin.push_image(f"{project}/a")
    for method in ("GET", "HEAD"):
        check.status(token.request(method, f"/v2/{project}/a/manifests/v1"), 401, method)


@case("A16", "no rights from names: a robot called scanner, in a proxy project (Harbor 23675)")
def names(world, check):
    world.needs_api()
    with Upstream() as up:
        up.add_image("x", "1")
        _, prefix = world.proxy(up)
        project = prefix.rstrip("/")
        for name in ("scanner-x", "trivy", "replication", "jobservice", "proxy-cache"):
            body = {"name": f"{name}-{world.unique('')}", "level": "project", "duration": -1,
                    "permissions": [{"kind": "project", "namespace": project, "access": [
                        {"resource": "repository", "action": a} for a in ("pull", "push")]}]}
            made = world.call("POST", "/robots", body)
            if not check.status(made, 201, name):
                continue
            world.made.append(("robot", made.json()["id"]))
            robot = world.client(made.json()["name"], made.json()["secret"])
            reply = robot.post(f"/v2/{prefix}x/blobs/uploads/")
            check.status(reply, (401, 403, 405), name, "pushes")
            check.status(world.put_manifest(prefix + "x", world.good(), client=robot),
                         (401, 403, 405), name, "pushes a manifest")


def session(world, user, password):
    """(headers of a session, those of its changes)."""
    first = world.anonymous.get("/api/version")
    headers = {"X-Harbor-CSRF-Token": first.headers["X-Harbor-CSRF-Token"],
               "Cookie": first.headers["Set-Cookie"].split(";")[0],
               "Content-Type": "application/x-www-form-urlencoded"}
    login = world.anonymous.post("/c/login", f"principal={user}&password={password}".encode(),
                                 headers=headers)
    assert login.status == 200, login
    sid = next(v for v in login.headers.get_all("Set-Cookie") if v.startswith("sid="))
    cookie = {"Cookie": sid.split(";")[0]}
    return cookie, {**cookie, "X-Harbor-CSRF-Token": login.headers["X-Harbor-CSRF-Token"]}, sid


@case("A17", "disabled, expired, deleted, demoted: every scheme stops at once")
def ended(world, check):
    world.needs_tokens()
    project = world.new_project()
    world.admin.push_image(f"{project}/a")
    path = f"/v2/{project}/a/manifests/v1"
    robot = world.new_robot(project, ("repository", "pull"))[1]
    user = world.new_user(3, project)
    boss = world.new_user()
    world.call("PUT", f"/users/{boss.user_id}/sysadmin", {"sysadmin_flag": True})
    for who, stop in ((robot, lambda: world.call("PUT", f"/robots/{robot.id}", {"disable": True})),
                      (user, lambda: world.call("DELETE", f"/users/{user.user_id}")),
                      (boss, lambda: world.call("PUT", f"/users/{boss.user_id}/sysadmin",
                                                {"sysadmin_flag": False}))):
        ways = {"Basic": who, "Bearer": world.token(who, f"repository:{project}/a:pull")}
        cookie = session(world, who.user, PASSWORD)[0] if who is not robot else None
        for scheme, client in ways.items():
            check.status(client.get(path), 200, who.user, scheme, "before")
        check.status(stop(), 200, who.user)
        for scheme, client in ways.items():
            check(client.get(path).status in (401, 403), who.user, scheme, "goes on")
        if cookie:
            seen = world.anonymous.get("/api/v2.0/users", headers=cookie)
            check(seen.status in (401, 403), who.user, "session goes on", seen.status)
    check.status(world.call("PUT", f"/robots/{robot.id}", {"disable": False}), 200, "enabled again")
    check.status(robot.get(path), 200, "an enabled robot")


@case("A18", "a disabled account that comes in by OIDC or LDAP (CVE-2026-58422)")
def disabled_elsewhere(world, check):
    raise Skip("no OIDC or LDAP")


@case("A19", "identity by header from anybody (CVE-2026-20896)")
def headers(world, check):
    world.needs_accounts()
    for name in ("X-Forwarded-User", "X-WEBAUTH-USER", "X-Remote-User", "Remote-User", "X-Auth-Request-User",
                 "X-Forwarded-Email", "X-Authenticated-User", "X-Real-IP", "X-Forwarded-For",
                 "X-Harbor-User", "X-Original-URL", "X-Rewrite-URL"):
        value = {"X-Real-IP": "127.0.0.1", "X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/healthz",
                 "X-Rewrite-URL": "/healthz"}.get(name, world.user or "admin")
        check.status(world.anonymous.get("/v2/", headers={name: value}), 401, name)
        if world.api:
            check.status(world.anonymous.get("/api/v2.0/users", headers={name: value}), 401, name)


@case("A20", "a quota by parallel pushes, mounts and copies at its edge")
def quota(world, check):
    world.needs_api()
    limit = 100_000
    project = world.new_project(storage_limit=limit)
    parts = [os.urandom(30_000) for _ in range(8)]

    def used():
        got = world.call("GET", f"/projects/{project}/summary").json()
        return got["quota"]["used"]["storage"]

    results = []

    def push(part):
        made = world.admin.post(f"/v2/{project}/a/blobs/uploads/?digest={sha256(part)}", part)
        results.append(made.status)

    threads = [threading.Thread(target=push, args=(p,)) for p in parts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if all(s == 201 for s in results):
        raise Skip("no storage quota is enforced on blobs")
    check(set(results) <= {201, 403, 412, 413, 507}, results)
    check(used() <= limit, "used", used(), "of", limit)
    source = world.repo()
    big = world.admin.push_blob(source, os.urandom(90_000))
    reply = world.admin.post(f"/v2/{project}/b/blobs/uploads/?mount={big}&from={source}")
    check(reply.status != 201 or used() <= limit, "a mount", reply.status, used())
    check(used() <= limit, "used", used(), "of", limit)


@case("A21", "private names in search, statistics, lists and errors (CVE-2022-46463)")
def leaks(world, check):
    world.needs_api()
    project = world.new_project()
    world.admin.push_image(f"{project}/hidden")
    user = world.new_user()
    for who in (world.anonymous, user):
        for path in (f"/search?q={project}", f"/repositories?q=name%3D~{project}", "/repositories?sort=-name",
                     f"/projects?name={project}", "/projects?sort=-name&page_size=100", "/statistics",
                     f"/projects?q=name%3D~{project}"):
            reply = world.call("GET", path, by=who)
            check(project not in reply.body.decode() or f"={project}" in str(reply.headers), path,
                  reply.body[:80])
    check.status(world.call("HEAD", f"/projects?project_name={project}", by=world.anonymous), (401, 404),
                 "HEAD project")
    here = world.call("GET", f"/projects/{project}", by=user)
    gone = world.call("GET", f"/projects/{project}x", by=user)
    check(here.status == gone.status and
          here.body.replace(project.encode(), b"") == gone.body.replace(project.encode() + b"x", b""),
          "a private project and none look different", here, gone)
    if world.own:
        own.leaks(world, check, project, user)

