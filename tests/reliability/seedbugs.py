#!/usr/bin/env python3
"""Do the tests catch what they are for? Each patch in bugs/ breaks one rule and names the tests that
must fail with it. Applied one at a time to a copy in build/bugs; the figure is
how many were caught by a test they name. The tests pass without a patch, or the run is void."""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
COPY = os.path.join(ROOT, "build/bugs")
LIMIT_S = 240


def run(command, limit_s=600, **env):
    done = subprocess.Popen(command, cwd=COPY, env={**os.environ, **env}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                            start_new_session=True)
    try:
        return done.communicate(timeout=limit_s)[0], done.returncode
    except subprocess.TimeoutExpired:
        os.killpg(done.pid, 9)
        return done.communicate()[0] + "\nnot done in time", 124
    except BaseException:  # we end: what was started does as well
        os.killpg(done.pid, 9)
        raise


def copy():
    """The files under version control as they stand; what is built there stays."""
    os.makedirs(COPY, exist_ok=True)
    wanted = "src tests cmake CMakeLists.txt CMakePresets.json VERSION docs"
    for old in ("src", "tests"):
        shutil.rmtree(os.path.join(COPY, old), ignore_errors=True)
    subprocess.run(f"tar c $(git ls-files {wanted}) | tar x -C {COPY}", shell=True, check=True,
                   cwd=ROOT)


def build(target):
    if not os.path.exists(os.path.join(COPY, "build/dev/build.ninja")):
        text, code = run(["cmake", "--preset", "dev"])
        if code:
            return text
    text, code = run(["cmake", "--build", "build/dev", "--target", target, "--", "-j2"])
    return text if code else None


def command_of(test):
    """`Caught by:` in words -> the target it needs and the command."""
    kind, _, rest = test.partition(" ")
    script = "tests/reliability/"
    if kind == "api":
        return "cove", [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                        f"tests/api/{rest}"]
    if kind == "unit":
        program = "unit-" + rest.replace("/", "-")
        return program, [f"build/dev/{program}"]
    if kind == "order":
        return "cove", [sys.executable, script + "syscallsweep.py", "--order", "12", "--seed", "7"]
    if kind == "sweep":
        mode, every, *call = rest.split()
        return "cove", [sys.executable, script + "syscallsweep.py", "--every", every, "--seed",
                        "7", "--mode", mode.replace("-", " "), *(["--call", *call] if call else [])]
    if kind == "gcpush":
        return "cove", [sys.executable, script + "gcpush.py", "--pushes", rest]
    raise SystemExit(f"no such kind of test: {test}")


def passes(test):
    """(passed, output); a target that does not build is an error of the patch."""
    target, command = command_of(test)
    wrong = build(target)
    if wrong:
        raise RuntimeError(wrong[-1500:])
    stores = tempfile.mkdtemp(prefix="cove-bugs-")  # a test that fails leaves its store behind
    os.chmod(stores, 0o755)  # PostgreSQL's own user comes in
    text, code = run(command, LIMIT_S, COVE_BIN=os.path.join(COPY, "build/dev/cove"), TMPDIR=stores)
    shutil.rmtree(stores, ignore_errors=True)
    if code == 124:
        raise RuntimeError(f"{test}: not done in {LIMIT_S} s: {text[-500:]}")
    return code == 0, text


class Bug:
    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[:-len(".patch")]
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.breaks = re.search(r"^Breaks: (.*)$", text, re.M)[1]
        self.tests = re.findall(r"^Caught by: (.*)$", text, re.M)

    def patch(self, *options):
        return run(["patch", "-p1", "-s", "-F3", "--no-backup-if-mismatch", *options, "-i",
                    self.path])

    def verdict(self):
        text, code = self.patch()
        if code:
            self.patch("-R", "-f")
            return "does not apply", text
        try:
            said = ""
            for test in self.tests:
                passed, text = passes(test)
                said += text
                if not passed:
                    return "caught", text
            return "MISSED", said
        except RuntimeError as why:
            return "does not run", str(why)
        finally:
            self.patch("-R")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="every k-th bug only")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("bugs", nargs="*", help="names of bugs; none = all")
    args = parser.parse_args()
    began = time.monotonic()
    bugs = [Bug(p) for p in sorted(glob.glob(os.path.join(HERE, "bugs/*.patch")))]
    bugs = [b for b in bugs if b.name in args.bugs] if args.bugs else bugs[::args.every]
    copy()
    if not args.no_baseline:
        for test in sorted({t for b in bugs for t in b.tests}):
            passed, text = passes(test)
            if not passed:
                print(text[-3000:])
                print(f"seedbugs: void: {test} fails without a bug")
                return 1
    caught = 0
    for bug in bugs:
        since = time.monotonic()
        verdict, text = bug.verdict()
        caught += verdict == "caught"
        print(f"{bug.name:32} {verdict:15} {time.monotonic() - since:4.0f} s  {bug.breaks}",
              flush=True)
        if verdict.startswith("does"):
            print(text[-1500:])
    share = 100 * caught / max(1, len(bugs))
    print(f"seedbugs: {caught} of {len(bugs)} caught, {share:.0f} %; "
          f"{time.monotonic() - began:.0f} s")
    return 0 if share >= 95 else 1


if __name__ == "__main__":
    sys.exit(main())
