#!/usr/bin/env python3
"""A fault at every single call that makes something durable: the N-th of them kills the process
before or after it, fails (EIO, ENOSPC, EINTR), is cut short, or from it on the disk is full. The
story is a push in one piece, one in chunks, a manifest, tags, deletes and garbage collection; and
the first start. After each fault: no false 2xx, no end but kill or a designed stop, the server
starts again, nothing acknowledged is lost, fsck --full is clean. strace is the witness that the
counted calls are all there are. With --order the same story proves the order of syncs and 2xx. On
PostgreSQL only the calls of Cove meet a fault, not those of the database."""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import MANIFEST, Client, Gone, NotStarted, Postgres, Server, sha256
from ledger import ACKED, DELETED, DELETING, Image, Ledger
from load import descriptor
from shim import CALLS, MODES, SHORT, Shim

WITNESS = {"fdatasync": ["fdatasync"], "fsync": ["fsync"], "pwrite": ["pwrite64", "pwritev"],
           "ftruncate": ["ftruncate"], "unlink": ["unlink", "unlinkat"],
           "rename": ["rename", "renameat", "renameat2"], "mkdir": ["mkdir", "mkdirat"]}


class Story:
    """One client, one image more each time, one of the earlier ones deleted."""

    more = {}  # of each manifest

    def __init__(self, server, ledger, seed):
        self.server, self.ledger = server, ledger
        self.rng, self.unhappy = random.Random(seed), []

    def step(self, client, good, method, path, body=None, **headers):
        """True when it was acknowledged."""
        try:
            status, answer, text = client.request(method, path, body, **headers)
        except Gone as why:
            self.unhappy.append(f"{method}: {why}")
            return None
        if status in good:
            return answer
        self.unhappy.append(f"{method} {path[:60]}: {status} {text[:120]!r}")
        return None

    def chunked(self, client, at, data):
        answer = self.step(client, (202,), "POST", f"{at}/blobs/uploads/")
        for begin in range(0, len(data), 30000):
            part = data[begin:begin + 30000]
            answer = answer and self.step(
                client, (202,), "PATCH", answer["location"], part,
                Content_Type="application/octet-stream",
                Content_Range=f"{begin}-{begin + len(part) - 1}")
        mark = "&" if answer and "?" in answer["location"] else "?"
        return answer and self.step(client, (201,), "PUT",
                                    f"{answer['location']}{mark}digest={sha256(data)}")

    def push(self, client, tags):
        repository, rng = "library/sweep", self.rng
        at = f"/v2/{repository}"
        config = json.dumps({"n": rng.random()}).encode()
        small, large = rng.randbytes(3000), rng.randbytes(70000)
        for data in (config, small):
            if self.step(client, (201,), "POST", f"{at}/blobs/uploads/?digest={sha256(data)}",
                         data, Content_Type="application/octet-stream") is None:
                return
        if self.chunked(client, at, large) is None:
            return
        payload = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **self.more,
                              "config": descriptor(config, "application/vnd.oci.image.config.v1"
                                                           "+json"),
                              "layers": [descriptor(x, "application/vnd.oci.image.layer.v1.tar")
                                         for x in (small, large)]}).encode()
        for tag in tags:
            image = Image(repository, tag, sha256(payload), payload,
                          {sha256(x): len(x) for x in (config, small, large)})
            self.ledger.intend(image)
            if self.step(client, (201,), "PUT", f"{at}/manifests/{tag}", payload,
                         Content_Type=MANIFEST) is not None:
                self.ledger.ack(image)

    def delete(self, client):
        image = self.ledger.pick(self.rng)
        if not image:
            return
        same = [i for i in self.ledger.images if i.digest == image.digest and i.state != DELETED]
        for one in same:
            self.ledger.set(one, DELETING)
        if self.step(client, (202,), "DELETE",
                     f"/v2/{image.repository}/manifests/{image.digest}") is not None:
            for one in same:
                self.ledger.set(one, DELETED)

    def run(self):
        client, self.unhappy = Client(self.server), []
        self.push(client, ["latest", f"t{self.rng.randrange(1 << 40)}"])
        if len([i for i in self.ledger.images if i.state == ACKED]) > 6:
            self.delete(client)
        try:
            if not self.server.ask("gc", "--grace", "0"):
                self.unhappy.append("gc failed")
        except OSError as why:
            self.unhappy.append(f"gc: {why!r}")
        client.close()


