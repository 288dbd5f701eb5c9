"""The server under shim.c: faults at the N-th persistence call, and the order of syncs and 2xx."""
import mmap
import os
import struct
import tempfile

from harness import compiled

CALLS = ["openat(O_CREAT)", "mkdir", "pwrite", "write", "fdatasync", "fsync", "ftruncate",
         "unlink", "rename"]
OFF, KILL, KILL_AFTER, EIO, ENOSPC, EINTR, SHORT, FULL = range(8)
MODES = {"kill": KILL, "kill after": KILL_AFTER, "EIO": EIO, "ENOSPC": ENOSPC, "EINTR": EINTR,
         "short write": SHORT, "disk full from": FULL}
HEAD = struct.Struct("6q16q")
TEXTS, TEXT = 16, 240


def library():
    return compiled("shim.c", "shim.so", "-shared", "-fPIC", "-ldl", "-lpthread")


class Shim:
    """The control page of shim.c; `env` is for the server's process alone."""

    def __init__(self):
        fd, self.path = tempfile.mkstemp(prefix="cove-shim-")
        os.ftruncate(fd, HEAD.size + TEXTS * TEXT)
        self.page = mmap.mmap(fd, HEAD.size + TEXTS * TEXT)
        os.close(fd)
        self.env = {"LD_PRELOAD": library(), "COVE_SHIM": self.path}

    def put(self, place, value):
        self.page[place * 8:place * 8 + 8] = struct.pack("q", value)

    def head(self):
        return HEAD.unpack(self.page[:HEAD.size])

    def arm(self, mode, at):
        """Counts from now; the at-th call meets its fault."""
        for place, value in ((0, OFF), (2, 0), (3, 0), (1, at), (0, mode)):
            self.put(place, value)

    @property
    def count(self):
        return self.head()[2]

    @property
    def fired(self):
        return self.head()[3]

    @property
    def checked(self):
        return self.head()[4]

    @property
    def violations(self):
        n = self.head()[5]
        texts = [self.page[HEAD.size + i * TEXT:HEAD.size + (i + 1) * TEXT]
                 for i in range(min(n, TEXTS))]
        return [t.split(b"\0")[0].decode() for t in texts] + ["..."] * (n > TEXTS)

    def only(self, call):
        """Count calls of one kind alone; None: all."""
        self.put(20, CALLS.index(call) + 1 if call else 0)

    def step_clock(self, seconds):
        """The server's wall clock is off by so much from now on."""
        self.put(21, seconds)

    def calls(self):
        return dict(zip(CALLS, self.head()[6:]))

    def close(self):
        self.page.close()
        os.unlink(self.path)
