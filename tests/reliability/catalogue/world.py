"""A registry under abuse: who its clients are, raw sockets to it, and how a case is judged."""
import http.client
import json
import secrets
import socket
import ssl
import time
import urllib.parse

from client import MANIFEST, Client, descriptor

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PASSWORD = "Secret-word-1"
CASES = []


class Skip(Exception):
    """Why a case does not apply to this registry."""


def case(number, title, last=False, slow=False):
    """Adds a case. last: it slows down the address it comes from; slow: more than five seconds."""
    def add(function):
        function.id, function.title, function.last, function.slow = number, title, last, slow
        CASES.append(function)
        CASES.sort(key=lambda f: (f.last, "ATQSCH".index(f.id[0]), f.id))
        return function
    return add


class Check:
    """What a case found: check(truth, what it was) for each demand."""

    def __init__(self):
        self.passed, self.failed = 0, []

    def __call__(self, truth, *what):
        if truth:
            self.passed += 1
        else:
            self.failed.append(" ".join(str(w) for w in what)[:300])
        return truth

    def status(self, reply, wanted, *what):
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        return self(reply.status in wanted, *what, "->", reply.status, reply.body[:100])


def run_case(world, one):
    """("passed" | "failed" | "not applicable", demands met, what was not met or the reason)."""
    check = Check()
    try:
        one(world, check)
    except Skip as why:
        if not check.passed and not check.failed:
            return "not applicable", 0, [str(why)]
    except (AssertionError, OSError, KeyError, ValueError, http.client.HTTPException) as why:
        check(False, f"{type(why).__name__}: {why}")
    try:
        check(world.admin.get("/v2/", timeout=20).status == 200, "it answers afterwards")
    except (OSError, http.client.HTTPException) as why:
        check(False, f"it answers afterwards: {why}")
    return "failed" if check.failed else "passed", check.passed, check.failed


class Answer:
    """What came back on a raw socket until its end."""

    def __init__(self, data, seconds, closed):
        self.data, self.seconds, self.closed = data, seconds, closed
        self.head, _, self.body = data.partition(b"\r\n\r\n")
        self.replies = data.count(b"HTTP/1.1 ") + data.count(b"HTTP/1.0 ")
        first = self.head.split(b" ", 2)
        self.status = int(first[1]) if len(first) > 1 and first[1][:3].isdigit() else 0


