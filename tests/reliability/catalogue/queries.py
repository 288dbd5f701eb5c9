"""Q: SQL, query languages, numbers and bytes where they do not belong."""
import time
import urllib.parse

from client import MANIFEST

from . import own
from .world import Skip, case

INJECTIONS = [
    "'", "''", "' OR '1'='1", "1;DROP TABLE artifact--", "1) OR 1=1--", '" OR ""="', "%27%20OR%201=1", "\\",
    "a' UNION SELECT password_hash FROM users--", "1 AND (SELECT 1 FROM pg_sleep(3))", "$1", "?1", "%", "_",
    "'||(SELECT sqlite_version())||'", "a;ATTACH DATABASE 'x' AS y", "0x27", "\u2019 or 1=1", "\x00", "`x`",
]
LISTS = ["/projects", "/repositories", "/users", "/robots", "/registries", "/quotas",
         "/projects/library/repositories", "/projects/library/members"]
SECRETS = ["password", "password_hash", "salt", "secret", "secret_hash", "access_secret", "credential",
           "oidc_user__secret", "user__password", "owner__password", "auth_epoch", "reset_uuid"]


@case("Q01", "SQL in every parameter (CVE-2024-22261)")
def sql(world, check):
    world.admin.push_image(world.repo())
    quoted = [urllib.parse.quote(x) for x in INJECTIONS]
    paths = []
    for x in quoted:
        paths += [f"/v2/library/{x}/manifests/{x}", f"/v2/library/a/tags/list?last={x}&n=5",
                  f"/v2/_catalog?last={x}", f"/v2/library/a/blobs/{x}"]
        if world.api:
            paths += [f"/api/v2.0/projects/{x}", f"/api/v2.0/users/{x}", f"/api/v2.0/robots/{x}",
                      f"/api/v2.0/registries/{x}", f"/api/v2.0/search?q={x}",
                      f"/api/v2.0/users/search?username={x}", f"/api/v2.0/projects?name={x}"]
            for where in LISTS:
                paths += [f"/api/v2.0{where}?q={key}" for key in
                          (f"name%3D{x}", f"{x}%3D1", f"name%3D~{x}", f"name%3D%5B{x}~{x}%5D")]
                paths += [f"/api/v2.0{where}?sort={x}", f"/api/v2.0{where}?page={x}",
                          f"/api/v2.0{where}?page_size={x}"]
    paths += own.injected(quoted) if world.own else []
    began = time.monotonic()
    for path in paths:
        reply = world.admin.get(path)
        check(reply.status < 500, path, "->", reply.status, reply.body[:80])
        check(b"syntax error" not in reply.body and b"SQL" not in reply.body, path, reply.body[:80])
    check(time.monotonic() - began < 0.05 * len(paths) + 3, "it slept", time.monotonic() - began)
    for header in ("User-Agent", "Accept", "X-Forwarded-For", "Range", "X-Request-Id"):
        reply = world.admin.get("/v2/", headers={header: "' OR 1=1--"})
        check(reply.status == 200, header, reply.status)


@case("Q02", "filters and order by secret columns (CVE-2025-30086)")
def secret_columns(world, check):
    world.needs_api()
    world.new_user()
    for where in ("/users", "/projects", "/robots", "/registries"):
        everything = world.call("GET", where).body
        for name in SECRETS:
            for query in (f"q={name}%3D~a", f"q={name}%3Da", f"q={name}%3D%5Ba~b%5D", f"sort={name}",
                          f"sort=-{name}"):
                reply = world.call("GET", f"{where}?{query}")
                ignored = reply.status == 200 and reply.body == everything  # tells as little as 400
                check(reply.status in (400, 422) or ignored, where, query, "->", reply.status)
        check(b"password_hash" not in everything and b"argon2" not in everything, where)


