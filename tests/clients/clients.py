"""The clients: how each is told about credentials, an own CA and a mirror, and how what it pulled is
proven to be what was pushed. A method per operation; one that a client does not have is not there."""
import base64
import json
import os
import pathlib
import shutil
import subprocess

import rig

ALL = {}
BY_NAME = {}  # run only when they are named: building them takes minutes
made = []  # directories outside the temporary folder, to be taken away


def client(cls):
    ALL[cls.__name__.lower()] = cls
    return cls


def sh(command, env=None, typed="", timeout=180):
    """Runs a command; its output, or an exception that holds it."""
    done = subprocess.run([str(c) for c in command], env={**os.environ, **(env or {})}, input=typed,
                          capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        line = " ".join(str(c) for c in command)
        raise RuntimeError(f"exit {done.returncode}: {line}\n{done.stdout[-800:]}{done.stderr[-1600:]}")
    return done.stdout


def same(got, want):
    if got.strip() != want:
        raise ValueError(f"got {got.strip()[:200]}, want {want}")


def need(name):
    found = rig.tool(name)
    if not found:
        raise RuntimeError(f"{name} is not installed")
    return found


def clean():
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


class Client:
    """What the tools share: images upstream of their own, so that each meets a cold cache; names;
    credentials as docker's config.json."""

    def __init__(self, house):
        self.house, self.name = house, type(self).__name__.lower()
        self.folder = house.folder / self.name
        self.folder.mkdir()
        basic = base64.b64encode(f"{rig.ADMIN}:{rig.PASSWORD}".encode()).decode()
        auths = {cove.host: {"auth": basic} for cove in (house.plain, house.tls)}
        (self.folder / "config.json").write_text(json.dumps({"auths": auths}))
        (self.folder / "empty").mkdir()
        (self.folder / "empty" / "config.json").write_text("{}")
        self.auth = self.folder / "config.json"
        self.nobody = self.folder / "empty" / "config.json"
        self.count = 0
        seed = 100 + 10 * [*ALL, *BY_NAME].index(self.name)
        self.upstream = f"cove-clients/{self.name}"  # no such name on Docker Hub
        self.far = rig.Image(self.folder, "far", seed)
        self.far_index = rig.Index(self.folder, "far-index", seed + 1)
        for image, tag in ((self.far, 1), (self.far_index, 2)):
            sh([need("skopeo"), "--insecure-policy", "copy", "--all", "--dest-tls-verify=false",
                f"oci:{image.folder}:1", f"docker://127.0.0.1:{house.upstream.port}/{self.upstream}:{tag}"])

    def own(self, cove):
        return f"{cove.host}/team/{self.name}:1"

    def proxied(self, cove, tag=1):
        return f"{cove.host}/hub/{self.upstream}:{tag}"

    def fresh(self):
        self.count += 1
        return self.folder / f"pulled-{self.count}"

    def check_layout(self, folder, image):
        same(rig.layout_digest(folder), image.digest)

    def push(self):
        self.put(self.house.plain)

    def pull(self):
        self.get(self.own(self.house.plain), self.house.plain, self.house.image, self.auth)

    def proxy(self):
        self.get(self.proxied(self.house.plain), self.house.plain, self.far, self.nobody)

    def index(self):
        self.get(self.proxied(self.house.plain, 2), self.house.plain, self.far_index, self.nobody)

    def push_tls(self):
        self.put(self.house.tls)

    def pull_tls(self):
        self.get(self.own(self.house.tls), self.house.tls, self.house.image, self.auth)

    def proxy_tls(self):
        self.get(self.proxied(self.house.tls), self.house.tls, self.far, self.nobody)


@client
class Docker(Client):
    """/usr/bin/docker and a dockerd of its own. It knows an image by its config's digest."""

    def __init__(self, house):
        super().__init__(house)
        self.docker = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else need("docker")
        socket = self.folder / "docker.sock"
        (self.folder / "daemon.json").write_text(json.dumps({
            "data-root": str(self.folder / "data"), "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "pid"), "hosts": [f"unix://{socket}"], "storage-driver": "vfs",
            "bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False,
            "registry-mirrors": [f"http://127.0.0.1:{house.plain.mirror}"]}))
        certs = pathlib.Path("/etc/docker/certs.d") / house.tls.host
        certs.mkdir(parents=True, exist_ok=True)
        made.append(certs)
        shutil.copy(house.ca.ca, certs / "ca.crt")
        daemon = rig.Process("dockerd", house.folder, [need("dockerd"), "--config-file", self.folder / "daemon.json"])
        house.start(daemon)
        self.env = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(self.folder)}
        daemon.wait_until(lambda: subprocess.run([self.docker, "version"], capture_output=True,
                                                 env={**os.environ, **self.env}).returncode == 0, 60)
        archive = self.folder / "image.tar"
        sh([need("skopeo"), "--insecure-policy", "copy", f"oci:{house.image.folder}:1",
            f"docker-archive:{archive}:local/image:1"])
        self.run("load", "-i", archive)
        self.image_id = self.run("image", "inspect", "-f", "{{.Id}}", "local/image:1").strip()
        same(self.image_id, house.image.config_digest)
        (self.folder / "nobody").mkdir()
        shutil.copy(self.nobody, self.folder / "nobody" / "config.json")

    def run(self, *args, auth=True):
        env = self.env if auth else {**self.env, "DOCKER_CONFIG": str(self.folder / "nobody")}
        return sh([self.docker, *args], env)

    def login(self):
        (self.folder / "login").mkdir()
        env = {**self.env, "DOCKER_CONFIG": str(self.folder / "login")}
        sh([self.docker, "login", "-u", rig.ADMIN, "--password-stdin", self.house.plain.host], env, rig.PASSWORD)

    def put(self, cove):
        self.run("tag", self.house.image.config_digest, self.own(cove))
        self.run("push", self.own(cove))

    def get(self, name, cove, image, auth):
        for tag in self.run("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").splitlines():
            if tag.split()[0] == image.config_digest:
                self.run("rmi", "-f", tag.split()[1])
        self.run("pull", name, auth=auth == self.auth)
        same(self.run("image", "inspect", "-f", "{{.Id}}", name), image.config_digest)

    def mirror(self):
        self.get(f"{self.upstream}:1", self.house.plain, self.far, self.nobody)

    def push_tls(self):
        # the image may be gone from the pulls before
        self.run("load", "-i", self.folder / "image.tar")
        super().push_tls()


