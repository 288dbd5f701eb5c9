"""What the stories play on: a seeded server, an upstream, and the way to play one."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import artifacts
import pytest
from conftest import Server
from proxied import Puller
from upstream import Upstream

HERE = pathlib.Path(__file__).resolve().parent
WEB = HERE.parent.parent / "web"
USER = "Secret-word-1"
BROWSER = {"Accept": "text/html", "Accept-Encoding": "gzip"}
STORY = re.compile(r"^export async function (\w+)", re.M)


def stories(*files, folder=""):
    """(file, name) of every story in stories/*.mjs (or stories/folder), or of the files named."""
    at = HERE / "stories"
    paths = sorted((at / folder).glob("*.mjs"))
    return [(str(p.relative_to(at).with_suffix("")), name) for p in paths
            if not files or p.stem in files for name in STORY.findall(p.read_text())]


class Stage:
    def __init__(self, server, up, browser=""):
        self.server, self.up, self.browser = server, up, browser

    def play(self, file, story, timeout=300, **more):
        """Runs one story; `more` goes to it as environment variables."""
        env = {**os.environ, "COVE_URL": f"http://127.0.0.1:{self.server.port}",
               "UPSTREAM": self.up.url, "ADMIN_PASSWORD": self.server.env["COVE_ADMIN_PASSWORD"],
               "USER_PASSWORD": USER, "CHROMIUM": chromium(), "BROWSER": self.browser, **more}
        done = subprocess.run(["node", HERE / "run.mjs", file, story], env=env,
                              capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        self.server.check()
        return done.stdout


def chromium():
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def one_browser():
    """The address of a chromium that all stories of a module share."""
    with subprocess.Popen(["node", HERE / "chromium.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env={**os.environ, "CHROMIUM": chromium()}) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def has_console(server):
    page = server.anonymous.get("/", headers=BROWSER)
    return page.headers["Content-Type"].startswith("text/html")


@contextlib.contextmanager
def stage(postgres, seed=None, **settings):
    """A server with a proxy cache, a project of its own, images, a guest; and an upstream. `seed`
    fills it further: called with the server and the upstream."""
    if not shutil.which("node") or not chromium() or not (WEB / "node_modules/playwright-core").exists():
        pytest.skip("node, chromium or web/node_modules is missing")
    with Upstream() as up:
        up.add_image("library/alpine", "3.20", [b"alpine"])
        server = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8", **settings)
        try:
            if not has_console(server):
                pytest.skip("the binary has no console")
            fill(server, up)
            if seed:
                seed(server, up)
            with one_browser() as browser:
                yield Stage(server, up, browser)
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
    config = b'{"architecture": "amd64", "os": "linux"}'  # its digest is in pictures
    digest, payload = admin.push_image("team-07/web/shop", "1.27.3", [b"x" * 70000, b"y" * 9000], config)
    for tag in ("1.27", "latest"):
        admin.push_manifest("team-07/web/shop", tag, payload)
    for i in range(30):
        admin.push_image(f"team-07/service-{i:02}", "v1")
    Puller(server).image("library/alpine", "3.20")
    artifacts.fill(server, up)
    for name in ("guest", "developer"):
        assert admin.post("/api/v2.0/users", json={
            "username": name, "email": f"{name}@example.com", "realname": name.title(),
            "password": USER}).status == 201
    admin.post("/api/v2.0/projects/team-07/members",
               json={"role_id": 3, "member_user": {"username": "guest"}})
