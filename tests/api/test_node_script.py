"""The script that sets up a node: shellcheck has nothing to say, it may be run twice, it keeps what it
changes and puts it back; containerd, dockerd and podman then pull through it with the files it wrote."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import Server, binary, free_port
from proxied import DockerRegistry

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
import rig  # noqa: E402

NAME = "cove-node/app"  # no such name on Docker Hub: only the mirror can have it
API = "/api/cove/v1"


def need(*names):
    missing = [n for n in names if not shutil.which(n)]
    if missing:
        pytest.skip(f"{', '.join(missing)} are needed")


def sh(*words, env=None, ok=0):
    done = subprocess.run([str(w) for w in words], env={**os.environ, **(env or {})},
                          capture_output=True, text=True, timeout=90)
    assert done.returncode == ok, f"{words}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def place():
    """A short path: containerd's sockets stand below it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cove-node-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def house(postgres, place):
    """Two caches, docker.io open and ghcr.io for members, and a mirror listener."""
    upstream = DockerRegistry()
    server = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8",
                    COVE_MIRROR_LISTEN=f"127.0.0.1:{free_port()}")
    admin = server.admin
    for project, ns, public in (("hub", "docker.io", "true"), ("git", "ghcr.io", "false")):
        assert admin.post("/api/v2.0/registries", json={
            "name": project, "type": "docker-registry", "url": upstream.url}).status == 201
        registry = admin.get(f"/api/v2.0/registries?q=name={project}").json()[0]["id"]
        assert admin.post("/api/v2.0/projects", json={
            "project_name": project, "registry_id": registry,
            "metadata": {"public": public, "proxy_ns": ns}}).status == 201
    yield server, upstream
    try:
        server.stop()
    finally:
        server.remove()
        upstream.stop()


@pytest.fixture
def node(house, place):
    """A node's files, and the script as the page gives it."""
    root = place / str(len(list(place.iterdir())))
    for folder in ("containerd", "docker", "containers"):
        (root / "etc" / folder).mkdir(parents=True)
    server, _ = house
    path = root / "cove-node.sh"
    path.write_text(server.admin.get(f"{API}/clients/script").json()["text"])
    return root, lambda *words, **k: sh("sh", path, "--prefix", root, *words, **k)


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "etc").rglob("*"))
            if p.is_file()}


def test_the_command_and_the_api_say_the_same(house):
    server, _ = house
    by_api = server.admin.get(f"{API}/clients/script").json()
    said = lambda *more: sh(binary(), "mirror-config", "script", "--url", by_api["url"],
                            "--mirror-url", by_api["mirror_url"], *more, env=server.env)
    assert by_api["routes"] == 2 and said().strip() == by_api["text"].strip()
    one = server.admin.get(f"{API}/clients/script?project=git").json()["text"]
    assert "ghcr.io" in one and "docker.io" not in one.split("begin \"$@\"")[1]
    text = said("--projects", "git")
    assert text.split("begin \"$@\"")[1].strip() == one.split("begin \"$@\"")[1].strip()
    stranger = server.anonymous.get(f"{API}/clients/script")
    assert stranger.status == 401


def test_shellcheck(house, tmp_path):
    need("shellcheck")
    server, _ = house
    for query in ("", "?login=true", "?project=git"):
        path = tmp_path / "cove-node.sh"
        path.write_text(server.admin.get(f"{API}/clients/script{query}").json()["text"])
        print(sh("shellcheck", path))
        for shell in ("dash", "bash"):
            if shutil.which(shell):
                sh(shell, "-n", path)


def test_twice_and_back(node):
    """What is there is kept; a second run changes nothing; --undo leaves no trace."""
    root, run = node
    config = root / "etc/containerd/config.toml"
    config.write_text('version = 2\n\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "pause"\n'
                      '  [plugins."io.containerd.grpc.v1.cri".registry]\n    config_path = ""\n'
                      '[plugins."io.containerd.other"]\n  config_path = "/not/ours"\n')
    (root / "etc/docker/daemon.json").write_text('{"log-level": "warn", "registry-mirrors": ["https://old"]}')
    before = files(root)
    said = run("--dry-run")
    assert "would write" in said and files(root) == before and not (root / "var").exists()
    said = run()
    assert "kept what was there" in said and "to do: systemctl restart containerd" in said
    after = files(root)
    text = config.read_text()
    assert text.count('config_path = "/etc/containerd/certs.d"') == 1 and '"/not/ours"' in text
    daemon = json.loads(after["etc/docker/daemon.json"])
    assert daemon["log-level"] == "warn" and daemon["registry-mirrors"][1] == "https://old"
    assert {"etc/containerd/certs.d/docker.io/hosts.toml", "etc/containerd/certs.d/ghcr.io/hosts.toml",
            "etc/containers/registries.conf.d/50-cove.conf"} <= set(after)
    said = run()
    assert "wrote" not in said and said.count("is as it should be") == 4, said
    assert files(root) == after
    said = run("--undo")
    assert files(root) == before, said
    assert not (root / "var/lib/cove-node").exists() and "put back" in said
    assert "nothing to undo" in run("--undo")


