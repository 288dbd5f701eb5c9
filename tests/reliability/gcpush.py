#!/usr/bin/env python3
"""Pushes against garbage collection every 50 ms, with grace 0 and leases of a few seconds: images
share layers, and old ones are deleted all the time, so that what one push needs is what another
gives up. 0 pushes fail, 0 images are lost, fsck --full is clean."""
import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time

from harness import Client, Postgres, Server
from ledger import Ledger
from load import Load

LEASE_S = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=10000)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    began, work = time.monotonic(), tempfile.mkdtemp(prefix="cove-gcpush-")
    postgres = Postgres() if args.db == "postgres" else None
    ledger, collected = Ledger(os.path.join(work, "ledger.jsonl")), None
    server = Server(os.path.join(work, "data"), os.path.join(work, "log"), postgres,
                    COVE_GC_LEASE_S=LEASE_S)
    server.start()
    load = Load(server, ledger, LEASE_S, args.seed, writers=6, deleters=4, pullers=1)
    try:
        load.resume()
        while load.counts.get("pushed", 0) < args.pushes and not ledger.failures:
            time.sleep(0.05)
            if server.process.poll() is not None:
                ledger.fail("the server ended")
        load.pause()
        client, rng = Client(server), random.Random(args.seed)
        live = [i for i in ledger.images if i.state == "acked"]
        ledger.verify(client, rng.sample(live, min(len(live), 3000)))
        time.sleep(LEASE_S + 1)
        if not server.ask("gc", "--grace", "0"):
            ledger.fail("the last garbage collection failed")
        ledger.verify(client, rng.sample(ledger.images, min(len(ledger.images), 3000)))
        page = client.request("GET", "/metrics")[2].decode()
        collected = re.search(r"^cove_gc_blobs\S* (\d+)", page, re.M)
        code, text = server.command("fsck", "--full")
        if code != 0:
            ledger.fail(f"fsck --full: exit {code}: {text.strip()}")
    finally:
        load.stop()
        server.kill()
        if postgres:
            postgres.stop()
    for failure in ledger.failures[:20]:
        print("FAIL:", failure)
    what = ", ".join(f"{n} {k}" for k, n in sorted(load.counts.items()))
    print(f"gcpush {args.db}: {len(ledger.failures)} failures; {what}, "
          f"{collected[1] if collected else 'no'} blobs collected; "
          f"{time.monotonic() - began:.0f} s, seed {args.seed}")
    if ledger.failures:
        print("store and ledger in", work)
    else:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if ledger.failures else 0)


if __name__ == "__main__":
    main()
