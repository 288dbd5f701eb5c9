"""regctl, helm and cosign: run when they are named, for example by hand before a release. Building
helm and cosign takes minutes each."""
import json
import tarfile

import rig
from clients import BY_NAME, GoTool, same, sh


def by_name(cls):
    BY_NAME[cls.__name__.lower()] = cls
    return cls


@by_name
class Regctl(GoTool):
    def __init__(self, house):
        super().__init__(house)
        self.env = {"REGCTL_CONFIG": str(self.folder / "regctl.json"), "HOME": str(self.folder),
                    "DOCKER_CONFIG": str(self.folder / "empty")}
        self.regctl("registry", "set", house.plain.host, "--skip-check", "--tls", "disabled")
        self.regctl("registry", "set", house.tls.host, "--skip-check", "--tls", "enabled", "--cacert",
                    house.ca.ca.read_text())
        for cove in (house.plain, house.tls):
            self.regctl("registry", "login", cove.host, "-u", rig.ADMIN, "--pass-stdin", typed=rig.PASSWORD)

    def regctl(self, *args, typed=""):
        return sh([self.program, *args], self.env, typed)

    def put(self, cove):
        self.regctl("image", "copy", f"ocidir://{self.house.image.folder}:1", self.own(cove))
        same(self.regctl("image", "digest", self.own(cove)), self.house.image.digest)

    def get(self, name, cove, image, auth):
        folder = self.fresh()
        self.regctl("image", "copy", name, f"ocidir://{folder}:1")
        self.check_layout(folder, image)

    def artifact(self):
        own = self.own(self.house.plain)
        self.regctl("artifact", "put", "--artifact-type", "application/vnd.cove.note", "--subject", own, typed="note\n")
        listed = json.loads(self.regctl("artifact", "list", own, "--format", "{{json .}}"))
        same(str(len(listed["descriptors"])), "1")
        self.regctl("image", "copy", own, own + "-again")
        if "1-again" not in self.regctl("tag", "ls", own.rsplit(":", 1)[0]):
            raise ValueError("the second tag is not listed")
        self.regctl("tag", "delete", own + "-again")
        if "1-again" in self.regctl("tag", "ls", own.rsplit(":", 1)[0]):
            raise ValueError("the deleted tag is still listed")


@by_name
class Helm(GoTool):
    """Charts alone: `artifact` is a push, a pull and Harbor's type of it, plain and TLS."""

    push = pull = proxy = push_tls = pull_tls = proxy_tls = index = None

    def artifact(self):
        (self.folder / "demo").mkdir()
        (self.folder / "demo" / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
        env = {"HOME": str(self.folder), "HELM_REGISTRY_CONFIG": str(self.auth)}
        sh([self.program, "package", self.folder / "demo", "-d", self.folder], env)
        package = self.folder / "demo-0.1.0.tgz"
        for cove in (self.house.plain, self.house.tls):
            reach = ["--ca-file", cove.ca.ca] if cove.ca else ["--plain-http"]
            sh([self.program, "push", package, f"oci://{cove.host}/team/charts", *reach], env)
            folder = self.fresh()
            folder.mkdir()
            sh([self.program, "pull", f"oci://{cove.host}/team/charts/demo", "--version", "0.1.0", "-d", folder,
                *reach], env)
            with tarfile.open(folder / "demo-0.1.0.tgz") as tar:
                same(",".join(sorted(tar.getnames())), "demo/Chart.yaml")
            status, data = cove.call("GET", "/api/v2.0/projects/team/repositories/charts%252Fdemo/artifacts")
            same(f"{status} {json.loads(data)[0]['type']}", "200 CHART")


@by_name
class Cosign(GoTool):
    """Signatures as a tag (.sig) and as a referrer (bundle), by a key pair, offline."""

    push = pull = proxy = push_tls = pull_tls = proxy_tls = index = None

    def artifact(self):
        env = {"HOME": str(self.folder), "DOCKER_CONFIG": str(self.auth.parent), "COSIGN_PASSWORD": ""}
        sh([self.program, "generate-key-pair", "--output-key-prefix", self.folder / "key"], env)
        cove, skopeo = self.house.plain, rig.tool("skopeo")
        for bundle in ("false", "true"):
            name = f"{cove.host}/team/signed-{bundle}"
            sh([skopeo, "--insecure-policy", "copy", "--dest-authfile", self.auth, "--dest-tls-verify=false",
                f"oci:{self.house.image.folder}:1", f"docker://{name}:1"])
            name += "@" + self.house.image.digest
            sh([self.program, "sign", "-y", "--key", self.folder / "key.key", "--allow-http-registry",
                "--tlog-upload=false", "--use-signing-config=false", f"--new-bundle-format={bundle}", name], env)
            said = sh([self.program, "verify", "--key", self.folder / "key.pub", "--allow-http-registry",
                       "--insecure-ignore-tlog", f"--new-bundle-format={bundle}", name], env)
            if self.house.image.digest not in said:
                raise ValueError(f"not verified: {said[:500]}")
