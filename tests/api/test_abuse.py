"""The catalogue of abuse (tests/reliability/catalogue) against Cove: each case is a story of its own,
named by its id. What only Cove promises beyond it stands in test_v2_abuse.py and test_http_abuse.py."""
import os
import sys

import pytest
from conftest import PASSWORD, ROOT, Server

sys.path.insert(0, os.path.join(ROOT, "tests/reliability"))
from catalogue import CASES, World, run_case  # noqa: E402


@pytest.fixture(scope="module")
def servers(postgres, certificate):
    plain = Server(postgres, COVE_OUTBOUND_ALLOW="127.0.0.0/8", COVE_PROXY_STALL_S=3)
    secure = Server(postgres, COVE_TLS_CERT=certificate[0], COVE_TLS_KEY=certificate[1])
    yield plain, secure
    for server in (plain, secure):
        try:
            server.stop()
        finally:
            server.remove()


@pytest.fixture(scope="module")
def world(servers):
    plain, secure = servers
    world = World(f"http://127.0.0.1:{plain.port}", "admin", PASSWORD, "cove",
                  f"https://127.0.0.1:{secure.port}", log=plain.errors, strict=True)
    yield world
    world.clean()


@pytest.mark.parametrize("one", [c for c in CASES if not c.slow], ids=lambda c: c.id)
def test_catalogue(servers, world, one):
    verdict, _, words = run_case(world, one)
    for server in servers:
        server.check()
    if verdict == "not applicable":
        pytest.skip(words[0])
    assert verdict == "passed", "\n".join([one.title, *words[:20]])
