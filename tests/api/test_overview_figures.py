"""How well each cache does, in the list of projects: in the reply itself, by an index of its own."""
import time

import pytest
from conftest import PASSWORD
from harbor import Api
from proxied import Puller, eventually, proxy_of
from seeding import run_sql
from upstream import Upstream

COVE = "/api/cove/v1"
FIELDS = "hits, revalidated, misses, stale, coalesced, refused"


def projects(server, more=""):
    return {p["name"]: p for p in server.admin.get(f"{COVE}/projects?page_size=100{more}").json()}


def test_hit_ratio_in_the_list(start):
    with Upstream() as up:
        up.add_image("team/app", "1", [b"layer"])
        server = start(proxy_of(up))
        puller = Puller(server)
        for _ in range(4):  # a miss, then three that cost a HEAD
            assert puller.manifest("team/app", "1").status == 200
        assert puller.manifest("team/app", "none").status == 404
        row = eventually(lambda: (p := projects(server)["hub"])["requests_7d"] == 5 and p)
        assert row["served_7d"] == 3 and row["hit_permille"] == 600, row
        own = projects(server)["library"]
        assert own["requests_7d"] == 0 and own["hit_permille"] == -1, own
        assert list(projects(server, "&sort=-hit_permille"))[0] == "hub"


def hours(table_columns, count):
    """Of `count` projects, a week of hours each, as an insert of every column of the table."""
    rest = ", ".join("0" for _ in table_columns)
    return (f"INSERT INTO figure(span, at, endpoint_id, project_id, hits, misses, {', '.join(table_columns)}) "
            f"SELECT 3600, h.at, 1, p.id, 9, 1, {rest} FROM project p, ({{at}}) h WHERE p.id <= {count + 1};")


@pytest.mark.slow
def test_many_projects_of_a_week_are_listed_quickly(start):
    with Upstream() as up:
        server = start(proxy_of(up))
        server.stop()
        now = int(time.time()) // 3600 * 3600
        names = ["revalidated", "stale", "coalesced", "refused", "bytes_saved", "pulls_saved", "pulls_counted",
                 "upstream_requests", "upstream_bytes", "unreachable", "timeouts", "broken", "limited",
                 *(f"answer_{i}" for i in range(14)), *(f"upstream_{i}" for i in range(14))]
        at = " UNION ALL ".join(f"SELECT CAST({(now - h * 3600) * 10**6} AS BIGINT) AS at" for h in range(1, 167))  # all in the week, though an hour ends meanwhile
        run_sql(server, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                "INSERT INTO project(name, owner_id, is_public, creation_time, update_time, registry_id) "
                "SELECT 'cache-' || (10000 + i), 1, 0, 1, 1, 1 FROM n;" + hours(names, 1000).format(at=at))
        server.start()
        api = Api(f"http://127.0.0.1:{server.port}", "admin", PASSWORD)
        took = []
        for sort in ("name", "name", "name", "-hit_permille"):
            began = time.monotonic()
            reply = api.call("GET", f"{COVE}/projects?cursor=&page_size=100&sort={sort}", base="")
            took.append(round(time.monotonic() - began, 3))
            rows = reply.json()
            assert len(rows) == 100
        assert rows[0]["hit_permille"] == 900 and rows[0]["requests_7d"] == 1660, rows[0]
        print("first page by name, by ratio:", took)
        assert min(took[:3]) < 1.5, took  # 0.03 s on a quiet machine
