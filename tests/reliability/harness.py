"""The real binary, killed at will: a server on its own store, and a small registry client."""
import glob
import hashlib
import http.client
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
from base64 import b64encode
from types import SimpleNamespace

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PASSWORD = "Correct-Horse-7"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def ended(*_):
    """Told to end, a proof leaves by its `finally`s: no server and no database stays behind."""
    raise SystemExit("ended from outside")


signal.signal(signal.SIGTERM, ended)


def binary():
    given = os.environ.get("COVE_BIN")
    for path in [given] if given else ["build/cove", "build/dev/cove", "build/asan/cove"]:
        path = os.path.join(ROOT, path)
        if os.access(path, os.X_OK):
            return path
    raise SystemExit("no binary: build first, or set COVE_BIN")


def compiled(source, name, *flags):
    """build/NAME from one C file of this folder, made again when its source is younger."""
    source = os.path.join(ROOT, "tests/reliability", source)
    made = os.path.join(ROOT, "build", name)
    if not os.path.exists(made) or os.path.getmtime(made) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(made), exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", made + ".new", source, *flags],
                       check=True)
        os.rename(made + ".new", made)
    return made


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Postgres:
    """A private cluster; it is never killed, only its clients are."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            raise SystemExit("no PostgreSQL server is installed")
        self.bin, self.dir = found[-1], tempfile.mkdtemp(prefix="cove-pg-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres")
        self.run("initdb", "-D", self.dir + "/db", "-U", "postgres", "-A", "trust", "-N")
        options = f"-p {self.port} -k {self.dir} -c listen_addresses=127.0.0.1"
        self.run("pg_ctl", "-D", self.dir + "/db", "-o", options, "-l", self.dir + "/log", "-w",
                 "start")
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "cove")
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/cove"

    def another(self, name):
        """An empty database of that name; what it held before is gone."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        self.run("dropdb", *where, "--if-exists", "--force", name)
        self.run("createdb", *where, name)
        return SimpleNamespace(url=self.url.rsplit("/", 1)[0] + "/" + name)

    def run(self, program, *args):
        command = [f"{self.bin}/{program}", *args]
        if os.geteuid() == 0:
            command = ["su", "postgres", "-s", "/bin/sh", "-c", shlex.join(command)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def stop(self):
        self.run("pg_ctl", "-D", self.dir + "/db", "-m", "immediate", "stop")
        shutil.rmtree(self.dir, ignore_errors=True)


class NotStarted(SystemExit):
    pass


class Server:
    """One store and the process that serves it."""

    def __init__(self, data, log, postgres=None, **env):
        self.data, self.log, self.process, self.port = data, log, None, None
        self.preload, self.before = {}, []  # of the server's process alone
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("COVE_")}
        self.env.update(COVE_DATA=data, COVE_LISTEN="127.0.0.1:0", COVE_ADMIN_PASSWORD=PASSWORD,
                        COVE_GC_INTERVAL_S="0", COVE_LOG_ACCESS="false")
        if postgres:
            key = log + ".key"
            with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write(secrets.token_hex(32) + "\n")
            self.env.update(COVE_DATABASE=postgres.url, COVE_KEY_FILE=key)
        self.env.update({k: str(v) for k, v in env.items()})

    def start(self, wait=60):
        begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.before, binary(), "serve"],
                                            env={**self.env, **self.preload}, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + wait
        said = ""
        while time.monotonic() < until and self.process.poll() is None:
            with open(self.log, errors="replace") as f:
                f.seek(begin)
                said = f.read()
            ready = re.search(r"ready on \w+://\S+:(\d+) in", said)
            if ready:
                self.port = int(ready.group(1))
                return
            time.sleep(0.005)
        with open(self.log, errors="replace") as f:
            f.seek(begin)
            said = f.read()
        raise NotStarted("the server did not start:\n" + said)

    def kill(self):
        """kill -9. A server that had died by itself is a failure of its own."""
        died = self.process.poll()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return died

    def command(self, *words):
        """Exit status and text of `cove WORDS...`."""
        done = subprocess.run([binary(), *words], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def ask(self, *words):
        """The same by the control socket, without a process: True when the command ended with 0."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(300)  # a collection under load takes its time
            s.connect(os.path.join(self.data, "cove.sock"))
            s.sendall((" " + " ".join(words) + "\n").encode())
            text = b""
            while part := s.recv(65536):
                text += part
        return text.endswith(b"exit 0\n")


class Gone(Exception):
    """The server went away in the middle: whether it did the work is not known."""


class Client:
    """One connection, one principal. Raises Gone when the server is not there."""

    def __init__(self, server):
        self.server, self.connection = server, None
        self.auth = "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()

    def request(self, method, path, body=None, **headers):
        if "://" in path:
            path = "/" + path.split("://", 1)[1].split("/", 1)[1]
        sent = {"Authorization": self.auth, **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port,
                                                             timeout=60)
            self.connection.request(method, path, body, sent)
            reply = self.connection.getresponse()
            return reply.status, dict((k.lower(), v) for k, v in reply.getheaders()), reply.read()
        except (OSError, http.client.HTTPException) as why:
            self.close()
            raise Gone(repr(why)) from why

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None
