"""Jobs and storage: a garbage collection is queued, runs, is seen and can be stopped; one at a time;
what a restart cuts off says so."""
import datetime
import os
import threading

import pytest
from conftest import PASSWORD, sha256
from harbor import Api
from proxied import Puller, eventually, proxy_of
from seeding import run_sql
from test_storage import command
from upstream import Upstream

COVE = "/api/cove/v1"


def api(server):
    return Api(f"http://127.0.0.1:{server.port}", "admin", PASSWORD)


def ended(admin, job):
    """Waits for the job's end."""
    def look():
        now = admin.call("GET", f"{COVE}/jobs/{job}", base="").json()
        return now if now["state"] not in ("queued", "running") else None
    return eventually(look)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def drop_image(server, name, layers):
    digest, _ = server.admin.push_image(name, "gone", layers=layers)
    assert server.admin.delete(f"/v2/{name}/manifests/{digest}").status == 202


def reclaim(admin):
    got = admin.call("GET", f"{COVE}/storage", base="").json()
    return {r["reason"]: (r["blobs"], r["bytes"]) for r in got["reclaim"]}


def end_leases(server):
    """As if the pushes were long ago, however slow this machine is."""
    server.stop()
    run_sql(server, "UPDATE repo_blob SET lease_until = 1;")
    server.start()
    return api(server)


def test_a_collection_from_request_to_history(start):
    server = start(COVE_GC_INTERVAL_S=0)
    admin = api(server)
    drop_image(server, "library/a", (b"x" * 1000, b"y" * 500))
    leased = reclaim(admin)
    assert leased["leased"][0] == 3, leased  # two layers and a config
    admin = end_leases(server)
    assert reclaim(admin)["young"][0] == 3  # a day old at least, by the setting
    dry = admin.call("POST", f"{COVE}/storage/gc", {"dry_run": True, "grace_s": 0}, base="")
    assert dry.status == 202 and dry.json()["state"] == "queued", dry
    assert dry.headers["Location"] == f"{COVE}/jobs/{dry.json()['id']}"
    seen = ended(admin, dry.json()["id"])
    assert seen["state"] == "done" and seen["result"]["dry_run"] is True, seen
    run = admin.call("POST", f"{COVE}/storage/gc", {"grace_s": 0}, base="").json()
    seen = ended(admin, run["id"])
    assert seen["state"] == "done" and seen["by"] == "admin" and seen["kind"] == "gc", seen
    assert seen["result"]["blobs"] == 3 and seen["result"]["bytes"] > 1500, seen
    assert seen["done"] == seen["total"] == 6 and seen["failed"] == [], seen
    assert seen["started"] and seen["ended"] and seen["eta"] is None, seen
    assert reclaim(admin) == {}
    listed = admin.call("GET", f"{COVE}/jobs?kind=gc&page_size=1", base="")
    assert [j["id"] for j in listed.json()] == [run["id"]]
    assert listed.headers["Link"] == f'<{COVE}/jobs?cursor={run["id"]}&kind=gc&page_size=1>; rel="next"'
    second = admin.call("GET", listed.headers["Link"].split(">")[0][1:], base="")
    assert [j["id"] for j in second.json()] == [dry.json()["id"]]
    assert admin.call("GET", f"{COVE}/jobs?live=true", base="").json() == []
    again = admin.call("POST", f"{COVE}/jobs/{run['id']}/stop", base="")
    assert again.status == 409, again


def test_a_collection_by_hand_is_a_job_too(start):
    server = start(COVE_GC_INTERVAL_S=0)
    drop_image(server, "library/a", (b"x" * 1000, b"y" * 500))
    admin = end_leases(server)
    assert reclaim(admin)["young"][0] == 3
    code, said = command(server, "gc", "--grace", "0")
    assert code == 0 and "deleted 3 blobs" in said, said
    jobs = admin.call("GET", f"{COVE}/jobs?kind=gc", base="").json()
    assert len(jobs) == 1, jobs
    job = jobs[0]
    assert (job["state"], job["by"], job["done"], job["total"]) == ("done", "admin", 6, 6), job
    assert job["result"]["blobs"] == 3 and job["params"]["grace_s"] == 0, job
    assert job["started"] and job["ended"], job
    server.stop()
    assert command(server, "gc", "--grace", "0")[0] == 0  # the same without a server
    server.start()
    states = [j["state"] for j in api(server).call("GET", f"{COVE}/jobs?kind=gc", base="").json()]
    assert states == ["done", "done"]


def test_two_collections_never_run_at_once(start):
    """A row that says that one runs: whoever comes second hears so; it is gone when its process is."""
    server = start(COVE_GC_INTERVAL_S=0)
    admin = api(server)
    server.stop()
    run_sql(server, "INSERT INTO job(kind, state, project_id, actor, params, lock_key, created, started, node, "
                    "lease_until) VALUES('gc', 'running', 0, 'admin', '{}', 'gc', 1, 1, 'elsewhere', "
                    "9000000000000000);")
    server.start()
    admin = api(server)
    if server.env.get("COVE_DATABASE"):  # another node's
        code, said = command(server, "gc")
        assert code == 3 and "another garbage collection runs: job 1 (gc) is under way" in said, said
        assert admin.call("POST", f"{COVE}/storage/gc", {}, base="").status == 409
    else:  # nobody else can have the store: of a process that was killed
        assert command(server, "gc")[0] == 0
        assert admin.call("GET", f"{COVE}/jobs/1", base="").json()["state"] == "interrupted"


