#!/usr/bin/env python3
"""Simulated power cuts: the store lies on an ext4 file system of its own in a loop device, and the
ioctl EXT4_IOC_SHUTDOWN drops all that was not synced, the journal too. After each cut: mounted
again, nothing acknowledged is lost, fsck --full is clean. Needs root, loop devices and mkfs.ext4;
without them it says so and exits 0."""
import argparse
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from harness import Client, Server
from ledger import Ledger
from load import Load

SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2  # _IOR('X', 125, __u32)
LEASE_S = 30


class Disk:
    def __init__(self, work):
        self.image, self.at = os.path.join(work, "disk"), os.path.join(work, "mnt")
        os.mkdir(self.at)
        with open(self.image, "wb") as f:
            f.truncate(512 << 20)
        run("mkfs.ext4", "-q", "-F", self.image)

    def mount(self):
        run("mount", "-o", "loop", self.image, self.at)

    def umount(self):
        run("umount", self.at)

    def cut(self):
        fd = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def possible(work):
    """An empty mount that works, or the reason why there is none."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        return None
    try:
        disk = Disk(work)
        disk.mount()
        return disk
    except (OSError, subprocess.CalledProcessError):
        return None


def cycle(disk, server, ledger, load, rng, number):
    ledger.cycle, until = number, ledger.acks + rng.randint(3, 40)
    load.resume()
    limit = time.monotonic() + 20
    while ledger.acks < until and time.monotonic() < limit:
        time.sleep(0.001)
    load.dying = True
    disk.cut()
    server.kill()  # whatever it does on a dead disk, nobody hears of it
    load.pause()
    disk.umount()
    disk.mount()
    boot = os.path.join(server.data, "boot")
    if os.path.exists(boot):
        os.unlink(boot)  # the machine did not really start again
    server.start()
    client = Client(server)
    ledger.verify(client, ledger.images)
    client.close()
    code, text = server.command("fsck", "--full")
    if code != 0:
        ledger.fail(f"fsck --full: exit {code}: {text.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    began, rng, cuts = time.monotonic(), random.Random(args.seed), 0
    work = tempfile.mkdtemp(prefix="cove-power-")
    disk = possible(work)
    if not disk:
        shutil.rmtree(work, ignore_errors=True)
        print("powercut: skipped (needs root, loop devices and mkfs.ext4)")
        return
    ledger = Ledger(os.path.join(work, "ledger.jsonl"))
    server = Server(os.path.join(disk.at, "data"), os.path.join(work, "log"),
                    COVE_GC_LEASE_S=LEASE_S)
    server.start()
    load = Load(server, ledger, LEASE_S, args.seed)
    try:
        while cuts < args.cuts and not ledger.failures:
            cycle(disk, server, ledger, load, rng, cuts)
            cuts += 1
    finally:
        load.dying = True
        load.stop()
        server.kill()
        disk.umount()
    for failure in ledger.failures[:20]:
        print("FAIL:", failure)
    what = ", ".join(f"{n} {k}" for k, n in sorted(load.counts.items()))
    print(f"powercut: {cuts} cuts, {ledger.acks} acknowledged, {len(ledger.failures)} failures; "
          f"{what}; {time.monotonic() - began:.0f} s, seed {args.seed}")
    if not ledger.failures:
        shutil.rmtree(work, ignore_errors=True)
    else:
        print("disk and ledger in", work)
    sys.exit(1 if ledger.failures else 0)


if __name__ == "__main__":
    main()
