"""The image that the build left in dist/, and a scratch folder that is kept when a test fails."""

from pathlib import Path

import pytest

from image.emulator.card import find_image
from image.errors import ImageError
from image.run import Runner

TREE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with (tmp_path_factory.mktemp("image") / "log").open("w") as log:
        try:
            return find_image(Runner(log, 0), TREE / "dist")
        except ImageError as error:
            pytest.fail(str(error))
