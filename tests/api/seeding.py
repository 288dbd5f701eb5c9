"""Long lists for tests: rows written straight into a stopped server's database."""
import os
import sqlite3
import subprocess

from proxied import eventually


def run_sql(server, script):
    """Runs statements on the store of a server that does not run."""
    url = server.env.get("COVE_DATABASE")
    if url:
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", url], input=script, text=True,
                       check=True, stdout=subprocess.DEVNULL)
        return
    db = sqlite3.connect(os.path.join(server.env["COVE_DATA"], "cove.db"))
    db.executescript("BEGIN;" + script + "COMMIT; PRAGMA optimize;")
    db.close()


def measure(server):
    """PostgreSQL's statistics, as its autovacuum gathers them in every store that is in use."""
    if server.env.get("COVE_DATABASE"):
        run_sql(server, "ANALYZE;")


def rows_read(server, what="seq_tup_read + COALESCE(idx_tup_fetch, 0)", tables=""):
    """What PostgreSQL has read for all that served until now: connections tell it when they end. tables: SQL over
    relname."""
    def value(statement):
        return int(subprocess.run(["psql", "-qAt", server.env["COVE_DATABASE"], "-c", statement], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout)
    eventually(lambda: value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                             "pid <> pg_backend_pid() AND backend_type = 'client backend'") == 0)
    return value(f"SELECT sum({what}) FROM pg_stat_user_tables {tables and 'WHERE relname ' + tables}")


def limit_uses(registry, limit, uses):
    """What is noted of an upstream's pull limit. uses: (at in seconds, project, repository, principal,
    pulls, remaining or -1 where the upstream did not say)."""
    return "".join(
        "INSERT INTO upstream_use(span, at, endpoint_id, project_id, repository, principal, pulls, remaining, "
        f"limit_pulls) VALUES(60, {at * 10**6}, {registry}, {project}, '{repository}', '{principal}', {pulls}, "
        f"{remaining}, {limit if remaining >= 0 else -1}) ON CONFLICT DO NOTHING;"
        for at, project, repository, principal, pulls, remaining in uses)


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "


def more_tags(repository, artifact_digest, count):
    """tag-000001 ... on one artifact, a second between their pushes."""
    return NUMBERS.format(count=count) + f"""
        INSERT INTO tag(repository_id, artifact_id, name, push_time)
        SELECT a.repository_id, a.id, 'tag-' || substr(CAST(1000000 + n.i AS TEXT), 2),
               1700000000000000 + n.i * 1000000
        FROM n, artifact a JOIN repository r ON r.id = a.repository_id
        WHERE r.name = '{repository}' AND a.digest = '{artifact_digest}';"""


def more_projects(count):
    return NUMBERS.format(count=count) + """
        INSERT INTO project(name, owner_id, is_public, creation_time, update_time)
        SELECT 'team-' || substr(CAST(10000 + n.i AS TEXT), 2), 1, n.i % 2, 1700000000000000,
               1700000000000000 FROM n;"""


def more_repositories(project, count):
    return NUMBERS.format(count=count) + f"""
        INSERT INTO repository(project_id, name, creation_time, update_time)
        SELECT p.id, 'app-' || substr(CAST(100000 + n.i AS TEXT), 2), 1700000000000000,
               1700000000000000 FROM n, project p WHERE p.name = '{project}';"""


def more_artifacts(repository, artifact_digest, count):
    """Images beside one that is there, a second between their pushes: v-000001 ..., digests that begin so."""
    return NUMBERS.format(count=count) + f"""
        INSERT INTO artifact(repository_id, digest, state, media_type, type, size, push_time)
        SELECT a.repository_id, 'sha256:' || substr(CAST(1000000 + n.i AS TEXT), 2) || '{'0' * 58}', 2,
               a.media_type, a.type, a.size + n.i, 1700000000000000 + n.i * 1000000
        FROM n, artifact a JOIN repository r ON r.id = a.repository_id
        WHERE r.name = '{repository}' AND a.digest = '{artifact_digest}';
        INSERT INTO tag(repository_id, artifact_id, name, push_time)
        SELECT a.repository_id, a.id, 'v-' || substr(a.digest, 8, 6), a.push_time
        FROM artifact a JOIN repository r ON r.id = a.repository_id
        WHERE r.name = '{repository}' AND a.digest <> '{artifact_digest}';"""


def more_images(repository, artifact_digest, count):
    """more_artifacts with a layer each of its own, and all that the one that is there has."""
    layer = "'b" + "0" * 57 + "'"
    mine = f"artifact a JOIN repository r ON r.id = a.repository_id AND r.name = '{repository}'"
    return more_artifacts(repository, artifact_digest, count) + NUMBERS.format(count=count) + f"""
        INSERT INTO blob(digest, size, state, creation_time)
        SELECT 'sha256:' || substr(CAST(1000000 + n.i AS TEXT), 2) || {layer}, 10, 2, 1700000000000000 FROM n;
        INSERT INTO artifact_blob(artifact_id, blob_id) SELECT a.id, b.id FROM {mine}
        JOIN blob b ON b.digest = 'sha256:' || substr(a.digest, 8, 6) || {layer};
        INSERT INTO artifact_blob(artifact_id, blob_id) SELECT a.id, x.blob_id FROM {mine}
        JOIN artifact o ON o.repository_id = r.id AND o.digest = '{artifact_digest}' AND o.id <> a.id
        JOIN artifact_blob x ON x.artifact_id = o.id;
        INSERT INTO repo_blob(repository_id, blob_id, lease_until) SELECT DISTINCT a.repository_id, x.blob_id, 0
        FROM {mine} JOIN artifact_blob x ON x.artifact_id = a.id WHERE true ON CONFLICT DO NOTHING;"""
