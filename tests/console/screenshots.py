#!/usr/bin/env python3
"""Pictures of every page, both themes, desktop and phone, from a real server filled with what there is
to see: `COVE_BIN=build/cove tests/console/screenshots.py [PAGE...]` writes build/screenshots."""
import contextlib
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
spec = importlib.util.spec_from_file_location("conftest", HERE / "conftest.py")
conftest = sys.modules["conftest"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)

from proxied import Puller  # noqa: E402
from seeding import limit_uses, run_sql  # noqa: E402
from stage import chromium, stage  # noqa: E402
from upstream import Upstream  # noqa: E402

LIMIT = 200
IMAGES = ("library/nginx", "library/node", "library/postgres", "grafana/grafana", "library/python",
          "library/redis", "traefik/whoami", "library/golang")


def past(server, registry, project):
    """Five hours of a limit that is used up, and who used it."""
    minute = int(time.time()) // 60 * 60
    uses = [(minute - (290 - i) * 60, 0, "", "anonymous", 0,
             118 - i * 28 // 110 if i < 110 else 200 - (i - 110) * 138 // 180) for i in range(290)]
    uses += [(minute - (2 + (i * 163) // pulls) * 60, project, "library/node", who, 1, -1)
             for who, pulls in (("robot$ci-build", 71), ("anonymous", 38), ("robot$renovate", 14),
                                ("robot$staging", 9), ("anna.koch", 4)) for i in range(pulls)]
    run_sql(server, limit_uses(registry, LIMIT, uses))


def fill(server, up):
    random.seed(1)
    admin = server.admin
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(Upstream(ratelimit=LIMIT))
        github = stack.enter_context(Upstream())
        fill.keep = stack.pop_all()
    for name in IMAGES:
        for tag in ("1.0", "1.1"):
            hub.add_image(name, tag, [random.randbytes(random.randrange(20_000, 900_000)) for _ in range(3)])
    admin.post("/api/v2.0/registries", json={"name": "Docker Hub", "type": "docker-hub", "url": hub.url})
    admin.post("/api/v2.0/registries", json={"name": "GitHub", "type": "docker-registry", "url": github.url})
    ids = {r["name"]: r["id"] for r in admin.get("/api/v2.0/registries").json()}
    for project, registry in (("dockerhub", "Docker Hub"), ("github", "GitHub")):
        assert admin.post("/api/v2.0/projects", json={
            "project_name": project, "registry_id": ids[registry], "storage_limit": 500_000_000,
            "metadata": {"public": "true", "proxy_ns": {"dockerhub": "docker.io"}.get(project, "ghcr.io"),
                         "proxy_window_s": "3600", "proxy_max_stale_s": "604800"}}).status == 201
    project = admin.get("/api/v2.0/projects/dockerhub").json()["project_id"]
    server.stop()
    past(server, ids["Docker Hub"], project)
    server.start()
    hub.remaining = 62 + 2 * len(IMAGES)
    puller = Puller(server, "dockerhub")
    for i in range(160):
        name = random.choices(IMAGES, weights=range(len(IMAGES), 0, -1))[0]
        puller.manifest(name, "1.0" if i % 9 else "1.1")
        if i < 2 * len(IMAGES):
            puller.image(IMAGES[i // 2], ("1.0", "1.1")[i % 2])
    github.script("/", {"status": 503, "times": 0})
    for _ in range(6):
        Puller(server, "github").manifest("org/tool", "1")
    time.sleep(7)  # pulls are written every five seconds


with stage(None, fill) as s:
    env = {**os.environ, "COVE_URL": f"http://127.0.0.1:{s.server.port}", "CHROMIUM": chromium(),
           "ADMIN_PASSWORD": s.server.env["COVE_ADMIN_PASSWORD"],
           "SHOW": json.dumps({"dockerhub": "/projects/dockerhub", "hub-repository": "/projects/dockerhub/repositories/library/node"})}
    code = subprocess.run(["node", HERE / "screenshots.mjs", *sys.argv[1:]], env=env).returncode
fill.keep.close()
sys.exit(code)