class World:
    """strict: it is Cove, and also what only Cove promises is demanded."""

    def __init__(self, url, user=None, password=None, name="docker-registry", tls_url=None,
                 proxy=None, pid=None, log=None, strict=False):
        place = urllib.parse.urlsplit(url)
        self.url, self.name, self.strict, self.pid, self.log = url, name, strict, pid, log
        self.host, self.tls = place.hostname, None
        self.port = place.port or (443 if place.scheme == "https" else 80)
        if place.scheme == "https":
            self.tls = ssl._create_unverified_context()
        self.tls_url = tls_url or (url if self.tls else None)
        self.user, self.password, self.start_proxy = user, password, proxy
        self.admin = self.client(user, password)
        self.anonymous = self.client()
        self.accounts = self.anonymous.get("/v2/").status == 401
        self.own = self.anonymous.get("/api/cove/v1/projects").status == 401
        self.api = self.anonymous.get("/api/v2.0/ping").body == b"Pong"
        self.made = []

    def client(self, user=None, password=None, token=None, source=None):
        return Client(self, user, password, token=token, tls=self.tls, source=source)

    # ---- what a case needs -------------------------------------------------------------------

    def needs_api(self):
        if not self.api:
            raise Skip("no users, projects or roles")

    def needs_accounts(self):
        if not self.accounts:
            raise Skip("no accounts: everything is open")

    def needs_tokens(self):
        self.needs_api()

    def needs_pid(self):
        if not self.pid:
            raise Skip("the process is not ours to look at")

    def route(self, method, path):
        """Skips when the registry says that this operation does not exist."""
        reply = self.admin.request(method, "/api/v2.0" + path, json={})
        if reply.status in (404, 405, 501):
            raise Skip(f"no {method} {path} here")

    # ---- things that are made and taken away ---------------------------------------------------

    def unique(self, stem="abuse"):
        return stem + secrets.token_hex(5)

    def repo(self):
        return "library/" + self.unique()

    def call(self, method, path, body=None, by=None, **kw):
        if body is not None:
            kw["json"] = body
        return (by or self.admin).request(method, "/api/v2.0" + path, **kw)

    def new_user(self, role=None, project=None, **more):
        name = self.unique("u")
        made = self.call("POST", "/users", {"username": name, "password": PASSWORD, "realname": name,
                                            "email": f"{name}@example.com", **more})
        assert made.status == 201, made
        user = self.client(name, PASSWORD)
        user.user_id = int(made.headers["Location"].rsplit("/", 1)[1])
        self.made.append(("user", user.user_id))
        if role:
            self.add_member(project, user, role)
        return user

    def add_member(self, project, user, role):
        made = self.call("POST", f"/projects/{project}/members",
                         {"role_id": role, "member_user": {"username": user.user}})
        assert made.status == 201, made
        return int(made.headers["Location"].rsplit("/", 1)[1])

    def new_project(self, **body):
        name = self.unique("p")
        made = self.call("POST", "/projects", {"project_name": name, **body})
        assert made.status == 201, made
        self.made.append(("project", name))
        return name

    def new_robot(self, project, *pairs, by=None, **body):
        """(reply, the robot's client when it was made)."""
        made = self.call("POST", "/robots", {
            "name": self.unique("r"), "level": "project", "duration": -1, "permissions": [
                {"kind": "project", "namespace": project,
                 "access": [{"resource": r, "action": a} for r, a in pairs]}], **body}, by)
        robot = None
        if made.status == 201:
            robot = self.client(made.json()["name"], made.json()["secret"])
            robot.id = made.json()["id"]
            self.made.append(("robot", robot.id))
        return made, robot

    def token(self, client, *scopes):
        return self.client(token=client.token(*scopes))

    def proxy(self, upstream, credential=None):
        """(client, prefix of names) of a proxy of this upstream; Skip when there can be none."""
        if self.start_proxy:
            return self.start_proxy(upstream.url, credential), ""
        self.needs_api()
        body = {"name": self.unique("reg"), "type": "docker-registry", "url": upstream.url}
        if credential:
            body["credential"] = {"type": "basic", "access_key": credential[0],
                                  "access_secret": credential[1]}
        made = self.call("POST", "/registries", body)
        if made.status == 400 and b"outbound" in made.body:
            raise Skip("it does not connect to loopback addresses")
        assert made.status == 201, made
        number = int(made.headers["Location"].rsplit("/", 1)[1])
        self.made.append(("registry", number))
        return self.admin, self.new_project(registry_id=number) + "/"

    def clean(self):
        """Takes away what was made in projects, users, robots, registries; repositories with them."""
        for kind, what in reversed(self.made):
            if kind == "project":
                listed = self.call("GET", f"/projects/{what}/repositories?page_size=100")
                for r in listed.json() if listed.status == 200 else []:
                    name = r["name"].split("/", 1)[1].replace("/", "%252F")
                    self.call("DELETE", f"/projects/{what}/repositories/{name}")
            self.call("DELETE", f"/{kind if kind == 'registry' else kind}s/{what}".replace(
                "registrys", "registries"))
        self.made.clear()

    # ---- raw sockets ---------------------------------------------------------------------------

    def dial(self, receive=None, timeout=10, url=None):
        place = urllib.parse.urlsplit(url or self.url)
        s = socket.socket(socket.AF_INET6 if ":" in place.hostname else socket.AF_INET)
        s.settimeout(timeout)
        if receive:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.connect((place.hostname, place.port or (443 if place.scheme == "https" else 80)))
        if place.scheme == "https" and not url:
            s = self.tls.wrap_socket(s)
        return s

    def auth(self):
        given = self.admin.headers.get("Authorization")
        return f"Authorization: {given}\r\n".encode() if given else b""

    def ask(self, request, half_close=False, timeout=3):
        """Sends these bytes; the Answer is all that comes until the end, or until silence."""
        began = time.monotonic()
        with self.dial(timeout=timeout) as s:
            try:
                s.sendall(request)
                if half_close and not self.tls:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            data, closed = hear(s)
        return Answer(data, time.monotonic() - began, closed)

    def memory(self):
        """Bytes that the process holds."""
        self.needs_pid()
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))

    def good(self):
        """An image's manifest of one config and no layers."""
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"{}", CONFIG),
                "layers": []}

    def put_manifest(self, repo, payload, media_type=MANIFEST, reference="bad", client=None):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        return (client or self.admin).put(
            f"/v2/{repo}/manifests/{reference}", payload,
            headers={"Content-Type": media_type} if media_type else {})


def hear(s):
    """(all until the end or until silence, whether it ended)."""
    data = b""
    try:
        while part := s.recv(65536):
            data += part
    except TimeoutError:
        return data, False
    except OSError:
        pass
    return data, True

