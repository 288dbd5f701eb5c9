"""Talking to strangers: whom the server connects to, what it tells them, how much it believes.
Tests carry the id of their row in the catalogue of abuse (S01-S09)."""
import base64
import os
import socket

import pytest

from proxied import Puller, config, eventually, proxy_of
from upstream import Upstream, digest_of

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def upstream():
    """upstream(**options): as many as a test needs."""
    made = []

    def make(**options):
        made.append(Upstream(**options))
        return made[-1]

    yield make
    for up in made:
        up.stop()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def with_credential(up, tmp_path, user="robot", password="s3cret", project="hub", **more):
    secret = tmp_path / f"{project}.secret"
    secret.write_text(password + "\n")
    return {"project": project, "upstream": up.url, "username": user,
            "password_file": str(secret), "public_with_credentials": "true", **more}


def refused(reply, *statuses):
    assert reply.status in (statuses or (403, 404, 502, 503, 504)), reply
    assert reply.status != 200


INNER = [
    "http://127.0.0.1:{port}", "http://127.1.2.3:{port}", "http://[::1]:{port}",
    "http://localhost:{port}", "http://169.254.169.254", "http://169.254.1.1", "http://[fe80::1]",
    "http://[fd00::1]", "http://[fd00:ec2::254]", "http://10.0.0.1", "http://172.16.0.1",
    "http://192.168.0.1", "http://100.64.0.1", "http://100.100.100.200", "http://0.0.0.0:{port}",
    "http://[::]:{port}", "http://[::ffff:127.0.0.1]:{port}", "http://[64:ff9b::7f00:1]:{port}",
    "http://[2002:7f00:1::]:{port}", "https://224.0.0.1", "https://255.255.255.255",
]
ODD = [
    "http://0:{port}", "http://2130706433:{port}", "http://0x7f000001:{port}",
    "http://0177.0.0.1:{port}", "http://127.1:{port}", "http://localhost.:{port}",
    "http://u:p@127.0.0.1:{port}", "http://example.com#@127.0.0.1", "ftp://example.com",
    "file:///etc/passwd", "gopher://127.0.0.1:70", "http://", "example.com\r\nX: y",
]


def test_S01_endpoints_inside_are_refused(cove, upstream):
    up = upstream()
    for n, url in enumerate(INNER + ODD):
        url = url.format(port=up.port)
        body = {"name": f"s01-{n}", "type": "docker-registry", "url": url}
        for path in ("/api/v2.0/registries", "/api/v2.0/registries/ping"):
            reply = cove.admin.post(path, json=body)
            assert reply.status == 400, (url, reply)
            if n < len(INNER):
                assert "outbound.allow" in reply.message, (url, reply)
    assert up.requests == [], "nobody was connected to"


def test_S01_refusal_tells_nothing(cove, upstream):
    """Open, closed and silent ports look the same."""
    up = upstream()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        said = set()
        for port in (up.port, closed.getsockname()[1]):
            for host in ("127.0.0.1", "localhost"):
                reply = cove.admin.post("/api/v2.0/registries/ping", json={
                    "type": "docker-registry", "url": f"http://{host}:{port}"})
                assert reply.status == 400
                said.add(reply.message.replace("localhost", "127.0.0.1"))
        assert {m.replace("the registry is unhealthy: ", "") for m in said} == \
            {"outbound.allow does not permit the address of 127.0.0.1"}


def test_S01_update_to_an_inner_address_is_refused(start, upstream):
    up, other = upstream(), upstream(host="127.0.0.2")
    cove = start(COVE_OUTBOUND_ALLOW="127.0.0.1/32")
    made = cove.admin.post("/api/v2.0/registries", json={
        "name": "inner", "type": "docker-registry", "url": up.url})
    assert made.status == 201, made
    where = made.headers["Location"]
    reply = cove.admin.put(where, json={"url": other.url})
    assert reply.status == 400 and "outbound.allow" in reply.message, reply
    assert cove.admin.get(where).json()["url"] == up.url
    assert other.requests == []


def test_S02_the_connected_address_counts(start, upstream):
    """A name that was fine once is vetted again on each connection."""
    up = upstream()
    up.add_image("x", "1")
    cove = start(COVE_OUTBOUND_ALLOW=f"{LOOPBACK},::1/128")
    made = cove.admin.post("/api/v2.0/registries", json={
        "name": "byname", "type": "docker-registry", "url": f"http://localhost:{up.port}"})
    assert made.status == 201, made
    registry = int(made.headers["Location"].rsplit("/", 1)[1])
    made = cove.admin.post("/api/v2.0/projects", json={
        "project_name": "hub", "registry_id": registry, "metadata": {"public": "true"}})
    assert made.status == 201, made
    assert Puller(cove).manifest("x", "1").status == 200
    cove.stop()
    del cove.env["COVE_OUTBOUND_ALLOW"]
    cove.start()
    up.add_image("x", "2")
    up.clear()
    refused(Puller(cove).manifest("x", "2"))
    assert up.requests == []


