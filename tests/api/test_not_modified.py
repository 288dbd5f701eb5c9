"""Who asks again hears 304 while nothing changed, with what the headers say anyway."""
from harbor import admin, server, unique  # noqa: F401


def test_a_reply_has_a_tag_until_it_changes(admin):
    name = admin.new_project("tagged")[0]
    for path, base in ((f"/projects?q=name%3D{name}", "/api/v2.0"), (f"/projects?q=name%3D{name}", "/api/cove/v1")):
        first = admin.get(path, base=base)
        tag = first.headers["ETag"]
        again = admin.get(path, base=base, headers={"If-None-Match": tag})
        assert again.status == 304 and not again.body and again.headers["ETag"] == tag
        assert again.headers["X-Total-Count"] == "1"
        assert admin.get(path, base=base, headers={"If-None-Match": '"other"'}).status == 200
        admin.put(f"/projects/{name}", {"metadata": {"public": "true" if "v2" in base else "false"}})
        changed = admin.get(path, base=base, headers={"If-None-Match": tag})
        assert changed.status == 200 and changed.headers["ETag"] != tag
    assert "ETag" not in admin.get("/projects/absent-" + name).headers
    assert "ETag" not in admin.post("/projects", {"project_name": unique("tagged")}).headers