class Containers(Client):
    """podman, buildah and skopeo read the same files."""

    def __init__(self, house):
        super().__init__(house)
        self.program = need(self.name)
        (self.folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.folder / "certs").mkdir()
        shutil.copy(house.ca.ca, self.folder / "certs" / "ca.crt")
        (self.folder / "registries.conf").write_text(
            'short-name-mode = "disabled"\n[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
            f'[[registry.mirror]]\nlocation = "127.0.0.1:{house.plain.mirror}"\ninsecure = true\n')
        self.env = {"CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),  # podman, buildah
                    "REGISTRY_AUTH_FILE": str(self.auth), "TMPDIR": str(self.folder)}

    def trust(self, cove, prefix=""):
        if cove.ca:
            return [f"--{prefix}cert-dir", self.folder / "certs"]
        return [f"--{prefix}tls-verify=false"]

    def login(self):
        sh([self.program, "login", "--authfile", self.folder / "login.json", *self.trust(self.house.plain), "-u",
            rig.ADMIN, "--password-stdin", self.house.plain.host], self.env, rig.PASSWORD)

    def mirror(self):
        self.get(f"docker.io/{self.upstream}:1", None, self.far, self.nobody)


@client
class Skopeo(Containers):
    def run(self, *args):
        conf = ["--registries-conf", self.folder / "registries.conf"]
        return sh([self.program, "--insecure-policy", *conf, *args], self.env)

    def put(self, cove):
        self.run("copy", *self.trust(cove, "dest-"), f"oci:{self.house.image.folder}:1", f"docker://{self.own(cove)}")

    def get(self, name, cove, image, auth):
        folder = self.fresh()
        self.run("copy", "--all", *(self.trust(cove, "src-") if cove else []), "--src-authfile", auth, f"docker://{name}",
                 f"oci:{folder}:1")
        self.check_layout(folder, image)
        same(self.run("inspect", *(self.trust(cove) if cove else []), "--authfile", auth, "--no-tags", "--format",
                      "{{.Digest}}", f"docker://{name}"), image.digest)


