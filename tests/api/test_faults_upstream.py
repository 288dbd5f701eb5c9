"""The fault matrix, second part: an upstream that refuses, limits, fails, hangs, cannot be found or
cannot be trusted. Tests carry the id of their row."""
import email.utils
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import conftest
from faulted import LOOPBACK, SECRET, SIZE, USER, blob_bytes, digest_of, make_rig, rig  # noqa: F401
from faulted import whole_and_right
from proxied import Puller, config, eventually
from upstream import Upstream


@pytest.fixture
def cached(rig):
    """The rig with team/app:1 in the cache and an empty record; the image."""
    rig.image = rig.add()
    rig.pull()
    rig.clear()
    return rig


def served_stale(rig, seconds=3.5, ref="1"):
    got = rig.manifest(ref)
    assert (got.status, got.body) == (200, rig.image.payload), got
    assert got.headers["Warning"].startswith("110"), got
    assert got.seconds < seconds, "a cached tag is not waited for"
    return got


def retry_after(kind, seconds):
    return str(seconds) if kind == "seconds" else email.utils.formatdate(time.time() + seconds,
                                                                         usegmt=True)


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_F05_a_limit_with_a_time(cached, kind):
    rig = cached
    rig.up.script("/v2/", {"status": 429, "headers": {"Retry-After": retry_after(kind, 4)}})
    got = rig.manifest("2")
    assert got.status == 429, got
    begun = time.monotonic()
    wait = int(got.headers["Retry-After"])
    assert wait == 4 if kind == "seconds" else 2 <= wait <= 4
    asked = rig.up.count()
    served_stale(rig)
    for what in (rig.manifest("3"), rig.manifest("3", repo="other/app"),
                 rig.blob(digest_of(b"unknown"))):
        assert what.status == 429 and 1 <= int(what.headers["Retry-After"]) <= 4, what
    if time.monotonic() - begun < wait - 1:
        assert rig.up.count() == asked == 1, "nothing is asked before the time"
    time.sleep(max(0.0, begun + wait + 0.1 - time.monotonic()))
    rig.add("2")
    eventually(lambda: rig.manifest("2").status == 200)
    assert "Warning" not in rig.manifest().headers


@pytest.mark.parametrize("host", ["registry", "cdn", "tokens"])
def test_F05_wherever_it_comes_from(make_rig, host):
    rig = make_rig()
    data = blob_bytes("limited")
    rig.add(layers=[data])
    step = {"status": 429, "headers": {"Retry-After": "30"}}
    if host == "tokens":
        rig.tokens.script("/token", step)
        got = rig.manifest()
    else:
        assert rig.manifest().status == 200
        (rig.cdn if host == "cdn" else rig.up).script("/", step, method="GET")
        got = rig.blob(digest_of(data))
    assert got.status == 429, got
    assert 28 <= int(got.headers["Retry-After"]) <= 30


