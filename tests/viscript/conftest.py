"""A running daemon for the tests that talk to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon, run_daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with run_daemon(tmp_path) as made:
        yield made
