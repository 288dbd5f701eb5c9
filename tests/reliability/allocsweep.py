#!/usr/bin/env python3
"""No memory at every single allocation: the N-th malloc, calloc or realloc of the process, of Cove's
own or of a library's, returns NULL; for each N over a start and over a story (sign-in, token, push,
lists, pull, pull through a proxy project, garbage collection, delete). At each N: no crash, no false
2xx, no wrong body; the next request is answered; nothing acknowledged is lost; fsck --full is clean.
A start without memory either succeeds or ends with a message."""
import argparse
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from base64 import b64encode

from harness import (PASSWORD, ROOT, Client, Gone, NotStarted, Postgres, Server, binary,
                     compiled, sha256)
from ledger import ACKED, Ledger
from syscallsweep import Story

sys.path.insert(0, os.path.join(ROOT, "tests/api"))
from upstream import Upstream  # noqa: E402

FRAMES, NAME = 24, 64
FRAME = struct.Struct(f"{NAME}sq")
LIMIT = 200  # failures, after which it is enough
KEEP = 12  # images that stay; older ones are deleted by the story


class Shim:
    """The control page of allocshim.c."""

    def __init__(self):
        size = 32 + FRAMES * FRAME.size
        fd, self.path = tempfile.mkstemp(prefix="cove-alloc-")
        os.ftruncate(fd, size)
        self.page = mmap.mmap(fd, size)
        os.close(fd)
        self.env = {"COVE_SHIM": self.path,
                    "LD_PRELOAD": compiled("allocshim.c", "allocshim.so", "-shared", "-fPIC",
                                           "-ldl")}

    def arm(self, at, run=1):
        self.page[0:8] = struct.pack("q", 0)
        self.page[32:] = bytes(len(self.page) - 32)
        self.page[8:32] = struct.pack("3q", run, 0, 0)
        self.page[0:8] = struct.pack("q", at)

    @property
    def count(self):
        return struct.unpack("q", self.page[16:24])[0]

    @property
    def fired(self):
        return struct.unpack("q", self.page[24:32])[0]

    def frames(self):
        """Who asked for the memory that was not there: "object+offset" from the inside out."""
        some = []
        for i in range(FRAMES):
            at = 32 + i * FRAME.size
            name, offset = FRAME.unpack(self.page[at:at + FRAME.size])
            if name[0]:
                some.append((name.split(b"\0")[0].decode(), offset))
        return some

    def close(self):
        self.page.close()
        os.unlink(self.path)


def in_words(frames):
    """Function and line where addr2line knows them."""
    text = []
    for name, offset in frames:
        said = ""
        if name == os.path.basename(binary()) and shutil.which("addr2line"):
            said = subprocess.run(["addr2line", "-fse", binary(), hex(offset - 1)], check=False,
                                  stdout=subprocess.PIPE, text=True).stdout.replace("\n", " ")
        text.append(said.strip() or f"{name}+{offset:#x}")
    return " < ".join(text[:12])