@pytest.mark.parametrize("target", [
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.2:{other}/cdn/{digest}",
    "http://10.0.0.1/x", "http://[::ffff:169.254.169.254]/", "http://2130706433:{other}/",
    "file:///etc/passwd", "gopher://127.0.0.1:{other}/x", "//127.0.0.2:{other}/cdn/{digest}",
    "http://u:p@127.0.0.2:{other}/", "/v2/x/blobs/{digest}",
])
def test_S03_redirects_are_vetted(start, upstream, target):
    up, other = upstream(), upstream(host="127.0.0.2")
    image = up.add_image("x", "1", [b"layer" * 100])
    other.blobs.update(up.blobs)
    cove = start(proxy_of(up))
    digest = image.layers[0]
    up.script("/blobs/", {"redirect": target.format(other=other.port, digest=digest), "times": 0})
    puller = Puller(cove)
    assert puller.manifest("x", "1").status == 200
    refused(puller.blob("x", digest))
    assert other.requests == []
    up.clear_scripts()
    eventually(lambda: puller.blob("x", digest).status == 200, 20)


def test_S03_no_way_from_https_to_http(start, upstream):
    up, other = upstream(tls=True), upstream(host="127.0.0.2")
    image = up.add_image("x", "1", [b"layer" * 100])
    other.blobs.update(up.blobs)
    cove = start(proxy_of(up, ca_file=up.cafile), COVE_OUTBOUND_ALLOW=LOOPBACK)
    puller = Puller(cove)
    assert puller.manifest("x", "1").status == 200
    up.script("/blobs/", {"redirect": f"{other.url}/cdn/{image.layers[0]}", "times": 0})
    refused(puller.blob("x", image.layers[0]))
    assert other.requests == []


def test_S04_credentials_stay_with_their_registry(start, upstream, tmp_path):
    evil = upstream(host="127.0.0.3")
    up = upstream(auth="bearer", token_server=evil)
    image = up.add_image("x", "1", [b"layer"])
    cove = start(config(with_credential(up, tmp_path)), COVE_OUTBOUND_ALLOW=LOOPBACK)
    Puller(cove).image("x", "1")  # an anonymous token does
    assert evil.count("GET", "/token") > 0
    assert all("authorization" not in r.headers for r in evil.requests)
    assert all("s3cret" not in r.path for r in evil.requests)
    assert image.digest


def test_S04_checked_on_every_challenge(start, upstream, tmp_path):
    """A realm that turns hostile later, and a /v2/ that moves away."""
    evil = upstream(host="127.0.0.3")
    up = upstream(auth="bearer", credentials=("robot", "s3cret"), anonymous=False)
    up.add_image("x", "1", [b"layer"])
    cove = start(config(with_credential(up, tmp_path)), COVE_OUTBOUND_ALLOW=LOOPBACK)
    puller = Puller(cove)
    puller.image("x", "1")
    asked = up.seen("GET", "/token")
    assert asked and asked[0].headers["authorization"] == basic("robot", "s3cret")
    up.expire_tokens()
    up.realm = evil.url + "/token"
    up.add_image("y", "1", [b"other"])
    refused(puller.manifest("y", "1"))
    assert evil.count("GET", "/token") > 0
    assert all("authorization" not in r.headers for r in evil.requests)
    evil.clear()
    up.script("/v2/y/", {"redirect": evil.url + "/v2/y/manifests/1", "times": 0})
    evil.auth, evil.realm = "bearer", evil.url + "/token"
    refused(puller.manifest("y", "1"))
    assert all("authorization" not in r.headers for r in evil.requests)


def test_S04_a_realm_inside_is_refused(start, upstream, tmp_path):
    evil = upstream(host="127.0.0.3")
    up = upstream(auth="bearer", token_server=evil)
    up.add_image("x", "1", [b"layer"])
    cove = start(config(with_credential(up, tmp_path)))
    refused(Puller(cove).manifest("x", "1"))
    assert evil.requests == []


