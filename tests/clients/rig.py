"""What the outward tests share: Cove as a process, an upstream registry, a PostgreSQL cluster, a CA,
an image made on the spot. Everything lives in one temporary folder and ends with it."""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ADMIN, PASSWORD = "admin", "Clients-Password-1"
HOST = "cove.test"  # a name that no client treats as local
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tool(name):
    """A program built by tools/setup-go, one that COVE_TOOLS holds, or one of the system's."""
    for folder in (ROOT / "build" / "tools", os.environ.get("COVE_TOOLS")):
        if folder and os.access(pathlib.Path(folder) / name, os.X_OK):
            return str(pathlib.Path(folder) / name)
    return shutil.which(name)


def go_tool(name):
    """The same for programs that Debian lacks: built now when missing, which needs Go >= 1.26."""
    if not tool(name):
        subprocess.run([str(ROOT / "tools" / "setup-go"), name], check=False)
    return tool(name)


class Process:
    """A started program whose output goes to a file."""

    def __init__(self, name, folder, command, env=None, cwd=None):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in command], env={**os.environ, **(env or {})},
                                            stdout=out, stderr=subprocess.STDOUT, cwd=cwd or folder,
                                            stdin=subprocess.DEVNULL)

    def wait_until(self, ready, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended at its start:\n{self.tail()}")
            try:
                if ready():
                    return self
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise SystemExit(f"{self.name} is not ready after {seconds} s:\n{self.tail()}")

    def tail(self, n=3000):
        return self.log.read_text(errors="replace")[-n:]

    def stop(self, seconds=15):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


class Ca:
    """An own CA and a certificate for HOST and 127.0.0.1."""

    def __init__(self, folder):
        self.folder = folder / "ca"
        self.folder.mkdir()
        self.cert, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self.ca = self.folder / "ca.crt"
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        extensions = self.folder / "ext"
        extensions.write_text(f"subjectAltName=DNS:{HOST},IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        for command in (
                [*new, "-x509", "-days", "2", "-subj", "/CN=Cove test CA", "-keyout", "ca.key", "-out", "ca.crt"],
                [*new, "-subj", f"/CN={HOST}", "-keyout", "key.pem", "-out", "csr.pem"],
                ["openssl", "x509", "-req", "-in", "csr.pem", "-CA", "ca.crt", "-CAkey", "ca.key",
                 "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", "cert.pem"]):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        # What Go programs should trust: ours alone.
        self.bundle = self.ca


class Cove(Process):
    """`cove serve` with a configuration file and a store of its own."""

    def __init__(self, folder, name="cove", ca=None, proxies=(), mirror=False, database=""):
        binary = os.environ.get("COVE_BIN") or ROOT / "build" / "cove"
        if not os.access(binary, os.X_OK):
            raise SystemExit(f"{binary} is missing: run `make build` first")
        home = folder / name
        home.mkdir()
        self.port, self.mirror, self.ca = free_port(), free_port() if mirror else None, ca
        self.host = f"{HOST}:{self.port}" if ca else f"127.0.0.1:{self.port}"
        lines = ["proxies:"] if proxies else []
        for p in proxies:
            lines.append("  - " + json.dumps(p))
        (home / "cove.yml").write_text("\n".join([f"listen: 127.0.0.1:{self.port}", *lines]) + "\n")
        env = {"COVE_DATA": str(home / "data"), "COVE_ADMIN_PASSWORD": PASSWORD, "COVE_DATABASE": database,
               "COVE_MIRROR_LISTEN": f"127.0.0.1:{self.mirror}" if mirror else ""}
        if ca:
            env |= {"COVE_TLS_CERT": str(ca.cert), "COVE_TLS_KEY": str(ca.key)}
        if database:
            (home / "key").write_text(os.urandom(32).hex())
            (home / "key").chmod(0o600)
            env["COVE_KEY_FILE"] = str(home / "key")
        super().__init__(name, folder, [binary, "serve", "-c", home / "cove.yml"], env, home)
        self.wait_until(lambda: self.call("GET", "/readyz")[0] == 200)

    def call(self, method, path, body=None):
        """An API call as the administrator: status and body."""
        if self.ca:
            c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30,
                                            context=ssl.create_default_context(cafile=str(self.ca.ca)))
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        c.request(method, path, json.dumps(body) if body is not None else None, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data

    def create_project(self, name, public=False):
        status, data = self.call("POST", "/api/v2.0/projects",
                                 {"project_name": name, "metadata": {"public": str(public).lower()}})
        if status not in (201, 409):
            raise SystemExit(f"cannot create project {name}: {status} {data[:300]!r}")


class Upstream(Process):
    """Debian's docker-registry with an empty store."""

    def __init__(self, folder):
        self.port = free_port()
        home = folder / "upstream"
        home.mkdir()
        (home / "config.yml").write_text(
            "version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\n"
            f"storage: {{filesystem: {{rootdirectory: {home}/data}}}}\n"
            f"http: {{addr: 127.0.0.1:{self.port}}}\n")
        binary = shutil.which("docker-registry")
        if not binary:
            raise SystemExit("docker-registry is missing: tools/setup test installs it")
        super().__init__("upstream", folder, [binary, "serve", home / "config.yml"],
                         {"OTEL_TRACES_EXPORTER": "none"})
        self.wait_until(self.answers)

    def answers(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        c.request("GET", "/v2/")
        return c.getresponse().status == 200


class Postgres(Process):
    """A cluster of its own on a Unix socket."""

    def __init__(self, folder):
        bins = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                      key=lambda p: int(p.parts[-3]))
        if not bins:
            raise SystemExit("PostgreSQL is missing: tools/setup test installs it")
        home = pathlib.Path(tempfile.mkdtemp(prefix="cove-pg-"))
        self.home, bin_dir = home, bins[-1].parent
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.as_user:
            shutil.chown(home, "postgres")
        subprocess.run([*self.as_user, bin_dir / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust",
                        "-E", "UTF8", "--no-locale", "-N"], check=True, capture_output=True, cwd="/")
        super().__init__("postgres", folder, [*self.as_user, bin_dir / "postgres", "-D", home / "data", "-k", home,
                                              "-c", "listen_addresses=", "-c", "max_connections=60"], cwd="/")
        psql = [*self.as_user, bin_dir / "psql", "-h", home, "-U", "postgres", "-q"]
        self.wait_until(lambda: subprocess.run([*psql, "-c", "create database cove"], cwd="/",
                                               capture_output=True).returncode == 0)
        self.url = f"postgres://postgres@/cove?host={home}"

    def stop(self, seconds=15):
        # runuser does not pass signals on; the postmaster's own number is in its pid file
        try:
            pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)
            self.process.wait(seconds)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Layout:
    """An OCI layout that is being filled."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def close(self, entry):
        """entry becomes what the tag 1 stands for."""
        self.digest = entry["digest"]
        entry = {**entry, "annotations": {"org.opencontainers.image.ref.name": "1"}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


class Image(Layout):
    """A small image for linux as an OCI layout: a text and some bytes that do not compress."""

    def __init__(self, folder, name, seed, architecture="amd64"):
        super().__init__(folder / name)
        noise = random.Random(seed).randbytes(3 << 20)
        layers, diff_ids = [], []
        for files in ({"etc/motd": f"{name}\n".encode()}, {"opt/noise": noise}):
            raw = io.BytesIO()
            with tarfile.open(fileobj=raw, mode="w") as tar:
                for path, data in files.items():
                    info = tarfile.TarInfo(path)
                    info.size, info.mtime = len(data), 1700000000
                    tar.addfile(info, io.BytesIO(data))
            diff_ids.append("sha256:" + hashlib.sha256(raw.getvalue()).hexdigest())
            layers.append(self.blob(gzip.compress(raw.getvalue(), 1, mtime=0),
                                    "application/vnd.oci.image.layer.v1.tar+gzip"))
        config = {"architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
                  "config": {"Cmd": ["/bin/true"], "Labels": {"name": name}},
                  "rootfs": {"type": "layers", "diff_ids": diff_ids},
                  "history": [{"created": "2026-01-01T00:00:00Z", "created_by": name} for _ in layers]}
        self.config = self.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": self.config, "layers": layers}
        self.config_digest = self.config["digest"]
        self.entry = {**self.blob(json.dumps(manifest).encode(), OCI_MANIFEST),
                      "platform": {"os": "linux", "architecture": architecture}}
        self.close({k: v for k, v in self.entry.items() if k != "platform"})


class Index(Layout):
    """An image for amd64 and one for arm64 under one tag, as most images of Docker Hub are."""

    def __init__(self, folder, name, seed):
        first = Image(folder, name, seed)
        second = Image(folder, name, seed + 1, "arm64")  # into the same folder
        super().__init__(folder / name)
        self.config_digest = first.config_digest
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [first.entry, second.entry]}
        self.close(self.blob(json.dumps(index).encode(), OCI_INDEX))


def layout_digest(folder):
    """The digest behind the one tag of an OCI layout, whose blobs must all be there and whole."""
    blobs = folder / "blobs" / "sha256"
    for blob in blobs.iterdir():
        if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
            raise ValueError(f"{blob} does not have its digest")

    def follow(digest):
        root = json.loads((blobs / digest[7:]).read_text())
        for child in root.get("manifests", []):
            follow(child["digest"])
        for d in [root["config"], *root["layers"]] if "config" in root else []:
            if not (blobs / d["digest"][7:]).exists():
                raise ValueError(f"{d['digest']} is missing in {folder}")

    root = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    follow(root)
    return root