def test_a_killed_collection_bars_nobody(start):
    """Of the same node: the next process knows that its row is dead, on PostgreSQL as well."""
    server = start(COVE_GC_INTERVAL_S=0)
    assert command(server, "gc")[0] == 0
    server.kill()
    run_sql(server, "UPDATE job SET state = 'running', ended = 0, lease_until = 9000000000000000;")
    server.start()
    assert command(server, "gc")[0] == 0
    jobs = api(server).call("GET", f"{COVE}/jobs?kind=gc", base="").json()
    assert [j["state"] for j in jobs] == ["done", "interrupted"], jobs


def test_storage_counts_what_is_shared_once(start):
    server = start(COVE_GC_INTERVAL_S=0)
    admin = api(server)
    other, _ = admin.new_project("other")
    common, config = b"c" * 100000, b"{}"
    server.admin.push_image("library/a", "v1", layers=(common, b"own"), config=config)
    server.admin.push_image(f"{other}/b", "v1", layers=(common,), config=config)
    got = admin.call("GET", f"{COVE}/storage", base="").json()
    assert (got["blobs"], got["blob_bytes"]) == (3, 100000 + 3 + 2), got
    assert (got["shared_blobs"], got["shared_bytes"], got["saved_bytes"]) == (2, 100002, 100002), got
    assert got["manifests"] == 2 and got["disk_total"] > got["disk_free"] > 0, got
    used = {p["name"]: p["used"] for p in got["projects"]}
    assert used["library"] > used[other] > 100000 and list(used)[0] == "library", used


