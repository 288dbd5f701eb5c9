"""The same abuses on Cove's own operations (/api/cove/v1), for the cases of the other files."""
import time
import urllib.parse

from client import sha256

OWN = "/api/cove/v1"


def call(world, method, path, body=None, by=None):
    more = {} if body is None else {"json": body}
    return (by or world.admin).request(method, OWN + path, **more)


def private_paths(project, rest, digest):
    where = f"/projects/{project}/repositories/{rest}"
    one = f"{where}/artifacts/{digest}"
    return [f"/projects/{project}/repositories", f"{where}/artifacts", one, f"{one}/graph",
            f"{one}/shared-layers", f"{one}/why-kept", f"{where}/compare?a=v1&b=v1", f"{where}/moves",
            f"{where}/tags", f"{where}/tags/v1", f"/projects/{project}/jobs", f"/pulls?project={project}"]


def private(world, check, people, project, rest, digest):
    """A07: reading, and then writing, what is not theirs."""
    for who in people:
        for path in private_paths(project, rest, digest):
            reply = call(world, "GET", path, by=who)
            check(reply.status in (401, 403, 404), path, reply.status)
            check(digest not in reply.body.decode(), path, reply.body[:80])
        where = f"/projects/{project}/repositories/{rest}"
        for method, path, body in (
                ("POST", f"{where}/bulk/delete", {"digests": [digest], "dry_run": True}),
                ("POST", f"{where}/bulk/delete", {"digests": [digest]}),
                ("POST", f"{where}/bulk/untag", {"tags": ["v1"]}),
                ("POST", f"/projects/{project}/bulk/delete", {"repositories": [rest]}),
                ("POST", f"{where}/tags/v1/point", {"digest": digest, "expect": digest, "reason": "x"}),
                ("DELETE", f"{where}/tags/v1/point?reason=x", None),
                ("POST", "/storage/gc", {}), ("POST", "/refresh", {}), ("GET", "/settings", None),
                ("GET", "/storage", None), ("GET", "/jobs", None), ("GET", "/upstreams", None),
                ("GET", "/quota", None), ("POST", "/upstreams/check", {"id": 1})):
            check.status(call(world, method, path, body, by=who), (401, 403, 404), method, path)
    got = world.admin.get(f"/v2/{project}/{rest}/manifests/v1")
    check(got.status == 200, "the private image is gone", got.status)


def jobs_and_bulk(world, check, mine, other, owner):
    """A04: jobs, digests and repositories of another project through one's own."""
    digest, _ = world.admin.push_image(f"{other}/kept")
    world.admin.push_image(f"{other}/doomed")
    world.admin.push_image(f"{mine}/a")
    made = call(world, "POST", f"/projects/{other}/bulk/delete", {"repositories": ["doomed"]})
    check.status(made, 202, "a job of the other project")
    job = made.json().get("id") if made.status == 202 else 0
    for method, path in (("GET", f"/jobs/{job}"), ("POST", f"/jobs/{job}/stop")):
        check.status(call(world, method, path, by=owner), (403, 404), method, path)
    listed = call(world, "GET", f"/projects/{mine}/jobs", by=owner)
    check(f'"id":{job},' not in listed.body.decode().replace(" ", ""), "another's job is listed")
    for path, body in ((f"/projects/{mine}/repositories/a/bulk/delete", {"digests": [digest]}),
                       (f"/projects/{mine}/bulk/delete", {"repositories": [f"../{other}/kept", "kept",
                                                                           f"{other}/kept"]}),
                       (f"/projects/{mine}/repositories/..%252F{other}%252Fkept/bulk/delete",
                        {"digests": [digest]}),
                       (f"/projects/{mine}/repositories/a/tags/v1/point",
                        {"digest": digest, "expect": digest, "reason": "x"})):
        reply = call(world, "POST", path, body, by=owner)
        check(reply.status in (202, 400, 403, 404, 409, 412), path, reply.status)
        settle(world, mine)
    for path in (f"/v2/{other}/kept/manifests/{digest}", f"/v2/{other}/kept/manifests/v1"):
        check.status(world.admin.get(path), 200, path)
    check.status(world.admin.get(f"/v2/{mine}/a/manifests/{digest}"), 404, "it came over")


def settle(world, project):
    """Until the project's jobs have ended."""
    until = time.monotonic() + 10
    while call(world, "GET", f"/projects/{project}/jobs?live=true").json() and time.monotonic() < until:
        time.sleep(0.05)


def leaks(world, check, project, user):
    """A21: names and layers of a private project in lists over everything."""
    layer = f"a layer of {project}".encode()
    world.admin.push_image(f"{project}/hidden", "shared", layers=(layer,))
    seen = world.new_project()
    world.add_member(seen, user, 2)
    digest, _ = world.admin.push_image(f"{seen}/a", layers=(layer,))
    for path in ("/projects?sort=-name", f"/projects?q=name%3D~{project}", "/moves", f"/moves?project={project}",
                 "/cache/downloads", "/cache/summary", f"/clients/docker?project={project}",
                 f"/projects/{seen}/repositories/a/artifacts/{digest}/shared-layers",
                 f"/projects/{seen}/repositories/a/artifacts/{digest}",
                 f"/projects/{seen}/repositories/a/artifacts/{digest}/graph",
                 f"/projects/{seen}/repositories/a/compare?a=v1&b={project}/hidden:shared"):
        for who in (world.anonymous, user):
            reply = call(world, "GET", path, by=who)
            asked = project in path and reply.status >= 400  # the message repeats what was asked
            check(project not in reply.body.decode() or asked, path, reply.body[:120])
            check("hidden" not in reply.body.decode() or asked, path, reply.body[:120])


def checks_inside(world, check, url):
    """S01: a look at an upstream before it is saved."""
    reply = call(world, "POST", "/upstreams/check", {"type": "docker-registry", "url": url})
    told = reply.json() if reply.status == 200 else {}
    check(reply.status in (200, 400) and not told.get("reached"), "check of", url, reply.status,
          reply.body[:80])


def injected(quoted):
    """Q01: paths of lists and cursors."""
    paths = []
    for x in quoted:
        for where in ("/projects", "/projects/library/repositories", "/moves", "/jobs",
                      "/projects/library/jobs"):
            paths += [f"{OWN}{where}?cursor={x}", f"{OWN}{where}?sort={x}", f"{OWN}{where}?q=name%3D~{x}",
                      f"{OWN}{where}?kind={x}&upstream={x}&since={x}"]
        paths += [f"{OWN}/projects/{x}/repositories/{x}/tags/{x}", f"{OWN}/jobs/{x}", f"{OWN}/clients/{x}",
                  f"{OWN}/pulls?since={x}&limit={x}", f"{OWN}/cache/summary?range={x}",
                  f"{OWN}/upstreams/{x}/quota?from={x}", f"{OWN}/projects/library/repositories/{x}/compare?a={x}&b={x}"]
    paths.append(f"{OWN}/projects?cursor=" + urllib.parse.quote("A" * 5000))
    paths.append(f"{OWN}/projects/library/repositories/a/artifacts/{sha256(b'x')}/graph")
    return paths
