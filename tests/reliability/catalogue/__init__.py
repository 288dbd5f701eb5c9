"""The catalogue of abuse: what attackers, broken clients and broken registries did elsewhere, each as
a case with what must be so afterwards. A case runs against any registry; what a registry does not
have (accounts, tokens, Harbor's API, a proxy) makes a case not applicable, with the reason."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "api"))
from . import access, content, outbound, parsing, queries, tokens  # noqa: E402,F401
from .world import CASES, Skip, World, run_case  # noqa: E402,F401
