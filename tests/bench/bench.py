#!/usr/bin/env python3
"""`make bench`: Cove beside Debian's docker-registry and distribution v3 in one run on this machine.
Machines are noisy, so trust the ratios of server CPU-seconds, not the rates. All traffic is loopback;
every loop is bounded. --quick shrinks it; --json FILE keeps the figures."""
import argparse
import base64
import concurrent.futures
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

from servers import PASSWORD, ROOT, Server

MIB = 1 << 20
BASIC = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
KINDS = ("cove", "debian", "v3")


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


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
        self.quick, self.rows = quick, []
        self.big = 128 * MIB if quick else 1024 * MIB

    def row(self, name, unit, values, lower=True):
        self.rows.append({"row": name, "unit": unit, "lower_is_better": lower, **values})
        cells = "".join(f"{values.get(k, float('nan')):>12.4g}" for k in values)
        print(f"{name:46} {unit:16}{cells}", flush=True)

    def each(self, measure, tls=False, upstream=None):
        """measure(server) -> {row: value} on a fresh server of each kind, one at a time."""
        out = {}
        for kind in KINDS:
            server = Server(kind, self.folder, tls=tls, upstream=upstream)
            try:
                for key, value in measure(server).items():
                    out.setdefault(key, {})[kind] = value
            finally:
                server.stop()
        return out

    # ---- small requests ---------------------------------------------------------------------------

    def wrk(self, server, path, headers=()):
        seconds = 2 if self.quick else 6
        command = ["wrk", "-t1", "-c16", f"-d{seconds}s", server.url + path]
        for name, value in headers:
            command += ["-H", f"{name}: {value}"]
        before = server.cpu()
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = server.cpu() - before
        count = int(re.search(r"(\d+) requests in", text)[1])
        if "Non-2xx" in text:
            raise SystemExit(f"{server.kind} {path}: {text}")
        return used / count * 1000, count / seconds

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
        return out

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
        time.sleep(0.5)
        return {"idle RSS": server.rss_mib(), "start to first answer": server.start_seconds * 1000}

    # ---- proxy ------------------------------------------------------------------------------------

    def cold(self, server):
        """Added time to the first byte of a cold 8 MiB blob, over asking upstream directly."""
        added, auth = [], Client(server)
        auth.call("GET", "/v2/")  # the password is verified once
        for digest in self.upstream.blobs[:8]:
            direct = first_byte(self.upstream.connect(), f"/v2/library/bench/blobs/{digest}")
            through = first_byte(server.connect(), f"/v2/{self.proxied(server)}/blobs/{digest}", auth.headers)
            added.append((through - direct) * 1000)
        return {"cold blob, added first byte": sorted(added)[len(added) // 2]}

    def herd(self, server):
        clients, digest, auth = 50, self.upstream.blobs[-1], Client(server)
        auth.call("GET", "/v2/")
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
            self.row(name, "requests/s" if rate else "CPU-s per 1,000", values, lower=not rate)
        for tls in (False, True):
            for name, values in self.each(self.bulk, tls=tls).items():
                self.row(name, "s per GiB" if name.startswith("wall") else "CPU-s per GiB", values)
        for name, values in self.each(self.images).items():
            rate = name.startswith("rate")
            self.row(name, "images/s" if rate else "ms", values, lower=not rate)
        for name, values in self.each(self.idle).items():
            self.row(name, "MiB" if "RSS" in name else "ms", values)
        self.upstream = Upstream(self.folder, quick=self.quick)
        for measure, unit in ((self.cold, "ms"), (self.herd, "")):
            for name, values in self.each(measure, upstream=self.upstream.url).items():
                self.row(name, unit or ("s" if "wall" in name else "CPU-s" if "CPU" in name else "GETs"), values)
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


class Upstream(http.server.ThreadingHTTPServer):
    """An upstream that serves blobs by sendfile at 20 MiB/s per connection and counts requests."""

    daemon_threads, request_queue_size = True, 128

    def __init__(self, folder, quick):
        super().__init__(("127.0.0.1", 0), Blob)
        self.folder, self.gets, self.blobs = folder, [], []
        for size in [8 * MIB] * 8 + [(20 if quick else 100) * MIB]:
            data = os.urandom(size)
            self.blobs.append(sha(data))
            (folder / sha(data)[7:]).write_bytes(data)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def connect(self):
        import http.client
        return http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)


class Blob(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # a server that went away

    def answer(self):
        path = self.server.folder / self.path.rsplit(":", 1)[-1]
        if self.path in ("/v2/", "/v2") or not path.is_file():
            self.send_response(200 if self.path.startswith("/v2") and len(self.path) < 5 else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Docker-Content-Digest", "sha256:" + path.name)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.server.gets.append(self.path)
        began, at = time.monotonic(), 0
        with open(path, "rb") as f:
            while at < size:
                at += os.sendfile(self.connection.fileno(), f.fileno(), at, min(MIB, size - at))
                ahead = at / (20 * MIB) - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)

    do_GET = do_HEAD = answer


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json")
    args = p.parse_args()
    if not (ROOT / "build" / "cove").exists():
        raise SystemExit("build/cove is missing: run `make build`")
    bench = Bench(args.quick)
    try:
        bench.run()
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(bench.rows, indent=1))
    finally:
        bench.close()


main()
