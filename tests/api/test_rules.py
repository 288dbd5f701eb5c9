"""Rules that no other story shows; each has a seeded bug that it must catch (tests/reliability/bugs)."""
from conftest import sha256
from harbor import PASSWORD, admin, nobody, server  # noqa: F401


def session_of(user, nobody):  # noqa: F811
    """Headers of a browser that has logged in."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    first = nobody.call("GET", "/api/version", base="")
    csrf = {**form, "Cookie": first.headers["Set-Cookie"].split(";")[0],
            "X-Harbor-CSRF-Token": first.headers["X-Harbor-CSRF-Token"]}
    login = nobody.call("POST", "/c/login", f"principal={user.name}&password={PASSWORD}", csrf,
                        base="")
    sid = next(v for v in login.headers.get_all("Set-Cookie") if v.startswith("sid="))
    return {"Cookie": sid.split(";")[0]}


def test_a_new_password_ends_sessions(admin, nobody):  # noqa: F811
    user = admin.new_user()
    session = session_of(user, nobody)
    assert nobody.get("/users/current", headers=session).status == 200
    assert admin.put(f"/users/{user.user_id}/password", {"new_password": "Another-0ne"}).status == 200
    assert nobody.get("/users/current", headers=session).status == 401


def test_a_change_of_role_ends_sessions(admin, nobody):  # noqa: F811
    user = admin.new_user()
    session = session_of(user, nobody)
    assert nobody.get("/users/current", headers=session).status == 200
    assert admin.put(f"/users/{user.user_id}/sysadmin", {"sysadmin_flag": True}).status == 200
    assert nobody.get("/users/current", headers=session).status == 401


def test_a_blob_that_a_manifest_needs_stays(start):
    cove = start().admin
    cove.push_image("library/a", "v1", [b"needed"])
    at = "/v2/library/a/blobs/" + sha256(b"needed")
    assert cove.delete(at).status == 405
    assert cove.get(at).body == b"needed"


def test_a_repository_does_not_lend_to_another_that_exists(start):
    """To one who may push and to one who may only pull: they are looked up in different ways."""
    server = start()
    digest = server.admin.push_blob("library/a", b"held here")
    server.admin.push_blob("library/b", b"something else")
    puller = server.bearer(server.anonymous.token("repository:library/a:pull",
                                                  "repository:library/b:pull"))
    for who in (server.admin, puller):
        assert who.get(f"/v2/library/a/blobs/{digest}").status == 200
        assert who.get(f"/v2/library/b/blobs/{digest}").status == 404
        assert who.head(f"/v2/library/b/blobs/{digest}").status == 404
