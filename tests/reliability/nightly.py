#!/usr/bin/env python3
"""The proofs, one row each: what is demanded, the figure, the verdict. `make nightly` runs them all,
`--quick` a short pass, `--list` names them, names pick some. Ends with a table and
build/nightly.json; exit 1 when a row fails."""
import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time

from harness import ROOT, binary

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = []


def row(demand):
    def add(function):
        ROWS.append((function.__name__, demand, function))
        return function
    return add


def stop(child):
    """It ends what it started (harness.py), or all of it is ended."""
    child.terminate()
    try:
        child.wait(timeout=60)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def program(words, limit_s, figure_of=lambda lines: lines[-1]):
    """Runs it with its output in build/log; the figure is made from its lines, as a rule its last."""
    name = "-".join(os.path.basename(w).strip("-") for w in words[:3]).replace(".py", "")
    path = os.path.join(ROOT, "build/log", f"nightly-{name}.log")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as log:
        command = [sys.executable, *words] if words[0].endswith(".py") else words
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            code = child.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return f"not done in {limit_s} s, see {path}", False
        finally:
            if child.returncode is None:
                stop(child)
    with open(path, errors="replace", encoding="utf-8") as log:
        lines = [line.strip() for line in log if line.strip()]
    figure = figure_of(lines or [f"exit {code}"])
    if code == 0 and figure.startswith("skipped"):
        return figure, None
    return figure if code == 0 else f"{figure} (exit {code}, see {path})", code == 0


def last_said(lines):
    """Of the last line of the kind `name: ...`."""
    said = [x for x in lines if ": " in x and not x.startswith(("FAIL", "store and", "disk and"))]
    return said[-1].split(": ", 1)[1] if said else lines[-1]


def script(name, *words, limit_s=7200):
    return program([os.path.join(HERE, name), *(str(w) for w in words)], limit_s, last_said)


@row("everything .ci/run does: 0 failed")
def ci(quick):
    return ("left out of the short pass", None) if quick else program([".ci/run"], 7200)


@row("kill -9 under mixed load: 0 lost (SQLite)")
def kills_sqlite(quick):
    return script("crashloop.py", "--db", "sqlite", "--kills", 10 if quick else 250, "--pushes", 22)


@row("kill -9 under mixed load: 0 lost (PostgreSQL)")
def kills_postgres(quick):
    return script("crashloop.py", "--db", "postgres", "--kills", 10 if quick else 260, "--pushes", 22)


@row("power cuts: 0 lost")
def power(quick):
    return script("powercut.py", "--cuts", 5 if quick else 100)


@row("a 2xx leaves after file, directory and database are durable: 0 out of order")
def order(quick):
    return script("syscallsweep.py", "--order", 10 if quick else 300)


@row("a fault at each persistence call: no false 2xx, no crash, 0 lost (SQLite)")
def syscalls(quick):
    return script("syscallsweep.py", "--every", 30 if quick else 1)


@row("a fault at each persistence call: no false 2xx, no crash, 0 lost (PostgreSQL)")
def syscalls_postgres(quick):
    return script("syscallsweep.py", "--db", "postgres", "--every", 30 if quick else 1)


@row("no memory at each allocation: no false 2xx, no crash, 0 lost (SQLite)")
def memory(quick):
    return script("allocsweep.py", *(["--every", 50] if quick else []))


@row("no memory at twelve allocations in a row: no false 2xx, no crash, 0 lost")
def memory_run(quick):
    return script("allocsweep.py", "--run", 12, "--every", 50 if quick else 3)


@row("no memory at each allocation: no false 2xx, no crash, 0 lost (PostgreSQL)")
def memory_postgres(quick):
    return script("allocsweep.py", "--db", "postgres", *(["--every", 50] if quick else []))


@row("pushes against GC every 50 ms, grace 0: 0 failed, 0 lost (SQLite)")
def gc_sqlite(quick):
    return script("gcpush.py", "--db", "sqlite", "--pushes", 300 if quick else 10000)


@row("pushes against GC every 50 ms, grace 0: 0 failed, 0 lost (PostgreSQL)")
def gc_postgres(quick):
    return script("gcpush.py", "--db", "postgres", "--pushes", 300 if quick else 10000)


@row("random faults between Cove and its upstream: 0 wrong bodies, 0 wrong statuses")
def faults(quick):
    return script("faultstorm.py", "--sequences", 100 if quick else 10000)


def endurance(proof, quick, *words):
    return script("endurance.py", proof, *words, *(["--quick"] if quick else []))


@row("10,000 idle connections: at most 15 MiB RSS")
def idle(quick):
    return endurance("idle", quick)


@row("slowloris, 1,000 connections: all closed in 10 s, others served")
def slowloris(quick):
    return endurance("slowloris", quick)


@row("five times the clients it can answer, 256 MiB: goodput at least 80 % of the peak")
def overload(quick):
    return endurance("overload", quick)


@row("soak: RSS slope at most 1 MiB per 100,000 requests")
def soak(quick):
    return endurance("soak", quick, "--seconds", 600)


@row("20 GiB through a cache of 1 GiB: at most one image over it, pulls under way unharmed")
def cache(quick):
    return endurance("cache", quick)


@row("wall clock stepped under load: 0 lost")
def clock(quick):
    return endurance("clock", quick)


@row("the process stopped for seconds under load: 0 failed, 0 lost")
def pause(quick):
    return endurance("pause", quick)


@row("PostgreSQL restarts under load: writes go on in 3 s, 0 lost")
def pgrestart(quick):
    return endurance("pgrestart", quick)


@row("a second process on one directory or database: refused with the reason")
def second(quick):
    return endurance("second", quick)


@row("the catalogue of abuse: every case that applies is held")
def abuse(quick):
    return script("abuse.py", *(["--only", "cove"] if quick else ["--slow", "--json", "build/abuse.json"]))


@row("seeded bugs, each caught by the test that is for it: at least 95 %")
def seeded_bugs(quick):
    return script("seedbugs.py", "--every", 8 if quick else 1)


@row("fuzz targets: 0 crashes")
def fuzz(quick):
    os.environ.setdefault("FUZZ_SECONDS", "60")
    return ("left out of the short pass", None) if quick else program(["tools/fuzz"], 7200)


def revision():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("rows", nargs="*")
    args = parser.parse_args()
    if args.list:
        for name, demand, _ in ROWS:
            print(f"{name:18} {demand}")
        return 0
    unknown = set(args.rows) - {name for name, _, _ in ROWS}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    os.environ["COVE_BIN"] = binary()
    done = []
    for name, demand, function in ROWS:
        if args.rows and name not in args.rows:
            continue
        print(f"== {name}: {demand}", flush=True)
        began = time.monotonic()
        figure, ok = function(args.quick)
        verdict = {True: "ok", False: "FAILED", None: "-"}[ok]
        seconds = round(time.monotonic() - began)
        print(f"   {verdict}: {figure}", flush=True)
        done.append({"row": name, "demand": demand, "figure": figure, "verdict": verdict,
                     "seconds": seconds})
    failed = sum(r["verdict"] == "FAILED" for r in done)
    passed = sum(r["verdict"] == "ok" for r in done)
    print()
    for r in done:
        print(f"{r['row']:18} {r['verdict']:7} {r['seconds']:5} s  {r['figure']}")
    print(f"{passed} passed, {failed} failed")
    report = {"revision": revision(), "quick": args.quick, "passed": passed, "failed": failed,
              "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "rows": done}
    with open(os.path.join(ROOT, "build/nightly.json"), "w", encoding="utf-8") as out:
        json.dump(report, out, indent=1)
        out.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
