"""Long lists: cursor= goes through 100,000 rows page by page, forwards and backwards, each page at
the same price; Harbor's page= is untouched by it."""
import time
import urllib.parse

import pytest

import seeding
from conftest import PASSWORD, Server
from harbor import Api
from proxied import eventually

COVE = "/api/cove/v1"
TAGS, PROJECTS, REPOSITORIES, ARTIFACTS = 100000, 2000, 3000, 100000


def api_of(server):
    return Api(f"http://127.0.0.1:{server.port}", "admin", PASSWORD)


@pytest.fixture(scope="module")
def long(postgres):
    server = Server(postgres=postgres, COVE_GC_INTERVAL_S=0)
    try:
        digest, _ = server.admin.push_image("library/many", "first")
        image, _ = server.admin.push_image("library/images", "first")
        server.stop()
        seeding.run_sql(server, seeding.more_tags("many", digest, TAGS))
        seeding.run_sql(server, seeding.more_artifacts("images", image, ARTIFACTS))
        seeding.run_sql(server, seeding.more_projects(PROJECTS))
        seeding.run_sql(server, seeding.more_repositories("team-0001", REPOSITORIES))
        seeding.measure(server)
        server.start()
        api = api_of(server)
        api.server = server
        yield api
    finally:
        server.remove()


def page(api, path):
    began = time.monotonic()
    reply = api.call("GET", path, base="")
    took = time.monotonic() - began
    assert reply.status == 200, reply
    link = reply.headers.get("Link")
    following = link.split(">")[0][1:] if link and 'rel="next"' in link else None
    return reply, following, took


def walk(api, path, key="name"):
    names, pages = [], []
    while path:
        pages.append(path)
        reply, path, _ = page(api, path)
        names += [row[key] for row in reply.json()]
    return names, pages


def test_every_tag_once_and_backwards(long):
    path = f"{COVE}/projects/library/repositories/many/tags?cursor=&page_size=100"
    names, pages = walk(long, path + "&sort=name")
    assert len(names) == TAGS + 1 and names == sorted(set(names))
    both = [(page(long, pages[0])[2], page(long, pages[-2])[2]) for _ in range(60)]  # turn about, for the machine's sake
    first, last = (min(times) for times in zip(*both))
    print(f"the quickest page: {first * 1000:.1f} ms at the start, {last * 1000:.1f} ms at the end")
    assert last < first * 3 + 0.005, "the end costs more than the start"
    for sort in ("name", "push_time", "pull_time"):
        forwards = [r["name"] for r in page(long, path + "&sort=" + sort)[0].json()]
        reply, following, _ = page(long, path + "&sort=-" + sort)
        assert reply.headers["X-Total-Count"] == str(TAGS)  # counted so far and no further
        assert reply.headers["X-Total-Is-Limit"] == "true"
        backwards = [r["name"] for r in reply.json()]
        assert len(backwards) == 100 and not set(backwards) & set(forwards), sort
        later = page(long, following)[0]
        assert later.headers["X-Total-Count"] is None and later.json()
    newest = page(long, path + "&sort=-push_time")[0].json()
    assert [r["name"] for r in newest[:2]] == ["first", f"tag-{TAGS:06}"]


def test_artifacts_with_all_that_a_list_shows(long):
    path = f"{COVE}/projects/library/repositories/images/artifacts?cursor=&page_size=100"
    for sort, first in (("-push_time", ["first", f"v-{ARTIFACTS:06}"]), ("push_time", ["v-000001", "v-000002"]),
                        ("size", ["first", "v-000001"])):
        seen, at = [], f"{path}&sort={sort}"
        for _ in range(3):
            reply, at, _ = page(long, at)
            seen += [row["tags"][0]["name"] for row in reply.json()]
        assert seen[:2] == first and len(set(seen)) == 300, sort
    reply, _, near = page(long, path)
    assert reply.headers["X-Total-Count"] == str(ARTIFACTS)
    assert reply.headers["X-Total-Is-Limit"] == "true"
    middle, _, far = page(long, path + "&sort=push_time&page=501")
    assert middle.json()[0]["tags"][0]["name"] == "v-050001"
    print(f"{near * 1000:.0f} ms for the first page, {far * 1000:.0f} ms for one in the middle")
    found, following, _ = page(long, path + "&tag=v-00543")
    assert found.headers["X-Total-Count"] == "10" and following is None
    assert long.call("GET", path + "&sort=version", base="").status == 422  # too many names