@case("Q03", "filters that are deep, long or unbalanced")
def deep_filters(world, check):
    world.needs_api()
    for query, what in (("q=" + "name%3Da," * 500, "500 terms"), ("q=name%3D%5Ba~b", "unbalanced"),
                        ("q=name%3D" + "(" * 1000, "depth"), ("q=name%3D{" + "a%20" * 1000, "set"),
                        ("q=" + "a" * 7000, "long"), ("sort=" + "name," * 1000, "sort")):
        began = time.monotonic()
        reply = world.call("GET", "/projects?" + query)
        took = time.monotonic() - began
        check(reply.status in (200, 400, 414, 422, 431), what, "->", reply.status)
        check(took < 0.5, what, f"took {took:.3f} s")
    answer = world.ask(b"GET /api/v2.0/projects?q=" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    check(answer.status in (0, 400, 414, 431), "1 MiB ->", answer.status)


@case("Q04", "pages of a thousand million, of nothing, and of no number (CVE-2023-2253)")
def pages(world, check):
    repo = world.repo()
    world.admin.push_image(repo)
    before = world.memory() if world.pid else 0
    for n in ("1000000000", "-1", "abc", "99999999999999999999", "2147483648", "1e9", "%2b5", "0x10"):
        for path in (f"/v2/_catalog?n={n}", f"/v2/{repo}/tags/list?n={n}"):
            reply = world.admin.get(path)
            check(reply.status in (200, 400), path, "->", reply.status)
        if world.api:
            for where in ("/projects", "/repositories", "/users"):
                for key in ("page", "page_size"):
                    reply = world.call("GET", f"{where}?{key}={n}")
                    check(reply.status in (200, 400, 422), where, key, n, "->", reply.status)
    check(world.admin.get(f"/v2/{repo}/tags/list?n=0").status in (200, 400), "n=0")
    if world.pid:
        grown = (world.memory() - before) >> 20
        check(grown < 16, f"memory grew by {grown} MiB")


@case("Q05", "patterns that explode (CVE-2026-58421)")
def globs(world, check):
    world.needs_api()
    patterns = ["{a," * 40 + "}" * 40, "**/" * 40 + "x", "[" + "a-z" * 3000 + "]", "*a" * 60 + "b",
                "{" * 200, "(a+)+$" * 20, "a?" * 60 + "a" * 60]
    for pattern in patterns:
        began = time.monotonic()
        body = {"project_name": world.unique("p"), "metadata": {"proxy_filter": pattern}}
        made = world.call("POST", "/projects", body)
        if made.status == 201:
            world.made.append(("project", body["project_name"]))
        reply = world.call("GET", "/projects?q=name%3D~" + urllib.parse.quote(pattern))
        check(made.status < 500 and reply.status < 500, pattern[:20], made.status, reply.status)
        check(time.monotonic() - began < 1, pattern[:20], "took", time.monotonic() - began)


@case("Q06", "formulas in exported tables")
def exports(world, check):
    raise Skip("nothing is exported as CSV")


@case("Q07", "line ends, escapes and NUL in logs and headers (CVE-2026-45372)")
def line_ends(world, check):
    repo, mark = world.repo(), world.unique("mark")
    evil = f"{mark}\x1b[31m"
    annotations = {"org.opencontainers.image.title": f"{evil}\r\nX-Evil: 1\n{{\"level\":\"forged\"}}"}
    world.admin.push_blob(repo, b"{}")
    reply = world.put_manifest(repo, {**world.good(), "annotations": annotations}, reference="v1")
    check.status(reply, (201, 400), "annotations")
    world.admin.get(f"/v2/{repo}/manifests/{mark}%0d%0aX-Evil:%201")
    world.admin.get(f"/v2/{repo}/tags/list?last={mark}%0d%0aX-Evil:%201%1b%5b31m")
    world.client(f"{mark}\nforged\r\nX-Evil: 1", "x\x00y").get("/v2/")
    for path in (f"/v2/{repo}/manifests/v1", f"/v2/{repo}/tags/list?last=%0d%0aX-Evil:%201&n=1",
                 f"/v2/{mark}%0d%0aX-Evil:1/x/manifests/a", f"/?a=%0d%0aX-Evil:1"):
        reply = world.admin.get(path, headers={"User-Agent": f"{evil}x", "Accept": MANIFEST})
        check("X-Evil" not in reply.headers, path, dict(reply.headers))
    answer = world.ask(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: " +
                       evil.encode() + b"\xff\xfe\r\n\r\n")
    check(answer.status in (200, 400, 401), "bytes in User-Agent ->", answer.status)
    if not world.log:
        return
    time.sleep(0.1)  # the log is written a moment later; what is asserted is never true of it
    with open(world.log, "rb") as f:
        text = f.read()
    check(b"\x1b" not in text and b"\x00" not in text, "control bytes in the log")
    check(not any(line.startswith((b"X-Evil", b"forged", b'{"level":"forged"')) for line in text.splitlines()),
          "a forged line in the log")
