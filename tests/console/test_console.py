"""Stories in a real browser against the real binary and an upstream that can fail: every exported
function of stories/*.mjs but those of quality.mjs (test_quality.py). What holds always (no CSP violation,
no console error, no axe violation, no request to another origin) is checked in each of them. And the files
that the server gives a browser."""
import gzip
import re

import pytest
from stage import BROWSER, stories


@pytest.mark.parametrize("file, story", [s for s in stories() if s[0] != "quality"])
def test_story(stage, file, story):
    print(stage.play(file, story))


def test_files(stage):
    """Types, caching, codings, and the paths that the page never stands for."""
    client = stage.server.anonymous
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
    assert client.get("/favicon.svg", headers={"Accept-Encoding": "identity"}).status == 406
    assert client.post("/projects", b"", headers=BROWSER).status in (404, 405)
    head = client.head("/", headers=BROWSER)
    assert head.status == 200 and not head.body


def test_assets_are_immutable(stage):
    client = stage.server.anonymous
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
    reply = stage.server.anonymous.get(old, headers=BROWSER)
    assert (reply.status, reply.headers["Location"]) == (302, new)


def test_no_way_out(stage):
    for path in ("/harbor//evil.example", "/harbor/%2Fevil.example", "/harbor/%5Cevil.example"):
        reply = stage.server.anonymous.get(path, headers=BROWSER)
        location = reply.headers.get("Location", "/")
        assert not location.startswith("//") and "\\" not in location, (path, location)
