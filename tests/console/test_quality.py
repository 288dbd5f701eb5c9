"""Stories of what holds on every page; a module of its own, so that they run beside the others."""
import pytest
from stage import stories


@pytest.mark.parametrize("file, story", stories("quality"))
def test_story(stage, file, story):
    print(stage.play(file, story))
