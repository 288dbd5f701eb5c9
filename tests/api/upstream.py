"""A registry that misbehaves on demand, for tests of everything that talks to upstreams.

    up = Upstream()                                    # http on 127.0.0.1, a free port
    image = up.add_image("library/nginx", "1.27", [b"layer one", b"layer two"])
    up.script("/manifests/", {"status": 503, "times": 2}, {"delay": 1.5})
    ... up.count("GET", "/manifests/"), up.requests[-1].headers ...
    up.stop()                                          # or: with Upstream() as up:

Without a script it answers as a correct registry. A script belongs to a part of a path; its steps
are used up in order, each `times` times (default 1; 0 = for ever). A step changes what it names:

    status, headers, body   the answer itself (header value None = leave that header out)
    redirect                Location to send (status 307 unless given)
    delay                   seconds before the head
    rate                    bytes a second of the body
    stall                   seconds of silence after cut_at bytes (or at once); then it goes on
    cut_at                  close after so many bytes of the body (unless stall is given)
    rst                     True: reset instead of a clean close; without cut_at before the head
    corrupt_at              flip the byte at this offset of the whole blob or manifest
    no_length               True: no Content-Length, the close ends the body; "chunked": chunked
    length                  a Content-Length that lies
    ignore_range            True: 200 with the whole body although a Range was asked
    content_range           a Content-Range that lies
    wrong_digest_header     True: of other bytes; None: leave it out; or a text
    flood                   so many bytes of extra headers
    interim                 so many 103 answers first
    endless                 True: a body without end
    trailers                a text of trailers after a chunked body
    hold                    seconds that a connection stays open after a lying length
    do                      a function that is called before the answer is made
    times                   how often the step applies
"""
import base64
import hashlib
import http.server
import json
import os
import secrets
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
LIMIT_TEXT = ("You have reached your unauthenticated pull rate limit. "
              "https://www.docker.com/increase-rate-limit")


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Request:
    def __init__(self, method, path, headers):
        self.method, self.path = method, path
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.time = time.monotonic()
        self.status = None  # set when the head goes out
        self.sent = 0       # body bytes

    def __repr__(self):
        return f"{self.method} {self.path} -> {self.status} ({self.sent} bytes)"


