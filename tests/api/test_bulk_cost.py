"""A deletion of many costs what goes, not that times what is there: also where PostgreSQL knows of the
tables only what they were before they grew."""
import subprocess

from conftest import PASSWORD
from harbor import Api
from proxied import eventually
from seeding import more_images, run_sql

OWN = "/api/cove/v1"
IMAGES, GO = 3000, 200


def value(server, statement):
    return int(subprocess.run(["psql", "-qAt", server.env["COVE_DATABASE"], "-c", statement], check=True,
                              stdout=subprocess.PIPE, text=True).stdout)


def rows_read(server):
    """By all that served until now: connections tell what they read when they end."""
    eventually(lambda: value(server, "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                     "current_database() AND pid <> pg_backend_pid() "
                                     "AND backend_type = 'client backend'") == 0)
    return value(server, "SELECT sum(seq_tup_read + COALESCE(idx_tup_fetch, 0)) FROM pg_stat_user_tables")


def test_a_set_is_all_that_is_looked_at(start):
    server = start(COVE_GC_INTERVAL_S=0)
    postgres = "COVE_DATABASE" in server.env
    server.admin.push_image("library/first", "1", layers=(b"1", b"2", b"3"))
    if postgres:
        run_sql(server, "ANALYZE;")
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