def test_S05_redirected_blobs_carry_no_credential(start, upstream, tmp_path):
    cdn = upstream(host="127.0.0.2")
    up = upstream(auth="bearer", credentials=("robot", "s3cret"), anonymous=False, cdn=cdn)
    image = up.add_image("x", "1", [b"layer one", b"layer two"])
    cove = start(config(with_credential(up, tmp_path)), COVE_OUTBOUND_ALLOW=LOOPBACK)
    Puller(cove).image("x", "1")
    assert cdn.count("GET", image.layers[0]) == 1
    for r in cdn.requests:
        assert not {"authorization", "cookie", "proxy-authorization", "referer"} & set(r.headers), r
        assert "signature=s3cret" in r.path
    assert any(r.headers.get("authorization", "").startswith("Bearer ")
               for r in up.seen("GET", "/blobs/"))


def test_S06_two_credentials_on_one_host(start, upstream, tmp_path):
    up, spy = upstream(auth="basic"), upstream(host="127.0.0.4")
    want = {}
    entries = []
    for project, password in (("one", "first"), ("two", "second")):
        entries.append(with_credential(up, tmp_path, project, password, project, ns=[project]))
        want[project] = basic(project, password)
        for n in range(4):
            up.add_image(f"{project}/{n}", "1", [f"{project} {n}".encode()])
    cove = start(config(*entries), http_proxy=spy.url, HTTP_PROXY=spy.url, all_proxy=spy.url,
                 https_proxy=spy.url)
    pullers = {p: Puller(cove, p) for p in want}
    for n in range(4):
        for project, puller in pullers.items():
            puller.image(f"{project}/{n}", "1")
    for r in up.requests:
        project = r.path.split("/")[2]
        given = r.headers.get("authorization")
        assert given in (None, want[project]), (r, given)
        assert given or r.status == 401
    assert spy.requests == [], "no proxy from the environment"


def test_S06_a_new_credential_is_the_only_one_sent(start, upstream):
    up = upstream(auth="basic")
    cove = start(COVE_OUTBOUND_ALLOW=LOOPBACK)
    made = cove.admin.post("/api/v2.0/registries", json={
        "name": "x", "type": "docker-registry", "url": up.url,
        "credential": {"type": "basic", "access_key": "u", "access_secret": "old"}})
    assert made.status == 201, made
    where = made.headers["Location"]
    project = cove.admin.post("/api/v2.0/projects", json={
        "project_name": "hub", "registry_id": int(where.rsplit("/", 1)[1]),
        "metadata": {"public": "false"}})
    assert project.status == 201, project
    up.add_image("x", "1")
    assert cove.admin.get("/v2/hub/x/manifests/1").status == 200
    changed = cove.admin.put(where, json={"access_secret": "new"})
    assert changed.status == 200, changed
    up.clear()
    up.add_image("x", "2")
    assert cove.admin.get("/v2/hub/x/manifests/2").status == 200
    assert {r.headers.get("authorization") for r in up.requests} <= {None, basic("u", "new")}


def test_S06_through_the_configured_proxy(start, upstream, tmp_path):
    """Names are the proxy's to resolve; what they may be is still ours to say."""
    proxy = upstream(host="127.0.0.4", auth="basic")
    proxy.add_image("x", "1", [b"layer"])
    secret = tmp_path / "hub.secret"
    secret.write_text("s3cret")
    cove = start(config({"project": "hub", "upstream": "http://registry.example",
                         "username": "robot", "password_file": str(secret),
                         "public_with_credentials": "true"}), COVE_OUTBOUND_PROXY=proxy.url)
    Puller(cove).image("x", "1")
    assert all(r.path.startswith("http://registry.example/v2/x/") for r in proxy.requests)
    assert all("proxy-authorization" not in r.headers for r in proxy.requests)
    for url in ("http://localhost:1", "http://169.254.169.254", "http://metadata.google.internal",
                "http://intranet"):
        reply = cove.admin.post("/api/v2.0/registries/ping",
                                json={"type": "docker-registry", "url": url})
        assert reply.status == 400 and "outbound.allow" in reply.message, reply
    assert proxy.count(path_part="localhost") == proxy.count(path_part="metadata") == 0


def test_S07_urls_in_manifests_are_never_fetched(start, upstream):
    up, trap = upstream(), upstream(host="127.0.0.3")
    foreign = b"foreign layer"
    trap_url = f"{trap.url}/cdn/{digest_of(foreign)}"
    trap.blobs[digest_of(foreign)] = foreign
    payload = up.add_foreign_image("x", "1", foreign, trap_url)
    cove = start(proxy_of(up), COVE_OUTBOUND_ALLOW=LOOPBACK)
    puller = Puller(cove)
    assert puller.manifest("x", "1").body == payload
    refused(puller.blob("x", digest_of(foreign)))
    cove.admin.get("/api/v2.0/projects/hub/repositories/x/artifacts?with_label=true")
    assert trap.requests == []


