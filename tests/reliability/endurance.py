#!/usr/bin/env python3
"""What a server has to bear besides crashes, one proof a name: idle, slowloris, overload, soak,
clock, pause, pgrestart, second, cache."""
import argparse
import hashlib
import json
import os
import random
import resource
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import ROOT, Client, NotStarted, Postgres, Server, binary, compiled, sha256
from ledger import Ledger
from load import Load
from shim import Shim

sys.path.insert(0, os.path.join(ROOT, "tests/api"))
from upstream import Upstream  # noqa: E402

LEASE_S = 30


class Failed(Exception):
    pass


def demand(good, text):
    if not good:
        raise Failed(text)


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


class House:
    """A server on a new store, and what a proof needs of it."""

    def __init__(self, work, postgres=None, shim=None, **env):
        self.work = work
        self.server = Server(os.path.join(work, "data"), os.path.join(work, "log"), postgres,
                             COVE_GC_LEASE_S=LEASE_S, **env)
        self.server.preload = shim.env if shim else {}
        self.server.start()
        self.ledger = Ledger(os.path.join(work, "ledger.jsonl"))

    @property
    def pid(self):
        return self.server.process.pid

    def blob(self, n):
        data = random.Random(n).randbytes(n)
        client = Client(self.server)
        status, _, body = client.request(
            "POST", f"/v2/library/a/blobs/uploads/?digest={sha256(data)}", data,
            Content_Type="application/octet-stream")
        demand(status == 201, f"push: {status} {body!r}")
        return f"/v2/library/a/blobs/{sha256(data)}"

    def metric(self, name):
        text = Client(self.server).request("GET", "/metrics")[2].decode()
        return next(float(x.split()[1]) for x in text.splitlines() if x.startswith(name + " "))

    def settle(self):
        """After everything: nothing is lost, fsck is clean."""
        client = Client(self.server)
        self.ledger.verify(client, self.ledger.images)
        code, text = self.server.command("fsck", "--full")
        demand(code == 0, f"fsck --full: exit {code}: {text}")
        demand(not self.ledger.failures, f"{self.ledger.failures[:5]}")


def connect(server, n):
    some = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.setblocking(False)
        some.append(s)
    return some


def idle(work, args):
    """10,000 kept connections, each of which has had an answer; then the last of them are asked
    again. We and the server each need so many open files and some more."""
    house, files = House(work), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    n = 2000 if args.quick else 10000
    demand(files >= 1.4 * n, f"{n} connections need a limit of {1.4 * n:.0f} open files, not {files}")
    path, auth = house.blob(70000), Client(house.server).auth
    before, some = rss_kib(house.pid), []
    while len(some) < n:  # a few at a time: this is not the overload
        batch = connect(house.server, 250)
        some += batch
        for s in batch:
            s.setblocking(True)
            s.settimeout(30)
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for s in batch:
            said = s.recv(4096)
            demand(said.startswith(b"HTTP/1.1 200"), f"an answer is not 200: {said[:60]!r}")
    time.sleep(2)
    after = rss_kib(house.pid)
    demand(house.metric("cove_http_connections") >= n, "some are not connected any more")
    for s in some[-250:]:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode())
    for s in some[-250:]:
        demand(s.recv(4096).startswith(b"HTTP/1.1 200"), "no blob by a connection that was idle")
    house.server.kill()
    demand(after <= 15 * 1024, f"RSS {after} KiB")
    return (f"{n} idle connections: RSS {after / 1024:.1f} MiB, {before / 1024:.1f} before, "
            f"{(after - before) / n:.2f} KiB each")


def ask_steadily(house, path, until, times):
    client = Client(house.server)
    while time.monotonic() < until:
        began = time.monotonic()
        if client.request("GET", path)[0] == 200:
            times.append(time.monotonic() - began)
        time.sleep(0.01)


def slowloris(work, args):
    """1,000 clients that send a header a second and never end it."""
    house, times, ages = House(work), [], []
    path, opened = house.blob(4096), {}
    until = time.monotonic() + 12
    good = threading.Thread(target=ask_steadily, args=(house, path, until, times))
    good.start()
    for _ in range(1000):
        began = time.monotonic()
        s = connect(house.server, 1)[0]
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        opened[s.fileno()] = (s, began)
    closed, trickle = select.epoll(), time.monotonic() + 1
    for fd in opened:
        closed.register(fd, select.EPOLLIN | select.EPOLLHUP)
    while opened and time.monotonic() < until + 10:
        for fd, _ in closed.poll(0.02):
            s, began = opened.pop(fd)
            ages.append(time.monotonic() - began)
            s.close()
        if time.monotonic() >= trickle:
            trickle += 1
            for s, _ in opened.values():
                try:
                    s.sendall(b"X-A: b\r\n")
                except OSError:
                    pass  # closed meanwhile: the epoll tells when
    good.join()
    house.server.kill()
    times.sort()
    p99 = times[int(len(times) * 0.99)] * 1000 if times else 0
    demand(not opened, f"{len(opened)} of 1000 are still open")
    demand(max(ages) <= 10, f"a connection lived {max(ages):.2f} s")
    demand(len(times) > 50, f"only {len(times)} others were answered")
    return (f"1000 closed, each {min(ages):.2f} to {max(ages):.2f} s after it was opened; "
            f"{len(times)} others answered, p99 {p99:.1f} ms")


