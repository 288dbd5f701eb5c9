#!/usr/bin/env python3
"""`make bench`: Cove beside Debian's docker-registry and distribution v3 in one run on this machine.
Machines are noisy, so trust the ratios of server CPU-seconds, not the rates. All traffic is loopback;
every loop is bounded. --quick shrinks it; --only WORD... runs some parts; --json FILE keeps the
figures; --docs writes the table of docs/benchmarks.md and the plots beside it."""
import argparse
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import plots
from servers import PASSWORD, ROOT, Bare, Database, Server
from upstream import MANIFEST, MIB, Upstream, sha

BASIC = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
KINDS = ("cove", "debian", "v3")
WITH_PG = ("cove", "pg", "debian", "v3")
MANIFEST_ACCEPT = ("Accept", MANIFEST)


class Client:
    """A connection with the credentials that the server wants."""

    def __init__(self, server):
        self.c = server.connect()
        self.headers = {"Authorization": BASIC} if server.ours else {}

    def call(self, method, path, body=None, headers=(), want=(200, 201, 202)):
        self.c.request(method, path, body=body, headers={**self.headers, **dict(headers)})
        r = self.c.getresponse()
        data = r.read()
        if r.status not in want:
            raise SystemExit(f"{method} {path}: {r.status} {data[:300]!r}")
        return r, data

    def push_blob(self, repo, data):
        r, _ = self.call("POST", f"/v2/{repo}/blobs/uploads/")
        place = re.sub(r"^https?://[^/]+", "", r.getheader("Location"))
        digest = sha(data)
        self.call("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", data,
                  {"Content-Type": "application/octet-stream"})
        return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(data)}

    def push_image(self, repo, tag, layers):
        config = self.push_blob(repo, json.dumps({"architecture": "amd64", "os": "linux", "tag": tag}).encode())
        config["mediaType"] = "application/vnd.oci.image.config.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                           "layers": [self.push_blob(repo, x) for x in layers]}).encode()
        self.call("PUT", f"/v2/{repo}/manifests/{tag}", body, {"Content-Type": MANIFEST})
        return sha(body)


def unit_of(name):
    """The beginning of a row's name says its unit."""
    for start, unit in (("rate: images", "images/s"), ("rate: repositories", "repositories/s"),
                        ("rate", "requests/s"), ("RSS", "MiB"), ("idle RSS", "MiB"), ("wall", "s per GiB"),
                        ("push, ", "CPU-s per GiB"), ("pull, ", "CPU-s per GiB"), ("CPU ms", "ms"),
                        ("start", "ms"), ("cold", "ms"), ("list", "ms"), ("herd of 50: CPU", "CPU-s"),
                        ("herd of 50: up", "GETs"), ("herd of 50: wall", "s"), ("tags there", "tags"),
                        ("repositories there", "repositories")):
        if name.startswith(start):
            return unit
    return "CPU-s per 1,000"


