"""The upstream of the proxy rows: one image and some blobs, sent by sendfile at 20 MiB/s per connection,
each answer after `delay` seconds; counts the GETs of blobs."""
import hashlib
import http.client
import http.server
import json
import os
import threading
import time

MIB = 1 << 20
RATE = 20 * MIB
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def __init__(self, folder, big, small=12, delay=0.0):
        """small blobs of 2 MiB, then one of big MiB."""
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.gets, self.blobs, self.delay = folder, [], [], delay
        for size in [2 * MIB] * small + ([big * MIB] if big else []):
            self.blobs.append(self.keep(os.urandom(size)))
        config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.keep(config),
            "size": len(config)}, "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest,
                "size": (folder / digest[7:]).stat().st_size} for digest in self.blobs]}).encode()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def keep(self, data):
        (self.folder / sha(data)[7:]).write_bytes(data)
        return sha(data)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # a server that went away

    def head(self, status, size, kind="application/octet-stream", digest=""):
        time.sleep(self.server.delay)
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", kind)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def answer(self):
        if "/manifests/" in self.path:
            body = self.server.manifest
            self.head(200, len(body), MANIFEST, sha(body))
            if self.command == "GET":
                self.wfile.write(body)
            return
        path = self.server.folder / self.path.rsplit(":", 1)[-1]
        if self.path in ("/v2/", "/v2") or not path.is_file():
            self.head(200 if len(self.path) < 5 else 404, 0)
            return
        size = path.stat().st_size
        self.head(200, size, digest="sha256:" + path.name)
        if self.command == "HEAD":
            return
        self.server.gets.append(self.path)
        began, at = time.monotonic(), 0
        with open(path, "rb") as f:
            while at < size:
                at += os.sendfile(self.connection.fileno(), f.fileno(), at, min(MIB // 4, size - at))
                ahead = at / RATE - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)

    do_GET = do_HEAD = answer
