"""Harbor's REST API as the tests speak it: one call, one reply, nothing remembered. A test file
imports the fixtures that it uses from here."""
import base64
import hashlib
import http.client
import itertools
import json
import urllib.parse

import pytest

import conftest
from conftest import Server

BASE = "/api/v2.0"
PASSWORD = "Secret-word-1"
_names = itertools.count(1)


def unique(stem):
    """A name that no other test of this run uses."""
    return f"{stem}{next(_names)}"


class Reply(conftest.Reply):
    @property
    def total(self):
        return int(self.headers["X-Total-Count"])

    @property
    def id(self):
        """The last part of Location."""
        return int(self.headers["Location"].rsplit("/", 1)[1])


class Api:
    """As one principal: Api(url, "admin", password); Api(url) is nobody."""

    def __init__(self, url, name=None, password=None):
        self.url, self.name, self.password = url.rstrip("/"), name, password
        self.host = urllib.parse.urlsplit(url).netloc

    def call(self, method, path, body=None, headers=None, base=BASE):
        sent = dict(headers or {})
        if self.name is not None:
            pair = f"{self.name}:{self.password}".encode()
            sent["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, base + path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, {} if body is None else body, **kw)

    def put(self, path, body=None, **kw):
        return self.call("PUT", path, {} if body is None else body, **kw)

    def patch(self, path, body=None, **kw):
        return self.call("PATCH", path, {} if body is None else body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    def as_(self, name, password=PASSWORD):
        return Api(self.url, name, password)

    # ---- things that most stories need ------------------------------------------------------

    def new_user(self, stem="user"):
        """Creates a user; its own Api, with .user_id."""
        name = unique(stem)
        reply = self.post("/users", {"username": name, "password": PASSWORD, "realname": name,
                                     "email": f"{name}@example.com", "comment": "made by a test"})
        assert reply.status == 201, reply
        user = self.as_(name)
        user.user_id = reply.id
        return user

    def new_project(self, stem="project", **body):
        name = unique(stem)
        reply = self.post("/projects", {"project_name": name, **body})
        assert reply.status == 201, reply
        return name, reply.id

    def add_member(self, project, user, role):
        reply = self.post(f"/projects/{project}/members",
                          {"role_id": role, "member_user": {"username": user.name}})
        assert reply.status == 201, reply
        return reply.id

    def new_robot(self, project, *pairs, **body):
        """A robot of the project with the pairs ("repository", "pull"), as its own Api."""
        access = [{"resource": r, "action": a} for r, a in pairs]
        reply = self.post("/robots", {
            "name": unique("robot"), "level": "project", "duration": -1,
            "permissions": [{"kind": "project", "namespace": project, "access": access}], **body})
        assert reply.status == 201, reply
        made = reply.json()
        robot = self.as_(made["name"], made["secret"])
        robot.robot_id = made["id"]
        return robot

    def push(self, name, tag="latest", text=b"layer", annotations=None, subject=None,
             artifact_type=None):
        """Pushes a small image straight to /v2; its digest."""
        def blob(data):
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            start = self.call("POST", f"/{name}/blobs/uploads/", b"", base="/v2")
            assert start.status == 202, start
            place = urllib.parse.urlsplit(start.headers["Location"])
            target = place.path + "?" + (place.query + "&" if place.query else "")
            done = self.call("PUT", target + "digest=" + digest, data, base="",
                             headers={"Content-Type": "application/octet-stream"})
            assert done.status == 201, done
            return digest, len(data)

        config_digest, config_size = blob(b'{"architecture":"amd64","os":"linux"}')
        layer_digest, layer_size = blob(text)
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": config_digest, "size": config_size},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "digest": layer_digest, "size": layer_size}]}
        if annotations:
            manifest["annotations"] = annotations
        if subject:
            manifest["subject"] = subject
        if artifact_type:
            manifest["artifactType"] = artifact_type
        data = json.dumps(manifest).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        done = self.call("PUT", f"/{name}/manifests/{tag or digest}", data, base="/v2",
                         headers={"Content-Type": manifest["mediaType"]})
        assert done.status == 201, done
        return digest, len(data)


# ---- fixtures ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def server(postgres):
    """A server that the tests of one file share; upstreams of its API may be on loopback."""
    process = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8")
    yield process
    try:
        process.stop()
    finally:
        process.remove()


@pytest.fixture(scope="module")
def admin(server):
    api = Api(f"http://127.0.0.1:{server.port}", "admin", server.env["COVE_ADMIN_PASSWORD"])
    yield api
    server.check()


@pytest.fixture(scope="module")
def nobody(server):
    return Api(f"http://127.0.0.1:{server.port}")
