"""S: what the registry asks of others, what it tells them, and how much it believes."""
import base64
import contextlib
import http.client
import time

from client import MANIFEST
from upstream import Upstream, digest_of

from . import own
from .world import Skip, case

INNER = [
    "http://169.254.169.254", "http://169.254.1.1", "http://[fe80::1]", "http://[fd00::1]",
    "http://[fd00:ec2::254]", "http://10.0.0.1", "http://172.16.0.1", "http://192.168.0.1",
    "http://100.64.0.1", "http://100.100.100.200", "http://0.0.0.0:{port}", "http://[::]:{port}",
    "http://[::1]:{port}", "http://[64:ff9b::a00:1]:{port}", "https://224.0.0.1", "https://255.255.255.255",
]
ODD = [
    "http://0:{port}", "http://2130706433:{port}", "http://0x7f000001:{port}", "http://0177.0.0.1:{port}",
    "http://127.1:{port}", "http://u:p@127.0.0.1:{port}", "http://example.com#@127.0.0.1",
    "ftp://example.com", "file:///etc/passwd", "gopher://127.0.0.1:70", "http://",
    "example.com\r\nX: y",
]
CREDENTIAL = ("robot", "s3cret")


def get(client, path):
    """A reply, or None when the connection was cut."""
    try:
        return client.get(path, headers={"Accept": MANIFEST}, timeout=20)
    except (OSError, http.client.HTTPException):
        return None


def failed(check, reply, *what):
    check(reply is None or reply.status >= 400, *what, "->", reply)


def silent(check, other, *what):
    """No credential reached it."""
    for r in other.requests:
        told = {"authorization", "cookie", "proxy-authorization"} & set(r.headers)
        check(not told and "s3cret" not in r.path.replace("signature=s3cret", ""), *what, r, told)
    check(True)


@contextlib.contextmanager
def upstreams(*options):
    made = []
    try:
        for more in options:
            made.append(Upstream(**more))
        yield made
    finally:
        for up in made:
            up.stop()


@case("S01", "endpoints inside: private, link-local, metadata, odd spellings (CVE-2020-13788)")
def inside(world, check):
    world.needs_api()
    with Upstream() as up:
        for url in INNER + ODD:
            url = url.format(port=up.port)
            for path in ("/registries", "/registries/ping"):
                body = {"name": world.unique("s"), "type": "docker-registry", "url": url}
                began = time.monotonic()
                reply = world.call("POST", path, body)
                check.status(reply, 400, path, url)
                check(time.monotonic() - began < 2, url, "was tried")
                if reply.status == 201:
                    world.made.append(("registry", int(reply.headers["Location"].rsplit("/", 1)[1])))
            if world.own:
                own.checks_inside(world, check, url)
        check(not up.requests, "somebody was connected to", up.requests[:1])


@case("S02", "a name that resolves to outside, then to inside (CVE-2026-22874)")
def rebinding(world, check):
    raise Skip("needs a name service of its own")


@case("S03", "redirects to inside, to other schemes (CVE-2026-2376)")
def redirected(world, check):
    for target in ("http://169.254.169.254/latest/meta-data/", "http://10.255.255.1/x",
                   "http://2130706433:{other}/", "file:///etc/passwd", "gopher://127.0.0.1:{other}/x",
                   "http://u:p@127.0.0.2:{other}/", "/v2/x/blobs/{digest}"):
        with upstreams({}, {"host": "127.0.0.2"}) as (up, other):
            image = up.add_image("x", "1", [b"layer" * 100])
            other.blobs.update(up.blobs)
            client, prefix = world.proxy(up)
            reply = get(client, f"/v2/{prefix}x/manifests/1")
            check(reply and reply.status == 200, "the manifest", reply)
            digest = image.layers[0]
            up.script("/blobs/", {"redirect": target.format(other=other.port, digest=digest), "times": 0})
            began = time.monotonic()
            failed(check, get(client, f"/v2/{prefix}x/blobs/{digest}"), target)
            check(time.monotonic() - began < 5, target, "took", time.monotonic() - began)
            check(up.count("GET", "/blobs/") <= 40, target, "followed", up.count("GET", "/blobs/"))
            if "10.255" not in target:
                check(not other.requests, target, other.requests[:1])


@case("S04", "a realm at another host gets no credential, at first or later (CVE-2026-33540)")
def realms(world, check):
    with upstreams({"host": "127.0.0.3"}) as (evil,):
        with upstreams({"auth": "bearer", "token_server": evil}) as (up,):
            up.add_image("x", "1", [b"layer"])
            client, prefix = world.proxy(up, CREDENTIAL)
            get(client, f"/v2/{prefix}x/manifests/1")
            silent(check, evil, "the first challenge")
    later = {"auth": "bearer", "credentials": CREDENTIAL, "anonymous": False}
    with upstreams({"host": "127.0.0.3"}, later) as (evil, up):
        up.add_image("x", "1", [b"layer"])
        up.add_image("y", "1", [b"other"])
        client, prefix = world.proxy(up, CREDENTIAL)
        reply = get(client, f"/v2/{prefix}x/manifests/1")
        check(reply and reply.status == 200, "a good realm", reply)
        up.expire_tokens()
        up.realm = evil.url + "/token"
        reply = get(client, f"/v2/{prefix}y/manifests/1")
        if world.strict:
            failed(check, reply, "a realm that turned hostile")
        silent(check, evil, "a later challenge")
        evil.clear()
        up.script("/v2/y/", {"redirect": evil.url + "/v2/y/manifests/1", "times": 0})
        evil.auth, evil.realm = "bearer", evil.url + "/token"
        get(client, f"/v2/{prefix}y/manifests/1")
        silent(check, evil, "by a redirect")


