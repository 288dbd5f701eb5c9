"""The rig of the fault matrix: a registry, its token service and its CDN on three addresses, and a
Cove before them that holds a credential. Whatever goes wrong in a story, at its end nobody has
seen a credential, a token or a cookie that was not meant for them."""
import http.client
import os
import random
import time

import pytest

from proxied import ACCEPT, Puller, config
from upstream import Upstream, digest_of

LOOPBACK = "127.0.0.0/8"
USER, SECRET = "robot", "s3cret-of-the-registry"
SIZE = 200_000  # three times the held-back tail
POSITIONS = {"0": 0, "1": 1, "half": SIZE // 2, "size-1": SIZE - 1}


def blob_bytes(seed, size=SIZE):
    return random.Random(f"faults {seed}").randbytes(size)


class Got:
    """What a client got, exactly: whole is False when the body did not end as announced."""

    def __init__(self):
        self.status, self.headers, self.body, self.whole, self.seconds = None, {}, b"", False, 0.0
        self.first_byte = None

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {len(self.body)} bytes, whole: {self.whole}>"


def get(port, path, token, method="GET", headers=None, timeout=60):
    got, begun = Got(), time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(method, path, headers={"Authorization": "Bearer " + token, "Accept": ACCEPT,
                                         **(headers or {})})
        r = c.getresponse()
        got.status, got.headers = r.status, r.headers
        while part := r.read1(1 << 16):
            got.first_byte = got.first_byte or time.monotonic() - begun
            got.body += part
        length = r.headers.get("Content-Length")
        assert method == "HEAD" or length is not None or "Transfer-Encoding" in r.headers
        got.whole = method == "HEAD" or length is None or len(got.body) == int(length)
    except (OSError, http.client.HTTPException):
        pass
    finally:
        c.close()
    got.seconds = time.monotonic() - begun
    return got


class Rig:
    """registry 127.0.0.1 (tokens asked for at 127.0.0.2, blobs redirected to 127.0.0.3)"""

    def __init__(self, start, tmp_path, cdn=True, own_tokens=False, project=None, tls=False,
                 declared=True, **env):
        self.tokens = Upstream(host="127.0.0.2")
        self.cdn = Upstream(host="127.0.0.3")
        self.up = Upstream(auth="bearer", tls=tls, cdn=self.cdn if cdn else None,
                           token_server=None if own_tokens else self.tokens,
                           credentials=(USER, SECRET) if own_tokens else None,
                           anonymous=not own_tokens)
        self.own_tokens = own_tokens
        secret = tmp_path / "secret"
        secret.write_text(SECRET + "\n")
        entry = {"project": "hub", "upstream": self.up.url, "username": USER,
                 "password_file": str(secret), "public_with_credentials": "true",
                 **(project or {})}
        if tls:
            entry["ca_file"] = self.up.cafile
        env = {"COVE_OUTBOUND_ALLOW": LOOPBACK, "COVE_PROXY_BUDGET_MS": 300, **env}
        self.cove = start(config(entry) if declared else None, **env)
        self.puller = Puller(self.cove) if declared else None
        self.blob_host = self.cdn if cdn else self.up

    @property
    def hosts(self):
        return self.up, self.tokens, self.cdn

    def stop(self):
        for host in self.hosts:
            host.stop()

    def clear(self):
        for host in self.hosts:
            host.clear()
            host.clear_scripts()

    def add(self, tag="1", layers=None, repo="team/app", seed=None):
        return self.up.add_image(repo, tag, layers or [blob_bytes(seed or f"{repo} {tag}")])

    def blob(self, digest, repo="team/app", **kw):
        return get(self.cove.port, f"/v2/hub/{repo}/blobs/{digest}", self.puller.token(repo), **kw)

    def manifest(self, ref="1", repo="team/app", **kw):
        return get(self.cove.port, f"/v2/hub/{repo}/manifests/{ref}", self.puller.token(repo), **kw)

    def pull(self, tag="1", repo="team/app"):
        """Everything, verified."""
        return self.puller.image(repo, tag)

    def gets(self, what="/blobs/", host=None):
        return (host or self.up).seen("GET", what)

    def stored(self):
        """Bytes of objects in the store."""
        total = 0
        for root, _, files in os.walk(os.path.join(self.cove.data, "data")):
            total += sum(os.path.getsize(os.path.join(root, f)) for f in files)
        return total

    def check(self):
        """No credential where it must not be. Tokens go to the registry that asked for them."""
        given = set(self.tokens.tokens) | set(self.up.tokens)
        for host in self.hosts:
            for r in host.requests:
                text = r.path + "\n" + "\n".join(f"{k}: {v}" for k, v in r.headers.items())
                assert SECRET not in text, r
                assert not {"cookie", "proxy-authorization", "referer"} & set(r.headers), r
                assert r.headers["accept-encoding"] == "identity", r
                sent = r.headers.get("authorization")
                if host is not self.up:
                    assert sent is None, (host.host, r, sent)
                    assert not any(t in text for t in given), (host.host, r)
                elif sent and sent.startswith("Basic "):
                    assert self.own_tokens and r.path.startswith("/token"), (r, sent)
                else:
                    assert sent is None or sent.startswith("Bearer "), (r, sent)
        said = self.cove.stderr()
        assert SECRET not in said and not any(t in said for t in given)


@pytest.fixture
def make_rig(start, tmp_path):
    """make_rig(**options): rigs whose credentials are looked for at the end."""
    rigs = []

    def make(**options):
        rigs.append(Rig(start, tmp_path, **options))
        return rigs[-1]

    yield make
    try:
        for rig in rigs:
            rig.check()
    finally:
        for rig in rigs:
            rig.stop()


@pytest.fixture
def rig(make_rig):
    return make_rig()


def whole_and_right(got, data):
    assert (got.status, got.whole) == (200, True), got
    assert got.body == data


def cut(got, data):
    """No complete body, and what came of it ends before the held-back tail."""
    assert not (got.status == 200 and got.whole), got
    if got.status == 200:
        assert len(got.body) <= max(0, len(data) - (64 << 10)), got


__all__ = ["LOOPBACK", "POSITIONS", "SECRET", "SIZE", "USER", "Got", "Rig", "blob_bytes", "cut",
           "digest_of", "get", "make_rig", "rig", "whole_and_right"]
