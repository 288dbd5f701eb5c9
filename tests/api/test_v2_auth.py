"""Who may on /v2: challenges, Basic, tokens, what narrows and what ends them, back-off, mirror."""
import base64
import json
import time

import pytest
from conftest import PASSWORD, sha256

USER_PASSWORD = "Passw0rd9"


def new_user(cove, who, project=None, role=2):
    reply = cove.admin.post("/api/v2.0/users", json={
        "username": who, "password": USER_PASSWORD, "email": f"{who}@example.org", "realname": who})
    assert reply.status == 201, reply
    if project:
        reply = cove.admin.post(f"/api/v2.0/projects/{project}/members",
                                json={"role_id": role, "member_user": {"username": who}})
        assert reply.status == 201, reply
    return cove.client(who, USER_PASSWORD)


def new_project(cove, project, public=False):
    reply = cove.admin.post("/api/v2.0/projects", json={
        "project_name": project, "metadata": {"public": "true" if public else "false"}})
    assert reply.status == 201, reply
    return project


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.fixture
def who(name):
    return "u" + name[-12:]


# ---- challenges -------------------------------------------------------------------------------


def test_challenge_on_base(cove):
    reply = cove.anonymous.get("/v2/")
    assert reply.status == 401 and reply.code == "UNAUTHORIZED"
    host = f"127.0.0.1:{cove.port}"
    assert reply.headers["WWW-Authenticate"] == \
        f'Bearer realm="http://{host}/service/token",service="harbor-registry"'
    assert cove.admin.get("/v2/").status == 200
    assert cove.bearer(cove.admin.token()).get("/v2/").status == 200


@pytest.mark.parametrize("method, path, scope", [
    ("GET", "manifests/v1", "pull"), ("HEAD", "manifests/v1", "pull"),
    ("GET", "blobs/" + sha256(b"x"), "pull"), ("GET", "tags/list", "pull"),
    ("GET", "referrers/" + sha256(b"x"), "pull"), ("PUT", "manifests/v1", "pull,push"),
    ("POST", "blobs/uploads/", "pull,push"), ("DELETE", "manifests/v1", "delete"),
])
def test_challenge_has_the_scope_even_in_a_public_project(cove, name, method, path, scope):
    cove.admin.push_image(name)
    reply = cove.anonymous.request(method, f"/v2/{name}/{path}")
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].endswith(f',scope="repository:{name}:{scope}"')


def test_external_url_is_the_realm_and_the_location(start):
    cove = start(COVE_EXTERNAL_URL="https://registry.example.org/")
    reply = cove.anonymous.get("/v2/")
    assert 'realm="https://registry.example.org/service/token"' in reply.headers["WWW-Authenticate"]
    reply = cove.admin.post("/v2/library/x/blobs/uploads/")
    assert reply.headers["Location"].startswith("https://registry.example.org/v2/library/x/blobs/")
    assert cove.admin.push_blob("library/x", b"x")


# ---- Basic ------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [
    "Basic", "Basic ", "Basic !!!", "Basic " + base64.b64encode(b"no-colon").decode(),
    "Basic " + base64.b64encode(b":" + PASSWORD.encode()).decode(),
    "Basic " + base64.b64encode(b"admin:").decode(),
    "Basic " + base64.b64encode(b"admin\x00:" + PASSWORD.encode()).decode(),
    "Basic " + base64.b64encode(b"adm\xff:x").decode(), "Basic " + "A" * 5000,
    "Bearer", "Bearer x", "Bearer a.b.c", "Digest x", "Negotiate", "x",
])
def test_malformed_credentials_are_401(start, header):
    cove = start()
    for path in ("/v2/", "/api/v2.0/users/current"):
        reply = cove.anonymous.get(path, headers={"Authorization": header})
        assert reply.status == 401, (path, reply)


