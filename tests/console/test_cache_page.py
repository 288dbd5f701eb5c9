"""The Cache page while the world changes: every figure is what /metrics and the access log say; a pull
limit that falls to its floor and is refilled; an upstream that fails and comes back."""
import contextlib
import decimal
import json
import re
import shutil
import time

import pytest
from conftest import Server
from control import control
from proxied import Puller, eventually
from seeding import limit_uses, run_sql
from stage import Stage, chromium, has_console
from upstream import Upstream

LIMIT = 200


@contextlib.contextmanager
def hub(postgres, seed=None):
    """A server with one proxy cache of a Docker Hub that has a pull limit."""
    if not shutil.which("node") or not chromium():
        pytest.skip("node or chromium is missing")
    with Upstream(ratelimit=LIMIT) as up:
        for tag in ("1", "2", "3", "4"):
            up.add_image("library/node", tag, [tag.encode() * 4000])
        server = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8", COVE_PROXY_QUOTA_FLOOR="5%")
        try:
            if not has_console(server):
                pytest.skip("the binary has no console")
            post = server.admin.post
            assert post("/api/v2.0/registries", json={"name": "Docker Hub", "type": "docker-hub",
                                                      "url": up.url}).status == 201
            registry = server.admin.get("/api/v2.0/registries").json()[0]["id"]
            assert post("/api/v2.0/projects", json={
                "project_name": "dockerhub", "registry_id": registry,
                "metadata": {"public": "true", "proxy_ns": "docker.io"}}).status == 201
            if seed:
                server.stop()
                seed(server, registry)
                server.start()
            yield Stage(server, up), Puller(server, "dockerhub")
            server.stop()
        finally:
            server.remove()


def play(stage, story, **actions):
    with control(**actions) as address:
        return stage.play("../staged/cache", story, 600, CONTROL=address)


def size(n):
    """As the page writes sizes."""
    units, i, n = ["B", "KB", "MB", "GB", "TB"], 0, decimal.Decimal(int(n))
    while n >= 1000 and i < len(units) - 1:
        n, i = n / 1000, i + 1
    digits = 0 if i == 0 or n >= 100 else 1 if n >= 10 else 2
    text = str(n.quantize(decimal.Decimal(10) ** -digits, decimal.ROUND_HALF_UP))
    return (text.rstrip("0").rstrip(".") if "." in text else text), units[i]


def share(part, whole):
    exact = decimal.Decimal(100 * part) / whole
    return str(exact.quantize(decimal.Decimal("0.1"), decimal.ROUND_HALF_UP)).removesuffix(".0")


def test_every_figure_adds_up(postgres):
    with hub(postgres) as (stage, puller):
        up, server = stage.up, stage.server
        for tag in ("1", "2", "1", "1"):
            puller.image("library/node", tag)
        assert puller.manifest("library/node", "none").status == 404
        assert server.admin.get("/v2/dockerhub/library/node/manifests/3").status == 200
        up.script("/manifests/4", {"status": 500, "times": 0})
        assert puller.manifest("library/node", "4").status == 502
        up.script("/manifests/1", {"status": 503, "times": 1})
        assert puller.manifest("library/node", "1").status == 200  # the cached one
        used = "/api/cove/v1/upstreams/1/consumers"
        eventually(lambda: sum(u["pulls"] for u in server.admin.get(used).json()) ==
                   LIMIT - up.remaining)  # written every five seconds
        page = json.loads(play(stage, "figures").strip().splitlines()[-1])
        metrics = server.metrics()
        log = [a for a in server.accesses() if a.get("upstream") and a["path"].startswith("/v2/")]
        got = lambda *outcomes: [a for a in log if a["upstream"] in outcomes]
        kept = got("hit", "revalidated", "stale", "coalesced")
        saved = sum(a["bytes_out"] for a in kept if a["method"] == "GET")
        manifests = sum("/manifests/" in a["path"] and a["method"] == "GET" for a in kept)
        counted = LIMIT - up.remaining
        assert saved == metrics["cove_proxy_bytes_saved_total"]
        assert len(log) == metrics["cove_proxy_requests_total"]
        served, traffic, pulls, answer = page["figs"]
        assert served[1] == share(len(kept), len(log)) + "%"
        assert served[2] == f"{len(kept)} of {len(log)} pulls"
        assert traffic[1] == "".join(size(saved))
        fetched = " ".join(size(metrics["cove_upstream_bytes_total"]))
        assert traffic[2] == f"{fetched} fetched upstream"
        assert pulls[1] == str(manifests) == f"{metrics['cove_proxy_pulls_saved_total']:.0f}"
        assert pulls[2] == f"{counted} counted by upstreams"
        assert re.fullmatch(r"[\d.,]+m?s", answer[1]) and answer[2].startswith("upstream ")
        for words, outcome in [("From the cache, nothing asked", "hit"),
                               ("From the cache after a check", "revalidated"),
                               ("Joined a download", "coalesced"),
                               ("From the cache because", "stale"),
                               ("Fetched from the upstream", "miss"), ("Refused: neither", "refused")]:
            assert page["answers"][words] == str(len(got(outcome))), words
        assert page["answers"]["Requests sent"] == f"{metrics['cove_upstream_requests_total']:.0f}"
        assert page["answers"]["Fetched"] == fetched
        errors = [int(page["answers"][x]) for x in ("Could not be reached", "No answer in time",
                                                    "Answered 5xx")]
        assert sum(errors) == metrics["cove_upstream_errors_total"] > 0
        assert page["answers"]["Refused for a limit"] == "0"
        row = page["upstream"]
        assert row[2] == share(len(kept), len(log)) + " %" and row[-1] == " ".join(size(saved))
        assert row[3] == f"{up.remaining} of {LIMIT}"
        assert page["left"].startswith(f"{up.remaining} of {LIMIT} per 6 hours, no account")
        assert page["sample"][1:] == [str(up.remaining), str(LIMIT)]
        users = {who.split()[0]: int(n) for who, n in page["users"]}
        assert users == {"anonymous": counted - 1, "admin": 1}


def past(server, registry):
    """An hour in which 16 pulls went, noted a minute each; by a robot, most of them."""
    minute = int(time.time()) // 60 * 60
    uses = [(minute - (57 - i) * 60, 0, "", "anonymous", 0, 29 - i * 16 // 56) for i in range(56)]
    uses += [(minute - (40 - i) * 60, 2, "library/node", "robot$ci-build", 1, -1) for i in range(12)]
    run_sql(server, limit_uses(registry, LIMIT, uses))


def test_a_limit_that_runs_out(postgres):
    with hub(postgres, past) as (stage, puller):
        up = stage.up
        up.remaining = 13
        assert puller.manifest("library/node", "1").status == 200

        def set_to(left, tag):
            up.remaining = left + 1
            assert puller.manifest("library/node", tag).status == 200

        play(stage, "quota", to_the_floor=lambda _: set_to(8, "2"), refill=lambda _: set_to(199, "3"))


def test_an_upstream_that_fails(postgres):
    with hub(postgres) as (stage, puller):
        up = stage.up
        assert puller.image("library/node", "1").status == 200

        def break_it(_):
            up.script("/", {"status": 503, "times": 0})
            for _ in range(6):
                puller.manifest("library/node", "1")

        play(stage, "down", break_it=break_it, mend_it=lambda _: up.clear_scripts(),
             pull=lambda _: puller.manifest("library/node", "1").status)