class Walk(Story):
    """A story of every kind of request; what was refused is only noted."""

    more = {"annotations": {"long": "x" * 20000}}  # larger than what arenas hand out in steps

    def __init__(self, server, ledger, seed, up):
        super().__init__(server, ledger, seed)
        self.up, self.number, self.wrong, self.robot = up, 0, [], ""

    def setup(self):
        client = Client(self.server)
        for path, body in (("/api/v2.0/registries", {"name": "up", "type": "docker-registry",
                                                     "url": self.up.url}),
                           ("/api/v2.0/projects", {"project_name": "hub", "registry_id": 1}),
                           ("/api/v2.0/projects", {"project_name": "own"})):
            status, _, text = client.request("POST", path, json.dumps(body),
                                             Content_Type="application/json")
            if status != 201:
                raise SystemExit(f"{path}: {status} {text!r}")
        access = [{"resource": "repository", "action": a} for a in ("pull", "list")]
        status, _, text = client.request("POST", "/api/v2.0/robots", json.dumps(
            {"name": "reader", "level": "project", "duration": -1, "permissions": [
                {"kind": "project", "namespace": "own", "access": access}]}),
            Content_Type="application/json")
        if status != 201:
            raise SystemExit(f"robots: {status} {text!r}")
        made = json.loads(text)
        self.robot = "Basic " + b64encode(f"{made['name']}:{made['secret']}".encode()).decode()
        client.close()
        for _ in range(KEEP + 2):
            self.one_push()

    def expect(self, good, what):
        if not good:
            self.wrong.append(what)

    def sign_in(self):
        """A session: 200 is true only when the session's cookie knows who we are."""
        client = Client(self.server)
        client.auth = ""
        first = self.step(client, (200,), "GET", "/api/version")
        if first is None or "x-harbor-csrf-token" not in first:
            return
        jar = "; ".join(c.split(";")[0] for c in first.get("set-cookie", "").split(", "))
        answer = self.step(client, (200,), "POST", "/c/login",
                           f"principal=admin&password={PASSWORD}",
                           Content_Type="application/x-www-form-urlencoded", Cookie=jar,
                           X_Harbor_CSRF_Token=first["x-harbor-csrf-token"])
        if answer is not None:
            self.expect("sid=" in answer.get("set-cookie", ""), "sign-in without a session")
        client.close()

    def token(self):
        client = Client(self.server)
        auth, client.auth = client.auth, ""
        self.step(client, (401,), "GET", "/v2/")
        client.auth = auth
        body = self.read(client, "/service/token?service=harbor-registry"
                                 "&scope=repository:library/sweep:pull")
        if body is not None:
            try:
                client.auth = "Bearer " + json.loads(body)["token"]
                self.read(client, "/v2/library/sweep/tags/list")
            except (ValueError, KeyError):
                self.wrong.append(f"a token's answer is {body[:80]!r}")
        client.close()

    def as_robot(self):
        """Its right is read from its row: memory has no say in that either."""
        client = Client(self.server)
        client.auth = self.robot
        self.read(client, "/api/v2.0/projects/own/repositories?page_size=1")
        client.close()

    def read(self, client, path, digest=None):
        try:
            status, _, body = client.request("GET", path)
        except Gone as why:
            self.unhappy.append(f"GET {path}: {why}")
            return None
        if status != 200:
            self.unhappy.append(f"GET {path[:60]}: {status} {body[:120]!r}")
            # memory has no say in what is there
            self.expect(status >= 429 or "sweep" in path, f"GET {path}: {status} {body[:200]!r}")
            return None
        if digest:
            self.expect(sha256(body) == digest, f"GET {path}: other bytes")
        else:
            try:
                json.loads(body)
            except ValueError:
                self.wrong.append(f"GET {path}: 200 with half a body: {body[-80:]!r}")
        return body

    def lists(self):
        client = Client(self.server)
        for path in ("projects?with_detail=true", "projects/library/repositories",
                     "projects/library/repositories/sweep/artifacts?with_tag=true&page_size=3",
                     "users?sort=username", "search?q=swe", "statistics"):
            self.read(client, "/api/v2.0/" + path)
        client.close()

    def pull(self):
        client, image = Client(self.server), self.ledger.pick(self.rng)
        if image:
            at = f"/v2/{image.repository}"
            self.read(client, f"{at}/manifests/{image.digest}", image.digest)
            for digest in image.blobs:
                self.read(client, f"{at}/blobs/{digest}", digest)
        client.close()

    def proxy(self):
        self.number += 1
        layer, repo = self.rng.randbytes(3000), f"x/r{self.number}"
        image = self.up.add_image(repo, "1", [layer])
        client, at = Client(self.server), f"/v2/hub/{repo}"
        for _ in range(2):
            self.read(client, f"{at}/manifests/1", image.digest)
            self.read(client, f"{at}/blobs/{image.layers[0]}", image.layers[0])
        client.close()
        self.up.blobs.pop(image.layers[0])
        self.up.requests.clear()

    def gc(self):
        try:
            if not self.server.ask("gc", "--grace", "0"):
                self.unhappy.append("gc failed")
        except OSError as why:
            self.unhappy.append(f"gc: {why!r}")

    def one_push(self):
        client = Client(self.server)
        self.push(client, [f"t{self.rng.randrange(1 << 40)}"])
        client.close()

    def one_delete(self):
        client = Client(self.server)
        if len([i for i in self.ledger.images if i.state == ACKED]) > KEEP:
            self.delete(client)
        client.close()

    @property
    def parts(self):
        return {"sign-in": self.sign_in, "token": self.token, "robot": self.as_robot,
                "push": self.one_push, "pull": self.pull, "lists": self.lists,
                "proxy": self.proxy, "gc": self.gc, "delete": self.one_delete}

    def tell(self, part):
        self.unhappy = []
        self.parts[part]()


