"""The real binary behind every test of tests/api, on SQLite or PostgreSQL (--db).

COVE_BIN names the binary; without it build/asan/cove, build/dev/cove or build/cove is taken. A
server that dies, leaves a sanitizer's report or does not end cleanly on SIGTERM fails the test.
"""
import glob
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from client import INDEX, MANIFEST, Client, Reply, descriptor, sha256  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PASSWORD = "Correct-Horse-7"
REPORTS = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer|Assertion .* failed"
)


def pytest_addoption(parser):
    parser.addoption("--db", default="sqlite", choices=["sqlite", "postgres"])


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: also run under the thread sanitizer")
    config.addinivalue_line("markers", "waits: stands still for half a minute; tools/parts runs these beside the others")
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


def binary():
    given = os.environ.get("COVE_BIN")
    for path in [given] if given else ["build/asan/cove", "build/dev/cove", "build/cove"]:
        path = os.path.join(ROOT, path)
        if os.access(path, os.X_OK):
            return path
    pytest.exit("no binary: build first, or set COVE_BIN", 2)


# ---- PostgreSQL -------------------------------------------------------------------------------


class Postgres:
    """A private cluster on 127.0.0.1 for one test session."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            pytest.exit("no PostgreSQL server is installed", 2)
        self.bin = found[-1]
        self.dir = tempfile.mkdtemp(prefix="cove-pg-")
        self.port = free_port()
        self.count = 0
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres")
        self.run("initdb", "-D", self.dir + "/db", "-U", "postgres", "-A", "trust", "-N")
        options = f"-p {self.port} -k {self.dir} -c listen_addresses=127.0.0.1 -c max_connections=200"
        self.run("pg_ctl", "-D", self.dir + "/db", "-o", options, "-l", self.dir + "/log", "-w",
                 "start")

    def run(self, program, *args):
        command = [f"{self.bin}/{program}", *args]
        if os.geteuid() == 0:
            command = ["su", "postgres", "-s", "/bin/sh", "-c", shlex.join(command)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def database(self):
        self.count += 1
        name = f"cove{self.count}"
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.run("pg_ctl", "-D", self.dir + "/db", "-m", "immediate", "stop")
        shutil.rmtree(self.dir, ignore_errors=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def postgres(request):
    if request.config.getoption("--db") != "postgres":
        yield None
        return
    cluster = Postgres()
    yield cluster
    cluster.stop()


# ---- the server -------------------------------------------------------------------------------


class Server:
    """One store and the process that serves it; may be killed and started again."""

    prefix = []  # a command that runs the binary

    def __init__(self, postgres=None, config=None, **env):
        self.dir = tempfile.mkdtemp(prefix="cove-test-")
        self.data = os.path.join(self.dir, "data")
        self.errors = os.path.join(self.dir, "stderr")
        self.access = os.path.join(self.dir, "stdout")
        self.process = self.port = self.mirror_port = None
        self.args = []
        self.env = {"COVE_DATA": self.data, "COVE_LISTEN": "127.0.0.1:0",
                    "COVE_ADMIN_PASSWORD": PASSWORD}
        if postgres:
            key = os.path.join(self.dir, "key")
            with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write(secrets.token_hex(32) + "\n")
            self.env.update(COVE_DATABASE=postgres.database(), COVE_KEY_FILE=key)
        if config:
            path = os.path.join(self.dir, "cove.yml")
            with open(path, "w") as f:
                f.write(config)
            self.args = ["-c", path]
        self.env.update({k: str(v) for k, v in env.items()})
        self.start()

    def spawn(self):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("COVE_")}
        clean.update(self.env)
        clean.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        clean.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        with open(self.errors, "ab") as err, open(self.access, "ab") as out:
            return subprocess.Popen([*self.prefix, binary(), "serve", *self.args], env=clean, stdout=out,
                                    stderr=err, stdin=subprocess.DEVNULL)

    def start(self, wait=30):
        begin = os.path.getsize(self.errors) if os.path.exists(self.errors) else 0
        self.process = self.spawn()
        until = time.monotonic() + wait
        while time.monotonic() < until:
            said = self.stderr()[begin:]
            ready = re.search(r"ready on \w+://\S+:(\d+) in", said)
            mirror = re.search(r"mirror on \w+://\S+:(\d+)", said)
            if ready and (mirror or not self.env.get("COVE_MIRROR_LISTEN")):
                self.port = int(ready.group(1))
                self.mirror_port = int(mirror.group(1)) if mirror else None
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError("the server did not start:\n" + said)

    def stderr(self):
        with open(self.errors, errors="replace") as f:
            return f.read()

    def accesses(self):
        """The access log's lines as objects."""
        time.sleep(0.05)  # lines are written together, 5 ms after the first
        with open(self.access) as f:
            return [json.loads(line) for line in f if line.startswith("{")]

    def check(self):
        report = REPORTS.search(self.stderr())
        assert not report, self.stderr()[max(0, report.start() - 500):report.start() + 6000]
        assert self.process.poll() is None, f"died: {self.process.returncode}\n{self.stderr()[-4000:]}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, clean=True):
        """SIGTERM; it must end with 0 and without a report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(45)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        report = REPORTS.search(self.stderr())
        assert not report, self.stderr()[max(0, report.start() - 500):report.start() + 6000]
        if clean:
            assert self.process.returncode == 0, f"exit {self.process.returncode}\n{self.stderr()[-4000:]}"

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def waiting_pull(self, what, refusal=None):
        """`cove pull --wait`, and what it said of its waiting; without --wait it is refused in these words."""
        env, command = {**os.environ, **self.env}, [binary(), "pull", what]
        if refusal:
            refused = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
            assert refused.returncode == 1 and refusal in refused.stdout, refused
        waiting = subprocess.Popen([*command, "--wait"], env=env, stdout=subprocess.PIPE, text=True)
        return waiting, waiting.stdout.readline()

    # ---- principals ----

    @property
    def admin(self):
        return Client(self, "admin", self.env["COVE_ADMIN_PASSWORD"])

    @property
    def anonymous(self):
        return Client(self)

    def client(self, user, password):
        return Client(self, user, password)

    def bearer(self, token):
        return Client(self, token=token)

    def metrics(self):
        """Samples without labels, by name."""
        out = {}
        for line in self.anonymous.get("/metrics").body.decode().splitlines():
            m = re.match(r"([a-zA-Z_:]+) (-?[0-9.]+)$", line)
            if m:
                out[m.group(1)] = float(m.group(2))
        return out

    def statements(self, act):
        """How many SQL statements act() costs."""
        before = self.metrics()["cove_statements_total"]
        act()
        return int(self.metrics()["cove_statements_total"] - before)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of localhost, signed by itself."""
    where = tmp_path_factory.mktemp("tls")
    cert, key = str(where / "cert.pem"), str(where / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def cove_shared(postgres):
    server = Server(postgres)
    yield server
    try:
        server.stop()
    finally:
        server.remove()


@pytest.fixture
def cove(cove_shared):
    """A server that the tests of one file share."""
    yield cove_shared
    cove_shared.check()


@pytest.fixture
def start(postgres):
    """start(config=None, COVE_X=...): a server of the test's own."""
    servers = []

    def begin(config=None, **env):
        servers.append(Server(postgres, config, **env))
        return servers[-1]

    yield begin
    try:
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.remove()


@pytest.fixture
def tmpfs():
    """Mounts a file system of so many MiB and gives its place; skips where that is not allowed."""
    places = []

    def mount(mib):
        place = tempfile.mkdtemp(prefix="cove-disk-")
        if os.geteuid() or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", place],
                stderr=subprocess.DEVNULL, check=False).returncode:
            os.rmdir(place)
            pytest.skip("no right to mount")
        places.append(place)
        return place
    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=False)
        os.rmdir(place)


@pytest.fixture
def name():
    """A repository name in project library that no other test uses."""
    return "library/t" + secrets.token_hex(6)