def all_at_once(n, ask):
    """What n callers hear who ask at the same moment."""
    answers, barrier = [], threading.Barrier(n)

    def one():
        barrier.wait()
        answers.append(ask())
    threads = [threading.Thread(target=one) for _ in range(n)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return answers


def test_one_at_a_time_and_only_for_those_who_may(start):
    server = start(COVE_GC_INTERVAL_S=0)
    admin = api(server)

    def collect():
        return admin.call("POST", f"{COVE}/storage/gc", {}, base="")
    assert ended(admin, collect().json()["id"])["state"] == "done"
    run_sql(server, "INSERT INTO job(kind, state, project_id, actor, params, lock_key, created, started, node, "
                    "lease_until) VALUES('gc', 'running', 0, 'admin', '{}', 'gc', 1, 1, 'elsewhere', "
                    "9000000000000000);")
    refused = all_at_once(4, collect)
    assert [a.status for a in refused] == [409] * 4, refused
    assert "job 2 (gc) is under way" in refused[0].message, refused
    server.stop()
    run_sql(server, "UPDATE job SET state = 'done', ended = 2 WHERE id = 2;")
    server.start()
    admin = api(server)
    answers = all_at_once(4, collect)
    assert {a.status for a in answers} <= {202, 409} and 202 in {a.status for a in answers}, answers
    runs = [ended(admin, a.json()["id"]) for a in answers if a.status == 202]
    runs.sort(key=lambda r: r["started"])
    assert all(r["state"] == "done" for r in runs), runs
    assert all(one["ended"] <= other["started"] for one, other in zip(runs, runs[1:])), runs
    job = runs[0]["id"]
    user = admin.new_user("nobody-special")
    assert user.call("POST", f"{COVE}/storage/gc", {}, base="").status == 403
    assert user.call("GET", f"{COVE}/jobs/{job}", base="").status == 403
    assert user.call("GET", f"{COVE}/jobs/999999", base="").status == 404
    assert Api(admin.url).call("GET", f"{COVE}/jobs/{job}", base="").status == 401
    for wrong in ({"grace_s": -1}, {"grace_s": "x"}, {"dry_run": 7}):
        assert admin.call("POST", f"{COVE}/storage/gc", wrong, base="").status == 400, wrong
    assert ended(admin, job)["state"] == "done"


def test_queued_jobs_survive_kill_and_can_be_stopped(start):
    server = start(COVE_GC_INTERVAL_S=0)
    admin = api(server)
    job = admin.call("POST", f"{COVE}/storage/gc", {}, base="").json()["id"]
    server.kill()
    server.start()
    admin = api(server)
    assert ended(admin, job)["state"] in ("done", "interrupted")
    job = admin.call("POST", f"{COVE}/storage/gc", {}, base="").json()["id"]
    stop = admin.call("POST", f"{COVE}/jobs/{job}/stop", base="")
    assert stop.status in (202, 409), stop  # 409: it was faster
    assert ended(admin, job)["state"] in ("stopped", "done")


def test_the_housekeeper_queues_what_is_due(start):
    server = start(COVE_GC_LEASE_S=0, COVE_GC_GRACE_S=0, COVE_GC_INTERVAL_S=1)
    admin = api(server)
    drop_image(server, "library/a", (b"layer",))
    eventually(lambda: server.admin.head("/v2/library/a/blobs/" + sha256(b"layer")).status == 404)
    seen = eventually(lambda: [j for j in admin.call("GET", f"{COVE}/jobs", base="").json()
                               if j["state"] == "done" and j["result"]["blobs"]])
    assert seen[0]["by"] == "housekeeper", seen


def test_scrub_and_refresh_are_jobs(start):
    with Upstream() as up:
        up.add_image("team/app", "1", [b"layer"])
        server = start(proxy_of(up), COVE_SCRUB_INTERVAL_S=1, COVE_GC_INTERVAL_S=0)
        admin = api(server)
        Puller(server).image("team/app", "1")
        eventually(lambda: any(t["pull_time"] for t in admin.call(
            "GET", f"{COVE}/projects/hub/repositories/team%252Fapp/tags", base="").json()))
        asked = admin.call("POST", f"{COVE}/refresh", base="")
        assert asked.status == 202 and asked.json()["kind"] == "refresh", asked
        seen = ended(admin, asked.json()["id"])
        assert (seen["state"], seen["done"], seen["total"], seen["by"]) == ("done", 1, 1, "admin"), seen
        scrubbed = eventually(lambda: [j for j in admin.call("GET", f"{COVE}/jobs?kind=scrub", base="").json()
                                       if j["state"] == "done" and j["total"] > 0])
        assert "0 broken" in scrubbed[0]["message"] and scrubbed[0]["done"] == scrubbed[0]["total"], scrubbed


def test_who_began_a_job_may_watch_and_stop_it(start):
    """A robot that may delete artifacts and nothing else."""
    server = start()
    admin = api(server)
    digest, _ = server.admin.push_image("library/a", "v1")
    robot = admin.new_robot("library", ("artifact", "delete"), ("artifact", "list"))
    other = admin.new_robot("library", ("artifact", "delete"), ("artifact", "list"))
    begun = robot.call("POST", f"{COVE}/projects/library/repositories/a/bulk/delete",
                       {"digests": [digest]}, base="")
    assert begun.status == 202, begun
    job = f"{COVE}/jobs/{begun.json()['id']}"
    seen = eventually(lambda: (j := robot.call("GET", job, base="").json())["state"] == "done" and j)
    assert seen["by"] == robot.name and seen["done"] == 1, seen
    assert robot.call("POST", job + "/stop", base="").status == 409  # it has ended
    assert other.call("GET", job, base="").status == 403
    assert robot.call("GET", f"{COVE}/projects/library/jobs", base="").status == 403
    keeper = admin.new_robot("", level="system", permissions=[
        {"kind": "system", "namespace": "/", "access": [{"resource": "registry", "action": "update"}]}])
    begun = keeper.call("POST", f"{COVE}/refresh", base="")
    assert begun.status == 202, begun
    assert keeper.call("GET", f"{COVE}/jobs/{begun.json()['id']}", base="").status == 200
    assert robot.call("GET", f"{COVE}/jobs/{begun.json()['id']}", base="").status == 403


@pytest.mark.parametrize("among", ["nobody", "pushes"])
def test_a_job_is_claimed_told_and_ended_at_once(start, among):
    """Small jobs after one another, alone and while four clients push without a pause: none waits for the
    worker's clock, and none stays behind at 0 of 0."""
    server = start(COVE_GC_INTERVAL_S=0)
    admin, over, errors = api(server), threading.Event(), []

    def push(i):
        try:
            while not over.is_set():
                server.admin.push_image(f"library/busy-{i}", "v1", layers=(os.urandom(100),))
        except Exception as e:  # told by the story
            errors.append(e)
    threads = [threading.Thread(target=push, args=(i,)) for i in range(4 if among == "pushes" else 0)]
    [t.start() for t in threads]
    try:
        for i in range(8):
            digests = [server.admin.push_image("library/a", f"v{n}", layers=(b"%d %d" % (i, n),))[0] for n in range(3)]
            begun = admin.call("POST", f"{COVE}/projects/library/repositories/a/bulk/delete",
                               {"digests": digests}, base="")
            assert begun.status == 202 and begun.json()["state"] == "queued", begun
            seen = ended(admin, begun.json()["id"])
            assert (seen["state"], seen["done"], seen["total"]) == ("done", 3, 3), seen
    finally:
        over.set()
        [t.join() for t in threads]
    assert not errors, errors
    rows = admin.call("GET", f"{COVE}/jobs?kind=bulk", base="").json()
    waits = [moment(r["started"]) - moment(r["created"]) for r in rows]
    assert len(waits) == 8, rows
    assert among != "nobody" or min(waits) < datetime.timedelta(seconds=0.25), waits
