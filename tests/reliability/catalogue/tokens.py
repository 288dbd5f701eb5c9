"""T: tokens that were forged or meant for another, guesses, sessions, names that look like others."""
import base64
import http.client
import json
import re
import time

from .access import me, session
from .world import PASSWORD, Skip, case


def b64(value):
    if not isinstance(value, bytes):
        value = json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def refuses(world, check, repo, token, *what):
    try:
        reply = world.client(token=token).get(f"/v2/{repo}/manifests/v1")
    except (OSError, http.client.HTTPException) as why:
        return check(False, *what, why)
    return check(reply.status in (401, 431) or (reply.status == 400 and not world.strict), *what, "->",
                 reply.status)


def private_repo(world):
    repo = f"{world.new_project()}/a"
    world.admin.push_image(repo)
    return repo


@case("T01", "keys that come with the token: jwk, jku, x5c, kid (CVE-2025-24976)")
def own_keys(world, check):
    world.needs_accounts()
    world.needs_tokens()
    repo = private_repo(world)
    head, body, sign = world.admin.token(f"repository:{repo}:pull").split(".")
    said = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    jwk = {"kty": "oct", "k": b64(b"0" * 32)}
    for more in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/cert"},
                 {"x5c": [base64.b64encode(b"cert").decode()]}, {"kid": "../../../../dev/null"},
                 {"kid": "' or 1=1--"}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}):
        refuses(world, check, repo, f"{b64({**said, **more})}.{body}.{sign}", more)


@case("T02", "algorithms, empty signatures, doubled claims, headers of a mebibyte")
def forged(world, check):
    world.needs_accounts()
    world.needs_tokens()
    repo = private_repo(world)
    token = world.admin.token(f"repository:{repo}:pull")
    head, body, sign = token.split(".")
    check.status(world.client(token=token).get(f"/v2/{repo}/manifests/v1"), 200, "a good token")
    grown = claims(token)
    grown["access"][0]["actions"] = ["pull", "push"]
    text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    doubled = text[:-1] + b',"exp":99999999999}'
    for forgery in (f"{b64({'alg': 'none', 'typ': 'JWT'})}.{body}.",
                    f"{b64({'alg': 'none', 'typ': 'JWT'})}.{body}.{sign}",
                    *(f"{b64({'alg': a, 'typ': 'JWT'})}.{body}.{sign}"
                      for a in ("HS256", "hs256", "RS256", "PS256", "HS512", "", "None")),
                    f"{head}.{b64(grown)}.{sign}", f"{head}.{b64(doubled)}.{sign}", f"{head}.{body}",
                    f"{head}.{body}.", f"{head}.{body}.{sign}x", f"{head}.{body}.{sign[:-2]}",
                    f".{body}.{sign}", "..", ".", f"{head}.{body}.{sign}.{sign}", f"{head}.{body}.{sign}=",
                    "a" * 20_000, f"{'A' * (1 << 20)}.{body}.{sign}"):
        if len(forgery) > 100_000:  # the head is too large; the answer may overtake it
            answer = world.ask(f"GET /v2/{repo}/manifests/v1 HTTP/1.1\r\nHost: x\r\n"
                               f"Authorization: Bearer {forgery}\r\n\r\n".encode())
            check(answer.status in (0, 400, 401, 431), "a mebibyte ->", answer.status)
        else:
            refuses(world, check, repo, forgery, forgery[:40], "...", forgery[-20:])


@case("T03", "tokens meant for another service, and scopes that are wider than one's own")
def audience(world, check):
    world.needs_accounts()
    world.needs_tokens()
    repo = private_repo(world)
    mine = world.new_project()
    user = world.new_user(2, mine)
    check.status(world.admin.get("/service/token?service=other&scope=repository:a/b:pull"), (400, 401),
                 "another service")
    cookie, _, sid = session(world, user.user, PASSWORD)
    value = cookie["Cookie"].split("=", 1)[1]
    refuses(world, check, repo, value, "a session as a token")
    check.status(world.anonymous.get("/v2/", headers=cookie), 401, "a cookie on /v2")
    token = user.token(f"repository:{mine}/x:pull,push")
    check.status(world.client(token=token).get("/api/v2.0/users/current"), 401, "a token on the API")
    check.status(world.anonymous.get("/api/v2.0/users/current", headers={"Cookie": "sid=" + token}), 401,
                 "a token as a session")
    for scope in (f"repository:{repo}:*", "registry:catalog:*", f"repository:{repo}:pull,push,delete",
                  f"repository:{mine}/../{repo}:pull", f"repository:{repo.replace('/', '%2F')}:pull",
                  f"repository:{repo.replace('/', '%252F')}:pull", "repository:*:pull", "repository::pull",
                  f"repository(plugin):{repo}:pull", f"repository:{mine}/x:pull%20repository:{repo}:pull"):
        reply = user.get(f"/service/token?service=harbor-registry&scope={scope}")
        check.status(reply, (200, 400), scope)
        if reply.status == 200:
            given = claims(reply.json()["token"]).get("access", [])
            check(all(a["name"].startswith(mine + "/") or not a["actions"] for a in given), scope, given)
            refuses(world, check, repo, reply.json()["token"], scope)


