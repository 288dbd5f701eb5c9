"""What the console may weigh: the files that the build embedded, as they travel."""
import gzip
import json
import re

import pytest
from stage import WEB

KB = 1024


@pytest.fixture(scope="module")
def files():
    dist = WEB / "dist"
    if not (dist / "index.html").exists():
        pytest.skip("web/dist was not built")
    return {str(p.relative_to(dist)): len(p.read_bytes() if p.suffix == ".woff2" else gzip.compress(p.read_bytes(), 9))
            for p in dist.rglob("*") if p.is_file()}


def entry(files):
    page = (WEB / "dist/index.html").read_text()
    return {name for name in re.findall(r'"/(assets/[^"]+)"', page)}


def test_all_of_it(files):
    assert sum(files.values()) <= 700 * KB, files


def test_style_and_fonts(files):
    assert sum(n for f, n in files.items() if f.endswith(".css")) <= 20 * KB
    assert sum(n for f, n in files.items() if f.endswith(".woff2")) <= 70 * KB


def test_scripts(files):
    first = {f for f in entry(files) if f.endswith(".js")}
    assert first and sum(files[f] for f in first) <= 100 * KB
    routes = {f: n for f, n in files.items() if f.endswith(".js") and f not in first}
    heavy = {f: n for f, n in routes.items() if n > 12 * KB and not re.match(r"assets/(uPlot|Chart)", f)}
    assert not heavy, heavy


def test_few_packages():
    """At most eight direct packages of build and run time; what only tests is not among them."""
    package = json.loads((WEB / "package.json").read_text())
    direct = {**package.get("dependencies", {}), **package.get("devDependencies", {})}
    tests = {"axe-core", "playwright-core", "vitest", "jsdom", "svelte-check"} | {d for d in direct if d.startswith("@testing-library/")}
    assert len(set(direct) - tests) <= 8, sorted(set(direct) - tests)
    assert all(re.fullmatch(r"[\d.]+", version) for version in direct.values()), "exact versions"
