"""The servers of a benchmark: Cove, Debian's docker-registry (2.8) and distribution v3, plain and TLS,
as a registry and as a proxy cache. Each is one process, so CPU-seconds are read from /proc/PID/stat."""
import http.client
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PASSWORD = "Bench-Password-1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
    return cert, key


class Server:
    """A started server. name, port, tls; cpu(), rss(), connect(), stop()."""

    def __init__(self, kind, folder, tls=False, upstream=None, more=None):
        """more: further environment, for Cove alone."""
        self.more = more or {}
        self.kind, self.tls, self.port = kind, tls, free_port()
        self.folder = folder / f"{kind}-{self.port}"
        self.folder.mkdir()
        cert = certificate(folder) if tls else None
        command, env = (self.cove if kind == "cove" else self.distribution)(cert, upstream)
        self.log = open(self.folder / "log", "wb")
        self.command, self.env = [str(c) for c in command], {**os.environ, **env}
        self.start()
        self.repo = "hub/bench" if upstream and kind == "cove" else "library/bench"

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.env, stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=self.folder)
        self.wait()
        self.start_seconds = time.monotonic() - began

    def cove(self, cert, upstream):
        env = {"COVE_DATA": str(self.folder / "data"), "COVE_LISTEN": f"127.0.0.1:{self.port}",
               "COVE_ADMIN_PASSWORD": PASSWORD, "COVE_MIRROR_LISTEN": "", **self.more}
        if cert:
            env["COVE_TLS_CERT"], env["COVE_TLS_KEY"] = str(cert[0]), str(cert[1])
        command = [ROOT / "build" / "cove", "serve"]
        if upstream:
            config = self.folder / "cove.yml"
            config.write_text(f"proxies:\n  - project: hub\n    upstream: {upstream}\n"
                              "    type: docker-registry\n    public: true\n")
            command += ["-c", config]
        return command, env

    def distribution(self, cert, upstream):
        tls = f", tls: {{certificate: {cert[0]}, key: {cert[1]}}}" if cert else ""
        proxy = f"proxy: {{remoteurl: {upstream}}}\n" if upstream else ""
        config = self.folder / "config.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}}}\n"
                          f"http: {{addr: 127.0.0.1:{self.port}{tls}}}\n{proxy}")
        binary = {"debian": "docker-registry", "v3": ROOT / "build" / "tools" / "registry"}[self.kind]
        return [binary, "serve", config], {"OTEL_TRACES_EXPORTER": "none"}

    def wait(self):
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.kind} ended: {(self.folder / 'log').read_text()[-2000:]}")
            try:
                c = self.connect()
                c.request("GET", "/v2/")
                c.getresponse().read()
                c.close()
                return
            except OSError:
                time.sleep(0.001)

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=120,
                                               context=ssl._create_unverified_context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.end()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
