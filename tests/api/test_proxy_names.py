"""Names on the way to an upstream: library/x and x, ?ns= in all its spellings, the root mirror,
credentials that belong to somebody else; declared projects; the commands on the cache."""
import json
import os
import subprocess

import pytest

from conftest import PASSWORD, binary
from proxied import ACCEPT, Puller, config, proxy_of
from upstream import Upstream

LAYER = b"a layer " * 3000


@pytest.fixture
def up():
    with Upstream() as up:
        yield up


def hub_of(up, **more):
    return config({"project": "hub", "upstream": up.url, "type": "docker-hub", **more})


def asked(up):
    return up.count("HEAD", "/manifests/"), up.count("GET", "/manifests/")


def test_library_is_one_row(up, start):
    image = up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up))
    puller = Puller(cove)
    assert puller.image("nginx", "1").body == image.payload
    up.clear()
    assert puller.image("library/nginx", "1").body == image.payload
    assert puller.image("nginx", image.digest).body == image.payload
    assert asked(up) == (1, 0)
    assert puller.request("GET", "nginx", "tags/list").json()["tags"] == ["1"]
    listed = cove.admin.get("/api/v2.0/projects/hub/repositories").json()
    assert [r["name"] for r in listed] == ["hub/library/nginx"]
    assert up.count(path_part="/v2/nginx/") == 0


def test_other_vendors_have_no_library(up, start):
    image = up.add_image("app", "1", [LAYER])
    assert Puller(start(proxy_of(up))).image("app", "1").body == image.payload


@pytest.mark.parametrize("ns", ["docker.io", "index.docker.io", "registry-1.docker.io",
                                "DOCKER.IO", "docker.io:443", "Registry-1.Docker.io:443"])
def test_ns_of_the_hub(up, start, ns):
    image = up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up))
    token = cove.anonymous.token("repository:hub/library/nginx:pull")
    reply = cove.bearer(token).get(f"/v2/library/nginx/manifests/1?ns={ns}",
                                   headers={"Accept": ACCEPT})
    assert (reply.status, reply.body) == (200, image.payload)
    config_digest = json.loads(image.payload)["config"]["digest"]
    assert cove.bearer(token).get(f"/v2/library/nginx/blobs/{config_digest}?ns={ns}").status == 200


def test_ns_challenge_names_the_mapped_project(up, start):
    up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up, public="false"))
    reply = cove.anonymous.get("/v2/library/nginx/manifests/1?ns=docker.io")
    assert reply.status == 401
    assert 'scope="repository:hub/library/nginx:pull"' in reply.headers["WWW-Authenticate"]


def test_unknown_ns_is_a_closed_world(up, start):
    up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up))
    token = cove.anonymous.token("repository:hub/library/nginx:pull")
    reply = cove.bearer(token).get("/v2/library/nginx/manifests/1?ns=evil.example.org")
    assert reply.status == 404
    assert up.count() == 0


def test_a_name_without_ns_is_a_project(up, start):
    """No fall-through: library/nginx is the local project library, not the Hub's."""
    up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up))
    token = cove.anonymous.token("repository:library/nginx:pull")
    assert cove.bearer(token).get("/v2/library/nginx/manifests/1").status == 404
    assert up.count() == 0


def test_other_hosts(start):
    with Upstream() as a, Upstream() as b:
        one = a.add_image("team/app", "1", [b"a"])
        two = b.add_image("team/app", "1", [b"b"])
        cove = start(config({"project": "ghcr", "upstream": a.url, "ns": ["ghcr.io"]},
                            {"project": "quay", "upstream": b.url, "ns": ["quay.io"]}))
        for ns, image in [("ghcr.io", one), ("quay.io", two)]:
            project = ns.split(".")[0]
            token = cove.anonymous.token(f"repository:{project}/team/app:pull")
            reply = cove.bearer(token).get(f"/v2/team/app/manifests/1?ns={ns}",
                                           headers={"Accept": ACCEPT})
            assert reply.body == image.payload


