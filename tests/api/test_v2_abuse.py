"""What /v2 says to those who err: names that are encoded once too often, methods, ids of requests.
The catalogue of abuse is test_abuse.py."""


def test_h06_repository_names_are_decoded_once_more_in_the_api(cove, name):
    cove.admin.push_image(f"{name}/deep/er")
    rest = f"{name}/deep/er".split("/", 1)[1].replace("/", "%252F")
    reply = cove.admin.get(f"/api/v2.0/projects/library/repositories/{rest}/artifacts")
    assert reply.status == 200 and len(reply.json()) == 1
    once = rest.replace("%252F", "%2F")
    assert cove.admin.get(f"/api/v2.0/projects/library/repositories/{once}/artifacts").status == 404


def test_methods(cove, name):
    reply = cove.admin.post(f"/v2/{name}/manifests/v1")
    assert reply.status == 405 and reply.code == "UNSUPPORTED"
    assert reply.headers["Allow"] == "GET, HEAD, PUT, DELETE"
    assert cove.admin.request("PROPFIND", "/v2/").status == 405
    assert cove.admin.post("/service/token").status == 405
    assert cove.admin.get("/nothing/here").status == 404
    assert cove.admin.get("/api/v2.0/nothing").status == 404


def test_request_id(cove):
    assert cove.anonymous.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}
                              ).headers["X-Request-Id"] == "abc-1.2_3"
    for bad in ("a b", "x" * 200, "a\tb", '"', "é"):
        got = cove.anonymous.get("/healthz", headers={"X-Request-Id": bad.encode("latin1", "replace")})
        assert len(got.headers["X-Request-Id"]) == 36


def test_internal_errors_are_masked(cove, name):
    """What is in an error is for the client; our own trouble is in the log with the request's id."""
    reply = cove.admin.get(f"/v2/{name}/manifests/none")
    assert reply.message == f"artifact {name}:none not found"