@case("T04", "a limited credential has the same limits on every scheme (CVE-2025-68944)")
def limits(world, check):
    world.needs_tokens()
    project = world.new_project()
    world.admin.push_image(f"{project}/a")
    robot = world.new_robot(project, ("repository", "pull"))[1]
    for who in (robot, world.token(robot, f"repository:{project}/a:pull,push,delete")):
        check.status(who.get(f"/v2/{project}/a/manifests/v1"), 200, "pull")
        check(who.post(f"/v2/{project}/a/blobs/uploads/").status in (401, 403), "push")
        check(who.delete(f"/v2/{project}/a/manifests/v1").status in (401, 403), "delete")
    for method, path, body in (("GET", "/users/current", None), ("POST", "/projects", {"project_name": "x"}),
                               ("GET", "/users", None), ("POST", "/robots", {}), ("GET", "/registries", None),
                               ("PUT", f"/projects/{project}", {"metadata": {"public": "true"}})):
        reply = world.call(method, path, body, by=robot)
        check(reply.status in (400, 401, 403, 404, 412), method, path, reply.status)


@case("T05", "who exists: the same answer in the same time (CVE-2019-19030)", last=True)
def enumeration(world, check):
    """What a machine's load adds to a time is never less than nothing, so the shortest times are
    compared. Where addresses can be changed, more are taken until they agree: work that one kind of
    name is spared shows in them however many there are."""
    world.needs_api()
    said, times = {True: set(), False: set()}, {True: [], False: []}
    for source in [f"127.0.0.{n}" for n in range(50, 55)] if world.host.startswith("127.") else [None]:
        for user in [world.new_user() for _ in range(12)]:
            for known in (True, False):
                name = user.user if known else world.unique("u")
                client = world.client(name, "Wrong-word-1", source=source)
                began = time.perf_counter()
                reply = client.get("/api/v2.0/users/current")
                times[known].append(time.perf_counter() - began)
                body = re.sub(rb"[0-9a-f-]{36}", b"", reply.body).replace(name.encode(), b"")
                said[known].add((reply.status, body))
        a, b = min(times[True]), min(times[False])
        same = abs(a - b) < max(0.002, 0.3 * max(a, b))
        if same:
            break
    check(said[True] == said[False], "different answers", said)
    check(same, f"known {a * 1000:.1f} ms, unknown {b * 1000:.1f} ms at best of {len(times[True])}")


@case("T06", "secrets are compared in constant time (CVE-2023-20902)")
def constant_time(world, check):
    raise Skip("a rule of the code (struct secret), not to be seen from outside")


@case("T07", "wrong passwords slow down, and no one else is locked out", last=True)
def guessing(world, check):
    world.needs_accounts()
    world.needs_api()
    if not world.host.startswith("127."):
        raise Skip("needs clients of several addresses")
    before = world.memory() if world.pid else 0
    user = world.new_user()
    there = world.client(user.user, PASSWORD, source="127.0.0.41")
    seen = [world.client(user.user, f"wrong{i}", source="127.0.0.40").get("/v2/") for i in range(12)]
    check(seen[0].status == 401 and 429 in [r.status for r in seen], [r.status for r in seen])
    late = next((r for r in seen if r.status == 429), seen[-1])
    check((late.headers["Retry-After"] or "").isdigit(), "Retry-After", late)
    check.status(there.get("/v2/"), 200, "the right password from another address")
    sprayed = [world.client(f"nobody{i}", "x", source="127.0.0.42").get("/v2/").status
               for i in range(300)]
    check(429 in sprayed, "an address that tries many names")
    check.status(there.get("/v2/"), 200, "others")
    if world.pid:
        grown = (world.memory() - before) >> 20
        check(grown < 64, f"memory grew by {grown} MiB")


@case("T08", "no default password (CVE-2026-4404)", last=True)
def defaults(world, check):
    world.needs_accounts()
    for user, password in (("admin", "Harbor12345"), ("admin", "admin"), ("admin", ""), ("admin", "password"),
                           ("", ""), ("cove", "cove")):
        if (user, password) == (world.user, world.password):
            check(False, "the given password is a default")
            continue
        reply = world.client(user, password).get("/v2/")
        check.status(reply, (401, 429), user, password)


