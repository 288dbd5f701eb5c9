"""How the pages look and what a screen reader is told, beside what is kept in pictures/. After a change
that was looked at, RENEW=1 with this test writes them anew (docs/testing.md)."""
import os

import pytest


def test_pictures(stage):
    said = stage.play("../staged/pictures", "pictures", 600, RENEW=os.environ.get("RENEW", ""))
    print(said)
    if "not compared" in said:
        pytest.skip(said.strip())