class Stored(Containers):
    """podman and buildah have a store of their own, here in the folder, with driver vfs. They pack
    layers again for a push, so what they pull is compared with what they say they pushed."""

    def __init__(self, house):
        super().__init__(house)
        self.pushed = {}

    def run(self, *args):
        place = ["--root", self.folder / "root", "--runroot", self.folder / "runroot", "--storage-driver", "vfs"]
        return sh([self.program, *place, *args], self.env)

    def local(self):
        return self.run("pull", "--quiet", "--signature-policy", self.folder / "policy.json",
                        f"oci:{self.house.image.folder}:1").strip().splitlines()[-1]

    def put(self, cove):
        self.run("push", "--quiet", *self.trust(cove), "--signature-policy", self.folder / "policy.json",
                 "--digestfile", self.folder / "digest", self.local(), f"docker://{self.own(cove)}")
        self.pushed[self.own(cove)] = (self.folder / "digest").read_text().strip()

    def get(self, name, cove, image, auth):
        self.run("rmi", "--all", "--force")
        self.run("pull", "--quiet", *(self.trust(cove) if cove else []), "--authfile", auth, "--signature-policy",
                 self.folder / "policy.json", name)
        if name in self.pushed:
            same(self.run(*self.look, self.digest, name), self.pushed[name])
        else:
            same("sha256:" + self.run(*self.look, self.id, name), image.config_digest)


@client
class Podman(Stored):
    look, digest, id = ["image", "inspect", "--format"], "{{.Digest}}", "{{.Id}}"


@client
class Buildah(Stored):
    look, digest, id = ["inspect", "--type", "image", "--format"], "{{.FromImageDigest}}", "{{.FromImageID}}"


@client
class Containerd(Client):
    """ctr and a containerd of its own; hosts.toml says how a registry is reached."""

    def __init__(self, house):
        super().__init__(house)
        self.ctr = need("ctr")
        self.address = self.folder / "sock"
        (self.folder / "config.toml").write_text(
            f'version = 2\nroot = "{self.folder}/root"\nstate = "{self.folder}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.address}"\n'
            f'[debug]\naddress = "{self.folder}/debug"\n')
        daemon = rig.Process("containerd", house.folder, [need("containerd"), "-c", self.folder / "config.toml"])
        house.start(daemon)
        daemon.wait_until(lambda: subprocess.run([self.ctr, "-a", self.address, "version"],
                                                 capture_output=True).returncode == 0)
        self.hosts(house.tls.host, f'[host."https://{house.tls.host}"]\nca = "{house.ca.ca}"\n'
                   'capabilities = ["pull", "resolve", "push"]\n')
        # a server that nobody is, so that nothing but the mirror can have answered
        self.hosts("docker.io", f'server = "http://127.0.0.1:1"\n[host."http://{house.plain.host}"]\n'
                   'capabilities = ["pull", "resolve"]\n', "ns")
        self.hosts("docker.io", 'server = "http://127.0.0.1:1"\n'
                   f'[host."http://127.0.0.1:{house.plain.mirror}"]\ncapabilities = ["pull", "resolve"]\n', "mirror")
        archive = self.folder / "image.tar"
        sh(["tar", "-cf", archive, "-C", house.image.folder, "."])
        self.images("import", "--snapshotter", "native", "--no-unpack", "--base-name", "local/image", archive)

    def hosts(self, name, text, directory="hosts"):
        place = self.folder / directory / name
        place.mkdir(parents=True)
        (place / "hosts.toml").write_text(text)

    def images(self, *args):
        return sh([self.ctr, "-a", self.address, "images", *args])

    def reach(self, cove, auth):
        user = ["--user", f"{rig.ADMIN}:{rig.PASSWORD}"] if auth == self.auth else []
        return [*user, *(["--hosts-dir", self.folder / "hosts"] if cove.ca else ["--plain-http"])]

    def put(self, cove):
        self.images("tag", "--force", "local/image:1", self.own(cove))
        self.images("push", *self.reach(cove, self.auth), self.own(cove))

    def get(self, name, cove, image, auth, reach=None):
        for old in self.images("ls", "-q").split():
            if not old.startswith("local/"):
                self.images("rm", "--sync", old)
        self.images("pull", "--snapshotter", "native", *(reach or self.reach(cove, auth)), name)
        listed = [line.split() for line in self.images("ls").splitlines()[1:]]
        same(next(row[2] for row in listed if row[0] == name), image.digest)

    def mirror(self):
        self.get(f"docker.io/{self.upstream}:1", None, self.far, None, ["--hosts-dir", self.folder / "mirror"])

    def ns(self):
        self.get(f"docker.io/{self.upstream}:1", None, self.far, None, ["--hosts-dir", self.folder / "ns"])


