"""Mixed load on a server that may die at any moment: pushes (whole, in pieces, mounted), pulls,
deletes and garbage collection without grace. Every answer is held against the ledger."""
import json
import random
import threading
import time

from harness import MANIFEST, Client, Gone, sha256
from ledger import ACKED, DELETED, DELETING, Image

SHARED = [random.Random(i).randbytes(1000 + i) for i in range(300)]


class Load:
    """Threads that work while `go` is set, and rest otherwise."""

    def __init__(self, server, ledger, lease_s, seed, writers=4, deleters=2, pullers=2, gc=True):
        self.server, self.ledger, self.lease_s, self.seed = server, ledger, lease_s, seed
        self.go, self.end = threading.Event(), threading.Event()
        self.resting, self.rest_lock = set(), threading.Lock()
        self.dying = False
        self.counts = {}
        self.threads = []
        roles = [self.write] * writers + [self.delete] * deleters + [self.pull] * pullers
        roles += [self.collect] if gc else []
        for number, role in enumerate(roles):
            self.threads.append(threading.Thread(target=self.loop, args=(number, role)))
        for thread in self.threads:
            thread.start()

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    @property
    def pushed(self):
        return self.counts.get("pushed", 0)

    def loop(self, number, role):
        rng, client = random.Random(f"{self.seed}/{number}"), Client(self.server)
        memory = {}
        while not self.end.is_set():
            if not self.go.is_set():
                with self.rest_lock:
                    self.resting.add(number)
                client.close()
                self.go.wait(0.05)
                continue
            with self.rest_lock:
                self.resting.discard(number)
            try:
                role(rng, client, number, memory)
            except Gone as why:
                if not self.dying and self.go.is_set():
                    time.sleep(0.05)
                    if not self.dying and self.go.is_set():
                        self.ledger.fail(f"a connection broke without a kill: {why}")
            except (OSError, ValueError, KeyError) as why:
                if not self.dying:
                    self.ledger.fail(f"{role.__name__}: {why!r}")

    def pause(self):
        """Returns when every thread is at rest."""
        self.go.clear()
        while len(self.resting) < len(self.threads):
            time.sleep(0.002)

    def resume(self):
        self.dying = False
        with self.rest_lock:
            self.resting.clear()
        self.go.set()

    def stop(self):
        self.end.set()
        self.go.set()
        for thread in self.threads:
            thread.join()

    # ---- writers ----

    def unexpected(self, what, status, body):
        if not self.dying:  # else a last word of a server whose disk is gone
            self.ledger.fail(f"{what}: {status} {body[:300]!r}")

    def push_pieces(self, client, at, data, memory):
        """In chunks; what a crash interrupts is resumed afterwards from where the server stands."""
        status, headers, body = client.request("POST", f"{at}/blobs/uploads/")
        if status != 202:
            return self.unexpected("POST upload", status, body)
        memory["upload"] = (headers["location"], at, data)
        return self.go_on(client, headers["location"], data, 0, memory)

    def go_on(self, client, location, data, offset, memory):
        while offset < len(data):
            part = data[offset:offset + 40000]
            status, headers, body = client.request(
                "PATCH", location, part, Content_Type="application/octet-stream",
                Content_Range=f"{offset}-{offset + len(part) - 1}")
            if status != 202:
                return self.unexpected("PATCH", status, body)
            location, offset = headers["location"], offset + len(part)
        mark = "&" if "?" in location else "?"
        status, _, body = client.request("PUT", f"{location}{mark}digest={sha256(data)}")
        memory.pop("upload", None)
        return True if status == 201 else self.unexpected("PUT upload", status, body)

    def resume_upload(self, client, memory):
        location, _, data = memory["upload"]
        status, headers, body = client.request("GET", location)
        if status == 404 and memory.pop("upload"):
            return  # the crash came after its end: the PUT's commit takes the session along
        if status != 204:
            return self.unexpected("GET upload", status, body)
        stands = int(headers["range"].split("-")[1])
        offset = stands + 1 if stands else 0
        if offset > len(data):
            return self.unexpected("GET upload: more bytes than were sent", status, b"")
        self.count("resumed")
        self.go_on(client, location, data, offset, memory)

    def push_blob(self, rng, client, repository, data, memory):
        at, digest = f"/v2/{repository}", sha256(data)
        if client.request("HEAD", f"{at}/blobs/{digest}")[0] == 200:
            return True
        if data in SHARED and rng.random() < 0.7:
            source = f"library/w{rng.randrange(4)}"
            status, _, body = client.request(
                "POST", f"{at}/blobs/uploads/?mount={digest}&from={source}")
            if status == 201:
                self.count("mounted")
                return True
            if status != 202:
                return self.unexpected("mount", status, body)
        if len(data) > 50000:
            return self.push_pieces(client, at, data, memory)
        status, _, body = client.request("POST", f"{at}/blobs/uploads/?digest={digest}", data,
                                         Content_Type="application/octet-stream")
        return True if status == 201 else self.unexpected("POST blob", status, body)

    def write(self, rng, client, number, memory):
        if "upload" in memory:
            self.resume_upload(client, memory)
        repository = f"library/w{number}"
        config = json.dumps({"architecture": "amd64", "os": "linux", "n": rng.random()}).encode()
        layers = [rng.randbytes(rng.choice([100, 5000, 120000])), rng.choice(SHARED)]
        began = time.monotonic()
        for data in [config, *layers]:
            if not self.push_blob(rng, client, repository, data, memory):
                return
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
                    "layers": [descriptor(x, "application/vnd.oci.image.layer.v1.tar")
                               for x in layers]}
        payload = json.dumps(manifest).encode()
        tag = rng.choice(["latest", f"t{rng.randrange(1 << 40)}"])
        image = Image(repository, tag, sha256(payload), payload,
                      {sha256(x): len(x) for x in [config, *layers]})
        self.ledger.intend(image)
        status, _, body = client.request("PUT", f"/v2/{repository}/manifests/{tag}", payload,
                                         Content_Type=MANIFEST)
        if status == 201:
            self.ledger.ack(image)
            self.count("pushed")
        elif status == 400 and time.monotonic() - began > self.lease_s:
            self.count("lease over")  # too slow for the short leases of this test
        else:
            self.unexpected("PUT manifest", status, body)

    # ---- the others ----

    def delete(self, rng, client, number, memory):
        time.sleep(rng.random() * 0.05)
        image = self.ledger.pick(rng)
        if not image or rng.random() < 0.3:
            return
        self.ledger.set(image, DELETING)
        status, _, body = client.request("DELETE",
                                         f"/v2/{image.repository}/manifests/{image.digest}")
        if status in (202, 404):  # 404: the other deleter was first
            self.ledger.set(image, DELETED)
            self.count("deleted")
        else:
            self.unexpected("DELETE", status, body)

    def pull(self, rng, client, number, memory):
        image = self.ledger.pick(rng)
        if not image:
            time.sleep(0.01)
            return
        wrong = self.ledger.check_image(client, image)
        if wrong and image.state == ACKED and not self.dying:
            self.ledger.fail(f"pull of {image.repository}@{image.digest}: {wrong}")
        self.count("pulled")

    def collect(self, rng, client, number, memory):
        time.sleep(0.05)
        try:
            if self.server.ask("gc", "--grace", "0"):
                self.count("collections")
        except OSError as why:
            raise Gone(repr(why)) from why


def descriptor(data, media_type):
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}
