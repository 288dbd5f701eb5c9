"""What the clients were told, kept outside of the server: the judge of every crash.

An image is written down before its push (INTENT) and after the 201 (ACKED), the same for its
deletion. After a crash: what was acknowledged is there and whole; what was acknowledged as deleted
is gone; what was under way is whole or absent. A tag holds the last acknowledged value or one that
was under way after it.
"""
import json
import threading

from harness import Gone, sha256

INTENT, ACKED, DELETING, DELETED = "intent", "acked", "deleting", "deleted"


class Image:
    def __init__(self, repository, tag, digest, payload, blobs):
        self.repository, self.tag, self.digest = repository, tag, digest
        self.payload, self.blobs = payload, blobs  # blobs: {digest: size}
        self.state, self.cycle = INTENT, 0


class Ledger:
    def __init__(self, path):
        self.lock, self.file = threading.Lock(), open(path, "a", encoding="utf-8")
        self.images, self.tags = [], {}
        self.cycle, self.acks, self.failures = 0, 0, []

    def write(self, **line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
            self.write(fail=text, cycle=self.cycle)

    def intend(self, image):
        with self.lock:
            image.cycle = self.cycle
            self.images.append(image)
            self.tags.setdefault((image.repository, image.tag), []).append([image, INTENT])
            self.write(push=image.digest, repository=image.repository, tag=image.tag)

    def ack(self, image):
        with self.lock:
            image.state = ACKED
            self.acks += 1
            moves = self.tags[(image.repository, image.tag)]
            for move in moves:
                if move[0] is image:
                    move[1] = ACKED
            self.write(acked=image.digest, repository=image.repository, tag=image.tag)

    def set(self, image, state):
        with self.lock:
            image.state, image.cycle = state, self.cycle
            self.acks += state == DELETED
            self.write(**{state: image.digest, "repository": image.repository})

    def pick(self, rng, state=ACKED):
        with self.lock:
            some = [i for i in self.images if i.state == state]
            return rng.choice(some) if some else None

    # ---- the verdict ----

    def check_image(self, client, image):
        """Reads an image as a client would; says what is wrong, or None."""
        at = f"/v2/{image.repository}"
        status, headers, body = client.request("GET", f"{at}/manifests/{image.digest}")
        if status == 404 and image.state in (INTENT, DELETING, DELETED):
            return None
        if image.state == DELETED:
            return f"deleted, but answered {status}"
        if status != 200:
            return f"manifest: {status} {body[:200]!r}"
        if body != image.payload or headers.get("docker-content-digest") != image.digest:
            return "manifest: other bytes"
        for digest, size in image.blobs.items():
            status, _, body = client.request("GET", f"{at}/blobs/{digest}")
            if status != 200:
                return f"blob {digest}: {status} {body[:200]!r}"
            if len(body) != size or sha256(body) != digest:
                return f"blob {digest}: {len(body)} bytes, want {size}; or other content"
        return None

    def check_tag(self, client, key):
        """The last acknowledged move, or any later one that was under way; 404 only when one of
        them was never acknowledged or its image is being deleted."""
        repository, tag = key
        moves = self.tags[key]
        acked = [i for i, (_, state) in enumerate(moves) if state == ACKED]
        allowed = moves[acked[-1]:] if acked else moves
        status, headers, _ = client.request("HEAD", f"/v2/{repository}/manifests/{tag}")
        if status == 404:
            may = not acked or any(i.state in (DELETING, DELETED) for i, _ in allowed)
            return None if may else "tag: 404"
        if status != 200:
            return f"tag: {status}"
        got = headers.get("docker-content-digest")
        return None if got in [i.digest for i, _ in allowed] else f"tag: points at {got}"

    def verify(self, client, images):
        for image in images:
            try:
                wrong = self.check_image(client, image) or \
                    self.check_tag(client, (image.repository, image.tag))
            except Gone as why:
                wrong = f"the server went away: {why}"
                client.close()
            if wrong:
                self.fail(f"{image.repository}@{image.digest} ({image.state}): {wrong}")

    def sample(self, rng, share):
        """All of the last cycle, and a share of the rest."""
        return [i for i in self.images if i.cycle >= self.cycle or rng.random() < share]