class Sweep:
    def __init__(self, work, seed, postgres=None):
        self.shim, self.ledger = Shim(), Ledger(os.path.join(work, "ledger.jsonl"))
        self.postgres = postgres
        self.server = Server(os.path.join(work, "data"), os.path.join(work, "log"), postgres,
                             COVE_GC_LEASE_S=1)
        self.server.preload = self.shim.env
        self.story = Story(self.server, self.ledger, seed)
        self.points, self.stops, self.refused = 0, 0, 0

    def last_words(self):
        with open(self.server.log, errors="replace") as f:
            return f.read()[-1500:]

    def end(self, what, may_die):
        """Kills the server; judges how it was found."""
        self.shim.arm(0, 0)
        died = self.server.process.poll()
        if died is None:
            time.sleep(0.01)
            died = self.server.process.poll()
        self.server.kill()
        if died == -signal.SIGKILL and may_die:
            return
        if died == -signal.SIGABRT and "stopping" in self.last_words():
            self.stops += 1
        elif died is not None:
            self.ledger.fail(f"{what}: the server ended with {died}: {self.last_words()}")

    def judge(self, what):
        before = len(self.ledger.failures)
        try:
            self.server.start()
        except NotStarted as why:
            self.ledger.fail(f"{what}: {why}")
            raise
        client = Client(self.server)
        images = self.ledger.images
        rest = [i for i in images[:-6] if self.story.rng.random() < 0.02]
        self.ledger.verify(client, images[-6:] + rest)
        client.close()
        code, text = self.server.command("fsck", "--full")
        if code != 0:
            self.ledger.fail(f"fsck --full: exit {code}: {text.strip()}")
        for i in range(before, len(self.ledger.failures)):
            self.ledger.failures[i] = f"{what}: {self.ledger.failures[i]}"

    def point(self, name, mode, at):
        what = f"{name} {at}"
        self.ledger.cycle += 1
        self.shim.arm(mode, at)
        self.story.run()
        if mode == SHORT and self.story.unhappy:
            self.ledger.fail(f"{what}: a short write was not gone on with: {self.story.unhappy}")
        fired = self.shim.fired
        self.end(what, name.startswith("kill"))
        self.judge(what)
        self.points += fired > 0
        self.refused += bool(self.story.unhappy)
        return fired > 0

    def first_start(self, work, name, mode, at):
        """A fault while an empty directory becomes a store: the next start makes it one."""
        what, data = f"first start, {name} {at}", os.path.join(work, "first")
        shutil.rmtree(data, ignore_errors=True)
        database = self.postgres.another("first") if self.postgres else None
        server = Server(data, os.path.join(work, "first.log"), database)
        server.preload = self.shim.env
        self.shim.arm(mode, at)
        try:
            server.start(wait=20)
            died = server.process.poll()
        except NotStarted:
            died = server.process.wait()
            if died < 0 and died != -signal.SIGKILL and died != -signal.SIGABRT:
                self.ledger.fail(f"{what}: ended with {died}")
        fired = self.shim.fired
        server.kill()
        self.shim.arm(0, 0)
        try:
            server.start()
            code, text = server.command("fsck", "--full")
            if code != 0:
                self.ledger.fail(f"{what}: fsck --full: exit {code}: {text.strip()}")
        except NotStarted as why:
            self.ledger.fail(f"{what}: {why}")
        server.kill()
        self.points += fired > 0
        return fired > 0

    def witness(self, work):
        """What strace sees of a start, a story and an end is what the shim counted."""
        if not shutil.which("strace"):
            print("syscallsweep: no strace, so no witness")
            return
        out = os.path.join(work, "strace")
        names = ",".join(n for some in WITNESS.values() for n in some)
        self.shim.put(2, 0)
        for place in range(6, 20):
            self.shim.put(place, 0)
        self.server.before = ["strace", "-f", "-qq", "-e", f"trace={names}", "-o", out]
        self.server.start()
        self.server.before = []
        self.story.run()
        if self.story.unhappy:
            self.ledger.fail(f"without a fault: {self.story.unhappy}")
        child = subprocess.run(["pgrep", "-P", str(self.server.process.pid)], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.split()
        os.kill(int(child[0]), signal.SIGTERM)
        self.server.process.wait()
        with open(out, errors="replace") as f:
            text = f.read()
        for ours, theirs in WITNESS.items():
            seen = len(re.findall(r"^\d+ +(?:%s)\(" % "|".join(theirs), text, re.M))
            if seen != self.shim.calls()[ours]:
                self.ledger.fail(f"{ours}: strace saw {seen} calls, the shim "
                                 f"{self.shim.calls()[ours]}: {self.shim.calls()}")


def order(sweep, args):
    sweep.server.start()
    for _ in range(args.order):
        sweep.story.run()
        if sweep.story.unhappy:
            sweep.ledger.fail(f"without a fault: {sweep.story.unhappy}")
    code, text = sweep.server.command("fsck", "--full")
    if code != 0:
        sweep.ledger.fail(f"fsck --full: exit {code}: {text.strip()}")
    sweep.server.kill()
    for text in sweep.shim.violations:
        sweep.ledger.fail(text)
    if not sweep.shim.checked:
        sweep.ledger.fail("no answer was checked")
    return f"ordershim: {sweep.shim.checked} answers checked, {len(sweep.ledger.failures)} failures"


def sweep_all(sweep, args, work):
    sweep.witness(work)
    sweep.shim.only(args.call)
    sweep.server.start()
    for _ in range(5):
        sweep.story.run()
    sweep.shim.arm(0, 0)
    sweep.story.run()
    total = sweep.shim.count
    for name, mode in MODES.items():
        if args.mode and name not in args.mode:
            continue
        at = 1 + sweep.story.rng.randrange(args.every)
        while at < 3 * total and not sweep.ledger.failures and sweep.point(name, mode, at):
            at += args.every
        at = 1 + sweep.story.rng.randrange(args.every)
        while at < 500 and not sweep.ledger.failures and \
                sweep.first_start(work, name, mode, at):
            at += args.every
    sweep.server.kill()
    for text in sweep.shim.violations:
        sweep.ledger.fail(text)
    return (f"syscallsweep {args.db}: {sweep.points} points over {total} calls of a story, "
            f"{sweep.refused} stories refused, {sweep.stops} designed stops, "
            f"{len(sweep.shim.violations)} of {sweep.shim.checked} answers out of order, "
            f"{sweep.ledger.acks} acknowledged, {len(sweep.ledger.failures)} failures")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="every k-th call only")
    parser.add_argument("--mode", action="append", choices=list(MODES))
    parser.add_argument("--call", choices=CALLS, help="at calls of one kind alone")
    parser.add_argument("--order", type=int, metavar="N", help="N stories, no faults")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    began, work = time.monotonic(), tempfile.mkdtemp(prefix="cove-sweep-")
    postgres = Postgres() if args.db == "postgres" else None
    sweep = Sweep(work, args.seed, postgres)
    line = "syscallsweep: stopped"
    try:
        line = order(sweep, args) if args.order else sweep_all(sweep, args, work)
    except NotStarted:
        pass
    finally:
        if sweep.server.process and sweep.server.process.poll() is None:
            sweep.server.kill()
        sweep.shim.close()
        if postgres:
            postgres.stop()
    for failure in sweep.ledger.failures[:20]:
        print("FAIL:", failure)
    print(f"{line}; {time.monotonic() - began:.0f} s, seed {args.seed}")
    if sweep.ledger.failures:
        print("store and ledger in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if sweep.ledger.failures else 0)


if __name__ == "__main__":
    main()