def test_robot_on_v2(cove, name, who):
    project = new_project(cove, who)
    cove.admin.push_image(f"{project}/a")
    reply = cove.admin.post("/api/v2.0/robots", json={
        "name": "ci", "level": "project", "duration": -1, "permissions": [{
            "kind": "project", "namespace": project, "access": [
                {"resource": "repository", "action": "pull"},
                {"resource": "repository", "action": "push"}]}]})
    assert reply.status == 201, reply
    robot = cove.client(reply.json()["name"], reply.json()["secret"])
    assert robot.get(f"/v2/{project}/a/manifests/v1").status == 200
    robot.push_image(f"{project}/b")
    assert robot.delete(f"/v2/{project}/b/manifests/v1").status == 403
    assert robot.post(f"/v2/{name}/blobs/uploads/").status == 403
    token = cove.bearer(robot.token(f"repository:{project}/a:pull,push,delete"))
    assert token.get(f"/v2/{project}/a/manifests/v1").status == 200
    assert token.delete(f"/v2/{project}/a/manifests/v1").status == 401
    # the robot goes, its secret and its tokens go
    assert cove.admin.delete(f"/api/v2.0/robots/{reply.json()['id']}").status == 200
    assert robot.get(f"/v2/{project}/a/manifests/v1").status == 401
    assert token.get(f"/v2/{project}/a/manifests/v1").status == 401


def test_roles_on_v2(cove, who):
    project = new_project(cove, who)
    cove.admin.push_image(f"{project}/a")
    stranger = new_user(cove, who + "s")
    assert stranger.get(f"/v2/{project}/a/manifests/v1").status == 403
    for role, pull, push, delete in ((1, 1, 1, 1), (4, 1, 1, 1), (2, 1, 1, 0), (3, 1, 0, 0),
                                     (5, 1, 0, 0)):
        user = new_user(cove, f"{who}r{role}", project, role)
        cove.admin.push_image(f"{project}/a", f"t{role}")
        assert (user.get(f"/v2/{project}/a/manifests/v1").status == 200) == bool(pull)
        assert (user.post(f"/v2/{project}/a/blobs/uploads/").status == 202) == bool(push)
        assert (user.delete(f"/v2/{project}/a/manifests/t{role}").status == 202) == bool(delete)


def test_unknown_project_leaks_nothing(cove, who):
    """An unknown and a forbidden project look the same to whoever may not see them."""
    project = new_project(cove, who)
    user = new_user(cove, who + "x")
    for client in (user, cove.anonymous, cove.bearer(user.token(f"repository:{project}/a:pull"))):
        here = client.get(f"/v2/{project}/a/manifests/v1")
        gone = client.get(f"/v2/{project}no/a/manifests/v1")
        assert here.status == gone.status and here.status in (401, 403)
        assert here.body.replace(b"no/a", b"/a") == gone.body.replace(b"no/a", b"/a")
    reply = cove.admin.get(f"/v2/{project}no/a/manifests/v1")
    assert reply.status == 404 and reply.code == "NAME_UNKNOWN"
    assert cove.admin.post(f"/v2/{project}no/a/blobs/uploads/").status == 404


def test_name_without_a_project_is_invalid(cove):
    reply = cove.admin.get("/v2/single/manifests/v1")
    assert reply.status == 400 and reply.code == "NAME_INVALID"


# ---- tokens -----------------------------------------------------------------------------------


def test_token_service(cove, name):
    cove.admin.push_image(name)
    reply = cove.admin.get(f"/service/token?service=harbor-registry&scope=repository:{name}:pull,push")
    body = reply.json()
    assert body["token"] == body["access_token"] and body["expires_in"] == 1800 and body["issued_at"]
    said = claims(body["token"])
    assert said["aud"] == "harbor-registry" and said["kind"] == "user" and said["id"] == 1
    assert said["exp"] - said["iat"] == 1800
    assert said["access"] == [{"type": "repository", "project_id": 1, "name": name,
                               "actions": ["pull", "push"]}]
    assert cove.admin.get("/service/token?service=other").status == 400
    assert cove.admin.get("/service/token").status == 400
    assert cove.anonymous.get("/service/token?service=harbor-registry").status == 401
    assert cove.client("admin", "wrong").get("/service/token?service=harbor-registry").status == 401


def test_token_is_filtered_down_never_refused(cove, name, who):
    cove.admin.push_image(name)
    project = new_project(cove, who)
    scopes = (f"repository:{name}:pull,push,delete", f"repository:{project}/x:pull",
              "repository:no/where:pull", "registry:catalog:*", "nonsense", "repository:UPPER:pull")
    token = cove.anonymous.token(*scopes)
    assert claims(token)["kind"] == "anonymous"
    assert [(a["name"], a["actions"]) for a in claims(token)["access"]] == [(name, ["pull"])]
    assert cove.bearer(token).get(f"/v2/{name}/manifests/v1").status == 200
    # several scopes in one parameter
    token = cove.admin.token(f"repository:{name}:pull%20repository:{project}/x:*")
    assert [a["actions"] for a in claims(token)["access"]] == [["pull"], ["pull", "push", "delete"]]


