"""The image that the build left in dist/, and a scratch folder that is kept when a test fails."""

from pathlib import Path

import pytest

from image.emulator.card import find_image
from image.errors import ImageError
from image.run import Runner
from image.tools import BOOT, install_tools

TREE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with (tmp_path_factory.mktemp("image") / "log").open("w") as log:
        run = Runner(log, 0)
        try:
            install_tools(run, BOOT)
            return find_image(run, TREE / "dist")
        except ImageError as error:
            pytest.fail(str(error))