def memory_of(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


@pytest.mark.parametrize("what,step", [
    ("headers", {"flood": 8 << 20}),
    ("interim answers", {"interim": 50}),
    ("an endless manifest", {"endless": True}),
    ("a manifest of 5 MiB", {"body": b"{" + b" " * (5 << 20) + b"}"}),
    ("deep JSON", {"body": b"[" * 200000}),
    ("a gzip body", {"headers": {"Content-Encoding": "gzip"}, "corrupt_at": 3}),
    ("another manifest", {"body": b'{"schemaVersion":2,"manifests":[]}'}),
])
def test_S09_what_an_upstream_may_send(start, upstream, what, step):
    up = upstream()
    up.add_image("x", "1", [b"layer"])
    up.add_image("y", "1", [b"layer"])
    cove = start(proxy_of(up))
    puller = Puller(cove)
    assert puller.manifest("y", "1").status == 200
    before = memory_of(cove)
    up.script("/v2/x/manifests/", {**step, "times": 0}, method="GET")
    reply = puller.manifest("x", "1", timeout=30)
    refused(reply, 502, 503, 504)
    assert memory_of(cove) - before < 64 << 20, what
    up.clear_scripts()
    cove.check()


def test_S09_endless_pages_of_tags(start, upstream):
    up = upstream()
    up.add_image("x", "1")
    cove = start(proxy_of(up))
    up.script("/v2/x/tags/list", {
        "body": b'{"tags":["a"]}', "times": 0,
        "headers": {"Link": '</v2/x/tags/list?last=a&n=1>; rel="next"'}})
    reply = Puller(cove).request("GET", "x", "tags/list", timeout=60)
    assert reply.status in (200, 404, 502), reply
    assert 0 < up.count("GET", "/tags/list") <= 200
    cove.check()


def test_S09_identity_only(start, upstream):
    """No cookies come back, nothing is asked compressed, nothing is decoded."""
    up = upstream()
    up.add_image("x", "1", [b"layer"])
    up.script("/", {"headers": {"Set-Cookie": "a=b", "Content-Encoding": "gzip"}, "times": 0})
    cove = start(proxy_of(up))
    Puller(cove).image("x", "1")
    for r in up.requests:
        assert "cookie" not in r.headers
        assert r.headers["accept-encoding"] == "identity"
        assert r.headers["user-agent"].startswith("cove/")


def test_certificates(start, upstream):
    """An unknown issuer is refused; ca_file adds to what is trusted; insecure is by endpoint."""
    up = upstream(tls=True)
    up.add_image("x", "1", [b"layer"])
    bare = start(proxy_of(up))
    refused(Puller(bare).manifest("x", "1"), 502, 503)
    assert up.requests == []
    Puller(start(proxy_of(up, ca_file=up.cafile))).image("x", "1")
    everywhere = start(COVE_OUTBOUND_ALLOW=LOOPBACK, COVE_OUTBOUND_CA_FILE=up.cafile)
    body = {"type": "docker-registry", "url": up.url}
    assert everywhere.admin.post("/api/v2.0/registries/ping", json=body).status == 200
    strict = start(COVE_OUTBOUND_ALLOW=LOOPBACK)
    reply = strict.admin.post("/api/v2.0/registries/ping", json=body)
    assert reply.status == 400 and "certificate" in reply.message, reply
    for more in ({"insecure": True}, {"ca_certificate": open(up.cafile).read()}):
        reply = strict.admin.post("/api/v2.0/registries/ping", json={**body, **more})
        assert reply.status == 200, reply


def test_secrets_are_not_logged(start, upstream, tmp_path):
    up = upstream(auth="bearer", credentials=("robot", "s3cret-9d2"), anonymous=False)
    up.add_image("x", "1", [b"layer"])
    cove = start(config(with_credential(up, tmp_path, password="s3cret-9d2")),
                 COVE_LOG_LEVEL="debug")
    puller = Puller(cove)
    puller.image("x", "1")
    up.credentials = ("robot", "changed")
    up.expire_tokens()
    up.add_image("x", "2", [b"layer"])
    refused(puller.manifest("x", "2"))
    said = cove.stderr() + open(cove.access).read()
    for secret in ("s3cret-9d2", basic("robot", "s3cret-9d2"), *up.tokens):
        assert secret not in said
    assert os.path.exists(cove.errors)
