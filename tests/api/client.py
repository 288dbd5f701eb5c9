"""A thin layer on http.client: requests to one registry as one principal, nothing remembered."""
import base64
import hashlib
import http.client
import json
import secrets

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of the first error in the envelope."""
        return self.json()["errors"][0]["code"]

    @property
    def message(self):
        return self.json()["errors"][0]["message"]

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Client:
    """Requests to one server (.port, and .host when it is not 127.0.0.1) as one principal. path may
    be absolute (a Location). source: the address that the client comes from."""

    def __init__(self, server, user=None, password=None, token=None, tls=None, source=None):
        self.server, self.tls, self.user = server, tls, user
        self.source = (source, 0) if source else None
        self.headers = {}
        if user is not None:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            self.headers["Authorization"] = "Basic " + pair
        if token is not None:
            self.headers["Authorization"] = "Bearer " + token

    def connect(self, timeout=60, port=None):
        host, port = getattr(self.server, "host", "127.0.0.1"), port or self.server.port
        if self.tls:
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self.tls,
                                               source_address=self.source)
        return http.client.HTTPConnection(host, port, timeout=timeout, source_address=self.source)

    def request(self, method, path, body=None, headers=None, timeout=60, port=None, **more):
        if "://" in path:
            path = "/" + path.split("://", 1)[1].split("/", 1)[1]
        sent = dict(self.headers)
        if "json" in more:
            body = json.dumps(more["json"]).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        sent = {k: v for k, v in sent.items() if v is not None}
        connection = self.connect(timeout, port)
        try:
            try:
                connection.request(method, path, body, sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused in the middle of the body: the answer is there all the same
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def head(self, path, **kw):
        return self.request("HEAD", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def patch(self, path, body=None, **kw):
        return self.request("PATCH", path, body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    # ---- what most tests need ----

    def token(self, *scopes, service="harbor-registry"):
        query = "&".join([f"service={service}"] + [f"scope={s}" for s in scopes])
        reply = self.get("/service/token?" + query)
        assert reply.status == 200, reply
        return reply.json()["token"]

    def push_blob(self, repository, data):
        digest = sha256(data)
        reply = self.post(f"/v2/{repository}/blobs/uploads/?digest={digest}", data,
                          headers={"Content-Type": "application/octet-stream"})
        if reply.status == 202:  # a registry that takes blobs in two requests only
            reply = self.put(and_digest(reply.headers["Location"], digest), data,
                             headers={"Content-Type": "application/octet-stream"})
        assert reply.status == 201, reply
        return digest

    def push_manifest(self, repository, reference, payload, media_type=MANIFEST):
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        reply = self.put(f"/v2/{repository}/manifests/{reference}", payload,
                         headers={"Content-Type": media_type})
        assert reply.status == 201, reply
        return sha256(payload)

    def push_image(self, repository, tag="v1", layers=(b"layer",), config=None, **fields):
        """A small image; returns (digest, payload)."""
        payload = self.image(repository, layers, config, **fields)
        return self.push_manifest(repository, tag, payload), payload

    def image(self, repository, layers=(b"layer",), config=None, **fields):
        """Pushes the blobs of an image and returns its manifest's bytes."""
        config = config if config is not None else json.dumps(
            {"architecture": "amd64", "os": "linux", "n": secrets.token_hex(8)}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(x, "application/vnd.oci.image.layer.v1.tar+gzip") for x in layers],
        }
        manifest.update(fields)
        for data in [config, *layers]:
            self.push_blob(repository, data)
        return json.dumps(manifest).encode()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def and_digest(location, digest):
    """Where an upload is finished."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def descriptor(data, media_type):
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}
