"""Users: Harbor's user operations as stories."""
from harbor import PASSWORD, admin, nobody, server, unique  # noqa: F401


def test_a_user_lives_from_creation_to_deletion(admin):
    user = admin.new_user("alice")
    got = admin.get(f"/users/{user.user_id}").json()
    assert got["username"] == user.name and got["email"] == f"{user.name}@example.com"
    assert got["sysadmin_flag"] is False and "password" not in str(got)
    assert user.get("/users/current").json()["user_id"] == user.user_id
    assert admin.delete(f"/users/{user.user_id}").status == 200
    assert admin.get(f"/users/{user.user_id}").status == 404
    assert user.get("/users/current").status == 401
    # The name is free again, the id is not.
    again = admin.post("/users", {"username": user.name, "password": PASSWORD, "realname": "x",
                                  "email": f"{user.name}@example.com"})
    assert again.status == 201 and again.id > user.user_id


def test_creation_refuses_what_harbor_refuses(admin):
    good = {"username": unique("carol"), "email": "c@example.com", "realname": "C",
            "password": PASSWORD}
    for change in ({"username": ""}, {"username": "a,b"}, {"username": "x" * 256}, {"email": ""},
                   {"email": "nonsense"}, {"realname": ""}, {"realname": "a~b"}, {"password": ""},
                   {"password": "short1A"}, {"password": "alllowercase1"},
                   {"password": "NoDigitsHere"}, {"username": 7}):
        reply = admin.post("/users", {**good, **change})
        assert reply.status == 400 and reply.code == "BAD_REQUEST", (change, reply)
    assert admin.post("/users", b"{not json").status == 400
    user = admin.new_user()
    taken = admin.post("/users", {**good, "username": user.name})
    assert taken.status == 409 and taken.code == "CONFLICT"
    alike = admin.post("/users", {**good, "username": user.name.upper()})
    assert alike.status == 409, "a name that differs in case alone looks like another's"
    taken = admin.post("/users", {**good, "email": f"{user.name}@example.com"})
    assert taken.status == 409


def test_lists_search_and_pages(admin):
    stem = unique("pager")
    users = sorted(admin.new_user(stem + "x").name for _ in range(5))
    page = admin.get(f"/users?q=username%3D~{stem}&sort=username&page_size=2&page=2")
    assert page.total == 5 and [u["username"] for u in page.json()] == users[2:4]
    link = page.headers["Link"]
    assert 'rel="prev"' in link and 'rel="next"' in link and link.startswith("</api/v2.0/users?")
    down = admin.get(f"/users?q=username%3D~{stem}&sort=-username").json()
    assert [u["username"] for u in down] == users[::-1]
    found = admin.as_(users[0]).get(f"/users/search?username={stem}")
    assert found.total == 5 and set(found.json()[0]) == {"user_id", "username"}
    assert admin.get("/users/search").status == 422
    for bad in ("page=0", "page_size=0", "page_size=101", "page=x"):
        assert admin.get("/users?" + bad).status == 422, bad
    assert admin.get("/users?q=username").status == 400


def test_profile_is_the_users_own_or_an_admins(admin):
    user, other = admin.new_user(), admin.new_user()
    body = {"email": f"{user.name}@example.org", "realname": "New", "comment": "c"}
    assert user.put(f"/users/{user.user_id}", body).status == 200
    assert admin.get(f"/users/{user.user_id}").json()["realname"] == "New"
    assert other.put(f"/users/{user.user_id}", body).status == 403
    assert other.get(f"/users/{user.user_id}").status == 403
    taken = {**body, "email": f"{other.name}@example.com"}
    assert user.put(f"/users/{user.user_id}", taken).status == 409


def test_password_change(admin):
    user = admin.new_user()
    path, new = f"/users/{user.user_id}/password", "Another-word-2"
    assert user.put(path, {"old_password": "Wrong-word-1", "new_password": new}).status == 403
    assert user.put(path, {"old_password": PASSWORD, "new_password": "weak"}).status == 400
    assert user.put(path, {"old_password": PASSWORD, "new_password": PASSWORD}).status == 400
    assert user.put(path, {"old_password": PASSWORD, "new_password": new}).status == 200
    assert user.get("/users/current").status == 401  # the old one is void at once
    assert user.as_(user.name, new).get("/users/current").status == 200
    # An admin sets another's password without knowing it.
    assert admin.put(path, {"new_password": "Third-word-3"}).status == 200