class Image:
    """What add_image and add_index made."""

    def __init__(self, repo, tag, digest, media_type, payload, config=None, layers=()):
        self.repo, self.tag, self.digest, self.media_type = repo, tag, digest, media_type
        self.payload, self.config, self.layers = payload, config, list(layers)

    def descriptor(self, **more):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.payload),
                **more}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address, up):
        self.up = up
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        pass  # clients that hang up are a part of the tests

    def finish_request(self, request, client_address):
        if self.up.tls:
            request.settimeout(10)
            if self.up.tls_stall:
                request.recv(1 << 16)
                request.recv(1 << 16)  # until the client loses patience
                return
            request = self.up.tls.wrap_socket(request, server_side=True)
            request.settimeout(None)
        self.up.sockets.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self.up.sockets.discard(request)

    def server_bind(self):  # HTTPServer would ask the resolver for a name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class Upstream:
    """
    auth: None, "basic" or "bearer". credentials: (user, password) that are accepted; None = any.
    anonymous: whether a token without credentials may pull. token_server: another Upstream whose
    /token is the realm (default: this one). cdn: another Upstream that blobs are redirected to.
    ratelimit: pulls in a window; `remaining` counts down on each GET of a manifest, 429 at 0.
    """

    def __init__(self, host="127.0.0.1", tls=False, auth=None, credentials=None, anonymous=True,
                 token_server=None, token_ttl=300, cdn=None, ratelimit=None, port=0):
        self.host, self.auth, self.credentials = host, auth, credentials
        self.anonymous, self.token_server = anonymous, token_server or self
        self.token_ttl, self.cdn, self.page = token_ttl, cdn, 100
        self.realm, self.service = None, "test-registry"
        self.limit = self.remaining = ratelimit
        self.window, self.limit_source, self.retry_after = 21600, "203.0.113.7", None
        self.referrers, self.head_allowed = True, True
        self.lock = threading.RLock()
        self.requests, self.scripts, self.tokens, self.sockets = [], [], {}, set()
        self.repos, self.blobs = {}, {}
        self.tls, self.cafile, self.tls_dir = None, None, None
        self.tls_stall = False
        if tls:
            self.make_certificate(tls)
        self.server, self.port = None, port
        self.up()

    def make_certificate(self, kind):
        """A leaf of a CA of its own (cafile); kind: True, "expired", "wrong-host", "sha1" or
        "stall" (the handshake is never answered)."""
        self.tls_dir = tempfile.mkdtemp(prefix="upstream-tls-")
        self.tls_stall = kind == "stall"
        ca, ca_key, cert, key, request, more = (
            os.path.join(self.tls_dir, x)
            for x in ("ca.pem", "ca.key", "cert.pem", "key.pem", "request.pem", "extensions"))

        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2",
                "-subj", "/CN=test authority")
        openssl("req", "-new", *new, "-keyout", key, "-out", request, "-subj", "/CN=upstream")
        names = "DNS:elsewhere.example" if kind == "wrong-host" else f"IP:{self.host},DNS:localhost"
        with open(more, "w") as f:
            f.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                "-out", cert, "-extfile", more, "-days", "-1" if kind == "expired" else "2",
                "-sha1" if kind == "sha1" else "-sha256")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if kind == "sha1":
            self.tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        self.tls.load_cert_chain(cert, key)
        self.cafile = ca

    # life

    def up(self):
        """Listens (again, on the same port)."""
        if self.server:
            return
        self.server = Server((self.host, self.port), self)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        """Refuses connections and cuts those there are."""
        if not self.server:
            return
        server, self.server = self.server, None
        server.shutdown()
        server.socket.close()
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.down()
        if self.tls_dir:
            shutil.rmtree(self.tls_dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def netloc(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.netloc}"

    # content

    def repo(self, name):
        return self.repos.setdefault(name, {"tags": {}, "manifests": {}, "blobs": set()})

    def add_blob(self, repo, data):
        d = digest_of(data)
        with self.lock:
            self.repo(repo)["blobs"].add(d)
            self.blobs[d] = data
            if self.cdn:
                self.cdn.blobs[d] = data
        return d

    def put_manifest(self, repo, tag, payload, media_type):
        """Bytes as they are, under a tag (or None)."""
        d = digest_of(payload)
        with self.lock:
            self.repo(repo)["manifests"][d] = (payload, media_type)
            if tag:
                self.repo(repo)["tags"][tag] = d
        return d

    def add_image(self, repo, tag, layers=(b"layer",), config=None, docker=False, subject=None,
                  artifact_type=None, annotations=None, platform=("linux", "amd64")):
        """An image of these layers; returns Image with .digest, .payload, .layers (digests)."""
        if config is None:
            config = json.dumps({"architecture": platform[1], "os": platform[0],
                                 "rootfs": {"type": "layers",
                                            "diff_ids": [digest_of(x) for x in layers]}}).encode()
        media = DOCKER_MANIFEST if docker else OCI_MANIFEST
        kind = "application/vnd.docker." if docker else "application/vnd.oci."
        config_type = kind + ("container.image.v1+json" if docker else "image.config.v1+json")
        layer_type = kind + ("image.rootfs.diff.tar.gzip" if docker else "image.layer.v1.tar+gzip")
        body = {"schemaVersion": 2, "mediaType": media,
                "config": {"mediaType": config_type, "digest": self.add_blob(repo, config),
                           "size": len(config)},
                "layers": [{"mediaType": layer_type, "digest": self.add_blob(repo, x),
                            "size": len(x)} for x in layers]}
        if subject:
            body["subject"] = subject.descriptor() if isinstance(subject, Image) else subject
        if artifact_type:
            body["artifactType"] = artifact_type
        if annotations:
            body["annotations"] = annotations
        payload = json.dumps(body).encode()
        d = self.put_manifest(repo, tag, payload, media)
        return Image(repo, tag, d, media, payload, body["config"]["digest"],
                     [x["digest"] for x in body["layers"]])

    def add_foreign_image(self, repo, tag, layer, url):
        """An image whose one layer is said to be at url alone, and whose annotations name it, too;
        returns the manifest's bytes."""
        config = b'{"architecture":"amd64","os":"windows"}'
        payload = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": self.add_blob(repo, config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                        "digest": digest_of(layer), "size": len(layer), "urls": [url]}],
            "annotations": {"org.opencontainers.image.url": url,
                            "io.goharbor.artifact.v1alpha1.icon": url}}).encode()
        self.put_manifest(repo, tag, payload, OCI_MANIFEST)
        return payload

    def add_index(self, repo, tag, children, docker=False, platforms=None):
        """children: Images of this repository, one platform each."""
        media = DOCKER_LIST if docker else OCI_INDEX
        platforms = platforms or [("linux", a) for a in ("amd64", "arm64", "arm", "s390x")]
        body = {"schemaVersion": 2, "mediaType": media, "manifests": [
            child.descriptor(platform=dict(zip(("os", "architecture"),
                                               platforms[i % len(platforms)])))
            for i, child in enumerate(children)]}
        payload = json.dumps(body).encode()
        return Image(repo, tag, self.put_manifest(repo, tag, payload, media), media, payload)

    def move_tag(self, repo, tag, digest):
        with self.lock:
            self.repo(repo)["tags"][tag] = getattr(digest, "digest", digest)

    def delete_tag(self, repo, tag):
        with self.lock:
            self.repo(repo)["tags"].pop(tag, None)

    def delete_manifest(self, repo, digest):
        with self.lock:
            r = self.repo(repo)
            r["manifests"].pop(digest, None)
            r["tags"] = {t: d for t, d in r["tags"].items() if d != digest}

    def delete_blob(self, repo, digest):
        with self.lock:
            self.repo(repo)["blobs"].discard(digest)

    # tokens

    def expire_tokens(self):
        """Every token given so far is refused from now on."""
        with self.lock:
            self.token_server.tokens.clear()

    # behaviour

    def script(self, path_part, *steps, method=None):
        """Adds steps for requests whose path (with query) contains path_part."""
        with self.lock:
            self.scripts.append({"part": path_part, "method": method,
                                 "steps": [dict(s) for s in steps]})

    def clear_scripts(self):
        with self.lock:
            self.scripts.clear()

    def next_step(self, method, path):
        with self.lock:
            for s in self.scripts:
                if s["part"] not in path or (s["method"] and s["method"] != method):
                    continue
                if not s["steps"]:
                    continue
                step = s["steps"][0]
                left = step.get("times", 1)
                if left == 1:
                    s["steps"].pop(0)
                elif left > 1:
                    step["times"] = left - 1
                return step
        return {}

    # what was asked

    def count(self, method=None, path_part=""):
        with self.lock:
            return sum(1 for r in self.requests
                       if (not method or r.method == method) and path_part in r.path)

    def seen(self, method=None, path_part=""):
        with self.lock:
            return [r for r in self.requests
                    if (not method or r.method == method) and path_part in r.path]

    def clear(self):
        with self.lock:
            self.requests.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def do_POST(self):
        n = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(n)
        self.answer()

    do_PUT = do_PATCH = do_DELETE = do_POST

    def answer(self):
        up = self.server.up
        request = Request(self.command, self.path, self.headers)
        with up.lock:
            up.requests.append(request)
        self.record = request
        step = up.next_step(self.command, self.path)
        if "do" in step:
            step["do"]()
        if step.get("delay"):
            time.sleep(step["delay"])
        if step.get("rst") and "cut_at" not in step:
            self.hang_up(True)
            return
        status, headers, body = self.normal(step)
        if "redirect" in step:
            status, body = 307, b""
            headers = {"Location": step["redirect"]}
        if "status" in step:
            status = step["status"]
            if status >= 400 and "body" not in step:
                body = b'{"errors":[{"code":"UNKNOWN","message":"scripted"}]}'
                headers = {"Content-Type": "application/json"}
        if "body" in step:
            body = step["body"].encode() if isinstance(step["body"], str) else step["body"]
        for k, v in (step.get("headers") or {}).items():
            headers = {a: b for a, b in headers.items() if a.lower() != k.lower()}
            if v is not None:
                headers[k] = v
        self.send(step, status, headers, body)

    # the correct registry

    def normal(self, step):
        up = self.server.up
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        path = urllib.parse.unquote(url.path)
        if path == "/token":
            return self.token(query, urllib.parse.parse_qs(url.query).get("scope", []))
        if path.startswith("/cdn/"):
            return self.blob_bytes(up.blobs.get(path[len("/cdn/"):]), path[len("/cdn/"):], step)
        at = path.find("/v2/")
        if at < 0 and not path.endswith("/v2"):
            return self.error(404, "NOT_FOUND")
        rest = path[at + 4:] if at >= 0 else ""
        repo, kind, ref = self.split(rest)
        refused = self.check_auth(repo)
        if refused:
            return refused
        if not rest:
            return 200, {"Content-Type": "application/json"}, b"{}"
        if rest == "_catalog":
            return self.paged(sorted(up.repos), query, "/v2/_catalog", "repositories", {})
        if kind == "manifests":
            return self.manifest(repo, ref, step)
        if kind == "blobs":
            return self.blob(repo, ref, step)
        if kind == "tags":
            r = up.repos.get(repo)
            if not r:
                return self.error(404, "NAME_UNKNOWN")
            return self.paged(sorted(r["tags"]), query, f"/v2/{repo}/tags/list", "tags",
                              {"name": repo})
        if kind == "referrers" and up.referrers:
            return self.referrer_list(repo, ref, query.get("artifactType"))
        return self.error(404, "NOT_FOUND")

    @staticmethod
    def split(rest):
        for kind in ("manifests", "blobs", "referrers"):
            head, mark, ref = rest.rpartition(f"/{kind}/")
            if mark:
                return head, kind, ref
        if rest.endswith("/tags/list"):
            return rest[:-len("/tags/list")], "tags", ""
        return None, None, None

    @staticmethod
    def error(status, code, message="scripted upstream", headers=None):
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        return status, {"Content-Type": "application/json", **(headers or {})}, body

    def basic(self):
        value = self.headers.get("Authorization") or ""
        if not value.lower().startswith("basic "):
            return None
        user, _, password = base64.b64decode(value[6:]).decode().partition(":")
        return user, password

    def token(self, query, scopes):
        up = self.server.up
        given = self.basic()
        if given and up.credentials and given != tuple(up.credentials):
            return self.error(401, "UNAUTHORIZED")
        if not given and not up.anonymous:
            return self.error(401, "UNAUTHORIZED")
        token = secrets.token_urlsafe(32)
        with up.lock:
            up.tokens[token] = (time.monotonic() + up.token_ttl, scopes)
        body = json.dumps({"token": token, "access_token": token,
                           "expires_in": up.token_ttl}).encode()
        return 200, {"Content-Type": "application/json"}, body

    def check_auth(self, repo):
        up = self.server.up
        if not up.auth:
            return None
        if up.auth == "basic":
            given = self.basic()
            if given and (not up.credentials or given == tuple(up.credentials)):
                return None
            return self.error(401, "UNAUTHORIZED",
                              headers={"WWW-Authenticate": 'Basic realm="registry"'})
        value = self.headers.get("Authorization") or ""
        with up.lock:
            known = up.token_server.tokens.get(value[7:]) if value.startswith("Bearer ") else None
        scope = f"repository:{repo}:pull" if repo else None
        if known and known[0] > time.monotonic() and \
                (not scope or any(x.startswith(scope) for x in known[1])):
            return None
        realm = up.realm or up.token_server.url + "/token"
        challenge = f'Bearer realm="{realm}",service="{up.service}"'
        if scope:
            challenge += f',scope="{scope}"'
        return self.error(401, "UNAUTHORIZED", headers={"WWW-Authenticate": challenge})

    def limit_headers(self):
        up = self.server.up
        if up.limit is None:
            return {}
        return {"ratelimit-limit": f"{up.limit};w={up.window}",
                "ratelimit-remaining": f"{max(up.remaining, 0)};w={up.window}",
                "docker-ratelimit-source": up.limit_source}

    def manifest(self, repo, ref, step):
        up = self.server.up
        with up.lock:
            r = up.repos.get(repo)
            digest = ref if ref.startswith("sha") else (r or {"tags": {}})["tags"].get(ref)
            found = r["manifests"].get(digest) if r else None
            if self.command == "HEAD" and not up.head_allowed:
                return self.error(405, "UNSUPPORTED")
            if up.limit is not None and self.command == "GET" and found:
                if up.remaining <= 0:
                    extra = {"Retry-After": str(up.retry_after)} if up.retry_after else {}
                    return self.error(429, "TOOMANYREQUESTS", LIMIT_TEXT,
                                      {**self.limit_headers(), **extra})
                up.remaining -= 1
            if not found:
                return self.error(404, "MANIFEST_UNKNOWN", headers=self.limit_headers())
        payload, media_type = found
        return 200, {"Content-Type": media_type, "ETag": f'"{digest}"',
                     **self.digest_header(digest, step), **self.limit_headers()}, \
            self.corrupt(payload, step)

    @staticmethod
    def digest_header(digest, step):
        wrong = step.get("wrong_digest_header", False)
        if wrong is None:
            return {}
        if wrong is True:
            digest = digest_of(b"something else")
        elif wrong:
            digest = wrong
        return {"Docker-Content-Digest": digest}

    @staticmethod
    def corrupt(data, step):
        at = step.get("corrupt_at")
        if at is None or not data:
            return data
        at %= len(data)
        return data[:at] + bytes([data[at] ^ 0xff]) + data[at + 1:]

    def blob(self, repo, ref, step):
        up = self.server.up
        with up.lock:
            r = up.repos.get(repo)
            data = up.blobs.get(ref) if r and ref in r["blobs"] else None
        if data is None:
            return self.error(404, "BLOB_UNKNOWN")
        if up.cdn and self.command == "GET":
            return 307, {"Location": f"{up.cdn.url}/cdn/{ref}?signature=s3cret"}, b""
        return self.blob_bytes(data, ref, step)

    def blob_bytes(self, data, digest, step):
        if data is None:
            return self.error(404, "BLOB_UNKNOWN")
        data = self.corrupt(data, step)
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes",
                   **self.digest_header(digest, step)}
        asked = self.headers.get("Range")
        if not asked or step.get("ignore_range") or not asked.startswith("bytes="):
            return 200, headers, data
        first, _, last = asked[len("bytes="):].partition("-")
        first, end = int(first), min(int(last) + 1 if last else len(data), len(data))
        if first >= len(data) or first >= end:
            return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
        headers["Content-Range"] = step.get("content_range",
                                            f"bytes {first}-{end - 1}/{len(data)}")
        return 206, headers, data[first:end]

    def paged(self, names, query, path, key, more):
        up = self.server.up
        n = int(query.get("n") or up.page)
        last = query.get("last")
        names = [x for x in names if not last or x > last]
        headers = {"Content-Type": "application/json"}
        if len(names) > n:
            names = names[:n]
            q = urllib.parse.urlencode({"n": n, "last": names[-1] if names else ""})
            headers["Link"] = f'<{path}?{q}>; rel="next"'
        return 200, headers, json.dumps({**more, key: names}).encode()

    def referrer_list(self, repo, subject, artifact_type):
        up = self.server.up
        found = []
        with up.lock:
            manifests = dict((up.repos.get(repo) or {"manifests": {}})["manifests"])
        for digest, (payload, media_type) in manifests.items():
            try:
                body = json.loads(payload)
            except ValueError:
                continue
            if (body.get("subject") or {}).get("digest") != subject:
                continue
            kind = body.get("artifactType") or (body.get("config") or {}).get("mediaType")
            if artifact_type and kind != artifact_type:
                continue
            found.append({"mediaType": media_type, "digest": digest, "size": len(payload),
                          "artifactType": kind, "annotations": body.get("annotations") or {}})
        headers = {"Content-Type": OCI_INDEX}
        if artifact_type:
            headers["OCI-Filters-Applied"] = "artifactType"
        return 200, headers, json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX,
                                         "manifests": found}).encode()

    # the wire

    def hang_up(self, reset):
        self.close_connection = True
        try:
            self.wfile.flush()
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
                socket.socket.close(self.connection)
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def send(self, step, status, headers, body):
        lines = []
        for _ in range(step.get("interim", 0)):
            lines.append("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
        reason = http.server.BaseHTTPRequestHandler.responses.get(status, ("Scripted",))[0]
        lines.append(f"HTTP/1.1 {status} {reason}\r\n")
        lines += [f"{k}: {v}\r\n" for k, v in headers.items()]
        open_end = step.get("no_length") or step.get("endless")
        if open_end == "chunked":
            lines.append("Transfer-Encoding: chunked\r\n")
        elif open_end:
            lines.append("Connection: close\r\n")
            self.close_connection = True
        elif status not in (204, 304):
            lines.append(f"Content-Length: {step.get('length', len(body))}\r\n")
        self.record.status = status
        try:
            self.wfile.write("".join(lines).encode("latin-1"))
            self.flood(step.get("flood", 0))
            self.wfile.write(b"\r\n")
            if self.command != "HEAD" and status not in (204, 304):
                self.send_body(step, body, open_end == "chunked")
            if "length" in step and step["length"] != len(body):
                self.wfile.flush()
                time.sleep(step.get("hold", 0))
                self.hang_up(False)
        except OSError:
            self.close_connection = True

    def flood(self, n):
        line = b"X-Flood: " + b"f" * 989 + b"\r\n"
        while n > 0:
            self.wfile.write(line)
            n -= len(line)

    def put(self, data, chunked):
        if chunked and data:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        else:
            self.wfile.write(data)
        self.record.sent += len(data)

    def paced(self, data, rate, chunked):
        if not rate:
            for at in range(0, len(data), 1 << 16):
                self.put(data[at:at + (1 << 16)], chunked)
            return
        slice_size = max(1, int(rate / 20))
        for at in range(0, len(data), slice_size):
            self.put(data[at:at + slice_size], chunked)
            time.sleep(slice_size / rate)

    def send_body(self, step, body, chunked):
        while step.get("endless"):
            self.put(body or b"x" * 65536, False)
        rate, cut = step.get("rate"), step.get("cut_at")
        if "stall" in step:
            self.paced(body[:cut or 0], rate, chunked)
            self.wfile.flush()
            time.sleep(step["stall"])
            self.paced(body[cut or 0:], rate, chunked)
        elif cut is not None:
            self.paced(body[:cut], rate, chunked)
            self.hang_up(bool(step.get("rst")))
            return
        else:
            self.paced(body, rate, chunked)
        if chunked:
            self.wfile.write(b"0\r\n" + step.get("trailers", "").encode() + b"\r\n")
