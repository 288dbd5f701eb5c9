"""The servers of a benchmark: Cove on SQLite and on PostgreSQL, Debian's docker-registry (2.8) and
distribution v3, plain and TLS, as a registry and as a proxy cache. Each is one process, whose CPU
clock is read to the nanosecond; on PostgreSQL the database's processes count with it."""
import glob
import http.client
import os
import pathlib
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PASSWORD = "Bench-Password-1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
    return cert, key


def cpu_of(pid):
    """CPU-seconds of all threads of a process, those that ended too: its CPU clock (clock_getcpuclockid)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


class Database:
    """A PostgreSQL cluster with its defaults, so every commit is durable; None when none is installed."""

    def __init__(self, folder):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.folder, self.port, self.count = folder / "postgres", free_port(), 0
        self.folder.mkdir()
        os.chmod(folder, 0o755)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self.run("initdb", "-D", self.folder / "db", "-U", "postgres", "-A", "trust", "-N")
        self.run("pg_ctl", "-D", self.folder / "db", "-w", "-l", self.folder / "log", "start", "-o",
                 f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}")
        self.pid = int((self.folder / "db" / "postmaster.pid").read_text().split()[0])

    @classmethod
    def make(cls, folder):
        return cls(folder) if glob.glob("/usr/lib/postgresql/*/bin/initdb") else None

    def run(self, program, *args):
        command = shlex.join([f"{self.bin}/{program}", *map(str, args)])
        if os.getuid() == 0:
            command = f"su postgres -s /bin/sh -c {shlex.quote(command)}"
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd="/")

    def fresh(self):
        self.count += 1
        self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", f"cove{self.count}")
        return f"postgres://postgres@127.0.0.1:{self.port}/cove{self.count}"

    def cpu(self):
        used = 0.0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                text = pathlib.Path(path).read_text()
            except OSError:
                continue
            if int(text.rsplit(")", 1)[1].split()[1]) == self.pid:
                used += cpu_of(int(path.split("/")[2]))
        return used

    def stop(self):
        self.run("pg_ctl", "-D", self.folder / "db", "-m", "immediate", "stop")


class Bare:
    """A process that sends one file to whoever connects by one blocking sendfile each, with nothing around it:
    what a plain pull costs the kernel."""

    def __init__(self, path):
        self.path, self.listener = path, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.serve()
            finally:
                os._exit(1)

    def serve(self):
        size = os.path.getsize(self.path)
        while True:
            c = self.listener.accept()[0]
            c.recv(65536)
            c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            with open(self.path, "rb") as f:
                sent = 0
                while sent < size:
                    sent += os.sendfile(c.fileno(), f.fileno(), sent, size - sent)
            c.close()

    def cpu(self):
        return cpu_of(self.pid)

    def stop(self):
        self.listener.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Server:
    """A started server. name, port, tls; cpu(), rss(), connect(), stop()."""
    database = None  # for kind "pg"

    def __init__(self, kind, folder, tls=False, upstream=None, more=None):
        """more: further environment, for Cove alone."""
        self.more = more or {}
        self.kind, self.tls, self.port = kind, tls, free_port()
        self.ours = kind in ("cove", "pg")
        self.folder = folder / f"{kind}-{self.port}"
        self.folder.mkdir()
        cert = certificate(folder) if tls else None
        command, env = (self.cove if self.ours else self.distribution)(cert, upstream)
        self.log = open(self.folder / "log", "wb")
        self.command, self.env = [str(c) for c in command], {**os.environ, **env}
        self.start()
        self.repo = "hub/bench" if upstream and self.ours else "library/bench"

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.env, stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=self.folder)
        self.wait()
        self.start_seconds = time.monotonic() - began

    def cove(self, cert, upstream):
        env = {"COVE_DATA": str(self.folder / "data"), "COVE_LISTEN": f"127.0.0.1:{self.port}",
               "COVE_ADMIN_PASSWORD": PASSWORD, "COVE_MIRROR_LISTEN": "", **self.more}
        if self.kind == "pg":
            key = self.folder / "key"
            key.write_text("42" * 32)
            key.chmod(0o600)
            env["COVE_DATABASE"], env["COVE_KEY_FILE"] = self.database.fresh(), str(key)
        if cert:
            env["COVE_TLS_CERT"], env["COVE_TLS_KEY"] = str(cert[0]), str(cert[1])
        command = [ROOT / "build" / "cove", "serve"]
        if upstream:
            config = self.folder / "cove.yml"
            config.write_text(f"proxies:\n  - project: hub\n    upstream: {upstream}\n"
                              "    type: docker-registry\n    public: true\n")
            command += ["-c", config]
        return command, env

    def distribution(self, cert, upstream):
        tls = f", tls: {{certificate: {cert[0]}, key: {cert[1]}}}" if cert else ""
        proxy = f"proxy: {{remoteurl: {upstream}}}\n" if upstream else ""
        config = self.folder / "config.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}}}\n"
                          f"http: {{addr: 127.0.0.1:{self.port}{tls}}}\n{proxy}")
        binary = {"debian": "docker-registry", "v3": ROOT / "build" / "tools" / "registry"}[self.kind]
        return [binary, "serve", config], {"OTEL_TRACES_EXPORTER": "none"}

    def wait(self):
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.kind} ended: {(self.folder / 'log').read_text()[-2000:]}")
            try:
                c = self.connect()
                c.request("GET", "/v2/")
                c.getresponse().read()
                c.close()
                return
            except OSError:
                time.sleep(0.001)

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=120,
                                               context=ssl._create_unverified_context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def cpu(self):
        return cpu_of(self.process.pid) + (self.database.cpu() if self.kind == "pg" else 0)

    def rss_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.end()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
