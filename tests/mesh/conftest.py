"""The networks stay up for all tests of a module that use them; each test leaves them as it found them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.laboratory import machine
from tests.laboratory.errors import MissingError
from tests.mesh import places
from tests.mesh.world import World, run_world


def check_lab() -> None:
    """Skips where there can be no laboratory."""
    try:
        machine.check_machine(meshed=True)
    except MissingError as error:
        pytest.skip(str(error))


def up(text: str, factory: pytest.TempPathFactory) -> Iterator[World]:
    check_lab()
    with run_world(places.read(text), factory.mktemp("mesh") / "lab") as world:
        yield world


@pytest.fixture(scope="session")
def three_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from up(places.THREE_WAYS, tmp_path_factory)


@pytest.fixture(scope="module")
def three_managers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from up(places.THREE_MANAGERS, tmp_path_factory)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from up(places.RACK, tmp_path_factory)
