"""An operator's first minute: an empty store, the browser, and real clients that use what the page
gives them to copy. containerd and dockerd are started here, each with a state of its own."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import Server, free_port
from control import control
from proxied import DockerRegistry
from stage import Stage, chromium, has_console

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
import rig  # noqa: E402

NAME = "cove-first/app"  # no such name on Docker Hub: only the mirror can have it


def sh(*command, env=None):
    done = subprocess.run([str(c) for c in command], env={**os.environ, **(env or {})},
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{command}\n{done.stdout[-800:]}{done.stderr[-1600:]}"
    return done.stdout.strip()


class Clients:
    """A method per client: takes the page's text, pulls docker.io/NAME:1, returns what came."""

    def __init__(self, folder, image):
        self.folder, self.image, self.running = folder, image, []

    def daemon(self, name, command, ready):
        process = rig.Process(name, self.folder, command)
        self.running.append(process)
        process.wait_until(lambda: subprocess.run(ready, capture_output=True).returncode == 0, 60)

    def containerd(self, text):
        home = self.folder / "containerd-home"
        place = home / "certs.d" / "docker.io"
        place.mkdir(parents=True)
        assert "/etc/containerd/certs.d/docker.io/hosts.toml" in text
        (place / "hosts.toml").write_text(text)
        (home / "config.toml").write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{home}/sock"\n'
            f'[debug]\naddress = "{home}/debug"\n')
        ctr = ["ctr", "-a", f"{home}/sock"]
        self.daemon("containerd", ["containerd", "-c", home / "config.toml"], [*ctr, "version"])
        name = f"docker.io/{NAME}:1"
        sh(*ctr, "images", "pull", "--snapshotter", "native", "--hosts-dir", home / "certs.d", name)
        listed = [line.split() for line in sh(*ctr, "images", "ls").splitlines()[1:]]
        got = next(row[2] for row in listed if row[0] == name)
        assert got == self.image.digest
        return got

    def docker(self, text):
        home = self.folder / "docker-home"
        home.mkdir()
        (home / "daemon.json").write_text(json.dumps({
            **json.loads(text), "data-root": f"{home}/data", "exec-root": f"{home}/exec",
            "pidfile": f"{home}/pid", "hosts": [f"unix://{home}/sock"], "storage-driver": "vfs",
            "bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False}))
        docker = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else shutil.which("docker")
        client = [docker, "-H", f"unix://{home}/sock"]
        self.daemon("dockerd", ["dockerd", "--config-file", home / "daemon.json"],
                    [*client, "version"])
        sh(*client, "pull", f"{NAME}:1")
        got = sh(*client, "image", "inspect", "-f", "{{.Id}}", f"{NAME}:1")
        assert got == self.image.config_digest
        return got

    def podman(self, text):
        home = self.folder / "podman-home"
        home.mkdir()
        (home / "registries.conf").write_text(text)
        (home / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        podman = ["podman", "--root", home / "root", "--runroot", home / "run", "--storage-driver", "vfs"]
        env = {"CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf"), "TMPDIR": str(home)}
        sh(*podman, "pull", "--quiet", "--signature-policy", home / "policy.json",
           f"docker.io/{NAME}:1", env=env)
        got = "sha256:" + sh(*podman, "image", "inspect", "--format", "{{.Id}}",
                             f"docker.io/{NAME}:1", env=env)
        assert got == self.image.config_digest
        return got


@contextlib.contextmanager
def clients(image):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cove-first-"))
    them = Clients(folder, image)
    try:
        yield them
    finally:
        for process in them.running:
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_first_run(postgres, tmp_path):
    needed = ("node", "containerd", "ctr", "dockerd", "podman", "skopeo", "docker-registry")
    missing = [name for name in needed if not shutil.which(name)]
    if missing or not chromium() or os.geteuid():
        pytest.skip(f"root and {', '.join(missing) or 'chromium'} are needed")
    image = rig.Image(tmp_path, "first", 7)
    upstream = DockerRegistry()
    server = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8",
                    COVE_MIRROR_LISTEN=f"127.0.0.1:{free_port()}")
    try:
        if not has_console(server):
            pytest.skip("the binary has no console")
        sh("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false",
           f"oci:{image.folder}:1", f"docker://{upstream.netloc}/{NAME}:1")
        with clients(image) as them, control(containerd=them.containerd, docker=them.docker,
                                             podman=them.podman) as address:
            said = Stage(server, upstream).play("../staged/first_run", "first_run", 600,
                                                CONTROL=address)
        print(said)
        assert said.count("seen after") == 3
        assert upstream.count("GET", "/manifests/") == 1  # three clients, one pull
        by = [(p["principal"], p["tag"]) for p in server.admin.get("/api/cove/v1/pulls").json()]
        assert by and set(by) == {("anonymous", "1")}
        server.stop()
    finally:
        server.remove()
        upstream.stop()
