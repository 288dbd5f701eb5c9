"""Ping, health, systeminfo, and what all of Harbor's operations have in common."""
from harbor import admin, nobody, server  # noqa: F401


def test_ping_and_health(nobody):
    assert nobody.get("/ping").body == b"Pong"
    health = nobody.get("/health").json()
    assert health["status"] == "healthy"
    assert {c["name"] for c in health["components"]} >= {"core", "database", "registry"}
    assert all(c["status"] == "healthy" and "error" not in c for c in health["components"])


def test_systeminfo_says_more_to_those_who_logged_in(admin, nobody):
    little = nobody.get("/systeminfo").json()
    assert little["auth_mode"] == "db_auth" and little["self_registration"] is False
    assert "harbor_version" not in little and "external_url" not in little
    more = admin.get("/systeminfo").json()
    assert more["harbor_version"].startswith("v2.") and more["read_only"] is False
    assert more["registry_url"] and "/" not in more["registry_url"]
    assert more["external_url"].endswith(more["registry_url"])


def test_volumes_and_certificate(admin, nobody):
    volume = admin.get("/systeminfo/volumes").json()["storage"][0]
    assert 0 < volume["free"] <= volume["total"]
    assert admin.new_user().get("/systeminfo/volumes").status == 403
    assert nobody.get("/systeminfo/getcert").status == 404


def test_errors_have_harbors_envelope(admin):
    reply = admin.get("/projects/no-such-project")
    assert reply.headers["Content-Type"].startswith("application/json")
    error = reply.json()["errors"][0]
    assert error["code"] == "NOT_FOUND" and "no-such-project" in error["message"]
    assert reply.headers["X-Request-Id"]
    same = admin.get("/ping", headers={"X-Request-Id": "abc-123"})
    assert same.headers["X-Request-Id"] == "abc-123"
    assert admin.call("DELETE", "/ping").status == 405
    assert admin.get("/no/such/operation").status == 404


def test_later_operations_authorise_and_then_say_so(admin, nobody):
    reply = admin.get("/internalconfig")
    assert reply.status == 501 and reply.code == "NOT_IMPLEMENTED"
    assert nobody.get("/internalconfig").status == 401
    assert admin.new_user().get("/internalconfig").status == 403


def test_retention_metadata(nobody):
    got = nobody.get("/retentions/metadatas").json()
    assert "nDaysSinceLastPull" in [t["rule_template"] for t in got["templates"]]
    assert got["tag_selectors"][0]["decorations"] == ["matches", "excludes"]