def test_token_narrows(cove, name):
    cove.admin.push_image(name)
    token = cove.bearer(cove.admin.token(f"repository:{name}:pull"))
    assert token.get(f"/v2/{name}/manifests/v1").status == 200
    reply = token.post(f"/v2/{name}/blobs/uploads/")
    assert reply.status == 401 and 'error="insufficient_scope"' in reply.headers["WWW-Authenticate"]
    assert token.get(f"/v2/{name}x/manifests/v1").status == 401
    # /v2 only
    assert token.get("/api/v2.0/users/current").status == 401


def test_token_of_a_project_that_was_made_again(cove, who):
    project = new_project(cove, who)
    cove.admin.push_image(f"{project}/a")
    token = cove.bearer(cove.admin.token(f"repository:{project}/a:pull"))
    assert token.get(f"/v2/{project}/a/manifests/v1").status == 200
    assert cove.admin.delete(f"/api/v2.0/projects/{project}/repositories/a").status == 200
    assert cove.admin.delete(f"/api/v2.0/projects/{project}").status == 200
    new_project(cove, project)
    cove.admin.push_image(f"{project}/a")
    for method in ("GET", "HEAD"):
        assert token.request(method, f"/v2/{project}/a/manifests/v1").status == 401


def test_changes_act_at_once_on_every_scheme(cove, who):
    project = new_project(cove, who)
    cove.admin.push_image(f"{project}/a")
    user = new_user(cove, who + "x", project, 2)
    path = f"/v2/{project}/a/manifests/v1"
    token = cove.bearer(user.token(f"repository:{project}/a:pull,push"))
    assert user.get(path).status == 200 and token.get(path).status == 200
    # demotion: from developer to guest
    members = cove.admin.get(f"/api/v2.0/projects/{project}/members?entityname={who}x").json()
    mid = [m for m in members if m["entity_name"] == who + "x"][0]["id"]
    assert token.post(f"/v2/{project}/a/blobs/uploads/").status == 202
    assert cove.admin.put(f"/api/v2.0/projects/{project}/members/{mid}",
                          json={"role_id": 3}).status == 200
    assert token.post(f"/v2/{project}/a/blobs/uploads/").status == 401
    assert user.post(f"/v2/{project}/a/blobs/uploads/").status == 403
    # a new password voids the old one (cached or not) and the tokens
    uid = cove.admin.get(f"/api/v2.0/users/search?username={who}x").json()[0]["user_id"]
    assert cove.admin.put(f"/api/v2.0/users/{uid}/password",
                          json={"new_password": "Another0ne"}).status == 200
    assert user.get(path).status == 401 and token.get(path).status == 401
    user = cove.client(who + "x", "Another0ne")
    assert user.get(path).status == 200
    assert cove.admin.delete(f"/api/v2.0/users/{uid}").status == 200
    assert user.get(path).status == 401


def test_forged_tokens(cove, name):
    cove.admin.push_image(name)
    head, body, sign = cove.admin.token(f"repository:{name}:pull").split(".")
    def b64(o):
        return base64.urlsafe_b64encode(json.dumps(o).encode()).decode().rstrip("=")
    none = b64({"alg": "none", "typ": "JWT"})
    grown = claims(f"{head}.{body}.{sign}")
    grown["access"][0]["actions"] = ["pull", "push"]
    for token in (f"{none}.{body}.", f"{none}.{body}.{sign}", f"{head}.{b64(grown)}.{sign}",
                  f"{head}.{body}", f"{head}.{body}.{sign}x", f"{head}.{body}.{sign[:-2]}",
                  f".{body}.{sign}", "..", f"{head}.{body}.{sign}.{sign}", "a" * 20_000):
        assert cove.bearer(token).get(f"/v2/{name}/manifests/v1").status == 401


def test_token_expires(start):
    cove = start(COVE_TOKEN_EXPIRY_S=1)
    cove.admin.push_image("library/x")
    token = cove.bearer(cove.admin.token("repository:library/x:pull"))
    assert token.get("/v2/library/x/manifests/v1").status == 200
    time.sleep(2.1)
    assert token.get("/v2/library/x/manifests/v1").status == 401


def test_token_of_another_installation(start, postgres):
    one, two = start(), start()
    one.admin.push_image("library/x")
    two.admin.push_image("library/x")
    assert two.bearer(one.admin.token("repository:library/x:pull")
                      ).get("/v2/library/x/manifests/v1").status == 401