class Bench:
    def __init__(self, quick):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cove-bench-", dir=os.environ.get("BENCH_DIR")))
        self.quick, self.rows, self.seconds, self.failed = quick, [], 1 if quick else 3, False
        self.big = 256 * MIB if quick else 1024 * MIB
        self.growth = {}
        try:
            Server.database = Database.make(self.folder)
        except (subprocess.CalledProcessError, OSError) as why:
            print(f"no PostgreSQL: {why}")

    def row(self, name, values):
        lower = not name.startswith("rate") and " there were" not in name
        self.rows.append({"row": name, "unit": unit_of(name), "lower_is_better": lower, **values})
        cells = "".join(f"{values[k]:>12.4g}" if values.get(k) is not None else f"{'-':>12}" for k in WITH_PG)
        print(f"{name:46} {unit_of(name):16}{cells}", flush=True)

    def each(self, measure, kinds=KINDS, **options):
        """measure(server) -> {row: value} on a fresh server of each kind, one at a time. A server that fails
        leaves its cells empty."""
        out = {}
        for kind in kinds:
            if kind == "pg" and not Server.database:
                continue
            try:
                server = Server(kind, self.folder, **options)
            except SystemExit as why:
                self.trouble(kind, why)
                continue
            try:
                for key, value in measure(server).items():
                    out.setdefault(key, {})[kind] = value
            except (OSError, SystemExit, subprocess.SubprocessError, http.client.HTTPException) as why:
                self.trouble(kind, why)
            finally:
                server.stop()
        return out

    def trouble(self, kind, why):
        self.failed |= kind == "cove"
        print(f"{kind} failed: {why!r}", file=sys.stderr, flush=True)

    def take(self, measure, **options):
        for name, values in self.each(measure, **options).items():
            self.row(name, values)

    # ---- small requests ---------------------------------------------------------------------------

    def wrk(self, server, path, headers=(), connections=16, script=None):
        """CPU-seconds per 1,000 requests, requests per second, how many."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", server.url + path]
        command += ["-s", str(script)] if script else []
        for name, value in headers:
            command += ["-H", f"{name}: {value}"]
        before, began = server.cpu(), time.monotonic()
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used, wall = server.cpu() - before, time.monotonic() - began
        count = int(re.search(r"(\d+) requests in", text)[1])
        if "Non-2xx" in text or not count:
            raise SystemExit(f"{server.kind} {path}: {text}")
        return used / count * 1000, count / wall, count

    @staticmethod
    def basic(server):
        return [MANIFEST_ACCEPT, ("Authorization", BASIC)] if server.ours else [MANIFEST_ACCEPT]

    def grows(self, server, what, size, cost):
        if server.kind == "cove":
            self.growth.setdefault(what, []).append((size, cost))

    def small(self, server):
        c = Client(server)
        digest = c.push_image(server.repo, "v1", [os.urandom(4096)])
        blob = c.push_blob(server.repo, os.urandom(4096))["digest"]
        out, by_tag = {}, f"/v2/{server.repo}/manifests/v1"
        self.wrk(server, by_tag, self.basic(server))
        out["manifest GET by tag, Basic"], out["rate: manifest GET"], _ = self.wrk(server, by_tag, self.basic(server))
        token = [MANIFEST_ACCEPT]
        if server.ours:
            _, body = c.call("GET", f"/service/token?service=harbor-registry&scope=repository:{server.repo}:pull")
            token.append(("Authorization", "Bearer " + json.loads(body)["token"]))
        out["manifest GET by tag, token"] = self.wrk(server, by_tag, token)[0]
        out["manifest GET by digest"] = self.wrk(server, f"/v2/{server.repo}/manifests/{digest}", token)[0]
        out["blob GET, 4 KiB"] = self.wrk(server, f"/v2/{server.repo}/blobs/{blob}", token)[0]
        self.grows(server, "connections", 16, out["manifest GET by tag, token"])
        for n in (160, 1600):
            try:
                cost, _, _ = self.wrk(server, by_tag, token, n)
            except SystemExit as why:
                self.trouble(server.kind, why)
                continue
            out[f"manifest GET by tag, {n:,} connections"] = cost
            self.grows(server, "connections", n, cost)
        out["RSS after this load"] = server.rss_mib()
        before, held = server.rss_mib(), []
        for _ in range(1000):
            held.append(socket.create_connection(("127.0.0.1", server.port)))
        time.sleep(0.5)
        out["RSS of 1,000 idle connections"] = server.rss_mib() - before
        for s in held:
            s.close()
        return out

    # ---- what grows -------------------------------------------------------------------------------

    def put_tags(self, server, repo, body, have, want, limit):
        """Tag PUTs by 8 clients until there are `want`; tags, seconds and CPU-seconds they took."""
        script, count, wall, used = self.folder / "put.lua", have, 0.0, 0.0
        while count < want and time.monotonic() < limit:
            script.write_text(f"""local n, last = {count}, {want}
                local body = [==[{body}]==]
                function request()
                  n = n + 1
                  return wrk.format("PUT", "/v2/{repo}/manifests/t" .. n, {{["Content-Type"] = "{MANIFEST}",
                    {f'["Authorization"] = "{BASIC}"' if server.ours else ""}}}, body)
                end""")
            before, began = server.cpu(), time.monotonic()
            _, _, n = self.wrk(server, "/", connections=8, script=script)
            used, wall, count = used + server.cpu() - before, wall + time.monotonic() - began, count + n
        return count - have, wall, used

    def tags(self, server):
        """Tag PUTs by 8 clients until there are 10,000; a tag among 10 and among 10,000."""
        c, few, many = Client(server), server.repo + "-few", server.repo
        for i in range(10):
            c.push_image(few, f"t{i}", [b"x" * 64])
        c.push_image(many, "first", [b"x" * 64])
        body = c.call("GET", f"/v2/{many}/manifests/first", headers={"Accept": MANIFEST})[1].decode()
        among_few, _, _ = self.wrk(server, f"/v2/{few}/manifests/t5", self.basic(server))
        limit = time.monotonic() + (6 if self.quick else 15)
        count, wall, used = self.put_tags(server, many, body, 0, 2000 if self.quick else 10000, limit)
        among_many, _, _ = self.wrk(server, f"/v2/{many}/manifests/first", self.basic(server))
        self.grows(server, "tags", 10, among_few)
        self.grows(server, "tags", count, among_many)
        return {"rate: tag PUTs by 8 clients": count / wall, "tag PUTs": used / count * 1000,
                "a tag among 10": among_few, "a tag among many": among_many, "tags there were": count,
                "list of 100 tags among many": self.time_of(c, f"/v2/{many}/tags/list?n=100")}

    @staticmethod
    def time_of(client, path, times=9):
        took = []
        for _ in range(times):
            began = time.monotonic()
            client.call("GET", path)
            took.append((time.monotonic() - began) * 1000)
        return statistics.median(took)

    def repositories(self, server):
        """2,000 repositories of one image each, made by 4 clients."""
        want, made, limit = 200 if self.quick else 2000, [0] * 4, time.monotonic() + (5 if self.quick else 15)

        def work(n):
            c = Client(server)
            for i in range(n, want, 4):
                if time.monotonic() > limit:
                    return
                c.push_image(f"{server.repo}/r{i}", "v1", [])
                made[n] += 1
        before, began = server.cpu(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        wall, used, count = time.monotonic() - began, server.cpu() - before, sum(made)
        cost, _, _ = self.wrk(server, f"/v2/{server.repo}/r{4 * (made[0] // 2)}/manifests/v1", self.basic(server))
        self.grows(server, "repositories", count, cost)
        return {"rate: repositories made": count / wall, "CPU ms per repository made": used / count * 1000,
                "a manifest among repositories": cost, "repositories there were": count,
                "list of 100 repositories": self.time_of(Client(server), "/v2/_catalog?n=100")}

    def artifacts(self):
        """Cove alone, with rows put into its database: 1,000, 10,000 and 100,000 artifacts in a repository."""
        server, out = Server("cove", self.folder), {}
        try:
            c = Client(server)
            c.push_image(server.repo, "v1", [b"x" * 64])
            db, have = sqlite3.connect(server.folder / "data" / "cove.db", timeout=30), 1
            for want in (1000, 10_000, 100_000):
                db.executemany("INSERT INTO artifact(repository_id, digest, state, media_type, size, push_time, payload) "
                               f"VALUES(1, ?, 2, '{MANIFEST}', 1000, 1, x'7b7d')",
                               ((sha(b"artifact %d" % i),) for i in range(have, want)))
                db.commit()
                have = want
                cost, _, _ = self.wrk(server, f"/v2/{server.repo}/manifests/v1", self.basic(server))
                self.grows(server, "artifacts", want, cost)
                out[f"a tag among {want:,} artifacts"] = {"cove": cost}
            db.close()
        except (OSError, SystemExit, sqlite3.Error, subprocess.SubprocessError) as why:
            self.trouble("cove", why)
        finally:
            server.stop()
        return out

    # ---- bytes ------------------------------------------------------------------------------------

    def big_file(self):
        big = self.folder / "big"
        if not big.exists():
            h = hashlib.sha256()
            with open(big, "wb") as f:
                for _ in range(self.big // (4 * MIB)):
                    data = os.urandom(4 * MIB)
                    h.update(data)
                    f.write(data)
                os.fsync(f.fileno())
            self.digest = "sha256:" + h.hexdigest()
        return big

    def bulk(self, server):
        """One blob pushed in one PUT, then pulled so often that it is several GiB; medians."""
        big, c, gib = self.big_file(), Client(server), self.big / (1024 * MIB)
        auth = ["-H", f"Authorization: {BASIC}"] if server.ours else []

        def curl(*args):
            before, began = server.cpu(), time.monotonic()
            code = subprocess.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *auth, *args],
                                  check=True, capture_output=True, text=True).stdout
            if code not in ("200", "201"):
                raise SystemExit(f"{server.kind}: curl {args} answered {code}")
            return (server.cpu() - before) / gib, (time.monotonic() - began) / gib
        r, _ = c.call("POST", f"/v2/{server.repo}/blobs/uploads/")
        place = re.sub(r"^https?://[^/]+", "", r.getheader("Location"))
        put = f"{server.url}{place}{'&' if '?' in place else '?'}digest={self.digest}"
        push, push_wall = curl("-T", str(big), "-H", "Content-Type: application/octet-stream", "-H", "Expect:", put)
        curl(f"{server.url}/v2/{server.repo}/blobs/{self.digest}")
        pulls = [curl(f"{server.url}/v2/{server.repo}/blobs/{self.digest}") for _ in range(5)]
        kind = "TLS" if server.tls else "plain"
        return {f"push, {kind}": push, f"pull, {kind}": statistics.median(p[0] for p in pulls),
                f"wall: push, {kind}": push_wall, f"wall: pull, {kind}": statistics.median(p[1] for p in pulls)}

    def bare(self):
        """The same file sent by a process that does nothing but one sendfile a pull."""
        big, gib, pulls = self.big_file(), self.big / (1024 * MIB), []
        bare = Bare(big)
        try:
            for _ in range(6):
                before = bare.cpu()
                subprocess.run(["curl", "-s", "-o", "/dev/null", bare.url], check=True)
                pulls.append((bare.cpu() - before) / gib)
        finally:
            bare.stop()
        return {"pull, plain: a bare sendfile instead": {"cove": statistics.median(pulls[1:])}}

    def images(self, server):
        count, clients = (60, 4) if self.quick else (200, 4)

        def work(n):
            c = Client(server)
            for i in range(n, count, clients):
                c.push_image(server.repo, f"t{i}", [os.urandom(16384) for _ in range(5)])
        before, began = server.cpu(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(work, range(clients)))
        wall = time.monotonic() - began
        return {"CPU ms per pushed image": (server.cpu() - before) / count * 1000,
                "rate: images pushed": count / wall, "RSS after these pushes": server.rss_mib()}

    # ---- start ------------------------------------------------------------------------------------

    def idle(self, server):
        """Starts on an empty store, nine times."""
        time.sleep(0.5)
        took, rss = [server.start_seconds * 1000], server.rss_mib()
        for _ in range(8):
            other = Server(server.kind, self.folder)
            took.append(other.start_seconds * 1000)
            other.stop()
        return {"idle RSS": rss, "start to first answer": statistics.median(took)}

    def restart(self):
        """Cove with 100,000 blobs in its database; the others know no blobs when they start."""
        server = Server("cove", self.folder)
        server.end()
        db = sqlite3.connect(server.folder / "data" / "cove.db")
        db.executemany("INSERT INTO blob(digest, size, state, phys_key, creation_time) VALUES(?, 1, 1, ?, 1)",
                       ((sha(str(i).encode()), f"data/{i % 256:02x}/{i:026d}") for i in range(100_000)))
        db.commit()
        db.close()
        took = []
        for _ in range(5):
            server.start()
            took.append(server.start_seconds * 1000)
            server.end()
        server.stop()
        return {"start with 100,000 blobs": {"cove": statistics.median(took)}}

    # ---- proxy ------------------------------------------------------------------------------------

    def announce(self, server, client):
        """As clients do: the manifest before its blobs."""
        client.call("GET", f"/v2/{self.proxied(server)}/manifests/v1", headers={"Accept": MANIFEST})

    def cold(self, server):
        """Added time to the first byte of a cold blob, over asking upstream directly: the median of eleven
        and the worst but one, since a file system that commits its journal holds one up now and then."""
        added, auth = [], Client(server)
        self.announce(server, auth)
        for digest in self.upstream.blobs[:12]:
            direct = first_byte(self.upstream.connect(), f"/v2/library/bench/blobs/{digest}")
            through = first_byte(server.connect(), f"/v2/{self.proxied(server)}/blobs/{digest}", auth.headers)
            added.append((through - direct) * 1000)
        added = sorted(added[1:])  # the first makes the connection to the upstream
        where = "cold first byte, added" + (", upstream 20 ms away" if self.upstream.delay else "")
        return {where + ": median": added[len(added) // 2], where + ": worst but one": added[-2]}

    def warm(self, server):
        path = f"/v2/{self.proxied(server)}/manifests/v1"
        self.announce(server, Client(server))
        within = server.more.get("COVE_PROXY_WINDOW_S") or not server.ours
        return {"warm tag" if within else "warm tag, asked upstream": self.wrk(server, path, self.basic(server))[0]}

    def herd(self, server):
        clients, digest, auth = 50, self.upstream.blobs[-1], Client(server)
        self.announce(server, auth)
        self.upstream.gets.clear()
        before, began = server.cpu(), time.monotonic()

        def pull(_):
            c = server.connect()
            c.request("GET", f"/v2/{self.proxied(server)}/blobs/{digest}", headers=auth.headers)
            r, h = c.getresponse(), hashlib.sha256()
            while data := r.read(MIB):
                h.update(data)
            return "sha256:" + h.hexdigest() == digest
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            good = sum(pool.map(pull, range(clients)))
        if good != clients:
            raise SystemExit(f"{server.kind}: {good} of {clients} bodies verified")
        return {"herd of 50: wall": time.monotonic() - began,
                "herd of 50: CPU": server.cpu() - before,
                "herd of 50: upstream blob GETs": sum(1 for p in self.upstream.gets if digest in p),
                "RSS after the herd": server.rss_mib()}

    @staticmethod
    def proxied(server):
        return "hub/library/bench" if server.kind == "cove" else "library/bench"

    def proxy(self):
        self.upstream = Upstream(self.folder, big=20 if self.quick else 100)
        url = self.upstream.url
        self.take(self.cold, upstream=url)
        self.take(self.herd, upstream=url)
        within = self.each(self.warm, upstream=url, more={"COVE_PROXY_WINDOW_S": "600"}).get("warm tag", {})
        asked = self.each(self.warm, kinds=("cove",), upstream=url).get("warm tag, asked upstream", {})
        self.row("warm proxied tag, inside its window", within)
        self.row("warm proxied tag, upstream asked each time", {**within, **asked})
        self.upstream.shutdown()
        self.upstream = Upstream(self.folder, big=0, delay=0.02)
        self.take(self.cold, upstream=self.upstream.url)
        self.upstream.shutdown()

    def run(self, only):
        print(f"{'':46} {'':16}" + "".join(f"{k:>12}" for k in WITH_PG))
        parts = {
            "small": lambda: self.take(self.small, kinds=WITH_PG),
            "bulk": lambda: [self.take(self.bulk), *(self.row(*r) for r in self.bare().items())],
            "tls": lambda: self.take(self.bulk, tls=True),
            "images": lambda: self.take(self.images, kinds=WITH_PG),
            "tags": lambda: self.take(self.tags, kinds=WITH_PG),
            "repositories": lambda: self.take(self.repositories, kinds=WITH_PG),
            "artifacts": lambda: [self.row(*r) for r in self.artifacts().items()],
            "start": lambda: self.take(self.idle),
            "restart": lambda: [self.row(*r) for r in self.restart().items()],
            "proxy": self.proxy,
        }
        for name, part in parts.items():
            if not only or name in only:
                part()
        self.ratios()

    def ratios(self):
        print("\nratios (peer / Cove; above 1 Cove is ahead):")
        behind = 0
        for r in self.rows:
            for peer in KINDS[1:]:
                compares = "worst" not in r["row"] and " there were" not in r["row"]
                if compares and min(r.get("cove") or 0, r.get(peer) or 0) > 0:
                    ratio = r[peer] / r["cove"] if r["lower_is_better"] else r["cove"] / max(r[peer], 1e-9)
                    r[f"ratio_{peer}"] = round(ratio, 2)
            ratios = [r.get(f"ratio_{p}") for p in KINDS[1:]]
            behind += any(x is not None and x < 1 for x in ratios)
            print(f"  {r['row']:46} debian {ratios[0]}, v3 {ratios[1]}")
        print(f"\n{len(self.rows)} rows, behind in {behind}")

    def close(self):
        if Server.database:
            Server.database.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def first_byte(connection, path, headers=()):
    connection.connect()
    began = time.monotonic()
    connection.request("GET", path, headers=dict(headers))
    r = connection.getresponse()
    r.read(1)
    if r.status != 200:
        raise SystemExit(f"{path}: {r.status}")
    took = time.monotonic() - began
    r.read()
    connection.close()
    return took


VERSIONS = {"cove": [str(ROOT / "build" / "cove"), "--version"], "debian": ["docker-registry", "--version"],
            "v3": [str(ROOT / "build" / "tools" / "registry"), "--version"]}
PLOTS = {
    "small": ("Server CPU-seconds per 1,000 small requests", "CPU-s per 1,000"),
    "bytes": ("Server CPU-seconds per GiB", "CPU-s per GiB"),
    "times": ("Milliseconds", "ms"),
    "memory": ("Memory", "MiB"),
}


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    kib = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return (f"{os.cpu_count()} x {model[1] if model else 'CPU'}, {kib / MIB:.0f} GiB, Linux {os.uname().release}, "
            f"load average {os.getloadavg()[0]:.1f} at the end")


def write_docs(rows, growth, folder, quick):
    """Replaces the generated part of docs/benchmarks.md and writes the plots."""
    page = folder / "benchmarks.md"
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}{', a short run (--quick)' if quick else ''}.", ""]
    for kind in VERSIONS:
        text = subprocess.run(VERSIONS[kind], capture_output=True, text=True).stdout.strip().replace(f"{ROOT}/build/tools/", "")
        lines.append(f"- {plots.NAMES[kind]}: `{text}`")
    lines += ["", "| row | unit | Cove | Cove on PostgreSQL | docker-registry | distribution v3 |",
              "|---|---|---:|---:|---:|---:|"]
    for r in rows:
        cells = " | ".join(plots.number(r[k]) if r.get(k) is not None else "-" for k in WITH_PG)
        lines.append(f"| {r['row']} | {r['unit']} | {cells} |")
    head, _, rest = page.read_text().partition("<!-- figures -->")
    tail = rest.partition("<!-- end of figures -->")[2]
    page.write_text(head + "<!-- figures -->\n" + "\n".join(lines) + "\n<!-- end of figures -->" + tail)
    (folder / "benchmarks").mkdir(exist_ok=True)
    for name, (title, unit) in PLOTS.items():
        chosen = [(r["row"], r) for r in rows if r["unit"] == unit]
        (folder / "benchmarks" / f"{name}.svg").write_text(plots.bars(title, chosen, WITH_PG))
    (folder / "benchmarks" / "growth.svg").write_text(plots.lines(
        "One manifest GET by tag as the store grows", "server CPU-seconds per 1,000, Cove", growth))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json")
    p.add_argument("--docs", action="store_true")
    p.add_argument("--only", nargs="*", default=(), metavar="PART")
    args = p.parse_args()
    if not (ROOT / "build" / "cove").exists():
        raise SystemExit("build/cove is missing: run `make build`")
    bench = Bench(args.quick)
    try:
        bench.run(args.only)
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(bench.rows, indent=1))
        if args.docs:
            write_docs(bench.rows, bench.growth, ROOT / "docs", args.quick)
    finally:
        bench.close()
    if bench.failed:
        raise SystemExit("Cove failed in a row: see above")


if __name__ == "__main__":
    main()