class Sweep:
    def __init__(self, work, seed, run, postgres=None):
        self.work, self.run, self.postgres = work, run, postgres
        self.shim, self.ledger = Shim(), Ledger(os.path.join(work, "ledger.jsonl"))
        self.up = Upstream()
        self.server = Server(os.path.join(work, "data"), os.path.join(work, "log"), postgres,
                             COVE_GC_LEASE_S=1, COVE_OUTBOUND_ALLOW="127.0.0.0/8",
                             COVE_LOG_LEVEL="error")
        self.server.preload = self.shim.env
        self.walk = Walk(self.server, self.ledger, seed, self.up)
        self.points, self.refused, self.sizes, self.seen = 0, 0, {}, set()

    def last_words(self):
        with open(self.server.log, errors="replace") as f:
            said = [x for x in f.read().splitlines() if " ready on " not in x]
            return " ".join(said[-2:])[-400:]

    def breach(self, what, frames):
        """Once for each place."""
        place = tuple(frames[:8])
        if place in self.seen and frames:
            return
        self.seen.add(place)
        self.ledger.fail(f"{what}\n    no memory for: {in_words(frames)}")
        print("FAIL:", self.ledger.failures[-1], flush=True)

    def well(self, what, frames):
        """Without faults again: it answers, and what was under way last is as it was told."""
        client = Client(self.server)
        try:
            until = time.monotonic() + 4
            for path in ("/v2/", "/api/v2.0/projects?page_size=1"):
                status, _, body = client.request("GET", path)
                while status == 503 and b"cannot be reached" in body and time.monotonic() < until:
                    time.sleep(0.1)  # no new connection to PostgreSQL for a second
                    status, _, body = client.request("GET", path)
                if status != 200:
                    self.breach(f"{what}: afterwards GET {path} is {status} {body[:200]!r}", frames)
            before = len(self.ledger.failures)
            self.ledger.verify(client, self.ledger.images[-2:])
            for failure in self.ledger.failures[before:]:
                print("FAIL:", what, failure, in_words(frames), flush=True)
        except Gone as why:
            self.breach(f"{what}: afterwards {why!r}", frames)
        client.close()

    def judge(self, what):
        frames = self.shim.frames()
        self.shim.arm(0)
        time.sleep(0.002)
        died = self.server.process.poll()
        if died is not None:
            self.breach(f"{what}: the server ended with {died}: {self.last_words()}", frames)
            self.server.start()
        for wrong in self.walk.wrong:
            self.breach(f"{what}: {wrong}", frames)
        self.walk.wrong.clear()
        self.well(what, frames)

    def fsck(self, what):
        code, text = self.server.command("fsck", "--full")
        if code != 0:
            self.ledger.fail(f"{what}: fsck --full: exit {code}: {text.strip()}")
            print("FAIL:", self.ledger.failures[-1], flush=True)

    def sweep(self, part, every):
        """The part of the story at each N, until it comes to its end before the N-th allocation."""
        self.shim.arm(0)
        for _ in range(2):
            self.walk.tell(part)
            if self.walk.unhappy or self.walk.wrong:
                raise SystemExit(f"{part} without a fault: {self.walk.unhappy} {self.walk.wrong}")
        at = 1 + self.walk.rng.randrange(every)
        while len(self.ledger.failures) < LIMIT:
            self.shim.arm(at, self.run)
            self.ledger.cycle += 1
            self.walk.tell(part)
            fired, what = self.shim.fired, f"{part} {at}"
            self.judge(what)
            self.points += fired > 0
            self.refused += bool(self.walk.unhappy)
            if not fired:
                break
            if self.points % 50 == 0:
                self.fsck(what)
            at += every
        self.sizes[part] = at
        self.shim.arm(0)
        self.fsck(part)

    def start(self, at):
        """A start that finds no memory: it serves, or says why not and exits."""
        what, data = f"start {at}", os.path.join(self.work, "start")
        log = os.path.join(self.work, "start.log")
        if self.starts % 4 == 0:
            shutil.rmtree(data, ignore_errors=True)
        self.starts += 1
        database = self.postgres.another("start") if self.postgres and self.starts == 1 else \
            self.postgres and self.database
        self.database = database
        server = Server(data, log, database)
        server.preload = self.shim.env
        begin = os.path.getsize(log) if os.path.exists(log) else 0
        self.shim.arm(at, self.run)
        try:
            server.start(wait=30)
            client = Client(server)
            client.request("GET", "/v2/")
            client.close()
        except Gone:
            pass
        except NotStarted:
            died = server.process.poll()
            with open(log, errors="replace") as f:
                f.seek(begin)
                said = f.read()
            if died is None or died < 0 or not said.strip():
                self.breach(f"{what}: ended with {died}: {said[-500:]!r}", self.shim.frames())
            self.refused += 1
        fired, frames = self.shim.fired, self.shim.frames()
        if server.process.poll() is None or fired:
            died = server.kill()
            if died is not None and died < 0:
                self.breach(f"{what}: ended with {died}", frames)
        self.shim.arm(0)
        self.points += fired > 0
        return fired > 0

    def sweep_start(self, every):
        self.starts, at = 0, 1 + self.walk.rng.randrange(every)
        while len(self.ledger.failures) < LIMIT and self.start(at):
            at += every
        self.sizes["start"] = at
        if self.postgres:
            return
        server = Server(os.path.join(self.work, "start"), os.path.join(self.work, "start.log"))
        server.start()
        code, text = server.command("fsck", "--full")
        server.kill()
        if code != 0:
            self.ledger.fail(f"after the starts: fsck --full: exit {code}: {text.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="every k-th allocation only")
    parser.add_argument("--run", type=int, default=1, help="so many in a row fail")
    parser.add_argument("--part", action="append", help="of the story; or start")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    began, work = time.monotonic(), tempfile.mkdtemp(prefix="cove-alloc-")
    postgres = Postgres() if args.db == "postgres" else None
    sweep = Sweep(work, args.seed, args.run, postgres)
    try:
        if not args.part or "start" in args.part:
            sweep.sweep_start(args.every)
        sweep.server.start()
        sweep.walk.setup()
        for part in sweep.walk.parts:
            if not args.part or part in args.part:
                sweep.sweep(part, args.every)
        sweep.ledger.verify(Client(sweep.server), sweep.ledger.images)
    except NotStarted as why:
        sweep.ledger.fail(str(why))
        print("FAIL:", why)
    finally:
        if sweep.server.process and sweep.server.process.poll() is None:
            sweep.server.kill()
        sweep.up.stop()
        sweep.shim.close()
        if postgres:
            postgres.stop()
    failures = sweep.ledger.failures
    sizes = ", ".join(f"{part} {n}" for part, n in sweep.sizes.items())
    print(f"allocsweep {args.db}: {sweep.points} points ({sizes}), {sweep.refused} refused, "
          f"{sweep.ledger.acks} acknowledged, {len(failures)} failures; "
          f"{time.monotonic() - began:.0f} s, seed {args.seed}")
    if failures:
        print("store and ledger in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
