"""Stories on long lists: 2,000 projects, 3,000 repositories, 100,000 tags and
100,000 artifacts, written into the database."""
import pytest
import seeding
from stage import stage as open_stage
from stage import stories


def seed(server, up):
    digest, _ = server.admin.push_image("library/many", "first")
    image, _ = server.admin.push_image("library/images", "first")
    server.stop()
    seeding.run_sql(server, seeding.more_artifacts("images", image, 100000))
    seeding.run_sql(server, seeding.more_tags("many", digest, 100000))
    seeding.run_sql(server, seeding.more_projects(2000))
    seeding.run_sql(server, seeding.more_repositories("team-0001", 3000))
    server.start()


@pytest.fixture(scope="module")
def long(postgres):
    with open_stage(postgres, seed) as s:
        yield s


@pytest.mark.parametrize("file, story", stories(folder="long"))
def test_story(long, file, story):
    print(long.play(file, story))