def test_harbors_pages_are_untouched(long):
    reply, _, _ = page(long, "/api/v2.0/projects?page=2&page_size=100&with_detail=false")
    assert reply.headers["X-Total-Count"] == str(PROJECTS + 1)
    assert reply.headers["X-Total-Is-Limit"] is None
    assert "page=3" in reply.headers["Link"] and "page=1" in reply.headers["Link"]
    names, _ = walk(long, "/api/v2.0/projects?cursor=&page_size=100&with_detail=false")
    assert len(names) == PROJECTS + 1 and names == sorted(names)
    names, _ = walk(long, "/api/v2.0/projects/team-0001/repositories?cursor=&page_size=100&sort=-name")
    assert len(names) == REPOSITORIES and names == sorted(names, reverse=True)
    found = page(long, "/api/v2.0/projects/library/repositories/many/artifacts?cursor=")[0]
    assert len(found.json()) == 1 and found.headers["X-Total-Count"] == "1"


def test_projects_with_what_is_shown_of_them(long):
    path = f"{COVE}/projects?cursor=&page_size=100"
    names, _ = walk(long, path)
    assert len(names) == PROJECTS + 1
    row = page(long, path + "&q=name%3Dlibrary")[0].json()[0]
    assert row["repo_count"] == 2 and row["role"] == 1 and row["storage_used"] > 0 and row["push_time"]
    biggest = page(long, path + "&sort=-repo_count")[0].json()[0]
    assert (biggest["name"], biggest["repo_count"]) == ("team-0001", REPOSITORIES)
    user = long.new_user("looker")
    seen, _ = walk(user, path)
    assert len(seen) == PROJECTS // 2 + 1  # the public ones
    reply = page(long, f"{COVE}/projects/team-0001/repositories?cursor=&page_size=100&sort=-size")[0]
    row = reply.json()[0]
    assert reply.headers["X-Total-Count"] == str(REPOSITORIES)
    assert row["name"] == f"app-{REPOSITORIES:05}" and len(row["pull_days"]) == 30 and row["pull_time"] is None


def test_a_page_reads_no_whole_table(long):
    """Two repositories hold nearly all rows; a page of small ones must not pay for these, whatever
    the database thinks of a repository that it has no figures of."""
    server = long.server
    if not server.env.get("COVE_DATABASE"):
        return  # SQLite goes by the indexes that it has
    through = {"what": "seq_tup_read", "tables": "IN ('artifact', 'tag')"}
    server.stop()
    before = seeding.rows_read(server, **through)
    server.start()
    api = api_of(server)
    for sort in ("name", "-size", "-tag_count", "-artifact_count", "-push_time"):
        page(api, f"{COVE}/projects/team-0001/repositories?cursor=&page_size=100&sort={sort}")
        page(api, f"{COVE}/projects?cursor=&page_size=100&sort={sort if sort[1:] == 'push_time' else 'name'}")
    page(api, "/api/v2.0/projects/team-0001/repositories?cursor=&page_size=100&sort=-name")
    page(api, "/api/v2.0/search?q=app")
    server.stop()
    read = seeding.rows_read(server, **through) - before
    server.start()
    fresh = api_of(server)
    long.url, long.host = fresh.url, fresh.host
    print(f"{read} rows read by going through tables")
    assert read < ARTIFACTS, f"{read} rows read by going through tables"


def test_pulls_of_thirty_days(long):
    path = f"{COVE}/projects/library/repositories?q=name%3Dmany"
    before = page(long, path)[0].json()[0]
    for _ in range(3):
        assert long.call("GET", "/v2/library/many/manifests/first", base="").status == 200
    row = eventually(lambda: next((r for r in page(long, path)[0].json()
                                   if r["pull_count"] == before["pull_count"] + 3), None))
    days = row["pull_days"]  # yesterday's too: midnight may have passed
    assert len(days) == 30 and sum(days) == sum(days[28:]) == 3 and row["pull_time"] > row["push_time"], row
    assert (row["artifact_count"], row["tag_count"]) == (1, TAGS + 1) and row["size"] > 5, row


def test_a_cursor_that_is_not_ours(long):
    path = f"{COVE}/projects/library/repositories/many/tags?page_size=10&sort=push_time&cursor="
    for wrong in ("x", "1", "1,a,b", ",", "%zz,a", "9" * 40 + ",a", "1,%00"):
        reply = long.call("GET", path + urllib.parse.quote(wrong), base="")
        assert reply.status == 400, (wrong, reply)
    assert long.call("GET", path + "1,a", base="").status == 200