def test_root_mirror(up, start):
    image = up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up), COVE_MIRROR_LISTEN="127.0.0.1:0")
    at = {"port": cove.mirror_port, "headers": {"Accept": ACCEPT}}
    assert cove.anonymous.get("/v2/", **at).status == 200
    for name in ["nginx", "library/nginx"]:
        reply = cove.anonymous.get(f"/v2/{name}/manifests/1", **at)
        assert (reply.status, reply.body) == (200, image.payload)
        assert "WWW-Authenticate" not in reply.headers
    # no project is reachable by its name
    assert cove.anonymous.get("/v2/hub/library/nginx/manifests/1", **at).status == 404


def test_credential_on_the_mirror_goes_nowhere(up, start):
    secret = "dXNlcjpodWItcGFzc3dvcmQtMTIz"
    up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up), COVE_MIRROR_LISTEN="127.0.0.1:0", COVE_LOG_LEVEL="debug")
    for value in [f"Basic {secret}", f"Bearer {secret}"]:
        reply = cove.anonymous.get("/v2/library/nginx/manifests/1", port=cove.mirror_port,
                                   headers={"Authorization": value, "Accept": ACCEPT})
        assert reply.status == 200
    for r in up.requests:
        assert secret not in json.dumps(r.headers), r
    cove.stop()
    with open(cove.access) as f:
        assert secret not in f.read()
    assert secret not in cove.stderr() and "hub-password-123" not in cove.stderr()
    for root, _, files in os.walk(cove.data):
        for f in files:
            with open(os.path.join(root, f), "rb") as x:
                content = x.read()
            assert secret.encode() not in content and b"hub-password-123" not in content


def test_mirror_is_for_those_who_may(up, start):
    up.add_image("library/nginx", "1", [LAYER])
    cove = start(hub_of(up), COVE_MIRROR_LISTEN="127.0.0.1:0", COVE_MIRROR_ALLOW="10.0.0.0/8")
    assert cove.anonymous.get("/v2/library/nginx/manifests/1", port=cove.mirror_port).status == 403
    assert up.count() == 0


def test_private_upstream_is_for_members(start):
    with Upstream(auth="basic", credentials=("robot", "s3cret-word"), anonymous=False) as up:
        image = up.add_image("team/app", "1", [LAYER])
        cove = start(proxy_of(up, public="false", username="robot",
                              password_env="UP_PASSWORD"), UP_PASSWORD="s3cret-word")
        assert cove.anonymous.get("/v2/hub/team/app/manifests/1").status == 401
        reply = cove.admin.get("/v2/hub/team/app/manifests/1", headers={"Accept": ACCEPT})
        assert (reply.status, reply.body) == (200, image.payload)
        assert "s3cret-word" not in cove.stderr()
        listed = cove.admin.get("/api/v2.0/registries").json()
        assert "s3cret-word" not in json.dumps(listed)


def test_public_with_credentials_is_said_aloud(start):
    with Upstream(auth="basic", credentials=("robot", "s3cret-word"), anonymous=False) as up:
        entry = {"username": "robot", "password_env": "UP_PASSWORD"}
        with pytest.raises(AssertionError, match="public_with_credentials"):
            start(proxy_of(up, **entry), UP_PASSWORD="s3cret-word")
        image = up.add_image("team/app", "1", [LAYER])
        cove = start(proxy_of(up, public_with_credentials="true", **entry),
                     UP_PASSWORD="s3cret-word")
        assert Puller(cove).image("team/app", "1").body == image.payload


def test_a_wrong_password_of_ours(start):
    """502 in clear words, the cache goes on, and the upstream is not hammered."""
    with Upstream(auth="basic", credentials=("robot", "right"), anonymous=False) as up:
        image = up.add_image("team/app", "1", [LAYER])
        cove = start(proxy_of(up, public_with_credentials="true", username="robot",
                              password_env="UP_PASSWORD"), UP_PASSWORD="right")
        puller = Puller(cove)
        puller.image("team/app", "1")
        up.credentials = ("robot", "changed")
        up.clear()
        for _ in range(10):
            assert puller.image("team/app", "1").body == image.payload
        assert up.count() <= 2
        reply = puller.manifest("team/app", "2")
        assert reply.status == 502 and "denies" in reply.message