@case("S05", "a redirected blob carries no credential along (CVE-2026-50151)")
def redirected_blobs(world, check):
    with upstreams({"host": "127.0.0.2"}) as (cdn,):
        with upstreams({"auth": "bearer", "credentials": CREDENTIAL, "anonymous": False,
                        "cdn": cdn}) as (up,):
            image = up.add_image("x", "1", [b"layer one"])
            client, prefix = world.proxy(up, CREDENTIAL)
            reply = get(client, f"/v2/{prefix}x/manifests/1")
            check(reply and reply.status == 200, "the manifest", reply)
            reply = get(client, f"/v2/{prefix}x/blobs/{image.layers[0]}")
            check(reply and reply.body == b"layer one", "the blob", reply)
            check(cdn.count("GET", image.layers[0]) >= 1, "the CDN was asked")
            silent(check, cdn, "the CDN")


@case("S06", "two credentials on one host are never mixed (CVE-2022-22576)")
def two_credentials(world, check):
    world.needs_api()
    with Upstream(auth="basic") as up:
        want, pullers = {}, []
        for name in ("one", "two"):
            want[name] = "Basic " + base64.b64encode(f"{name}:word-{name}".encode()).decode()
            for n in range(4):
                up.add_image(f"{name}/{n}", "1", [f"{name} {n}".encode()])
            pullers.append((name, *world.proxy(up, (name, f"word-{name}"))))
        up.clear()
        for n in range(4):
            for name, client, prefix in pullers:
                reply = get(client, f"/v2/{prefix}{name}/{n}/manifests/1")
                check(reply and reply.status == 200, name, reply)
        for r in up.requests:
            name = r.path.split("/")[2]
            if name in want:
                check(r.headers.get("authorization") in (None, want[name]), r, r.headers)


@case("S07", "addresses in manifests are never fetched (CVE-2026-10517)")
def urls(world, check):
    with upstreams({}, {"host": "127.0.0.3"}) as (up, trap):
        foreign = b"foreign layer"
        target = f"{trap.url}/cdn/{digest_of(foreign)}"
        trap.blobs[digest_of(foreign)] = foreign
        payload = up.add_foreign_image("x", "1", foreign, target)
        client, prefix = world.proxy(up)
        reply = get(client, f"/v2/{prefix}x/manifests/1")
        check(reply and reply.body == payload, "the manifest", reply)
        failed(check, get(client, f"/v2/{prefix}x/blobs/{digest_of(foreign)}"), "the foreign layer")
        check(not trap.requests, "it was fetched", trap.requests[:1])


@case("S08", "webhooks: line ends, redirects, endless answers")
def webhooks(world, check):
    world.needs_api()
    world.route("GET", "/projects/library/webhook/events")
    raise Skip("needs a receiver")


@case("S09", "endless headers, bodies and pages of an upstream (CVE-2023-46737)")
def endless(world, check):
    with Upstream() as up:
        up.add_image("y", "1", [b"layer"])
        client, prefix = world.proxy(up)
        check(get(client, f"/v2/{prefix}y/manifests/1").status == 200, "a good one")
        before = world.memory() if world.pid and prefix else 0
        for n, (what, step) in enumerate([
                ("headers of 8 MiB", {"flood": 8 << 20}), ("50 interim answers", {"interim": 50}),
                ("an endless manifest", {"endless": True}),
                ("a manifest of 5 MiB", {"body": b"{" + b" " * (5 << 20) + b"}"}),
                ("deep JSON", {"body": b"[" * 200000}),
                ("another manifest", {"body": b'{"schemaVersion":2,"manifests":[]}'})]):
            up.add_image(f"x{n}", "1", [b"layer"])
            up.script(f"/v2/x{n}/manifests/", {**step, "times": 0}, method="GET")
            began = time.monotonic()
            failed(check, get(client, f"/v2/{prefix}x{n}/manifests/1"), what)
            check(time.monotonic() - began < 15, what, "took", time.monotonic() - began)
        up.script("/v2/y/tags/list", {"body": b'{"tags":["a"]}', "times": 0, "headers": {
            "Link": '</v2/y/tags/list?last=a&n=1>; rel="next"'}})
        get(client, f"/v2/{prefix}y/tags/list")
        check(up.count("GET", "/tags/list") <= 200, "endless pages:", up.count("GET", "/tags/list"))
        if before:
            grown = (world.memory() - before) >> 20
            check(grown < 64, f"memory grew by {grown} MiB")
        check(get(client, f"/v2/{prefix}y/manifests/1").status == 200, "others go on")
