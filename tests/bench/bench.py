#!/usr/bin/env python3
"""`make bench`: Cove beside Debian's docker-registry and distribution v3 in one run on this machine.
Machines are noisy, so trust the ratios of server CPU-seconds, not the rates. All traffic is loopback;
every loop is bounded. --quick shrinks it; --json FILE keeps the figures; --docs writes the table of
docs/benchmarks.md and the plots beside it."""
import argparse
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time

import plots
from servers import PASSWORD, ROOT, Server
from upstream import MANIFEST, MIB, Upstream, sha

BASIC = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
KINDS = ("cove", "debian", "v3")


class Client:
    """A connection with the credentials that the server wants."""

    def __init__(self, server):
        self.c = server.connect()
        self.headers = {"Authorization": BASIC} if server.kind == "cove" else {}

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


class Bench:
    def __init__(self, quick):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cove-bench-", dir=os.environ.get("BENCH_DIR")))
        self.quick, self.rows, self.seconds = quick, [], 2 if quick else 4
        self.big = 128 * MIB if quick else 1024 * MIB

    def row(self, name, unit, values, lower=True):
        self.rows.append({"row": name, "unit": unit, "lower_is_better": lower, **values})
        cells = "".join(f"{values.get(k, float('nan')):>12.4g}" for k in values)
        print(f"{name:46} {unit:16}{cells}", flush=True)

    def each(self, measure, tls=False, upstream=None, more=None):
        """measure(server) -> {row: value} on a fresh server of each kind, one at a time."""
        out = {}
        for kind in KINDS:
            server = Server(kind, self.folder, tls=tls, upstream=upstream, more=more)
            try:
                for key, value in measure(server).items():
                    out.setdefault(key, {})[kind] = value
            finally:
                server.stop()
        return out

    # ---- small requests ---------------------------------------------------------------------------

    def wrk(self, server, path, headers=(), connections=16, script=None):
        """CPU-seconds per 1,000 requests, requests per second."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", server.url + path]
        command += ["-s", str(script)] if script else []
        for name, value in headers:
            command += ["-H", f"{name}: {value}"]
        before = server.cpu()
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = server.cpu() - before
        count = int(re.search(r"(\d+) requests in", text)[1])
        if "Non-2xx" in text:
            raise SystemExit(f"{server.kind} {path}: {text}")
        return used / count * 1000, count / self.seconds

    def small(self, server):
        c = Client(server)
        digest = c.push_image(server.repo, "v1", [os.urandom(4096)])
        blob = c.push_blob(server.repo, os.urandom(4096))["digest"]
        accept = ("Accept", MANIFEST)
        auth = [("Authorization", BASIC)] if server.kind == "cove" else []
        out = {}
        by_tag = f"/v2/{server.repo}/manifests/v1"
        out["manifest GET by tag, Basic"], out["rate: manifest GET"] = self.wrk(server, by_tag, [accept, *auth])
        if server.kind == "cove":
            _, body = c.call("GET", f"/service/token?service=harbor-registry&scope=repository:{server.repo}:pull")
            token = [("Authorization", "Bearer " + json.loads(body)["token"])]
        else:
            token = []
        out["manifest GET by tag, token"], _ = self.wrk(server, by_tag, [accept, *token])
        out["manifest GET by digest"], _ = self.wrk(server, f"/v2/{server.repo}/manifests/{digest}", [accept, *token])
        out["blob GET, 4 KiB"], _ = self.wrk(server, f"/v2/{server.repo}/blobs/{blob}", token)
        out["manifest GET by tag, 160 connections"], _ = self.wrk(server, by_tag, [accept, *token], 160)
        out["RSS after this load"] = server.rss_mib()
        before, held = server.rss_mib(), []
        for _ in range(1000):
            held.append(socket.create_connection(("127.0.0.1", server.port)))
        time.sleep(0.5)
        out["RSS of 1,000 idle connections"] = server.rss_mib() - before
        for s in held:
            s.close()
        return out

    def tags(self, server):
        """Tag PUTs by 8 clients until there are 10,000; a tag among 10 and among 10,000."""
        c = Client(server)
        auth = [("Authorization", BASIC)] if server.kind == "cove" else []
        accept = ("Accept", MANIFEST)
        few, many = server.repo + "-few", server.repo
        for i in range(10):
            c.push_image(few, f"t{i}", [b"x" * 64])
        c.push_image(many, "first", [b"x" * 64])
        body = c.call("GET", f"/v2/{many}/manifests/first", headers={"Accept": MANIFEST})[1].decode()
        script, count, wall, used = self.folder / "put.lua", 0, 0.0, 0.0
        limit = time.monotonic() + (8 if self.quick else 30)
        while count < (2000 if self.quick else 10000) and time.monotonic() < limit:
            script.write_text(f"""local n = {count}
                local body = [==[{body}]==]
                function request()
                  n = n + 1
                  return wrk.format("PUT", "/v2/{many}/manifests/t" .. n, {{["Content-Type"] = "{MANIFEST}",
                    {f'["Authorization"] = "{BASIC}"' if auth else ""}}}, body)
                end""")
            before, began = server.cpu(), time.monotonic()
            _, rate = self.wrk(server, "/", connections=8, script=script)
            used, wall = used + server.cpu() - before, wall + time.monotonic() - began
            count += int(rate * self.seconds)
        among_few, _ = self.wrk(server, f"/v2/{few}/manifests/t5", [accept, *auth])
        among_many, _ = self.wrk(server, f"/v2/{many}/manifests/first", [accept, *auth])
        return {"rate: tag PUTs by 8 clients": count / wall, "CPU: tag PUTs": used / count * 1000,
                "CPU: a tag among 10": among_few, "CPU: a tag among many": among_many,
                "tags there were": count}

    # ---- bytes ------------------------------------------------------------------------------------

    def bulk(self, server):
        c, big = Client(server), self.folder / "big"
        if not big.exists():
            with open(big, "wb") as f:
                for _ in range(self.big // (4 * MIB)):
                    f.write(os.urandom(4 * MIB))
            self.digest = "sha256:" + subprocess.run(["sha256sum", big], check=True, capture_output=True,
                                                     text=True).stdout.split()[0]
        auth = ["-H", f"Authorization: {BASIC}"] if server.kind == "cove" else []
        r, _ = c.call("POST", f"/v2/{server.repo}/blobs/uploads/")
        place = re.sub(r"^https?://[^/]+", "", r.getheader("Location"))
        put = f"{server.url}{place}{'&' if '?' in place else '?'}digest={self.digest}"
        gib = self.big / (1024 * MIB)

        def curl(*args):
            before, began = server.cpu(), time.monotonic()
            code = subprocess.run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *auth, *args],
                                  check=True, capture_output=True, text=True).stdout
            if code not in ("200", "201"):
                raise SystemExit(f"{server.kind}: curl {args} answered {code}")
            return (server.cpu() - before) / gib, (time.monotonic() - began) / gib
        push, push_wall = curl("-T", str(big), "-H", "Content-Type: application/octet-stream",
                               "-H", "Expect:", put)
        curl(f"{server.url}/v2/{server.repo}/blobs/{self.digest}")
        pull, pull_wall = curl(f"{server.url}/v2/{server.repo}/blobs/{self.digest}")
        kind = "TLS" if server.tls else "plain"
        return {f"push, {kind}": push, f"pull, {kind}": pull,
                f"wall: push, {kind}": push_wall, f"wall: pull, {kind}": pull_wall}

    def images(self, server):
        count, clients = (24, 4) if self.quick else (200, 4)

        def work(n):
            c = Client(server)
            for i in range(n, count, clients):
                c.push_image(server.repo, f"t{i}", [os.urandom(16384) for _ in range(5)])
        before, began = server.cpu(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(work, range(clients)))
        wall = time.monotonic() - began
        return {"CPU ms per pushed image": (server.cpu() - before) / count * 1000,
                "rate: images pushed": count / wall}

    def idle(self, server):
        """Starts on an empty store, five times."""
        time.sleep(0.5)
        took, rss = [server.start_seconds * 1000], server.rss_mib()
        for _ in range(4):
            other = Server(server.kind, self.folder)
            took.append(other.start_seconds * 1000)
            other.stop()
        return {"idle RSS": rss, "start to first answer": sorted(took)[2]}

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
        for _ in range(3):
            server.start()
            took.append(server.start_seconds * 1000)
            server.end()
        server.stop()
        return sorted(took)[1]

    # ---- proxy ------------------------------------------------------------------------------------

    def announce(self, server, client):
        """As clients do: the manifest before its blobs."""
        client.call("GET", f"/v2/{self.proxied(server)}/manifests/v1", headers={"Accept": MANIFEST})

    def cold(self, server):
        """Added time to the first byte of a cold 8 MiB blob, over asking upstream directly."""
        added, auth = [], Client(server)
        self.announce(server, auth)
        for digest in self.upstream.blobs[:8]:
            direct = first_byte(self.upstream.connect(), f"/v2/library/bench/blobs/{digest}")
            through = first_byte(server.connect(), f"/v2/{self.proxied(server)}/blobs/{digest}", auth.headers)
            added.append((through - direct) * 1000)
        where = "cold blob, added first byte" if not self.upstream.delay else "the same, upstream 20 ms away"
        return {where: sorted(added)[len(added) // 2]}

    def warm(self, server):
        c, path = Client(server), f"/v2/{self.proxied(server)}/manifests/v1"
        headers = [("Accept", MANIFEST), *c.headers.items()]
        c.call("GET", path, headers={"Accept": MANIFEST})
        within = server.more.get("COVE_PROXY_WINDOW_S") or server.kind != "cove"
        return {"warm tag" if within else "warm tag, asked upstream": self.wrk(server, path, headers)[0]}

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
                "herd of 50: upstream blob GETs": sum(1 for p in self.upstream.gets if digest in p)}

    @staticmethod
    def proxied(server):
        return "hub/library/bench" if server.kind == "cove" else "library/bench"

    def run(self):
        print(f"{'':46} {'':16}" + "".join(f"{k:>12}" for k in KINDS))
        small = self.each(self.small)
        for name, values in small.items():
            rate = name.startswith("rate")
            unit = "requests/s" if rate else "MiB" if name.startswith("RSS") else "CPU-s per 1,000"
            self.row(name, unit, values, lower=not rate)
        for tls in (False, True):
            for name, values in self.each(self.bulk, tls=tls).items():
                self.row(name, "s per GiB" if name.startswith("wall") else "CPU-s per GiB", values)
        for name, values in self.each(self.images).items():
            rate = name.startswith("rate")
            self.row(name, "images/s" if rate else "ms", values, lower=not rate)
        for name, values in self.each(self.tags).items():
            unit = ("requests/s" if name.startswith("rate") else "CPU-s per 1,000" if name.startswith("CPU")
                    else "tags")
            self.row(name, unit, values, lower=not name.startswith("rate") and name != "tags there were")
        for name, values in self.each(self.idle).items():
            self.row(name, "MiB" if "RSS" in name else "ms", values)
        self.row("start with 100,000 blobs", "ms", {"cove": self.restart()})
        self.proxy()
        self.ratios()

    def proxy(self):
        self.upstream = Upstream(self.folder, big=20 if self.quick else 100)
        for name, values in self.each(self.cold, upstream=self.upstream.url).items():
            self.row(name, "ms", values)
        for name, values in self.each(self.herd, upstream=self.upstream.url).items():
            self.row(name, "s" if "wall" in name else "CPU-s" if "CPU" in name else "GETs", values)
        within = self.each(self.warm, upstream=self.upstream.url, more={"COVE_PROXY_WINDOW_S": "600"})
        server = Server("cove", self.folder, upstream=self.upstream.url)
        asked = self.warm(server)
        server.stop()
        peers = {k: v for k, v in within["warm tag"].items() if k != "cove"}
        self.row("warm proxied tag, inside its window", "CPU-s per 1,000", within["warm tag"])
        self.row("warm proxied tag, upstream asked each time", "CPU-s per 1,000",
                 {"cove": asked["warm tag, asked upstream"], **peers})
        self.upstream.shutdown()
        self.upstream = Upstream(self.folder, big=0, delay=0.02)
        for name, values in self.each(self.cold, upstream=self.upstream.url).items():
            self.row(name, "ms", values)

    def ratios(self):
        print("\nratios (peer / Cove; above 1 Cove is ahead):")
        behind = 0
        for r in self.rows:
            for peer in KINDS[1:]:
                if r.get("cove") and r.get(peer) is not None:
                    ratio = r[peer] / r["cove"] if r["lower_is_better"] else r["cove"] / max(r[peer], 1e-9)
                    r[f"ratio_{peer}"] = round(ratio, 2)
            ratios = [r.get(f"ratio_{p}") for p in KINDS[1:]]
            behind += any(x is not None and x < 1 for x in ratios)
            print(f"  {r['row']:46} debian {ratios[0]}, v3 {ratios[1]}")
        print(f"\n{len(self.rows)} rows, behind in {behind}")

    def close(self):
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
}


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    kib = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return (f"{os.cpu_count()} x {model[1] if model else 'CPU'}, {kib / MIB:.0f} GiB, Linux {os.uname().release}, "
            f"load average {os.getloadavg()[0]:.1f} at the end")


def write_docs(rows, folder, quick):
    """Replaces the generated part of docs/benchmarks.md and writes the plots."""
    page = folder / "benchmarks.md"
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}{', a short run (--quick)' if quick else ''}.", ""]
    for kind in KINDS:
        text = subprocess.run(VERSIONS[kind], capture_output=True, text=True).stdout.strip().replace(f"{ROOT}/build/tools/", "")
        lines.append(f"- {plots.NAMES[kind]}: `{text}`")
    lines += ["", "| row | unit | Cove | docker-registry | distribution v3 |", "|---|---|---:|---:|---:|"]
    for r in rows:
        cells = " | ".join(plots.number(r[k]) if r.get(k) is not None else "-" for k in KINDS)
        lines.append(f"| {r['row']} | {r['unit']} | {cells} |")
    head, _, rest = page.read_text().partition("<!-- figures -->")
    tail = rest.partition("<!-- end of figures -->")[2]
    page.write_text(head + "<!-- figures -->\n" + "\n".join(lines) + "\n<!-- end of figures -->" + tail)
    (folder / "benchmarks").mkdir(exist_ok=True)
    for name, (title, unit) in PLOTS.items():
        chosen = [(r["row"], r) for r in rows if r["unit"] == unit]
        (folder / "benchmarks" / f"{name}.svg").write_text(plots.bars(title, chosen, KINDS))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json")
    p.add_argument("--docs", action="store_true")
    args = p.parse_args()
    if not (ROOT / "build" / "cove").exists():
        raise SystemExit("build/cove is missing: run `make build`")
    bench = Bench(args.quick)
    try:
        bench.run()
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(bench.rows, indent=1))
        if args.docs:
            write_docs(bench.rows, ROOT / "docs", args.quick)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