def memory_limit(pid, bytes_):
    """A cgroup with that limit, or None where there is none to be had."""
    for root, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                       ("/sys/fs/cgroup", "memory.max")):
        group = f"{root}/cove-{pid}"
        try:
            os.mkdir(group)
            with open(f"{group}/{name}", "w", encoding="ascii") as f:
                f.write(str(bytes_))
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(pid))
            return group
        except OSError:
            if os.path.isdir(group):
                os.rmdir(group)
    return None


def loadgen(house, connections, seconds, *asked, pause_ms=200):
    """The clients of loadgen.c under way; `counted` ends them."""
    program = compiled("loadgen.c", "loadgen", "-Wall", "-Wextra")
    return subprocess.Popen([program, str(house.server.port), Client(house.server).auth,
                             str(connections), str(seconds), str(pause_ms), *asked],
                            stdout=subprocess.PIPE, text=True)


def counted(child):
    said = child.communicate()[0]
    demand(child.returncode == 0, f"loadgen: exit {child.returncode}")
    return json.loads(said)


def overload(work, args):
    """Pulls and durable pushes by as many clients as the server's threads can answer, then by five
    times as many, at a limit of 256 MiB."""
    seconds, threads = 4 if args.quick else 20, 16
    house = House(work, COVE_SERVER_THREADS=threads)
    group, asked = memory_limit(house.pid, 256 << 20), []
    for n in range(6):
        data, path = random.Random(n).randbytes(64 << 10), os.path.join(work, f"body{n}")
        with open(path, "wb") as f:
            f.write(data)
        asked += ["GET:" + house.blob((256 << 10) + n),
                  f"POST:/v2/library/a/blobs/uploads/?digest={sha256(data)}:{path}"]
    counted(loadgen(house, threads, 2, *asked))  # warm
    peak = counted(loadgen(house, threads, seconds, *asked))
    over = counted(loadgen(house, 5 * threads, seconds, *asked))
    alive, rss = house.server.process.poll() is None, rss_kib(house.pid)
    house.settle()
    house.server.kill()
    if group:
        os.rmdir(group)
    share = 100 * over["good"] / max(1, peak["good"])
    demand(alive, "the server died")
    demand(not over["odd"] and not peak["odd"], f"odd answers: {peak}, {over}")
    demand(over["refused"], f"nobody was refused: this was no overload: {over}")
    demand(share >= 80, f"goodput {share:.0f} % of the peak ({over} against {peak})")
    limit = "256 MiB limit" if group else "no memory limit here"
    return (f"goodput {share:.0f} % of the peak ({over['good'] / over['seconds']:.0f}/s against "
            f"{peak['good'] / peak['seconds']:.0f}/s), {over['refused']} refused with Retry-After, "
            f"{over['broken']} broken, p99 {over['p99_ms']:.0f} ms, RSS {rss / 1024:.0f} MiB, {limit}")