def test_declared_projects_are_reconciled(up, start):
    import signal
    from proxied import eventually
    with Upstream() as other:
        up.add_image("team/app", "1", [b"first"])
        second = other.add_image("team/app", "1", [b"second"])
        cove = start(proxy_of(up))
        puller = Puller(cove)
        puller.image("team/app", "1")
        reply = cove.admin.put("/api/v2.0/projects/hub", json={"metadata": {"public": "false"}})
        assert reply.status == 409, reply
        path = cove.args[1]
        with open(path, "w") as f:
            f.write(proxy_of(other))
        cove.process.send_signal(signal.SIGHUP)
        eventually(lambda: puller.manifest("team/app", "1").body == second.payload)
        with open(path, "w") as f:
            f.write("")
        cove.process.send_signal(signal.SIGHUP)

        def ordinary():
            return cove.admin.put("/api/v2.0/projects/hub",
                                  json={"metadata": {"public": "true"}}).status == 200
        eventually(ordinary)
        assert puller.manifest("team/app", "1").status == 200
        retention = cove.admin.get("/api/v2.0/projects/hub").json()["metadata"]["retention_id"]
        policy = cove.admin.get(f"/api/v2.0/retentions/{retention}").json()
        assert policy["rules"][0]["params"] == {"nDaysSinceLastPull": 7}


# ---- commands -----------------------------------------------------------------------------------


def command(cove, *words):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COVE_")}
    done = subprocess.run([binary(), *words, *cove.args], env={**clean, **cove.env},
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_commands(up, start, tmp_path):
    children = [up.add_image("team/multi", None, [b"child %d" % i], platform=("linux", arch))
                for i, arch in enumerate(["amd64", "arm64"])]
    up.add_index("team/multi", "1", children)
    app = up.add_image("team/app", "1", [LAYER])
    up.add_image("team/other", "1", [LAYER, b"more"])
    up.limit = up.remaining = 100
    cove = start(proxy_of(up))
    code, text = command(cove, "pull", "hub/team/multi:1", "--platform", "linux/arm64")
    assert code == 0 and "2 manifests" in text, text
    assert up.count("GET", children[0].digest) == 0 and up.count("GET", children[1].digest) == 1
    listed = tmp_path / "list"
    listed.write_text("# images\nhub/team/app:1\n\nhub/team/other:1 # two layers\n")
    code, text = command(cove, "pull", "-f", str(listed))
    assert code == 0 and "2 images, 0 failed" in text, text
    up.clear()
    puller = Puller(cove)
    assert puller.image("team/app", app.digest).body == app.payload
    assert up.count() == 0
    code, text = command(cove, "pull", "hub/team/nothing:1")
    assert code == 1 and "not found" in text, text
    new = up.add_image("team/app", "1", [b"moved"])
    code, text = command(cove, "proxy", "refresh", "hub")
    assert code == 0, text
    assert "hub/team/app:1: miss" in text and "hub/team/other:1: revalidated" in text
    assert up.count("GET", f"/manifests/{new.digest}") == 1
    code, text = command(cove, "quota")
    assert code == 0 and "of 100 pulls left" in text, text
    code, text = command(cove, "mirror-config", "podman")
    assert code == 0 and "[[registry.mirror]]" in text and "/hub" in text, text
    code, text = command(cove, "mirror-config", "emacs")
    assert code == 2
    code, text = command(cove, "proxy", "purge", "hub/team/app")
    assert code == 0 and "team/app is out of the cache" in text, text
    up.clear()
    assert puller.manifest("team/app", "1").body == new.payload
    assert up.count("GET", "/manifests/") == 1
    # the rest of the limit is for people
    up.remaining = 8
    puller.manifest("team/app", "1")
    code, text = command(cove, "pull", "hub/team/multi:1")
    assert code == 1 and "kept for people" in text, text


def test_commands_without_a_server(up, start):
    app = up.add_image("team/app", "1", [LAYER])
    cove = start(proxy_of(up))
    cove.stop()
    code, text = command(cove, "pull", "hub/team/app:1")
    assert code == 0, text
    up.clear()
    cove.start()
    assert Puller(cove).image("team/app", app.digest).body == app.payload
    assert up.count() == 0
    assert PASSWORD not in text
