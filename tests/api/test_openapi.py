"""Our own OpenAPI document: every operation of the table is in it, and answers have the fields that
it describes."""
import json
import subprocess

from conftest import PASSWORD, binary
from harbor import Api

COVE = "/api/cove/v1"


def resolve(schema):
    return schema["items"] if schema["type"] == "array" else schema


def test_in_step_with_the_table(cove):
    api = Api(f"http://127.0.0.1:{cove.port}", "admin", PASSWORD)
    document = Api(api.url).call("GET", COVE + "/openapi.json", base="").json()
    assert document == json.loads(subprocess.check_output([binary(), "openapi"]))
    assert document["openapi"].startswith("3.0") and document["servers"] == [{"url": COVE}]
    routes = json.loads(subprocess.check_output([binary(), "routes", "--json"]))
    ours = {(r["method"].lower(), r["path"].removeprefix(COVE)): r for r in routes
            if r["path"].startswith(COVE + "/")}
    described = {(m, path): o for path, item in document["paths"].items() for m, o in item.items()}
    assert set(described) == set(ours)
    assert len({o["operationId"] for o in described.values()}) == len(described)
    for key, operation in described.items():
        names = {p["name"] for p in operation["parameters"]}
        assert names >= {p["name"] for p in ours[key]["parameters"] if p["in"] != "header"}, key
        assert ("requestBody" in operation) == (ours[key]["body"] is not None
                                                or key[0] == "post" and "requestBody" in operation), key


def test_answers_have_the_fields_described(cove):
    api = Api(f"http://127.0.0.1:{cove.port}", "admin", PASSWORD)
    cove.admin.push_image("library/described", "v1")
    api.call("POST", COVE + "/storage/gc", {"dry_run": True}, base="")
    document = api.call("GET", COVE + "/openapi.json", base="").json()
    checked = 0
    for path, item in document["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("2XX", {}).get("content")
        if not content:
            continue
        path = path.replace("{project}", "library").replace("{repository}", "described")
        path = path.replace("{tag}", "v1").replace("{id}", "1").replace("{digest}", "v1")
        path += "?a=v1&b=v1" if path.endswith("/compare") else ""
        reply = api.call("GET", COVE + path, base="")
        assert reply.status == 200, (path, reply)
        rows = reply.json()
        fields = set(resolve(content["application/json"]["schema"])["properties"])
        for row in rows if isinstance(rows, list) else [rows]:
            assert set(row) <= fields, (path, set(row) - fields)
            checked += 1
    assert checked > 20, checked
