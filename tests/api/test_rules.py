"""Rules that no other story shows; each has a seeded bug that it must catch (tests/reliability/bugs)."""
from harbor import PASSWORD, admin, nobody, server  # noqa: F401


def test_a_new_password_ends_sessions(admin, nobody):  # noqa: F811
    user = admin.new_user()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    first = nobody.call("GET", "/api/version", base="")
    csrf = {**form, "Cookie": first.headers["Set-Cookie"].split(";")[0],
            "X-Harbor-CSRF-Token": first.headers["X-Harbor-CSRF-Token"]}
    login = nobody.call("POST", "/c/login", f"principal={user.name}&password={PASSWORD}", csrf,
                        base="")
    sid = next(v for v in login.headers.get_all("Set-Cookie") if v.startswith("sid="))
    session = {"Cookie": sid.split(";")[0]}
    assert nobody.get("/users/current", headers=session).status == 200
    assert admin.put(f"/users/{user.user_id}/password", {"new_password": "Another-0ne"}).status == 200
    assert nobody.get("/users/current", headers=session).status == 401
