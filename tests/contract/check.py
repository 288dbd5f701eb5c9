#!/usr/bin/env python3
"""Compares Cove's route and field tables with Harbor's published API.

The contract is harbor-api-v2.0.yaml beside this file. From Cove come `cove routes --json` and
`cove schema`; differences that were looked at and are meant stand in reviewed.txt with a reason.
Exits 1 on a difference that is not there, and on an entry there that no longer differs.

usage: check.py                 ($COVE_BIN, or what was built last under build/)
       check.py COVE            (the binary)
       check.py ROUTES SCHEMA   (two files with the output of the two commands)
"""
import json
import os
import pathlib
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "/api/v2.0"
EVERYWHERE = {"X-Request-Id"}  # accepted and returned by the dispatcher, for every row


def built():
    root = HERE.parent.parent / "build"
    found = [p for p in (root / "cove", *root.glob("*/cove")) if p.is_file()]
    if not found:
        sys.exit("check.py: no binary under build/: make build")
    return str(max(found, key=lambda p: p.stat().st_mtime))


def load(argv):
    argv = argv or [os.environ.get("COVE_BIN") or built()]
    if len(argv) == 1:
        run = lambda *words: json.loads(subprocess.check_output([argv[0], *words]))
        return run("routes", "--json"), run("schema", "--json")
    return [json.loads(pathlib.Path(name).read_text()) for name in argv]


def contract_parameters(spec, path_item, operation):
    found, body = {}, None
    for p in path_item.get("parameters", []) + operation.get("parameters", []):
        if "$ref" in p:
            p = spec["parameters"][p["$ref"].split("/")[-1]]
        if p["in"] == "body":
            body = p["schema"].get("$ref", "").split("/")[-1] or "object"
        elif p["name"] not in EVERYWHERE:
            found[p["in"], p["name"]] = p
    return found, body


def check_operation(spec, path, path_item, method, operation, route, differ):
    where = f"{method.upper()} {path}"
    if route["operation"] != operation["operationId"]:
        differ(f"{where}: operationId {operation['operationId']}, ours {route['operation']}")
    if route["later"]:
        return
    theirs, body = contract_parameters(spec, path_item, operation)
    ours = {(p["in"], p["name"]): p for p in route["parameters"]}
    for key in sorted(set(theirs) | set(ours)):
        label = f"{where}: {key[0]} parameter {key[1]}"
        if key not in ours:
            differ(f"{label} is missing")
        elif key not in theirs:
            differ(f"{label} is ours alone")
        elif key[0] == "query":
            want, got = theirs[key], ours[key]
            if want.get("type") != got["type"]:
                differ(f"{label}: type {want.get('type')}, ours {got['type']}")
            if bool(want.get("required")) != got["required"]:
                differ(f"{label}: required {bool(want.get('required'))}, ours {got['required']}")
    ours_body = "object" if body == "object" and route["body"] else route["body"]
    if body != ours_body:
        differ(f"{where}: body {body}, ours {route['body']}")


def check_routes(spec, routes, differ):
    ours = {(r["path"], r["method"].lower()): r for r in routes if r["path"].startswith(PREFIX)}
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            route = ours.pop((PREFIX + path, method), None)
            if route is None:
                differ(f"{method.upper()} {path}: no such row")
            else:
                check_operation(spec, path, item, method, operation, route, differ)
    for path, method in ours:
        differ(f"{method.upper()} {path}: not in the contract")


def contract_type(spec, prop):
    """(type, what it holds) in the words of `cove schema`."""
    if "$ref" in prop:
        name = prop["$ref"].split("/")[-1]
        target = spec["definitions"][name]
        return ("object", name) if target.get("type", "object") == "object" else contract_type(spec, target)
    kind = prop.get("type", "object")
    if kind == "string" and prop.get("format") == "date-time":
        return "date-time", None
    if kind == "array":
        items = prop["items"]
        return "array", items["$ref"].split("/")[-1] if "$ref" in items else items["type"]
    return kind, None


def is_map(spec, name):
    return name in spec["definitions"] and "additionalProperties" in spec["definitions"][name] \
        and not spec["definitions"][name].get("properties")


def check_field(spec, model, field, prop, differ):
    want, inner = contract_type(spec, prop)
    got = field["type"]
    if want != got:
        differ(f"{model}.{field['name']}: type {want}, ours {got}")
        return
    ours = field.get("items") or field.get("model")
    if inner and ours != inner and not (want == "object" and (ours is None or is_map(spec, inner))):
        differ(f"{model}.{field['name']}: holds {inner}, ours {ours}")


def check_models(spec, schema, differ):
    seen = {}
    for entry in schema:
        name = entry["model"]
        definition = spec["definitions"].get(name)
        if definition is None:
            differ(f"{name}: no such model in the contract")
            continue
        if is_map(spec, name):
            continue
        for field in entry["fields"]:
            seen.setdefault(name, set()).add(field["name"])
            prop = definition.get("properties", {}).get(field["name"])
            if prop is None:
                differ(f"{name}.{field['name']}: ours alone")
            else:
                check_field(spec, name, field, prop, differ)
    for name, fields in seen.items():
        for prop in spec["definitions"][name].get("properties", {}):
            if prop not in fields:
                differ(f"{name}.{prop}: missing")


def reviewed():
    entries = {}
    for line in (HERE / "reviewed.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            difference, _, reason = line.partition(" -- ")
            if not reason.strip():
                sys.exit(f"reviewed.txt: no reason for: {line}")
            entries[difference.strip()] = reason.strip()
    return entries


def main():
    if len(sys.argv) > 3 or sys.argv[1:2] == ["--help"]:
        sys.exit(__doc__)
    spec = yaml.safe_load((HERE / "harbor-api-v2.0.yaml").read_text())
    routes, schema = load(sys.argv[1:])
    found = []
    check_routes(spec, routes, found.append)
    check_models(spec, schema, found.append)
    known = reviewed()
    fresh = sorted(set(found) - set(known))
    stale = sorted(set(known) - set(found))
    for line in fresh:
        print(f"not reviewed: {line}")
    for line in stale:
        print(f"no longer differs: {line}")
    real = sum(not r["later"] for r in routes if r["path"].startswith(PREFIX))
    total = sum(r["path"].startswith(PREFIX) for r in routes)
    print(f"contract: {total} operations ({real} real), {len({m['model'] for m in schema})} models, "
          f"{len(known)} reviewed differences, {len(fresh)} new, {len(stale)} stale")
    sys.exit(1 if fresh or stale else 0)


if __name__ == "__main__":
    main()