@case("T09", "changes by cookie without the token of the form (CVE-2019-19025)")
def csrf(world, check):
    world.needs_api()
    user = world.new_user()
    cookie, good, _ = session(world, user.user, PASSWORD)
    profile = {"email": f"{user.user}@example.com", "realname": "S"}
    path = f"/api/v2.0/users/{user.user_id}"
    for headers in ({}, {"X-Harbor-CSRF-Token": "x"}, {"X-Harbor-CSRF-Token": ""},
                    {"Origin": "https://evil.example"}, {"X-Harbor-CSRF-Token": "A" * 88}):
        for method, where, body in (("PUT", path, profile), ("POST", "/api/v2.0/projects",
                                                             {"project_name": world.unique("p")})):
            reply = world.anonymous.request(method, where, headers={**cookie, **headers}, json=body)
            check.status(reply, 403, method, where, headers)
    check.status(world.anonymous.put(path, headers=good, json=profile), 200, "with it")
    check.status(user.put(path, json=profile), 200, "Basic needs none")
    form = f"principal={user.user}&password={PASSWORD}".encode()
    reply = world.anonymous.post("/c/login", form,
                                 headers={"Content-Type": "application/x-www-form-urlencoded"})
    check.status(reply, 403, "login without it")


@case("T10", "sessions: fixed before, kept after")
def sessions(world, check):
    world.needs_api()
    user = world.new_user()
    fixed = {"Cookie": "sid=" + "A" * 43}
    check.status(me_with(world, fixed), 401, "a chosen cookie")
    cookie, good, sid = session(world, user.user, PASSWORD)
    check(cookie["Cookie"] != "sid=" + "A" * 43 and "HttpOnly" in sid and "SameSite" in sid, sid)
    check.status(me_with(world, cookie), 200, "a session")
    check.status(world.anonymous.get("/c/log_out", headers=good), 200, "log out")
    check.status(me_with(world, cookie), 401, "after log out")
    one, two = (session(world, user.user, PASSWORD)[0] for _ in range(2))
    reply = world.call("PUT", f"/users/{user.user_id}/password", {"new_password": "Another-word-2"})
    check.status(reply, 200, "a new password")
    for cookie in (one, two):
        check.status(me_with(world, cookie), 401, "after a new password")


def me_with(world, headers):
    return world.anonymous.get("/api/v2.0/users/current", headers=headers)


@case("T11", "redirects to elsewhere after login (CVE-2024-22244)")
def redirects(world, check):
    world.needs_api()
    for target in ("//evil.example", "/\\evil.example", "/%5cevil.example", "https:evil.example",
                   "/%09/evil.example", "@evil.example", "data:text/html,x", "/%0d%0aSet-Cookie:%20x=y"):
        for path in (f"/c/log_out?redirect_url={target}", f"/c/oidc/login?redirect_url={target}",
                     f"/?redirect_url={target}", f"/account/sign-in?redirect_url={target}"):
            answer = world.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            where = re.search(rb"(?im)^location: *(.*)\r$", answer.head)
            check(not where or re.match(rb"/($|[^/\\])", where.group(1)), path, where and where.group(1))
            check(b"x=y" not in answer.head, path, "sets a cookie")


@case("T12", "OIDC: replays and mixed issuers")
def oidc(world, check):
    raise Skip("no OIDC")


@case("T13", "a long password is all of it (CVE-2024-9683)")
def long_passwords(world, check):
    world.needs_api()
    name, long = world.unique("u"), "Aa1" + "x" * 93
    made = world.call("POST", "/users", {"username": name, "password": long, "realname": name,
                                         "email": f"{name}@example.com"})
    if made.status == 400:
        raise Skip("passwords of 96 bytes are refused")
    world.made.append(("user", int(made.headers["Location"].rsplit("/", 1)[1])))
    check.status(me(world.client(name, long)), 200, "all of it")
    for n in (72, 95):
        check.status(me(world.client(name, long[:n])), 401, f"its first {n} bytes")
    check.status(me(world.client(name, long + "x")), 401, "and more")


@case("T14", "LDAP filters in names")
def ldap(world, check):
    world.needs_api()
    for name in ("*", "*)(uid=*", "admin)(&", "admin\\00", "a*"):
        for password in ("", "x"):
            check.status(me(world.client(name, password)), (401, 429), name)


@case("T15", "names that look like others")
def lookalikes(world, check):
    world.needs_api()
    for name in ("Admin", "ADMIN", "\u0430dmin", "admin\u200b", "robot$x", "admin\u202e",
                 "x" * 10_000, "admin ", " admin", "a,b", "a\nb", ""):
        made = world.call("POST", "/users", {"username": name, "password": PASSWORD, "realname": "x",
                                             "email": f"{world.unique('u')}@example.com"})
        check.status(made, (400, 409), repr(name[:20]))
        if made.status == 201:
            world.made.append(("user", int(made.headers["Location"].rsplit("/", 1)[1])))
    for name in ("ADMIN", "Admin ", "admin\x00"):
        reply = me(world.client(name, world.password))
        check(reply.status in (401, 429) or reply.json()["username"] == world.user, repr(name), reply)
