"""Labs for the tests of this folder, from a topology's text, taken away whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.laboratory import machine
from tests.laboratory.errors import MissingError
from tests.laboratory.lab import Lab, run_lab
from tests.laboratory.topology import parse_topology

MakeLab = Callable[[str], Lab]


@pytest.fixture
def needs_machine() -> None:
    try:
        machine.check_machine()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def make_lab(tmp_path: Path, needs_machine: None) -> Iterator[MakeLab]:
    with ExitStack() as stack:

        def make(text: str) -> Lab:
            return stack.enter_context(run_lab(parse_topology(text, "lab.yaml"), tmp_path / "lab"))

        yield make
