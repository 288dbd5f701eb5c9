#!/usr/bin/env python3
"""The catalogue of abuse against a registry, and what it did.

    abuse.py --url http://host:port [--user U --password P] [--name docker-registry] [--json out]
    abuse.py                 starts Cove, Debian's docker-registry and distribution v3 (those that
                             there are) and prints their results side by side
    abuse.py --only cove     Cove alone, with what only Cove promises; the exit status is its verdict

Everything is made under names of its own and taken away again as far as the registry's API can. It
is bounded: a few thousand requests, some seconds (--slow: a minute more)."""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))
import servers  # noqa: E402
from catalogue import CASES, World, run_case  # noqa: E402
from harness import binary  # noqa: E402

PASSWORD = "Correct-Horse-7"
HASHED = "$2b$04$XVX53ztX8EHF6tTexPvfOO9EFhECJWRXDRZ9fKFLqzuXXD9WZJhwy"  # bcrypt, the cheapest
PEERS = {"docker-registry": ["/usr/bin/docker-registry"],
         "distribution v3": ["/opt/cove-tools/bin/registry", str(servers.ROOT / "build/tools/registry")]}


class Server(servers.Server):
    """A registry with one account, plain or TLS, that permits deletes."""

    def __init__(self, kind, folder, tls=False, upstream=None, credential=None):
        self.program, self.credential = program_of(kind), credential
        super().__init__("cove" if kind == "cove" else kind, folder, tls, upstream,
                         more={"COVE_OUTBOUND_ALLOW": "127.0.0.0/8", "COVE_ADMIN_PASSWORD": PASSWORD,
                               "COVE_PROXY_STALL_S": "3"})

    def cove(self, cert, upstream):
        command, env = super().cove(cert, upstream)
        return [self.program, *command[1:]], env

    def distribution(self, cert, upstream):
        (self.folder / "users").write_text(f"admin:{HASHED}\n")
        user, word = self.credential or ("", "")
        config = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
                  "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"},
                              "delete": {"enabled": True}},
                  "http": {"addr": f"127.0.0.1:{self.port}"}}
        if cert:
            config["http"]["tls"] = {"certificate": str(cert[0]), "key": str(cert[1])}
        if upstream:
            config["proxy"] = {"remoteurl": upstream, "username": user, "password": word}
        else:
            config["auth"] = {"htpasswd": {"realm": "x", "path": f"{self.folder}/users"}}
        place = self.folder / "config.yml"
        place.write_text(json.dumps(config))  # YAML holds JSON
        return [self.program, "serve", place], {"OTEL_TRACES_EXPORTER": "none"}


def program_of(kind):
    if kind == "cove":
        return binary()
    return next((p for p in PEERS[kind] if os.access(p, os.X_OK)), None)


def version_of(kind):
    words = [program_of(kind), "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    return next((w for w in said if w[:1] == "v" and w[1:2].isdigit() or w[:1].isdigit()), "unknown")


class Started:
    """The servers of one registry: plain, TLS, and a proxy for each upstream of a case."""

    def __init__(self, kind):
        self.kind, self.folder = kind, pathlib.Path(tempfile.mkdtemp(prefix="cove-abuse-"))
        self.proxies = []
        self.plain = Server(kind, self.folder)
        self.secure = Server(kind, self.folder, tls=True)
        self.world = World(self.plain.url, "admin", PASSWORD, kind, self.secure.url,
                           None if kind == "cove" else self.proxy, self.plain.process.pid,
                           str(self.plain.folder / "log"), strict=kind == "cove")

    def proxy(self, upstream, credential):
        self.proxies.append(Server(self.kind, self.folder, upstream=upstream, credential=credential))
        return World(self.proxies[-1].url).anonymous

    def between(self):
        """After a case: its proxies end; has the registry ended by itself?"""
        for server in self.proxies:
            server.stop()
        self.proxies.clear()
        return self.plain.process.poll() is None and self.secure.process.poll() is None

    def stop(self):
        for server in (*self.proxies, self.plain, self.secure):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(world, cases, between=lambda: True, show=True):
    results = {}
    for one in cases:
        began = time.monotonic()
        verdict, met, words = run_case(world, one)
        if not between():
            verdict, words = "failed", [*words, "the process ended by itself"]
        results[one.id] = {"case": one.id, "title": one.title, "verdict": verdict, "met": met,
                           "words": words, "seconds": round(time.monotonic() - began, 2)}
        if show:
            told = words[0] if words else f"{met} demands"
            print(f"{world.name:16} {one.id} {verdict:15} {told[:110]}", flush=True)
        if verdict == "failed" and not between():
            break
    world.clean()
    return results


def run_kind(kind, cases):
    started = Started(kind)
    try:
        return run(started.world, cases, started.between)
    finally:
        started.stop()


def cell(result):
    if not result:
        return "not run"
    if result["verdict"] == "passed":
        return f"passed ({result['met']})"
    if result["verdict"] == "failed":
        total = result["met"] + len(result["words"])
        return f"failed {len(result['words'])} of {total}: {result['words'][0]}"
    return "n/a: " + result["words"][0]


def markdown(results):
    """The table of docs/abuse.md."""
    def text(value):
        return value.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")[:160]
    kinds = list(results)
    lines = ["| case | what is tried | " + " | ".join(kinds) + " |", "|" + "---|" * (2 + len(kinds))]
    for one in CASES:
        cells = [text(cell(results[k].get(one.id))) for k in kinds]
        lines.append(f"| {one.id} | {one.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--name", default="the registry")
    parser.add_argument("--json")
    parser.add_argument("--markdown", help="a file for the table")
    parser.add_argument("--only", choices=["cove", *PEERS], action="append")
    parser.add_argument("--slow", action="store_true", help="also those who never finish (H01, H02)")
    parser.add_argument("--cases", nargs="*", help="their ids")
    args = parser.parse_args()
    cases = [c for c in CASES if (c.id in args.cases if args.cases else args.slow or not c.slow)]
    began, results = time.monotonic(), {}
    if args.url:
        world = World(args.url, args.user, args.password, args.name)
        results[args.name] = run(world, cases)
    else:
        kinds = args.only or [k for k in ("cove", *PEERS) if program_of(k)]
        for kind in kinds:
            results[f"{kind} {version_of(kind)}"] = run_kind(kind, cases)
    report = {"machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
              "date": time.strftime("%Y-%m-%d"), "results": results}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=1) + "\n")
    if args.markdown:
        pathlib.Path(args.markdown).write_text(markdown(results) + "\n")
    print()
    ok = True
    for name, rows in reversed(results.items()):  # Cove last
        count = {v: sum(r["verdict"] == v for r in rows.values()) for v in ("passed", "failed",
                                                                          "not applicable")}
        for r in rows.values():
            if r["verdict"] == "failed" and (name.startswith("cove") or args.url):
                print(f"FAIL: {name} {r['case']} {r['title']}:", *r["words"][:5], sep="\n    ")
        print(f"abuse, {name}: {count['passed']} cases held, {count['failed']} not, "
              f"{count['not applicable']} not applicable, "
              f"{sum(r['met'] for r in rows.values())} demands met; {time.monotonic() - began:.0f} s")
        if name.startswith("cove") or args.url:
            ok = ok and not count["failed"]
            held = count
    if len(results) == 1:
        print(f"{held['passed']} passed, {held['failed']} failed")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
