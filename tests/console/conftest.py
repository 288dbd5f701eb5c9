"""The fixtures of the API tests, for stories in a browser: tests/api/conftest.py under this name too."""
import importlib.util
import pathlib
import sys

import pytest

API = pathlib.Path(__file__).resolve().parent.parent / "api"
sys.path.insert(0, str(API))
_spec = importlib.util.spec_from_file_location("api_conftest", API / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({k: v for k, v in vars(_module).items() if not k.startswith("__")})


@pytest.fixture(scope="module")
def stage(postgres):
    from stage import stage as open_stage  # it needs the names above
    with open_stage(postgres) as s:
        yield s
