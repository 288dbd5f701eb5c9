#!/usr/bin/env python3
"""kill -9 in the middle of mixed load, again and again: nothing acknowledged is lost, nothing
deleted comes back, `cove fsck --full` finds nothing; every 2xx leaves after the syncs it stands for
(shim.c). One line at the end; exit 1 on any loss."""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

from harness import Client, Postgres, Server, binary
from ledger import Ledger
from load import Load
from shim import Shim

LEASE_S = 3


def fsck(server, ledger):
    code, text = server.command("fsck", "--full")
    if code != 0:
        ledger.fail(f"fsck --full: exit {code}: {text.strip()}")


def cycle(server, ledger, load, rng, number, pushes):
    """A kill at any moment; with PUSHES not before so many, on average, were acknowledged."""
    ledger.cycle = number
    goal = load.pushed + (rng.randrange(2 * pushes + 1) if pushes else 0)
    load.resume()
    time.sleep(rng.uniform(0.02, 0.4))
    until = time.monotonic() + 30
    while load.pushed < goal and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.01))
    load.dying = True
    died = server.kill()
    if died is not None:
        ledger.fail(f"the server died by itself: {died}")
    load.pause()
    server.start()
    client = Client(server)
    share = 1.0 if number % 50 == 49 else 0.1
    ledger.verify(client, ledger.sample(rng, share))
    client.close()
    fsck(server, ledger)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pushes", type=int, default=0,
                        help="acknowledged pushes between two kills, on average")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--keep", action="store_true", help="leave store and ledger behind")
    args = parser.parse_args()
    began, rng = time.monotonic(), random.Random(args.seed)
    work = tempfile.mkdtemp(prefix="cove-crash-")
    postgres = Postgres() if args.db == "postgres" else None
    ledger = Ledger(os.path.join(work, "ledger.jsonl"))
    server = Server(os.path.join(work, "data"), os.path.join(work, "log"), postgres,
                    COVE_GC_LEASE_S=LEASE_S)
    shim = Shim() if "san/" not in binary() else None
    server.preload = shim.env if shim else {}
    server.start()
    load = Load(server, ledger, LEASE_S, args.seed)
    kills = 0
    try:
        while kills < args.kills and not ledger.failures:
            cycle(server, ledger, load, rng, kills, args.pushes)
            kills += 1
        load.pause()
        time.sleep(LEASE_S)  # leases are over: what nothing references goes now
        if not server.ask("gc", "--grace", "0"):
            ledger.fail("the last garbage collection failed")
        ledger.verify(Client(server), ledger.images)
        fsck(server, ledger)
    finally:
        load.stop()
        server.kill()
        if postgres:
            postgres.stop()
    for text in shim.violations if shim else []:
        ledger.fail(text)
    for failure in ledger.failures[:20]:
        print("FAIL:", failure)
    what = ", ".join(f"{n} {k}" for k, n in sorted(load.counts.items()))
    print(f"crashloop {args.db}: {kills} kills, {load.pushed} pushes acknowledged, "
          f"{len(ledger.failures)} failures; {what}; {time.monotonic() - began:.0f} s, "
          f"seed {args.seed}")
    if ledger.failures or args.keep:
        print("store and ledger in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if ledger.failures else 0)


if __name__ == "__main__":
    main()