# ---- back-off ---------------------------------------------------------------------------------


def test_t07_back_off(start):
    """T07: wrong passwords slow down; the right one from another address still works."""
    cove = start(COVE_FORWARDED_FROM="127.0.0.0/8")
    def guess(password, address, user="admin"):
        return cove.client(user, password).get("/v2/", headers={"X-Forwarded-For": address})
    statuses = [guess(f"wrong{i}", "192.0.2.1").status for i in range(12)]
    assert statuses[:5] == [401] * 5 and 429 in statuses
    limited = guess(PASSWORD, "192.0.2.1")
    assert limited.status == 429 and limited.code == "TOOMANYREQUESTS"
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    assert guess(PASSWORD, "192.0.2.2").status == 200
    # tokens of that address go on
    token = cove.admin.token()
    assert cove.bearer(token).get("/v2/", headers={"X-Forwarded-For": "192.0.2.1"}).status == 200
    # after the wait the right password is taken
    time.sleep(int(limited.headers["Retry-After"]) + 0.2)
    assert guess(PASSWORD, "192.0.2.1").status == 200


def test_t07_spraying_names(start):
    """T07: one address that tries many names is slowed down as an address."""
    cove = start(COVE_FORWARDED_FROM="127.0.0.0/8")
    seen = [cove.client(f"robot$nobody{i}", "x").get(
        "/v2/", headers={"X-Forwarded-For": "198.51.100.7"}).status for i in range(60)]
    assert seen[:49] == [401] * 49 and seen[-1] == 429
    assert cove.admin.get("/v2/", headers={"X-Forwarded-For": "198.51.100.8"}).status == 200


# ---- sessions and CSRF ------------------------------------------------------------------------


def test_cookies_are_nothing_on_v2(cove, name):
    first = cove.anonymous.get("/api/version")
    headers = {"X-Harbor-CSRF-Token": first.headers["X-Harbor-CSRF-Token"],
               "Cookie": first.headers["Set-Cookie"].split(";")[0],
               "Content-Type": "application/x-www-form-urlencoded"}
    login = cove.anonymous.post("/c/login", f"principal=admin&password={PASSWORD}".encode(),
                                headers=headers)
    assert login.status == 200, login
    sid = [v for v in login.headers.get_all("Set-Cookie") if v.startswith("sid=")][0].split(";")[0]
    assert cove.anonymous.get("/api/v2.0/users/current", headers={"Cookie": sid}).status == 200
    assert cove.anonymous.get("/v2/", headers={"Cookie": sid}).status == 401


# ---- proxy projects and the mirror ------------------------------------------------------------


@pytest.fixture
def pair(start):
    """An upstream Cove, and one in front of it that mirrors it."""
    up = start()
    up.admin.push_image("library/busybox", "latest", [b"busy"])
    front = start(f"""
proxies:
  - project: hub
    upstream: http://127.0.0.1:{up.port}
    type: docker-registry
    username: admin
    password_env: UP_PASSWORD
    ns: [docker.io]
    public: true
    public_with_credentials: true
""", COVE_MIRROR_LISTEN="127.0.0.1:0", UP_PASSWORD=PASSWORD)
    return up, front


def test_push_to_a_proxy_project_is_denied(pair):
    _, front = pair
    reply = front.admin.post("/v2/hub/library/busybox/blobs/uploads/")
    assert reply.status == 403 and reply.code == "DENIED"
    assert reply.message == "can not push artifact to a proxy project: hub"
    reply = front.admin.put("/v2/hub/library/busybox/manifests/x", b"{}")
    assert reply.status == 403 and reply.code == "DENIED"


def test_mirror_listener(pair):
    """On the mirror every name is the Hub's, nobody is challenged, no credential is looked at."""
    up, front = pair
    want = up.admin.get("/v2/library/busybox/manifests/latest")
    nobody, port = front.anonymous, front.mirror_port
    assert nobody.get("/v2/", port=port).status == 200
    for headers in ({}, {"Authorization": "Basic bm9ib2R5Ondyb25n"}, {"Authorization": "Bearer x"}):
        got = nobody.get("/v2/library/busybox/manifests/latest", port=port, headers=headers)
        assert got.status == 200 and got.body == want.body, got
    layer = json.loads(want.body)["layers"][0]["digest"]
    assert nobody.get(f"/v2/library/busybox/blobs/{layer}", port=port).body == b"busy"
    assert nobody.get("/v2/library/busybox/tags/list", port=port).json()["tags"] == ["latest"]
    # no project is reachable there, nothing is taken, and it has no API
    front.admin.push_image("library/private")
    assert nobody.get("/v2/library/private/manifests/v1", port=port).status == 404
    assert front.admin.get("/v2/hub/library/busybox/manifests/latest", port=port).status == 404
    assert front.admin.post("/v2/library/x/blobs/uploads/", port=port).status == 405
    assert front.admin.get("/v2/_catalog", port=port).status == 404
    assert front.admin.get("/api/v2.0/users/current", port=port).status == 404
    assert front.metrics()["cove_login_failures_total"] == 0


