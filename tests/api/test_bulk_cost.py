"""A deletion of many costs what goes, not that times what is there: also where PostgreSQL knows of the
tables only what they were before they grew."""
from conftest import PASSWORD
from harbor import Api
from proxied import eventually
from seeding import measure, more_images, rows_read, run_sql

OWN = "/api/cove/v1"
IMAGES, GO = 3000, 200


def test_ten_thousand_names_are_found_in_twenty_thousand(start):
    """Names against images one by one would be 200 million comparisons: PostgreSQL ends that at its five seconds."""
    server = start(COVE_GC_INTERVAL_S=0)
    digest, _ = server.admin.push_image("library/many", "1", layers=(b"4", b"5"))
    measure(server)
    server.stop()
    run_sql(server, more_images("many", digest, 20000))
    server.start()
    names = [f"sha256:{i:06}{'0' * 58}" for i in range(1, 10001)]
    plan = server.admin.post(f"{OWN}/projects/library/repositories/many/bulk/delete",
                             json={"digests": names, "dry_run": True})
    assert plan.status == 200 and plan.json()["going"] == len(names), plan


def test_a_set_is_all_that_is_looked_at(start):
    server = start(COVE_GC_INTERVAL_S=0)
    postgres = "COVE_DATABASE" in server.env
    server.admin.push_image("library/first", "1", layers=(b"1", b"2", b"3"))
    measure(server)
    digest, _ = server.admin.push_image("library/many", "1", layers=(b"4", b"5"))
    server.stop()
    run_sql(server, more_images("many", digest, IMAGES))
    before = postgres and rows_read(server)
    server.start()
    admin = Api(f"http://127.0.0.1:{server.port}", "admin", PASSWORD)
    go = [f"sha256:{i:06}{'0' * 58}" for i in range(1, GO + 1)]
    plan = admin.call("POST", f"{OWN}/projects/library/repositories/many/bulk/delete",
                      {"digests": go, "dry_run": True}, base="").json()
    assert (plan["going"], plan["freed"]) == (GO, GO * 10), plan
    reply = admin.call("POST", f"{OWN}/projects/library/repositories/many/bulk/delete", {"digests": go}, base="")
    job = f"{OWN}/jobs/{reply.json()['id']}"
    eventually(lambda: admin.call("GET", job, base="").json()["ended"], 60)
    job = admin.call("GET", job, base="").json()
    assert (job["state"], job["done"], job["total"], job["failed_count"]) == ("done", GO, GO, 0), job
    server.stop()
    if postgres:
        read = rows_read(server) - before
        assert read < 300 * IMAGES, f"{read} rows were read to delete {GO} of {IMAGES} images"