def soak(work, args):
    """Mixed load with a ledger, and 32 clients that pull as fast as they are answered; the slope of
    memory over requests, descriptors and threads."""
    seconds = 20 if args.quick else args.seconds
    house, points = House(work), []
    paths = ["GET:" + house.blob(n) for n in (500, 4096, 70000)]
    load = Load(house.server, house.ledger, LEASE_S, 1, writers=2, deleters=2, pullers=1)
    load.resume()
    pulls = loadgen(house, 32, seconds, *paths, "HEAD:" + paths[0][4:], "GET:/v2/",
                    "GET:/api/v2.0/projects?page_size=5")
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(seconds / 60)
        points.append((house.metric("cove_http_requests_total"), rss_kib(house.pid),
                       len(os.listdir(f"/proc/{house.pid}/fd")),
                       len(os.listdir(f"/proc/{house.pid}/task"))))
    load.pause()
    load.stop()
    pulled = counted(pulls)
    house.settle()
    house.server.kill()
    demand(not pulled["odd"] and not pulled["broken"], f"{pulled}")
    warm = points[len(points) // 3:]
    mean_x = sum(p[0] for p in warm) / len(warm)
    mean_y = sum(p[1] for p in warm) / len(warm)
    spread = sum((p[0] - mean_x) ** 2 for p in warm) or 1
    slope = sum((p[0] - mean_x) * (p[1] - mean_y) for p in warm) / spread * 1e5 / 1024
    figure = (f"{warm[-1][0]:.0f} requests in {seconds} s, {house.ledger.acks} acknowledged, RSS "
              f"{warm[0][1] / 1024:.1f} to {warm[-1][1] / 1024:.1f} MiB, slope {slope:.3f} MiB per "
              f"100,000, descriptors {warm[0][2]} to {warm[-1][2]}, threads {warm[0][3]} to "
              f"{warm[-1][3]}")
    demand(args.quick or slope <= 1, figure)
    return figure


def clock(work, args):
    """The wall clock is stepped back and forth, an hour and more, under load."""
    shim = Shim()
    house = House(work, shim=shim)
    load = Load(house.server, house.ledger, LEASE_S, 2, writers=2, deleters=1, pullers=1, gc=False)
    steps = [-3600, 0, -86400, 7200, -10, 10, 0]
    acked = []
    for step in steps[:3] if args.quick else steps:
        shim.step_clock(step)
        before = house.ledger.acks
        load.resume()
        time.sleep(2)
        load.pause()
        acked.append(house.ledger.acks - before)
    load.stop()
    shim.step_clock(0)
    house.settle()
    house.server.kill()
    shim.close()
    demand(min(acked) > 0, f"no push was acknowledged after a step: {acked}")
    return f"{len(acked)} steps, {house.ledger.acks} acknowledged, 0 lost"


def pause(work, args):
    """The process is stopped for seconds and goes on."""
    house = House(work)
    load, times = Load(house.server, house.ledger, LEASE_S, 3), 2 if args.quick else 6
    for _ in range(times):
        load.resume()
        time.sleep(1)
        os.kill(house.pid, 19)  # SIGSTOP
        time.sleep(3)
        os.kill(house.pid, 18)  # SIGCONT
        time.sleep(1)
        load.pause()
    load.stop()
    house.settle()
    house.server.kill()
    return f"{times} stops of 3 s, {house.ledger.acks} acknowledged, 0 failed, 0 lost"


def pgrestart(work, args):
    """PostgreSQL goes down and comes back under load."""
    postgres, waits = Postgres(), []
    try:
        house = House(work, postgres)
        load = Load(house.server, house.ledger, LEASE_S, 4)
        for _ in range(2 if args.quick else 8):
            load.resume()
            time.sleep(1)
            load.dying = True  # 503 is a good answer now
            postgres.run("pg_ctl", "-D", postgres.dir + "/db", "-m", random.choice(
                ["fast", "immediate"]), "-w", "restart", "-o",
                f"-p {postgres.port} -k {postgres.dir} -c listen_addresses=127.0.0.1",
                "-l", postgres.dir + "/log")
            up, acks = time.monotonic(), house.ledger.acks
            while house.ledger.acks == acks and time.monotonic() - up < 30:
                time.sleep(0.01)
            waits.append(time.monotonic() - up)
            load.pause()
            demand(house.server.process.poll() is None, "the server died")
        load.stop()
        house.settle()
        house.server.kill()
    finally:
        postgres.stop()
    demand(max(waits) <= 3, f"a push was acknowledged {max(waits):.1f} s after the restart")
    return (f"{len(waits)} restarts, a push is acknowledged at most {max(waits):.2f} s after, "
            f"{house.ledger.acks} acknowledged, 0 lost")


def refused(server, word):
    try:
        server.start(wait=15)
    except NotStarted as why:
        said = str(why)
        demand(word in said, f"refused without the reason: {said[-300:]}")
        return [x for x in said.splitlines() if word in x][-1].strip()
    server.kill()
    raise Failed("a second process was let in")


def second(work, args):
    """A second process on one directory, and one database under another directory."""
    house = House(work)
    same = Server(house.server.data, os.path.join(work, "log2"))
    refused(same, "in use by another cove")
    house.settle()
    house.server.kill()
    postgres = Postgres()
    try:
        one = House(work + "/p", postgres) if os.makedirs(work + "/p") is None else None
        one.blob(1000)
        other = Server(os.path.join(work, "other"), os.path.join(work, "p/log"), postgres)
        other.log = os.path.join(work, "log3")
        refused(other, "right directory")
        one.settle()
        one.server.kill()
    finally:
        postgres.stop()
    return "one directory, one database under two directories: both refused with the reason"


def stored(data):
    """Bytes of objects on disk."""
    total = 0
    for root, _, files in os.walk(os.path.join(data, "data")):
        for name in files:
            try:
                total += os.path.getsize(os.path.join(root, name))
            except FileNotFoundError:
                pass  # evicted meanwhile
    return total


def proxy_project(house, up, cap):
    client = Client(house.server)
    for method, path, body in (
            ("POST", "registries", {"name": "up", "type": "docker-registry", "url": up.url}),
            ("POST", "projects", {"project_name": "hub", "registry_id": 1, "storage_limit": cap})):
        status, _, text = client.request(method, "/api/v2.0/" + path, json.dumps(body),
                                         Content_Type="application/json")
        demand(status == 201, f"{path}: {status} {text!r}")


class Slow(threading.Thread):
    """Reads what was cached a while ago, slower than it is evicted, and holds it to its digest."""

    def __init__(self, server):
        super().__init__()
        self.server, self.digests, self.stop, self.wrong, self.read = server, [], False, [], 0

    def run(self):
        rng = random.Random(1)
        while not self.stop:
            if len(self.digests) < 8:
                time.sleep(0.1)
                continue
            digest = self.digests[-rng.randint(2, 8)]
            head = (f"GET /v2/hub/big/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close"
                    f"\r\nAuthorization: {Client(self.server).auth}\r\n\r\n")
            s = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
            s.sendall(head.encode())
            f, hashed = s.makefile("rb"), hashlib.sha256()
            status = f.readline()
            while f.readline() not in (b"\r\n", b""):
                pass
            while part := f.read(1 << 20):
                hashed.update(part)
                time.sleep(0.05)
            s.close()
            if b" 404 " in status:
                continue  # it had left, and upstream has it no more
            if b" 200 " not in status or "sha256:" + hashed.hexdigest() != digest:
                self.wrong.append(f"{digest}: {status!r}")
            self.read += 1


def cache(work, args):
    """Twenty times a cache's size is pulled through it while its size on disk is watched and while
    slow readers read what is about to leave."""
    cap, size, count = (64 << 20, 8 << 20, 60) if args.quick else (1 << 30, 64 << 20, 320)
    up, layer = Upstream(), bytearray(random.Random(2).randbytes(size))
    house = House(work, COVE_OUTBOUND_ALLOW="127.0.0.0/8")
    proxy_project(house, up, cap)
    client, slow, began = Client(house.server), Slow(house.server), time.monotonic()
    seen = [0]

    def watch():
        while not slow.stop:
            seen.append(max(stored(house.server.data), seen.pop()))
            time.sleep(0.02)
    watcher = threading.Thread(target=watch)
    slow.start()
    watcher.start()
    for i in range(count):
        layer[:8] = i.to_bytes(8, "big")
        image = up.add_image("big/app", str(i), [bytes(layer)])
        for path, digest in ((f"manifests/{i}", image.digest), (f"blobs/{image.config}", image.config),
                             (f"blobs/{image.layers[0]}", image.layers[0])):
            status, _, body = client.request("GET", f"/v2/hub/big/app/{path}")
            demand(status == 200 and sha256(body) == digest, f"pull of {path}: {status}")
        up.delete_blob("big/app", image.layers[0])
        up.blobs.pop(image.layers[0])
        up.requests.clear()
        slow.digests.append(image.layers[0])
    slow.stop = True
    slow.join()
    watcher.join()
    most, left = seen[0], stored(house.server.data)
    evicted = house.metric("cove_evicted_artifacts_total")
    house.settle()
    house.server.kill()
    up.stop()
    demand(not slow.wrong, f"a pull under way was harmed: {slow.wrong[:3]}")
    demand(most <= cap + size + (1 << 20), f"{most >> 20} MiB on disk, the cap is {cap >> 20} MiB")
    return (f"{count * size / (1 << 30):.1f} GiB through a cache of {cap >> 20} MiB: at most "
            f"{most / (1 << 20):.0f} MiB on disk, {left >> 20} at the end, images of {size >> 20} MiB, "
            f"{evicted:.0f} evicted, {slow.read} slow pulls unharmed, "
            f"{time.monotonic() - began:.0f} s")


PROOFS = [cache, idle, slowloris, overload, soak, clock, pause, pgrestart, second]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proof", choices=[p.__name__ for p in PROOFS])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=int, default=600, help="of the soak")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("binary", binary())
    work = tempfile.mkdtemp(prefix="cove-endure-")
    code = 0
    try:
        figure = next(p for p in PROOFS if p.__name__ == args.proof)(work, args)
        shutil.rmtree(work, ignore_errors=True)
    except Failed as why:
        figure, code = f"FAILED, {why}; store in {work}", 1
    print(f"{args.proof}: {figure}", flush=True)
    os._exit(code)  # threads of a failed proof do not hold us


if __name__ == "__main__":
    main()