def test_F05_a_short_wait_in_a_flight(rig):
    data = blob_bytes("short")
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.cdn.script("/cdn/", {"cut_at": SIZE // 2},
                   {"status": 429, "headers": {"Retry-After": "1"}}, method="GET")
    whole_and_right(rig.blob(digest_of(data)), data)


def test_F06_a_limit_without_a_time(cached):
    rig = cached
    rig.up.script("/v2/", {"status": 429, "times": 0})
    got = rig.manifest("2")
    assert got.status == 429 and int(got.headers["Retry-After"]) >= 1, got
    served_stale(rig)
    for _ in range(30):
        assert rig.manifest("2").status == 429
    assert rig.up.count() <= 10, "it backs off by itself"
    rig.up.clear_scripts()
    rig.add("2")
    eventually(lambda: rig.manifest("2").status == 200, 30)


def test_F06_one_try_when_the_time_is_over(cached):
    rig = cached
    rig.up.script("/v2/", {"status": 429})
    rig.manifest("2")
    time.sleep(1.1)  # the first pause is a second at most
    rig.up.clear()
    rig.add("2")
    rig.up.script("/v2/", {"status": 429, "delay": 0.5})
    threads = [threading.Thread(target=rig.manifest, args=("2",)) for _ in range(10)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    assert rig.up.count() <= 1, "half-open: one goes first"
    for t in threads:
        t.join()


@pytest.mark.parametrize("at", [None, 0, 1, SIZE // 2, SIZE - 1],
                         ids=["before", "0", "1", "half", "size-1"])
@pytest.mark.parametrize("status", [401, 403])
def test_F07_a_token_that_runs_out(rig, at, status):
    """Between manifest and blob, and in the middle of a blob: one new token, and on."""
    data = blob_bytes("token")
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.tokens.clear()
    if status == 403:  # such registries do not even challenge
        rig.up.script("/blobs/", {}, *([] if at is None else [{}]), method="GET")
        steps = [{"status": 403}] if at is None else [{}, {"status": 403}]
        rig.up.clear_scripts()
        rig.up.script("/blobs/", *steps, method="GET")
    if at is not None:
        rig.cdn.script("/cdn/", {"cut_at": at, "do": rig.up.expire_tokens}, method="GET")
    else:
        rig.up.expire_tokens()
    whole_and_right(rig.blob(digest_of(data)), data)
    assert rig.tokens.count("GET", "/token") <= 2
    assert all(a["status"] != 401 for a in rig.cove.accesses() if "/blobs/" in a["path"])


def test_F07_one_new_token_for_all(rig):
    images = [rig.add(str(i), [b"layer %d" % i]) for i in range(12)]
    assert rig.manifest("0").status == 200
    rig.tokens.clear()
    rig.up.expire_tokens()
    rig.tokens.script("/token", {"delay": 0.3, "times": 0})
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(rig.manifest(str(i))))
               for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.status for r in results] == [200] * 12
    assert rig.tokens.count("GET", "/token") <= 2
    assert len(images) == 12


@pytest.mark.parametrize("more", [
    {"expires_in": 1}, {"expires_in": 0}, {"expires_in": -5}, {"expires_in": 1 << 60},
    {"issued_at": "2001-01-01T00:00:00Z"}, {"issued_at": "2199-01-01T00:00:00Z"},
    {"expires_in": "soon"}, {"expires_in": None}], ids=str)
def test_F07_clocks_that_disagree(rig, more):
    image = rig.add()
    rig.up.tokens["sesame"] = rig.tokens.tokens["sesame"] = (time.monotonic() + 60,
                                                             ["repository:team/app:pull"])
    rig.tokens.script("/token", {"body": json.dumps({"token": "sesame", **more}), "times": 0})
    assert rig.pull().body == image.payload
    time.sleep(0.1)
    rig.add("2")
    rig.pull("2")


@pytest.mark.parametrize("body", ["", '{"token":"a\\nb"}', '{"token":7}'])
def test_F07_a_token_service_that_talks_nonsense(rig, body):
    rig.add()
    rig.tokens.script("/token", {"body": body, "times": 0})
    assert rig.manifest().status == 502
    rig.clear()
    eventually(lambda: rig.manifest().status == 200)


def test_F08_a_password_that_was_changed(make_rig):
    rig = make_rig(own_tokens=True)
    rig.image = rig.add()
    rig.pull()
    rig.clear()
    rig.up.credentials = (USER, "changed")
    rig.up.expire_tokens()
    served_stale(rig)
    served_stale(rig)
    for i in range(10):
        rig.add("1", repo=f"other/{i}")
        got = rig.manifest(repo=f"other/{i}")
        assert got.status == 502, got
        assert SECRET not in got.body.decode() and b"DENIED" not in got.body
    assert rig.up.count("GET", "/token") <= 3, "accounts are locked by those who go on trying"
    served_stale(rig)


def test_F08_refused_for_ever(rig):
    rig.image = rig.add()
    rig.pull()
    rig.clear()
    rig.up.script("/v2/", {"status": 401, "times": 0})
    served_stale(rig)
    for _ in range(10):
        served_stale(rig)
        assert rig.manifest("2").status == 502
    assert rig.up.count() <= 3, "at most one try in thirty seconds"


WHAT = {"manifest HEAD": ("up", "/manifests/", "HEAD"), "manifest GET": ("up", "/manifests/", "GET"),
        "blob": ("up", "/blobs/", "GET"), "cdn": ("cdn", "/cdn/", "GET"),
        "token": ("tokens", "/token", "GET")}


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("status", [500, 503])
def test_F09_once(rig, what, status):
    host, path, method = WHAT[what]
    image = rig.add()
    getattr(rig, host).script(path, {"status": status}, method=method)
    assert rig.pull().body == image.payload


@pytest.mark.parametrize("what", ["manifest HEAD", "blob"])
def test_F09_five_in_a_row(rig, what):
    host, path, method = WHAT[what]
    image = rig.add()
    getattr(rig, host).script(path, {"status": 503, "times": 5}, method=method)

    def pulled():
        if rig.manifest().status != 200:
            return False
        got = rig.blob(image.layers[0])
        assert got.status in (200, 502, 503), got
        return got.whole and got.status == 200
    eventually(pulled, 20)
    assert rig.pull().body == image.payload


@pytest.mark.parametrize("status, wanted", [(500, 502), (503, 503)])
def test_F09_for_ever(rig, status, wanted):
    rig.image = rig.add()
    rig.pull()
    rig.clear()
    for host in rig.hosts:
        host.script("/", {"status": status, "times": 0})
    got = rig.manifest("2")
    assert got.status == wanted, got
    for _ in range(10):
        served_stale(rig)
        assert rig.manifest("2").status in (wanted, 503)
    assert sum(h.count() for h in rig.hosts) <= 12, "the breaker is open"
    rig.clear()
    rig.add("2")
    eventually(lambda: rig.manifest("2").status == 200, 30)


class Blackhole:
    """A port whose connections are never taken: its line is full, further SYNs are dropped."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fill = []
        for _ in range(8):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.listener.getsockname())
            self.fill.append(s)

    def close(self):
        for s in [self.listener, *self.fill]:
            s.close()


def test_F10_a_blackhole(start):
    hole = Blackhole()
    try:
        cove = start(config({"project": "hub", "upstream": hole.url}))
        begun = time.monotonic()
        reply = Puller(cove).manifest("team/app", "1")
        assert reply.status in (502, 504), reply
        assert time.monotonic() - begun < 30, "connections are given up after three seconds"
    finally:
        hole.close()


def test_F10_cached_while_connections_vanish(cached):
    rig = cached
    port = rig.up.port
    rig.up.down()
    hole = socket.socket()
    hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hole.bind(("127.0.0.1", port))
    hole.listen(64)  # connections are taken by the kernel, nobody ever answers
    try:
        for _ in range(5):
            served_stale(rig)
    finally:
        hole.close()


@pytest.mark.parametrize("what", ["head", "token"])
def test_F10_no_answer(cached, what):
    rig = cached
    if what == "token":
        rig.up.expire_tokens()
        rig.tokens.script("/token", {"delay": 8, "times": 0})
    else:
        rig.up.script("/manifests/", {"delay": 8, "times": 0})
    begun = time.monotonic()
    for _ in range(5):
        served_stale(rig)
    assert time.monotonic() - begun < 7.5, "the answer is waited for behind the pulls"


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1], ids=["0", "half", "size-1"])
def test_F10_a_body_that_stalls(make_rig, at):
    rig = make_rig(COVE_PROXY_STALL_S=1)
    data = blob_bytes("stall")
    rig.add(layers=[data])
    assert rig.manifest().status == 200
    rig.cdn.script("/cdn/", {"cut_at": at, "stall": 20}, method="GET")
    got = rig.blob(digest_of(data))
    whole_and_right(got, data)
    assert got.seconds < 15
    assert rig.cdn.count("GET", "/cdn/") == 2


# ---- names: a private resolv.conf and hosts file, in a mount namespace of the server's own ---------

DNS = '''
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("ready", flush=True)
n = 0
while True:
    q, who = s.recvfrom(512)
    mode = open(sys.argv[2]).read().strip()
    end = q.index(b"\\0", 12) + 5
    kind = q[end - 4:end - 2]
    code = {"nxdomain": 3, "servfail": 2}.get(mode, 0)
    if mode == "silent":
        continue
    answer = b""
    if mode.startswith("127.") and kind == b"\\0\\1":
        hosts = mode.split(",")
        answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton(hosts[n % len(hosts)])
        n += 1
    s.sendto(q[:2] + bytes([0x81, 0x80 | code]) + q[4:6] + (b"\\0\\1" if answer else b"\\0\\0") +
             b"\\0\\0\\0\\0" + q[12:end] + answer, who)
'''


class Names:
    """A name server on 127.0.0.77 that answers as a file says, and servers that use it."""

    def __init__(self, tmp_path, postgres):
        self.dir, self.postgres, self.servers = tmp_path, postgres, []
        self.mode = tmp_path / "mode"
        self.say("nxdomain")
        self.hosts = tmp_path / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        (tmp_path / "resolv.conf").write_text(
            "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n")
        self.server = subprocess.Popen([sys.executable, "-c", DNS, "127.0.0.77", str(self.mode)],
                                       stdout=subprocess.PIPE)
        self.ready = self.server.stdout.readline() == b"ready\n"

    def say(self, mode):
        self.mode.write_text(mode)

    def start(self, config, **env):
        binds = (f"mount --bind {self.dir}/resolv.conf /etc/resolv.conf && "
                 f"mount --bind {self.hosts} /etc/hosts && exec \"$@\"")

        class Server(conftest.Server):
            prefix = ["unshare", "-m", "sh", "-c", binds, "sh"]

        self.servers.append(Server(self.postgres, config, **env))
        return self.servers[-1]

    def stop(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()
        for server in self.servers:
            try:
                server.stop()
            finally:
                server.remove()


@pytest.fixture
def names(tmp_path, postgres):
    probe = subprocess.run(["unshare", "-m", "sh", "-c", "mount --bind /etc/hosts /etc/hosts"],
                           stderr=subprocess.DEVNULL, check=False)
    if os.geteuid() != 0 or probe.returncode != 0:
        pytest.skip("needs a mount namespace")
    names = Names(tmp_path, postgres)
    yield names
    names.stop()


def by_name(up, **more):
    return config({"project": "hub", "upstream": f"http://registry.test:{up.port}", **more})


@pytest.mark.parametrize("mode", ["nxdomain", "servfail", "silent"])
def test_F11_a_name_that_is_not_found(names, mode):
    with Upstream() as up:
        image = up.add_image("team/app", "1")
        names.say("127.0.0.1")
        cove = names.start(by_name(up), COVE_PROXY_BUDGET_MS=300)
        puller = Puller(cove)
        assert puller.image("team/app", "1").body == image.payload
        names.say(mode)
        up.down()  # kept connections end
        up.port = 0
        begun = time.monotonic()
        reply = puller.manifest("team/app", "1")
        assert reply.status == 200 and reply.headers["Warning"].startswith("110"), reply
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        reply = puller.manifest("team/app", "2")
        assert reply.status in (502, 503, 504), reply
        assert time.monotonic() - begun < 20
        assert cove.anonymous.get("/api/v2.0/ping").status == 200, "nothing else waits"


def test_F11_addresses_that_flap(names):
    """One of two addresses is dead: pulls succeed all the same, at the latest on the next try."""
    with Upstream() as up:
        names.say("127.0.0.1,127.0.0.99")
        cove = names.start(by_name(up), COVE_PROXY_BUDGET_MS=300)
        puller = Puller(cove)
        for i in range(6):
            up.add_image("team/app", str(i), [b"%d" % i])
            eventually(lambda i=i: puller.manifest("team/app", str(i)).status == 200, 20)


def test_F32_a_broken_second_protocol(names):
    """The name has an IPv6 address that nobody answers at; the other one serves."""
    with Upstream() as up:
        image = up.add_image("team/app", "1", [blob_bytes("six")])
        names.hosts.write_text("::1 registry.test\n127.0.0.1 registry.test\n")
        cove = names.start(by_name(up))
        begun = time.monotonic()
        assert Puller(cove).image("team/app", "1").body == image.payload
        assert time.monotonic() - begun < 20


# ---- certificates ----------------------------------------------------------------------------------

BAD = ["expired", "wrong-host", "sha1", "stall", "unknown"]


@pytest.mark.parametrize("kind", ["expired", "stall", "unknown"])
def test_F12_a_certificate_that_is_not_trusted(make_rig, kind):
    rig = make_rig(tls=True, cdn=False, own_tokens=True)
    rig.image = rig.add()
    rig.pull()
    rig.up.stop()
    bad = Upstream(tls=True if kind == "unknown" else kind, port=rig.up.port)
    try:
        bad.repos, bad.blobs = rig.up.repos, rig.up.blobs
        if kind != "unknown":  # its issuer is known, so what is wrong is what the story says
            with open(bad.cafile) as f:
                pem = f.read()
            assert pem
        served_stale(rig)
        reply = rig.puller.manifest("team/app", "2")
        assert reply.status in ((502, 503, 504) if kind == "stall" else (502, 503)), reply
        if kind == "unknown":
            assert "certificate" in reply.message, reply
        assert bad.requests == [], "nothing was asked of a stranger"
    finally:
        bad.stop()


@pytest.mark.parametrize("kind", BAD[:4])
def test_F12_even_when_the_issuer_is_known(start, kind):
    with Upstream(tls=kind) as up:
        up.add_image("team/app", "1")
        cove = start(config({"project": "hub", "upstream": up.url, "ca_file": up.cafile}))
        reply = Puller(cove).manifest("team/app", "1")
        assert reply.status == (504 if kind == "stall" else 502), reply
        assert kind == "stall" or "certificate" in reply.message, reply
        assert up.requests == []


@pytest.mark.parametrize("kind", ["expired", "wrong-host"])
def test_F12_insecure_is_somebodys_decision(start, kind):
    with Upstream(tls=kind) as up:
        image = up.add_image("team/app", "1")
        cove = start(COVE_OUTBOUND_ALLOW=LOOPBACK)
        made = cove.admin.post("/api/v2.0/registries", json={
            "name": "x", "type": "docker-registry", "url": up.url, "insecure": True})
        assert made.status == 201, made
        made = cove.admin.post("/api/v2.0/projects", json={
            "project_name": "hub", "registry_id": int(made.headers["Location"].rsplit("/", 1)[1]),
            "metadata": {"public": "true"}})
        assert made.status == 201, made
        assert Puller(cove).image("team/app", "1").body == image.payload


# ---- bulkheads -------------------------------------------------------------------------------------


def test_F34_one_dead_endpoint_of_ten(start):
    """Eighty pulls hang at it; the other nine answer as ever, and nobody is told of a limit."""
    ups = [Upstream() for _ in range(10)]
    try:
        cove = start(config(*({"project": f"p{i}", "upstream": up.url}
                              for i, up in enumerate(ups))))
        for i, up in enumerate(ups):
            for n in range(8):
                up.add_image("team/app", str(n), [b"%d %d" % (i, n)])
        dead = Puller(cove, "p0")
        dead.token("team/app")
        ups[0].script("/", {"delay": 8, "times": 0})
        said = []
        hanging = [threading.Thread(target=lambda n=n: said.append(
            dead.manifest("team/app", f"x{n}").status)) for n in range(80)]
        for t in hanging:
            t.start()
        time.sleep(0.5)
        times = []
        for n in range(8):
            for i in range(1, 10):
                puller = Puller(cove, f"p{i}")
                puller.token("team/app")
                begun = time.monotonic()
                assert puller.manifest("team/app", str(n)).status == 200
                times.append(time.monotonic() - begun)
        assert sorted(times)[int(len(times) * 0.99)] < 2.5
        assert len(said) < 80 or max(times) < 1
        for t in hanging:
            t.join()
        assert set(said) <= {502, 503, 504}, "our own limits are not the upstream's"
        assert ups[0].count() <= 96
    finally:
        for up in ups:
            up.stop()
