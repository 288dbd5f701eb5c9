"""The settings by API: values, defaults, where they came from, and no secret."""
from conftest import PASSWORD
from harbor import Api


def test_value_default_and_source(start):
    server = start(config="gc:\n  grace_s: 7200\nmirror:\n  hosts: [a.example, b.example]\n",
                   COVE_PROXY_WINDOW_S=30)
    api = Api(f"http://127.0.0.1:{server.port}", "admin", PASSWORD)
    reply = api.call("GET", "/api/cove/v1/settings", base="")
    got = {s["key"]: s for s in reply.json()}
    assert got["gc.grace_s"]["value"] == "7200" and got["gc.grace_s"]["default"] == "86400"
    assert got["gc.grace_s"]["source"] == "file" and got["gc.grace_s"]["at"].endswith("cove.yml:2")
    assert got["mirror.hosts"]["value"] == "a.example,b.example"
    window = got["proxy.window_s"]
    assert (window["value"], window["source"], window["at"]) == ("30", "environment", "COVE_PROXY_WINDOW_S")
    assert got["log.level"]["source"] == "default" and "at" not in got["log.level"]
    assert got["admin_password"]["secret"] and got["admin_password"]["value"] == "(set)"
    assert PASSWORD not in reply.body.decode()
    assert api.new_user("reader").call("GET", "/api/cove/v1/settings", base="").status == 403
