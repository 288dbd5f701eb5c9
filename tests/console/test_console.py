"""Stories in a real browser against the real binary and an upstream that can fail. Each story runs as
`node stories.mjs NAME`; what holds always (no CSP violation, no console error, no axe violation, no
request to another origin) is checked in every one of them."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from conftest import Server
from proxied import Puller
from upstream import Upstream

HERE = pathlib.Path(__file__).resolve().parent
WEB = HERE.parent.parent / "web"
USER = "Secret-word-1"


def chromium():
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def has_console(server):
    page = server.anonymous.get("/", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    return page.headers["Content-Type"].startswith("text/html")


@pytest.fixture(scope="module")
def stage(postgres):
    """A server with a proxy cache, a project of its own, images, a guest; and an upstream."""
    if not shutil.which("node") or not chromium() or not (WEB / "node_modules/playwright-core").exists():
        pytest.skip("node, chromium or web/node_modules is missing")
    with Upstream() as up:
        up.add_image("library/alpine", "3.20", [b"alpine"])
        server = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8")
        try:
            if not has_console(server):
                pytest.skip("the binary has no console")
            fill(server, up)
            yield server, up
            server.stop()
        finally:
            server.remove()


def fill(server, up):
    admin = server.admin
    assert admin.post("/api/v2.0/registries", json={"name": "up", "type": "docker-registry",
                                                    "url": up.url}).status == 201
    registry = admin.get("/api/v2.0/registries").json()[0]["id"]
    assert admin.post("/api/v2.0/projects", json={
        "project_name": "hub", "registry_id": registry,
        "metadata": {"public": "true", "proxy_ns": "docker.io"}}).status == 201
    for i in range(60):
        admin.post("/api/v2.0/projects", json={"project_name": f"team-{i:02}"})
    admin.post("/api/v2.0/projects", json={"project_name": "secret"})
    admin.push_image("secret/app", "1.0")
    digest, payload = admin.push_image("team-07/web/shop", "1.27.3", [b"x" * 70000, b"y" * 9000])
    for tag in ("1.27", "latest"):
        admin.push_manifest("team-07/web/shop", tag, payload)
    for i in range(30):
        admin.push_image(f"team-07/service-{i:02}", "v1")
    Puller(server).image("library/alpine", "3.20")
    for name in ("guest", "developer"):
        assert admin.post("/api/v2.0/users", json={
            "username": name, "email": f"{name}@example.com", "realname": name.title(),
            "password": USER}).status == 201
    admin.post("/api/v2.0/projects/team-07/members",
               json={"role_id": 3, "member_user": {"username": "guest"}})


STORIES = ["sign_in", "wizard", "filter_back", "artifact", "guest", "upstream_down", "expired",
           "keyboard", "phone", "pages"]


@pytest.mark.parametrize("story", STORIES)
def test_story(stage, story):
    server, up = stage
    env = {**os.environ, "COVE_URL": f"http://127.0.0.1:{server.port}", "UPSTREAM": up.url,
           "ADMIN_PASSWORD": server.env["COVE_ADMIN_PASSWORD"], "USER_PASSWORD": USER,
           "CHROMIUM": chromium()}
    done = subprocess.run(["node", HERE / "stories.mjs", story], env=env, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    print(json.dumps(done.stdout[-400:]))
    server.check()


BROWSER = {"Accept": "text/html", "Accept-Encoding": "gzip"}


def test_files(stage):
    """Types, caching, codings, and the paths that the page never stands for."""
    client = stage[0].anonymous
    page = client.get("/", headers=BROWSER)
    assert page.headers["Content-Encoding"] == "gzip" and page.headers["Cache-Control"] == "no-cache"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "Set-Cookie" not in page.headers
    again = client.get("/", headers={**BROWSER, "If-None-Match": page.headers["ETag"]})
    assert again.status == 304 and not again.body
    for path in ("/projects", "/projects/hub/repositories/a/b", "/nothing"):
        assert client.get(path, headers=BROWSER).headers["ETag"] == page.headers["ETag"]
    for path in ("/v2/x/y", "/api/v2.0/nothing", "/api", "/service/nothing", "/c/nothing",
                 "/assets/nothing.js"):
        reply = client.get(path, headers=BROWSER)
        assert "html" not in reply.headers["Content-Type"], path
        assert reply.status in (401, 404), (path, reply)
    assert client.get("/healthz", headers=BROWSER).body == b"ok\n"
    assert client.get("/").body.startswith(b"Cove ")  # tools
    assert client.get("/nothing").status == 404
    assert client.get("/theme.js", headers={"Accept-Encoding": "identity"}).status == 406
    assert client.post("/projects", b"", headers=BROWSER).status in (404, 405)
    head = client.head("/", headers=BROWSER)
    assert head.status == 200 and not head.body


def test_assets_are_immutable(stage):
    import gzip
    import re
    client = stage[0].anonymous
    page = gzip.decompress(client.get("/", headers=BROWSER).body).decode()
    assert "<style" not in page and "style=" not in page
    for script in re.findall(r"<script[^>]*>", page):
        assert "src=" in script
    names = re.findall(r'"(/assets/[^"]+)"', page)
    assert names
    for name in names:
        assert "immutable" in client.get(name).headers["Cache-Control"]


@pytest.mark.parametrize("old, new", [
    ("/harbor", "/"), ("/harbor/", "/"), ("/harbor/projects", "/projects"),
    ("/harbor/projects/2/repositories", "/projects/2"),
    ("/harbor/projects/2/repositories/a%2Fb/artifacts-tab", "/projects/2/repositories/a/b"),
    ("/harbor/projects/2/repositories/a/artifacts-tab/artifacts/sha256:00",
     "/projects/2/repositories/a/artifacts/sha256:00"),
    ("/harbor/registries", "/upstreams"),
])
def test_old_links(stage, old, new):
    reply = stage[0].anonymous.get(old, headers=BROWSER)
    assert (reply.status, reply.headers["Location"]) == (302, new)


def test_no_way_out(stage):
    for path in ("/harbor//evil.example", "/harbor/%2Fevil.example", "/harbor/%5Cevil.example"):
        reply = stage[0].anonymous.get(path, headers=BROWSER)
        location = reply.headers.get("Location", "/")
        assert not location.startswith("//") and "\\" not in location, (path, location)