def test_what_others_changed_is_theirs(node):
    root, run = node
    run()
    hosts = root / "etc/containerd/certs.d/docker.io/hosts.toml"
    hosts.write_text(hosts.read_text() + "# mine\n")
    said = run("--undo", ok=1)
    assert "was changed since" in said and hosts.read_text().endswith("# mine\n")
    assert list(files(root)) == ["etc/containerd/certs.d/docker.io/hosts.toml"]


@pytest.mark.parametrize("text, want", [
    (None, 'version = 2\n\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = '),
    ('version = 3\n', "[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = "),
    ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n[other]\nx = 1\n',
     '.registry]\n  config_path = "/etc/containerd/certs.d"\n[other]'),
    ("version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '/srv/hosts:/x'\n",
     "/srv/hosts:/x"),
    ('version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\n', None),
    ('root = "/x"\n', None),
    ('disabled_plugins = ["cri"]\n', 'disabled_plugins = ["cri"]\n'),
], ids=["none", "v3", "table", "set", "mirrors", "v1", "off"])
def test_every_config_of_containerd(node, text, want):
    """Each ends with a config_path that containerd reads, or with words for a person."""
    root, run = node
    config = root / "etc/containerd/config.toml"
    if text:
        config.write_text(text)
    run("--only", "containerd", ok=0 if want else 1)
    if want:
        assert want in (config.read_text() if config.exists() else ""), config.read_text()
    else:
        assert config.read_text() == text
    hosts = root / ("srv/hosts" if text and "/srv" in text else "etc/containerd/certs.d")
    assert (hosts / "docker.io/hosts.toml").exists()
    assert not (root / "etc/containers/registries.conf.d").exists()


def test_real_clients_pull_with_what_it_wrote(house, node, place, tmp_path):
    need("containerd", "ctr", "dockerd", "docker", "podman", "skopeo")
    if os.geteuid():
        pytest.skip("root is needed")
    server, upstream = house
    root, run = node
    image = rig.Image(tmp_path, "node", 11)
    sh("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{image.folder}:1",
       f"docker://{upstream.netloc}/{NAME}:1")
    robot = server.admin.post("/api/v2.0/robots", json={
        "name": "node", "level": "project", "duration": -1, "permissions": [{
            "kind": "project", "namespace": "git",
            "access": [{"resource": "repository", "action": "pull"}]}]}).json()
    text = server.admin.get(f"{API}/clients/script?login=true").json()["text"]
    (root / "cove-node.sh").write_text(text)
    run(env={"COVE_USER": robot["name"], "COVE_SECRET": robot["secret"]})
    hosts = root / "etc/containerd/certs.d/ghcr.io/hosts.toml"
    assert hosts.stat().st_mode & 0o777 == 0o600 and robot["secret"] not in hosts.read_text()
    running = []

    def daemon(name, words, ready):
        process = rig.Process(name, root, words)
        running.append(process)
        process.wait_until(lambda: subprocess.run(ready, capture_output=True).returncode == 0, 60)

    try:
        # containerd itself reads the config: CRI says where its registries are
        home = root / "containerd"
        shown = sh("containerd", "-c", root / "etc/containerd/config.toml", "config", "dump")
        assert re.search(r'config_path = "/etc/containerd/certs.d"', shown)
        home.mkdir()
        (home / "config.toml").write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{home}/sock"\n'
            f'[debug]\naddress = "{home}/debug"\n')
        ctr = ["ctr", "-a", f"{home}/sock"]
        daemon("containerd", ["containerd", "-c", home / "config.toml"], [*ctr, "version"])
        for host in ("ghcr.io", "docker.io"):  # the first one is private: the robot pulls
            sh(*ctr, "images", "pull", "--snapshotter", "native", "--hosts-dir",
               root / "etc/containerd/certs.d", f"{host}/{NAME}:1")
        assert sh(*ctr, "images", "ls").count(image.digest) == 2

        home = root / "docker"
        home.mkdir()
        ours = json.loads((root / "etc/docker/daemon.json").read_text())
        (home / "daemon.json").write_text(json.dumps({
            **ours, "data-root": f"{home}/data", "exec-root": f"{home}/exec", "pidfile": f"{home}/pid",
            "hosts": [f"unix://{home}/sock"], "storage-driver": "vfs", "bridge": "none",
            "iptables": False, "ip6tables": False, "ip-forward": False}))
        docker = ["/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker",
                  "-H", f"unix://{home}/sock"]
        daemon("dockerd", ["dockerd", "--config-file", home / "daemon.json"], [*docker, "version"])
        sh(*docker, "pull", f"{NAME}:1")

        home = root / "podman"
        home.mkdir()
        (home / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        sh("podman", "--root", home / "root", "--runroot", home / "run", "--storage-driver", "vfs",
           "pull", "--quiet", "--signature-policy", home / "policy.json", f"docker.io/{NAME}:1",
           env={"TMPDIR": str(home), "CONTAINERS_REGISTRIES_CONF": str(
               root / "etc/containers/registries.conf.d/50-cove.conf")})
    finally:
        for process in running:
            process.stop()
    by = lambda project: {p["principal"] for p in
                          server.admin.get(f"{API}/pulls?project={project}").json()}
    assert by("git") == {robot["name"].removeprefix("robot$")} and "anonymous" in by("hub")
    run("--undo")
    assert files(root) == {}
