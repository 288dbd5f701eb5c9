"""What the tests of the proxy cache share: upstreams that count, and pulls through a project."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from upstream import OCI_MANIFEST, Upstream, digest_of

ACCEPT = ", ".join([
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json"])


def config(*entries):
    """cove.yml with proxies; an entry is a dict of scalars and lists."""
    lines = ["proxies:"]
    for entry in entries:
        entry = {"type": "docker-registry", "public": "true", **entry}
        for i, (key, value) in enumerate(entry.items()):
            if isinstance(value, list):
                value = "[" + ", ".join(value) + "]"
            lines.append(f"  {'-' if i == 0 else ' '} {key}: {value}")
    return "\n".join(lines) + "\n"


def proxy_of(up, project="hub", **more):
    return config({"project": project, "upstream": up.url, **more})


class Puller:
    """Pulls as an anonymous client with a registry token, as clients do."""

    def __init__(self, server, project="hub"):
        self.server, self.project = server, project
        self.tokens = {}

    def token(self, repo):
        if repo not in self.tokens:
            self.tokens[repo] = self.server.anonymous.token(f"repository:{self.project}/{repo}:pull")
        return self.tokens[repo]

    def request(self, method, repo, rest, headers=None, **kw):
        sent = {"Authorization": "Bearer " + self.token(repo), "Accept": ACCEPT, **(headers or {})}
        return self.server.anonymous.request(method, f"/v2/{self.project}/{repo}/{rest}",
                                             headers=sent, **kw)

    def manifest(self, repo, ref, method="GET", **kw):
        return self.request(method, repo, f"manifests/{ref}", **kw)

    def blob(self, repo, digest, method="GET", **kw):
        return self.request(method, repo, f"blobs/{digest}", **kw)

    def image(self, repo, ref):
        """The manifest and everything in it, all verified; returns the manifest's reply."""
        reply = self.manifest(repo, ref)
        assert reply.status == 200, reply
        assert reply.headers["Docker-Content-Digest"] == digest_of(reply.body)
        body = reply.json()
        for d in [body["config"], *body["layers"]]:
            blob = self.blob(repo, d["digest"])
            assert blob.status == 200, blob
            assert digest_of(blob.body) == d["digest"]
        return reply


def set_metadata(server, project, **values):
    for key, value in values.items():
        path = f"/api/v2.0/projects/{project}/metadatas/"
        reply = server.admin.put(path + key, json={key: str(value)})
        if reply.status == 404:
            reply = server.admin.post(path, json={key: str(value)})
        assert reply.status in (200, 201), reply


def eventually(check, seconds=60):
    """What check() gives when it is true at last."""
    until = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found


def outcomes(server):
    return [a.get("upstream") for a in server.accesses() if "/manifests/" in a["path"]]


class DockerRegistry:
    """Debian's docker-registry with the scripted upstream's interface, as far as tests need it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cove-registry-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.netloc = f"127.0.0.1:{self.port}"
        self.log = os.path.join(self.dir, "log")
        self.begin = 0
        self.process = None
        with open(self.dir + "/config.yml", "w") as f:
            f.write("version: 0.1\nlog:\n  level: info\n  formatter: json\n  accesslog:\n"
                    "    disabled: true\nstorage:\n"
                    f"  filesystem:\n    rootdirectory: {self.dir}/data\n  delete:\n"
                    f"    enabled: true\nhttp:\n  addr: 127.0.0.1:{self.port}\n")
        self.up()

    def up(self):
        if self.process:
            return
        with open(self.log, "ab") as f:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", self.dir + "/config.yml"], stdout=f, stderr=f)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("docker-registry did not start")

    def down(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            r.read()
            return r
        finally:
            c.close()

    def add_blob(self, repo, data):
        d = digest_of(data)
        where = self.ask("POST", f"/v2/{repo}/blobs/uploads/").headers["Location"]
        path = where[where.index("/v2/"):]
        r = self.ask("PUT", f"{path}&digest={d}", data,
                     {"Content-Type": "application/octet-stream"})
        assert r.status == 201
        return d

    def add_image(self, repo, tag, layers=(b"layer",)):
        made = Upstream.__new__(Upstream)  # only its composing of manifests is wanted
        made.lock, made.repos, made.blobs, made.cdn = threading.RLock(), {}, {}, None
        image = made.add_image(repo, tag, layers)
        for data in made.blobs.values():
            self.add_blob(repo, data)
        r = self.ask("PUT", f"/v2/{repo}/manifests/{tag}", image.payload,
                     {"Content-Type": OCI_MANIFEST})
        assert r.status == 201
        return image

    def delete_tag(self, repo, tag):
        r = self.ask("HEAD", f"/v2/{repo}/manifests/{tag}", headers={"Accept": OCI_MANIFEST})
        digest = r.headers["Docker-Content-Digest"]
        assert self.ask("DELETE", f"/v2/{repo}/manifests/{digest}").status == 202

    def lines(self):
        with open(self.log) as f:
            f.seek(self.begin)
            for line in f:
                if "response completed" in line or "response error" in line:
                    yield json.loads(line)

    def count(self, method=None, path_part=""):
        time.sleep(0.15)  # its lines come after its answers
        found = {}
        for x in self.lines():
            found[x["http.request.id"]] = (x["http.request.method"], x["http.request.uri"])
        return sum(1 for m, uri in found.values()
                   if (not method or m == method) and path_part in uri)

    def clear(self):
        time.sleep(0.05)
        self.begin = os.path.getsize(self.log)


class Herd:
    """Many clients that read one body at the same time, each comparing every byte of it."""

    def __init__(self, port, path, token, count, want, leave=(), leave_at=0):
        self.want = memoryview(want)
        self.results = [None] * count  # (status, bytes, "whole" | "left" | "wrong" | "broken ...")
        self.gate = threading.Barrier(count)
        self.threads = [threading.Thread(target=self.run, args=(
            i, port, path, token, leave_at if i in leave else None)) for i in range(count)]
        for t in self.threads:
            t.start()

    def run(self, i, port, path, token, leave_at):
        self.gate.wait()
        got, status = 0, None
        piece = memoryview(bytearray(1 << 18))
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            c.request("GET", path, headers={"Authorization": "Bearer " + token, "Accept": ACCEPT})
            r = c.getresponse()
            status = r.status
            while n := r.readinto(piece):
                if self.want[got:got + n] != piece[:n]:
                    self.results[i] = (status, got, "wrong")
                    return
                got += n
                if leave_at is not None and got >= leave_at:
                    self.results[i] = (status, got, "left")
                    return
            whole = got == len(self.want)
            self.results[i] = (status, got, "whole" if whole else "broken: short")
        except (OSError, http.client.HTTPException) as e:
            self.results[i] = (status, got, f"broken: {type(e).__name__}")
        finally:
            c.close()

    def join(self, seconds=180):
        until = time.monotonic() + seconds
        for t in self.threads:
            t.join(max(0.1, until - time.monotonic()))
            assert not t.is_alive(), "a client hangs"
        return self.results
