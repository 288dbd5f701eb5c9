"""Starting, refusing to start in clear words, logs, metrics, signals."""
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest
from conftest import PASSWORD, Server, binary, sha256
from proxied import Puller, eventually, proxy_of
from upstream import Upstream


def run(*words, config=None, tmp=None, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COVE_")}
    clean.update({k: str(v) for k, v in env.items()})
    args = list(words)
    if config is not None:
        path = os.path.join(str(tmp), "cove.yml")
        with open(path, "w") as f:
            f.write(config)
        args += ["-c", path]
    done = subprocess.run([binary(), *args], env=clean, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


# ---- what is said instead of starting ---------------------------------------------------------


@pytest.mark.parametrize("text, says", [
    ("listen: 127.0.0.1:0\nlisten_port: 5\n", "cove.yml:2: unknown key listen_port"),
    ("tls:\n  cert: a\n  keyy: b\n", "cove.yml:3: unknown key tls.keyy"),
    ("server:\n  threads: many\n", "cove.yml:2: server.threads must be a number"),
    ("server:\n  threads: 1\n", "cove.yml:2: server.threads must be between 4 and 65536"),
    ("proxy:\n  offline: maybe\n", "cove.yml:2: proxy.offline must be true or false"),
    ("listen: 5000\n", "cove.yml:1: listen must be an address and a port"),
    ("listen: localhost:5000\n", "cove.yml:1: listen must be an address and a port"),
    ("registry: {compat: docker}\n", "cove.yml:1: registry.compat must be one of: oci harbor"),
    ("mirror:\n  allow:\n    - 10.0.0.0/8\n    - 10.0.0.0/64\n",
     'cove.yml:4: mirror.allow: "10.0.0.0/64" is no address range'),
    ("data: [a, b]\n", "cove.yml:1: data must be a single value"),
    ("a: [\n", "cove.yml:2: "),
    ("- a\n", "cove.yml:1: expected keys and values"),
    ("tls: {cert: /x}\n", "tls.cert and tls.key go together"),
    ("database: mysql://x\n", "database must be empty or begin with postgres://"),
    ("external_url: ftp://x\n", "cove.yml:1: external_url must be an http or https URL"),
    ("proxies:\n  - project: hub\n", "cove.yml:2: type is missing"),
    ("proxies:\n  - {project: Hub, type: docker-hub}\n", "project is missing or no project name"),
    ("proxies:\n  - project: hub\n    type: docker-hub\n    colour: red\n",
     "cove.yml:4: unknown key colour in proxies"),
    ("proxies:\n  - project: hub\n    type: docker-hub\n    password: x\n",
     "cove.yml:4: a password does not stand in this file"),
    ("proxies:\n  - {project: a, type: docker-hub}\n  - {project: a, type: docker-hub}\n",
     "cove.yml:3: project a stands twice"),
    ("proxies: hub\n", "cove.yml:1: proxies must be a list"),
])
def test_config_errors_name_the_line(tmp_path, text, says):
    status, _, err = run("serve", config=text, tmp=tmp_path, COVE_DATA=tmp_path / "data",
                         COVE_LISTEN="127.0.0.1:0" if "listen" not in text else
                         text.split()[1].strip())
    assert status == 1 and says in err and len(err.strip().splitlines()) == 1, err


def test_environment_errors_name_the_variable(tmp_path):
    status, _, err = run("serve", COVE_DATA=tmp_path / "d", COVE_SERVER_THREADS="x")
    assert status == 1 and "COVE_SERVER_THREADS: server.threads must be a number" in err
    status, _, err = run("serve", "-c", tmp_path / "none.yml")
    assert status == 1 and "none.yml: no such file" in err


def test_admin_password_is_checked(tmp_path):
    for word, says in (("Harbor12345", "well-known"), ("short", "admin_password: ")):
        status, _, err = run("serve", COVE_DATA=tmp_path / "d", COVE_LISTEN="127.0.0.1:0",
                             COVE_ADMIN_PASSWORD=word)
        assert status == 1 and says in err, err


def test_port_taken(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        status, _, err = run("serve", COVE_DATA=tmp_path / "d", COVE_LISTEN=f"127.0.0.1:{port}",
                             COVE_ADMIN_PASSWORD=PASSWORD)
    assert status == 1 and str(port) in err and "address already in use" in err.lower()


def test_store_is_locked(start):
    cove = start()
    if cove.env.get("COVE_DATABASE"):
        pytest.skip("a data directory belongs to one process, the database to all")
    status, _, err = run("serve", **{**cove.env, "COVE_LISTEN": "127.0.0.1:0"})
    assert status == 1 and "cove: " in err and str(cove.process.pid) in err, err


def test_first_start_makes_a_password(postgres):
    if postgres:
        status, _, err = run("serve", COVE_DATABASE=postgres.database(), COVE_DATA="/nonexistent/x")
        assert status == 1
        return
    cove = Server()
    cove.stop()
    cove.remove()
    del cove.env["COVE_ADMIN_PASSWORD"]
    os.makedirs(cove.dir)
    try:
        cove.start()
        path = os.path.join(cove.data, "admin-password")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        word = open(path).read().strip()
        assert len(word) == 24 and word in cove.stderr()
        assert cove.client("admin", word).get("/v2/").status == 200
        cove.restart()
        assert cove.client("admin", word).get("/v2/").status == 200
        cove.stop()
    finally:
        cove.remove()


def test_words():
    status, out, _ = run("--version")
    assert status == 0 and re.match(r"cove \d+\.\d+", out)
    status, out, _ = run("--help")
    assert status == 0 and "COVE_MIRROR_LISTEN" in out and "proxy.window_s" in out
    assert run("nonsense")[0] == 2
    assert run("serve", "--nonsense")[0] == 2
    assert run("routes", "--who", "nobody-knows")[0] == 2
    status, out, _ = run("routes", "--json")
    assert status == 0 and "getProject" in out


# ---- while it runs ----------------------------------------------------------------------------


def test_health_and_version(cove):
    assert cove.anonymous.get("/healthz").body == b"ok\n"
    assert cove.anonymous.get("/readyz").status == 200
    assert cove.anonymous.get("/api/version").json() == {"version": "v2.0"}
    assert b"Cove" in cove.anonymous.get("/").body
    assert cove.anonymous.head("/healthz").status == 200
    assert b"# TYPE cove_http_requests_total counter" in cove.anonymous.get("/metrics").body


def test_access_log(start):
    cove = start()
    digest, payload = cove.admin.push_image("library/x")
    cove.admin.get("/v2/library/x/manifests/v1", headers={"X-Request-Id": "look-here"})
    cove.anonymous.get('/v2/library/x/%22quote?password=secret')
    time.sleep(0.2)
    lines = cove.accesses()
    mine = [line for line in lines if line["request_id"] == "look-here"][0]
    assert mine["principal"] == "admin" and mine["status"] == 200 and mine["method"] == "GET"
    assert mine["path"] == "/v2/library/x/manifests/v1" and mine["client"] == "127.0.0.1"
    assert mine["bytes_out"] == len(payload) and mine["bytes_in"] == 0 and mine["ms"] >= 0
    put = [line for line in lines if line["method"] == "PUT"][-1]
    assert put["status"] == 201 and put["bytes_in"] == len(payload)
    text = open(cove.access).read()
    assert PASSWORD not in text and "secret" not in text
    assert lines[-1]["path"] == '/v2/library/x/"quote'


def test_access_log_can_be_off(start):
    cove = start(COVE_LOG_ACCESS="false")
    cove.admin.get("/v2/")
    assert cove.accesses() == []


def test_body_of_the_api_is_bounded(cove):
    reply = cove.admin.post("/api/v2.0/projects", json={"project_name": "x" * (1 << 20)})
    assert reply.status == 413, reply
    reply = cove.admin.post("/api/v2.0/projects", b"", headers={"Content-Type": "application/json"})
    assert reply.status == 400


@pytest.mark.tsan
def test_sigterm_finishes_what_is_under_way(start):
    """A push that is under way at SIGTERM ends with its answer; the process ends with 0."""
    cove = start()
    location = cove.admin.post("/v2/library/x/blobs/uploads/").headers["Location"]
    data = os.urandom(200_000)
    going = threading.Event()

    def slow():
        yield data[:100_000]
        going.set()
        time.sleep(1)
        yield data[100_000:]

    replies = []
    thread = threading.Thread(target=lambda: replies.append(
        cove.admin.put(f"{location}?digest={sha256(data)}", slow())))
    thread.start()
    assert going.wait(10)
    cove.process.send_signal(signal.SIGTERM)
    thread.join(20)
    assert replies and replies[0].status == 201
    assert cove.process.wait(20) == 0
    cove.start()
    assert cove.admin.get(f"/v2/library/x/blobs/{sha256(data)}").body == data


@pytest.mark.tsan
def test_sighup_reads_settings_again(start):
    cove = start("log: {access: true}\nregistry: {compat: oci}\n")
    path = os.path.join(cove.dir, "cove.yml")
    cove.admin.get("/v2/")
    with open(path, "w") as f:
        f.write("log: {access: false}\nregistry: {compat: harbor}\n")
    cove.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 10
    while "settings read again" not in cove.stderr() and time.monotonic() < until:
        time.sleep(0.05)
    before = len(cove.accesses())
    cove.admin.get("/v2/")
    time.sleep(0.2)
    assert len(cove.accesses()) == before
    # compat needs a restart
    cove.admin.push_image("library/x")
    assert cove.admin.delete("/v2/library/x/manifests/v1").status == 202
    with open(path, "w") as f:
        f.write("log: {acces: true}\n")
    cove.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 10
    while "unknown key log.acces" not in cove.stderr() and time.monotonic() < until:
        time.sleep(0.05)
    assert "reload refused" in cove.stderr()
    assert cove.admin.get("/v2/").status == 200


def test_full_disk_is_an_answer(start, tmpfs):
    """Writes get 507 in words, reads go on. Needs a file system of its own: a small tmpfs."""
    small = tmpfs(24)
    cove = start(COVE_DATA=small + "/data")
    digest, payload = cove.admin.push_image("library/x")
    big = os.urandom(40 << 20)
    reply = cove.admin.post(f"/v2/library/x/blobs/uploads/?digest={sha256(big)}", big)
    assert reply.status == 507, reply
    assert "space" in reply.message
    assert cove.admin.get("/v2/library/x/manifests/v1").body == payload
    cove.stop()


# ---- the end, while an upstream is silent ------------------------------------------------------


@pytest.fixture
def silent(start):
    """(server, puller, image) of a proxy whose upstream stops in the middle of every blob."""
    with Upstream() as up:
        image = up.add_image("x", "1", [os.urandom(300_000)])
        up.script("/blobs/", {"stall": 100, "cut_at": 1000, "times": 0})
        server = start(proxy_of(up))
        yield server, Puller(server), image, up


def seconds_to_stop(server):
    began = time.monotonic()
    server.stop()
    return time.monotonic() - began


def test_background_work_does_not_hold_the_end(silent):
    server, _, _, up = silent
    env = {**os.environ, **server.env}
    pull = subprocess.Popen([binary(), "pull", "hub/x:1"], env=env, stdout=subprocess.DEVNULL)
    eventually(lambda: up.count("GET", "/blobs/") > 0)
    assert seconds_to_stop(server) < 25  # the drain would last 30
    pull.wait(10)


@pytest.mark.waits
def test_a_client_of_a_silent_upstream_holds_the_end_for_the_drain_at_most(silent):
    server, puller, image, up = silent
    connection = server.anonymous.connect()
    connection.request("GET", f"/v2/hub/x/blobs/{image.layers[0]}",
                       headers={"Authorization": "Bearer " + puller.token("x")})
    eventually(lambda: up.count("GET", "/blobs/") > 0)
    assert 25 < seconds_to_stop(server) < 40
    connection.close()