def test_system_admins(admin):
    user = admin.new_user()
    flag = f"/users/{user.user_id}/sysadmin"
    assert user.put(flag, {"sysadmin_flag": True}).status == 403
    assert user.get("/users").status == 403
    assert admin.put(flag, {"sysadmin_flag": True}).status == 200
    assert user.get("/users").status == 200
    assert user.get("/users/current").json()["sysadmin_flag"] is True
    assert user.delete(f"/users/{user.user_id}").status == 403  # oneself
    assert user.delete("/users/1").status == 403  # the first admin
    assert user.put("/users/1/sysadmin", {"sysadmin_flag": False}).status == 403
    assert admin.put(flag, {"sysadmin_flag": False}).status == 200
    assert user.get("/users").status == 403


def test_current_permissions(admin):
    user = admin.new_user()
    name, project = admin.new_project()
    scope = f"/users/current/permissions?scope=/project/{project}"
    assert user.get(scope).json() == []
    admin.add_member(name, user, 3)
    pairs = {(p["resource"], p["action"]) for p in user.get(scope + "&relative=true").json()}
    assert ("repository", "pull") in pairs and ("repository", "push") not in pairs
    assert (".", "read") in pairs
    full = {p["resource"] for p in user.get(scope).json()}
    assert f"/project/{project}/repository" in full and f"/project/{project}" in full
    assert user.get("/users/current/permissions?scope=/nonsense").status == 400
    assert user.get("/users/current/permissions").json() == []
    assert admin.get("/users/current/permissions").json() != []


def test_permissions_for_robots_are_listed_to_admins(admin):
    user = admin.new_user()
    assert user.get("/permissions").status == 403
    name, _ = admin.new_project()
    admin.add_member(name, user, 1)
    own = user.get("/permissions").json()
    assert own["system"] == [] and {"resource": "repository", "action": "pull"} in own["project"]
    assert {"resource": "registry", "action": "create"} in admin.get("/permissions").json()["system"]


def test_nobody_is_401(nobody):
    for path in ("/users", "/users/current", "/users/1", "/users/search?username=a",
                 "/users/current/permissions", "/permissions"):
        reply = nobody.get(path)
        assert reply.status == 401 and reply.code == "UNAUTHORIZED", path


def test_sessions(admin, nobody):
    user = admin.new_user()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"principal={user.name}&password={PASSWORD}"
    assert nobody.call("POST", "/c/login", body, form, base="").status == 403  # no CSRF token
    first = nobody.call("GET", "/api/version", base="")
    assert first.json() == {"version": "v2.0"}
    token = first.headers["X-Harbor-CSRF-Token"]
    cookie = first.headers["Set-Cookie"].split(";")[0]
    csrf = {**form, "Cookie": cookie, "X-Harbor-CSRF-Token": token}
    login = nobody.call("POST", "/c/login", body, csrf, base="")
    assert login.status == 200, login
    sid = next(v for v in login.headers.get_all("Set-Cookie") if v.startswith("sid="))
    assert "HttpOnly" in sid and "SameSite" in sid
    session = {"Cookie": sid.split(";")[0]}
    assert nobody.get("/users/current", headers=session).json()["username"] == user.name
    profile = {"email": f"{user.name}@example.com", "realname": "S"}
    path = f"/users/{user.user_id}"
    assert nobody.put(path, profile, headers=session).status == 403  # no CSRF token
    token = login.headers["X-Harbor-CSRF-Token"]
    good = {**session, "X-Harbor-CSRF-Token": token}
    assert nobody.put(path, profile, headers=good).status == 200
    assert nobody.call("GET", "/c/log_out", headers=session, base="").status == 200
    assert nobody.get("/users/current", headers=session).status == 401
    wrong = nobody.call("POST", "/c/login", f"principal={user.name}&password=Wrong-1-word", csrf,
                        base="")
    assert wrong.status == 401