def test_mirror_allow(pair, start):
    up, _ = pair
    front = start(f"""
mirror:
  allow: [192.0.2.0/24]
proxies:
  - {{project: hub, upstream: "http://127.0.0.1:{up.port}", type: docker-registry, ns: docker.io}}
""", COVE_MIRROR_LISTEN="127.0.0.1:0")
    reply = front.anonymous.get("/v2/library/busybox/manifests/latest", port=front.mirror_port)
    assert reply.status == 403 and reply.code == "DENIED" and "mirror.allow" in reply.message


def test_ns_on_the_main_listener(pair):
    """?ns= names the upstream's host: a public project without challenge, an unknown host is 404."""
    up, front = pair
    path = "/v2/library/busybox/manifests/latest?ns="
    assert front.anonymous.get(path + "docker.io").status == 200
    assert front.anonymous.get(path + "index.docker.io").status == 200
    unknown = front.anonymous.get(path + "ghcr.io")
    assert unknown.status == 404 and unknown.code == "NAME_UNKNOWN"
    # our own host as ns changes nothing
    own = front.anonymous.get(f"{path}127.0.0.1:{front.port}")
    assert own.status == 401
    # a credential for somebody else is nobody, no failed login
    wrong = front.client("somebody", "else").get(path + "docker.io")
    assert wrong.status == 200
    assert front.metrics()["cove_login_failures_total"] == 0


def test_ns_of_a_private_project(pair, start):
    up, _ = pair
    front = start(f"""
proxies:
  - project: hub
    upstream: http://127.0.0.1:{up.port}
    type: docker-registry
    username: admin
    password_env: UP_PASSWORD
    ns: [docker.io]
""", UP_PASSWORD=PASSWORD)
    path = "/v2/library/busybox/manifests/latest?ns=docker.io"
    reply = front.anonymous.get(path)
    assert reply.status == 401
    assert 'scope="repository:hub/library/busybox:pull"' in reply.headers["WWW-Authenticate"]
    assert front.admin.get(path).status == 200
    # what the client asks by itself is the unmapped name; the mapped one is granted too
    token = front.admin.token("repository:library/busybox:pull")
    assert front.bearer(token).get(path).status == 200
    assert front.bearer(front.anonymous.token("repository:library/busybox:pull")).get(path).status == 401


def test_mirror_host(pair, start):
    up, _ = pair
    front = start(f"""
mirror: {{hosts: [hub.example.org]}}
proxies:
  - {{project: hub, upstream: "http://127.0.0.1:{up.port}", type: docker-registry,
     username: admin, password_env: UP_PASSWORD, ns: docker.io}}
""", UP_PASSWORD=PASSWORD)
    path = "/v2/library/busybox/manifests/latest"
    for host in ("hub.example.org", "HUB.example.org:443"):
        assert front.anonymous.get(path, headers={"Host": host}).status == 200
    assert front.anonymous.get(path, headers={"Host": "other.example.org"}).status == 401


def test_a_mirror_is_no_place_to_guess(pair, start):
    """Wrong passwords on ?ns= are silent and slow each other down, and nobody else."""
    up, _ = pair
    front = start(f"""
proxies:
  - {{project: hub, upstream: "http://127.0.0.1:{up.port}", type: docker-registry,
     username: admin, password_env: UP_PASSWORD, ns: docker.io}}
""", UP_PASSWORD=PASSWORD)
    path = "/v2/library/busybox/manifests/latest?ns=docker.io"
    for i in range(8):
        assert front.client("admin", f"guess{i}").get(path).status == 401
    assert front.client("admin", PASSWORD).get(path).status == 401  # not looked at now
    assert front.admin.get("/v2/").status == 200
    assert front.metrics()["cove_login_failures_total"] == 0
