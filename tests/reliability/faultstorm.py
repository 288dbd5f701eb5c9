#!/usr/bin/env python3
"""Random sequences of faults between Cove and its upstream, thousands of them: registry, token
service and CDN cut, lie, refuse, limit, stall and redirect while clients pull. No complete body is
ever wrong, nothing is 404 that upstream did not call 404, no status is one that upstream's answers
do not explain, nobody sees a credential that is not theirs, afterwards each image pulls cleanly and
`cove fsck --full` finds nothing. One line at the end; exit 1 on any breach.

A sequence is a function of the seed and its number: `--seed S --only N` repeats it."""
import argparse
import http.client
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from base64 import b64encode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))

from harness import PASSWORD, Server  # noqa: E402
from upstream import OCI_INDEX, Upstream, digest_of  # noqa: E402

THREADS = 8       # of a process, each with an upstream and a project of its own
ROUND = 2500      # sequences on one store
TAIL = 64 << 10
SECRET = "s3cret-of-the-storm"
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
ADMIN = {"Authorization": "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()}


class Storm(Upstream):
    """Notes the steps that it took."""

    def __init__(self, **options):
        self.fired = []
        super().__init__(**options)

    def next_step(self, method, path):
        step = super().next_step(method, path)
        if step:
            self.fired.append(step)
        return step


# ---- the vocabulary --------------------------------------------------------------------------------


def position(rng, size):
    return rng.choice([0, 1, size // 2, size - 1, max(0, size - TAIL), rng.randrange(size)])


def status_step(rng):
    status = rng.choice([401, 403, 404, 429, 429, 500, 502, 503, 503, 504])
    step = {"status": status}
    if status == 429 and rng.random() < 0.6:
        step["headers"] = {"Retry-After": str(rng.choice([0, 1, 30]))}
    return step


def wire_step(rng, size):
    """What may go wrong with any answer."""
    return rng.choice([
        lambda: status_step(rng), lambda: status_step(rng), lambda: {"rst": True},
        lambda: {"delay": rng.choice([0.05, 0.3])}, lambda: {"flood": 100_000},
        lambda: {"interim": rng.choice([3, 11])}, lambda: {"no_length": "chunked"},
        lambda: {"no_length": True}, lambda: {"cut_at": position(rng, size)},
        lambda: {"cut_at": position(rng, size), "rst": True},
        lambda: {"headers": {"Content-Encoding": "gzip", "Set-Cookie": "a=b"}}])()


def manifest_step(rng, size):
    return rng.choice([
        lambda: wire_step(rng, size), lambda: wire_step(rng, size),
        lambda: {"corrupt_at": position(rng, size)}, lambda: {"wrong_digest_header": True},
        lambda: {"wrong_digest_header": None}, lambda: {"body": "{}"},
        lambda: {"body": b"\0" * rng.choice([1, 5000])},
        lambda: {"headers": {"Content-Type": rng.choice(["text/html", OCI_INDEX])}},
        lambda: {"length": rng.choice([0, 10, size + 10])}])()


def blob_step(rng, size):
    stall = rng.random() < 0.02
    return rng.choice([
        lambda: wire_step(rng, size), lambda: wire_step(rng, size),
        lambda: {"cut_at": position(rng, size), "rst": rng.random() < 0.3},
        lambda: {"corrupt_at": position(rng, size)}, lambda: {"corrupt_at": position(rng, size)},
        lambda: {"ignore_range": True}, lambda: {"content_range": "bytes 5-10/20"},
        lambda: {"body": b"x" * rng.choice([1, size, size + 100])},
        lambda: {"length": rng.choice([0, 1, size - 1, size + 100]), "hold": 0.05},
        lambda: {"stall": 2.5, "cut_at": position(rng, size)} if stall else
        {"rate": size * 5}])()


def token_step(rng, _):
    return rng.choice([
        lambda: wire_step(rng, 100), lambda: {"body": "nonsense"}, lambda: {"body": "{}"},
        lambda: {"body": '{"token":"unknown","expires_in":1}'}])()


# ---- one sequence ----------------------------------------------------------------------------------


class Breach(Exception):
    pass


class Lane:
    """One endpoint with its three hosts, one project, one client thread."""

    def __init__(self, port, name):
        self.port, self.name = port, name
        self.tokens = Storm(host="127.0.0.2")
        self.cdn = Storm(host="127.0.0.3")
        self.up = Storm(auth="bearer", token_server=self.tokens, cdn=self.cdn)
        self.hosts = (self.up, self.tokens, self.cdn)
        self.admin = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.api("POST", "/api/v2.0/registries", {
            "name": name, "type": "docker-registry", "url": self.up.url,
            "credential": {"type": "basic", "access_key": "robot", "access_secret": SECRET}})
        self.registry = self.location
        self.api("POST", "/api/v2.0/projects", {
            "project_name": name, "registry_id": int(self.registry.rsplit("/", 1)[1]),
            "metadata": {"public": "false"}})
        self.counts = {"requests": 0, "faults": 0, "cut": 0, "served": 0, "refused": 0}

    def api(self, method, path, body):
        self.admin.request(method, path, json.dumps(body), {**ADMIN,
                                                            "Content-Type": "application/json"})
        reply = self.admin.getresponse()
        text = reply.read()
        if reply.status not in (200, 201):
            raise Breach(f"{method} {path}: {reply.status} {text[:200]}")
        self.location = reply.headers.get("Location")

    def afresh(self, n):
        """A new credential: what was learnt of the endpoint is forgotten."""
        self.api("PUT", self.registry, {"access_secret": f"{SECRET}-{n}"})

    def stop(self):
        self.admin.close()
        for host in self.hosts:
            host.stop()

    def ask(self, method, path, headers=None):
        """(status, headers, body, whole)"""
        self.counts["requests"] += 1
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        status, got, body, whole = None, {}, b"", False
        try:
            c.request(method, path, headers={**ADMIN, "Accept": ACCEPT, **(headers or {})})
            r = c.getresponse()
            status, got = r.status, r.headers
            while part := r.read1(1 << 16):
                body += part
            length = got.get("Content-Length")
            if method != "HEAD" and length is None and "Transfer-Encoding" not in got:
                raise Breach(f"{method} {path}: a body that only the close ends")
            whole = method == "HEAD" or length is None or len(body) == int(length)
        except ConnectionRefusedError as why:
            raise Breach("the server is gone") from why
        except (OSError, http.client.HTTPException):
            pass
        finally:
            c.close()
        return status, got, body, whole


class Sequence:
    def __init__(self, lane, seed, number):
        self.lane, self.number = lane, number
        self.rng = random.Random(f"{seed} {number}")
        self.repo = f"s{number}/x"
        self.story = []

    def run(self):
        lane, rng = self.lane, self.rng
        lane.afresh(self.number)
        for host in lane.hosts:
            host.clear()
            host.clear_scripts()
            host.fired.clear()
        self.size = rng.randint(100_000, 300_000)
        self.image = lane.up.add_image(self.repo, "1", [rng.randbytes(self.size)])
        self.blobs = {d: lane.up.blobs[d] for d in (self.image.config, self.image.layers[0])}
        self.valid = {self.image.digest: self.image.payload}
        self.known = set()
        if rng.random() < 0.4:
            self.cache_an_older_one()
        self.draw()
        for _ in range(rng.randint(2, 5)):
            self.act()
        self.come_to_rest()
        self.credentials()
        lane.counts["faults"] += sum(len(h.fired) for h in lane.hosts)
        for d in self.blobs:
            lane.up.blobs.pop(d, None)
            lane.cdn.blobs.pop(d, None)
        lane.up.repos.pop(self.repo, None)

    def cache_an_older_one(self):
        rng, lane = self.rng, self.lane
        if rng.random() < 0.5:  # the same image
            self.story.append("cached")
        else:
            old = lane.up.add_image(self.repo, "1", [rng.randbytes(5000)])
            self.valid[old.digest] = old.payload
            self.story.append("an older one is cached")
        self.manifest("GET", "1")
        lane.up.move_tag(self.repo, "1", self.image)

    def draw(self):
        rng, lane = self.rng, self.lane
        manifests, blobs = f"/v2/{self.repo}/manifests/", f"/v2/{self.repo}/blobs/"
        layer = self.image.layers[0]
        targets = [
            ("manifest HEAD", lane.up, manifests, "HEAD", manifest_step, len(self.image.payload)),
            ("manifest GET", lane.up, manifests, "GET", manifest_step, len(self.image.payload)),
            ("blob", lane.up, blobs, "GET", wire_step, self.size),
            ("blob HEAD", lane.up, blobs, "HEAD", wire_step, self.size),
            ("cdn", lane.cdn, f"/cdn/{layer}", "GET", blob_step, self.size),
            ("cdn", lane.cdn, f"/cdn/{layer}", "GET", blob_step, self.size),
            ("token", lane.tokens, f":{self.repo}:", "GET", token_step, 100)]
        for _ in range(rng.randint(1, 4)):
            name, host, path, method, make, size = rng.choice(targets)
            step = make(rng, size)
            step["times"] = rng.choices([1, 2, 3, 5, 0], [60, 20, 10, 5, 5])[0]
            if name == "token" and step["times"] == 0 and "delay" in step:
                step["times"] = 1
            if rng.random() < 0.1:
                step["do"] = lane.up.expire_tokens
            if rng.random() < 0.03 and name in ("blob", "cdn"):  # round and round
                step["redirect"] = host.url + path + (layer if name == "blob" else "")
            self.story.append(f"{name}: {step}")
            host.script(path, step, method=method)

    # requests and what may come of them

    def fired(self):
        return [s for h in self.lane.hosts for s in list(h.fired)]

    def answered(self, *statuses, host=None, part=""):
        return any(r.status in statuses and part in r.path
                   for h in ([host] if host else self.lane.hosts) for r in list(h.requests))

    def explained(self, status, part):
        fired = self.fired()
        if status == 404:
            return self.answered(404, host=self.lane.up, part=part)
        if status == 429:
            return self.answered(429)
        if status == 416:  # the only length there is was upstream's lie
            return any("length" in s or "body" in s for s in fired)
        if status == 502:
            return bool(fired)
        if status == 503:  # upstream's word, or the breaker
            return self.answered(503) or len(fired) >= 5
        if status == 504:
            return self.answered(504) or any("delay" in s or "stall" in s or "rate" in s
                                             for s in fired)
        return False

    def judge(self, what, status, body, whole, part):
        """Refusals and cuts; True when there is a whole body to look at."""
        if status in (200, 206) and whole:
            self.lane.counts["served"] += 1
            return True
        if status in (200, 206):
            self.lane.counts["cut"] += 1
            if not self.fired():
                raise Breach(f"{what}: cut, and upstream did nothing")
            return False
        self.lane.counts["refused"] += 1
        if not self.explained(status, part):
            raise Breach(f"{what}: {status} {body[:200]!r} is not explained")
        return False

    def manifest(self, method, ref):
        what = f"{method} manifest {ref[:20]}"
        self.story.append(what)
        status, headers, body, whole = self.lane.ask(
            method, f"/v2/{self.lane.name}/{self.repo}/manifests/{ref}")
        self.story.append(f"-> {status} {whole}")
        if not self.judge(what, status, body, whole, "/manifests/") or method == "HEAD":
            return
        digest = digest_of(body)
        if self.valid.get(digest) != body or (":" in ref and digest != ref):
            raise Breach(f"{what}: wrong body")
        if headers["Docker-Content-Digest"] != digest:
            raise Breach(f"{what}: wrong digest in the header")
        self.known.add(digest)

    def blob(self, digest, want=None, method="GET"):
        data = self.blobs[digest]
        what = f"{method} blob {digest[7:15]} {want or ''}"
        headers = {"Range": f"bytes={want[0]}-{want[1] - 1}"} if want else None
        status, headers, body, whole = self.lane.ask(
            method, f"/v2/{self.lane.name}/{self.repo}/blobs/{digest}", headers)
        self.story.append(f"{what} -> {status} {len(body)} of {len(data)} {whole}")
        if not self.judge(what, status, body, whole, "/blobs/") or method == "HEAD":
            return
        begin, end = want if want and status == 206 else (0, len(data))
        if (end == len(data) or headers.get("Cove-Verified") != "no") and body != data[begin:end]:
            raise Breach(f"{what}: {status} with a wrong body of {len(body)} bytes")

    def several(self, *blobs):
        failures = []

        def one(args):
            try:
                self.blob(*args)
            except Breach as why:
                failures.append(why)
        threads = [threading.Thread(target=one, args=(b,)) for b in blobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failures:
            raise failures[0]

    def act(self):
        rng, layer = self.rng, self.image.layers[0]
        n = self.size
        part = rng.choice([(n - 1, n), (n - 1000, n), (0, n), (0, 100), (n // 2, n // 2 + 5000),
                           (n // 2, n)])
        rng.choices([
            lambda: self.manifest("GET", "1"), lambda: self.manifest("HEAD", "1"),
            lambda: self.manifest("GET", self.image.digest), lambda: self.blob(layer),
            lambda: self.blob(self.image.config), lambda: self.blob(layer, part),
            lambda: self.blob(layer, method="HEAD"),
            lambda: self.several((layer,), (layer, part), (layer,))],
            [5, 1, 2, 5, 1, 3, 1, 3])[0]()

    def come_to_rest(self):
        """The upstream is well again: everything is served, and right."""
        for host in self.lane.hosts:
            host.clear_scripts()
        self.lane.afresh(f"{self.number}-rest")
        self.story.append("rest")
        path = f"/v2/{self.lane.name}/{self.repo}/"
        until = time.monotonic() + 60
        for kind, ref, want in [("manifests", "1", self.image.payload),
                                ("manifests", self.image.digest, self.image.payload),
                                *(("blobs", d, data) for d, data in self.blobs.items())]:
            while True:
                status, _, body, whole = self.lane.ask("GET", path + f"{kind}/{ref}")
                if (status, whole, body == want) == (200, True, True):
                    break
                # a fetch that began in the storm may still end in it
                if whole and status == 200 and digest_of(body) not in self.valid:
                    raise Breach(f"at rest: wrong body of {kind}/{ref}")
                if time.monotonic() > until:
                    raise Breach(f"at rest: {kind}/{ref}: {status} {whole} {body[:200]!r}")
                time.sleep(0.05)

    def credentials(self):
        for host in self.lane.hosts:
            for r in list(host.requests):
                sent = r.headers.get("authorization")
                if SECRET in r.path or any(SECRET in v for v in r.headers.values()) or \
                        (sent and (host is not self.lane.up or not sent.startswith("Bearer "))):
                    raise Breach(f"a credential at {host.host}: {r}")


# ---- many of them ----------------------------------------------------------------------------------


def lane_thread(lane, seed, take, report):
    while (number := take()) is not None:
        sequence = Sequence(lane, seed, number)
        try:
            sequence.run()
        except Exception as why:  # pylint: disable=broad-except
            kind = "" if isinstance(why, Breach) else type(why).__name__ + " "
            report(f"sequence {number}: {kind}{why}\n    " + "\n    ".join(sequence.story))


def worker(index, port, seed, numbers, results):
    lock, left, failures = threading.Lock(), list(numbers), []

    def take():
        with lock:
            return left.pop() if left and len(failures) < 10 else None
    lanes = [Lane(port, f"w{index}l{i}") for i in range(min(THREADS, len(numbers)))]
    threads = [threading.Thread(target=lane_thread, args=(lane, seed, take, failures.append))
               for lane in lanes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    counts = {}
    for lane in lanes:
        for k, v in lane.counts.items():
            counts[k] = counts.get(k, 0) + v
        lane.stop()
    results.put((failures, counts))


def storm(numbers, args, failures, counts):
    """One store: these sequences, then fsck."""
    work = tempfile.mkdtemp(prefix="cove-storm-")
    server = Server(os.path.join(work, "data"), os.path.join(work, "log"),
                    COVE_OUTBOUND_ALLOW="127.0.0.0/8", COVE_PROXY_STALL_S=1,
                    COVE_PROXY_BUDGET_MS=150, COVE_LOG_LEVEL="error")
    server.start()
    before = len(failures)
    results = multiprocessing.Queue()
    parts = [numbers[i::args.jobs] for i in range(args.jobs)]
    processes = [multiprocessing.Process(target=worker,
                                         args=(i, server.port, args.seed, part, results))
                 for i, part in enumerate(parts) if part]
    for p in processes:
        p.start()
    for _ in processes:
        failed, some = results.get()
        failures += failed
        for k, v in some.items():
            counts[k] = counts.get(k, 0) + v
    for p in processes:
        p.join()
    if server.process.poll() is None:
        code, text = server.command("fsck", "--full")
        if code != 0:
            failures.append(f"fsck --full: exit {code}: {text.strip()}")
    died = server.kill()
    with open(server.log, errors="replace") as f:
        said = f.read()
    if died is not None or "Sanitizer" in said or "runtime error:" in said:
        failures.append(f"the server died by itself: {died}\n{said[-4000:]}")
    if len(failures) > before and args.keep:
        print("store and log in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--jobs", type=int, default=4, help="processes of eight endpoints each")
    parser.add_argument("--only", type=int, help="this sequence alone")
    parser.add_argument("--keep", action="store_true", help="leave the store of a breach behind")
    args = parser.parse_args()
    numbers = [args.only] if args.only is not None else list(range(args.sequences))
    began, failures, counts = time.monotonic(), [], {}
    for at in range(0, len(numbers), ROUND):
        storm(numbers[at:at + ROUND], args, failures, counts)
        if failures:
            break
    for failure in failures[:20]:
        print("FAIL:", failure)
    what = ", ".join(f"{v} {k}" for k, v in counts.items())
    print(f"faultstorm: {len(numbers)} sequences, {len(failures)} breaches; {what}; "
          f"{time.monotonic() - began:.0f} s, seed {args.seed}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