class GoTool(Client):
    """Programs that Debian lacks: built by tools/setup-go with a Go of 1.26 or newer."""

    def __init__(self, house):
        super().__init__(house)
        self.program = rig.go_tool(self.name)
        if not self.program:
            raise RuntimeError(f"{self.name} is missing; building it needs Go 1.26 or newer")

    def run(self, cove, auth, *args):
        env = {"DOCKER_CONFIG": str(auth.parent), "HOME": str(self.folder)}
        if cove.ca:
            env["SSL_CERT_FILE"] = str(cove.ca.bundle)
        return sh([self.program, *args], env)


@client
class Crane(GoTool):
    def login(self):
        env = {"DOCKER_CONFIG": str(self.folder / "login"), "HOME": str(self.folder)}
        sh([self.program, "auth", "login", "--insecure", "-u", rig.ADMIN, "--password-stdin", self.house.plain.host],
           env, rig.PASSWORD)

    def put(self, cove):
        self.run(cove, self.auth, "push", *([] if cove.ca else ["--insecure"]), self.house.image.folder, self.own(cove))
        same(self.run(cove, self.auth, "digest", self.own(cove)), self.house.image.digest)

    def get(self, name, cove, image, auth):
        folder = self.fresh()
        self.run(cove, auth, "pull", "--format=oci", *([] if cove.ca else ["--insecure"]), name, folder)
        self.check_layout(folder, image)


@client
class Oras(GoTool):
    def login(self):
        sh([self.program, "login", "--registry-config", self.folder / "login.json", *self.reach(self.house.plain), "-u",
            rig.ADMIN, "--password-stdin", self.house.plain.host], {"HOME": str(self.folder)}, rig.PASSWORD)

    def reach(self, cove, prefix=""):
        return [f"--{prefix}ca-file", cove.ca.ca] if cove.ca else [f"--{prefix}plain-http"]

    def put(self, cove):
        self.run(cove, self.auth, "cp", *self.reach(cove, "to-"), "--from-oci-layout", f"{self.house.image.folder}:1",
                 self.own(cove))
        note = self.folder / "note.txt"
        note.write_text("attached\n")
        self.run(cove, self.auth, "attach", *self.reach(cove), "--artifact-type", "application/vnd.cove.note",
                 "--disable-path-validation", self.own(cove), note)

    def get(self, name, cove, image, auth):
        folder = self.fresh()
        self.run(cove, auth, "cp", *self.reach(cove, "from-"), name, "--to-oci-layout", f"{folder}:1")
        self.check_layout(folder, image)
        if auth == self.auth:  # what was attached in put() is found through the referrers API
            found = self.run(cove, auth, "discover", *self.reach(cove), "--format", "json", name)
            if "application/vnd.cove.note" not in found:
                raise ValueError(f"the attached artifact is not found: {found[:500]}")
